//! Disks that fill up and folders that can't be written to.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Workplace, finish},
};

/// Runs a push under a limit on the size of files, in blocks of 512 bytes.
fn push_limited(place: &Workplace, blocks: u32, report: &str) -> crate::support::Ran {
    let program = env!("CARGO_BIN_EXE_contactsync");
    let options = "--rate unlimited --resume --summary s.json";
    let line = format!("ulimit -f {blocks} && exec {program} push a.csv --report {report} {options}");
    let mut shell = place.command(&[] as &[&str]);
    let variables: Vec<_> =
        shell.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    shell = std::process::Command::new("sh");
    shell.args(["-c", &line]).current_dir(place.path("")).env_clear().envs(variables);
    finish(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
fn a_disk_that_fills_half_way_stops_with_5_and_a_resume_finishes() {
    for (report, blocks) in [("r.ndjson", 200), ("r.csv", 100), ("r.ndjson.gz", 16), ("r.csv.zst", 8)] {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        place.file("a.csv", users(3_000));
        let ran = push_limited(&place, blocks, report).ends_with(5).says("can't be written").says("to go on: ");
        let counts: Value = serde_json::from_str(&place.read("s.json")).unwrap();
        assert_eq!((&counts["stopped_by"], &counts["exit_code"]), (&json!("report"), &json!(5)), "{ran}");
        assert!(counts["not_sent"].as_u64().unwrap() > 0, "{counts}");
        let push = ["push", "a.csv", "--report", report, "--rate", "unlimited", "--resume", "--summary", "s.json"];
        place.run(&push).ends_with(0);
        let counts: Value = serde_json::from_str(&place.read("s.json")).unwrap();
        assert_eq!((&counts["synced"], &counts["rows_read"]), (&json!(3_000), &json!(3_000)), "{report}");
        let records = report::ReportReader::open(&place.path(report)).unwrap();
        assert_eq!(records.map(Result::unwrap).count(), 3_000, "{report}");
    }
}

#[test]
fn a_folder_that_can_not_be_written_to_is_2_and_nothing_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    for report in ["/proc/r.ndjson", "no/such/folder/r.ndjson"] {
        place.run(&["push", "a.csv", "--report", report]).ends_with(2).says(report);
        place.run(&["push", "a.csv", "--report", report, "--resume"]).ends_with(2).says(report);
    }
    assert_eq!(service.record().stats().requests, 0);
}

#[test]
fn a_run_file_that_can_not_be_written_is_5_before_anything_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    std::fs::create_dir(place.path("r.ndjson.run")).unwrap();
    place.run(&["push", "a.csv", "--report", "r.ndjson"]).ends_with(5).says("r.ndjson.run can't be written");
    assert_eq!(service.record().stats().requests, 0);
}
