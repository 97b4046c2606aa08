//! The workflow for GitHub Actions: what it may do, what it keeps, and its scripts run by the shell it names.
//! `.ci/checks/70-deploy` lints it.

use std::{os::unix::fs::symlink, path::Path, process::Command};

use sandbox::SandboxOptions;
use serde_json::{Value, json};

use super::{all_well, in_place, search_path, skipped, text};
use crate::{
    service::Service,
    support::{Ran, Workplace, finish},
};

fn workflow() -> Value {
    serde_saphyr::from_str(&text("github-actions/contactsync.yml")).unwrap()
}

fn steps() -> Vec<Value> {
    workflow().pointer("/jobs/push/steps").unwrap().as_array().unwrap().clone()
}

fn step(name: &str) -> Value {
    steps().into_iter().find(|step| step["name"] == name).unwrap()
}

#[test]
fn it_may_do_nothing_and_runs_alone() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}));
    assert_eq!(workflow["concurrency"], json!({"group": "contactsync", "cancel-in-progress": false}));
    let job = &workflow["jobs"]["push"];
    assert!(job.get("permissions").is_none() && job["timeout-minutes"].as_u64().unwrap() <= 360);
    assert_eq!(job["environment"], "engagelab", "secrets of an environment, not of every branch");
    for step in steps() {
        if let Some(action) = step["uses"].as_str() {
            let (_, commit) = action.split_once('@').unwrap();
            assert!(commit.len() == 40 && commit.chars().all(|it| it.is_ascii_hexdigit()), "{action}");
        }
        // Secrets are variables of the one step that needs them, and never part of a script.
        let script = step["run"].as_str().unwrap_or_default();
        assert!(!script.contains("${{"), "{script}");
    }
    let credentials = step("Push")["env"].clone();
    for name in ["ENGAGELAB_MA_API_KEY", "ENGAGELAB_MA_API_SECRET"] {
        assert_eq!(credentials[name], format!("${{{{ secrets.{name} }}}}"));
    }
}

/// Nobody else's program may stand where the secrets are.
#[test]
fn nothing_is_installed_but_what_has_the_sum() {
    let place = Workplace::new();
    place.file("release/contactsync", "#!/bin/sh\n");
    let shell = |script: &str, sum: &str| {
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(place.path(""));
        shell.env("ARCHIVE", format!("file://{}", place.path("release.tar.xz").display())).env("SHA256", sum);
        shell.env("RUNNER_TEMP", place.path("")).env("GITHUB_PATH", place.path("path"));
        shell.output().unwrap()
    };
    let made =
        shell("command -v curl >&2; tar --create --xz --file=release.tar.xz release; sha256sum release.tar.xz", "");
    if !made.status.success() {
        return skipped("curl or xz isn't installed");
    }
    let sum = String::from_utf8(made.stdout).unwrap()[..64].to_owned();
    let install = step("Install")["run"].as_str().unwrap().to_owned();
    for wrong in ["", "0", &"0".repeat(64)] {
        assert!(!shell(&install, wrong).status.success(), "{wrong}");
        assert!(!place.exists("path") && !place.exists("contactsync"), "{wrong}");
    }
    all_well(&shell(&install, &sum));
    assert_eq!(Path::new(place.read("path").trim_end()), place.path("contactsync"));
    assert!(place.exists("contactsync/contactsync"));
}

/// Runs a step as the runner does, and with no patience.
fn run(place: &Workplace, service: &Service, name: &str) -> Ran {
    in_place(place, "");
    if !place.exists("bin/sleep") {
        symlink("/bin/true", place.path("bin/sleep")).unwrap();
    }
    let mut shell = Command::new("bash");
    shell.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", step(name)["run"].as_str().unwrap()]);
    shell.env_clear().env("PATH", search_path(place)).current_dir(place.path(""));
    shell.env("GITHUB_STEP_SUMMARY", place.path("summary.md")).env("ENGAGELAB_MA_BASE_URL", service.url());
    if step(name).pointer("/env/ENGAGELAB_MA_API_KEY").is_some() {
        shell.env("ENGAGELAB_MA_API_KEY", "sandbox-key").env("ENGAGELAB_MA_API_SECRET", "sandbox-secret");
    }
    shell.env("CONTACTSYNC_OUTAGE_WAIT", "1ms").env("CONTACTSYNC_RETRY_BASE", "1ms");
    shell.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    finish(shell.spawn().unwrap())
}

const EXPORT: &str = "euid,email,mobile_phone\n1,one@example.com,+6555501001\n2,two@example.com,+6555501002\n";

#[test]
fn what_changed_is_sent_and_what_is_kept_is_masked() {
    let service = Service::start(SandboxOptions::default());
    let first = Workplace::new();
    first.file("contacts.csv", EXPORT);
    run(&first, &service, "Push").ends_with(0);
    // Another runner, which knows nothing of the night before.
    let place = Workplace::new();
    let faulty = format!("{}x,three@example.com,+6555501003\n", EXPORT.replace("two@", "changed@"));
    place.file("contacts.csv", faulty);
    run(&place, &service, "Push").ends_with(1).says("unchanged");
    assert_eq!(service.record().contacts()[&2]["email"], "changed@example.com");
    assert_eq!(service.record().requests(1).len(), 1);
    run(&place, &service, "Say what came of it").ends_with(0);
    let kept = step("Keep the masked report")["with"]["path"].as_str().unwrap().to_owned();
    assert_eq!(kept.lines().collect::<Vec<_>>(), ["night.html", "night.json", "summary.json"]);
    for file in kept.lines().chain(["summary.md"]) {
        let text = place.read(file);
        assert!(!text.is_empty() && !text.contains("three@example") && !text.contains("55501003"), "{file}: {text}");
    }
    assert!(place.read("night.ndjson").contains("three@example.com"), "which is why it is not kept");
    assert!(place.read("summary.md").contains("euid_invalid"));
}

#[test]
fn an_outage_is_tried_again() {
    let service = Service::with_faults(&["status=503:1"]);
    let place = Workplace::new();
    place.file("contacts.csv", EXPORT);
    let ran = run(&place, &service, "Push").ends_with(6);
    assert_eq!(ran.stderr.matches("stayed out of reach").count(), 3, "{ran}");
}
