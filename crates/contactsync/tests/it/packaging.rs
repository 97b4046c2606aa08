//! What is packed: one version everywhere, and every file that a package or a workflow names.

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn toml_of(path: &str) -> Value {
    toml::from_str(&text(path)).unwrap()
}

/// The files in a folder and those beneath it, from the root of the repository.
fn files_in(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(repository(folder)).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| {
            let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() { files_in(&path) } else { BTreeSet::from([path]) }
        })
        .collect()
}

#[test]
fn the_newest_entry_of_the_changelog_is_this_version() {
    let changelog = text("CHANGELOG.md");
    let entry = changelog.lines().find_map(|line| line.strip_prefix("## [")).unwrap();
    let (version, date) = entry.split_once("] - ").unwrap_or_else(|| panic!("no date: {entry}"));
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    // Packages bear it.
    date.parse::<jiff::civil::Date>().unwrap();
    let workspace = toml_of("Cargo.toml");
    assert_eq!(workspace["workspace"]["package"]["version"], version);
    let install = text("docs/install.md");
    for name in [format!("contactsync_{version}-1_amd64.deb"), format!("contactsync-{version}-py3-none-")] {
        assert!(install.contains(&name), "docs/install.md names another version than {name}");
    }
    let scaling = text("docs/scaling.md");
    let images = scaling.matches("/contactsync:").count();
    assert_eq!(
        (images > 0, scaling.matches(&format!("/contactsync:{version}")).count()),
        (true, images),
        "docs/scaling.md"
    );
}

#[test]
fn the_wheel_has_the_version_and_the_words_of_the_program() {
    let (wheel, program) = (toml_of("pyproject.toml"), toml_of("crates/contactsync/Cargo.toml"));
    assert_eq!(wheel["project"]["dynamic"], serde_json::json!(["version"]));
    assert_eq!(wheel["project"]["description"], program["package"]["description"]);
    assert_eq!(wheel["project"]["license"], toml_of("Cargo.toml")["workspace"]["package"]["license"]);
    for named in
        [&wheel["project"]["readme"], &wheel["project"]["license-files"][0], &wheel["tool"]["maturin"]["manifest-path"]]
    {
        assert!(repository(named.as_str().unwrap()).is_file(), "{named}");
    }
}

#[test]
fn the_debian_package_holds_all_that_belongs_to_systemd() {
    let metadata = &toml_of("crates/contactsync/Cargo.toml")["package"]["metadata"]["deb"];
    let written = text("packaging/deb") + &text("packaging/beside-program");
    let mut packed = BTreeSet::new();
    for asset in metadata["assets"].as_array().unwrap() {
        let source = asset[0].as_str().unwrap();
        let Some(path) = source.strip_prefix("../../") else {
            assert_eq!(source, "target/release/contactsync");
            continue;
        };
        if let Some(name) = path.strip_prefix("target/packaging/") {
            let name = name.strip_prefix("completion.").map_or(name.trim_end_matches(".gz"), |_| "completion.$shell");
            assert!(written.contains(name), "{name} is written by no script");
        } else if let Some((folder, end)) = path.split_once('*') {
            let folder = folder.trim_end_matches('/');
            let found = files_in(folder).into_iter().filter(|file| {
                // A star stands for a name, not for a folder.
                file.ends_with(end) && !file[folder.len() + 1..].contains('/')
            });
            let before = packed.len();
            packed.extend(found);
            assert!(packed.len() > before, "{source} is nothing");
        } else {
            assert!(repository(path).is_file(), "{source}");
        }
    }
    assert_eq!(packed, files_in("deploy/systemd"));
    for script in ["postinst", "prerm", "postrm"] {
        assert!(repository(&format!("packaging/debian/{script}")).is_file(), "{script}");
    }
}

#[test]
fn a_tool_has_one_version_wherever_it_is_named() {
    let dist = toml_of("dist-workspace.toml");
    let version = dist["dist"]["cargo-dist-version"].as_str().unwrap();
    for file in ["packaging/release-workflow", ".ci/checks/70-workflows"] {
        assert!(text(file).contains(&format!("astral-dev-toolchain-cargo-dist {version}")), "{file}");
    }
    assert!(text(".github/workflows/release.yml").contains(&format!("/v{version}/")));
}

#[test]
fn workflows_build_with_the_rust_of_the_workspace_and_actions_of_a_commit() {
    let rust = format!("RUSTUP_TOOLCHAIN: \"{}\"", env!("CARGO_PKG_RUST_VERSION"));
    let workflows = files_in(".github/workflows");
    assert_eq!(workflows.len(), 4);
    for file in workflows {
        let workflow = text(&file);
        assert!(workflow.contains(&rust), "{file}");
        for used in workflow.lines().filter_map(|line| line.split_once("uses: ")) {
            let action = used.1.split(" #").next().unwrap().trim();
            let commit = action.rsplit('@').next().unwrap();
            let by_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(by_commit || action.starts_with("./"), "{file}: {action}");
        }
        for named in workflow.lines().filter_map(|line| line.split_once("run: ")).map(|(_, command)| command) {
            let script = named.split(' ').find(|word| word.starts_with("packaging/") || word.starts_with(".ci/"));
            assert!(script.is_none_or(|path| repository(path).is_file()), "{file}: {named}");
        }
    }
}
