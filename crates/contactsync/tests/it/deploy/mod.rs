//! Everything under `deploy`: each file is read and checked by a module here, or by `kubernetes`, and what is run there is run.

mod actions;
mod airflow;
mod cron;
mod dashboard;
mod metrics;
mod prometheus;
mod systemd;
mod systemd_nights;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{Workplace, skipped};

/// Which files there are, and which module looks at them; `kubernetes` takes all manifests of its folder.
const CLAIMED: [(&str, &[&str]); 7] = [
    ("actions", &["github-actions/contactsync.yml"]),
    ("airflow", &["airflow/contactsync_nightly.py"]),
    ("cron", &["cron/contactsync"]),
    ("dashboard", &["grafana/contactsync.json"]),
    (
        "prometheus",
        &[
            "prometheus/contactsync.rules.yml",
            "prometheus/contactsync.test.yml",
            "prometheus/kubernetes.rules.yml",
            "prometheus/kubernetes.test.yml",
        ],
    ),
    ("systemd", &["systemd/contactsync@.service", "systemd/contactsync@.timer", "systemd/contactsync-failed@.service"]),
    (
        "systemd_nights",
        &["systemd/sysusers.d/contactsync.conf", "systemd/tmpfiles.d/contactsync.conf", "systemd/nightly.toml"],
    ),
];

#[test]
fn every_file_is_looked_at() {
    let mut there = BTreeSet::new();
    let mut folders = vec![repository("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                there.insert(path.strip_prefix(repository("deploy")).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    let of_kubernetes =
        |path: &str| path.starts_with("kubernetes/") && Path::new(path).extension() == Some("yaml".as_ref());
    there.retain(|path| !of_kubernetes(path));
    let claimed: BTreeSet<String> =
        CLAIMED.iter().flat_map(|(_, files)| files.iter().map(|file| (*file).to_owned())).collect();
    assert_eq!(there, claimed, "a file that no test looks at, or one that is gone");
}

/// A file of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The text of a file under `deploy`.
fn text(path: &str) -> String {
    std::fs::read_to_string(repository("deploy").join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A text whose paths of the machine lead into the place, which has the folders that an installation has, and the program.
fn in_place(place: &Workplace, text: &str) -> String {
    for folder in [
        "srv/contactsync",
        "etc/contactsync",
        "var/lib/contactsync/nightly/reports",
        "var/lib/contactsync-metrics",
        "bin",
    ] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    let program = place.path("bin/contactsync");
    if !program.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_contactsync"), program).unwrap();
    }
    let mut text = text.to_owned();
    for folder in ["/srv/contactsync", "/etc/contactsync", "/var/lib/contactsync"] {
        text = text.replace(folder, place.path(&folder[1..]).to_str().unwrap());
    }
    text.replace("/usr/bin/contactsync", place.path("bin/contactsync").to_str().unwrap())
}

/// The path that the program and what stands around it are found by, in front of it a folder of the place.
fn search_path(place: &Workplace) -> String {
    format!("{}:/usr/local/bin:/usr/bin:/bin", place.path("bin").display())
}

/// The configuration, the credentials and an export of a job `nightly`.
fn nightly(place: &Workplace, url: &str, further: &str, export: &str) {
    in_place(place, "");
    place.file("etc/contactsync/nightly.toml", format!("base_url = \"{url}\"\nrate = \"200/s\"\n{further}"));
    place.file("etc/contactsync/nightly.key", "sandbox-key\n");
    place.file("etc/contactsync/nightly.secret", "sandbox-secret\n");
    place.file("srv/contactsync/nightly.csv", export);
}

/// What a tool says, or nothing where it isn't installed, which is told.
fn if_installed(tool: &mut Command) -> Option<Output> {
    match tool.output() {
        Ok(output) => Some(output),
        Err(error) => {
            skipped(&format!("{} can't be run: {error}", tool.get_program().display()));
            None
        }
    }
}

/// Fails the test, showing what the tool said, where it ended badly.
#[track_caller]
fn all_well(output: &Output) -> String {
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}\n{said}", output.status);
    said
}
