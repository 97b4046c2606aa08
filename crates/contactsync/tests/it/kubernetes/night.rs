//! The job of a night, and its morning.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sandbox::SandboxOptions;
use serde_json::Value;

use super::{
    CONTACTSYNC,
    cluster::{Cluster, Shard, Trouble, export, report_of},
    manifests::only,
    pods::Pod,
};
use crate::{
    service::Service,
    support::{Ran, Running, Workplace},
};

const USERS: u64 = 400;
const ROWS: u64 = 1_600;

/// A pod alone does at most fifty rows a second, so that no shard is through before its troubles; all together more than the
/// rate, so that they wait for the quota.
const SLOW: [(&str, &str); 3] = [RATE, ("CONTACTSYNC_IN_FLIGHT", "1"), ("CONTACTSYNC_RETRIES", "0")];
/// Of the morning, too: those who were killed share it for some seconds yet.
const RATE: (&str, &str) = ("CONTACTSYNC_RATE", "300/s");

/// By shard, one try after the other; those behind meet none.
const TROUBLES: [&[Trouble]; 5] = [
    &[Trouble::Killed, Trouble::Evicted],
    &[Trouble::Stopped, Trouble::Killed],
    &[Trouble::TimeOver],
    &[Trouble::OutOfReach, Trouble::OutOfReach],
    &[Trouble::CutOff],
];

/// What arrived of a user: the row that each request was of, and whether it was accepted.
fn arrived(service: &Service, euid: u64) -> Vec<(u64, bool)> {
    let requests = service.record().requests(euid);
    let row = |contacts: &serde_json::Map<String, Value>| {
        contacts["email"].as_str().unwrap().split('@').next().unwrap().parse().unwrap()
    };
    requests.iter().map(|request| (row(&request.contacts), request.answered == 0)).collect()
}

#[test]
fn a_night_of_eight_pods_ends_whole_whatever_befalls_them() {
    let service = Service::start(SandboxOptions { latency: Duration::from_millis(20), ..SandboxOptions::default() });
    // Some rows fail for good, and are sent again in the morning.
    service.set_faults(&["code=-1:0.01"]);
    let cluster = Cluster::start(&service);
    cluster.place.file("claims/exports/contacts-2026-12-01.csv", export(ROWS, USERS));
    let object = only("job.yaml", "Job");
    let shards = object.job().unwrap()["completions"].as_u64().unwrap();
    let pod = |shard| Pod { object: &object, job: object.name(), index: Some(shard) };
    let played: Vec<Shard> = std::thread::scope(|scope| {
        let play = |shard: u64| {
            let troubles = TROUBLES.get(shard as usize).copied().unwrap_or_default();
            cluster.play(pod(shard), troubles, &SLOW)
        };
        let running: Vec<_> = (0..shards).map(|shard| scope.spawn(move || play(shard))).collect();
        running.into_iter().map(|shard| shard.join().unwrap()).collect()
    });
    let ended = |statuses: &[Option<i32>], counted| Shard { succeeded: true, statuses: statuses.to_vec(), counted };
    let expected = [
        ended(&[Some(137), Some(143), Some(0)], 1),
        ended(&[Some(143), Some(137), Some(0)], 2),
        ended(&[Some(7), Some(0)], 1),
        ended(&[Some(6), Some(6), Some(0)], 2),
        ended(&[None, Some(0)], 0),
    ];
    assert_eq!(played[..expected.len()], expected);
    assert!(played[expected.len()..].iter().all(|shard| *shard == ended(&[Some(0)], 0)), "{played:?}");

    let killed = [0, 1, 4];
    let reports: Vec<String> = (0..shards).map(|shard| report_of(pod(shard))).collect();
    let failed = every_row_once(&cluster.place, &reports);
    assert!(!failed.is_empty(), "no row failed");
    for (shard, report) in reports.iter().enumerate() {
        in_order(&service, &users_of(&cluster.place, report), killed.contains(&shard));
    }
    assert!(!service.record().any_overlap());
    one_report(&cluster.place, &reports, failed.len() as u64);

    service.set_faults::<&str>(&[]);
    morning(&service, &cluster, &reports, &failed);
    let left_over = std::fs::read_dir(cluster.place.path("root")).unwrap().count();
    assert_eq!(left_over, 0, "nothing is written but into volumes");
}

/// Every row has one record in all reports together. Gives those that failed.
fn every_row_once(place: &Workplace, reports: &[String]) -> BTreeMap<u64, u64> {
    let (mut rows, mut failed) = (Vec::new(), BTreeMap::new());
    for report in reports {
        let records = place.json_lines(report);
        assert!(records.len() > 50, "{report} is no eighth");
        for record in records {
            let row = record["row"].as_u64().unwrap();
            rows.push(row);
            if record["outcome"] == "failed" {
                assert_eq!(record["reason"], "server_error", "{record}");
                failed.insert(row, record["euid"].as_str().unwrap().parse().unwrap());
            }
        }
    }
    rows.sort_unstable();
    assert!(rows.iter().copied().eq(1..=ROWS), "a row is missing or comes twice: {} records", rows.len());
    failed
}

fn users_of(place: &Workplace, report: &str) -> BTreeSet<u64> {
    place.json_lines(report).iter().map(|record| record["euid"].as_str().unwrap().parse().unwrap()).collect()
}

/// Rows of a user arrived in order, each once; where a pod was killed, what it hadn't noted yet again.
fn in_order(service: &Service, users: &BTreeSet<u64>, was_killed: bool) {
    assert!(!users.is_empty());
    for euid in users {
        let rows: Vec<u64> = arrived(service, *euid).into_iter().map(|(row, _)| row).collect();
        let expected: Vec<u64> = (0..ROWS / USERS).map(|round| round * USERS + euid).collect();
        let mut firsts = Vec::new();
        for row in &rows {
            if !firsts.contains(row) {
                firsts.push(*row);
            }
        }
        assert_eq!(firsts, expected, "user {euid}: {rows:?}");
        assert!(was_killed || rows == expected, "user {euid} without a kill: {rows:?}");
        assert_eq!(rows.last(), expected.last(), "user {euid}: {rows:?}");
    }
}

fn one_report(place: &Workplace, reports: &[String], failed: u64) {
    let words = [&["report"], &reports.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--json"]].concat();
    let told = place.run(&words).ends_with(0).json();
    assert_eq!(
        (&told["rows"], &told["failed"], &told["synced"]),
        (&ROWS.into(), &failed.into(), &(ROWS - failed).into())
    );
}

/// What failed is sent again, but for rows that a later one of their user has overtaken.
fn morning(service: &Service, cluster: &Cluster, reports: &[String], failed: &BTreeMap<u64, u64>) {
    let object = only("morning.yaml", "Job");
    let pod = Pod { object: &object, job: object.name(), index: None };
    finish_well(cluster.start_pod(pod, CONTACTSYNC, &[RATE]));
    let folder = format!("claims/reports/{}", object.name());
    let replayed = cluster.place.json_lines(&format!("{folder}/report.ndjson"));
    let summary: Value = serde_json::from_str(&cluster.place.read(&format!("{folder}/summary.json"))).unwrap();
    let last_failed =
        |row: u64, euid: u64| (row..=ROWS).step_by(USERS as usize).all(|later| failed.get(&later) == Some(&euid));
    let due = failed.iter().filter(|(row, euid)| last_failed(**row, **euid)).count();
    assert!(replayed.len() >= due && due > 0, "{due} of {replayed:?}");
    assert!(replayed.iter().all(|record| record["outcome"] == "synced"), "{replayed:?}");
    assert_eq!(replayed.len() as u64 + summary["superseded"].as_u64().unwrap(), failed.len() as u64, "{summary}");
    for euid in 1..=USERS {
        let accepted = arrived(service, euid).into_iter().rfind(|(_, accepted)| *accepted);
        assert_eq!(accepted, Some((ROWS - USERS + euid, true)), "user {euid} has another value than its last row's");
    }
    let told = finish_well(cluster.start_pod(pod, "report", &[]));
    assert!(told.stdout.starts_with(&format!("{ROWS} rows\n")), "{told}");
    assert_eq!(reports.len() + 1, std::fs::read_dir(cluster.place.path("claims/reports")).unwrap().count());
}

fn finish_well(running: Running) -> Ran {
    running.finish().ends_with(0).never_says("hidden-word")
}

#[test]
fn what_a_person_has_to_mend_fails_a_shard_at_once_and_the_job_made_again_goes_on() {
    let service = Service::start(SandboxOptions::default());
    let cluster = Cluster::start(&service);
    cluster.place.file("claims/exports/contacts-2026-12-01.csv", export(ROWS, USERS));
    let object = only("job.yaml", "Job");
    let play = |shard| {
        let pod = Pod { object: &object, job: object.name(), index: Some(shard) };
        let played = cluster.play(pod, &[], &[]);
        assert_eq!((played.statuses.len(), played.counted), (1, 0), "{played:?}");
        (played.statuses[0], cluster.place.json_lines(&report_of(pod)).len())
    };
    let (status, rows) = play(0);
    assert_eq!(status, Some(0));
    cluster.place.file("secrets/engagelab/api-secret", "of-last-year\n");
    assert_eq!(play(1).0, Some(3));
    cluster.place.file("secrets/engagelab/api-secret", "sandbox-secret\n");
    let sent = service.record().stats().requests;
    assert_eq!(play(0), (Some(0), rows));
    assert_eq!(service.record().stats().requests, sent, "a shard that is finished stays so");
    let (status, of_other) = play(1);
    assert!(status == Some(0) && of_other > rows / 2, "{of_other} rows");
    // Tonight's export under last night's name.
    cluster.place.file("claims/exports/contacts-2026-12-01.csv", export(ROWS - 1, USERS));
    assert_eq!(play(0), (Some(2), rows));
}
