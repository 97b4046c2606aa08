//! Rows that were found unchanged, in this try or an earlier one.

use report::RowSet;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
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

const NIGHT: [&str; 5] = ["push", "a.csv", "--state", "state", "--summary=s.json"];

/// A night after which the state knows these rows, and what is to be sent in the next one.
fn second_night(service: &Service, first: &str, second: &str) -> Workplace {
    let place = service.workplace();
    place.file("a.csv", first);
    place.run(&[&NIGHT[..], &["--report", "first.ndjson", "--rate", "unlimited"]].concat()).ends_with(0);
    place.file("a.csv", second);
    place
}

/// As if the run had been killed, with the records of so many rows on the disk.
fn killed_with(place: &Workplace, records: usize) {
    let report: Vec<String> = place.read("r.ndjson").lines().map(|line| format!("{line}\n")).collect();
    place.file("r.ndjson", report[..records].concat());
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    run["finished"] = Value::Null;
    place.file("r.ndjson.run", run.to_string());
}

#[test]
fn with_records_or_without_the_figures_are_the_same() {
    for more in [&[][..], &["--report-unchanged"]] {
        let service = Service::with_faults(&[]);
        let changed = users(100).replace("user7@", "user007@") + "x,y\n101,user101@example.com\n";
        let place = second_night(&service, &users(100), &changed);
        let push = [&NIGHT[..], &["--report", "r.ndjson", "--resume"], more].concat();
        place.run(&push).ends_with(1);
        for _ in 0..2 {
            let counts = summary(&place);
            for (name, rows) in [("rows_read", 102), ("unchanged", 99), ("synced", 2), ("rejected", 1), ("not_sent", 0)]
            {
                assert_eq!(counts[name], json!(rows), "{name} of {counts}");
            }
            assert_eq!(counts["inputs"][0]["rows"], 102);
            place.run(&push).ends_with(1).says("this run finished at");
        }
        let records = place.json_lines("r.ndjson");
        let unchanged: Vec<&Value> = records.iter().filter(|record| record["outcome"] == "unchanged").collect();
        assert_eq!((records.len(), unchanged.len()), if more.is_empty() { (3, 0) } else { (102, 99) });
        assert!(unchanged.iter().all(|record| record["attempts"] == 0 && record["contacts"].is_null()));
        let run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
        let rows: RowSet = serde_json::from_value(run["inputs"][0]["unchanged"].clone()).unwrap();
        assert_eq!((rows.len(), rows.contains(7)), (99, false));
        assert_eq!(
            run["comparison"],
            json!({"unchanged": 99, "names": {"email": {"new": 1, "changed": 1, "cleared": 0}}})
        );
        let figures = place.run(&["report", "r.ndjson", "--json"]).ends_with(0).json();
        assert_eq!((&figures["rows"], &figures["unchanged"], &figures["synced"]), (&json!(102), &json!(99), &json!(2)));
        assert_eq!(service.record().stats().requests, 102);
    }
}

/// Row by row what the service was asked to set for one user.
fn asked(service: &Service, euid: u64) -> Vec<String> {
    let requests = service.record().requests(euid);
    requests.iter().map(|request| request.contacts["email"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_old_value_that_was_unchanged_is_not_sent_over_a_newer_one() {
    // The record of the newer one reached the disk, or it didn't.
    for records in [0, 1] {
        let service = Service::with_faults(&[]);
        let place =
            second_night(&service, "euid,email\n1,a@example.com\n", "euid,email\n1,a@example.com\n1,b@example.com\n");
        let push = [&NIGHT[..], &["--report", "r.ndjson", "--resume"]].concat();
        place.run(&push).ends_with(0);
        killed_with(&place, records);
        place.run(&push).ends_with(0).says(&format!("the report decides {} rows", records + 1));
        // The state may know of what the report has lost.
        assert_eq!(asked(&service, 1), ["a@example.com", "b@example.com"]);
        let counts = summary(&place);
        let rows = ["synced", "unchanged", "rows_read"].map(|name| counts[name].as_u64().unwrap() as usize);
        assert_eq!(rows, [records, 2 - records, 2], "{counts}");
    }
}

/// The same by a kill, with many such users.
#[test]
fn killed_in_the_middle_no_old_value_comes_after_a_newer_one() {
    let service = Service::with_faults(&[]);
    let rows = |value: &str| (1..=300).map(|euid| format!("{euid},{value}{euid}@example.com\n")).collect::<String>();
    let (old, new) = (rows("old"), rows("new"));
    let place = second_night(&service, &format!("euid,email\n{old}"), &format!("euid,email\n{old}{new}"));
    let push = [&NIGHT[..], &["--report", "r.ndjson", "--resume"]].concat();
    let mut running = Running::start(&mut place.command(&[&push[..], &["--rate", "150/s"]].concat()));
    running.until("some are reported", || place.read_if_there("r.ndjson").lines().count() >= 20);
    assert!(running.child().try_wait().unwrap().is_none(), "it ended by itself");
    running.signal(Signal::KILL);
    running.finish();
    place.run(&[&push[..], &["--rate", "unlimited"]].concat()).ends_with(0);
    for euid in 1..=300 {
        let asked = asked(&service, euid);
        let is_new = |value: &String| value.starts_with("new");
        assert!(asked.len() >= 2 && asked[0].starts_with("old") && asked[1..].iter().all(is_new), "{euid}: {asked:?}");
    }
    // Of a row whose record was lost the state may know that it was accepted.
    let counts = summary(&place);
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!((count("unchanged") + count("synced"), count("rows_read")), (600, 600), "{counts}");
    assert!(count("unchanged") >= 300 && count("resumed_rows") >= 20, "{counts}");
}

#[test]
fn a_run_that_is_stopped_balances_its_books_and_is_finished_by_a_resume() {
    for more in [&[][..], &["--report-unchanged"]] {
        let service = Service::with_faults(&[]);
        let changed: String = users(600)
            .lines()
            .enumerate()
            .map(|(at, line)| match at % 3 {
                1 => line.replace('@', "-changed@") + "\n",
                _ => line.to_owned() + "\n",
            })
            .collect();
        let place = second_night(&service, &users(600), &changed);
        let push = [&NIGHT[..], &["--report", "r.ndjson", "--resume"], more].concat();
        let mut running = Running::start(&mut place.command(&[&push[..], &["--rate", "60/s"]].concat()));
        let synced = |report: String| report.matches("\"synced\"").count();
        running.until("some are sent", || synced(place.read_if_there("r.ndjson")) >= 10);
        running.signal(Signal::TERM);
        running.finish().ends_with(143);
        let counts = summary(&place);
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!(count("rows_read"), count("synced") + count("unchanged") + count("not_sent"), "{counts}");
        assert!(count("unchanged") > 0 && count("not_sent") > 0, "{counts}");
        place.run(&[&push[..], &["--rate", "unlimited"]].concat()).ends_with(0);
        let counts = summary(&place);
        assert_eq!(
            (&counts["unchanged"], &counts["synced"], &counts["rows_read"]),
            (&json!(400), &json!(200), &json!(600))
        );
        assert_eq!(service.record().stats().requests, 800);
        place.run(&push).ends_with(0).says("this run finished at");
        assert_eq!(summary(&place)["unchanged"], 400);
    }
}

#[test]
fn a_report_that_keeps_nothing_still_has_them_counted() {
    let service = Service::with_faults(&[]);
    let changed = users(3_000).replace("user7@", "user007@");
    let place = second_night(&service, &users(3_000), &changed);
    for (report, more, records) in
        [("/dev/null", &[][..], 0), ("-", &[][..], 0), ("-", &["--report-unchanged"][..], 3_000)]
    {
        let push = [&NIGHT[..], &["--report", report], more].concat();
        let ran = place.run(&push).ends_with(0);
        let counts = summary(&place);
        assert_eq!(
            (counts["unchanged"].as_u64().unwrap() + counts["synced"].as_u64().unwrap(), &counts["rows_read"]),
            (3_000, &json!(3_000))
        );
        assert_eq!(ran.stdout.matches("\"unchanged\"").count(), records);
    }
}

/// What was unchanged and could not be written down is decided or not sent, never both.
#[test]
fn a_report_that_can_not_be_written_loses_none_of_them() {
    let service = Service::with_faults(&[]);
    let rows = users(5_000);
    let place = second_night(&service, &rows, &rows);
    for more in [&[][..], &["--report-unchanged"]] {
        let push = [&NIGHT[..], &["--report", "/dev/full"], more].concat();
        let ran = place.run(&push);
        let counts = summary(&place);
        let count = |name: &str| counts[name].as_u64().unwrap();
        assert_eq!(count("rows_read"), count("unchanged") + count("not_sent"), "{ran}");
        assert_eq!(ran.status, if more.is_empty() { Some(0) } else { Some(5) }, "{ran}");
        assert_eq!(more.is_empty(), count("unchanged") == 5_000, "{ran}");
    }
}
