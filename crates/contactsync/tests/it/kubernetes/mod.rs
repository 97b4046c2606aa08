//! The manifests of `deploy/kubernetes` and the image: what they promise, and their jobs played with the program.

mod cluster;
mod images;
mod manifests;
mod night;
mod nightly;
mod pods;
mod policy;
mod references;

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use self::{
    manifests::{Object, arguments, files, list, objects, only, option, text, word},
    policy::{Action, Failed, action, tries},
};
use crate::support::Workplace;

/// The container that sends, in all of them.
const CONTACTSYNC: &str = "contactsync";

/// The jobs, each with the container that sends.
fn jobs() -> Vec<Object> {
    let jobs: Vec<Object> = objects().into_iter().filter(|object| object.job().is_some()).collect();
    assert_eq!(jobs.len(), 3, "the job of a night, its morning, and the nightly one");
    jobs
}

/// Every status that the program can end with, as its manual lists them.
pub(crate) fn statuses() -> BTreeSet<i32> {
    let manual = Workplace::new().run(&["man"]).ends_with(0).stdout;
    let section = manual.split(".SH \"EXIT STATUS\"\n").nth(1).unwrap().split(".SH ").next().unwrap();
    let entries = section.split(".TP\n").skip(1);
    entries
        .map(|entry| entry.lines().next().unwrap().replace("\\fB", "").replace("\\fR", "").parse().unwrap())
        .collect()
}

#[test]
fn every_status_is_decided_on() {
    let expected = |status| match status {
        // Success; with `--fail-on none` a finished run ends so whatever became of its rows.
        0 | 1 => None,
        2..=5 | 70 => Some(Action::GiveUp),
        6 | 7 | 129 | 130 | 143 => Some(Action::Count),
        other => panic!("what is to become of a pod that ends with {other}?"),
    };
    for object in jobs() {
        let job = object.job().unwrap();
        assert_eq!(option(object.container(CONTACTSYNC), "--fail-on"), Some("none"), "{}", object.file);
        for status in statuses() {
            let Some(expected) = expected(status) else { continue };
            let failed = Failed { status: Some(status), disrupted: false };
            assert_eq!(action(job, CONTACTSYNC, failed), expected, "{}: {status}", object.file);
        }
        // Killed: for want of memory, by a fault, at the end of the grace.
        for killed in [134, 137, 139] {
            let failed = Failed { status: Some(killed), disrupted: false };
            assert_eq!(action(job, CONTACTSYNC, failed), Action::Count, "{}: {killed}", object.file);
        }
        for status in [None, Some(137), Some(143)] {
            let failed = Failed { status, disrupted: true };
            assert_eq!(action(job, CONTACTSYNC, failed), Action::Ignore, "{}: {status:?}", object.file);
        }
        let failed = Failed { status: Some(3), disrupted: true };
        assert_eq!(action(job, CONTACTSYNC, failed), Action::GiveUp, "{}: a disruption mends nothing", object.file);
        assert!(tries(job) >= 5, "{}", object.file);
        // Without it a rule for exit codes is refused, and with it any other value of the other.
        assert_eq!(job.pointer("/template/spec/restartPolicy"), Some(&json!("Never")), "{}", object.file);
        assert_eq!(job["podReplacementPolicy"], "Failed", "{}", object.file);
        let named =
            list(job, "/podFailurePolicy/rules").iter().filter_map(|rule| rule.pointer("/onExitCodes/containerName"));
        let named: Vec<&Value> = named.collect();
        assert!(!named.is_empty() && named.iter().all(|name| *name == CONTACTSYNC), "{}: {named:?}", object.file);
    }
}

#[test]
fn every_try_goes_on_where_the_one_before_ended_and_waits_for_its_lock() {
    for object in jobs() {
        let container = object.container(CONTACTSYNC);
        let file = &object.file;
        assert!(arguments(container).contains(&"--resume"), "{file}");
        assert_eq!(option(container, "--lock-wait"), Some("2m"), "{file}");
        assert!(option(container, "--report").is_some() && option(container, "--summary").is_some(), "{file}");
        let grace = option(container, "--grace").and_then(|grace| grace.strip_suffix('s')).unwrap();
        let grace = Duration::from_secs(grace.parse().unwrap());
        let given =
            object.template().unwrap().pointer("/spec/terminationGracePeriodSeconds").unwrap().as_u64().unwrap();
        // For the last sync and the summary.
        assert!(Duration::from_secs(given) >= grace + Duration::from_secs(20), "{file}: {given} s");
    }
}

#[test]
fn a_pod_sends_its_own_shard_into_its_own_folder() {
    let object = only("job.yaml", "Job");
    let job = object.job().unwrap();
    let container = object.container(CONTACTSYNC);
    assert_eq!(job["completionMode"], "Indexed");
    let shards = job["completions"].as_u64().unwrap();
    assert_eq!(option(container, "--shard"), Some(format!("$(JOB_COMPLETION_INDEX)/{shards}").as_str()));
    assert!((2..=shards).contains(&job["parallelism"].as_u64().unwrap()));
    assert!(job.get("maxFailedIndexes").is_none(), "a shard that failed stops no other");
    let reports: Vec<&Value> =
        list(container, "/volumeMounts").iter().filter(|mount| mount["name"] == "reports").collect();
    assert_eq!(reports.len(), 1);
    let folder = word(reports[0], "/subPathExpr");
    // Only the last folder of a path gets the volume's permissions.
    assert!(folder.contains("$(JOB_COMPLETION_INDEX)") && !folder.contains('/'), "{folder}");
}

#[test]
fn the_morning_takes_the_reports_of_all_shards() {
    let night = only("job.yaml", "Job");
    let morning = only("morning.yaml", "Job");
    let shards = night.job().unwrap()["completions"].as_u64().unwrap();
    let reports: Vec<String> =
        (0..shards).map(|shard| format!("/reports/{}-{shard}/report.ndjson", night.name())).collect();
    let replayed = arguments(morning.container(CONTACTSYNC));
    assert_eq!((replayed[0], &replayed[1..=reports.len()]), ("replay", &words(&reports)[..]));
    assert!(!replayed[reports.len() + 1].starts_with('/'));
    let told = arguments(morning.container("report"));
    let own = format!("/reports/{}/report.ndjson", morning.name());
    assert_eq!(
        told,
        [&["report"], &words(&reports)[..], &[own.as_str()]].concat(),
        "without --show-values: it is logged"
    );
    assert!(morning.name().starts_with(night.name()), "one name for a night");
}

fn words(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

#[test]
fn nights_dont_overlap_and_keep_to_their_window() {
    let object = only("nightly.yaml", "CronJob");
    let spec = &object.value["spec"];
    assert_eq!(spec["concurrencyPolicy"], "Forbid");
    assert!(spec["timeZone"].is_string() && spec["startingDeadlineSeconds"].as_u64().unwrap() >= 600);
    assert!(object.job().unwrap()["activeDeadlineSeconds"].as_u64().unwrap() < 86_400);
    let container = object.container(CONTACTSYNC);
    assert!(option(container, "--state").is_some() && option(container, "--min-rows").is_some());
    let report = option(container, "--report").unwrap();
    assert!(report.contains("$(JOB_NAME)"), "another report each night: {report}");
}

#[test]
fn pods_are_restricted() {
    let mut containers = 0;
    for object in objects() {
        let Some(template) = object.template() else { continue };
        let file = &object.file;
        let pod = &template["spec"];
        assert_eq!(
            (&pod["automountServiceAccountToken"], &pod["enableServiceLinks"]),
            (&json!(false), &json!(false)),
            "{file}"
        );
        let context = &pod["securityContext"];
        assert_eq!(
            (&context["runAsNonRoot"], &context["seccompProfile"]["type"]),
            (&json!(true), &json!("RuntimeDefault")),
            "{file}"
        );
        for id in ["runAsUser", "runAsGroup", "fsGroup"] {
            assert!(context[id].as_u64().unwrap() > 0, "{file}: {id}");
        }
        for container in object.containers() {
            let context = &container["securityContext"];
            assert_eq!(
                context,
                &json!({
                    "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                }),
                "{file}"
            );
            assert!(container.pointer("/resources/limits/memory").is_some(), "{file}");
            assert!(container.pointer("/resources/limits/cpu").is_none(), "{file}: held back, it starts requests late");
            containers += 1;
        }
        for key in ["hostNetwork", "hostPID", "hostIPC", "serviceAccountName"] {
            assert!(pod.get(key).is_none(), "{file}: {key}");
        }
    }
    assert_eq!(containers, 5);
    let namespace = only("namespace.yaml", "Namespace");
    assert_eq!(namespace.value["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "restricted");
}

#[test]
fn credentials_are_files_of_a_secret() {
    let mut secrets = 0;
    for object in objects() {
        let file = &object.file;
        assert_ne!(object.kind(), "Secret", "{file}: it would be applied as it stands");
        for container in object.containers() {
            let mounts = list(container, "/volumeMounts");
            for variable in list(container, "/env") {
                let name = word(variable, "/name");
                let is_secret = ["KEY", "SECRET", "PASSWORD"].iter().any(|it| name.contains(it));
                assert!(!is_secret || name.ends_with("_FILE"), "{file}: {name}");
                assert!(variable.pointer("/valueFrom/secretKeyRef").is_none(), "{file}: {name}");
                if !is_secret {
                    continue;
                }
                let path = word(variable, "/value");
                let mount =
                    mounts.iter().find(|mount| path.starts_with(&format!("{}/", word(mount, "/mountPath")))).unwrap();
                assert!(path.starts_with("/run/secrets/") && mount["readOnly"] == true, "{file}: {path}");
                secrets += 1;
            }
            for word in arguments(container) {
                let is_secret =
                    ["api_key", "api_secret", "requirepass $(", "--pass"].iter().any(|it| word.contains(it));
                assert!(!is_secret, "{file}: {word}");
            }
        }
        for (name, value) in object.value.get("data").and_then(Value::as_object).into_iter().flatten() {
            let is_secret = ["KEY", "SECRET", "PASSWORD"].iter().any(|it| name.contains(it));
            // An address may name a user, and never a password.
            let in_address = value.as_str().unwrap().split_once("://").is_some_and(|(_, rest)| {
                rest.split('/').next().unwrap().rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            });
            assert!(!is_secret && !in_address, "{file}: {name}");
        }
    }
    assert_eq!(secrets, 3 * 3);
}

#[test]
fn one_rate_and_one_quota_for_all() {
    let quota = only("quota.yaml", "ConfigMap");
    let named: Vec<&String> = quota.value["data"].as_object().unwrap().keys().collect();
    assert_eq!(named, ["CONTACTSYNC_RATE", "CONTACTSYNC_SHARE_RATE"]);
    for object in jobs() {
        let container = object.container(CONTACTSYNC);
        let from: Vec<&str> = list(container, "/envFrom").iter().map(|it| word(it, "/configMapRef/name")).collect();
        assert_eq!(from, [quota.name()], "{}", object.file);
        for option in ["--rate", "--share-rate", "--burst"] {
            let own = arguments(container).into_iter().find(|word| word.starts_with(option));
            assert_eq!(own, None, "{}: it would beat the quota of all", object.file);
        }
    }
}

#[test]
fn what_stays_is_in_the_kustomization() {
    let [kustomization] = &manifests::objects_of("kustomization.yaml")[..] else { panic!("not one object") };
    let mut stays: Vec<&str> = list(&kustomization.value, "/resources").iter().map(|it| it.as_str().unwrap()).collect();
    stays.sort_unstable();
    let of_a_night = ["job.yaml", "kustomization.yaml", "morning.yaml"];
    let expected: Vec<String> = files().into_iter().filter(|file| !of_a_night.contains(&file.as_str())).collect();
    assert_eq!(stays, words(&expected));
    assert!(text("docs/scaling.md").contains("kubectl apply -k deploy/kubernetes"));
}
