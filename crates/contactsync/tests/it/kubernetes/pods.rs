//! Pods on this machine: the program with the arguments and the environment that Kubernetes would give it, and folders of its own
//! in the place of volumes.

use std::{collections::BTreeMap, path::PathBuf, process::Command};

use serde_json::Value;

use super::manifests::{Object, arguments, list, objects, word};
use crate::support::Workplace;

/// A pod of a job, before it is started.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pod<'o> {
    pub(super) object: &'o Object,
    /// The name of its job: of a nightly one, that of the night.
    pub(super) job: &'o str,
    /// Which of the job's pods it is, where these have numbers.
    pub(super) index: Option<u64>,
}

/// What Kubernetes sets in every pod, and what the image has.
const ALWAYS: [(&str, &str); 6] = [
    ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    ("HOME", "/home/nonroot"),
    ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
    ("KUBERNETES_SERVICE_PORT", "443"),
    ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
    ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
];

impl Pod<'_> {
    /// The command of one of its containers. Paths in mounts lead to folders of the place.
    pub(super) fn command(self, place: &Workplace, container: &str) -> Command {
        let container = self.object.container(container);
        let variables = self.variables(container);
        let mounts: Vec<(&str, PathBuf)> =
            list(container, "/volumeMounts").iter().map(|mount| self.mounted(place, mount, &variables)).collect();
        let here = |text: &str| on_this_machine(text, &mounts);
        let words: Vec<String> = arguments(container).iter().map(|word| here(&expanded(word, &variables))).collect();
        let mut command = place.command(&words);
        // An image whose files can't be written.
        let root = place.path("root");
        std::fs::create_dir_all(&root).unwrap();
        command.current_dir(root).env_clear();
        command.envs(variables.iter().map(|(name, value)| (name, here(value))));
        command
    }

    fn variables(self, container: &Value) -> BTreeMap<String, String> {
        let mut variables: BTreeMap<String, String> =
            ALWAYS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        variables.insert("HOSTNAME".to_owned(), format!("{}-abcde", self.job));
        for from in list(container, "/envFrom") {
            let name = word(from, "/configMapRef/name");
            let map = objects().into_iter().find(|it| it.kind() == "ConfigMap" && it.name() == name).unwrap();
            for (name, value) in map.value["data"].as_object().unwrap() {
                variables.insert(name.clone(), value.as_str().unwrap().to_owned());
            }
        }
        // Only its own environment may be named in a value, and only what stands above.
        for variable in list(container, "/env") {
            let value = match variable.get("value") {
                Some(value) => expanded(value.as_str().unwrap(), &variables),
                None => self.field(word(variable, "/valueFrom/fieldRef/fieldPath")),
            };
            variables.insert(word(variable, "/name").to_owned(), value);
        }
        if let Some(index) = self.index {
            variables.insert("JOB_COMPLETION_INDEX".to_owned(), index.to_string());
        }
        variables
    }

    fn field(self, path: &str) -> String {
        // Which a job gives its pods.
        assert_eq!(path, "metadata.labels['batch.kubernetes.io/job-name']");
        self.job.to_owned()
    }

    /// The folder that stands for a mount.
    fn mounted<'m>(
        self,
        place: &Workplace,
        mount: &'m Value,
        variables: &BTreeMap<String, String>,
    ) -> (&'m str, PathBuf) {
        let volumes = list(self.object.template().unwrap(), "/spec/volumes");
        let volume = volumes.iter().find(|volume| volume["name"] == mount["name"]).unwrap();
        let mut folder = match volume.pointer("/persistentVolumeClaim/claimName") {
            Some(claim) => place.path("claims").join(claim.as_str().unwrap()),
            None => place.path("secrets").join(word(volume, "/secret/secretName")),
        };
        if let Some(sub_path) = mount.get("subPathExpr") {
            let sub_path = expanded(sub_path.as_str().unwrap(), variables);
            assert!(!sub_path.contains("$("), "no such variable, so the pod is never started: {sub_path}");
            folder.push(sub_path);
        }
        // What isn't there is made.
        std::fs::create_dir_all(&folder).unwrap();
        (word(mount, "/mountPath"), folder)
    }
}

/// A path, or the value of an option that is one, where it is on this machine.
fn on_this_machine(text: &str, mounts: &[(&str, PathBuf)]) -> String {
    let begins = if text.starts_with("--") { text.find('=').map_or(0, |at| at + 1) } else { 0 };
    let (option, path) = text.split_at(begins);
    let found = mounts.iter().find_map(|(mounted, folder)| {
        let inside = path.strip_prefix(mounted)?.strip_prefix('/')?;
        Some(format!("{option}{}", folder.join(inside).display()))
    });
    found.unwrap_or_else(|| text.to_owned())
}

/// `$(NAME)` is the value of a variable; `$$` is a dollar sign; a name that isn't known stays as it is.
pub(super) fn expanded(text: &str, variables: &BTreeMap<String, String>) -> String {
    let mut expanded = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        expanded.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(behind) = rest.strip_prefix('$') {
            expanded.push('$');
            rest = behind;
        } else if let Some((name, behind)) = rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            match variables.get(name) {
                Some(value) => expanded.push_str(value),
                None => expanded.push_str(&format!("$({name})")),
            }
            rest = behind;
        } else {
            expanded.push('$');
        }
    }
    expanded + rest
}

#[test]
fn variables_are_expanded_as_by_kubernetes() {
    let variables = BTreeMap::from([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "$(A)".to_owned())]);
    for (text, expected) in [
        ("$(A)/8", "1/8"),
        ("-$(A)-$(A)", "-1-1"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B)", "$(A)"),
        ("$A $( $", "$A $( $"),
        ("", ""),
    ] {
        assert_eq!(expanded(text, &variables), expected, "{text}");
    }
}
