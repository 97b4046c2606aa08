//! The image: what is copied into it, who runs in it, and who names it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::manifests::{objects, repository, text, word};

/// The values of an instruction of the `Dockerfile`, in order.
fn instructions(name: &str) -> Vec<String> {
    let text = text("Dockerfile").replace("\\\n", " ");
    let lines = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let found: Vec<String> = lines.map(str::to_owned).collect();
    assert!(!found.is_empty(), "{name}");
    found
}

#[test]
fn the_image_runs_as_who_the_pods_are() {
    let user = instructions("USER").pop().unwrap();
    let (user, group) = user.split_once(':').unwrap();
    let mut pods = 0;
    for object in objects() {
        let Some(template) = object.template() else { continue };
        let context = &template["spec"]["securityContext"];
        // By number, or Kubernetes couldn't tell that it isn't root.
        assert_eq!(
            (context["runAsUser"].to_string(), context["runAsGroup"].to_string()),
            (user.into(), group.into()),
            "{}",
            object.file
        );
        pods += 1;
    }
    assert_eq!(pods, 4);
}

#[test]
fn pods_run_one_image_of_this_version() {
    let images: BTreeSet<String> = objects()
        .iter()
        .flat_map(|object| {
            object.containers().into_iter().map(|container| word(container, "/image").to_owned()).collect::<Vec<_>>()
        })
        .collect();
    let ours: Vec<&String> = images.iter().filter(|image| image.contains("/contactsync:")).collect();
    assert_eq!(ours, [&format!("registry.example.com/contactsync:{}", env!("CARGO_PKG_VERSION"))]);
    assert!(images.iter().all(|image| !image.ends_with(":latest") && image.contains(':')), "{images:?}");
}

#[test]
fn the_image_is_built_as_the_workspace_is() {
    let [builder, base] = &instructions("FROM")[..] else { panic!("two stages") };
    let version = env!("CARGO_PKG_RUST_VERSION");
    assert!(builder.contains(&format!("/rust:{version}-")), "{builder} is not Rust {version}");
    // Else the C library that it was linked with may be newer than the one it finds.
    assert!(builder.contains("trixie") && base.contains("debian13") && base.ends_with(":nonroot"), "{builder}, {base}");
    let run = instructions("RUN").concat();
    for word in ["cargo build", "--release", "--locked", "--package contactsync"] {
        assert!(run.contains(word), "{word}");
    }
    // As a list: there is no shell.
    assert_eq!(instructions("ENTRYPOINT"), [r#"["/usr/local/bin/contactsync"]"#]);
    assert!(run.contains("/image/usr/local/bin/contactsync"));
}

#[test]
fn what_is_built_is_let_in_and_nothing_else() {
    let text = text(".dockerignore");
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let let_in: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!((lines[0], &let_in[..]), ("*", &["Cargo.toml", "Cargo.lock", "LICENSE", "crates"][..]));
    assert!(let_in.iter().all(|name| repository(name).exists()));
    let workspace: Value = toml_of("Cargo.toml");
    assert_eq!(workspace["workspace"]["members"], serde_json::json!(["crates/*"]), "all of it is let in");
}

fn toml_of(path: &str) -> Value {
    toml::from_str(&text(path)).unwrap()
}
