//! The manifests of `deploy/kubernetes`, read as they stand.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// An object of a manifest.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) file: String,
    pub(super) value: Value,
}

/// A file of the repository.
pub(super) fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file of the repository.
pub(super) fn text(path: &str) -> String {
    std::fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of the files, sorted.
pub(super) fn files() -> Vec<String> {
    let entries = std::fs::read_dir(repository("deploy/kubernetes")).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "yaml"))
        .collect();
    names.sort();
    assert!(names.len() >= 8, "{names:?}");
    names
}

/// The objects of a file.
pub(super) fn objects_of(file: &str) -> Vec<Object> {
    let text = text(&format!("deploy/kubernetes/{file}"));
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(!values.is_empty(), "{file} is empty");
    values.into_iter().map(|value| Object { file: file.to_owned(), value }).collect()
}

/// All objects, but what only `kubectl` reads.
pub(super) fn objects() -> Vec<Object> {
    files().iter().filter(|file| *file != "kustomization.yaml").flat_map(|file| objects_of(file)).collect()
}

/// The only object of this kind in a file.
pub(super) fn only(file: &str, kind: &str) -> Object {
    let mut found: Vec<Object> = objects_of(file).into_iter().filter(|object| object.kind() == kind).collect();
    assert_eq!(found.len(), 1, "{kind} in {file}");
    found.remove(0)
}

/// The list at this place, or none.
pub(super) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).map_or(&[], |list| list.as_array().unwrap())
}

/// The text at this place.
pub(super) fn word<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer} of {value}"))
}

impl Object {
    pub(super) fn kind(&self) -> &str {
        word(&self.value, "/kind")
    }

    pub(super) fn name(&self) -> &str {
        word(&self.value, "/metadata/name")
    }

    /// What a job is to do: of a `Job` itself, of a `CronJob` each night.
    pub(super) fn job(&self) -> Option<&Value> {
        match self.kind() {
            "Job" => self.value.pointer("/spec"),
            "CronJob" => self.value.pointer("/spec/jobTemplate/spec"),
            _ => None,
        }
    }

    /// The template of its pods, where it has any.
    pub(super) fn template(&self) -> Option<&Value> {
        match self.kind() {
            "Deployment" => self.value.pointer("/spec/template"),
            _ => self.job().and_then(|job| job.get("template")),
        }
    }

    /// The containers of its pods: those that run first, in front.
    pub(super) fn containers(&self) -> Vec<&Value> {
        let Some(template) = self.template() else { return Vec::new() };
        ["/spec/initContainers", "/spec/containers"].iter().flat_map(|pointer| list(template, pointer)).collect()
    }

    /// The container of this name.
    pub(super) fn container(&self, name: &str) -> &Value {
        let found = self.containers().into_iter().find(|container| container["name"] == name);
        found.unwrap_or_else(|| panic!("no container {name} in {}", self.file))
    }
}

/// The arguments of a container.
pub(super) fn arguments(container: &Value) -> Vec<&str> {
    list(container, "/args").iter().map(|word| word.as_str().unwrap()).collect()
}

/// The value of an option of a container that runs contactsync, written as `--name=value`.
pub(super) fn option<'v>(container: &'v Value, name: &str) -> Option<&'v str> {
    arguments(container).into_iter().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}
