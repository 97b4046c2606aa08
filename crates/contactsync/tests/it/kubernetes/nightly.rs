//! The nightly job: nights one after the other.

use std::time::Duration;

use sandbox::SandboxOptions;
use serde_json::Value;

use super::{
    cluster::{Cluster, Shard, Trouble, export},
    manifests::only,
    pods::Pod,
};
use crate::service::Service;

/// At the rate of all some seconds, so that a compressed report, which grows when it is synced, is seen to grow.
const NIGHTLY: u64 = 2_500;

#[test]
fn nights_of_one_pod_send_what_changed_whatever_befalls_them() {
    let service = Service::start(SandboxOptions { latency: Duration::from_millis(5), ..SandboxOptions::default() });
    let cluster = Cluster::start(&service);
    cluster.place.file("claims/exports/contacts.csv", export(NIGHTLY, NIGHTLY));
    let object = only("nightly.yaml", "CronJob");
    // As a night's job is called: the minutes of its time.
    let pod = |job| Pod { object: &object, job, index: None };
    let first = cluster.play(pod("nightly-29405880"), &[Trouble::Killed, Trouble::Evicted, Trouble::TimeOver], &[]);
    let statuses = vec![Some(137), Some(143), Some(7), Some(0)];
    assert_eq!(first, Shard { succeeded: true, statuses, counted: 2 });
    let sent = |euid| service.record().requests(euid).len();
    let before: Vec<usize> = (1..=NIGHTLY).map(sent).collect();
    assert!(before.iter().all(|requests| *requests > 0));
    let again = before.iter().filter(|requests| **requests > 1).count();
    assert!(again < NIGHTLY as usize / 2, "a kill costs a second, not the night: {again}");

    let quiet = |job| {
        let played = cluster.play(pod(job), &[], &[]);
        assert_eq!(played, Shard { succeeded: true, statuses: vec![Some(0)], counted: 0 });
        let summary: Value = serde_json::from_str(&cluster.place.read(&format!("claims/nightly/{job}.json"))).unwrap();
        assert_eq!(summary["rows_read"], NIGHTLY, "{summary}");
        summary["synced"].as_u64().unwrap()
    };
    // What the kill made doubtful is sent once more.
    assert!(quiet("nightly-29407320") < NIGHTLY / 2);
    let next = export(NIGHTLY, NIGHTLY).replace("\n7,7@", "\n7,changed@");
    cluster.place.file("claims/exports/contacts.csv", next);
    assert_eq!(quiet("nightly-29408760"), 1);
    assert_eq!(service.record().contacts()[&7]["email"], "changed@example.com");

    // Half an export: nobody but a person mends that.
    cluster.place.file("claims/exports/contacts.csv", export(NIGHTLY / 2, NIGHTLY));
    let cut_off = cluster.play(pod("nightly-29410200"), &[], &[]);
    assert_eq!(cut_off, Shard { succeeded: false, statuses: vec![Some(2)], counted: 0 });
}
