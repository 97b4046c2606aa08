//! Every way in which a push ends before its rows do, and its status.

use std::io::Write;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace, ending_signals},
};

/// Runs a push that stops and gives its summary; the books must balance.
#[track_caller]
fn stopped(place: &Workplace, arguments: &[&str], status: i32, by: &str) -> (Value, Ran) {
    let arguments =
        [&["push", "--rate", "unlimited", "--report", "report.ndjson", "--summary", "summary.json"], arguments]
            .concat();
    let ran = place.run(&arguments).ends_with(status);
    let summary = balanced(place);
    assert_eq!((&summary["stopped_by"], &summary["exit_code"]), (&json!(by), &json!(status)), "{ran}");
    (summary, ran)
}

/// The summary, whose counts are those of the report.
#[track_caller]
fn balanced(place: &Workplace) -> Value {
    let summary = balanced_without_report(place);
    let decided = summary["rows_read"].as_u64().unwrap() - summary["not_sent"].as_u64().unwrap();
    assert_eq!(place.json_lines("report.ndjson").len() as u64, decided);
    summary
}

#[track_caller]
fn balanced_without_report(place: &Workplace) -> Value {
    assert!(place.exists("summary.json"));
    let summary: Value = serde_json::from_str(&place.read("summary.json")).unwrap();
    let count = |name: &str| summary[name].as_u64().unwrap();
    let decided: u64 = ["synced", "unchanged", "rejected", "failed"].iter().map(|name| count(name)).sum();
    assert_eq!(count("rows_read"), decided + count("not_sent"), "{summary}");
    summary
}

#[test]
fn an_input_that_cannot_be_opened_is_summed_up_too() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("broken.csv.gz", b"\x1f\x8b\x08broken");
    place.file("columns.csv", "euid,nickname\n1,a\n");
    std::fs::create_dir(place.path("folder")).unwrap();
    for command in ["push", "verify", "check"] {
        for (input, status, by) in [
            ("broken.csv.gz", 5, json!("input")),
            ("columns.csv", 2, Value::Null),
            ("missing.csv", 2, Value::Null),
            ("folder", 2, Value::Null),
        ] {
            if (command, input) == ("verify", "columns.csv") {
                // It has nothing to verify, which is no fault.
                continue;
            }
            place.file("summary.json", "of the night before");
            let ran = place.run(&[command, input, "--summary", "summary.json"]).ends_with(status);
            let summary: Value = serde_json::from_str(&place.read("summary.json")).unwrap();
            assert_eq!((&summary["exit_code"], &summary["rows_read"]), (&json!(status), &json!(0)), "{ran}");
            if command != "check" {
                assert_eq!(summary["stopped_by"], by, "{ran}");
            }
        }
        // Not where it would be taken for the export.
        for option in ["--summary", "--report", "--lock", "--share-rate"] {
            if command == "check" && ["--lock", "--share-rate"].contains(&option) {
                continue;
            }
            let ran = place.run(&[command, "missing.csv", option, "missing.csv"]).ends_with(2);
            ran.says(&format!("{option} missing.csv would lie where the input missing.csv is missing"));
            assert!(!place.exists("missing.csv"), "{command} {option}");
        }
    }
}

#[test]
fn refused_credentials_stop_with_3() {
    let service = Service::with_faults(&[]);
    let place = service.workplace().variable("ENGAGELAB_MA_API_SECRET", "wrong");
    place.file("a.csv", users(5_000));
    let (summary, ran) = stopped(&place, &["a.csv"], 3, "credentials");
    assert!(summary["failed"].as_u64().unwrap() <= 64);
    assert!(summary["reasons"]["credentials"].as_u64().unwrap() > 0);
    ran.says("refuses the credentials").never_says("wrong");
}

#[test]
fn too_many_failures_stop_with_4() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place.file("a.csv", users(5_000));
    let (summary, _) = stopped(&place, &["a.csv", "--max-failures", "10"], 4, "max_failures");
    assert!((10..10 + 64).contains(&summary["failed"].as_u64().unwrap()), "{summary}");
}

#[test]
fn an_input_that_breaks_off_ends_with_5_and_what_was_whole_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(users(20_000).as_bytes()).unwrap();
    let packed = encoder.finish().unwrap();
    place.file("a.csv.gz", &packed[..packed.len() / 2]);
    place.file("b.csv", "euid,email\n99999999,b@example.com\n");
    let (summary, ran) = stopped(&place, &["a.csv.gz", "b.csv"], 5, "input");
    assert!(summary["synced"].as_u64().unwrap() > 1_000);
    assert_eq!((&summary["not_sent"], summary["synced"] == summary["rows_read"]), (&json!(0), true));
    assert!(!service.record().contacts().contains_key(&99_999_999), "later inputs are not read");
    ran.says("could not be read to its end");
}

#[test]
fn a_report_that_is_removed_under_the_run_stops_with_5() {
    let service = Service::with_faults(&["hang:0.0001"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    // Standard input stays open: the run goes on until its report is gone.
    let arguments = ["push", "a.csv", "-", "--report", "report.ndjson", "--summary", "summary.json"];
    let mut running = Running::start(place.command(&arguments).stdin(std::process::Stdio::piped()));
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n7,a\n").unwrap();
    running.until("three rows are reported", || place.read_if_there("report.ndjson").lines().count() >= 3);
    std::fs::remove_file(place.path("report.ndjson")).unwrap();
    running.finish().ends_with(5).says("removed or replaced");
    assert!(!place.exists("report.ndjson"));
    let summary = balanced_without_report(&place);
    assert_eq!(summary["stopped_by"], "report");
}

#[test]
fn a_full_disk_stops_with_5() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(50));
    let arguments = ["push", "a.csv", "--rate", "unlimited", "--report", "/dev/full", "--summary", "summary.json"];
    place.run(&arguments).ends_with(5).says("can't be written");
    assert_eq!(balanced_without_report(&place)["synced"], 0);
}

#[test]
fn what_is_not_the_service_stops_with_6() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(5_000));
    let elsewhere = format!("{}/nowhere", service.url());
    let (summary, ran) = stopped(&place, &["a.csv", "--base-url", &elsewhere], 6, "outage");
    assert!(summary["reasons"]["http_status"].as_u64().unwrap() >= 100);
    ran.says("wrong path");
}

#[test]
fn a_service_out_of_reach_stops_with_6_and_fails_no_row() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9")
        .variable("ENGAGELAB_MA_API_KEY", "k")
        .variable("ENGAGELAB_MA_API_SECRET", "s");
    place.file("a.csv", users(500));
    let options = ["a.csv", "--outage-wait", "200ms", "--retry-base", "1ms", "--retry-cap", "5ms"];
    let (summary, ran) = stopped(&place, &options, 6, "outage");
    assert_eq!((&summary["failed"], &summary["not_sent"]), (&json!(0), &summary["rows_read"]));
    ran.says("to go on: ").says(" --retry-cap 5ms --resume\n");
}

/// Starts a push whose requests all hang, and waits until some are under way.
fn hanging(service: &Service, place: &Workplace, grace: &str) -> Running {
    place.file("a.csv", users(500));
    let arguments = [
        "push",
        "a.csv",
        "--rate",
        "unlimited",
        "--grace",
        grace,
        "--report",
        "report.ndjson",
        "--summary",
        "summary.json",
    ];
    let mut running = Running::start(&mut place.command(&arguments));
    running.until("64 requests are under way", || service.record().stats().requests >= 64);
    running
}

#[test]
fn a_signal_stops_within_the_grace_and_rows_under_way_are_not_sent() {
    for (signal, status) in ending_signals() {
        let service = Service::with_faults(&["hang:1"]);
        let place = service.workplace();
        let mut running = hanging(&service, &place, "50ms");
        running.signal(signal);
        running.finish().ends_with(status);
        let summary = balanced(&place);
        assert_eq!((&summary["stopped_by"], &summary["not_sent"]), (&json!("signal"), &summary["rows_read"]));
        assert_eq!(service.record().stats().requests, 64, "nothing new was started");
    }
}

/// As coreutils' `timeout` sends it: to the program, and to its group.
#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    for _ in 0..5 {
        let service = Service::with_faults(&["hang:1"]);
        let place = service.workplace();
        let mut running = hanging(&service, &place, "50ms");
        running.signal(Signal::TERM);
        running.signal(Signal::TERM);
        running.finish().ends_with(143);
        assert_eq!(balanced(&place)["stopped_by"], "signal");
    }
}

#[test]
fn a_second_signal_ends_at_once() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    let mut running = hanging(&service, &place, "1h");
    running.signal(Signal::TERM);
    // Signals of one kind may become one; these are two kinds.
    running.signal(Signal::INT);
    let ran = running.finish();
    assert!(matches!(ran.status, Some(130 | 143)), "{ran}");
    assert!(!place.exists("summary.json"));
}

#[test]
fn a_report_that_exists_is_2_and_stays_as_it_is() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(2));
    place.file("report.ndjson", "kept");
    place.run(&["push", "a.csv", "--report", "report.ndjson"]).ends_with(2).says("exists already");
    assert_eq!(place.read("report.ndjson"), "kept");
    place.run(&["push", "a.csv", "--report", "report.ndjson", "--force"]).ends_with(0);
    assert_eq!(place.json_lines("report.ndjson").len(), 2);
    place.run(&["push", "a.csv", "--report", "a.csv", "--force"]).ends_with(2).says("overwrite the input");
    assert_eq!(service.record().stats().requests, 2);
}

#[test]
fn a_report_is_written_by_one_run_at_a_time() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    let mut first = hanging(&service, &place, "1ms");
    for force in [&[][..], &["--force"]] {
        let arguments = [&["push", "a.csv", "--report", "report.ndjson"], force].concat();
        place.run(&arguments).ends_with(2).says("another run");
    }
    first.signal(Signal::TERM);
    first.finish().ends_with(143);
}

#[test]
fn a_closed_standard_error_stops_nothing() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,a\nx,b\n");
    let mut running = Running::start(&mut place.command(&["-vv", "push", "a.csv", "--report", "report.ndjson"]));
    drop(running.child().stderr.take());
    running.finish().ends_with(1);
    assert_eq!(place.json_lines("report.ndjson").len(), 2);
}
