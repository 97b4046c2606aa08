//! Rows that an earlier try found unchanged.

use report::RowSet;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::Workplace,
};

const PUSH: [&str; 8] =
    ["push", "a.csv", "--report", "r.ndjson", "--resume", "--rate", "unlimited", "--summary=s.json"];

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

/// A push of a hundred rows that was stopped: of these the report has the records of some, and others were unchanged.
fn stopped(place: &Workplace, recorded: impl Fn(u64) -> bool, unchanged: impl Fn(u64) -> bool) {
    place.file("a.csv", users(100));
    place.run(&PUSH).ends_with(0);
    let records = place.json_lines("r.ndjson");
    let kept = records.iter().filter(|record| recorded(record["row"].as_u64().unwrap()));
    place.file("r.ndjson", kept.map(|record| format!("{record}\n")).collect::<String>());
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    let mut rows = RowSet::default();
    for row in (1..=100).filter(|row| unchanged(*row)) {
        rows.insert(row..row + 1);
    }
    run["inputs"][0]["unchanged"] = serde_json::to_value(&rows).unwrap();
    run["finished"] = Value::Null;
    place.file("r.ndjson.run", run.to_string());
}

#[test]
fn they_are_passed_over_and_counted_also_behind_the_last_record() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    stopped(&place, |row| row <= 10, |row| (11..41).contains(&row) || row > 90);
    let sent = service.record().stats().requests;
    place.run(&PUSH).ends_with(0).says("the report decides 50 rows").says("unchanged");
    assert_eq!(service.record().stats().requests - sent, 50);
    let rows: Vec<u64> = place.json_lines("r.ndjson").iter().map(|line| line["row"].as_u64().unwrap()).collect();
    assert!(rows.len() == 60 && rows.iter().all(|row| (1..11).contains(row) || (41..91).contains(row)), "{rows:?}");
    for last in [50, 100] {
        let counts = summary(&place);
        assert_eq!(counts["inputs"][0]["rows"], 100, "{counts}");
        for (name, rows) in
            [("rows_read", 100), ("synced", 60), ("unchanged", 40), ("not_sent", 0), ("resumed_rows", last)]
        {
            assert_eq!(counts[name], json!(rows), "{name} of {counts}");
        }
        place.run(&PUSH).ends_with(0).says("this run finished at");
    }
    assert_eq!(service.record().stats().requests - sent, 50);
}

#[test]
fn standard_input_passes_them_over_too() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(100));
    stopped(&place, |row| row % 2 == 0, |row| (2..4).contains(&row) || row > 50);
    let run = place.read("r.ndjson.run").replace("\"a.csv\"", "\"-\"");
    place.file("r.ndjson.run", run);
    place.file("r.ndjson", place.read("r.ndjson").replace("\"a.csv\"", "\"-\""));
    let sent = service.record().stats().requests;
    let push = ["push", "-", "--report", "r.ndjson", "--resume", "--summary=s.json"];
    place.run_with_stdin(&push, users(100).as_bytes()).ends_with(0);
    // The odd ones to 49, but for the third.
    assert_eq!(service.record().stats().requests - sent, 24);
    let counts = summary(&place);
    // Half of those from 51 on have a record.
    assert_eq!((&counts["synced"], &counts["unchanged"], &counts["rows_read"]), (&json!(74), &json!(26), &json!(100)));
}

/// What a damaged report lost is sent again, whatever else was unchanged.
#[test]
fn what_the_report_lost_is_never_unchanged() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    stopped(&place, |row| row <= 30, |row| (41..61).contains(&row));
    // As if it had come to its end.
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    run["finished"] = json!({"at": "2026-01-31T09:08:07.006Z", "rows": 100});
    place.file("r.ndjson.run", run.to_string());
    let sent = service.record().stats().requests;
    place.run(&PUSH).ends_with(0).never_says("this run finished at");
    assert_eq!(service.record().stats().requests - sent, 50);
    place.file("r.ndjson", "");
    place.run(&PUSH).ends_with(0).never_says("this run finished at");
    assert_eq!(service.record().stats().requests - sent, 130);
    assert_eq!(summary(&place)["unchanged"], 20);
}

#[test]
fn a_damaged_set_or_one_of_another_input_is_refused() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    stopped(&place, |row| row <= 30, |row| (41..61).contains(&row));
    let sent = service.record().stats().requests;
    let run = place.read("r.ndjson.run");
    let (before, text) = run.split_once("\"unchanged\":\"").unwrap();
    place.file("r.ndjson.run", format!("{before}\"unchanged\":\"{}", text.replacen(&text[10..12], "xy", 1)));
    place.run(&PUSH).ends_with(2).says("r.ndjson.run is damaged");
    let mut other: Value = serde_json::from_str(&run).unwrap();
    let mut rows = RowSet::default();
    rows.insert(41..102);
    other["inputs"][0]["unchanged"] = serde_json::to_value(&rows).unwrap();
    place.file("r.ndjson.run", other.to_string());
    place.run(&PUSH).ends_with(2).says("row 101 of a.csv, which the input doesn't have");
    assert_eq!(service.record().stats().requests, sent);
}

/// Nothing is known of what the service holds: each row is sent, and none is said to be unchanged.
#[test]
fn without_a_memory_nothing_is_unchanged() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(10));
    place.run(&[&PUSH[..], &["--report-unchanged"]].concat()).ends_with(0);
    assert!(!place.read("r.ndjson.run").contains("unchanged"));
    assert_eq!((&summary(&place)["synced"], &summary(&place)["unchanged"]), (&json!(10), &json!(0)));
}
