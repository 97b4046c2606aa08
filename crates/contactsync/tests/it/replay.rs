//! Sending again what failed, from reports alone.

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::Workplace,
};

/// A push in which every row fails for good, and its report under this name.
fn failed(report: &str) -> (Service, Workplace) {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(12));
    let push = ["push", "a.csv", "--retries", "0", "--report", report, "--rate", "unlimited"];
    place.run(&push).ends_with(1).says("to send again what failed:");
    let healthy = Service::with_faults(&[]);
    let place = place.variable("ENGAGELAB_MA_BASE_URL", &healthy.url());
    (healthy, place)
}

#[test]
fn what_failed_is_sent_from_every_kind_of_report_and_keeps_its_place() {
    for report in ["r.ndjson", "r.csv", "r.ndjson.gz", "r.csv.zst"] {
        let (service, place) = failed(report);
        std::fs::remove_file(place.path("a.csv")).unwrap();
        place.run(&["replay", report, "--report", "again.ndjson", "--rate", "unlimited"]).ends_with(0);
        assert_eq!(service.record().contacts().len(), 12, "{report}");
        assert_eq!(service.record().user(7).unwrap()["contacts"]["email"], "user7@example.com");
        for record in place.json_lines("again.ndjson") {
            let row = record["row"].as_u64().unwrap();
            assert_eq!((&record["source"], &record["line"]), (&json!("a.csv"), &json!(row + 1)));
            assert_eq!((&record["euid"], &record["outcome"]), (&json!(row.to_string()), &json!("synced")));
        }
        // Both reports together: nothing is left.
        let both = ["replay", report, "again.ndjson", "--report", "third.ndjson", "--summary", "-"];
        assert_eq!(place.run(&both).ends_with(0).json()["rows_read"], 0);
    }
}

#[test]
fn a_list_sends_nothing_needs_no_credentials_and_shows_no_contact() {
    let (service, place) = failed("r.ndjson");
    let place = place.variable("ENGAGELAB_MA_API_KEY", "").variable("ENGAGELAB_MA_API_SECRET", "");
    let ran = place.run(&["replay", "r.ndjson", "--dry-run"]).ends_with(0).never_says("@example.com");
    let ran = ran.says("12 rows would be sent; left alone: 0 superseded, 0 expired");
    assert_eq!((ran.stdout.lines().count(), service.record().stats().requests), (12, 0));
    assert!(ran.stderr.contains("row") && ran.stderr.contains("reason"), "{ran}");
    assert!(ran.stdout.contains("a.csv\t7\t8\t7\tserver_error\t-1\t20"), "{ran}");
    let none = place.run(&["replay", "r.ndjson", "--dry-run", "--reason", "timeout"]).ends_with(0);
    assert_eq!(none.stdout, "");
    let by_code = place.run(&["replay", "r.ndjson", "--dry-run", "--code", "-1,55014"]).ends_with(0);
    assert_eq!(by_code.stdout.lines().count(), 12);
    place.run(&["replay", "r.ndjson", "--dry-run", "--max-age", "0"]).ends_with(0).says("12 expired");
}

#[test]
fn the_command_that_a_push_prints_replays_it() {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let ran =
        place.run(&["push", "a.csv", "--retries", "0", "--rate", "unlimited", "--contacts", "email"]).ends_with(1);
    let line = ran.stderr.lines().find_map(|line| line.strip_prefix("to send again what failed: ")).unwrap();
    let words: Vec<&str> = line.split(' ').skip(1).collect();
    assert_eq!(words[0], "replay");
    assert_eq!(words[2..], ["--retries", "0", "--rate", "unlimited"]);
    place.run(&words).ends_with(1);
    assert_eq!(service.record().stats().requests, 6);
}

#[test]
fn a_replay_that_was_stopped_goes_on() {
    let (_, place) = failed("r.ndjson");
    let sick = Service::with_faults(&["code=55004:1"]);
    let place = place.variable("ENGAGELAB_MA_BASE_URL", &sick.url());
    let replay =
        ["replay", "r.ndjson", "--report", "again.ndjson", "--resume", "--in-flight", "1", "--max-failures", "3"];
    place.run(&replay).ends_with(4).says("to go on: ").says("replay r.ndjson --report again.ndjson");
    place.run(&replay).ends_with(4).says("resuming: the report decides 3 rows");
    place.run(&[&replay[..7], &["--max-failures", "none", "--summary", "s.json"]].concat()).ends_with(1);
    let counts: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!((&counts["rows_read"], &counts["failed"], &counts["resumed_rows"]), (&json!(12), &json!(12), &json!(6)));
    assert_eq!(sick.record().stats().requests, 12, "nothing was sent twice");
    place.run(&replay).ends_with(1).says("this run finished at");
    place.run(&[&replay[..], &["--all"]].concat()).ends_with(2).says("--all: then not given, now on");
    place.file("r.ndjson", place.read("r.ndjson").lines().take(11).map(|line| format!("{line}\n")).collect::<String>());
    place.run(&replay).ends_with(2).says("r.ndjson is not what the replay was begun with");
    let push = ["push", "a.csv", "--report", "again.ndjson", "--resume"];
    place.run(&push).ends_with(2).says("the command: then replay, now push");
}

#[test]
fn an_old_value_is_left_alone_and_counted() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,old@example.com\n1,new@example.com\n");
    place.run(&["push", "a.csv", "--report", "r.ndjson"]).ends_with(0);
    let report = place.read("r.ndjson").replacen("\"synced\",\"reason\":\"\"", "\"failed\",\"reason\":\"timeout\"", 1);
    let report = report.replacen("\"contacts\":null", "\"contacts\":{\"email\":\"old@example.com\"}", 1);
    place.file("r.ndjson", report);
    let replay = ["replay", "r.ndjson", "--summary", "-", "--report"];
    let counts = place
        .run(&[&replay[..], &["1.ndjson"]].concat())
        .ends_with(0)
        .says("1 failed or differed and were left alone")
        .json();
    assert_eq!((&counts["rows_read"], &counts["superseded"], &counts["expired"]), (&json!(0), &json!(1), &json!(0)));
    assert_eq!(service.record().user(1).unwrap()["contacts"]["email"], "new@example.com");
    let all = [&replay[..], &["2.ndjson", "--include-superseded"]].concat();
    assert_eq!(place.run(&all).ends_with(0).json()["synced"], 1);
    assert_eq!(service.record().user(1).unwrap()["contacts"]["email"], "old@example.com");
}

#[test]
fn what_is_no_report_or_can_not_be_replayed_is_2() {
    let (service, place) = failed("r.ndjson");
    place.file("never.ndjson", place.read("r.ndjson").lines().map(without_contacts).collect::<String>());
    for (arguments, why) in [
        (&["replay", "none.ndjson"][..], "none.ndjson can't be read"),
        (&["replay", "a.csv"], "a.csv is not a report"),
        (&["replay", "r.ndjson", "./r.ndjson"], "is given twice"),
        (&["replay", "never.ndjson"], "never.ndjson holds no contacts"),
        (&["replay", "r.ndjson", "--report", "r.ndjson", "--force"], "would overwrite the report r.ndjson"),
        (&["replay", "r.ndjson", "--report", "r.ndjson"], "would overwrite the report r.ndjson"),
    ] {
        place.run(arguments).ends_with(2).says(why);
    }
    assert_eq!(service.record().stats().requests, 0);
}

fn without_contacts(line: &str) -> String {
    let mut record: Value = serde_json::from_str(line).unwrap();
    record["contacts"] = Value::Null;
    format!("{record}\n")
}

#[test]
fn a_torn_or_unfinished_report_is_replayed_with_a_warning() {
    let (service, place) = failed("r.ndjson");
    let report = place.read("r.ndjson");
    place.file("r.ndjson", &report[..report.len() - 5]);
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    run["finished"] = Value::Null;
    place.file("r.ndjson.run", run.to_string());
    let ran = place.run(&["replay", "r.ndjson", "--report", "again.ndjson"]).ends_with(0);
    ran.says("did not come to its end").says("is torn after byte");
    assert_eq!(service.record().stats().requests, 11);
}
