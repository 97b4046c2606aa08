//! Going on with a run that was stopped or killed.

use std::io::Write;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace, finish},
};

const PUSH: [&str; 8] =
    ["push", "a.csv", "--report", "r.ndjson", "--resume", "--rate", "unlimited", "--summary=s.json"];

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

/// Each row has one record that decides it, and the service has each user's last row.
fn whole(service: &Service, place: &Workplace, rows: u64) {
    whole_report(place, rows);
    assert_eq!(service.record().contacts().len() as u64, rows);
}

fn whole_report(place: &Workplace, rows: u64) {
    let mut decided: Vec<u64> =
        place.json_lines("r.ndjson").iter().map(|record| record["row"].as_u64().unwrap()).collect();
    decided.sort_unstable();
    assert_eq!(decided, (1..=rows).collect::<Vec<_>>());
}

/// Starts a push, and kills it once some rows are decided and others under way.
fn killed(place: &Workplace, arguments: &[&str]) {
    let mut running = Running::start(&mut place.command(arguments));
    running.until("ten rows are reported", || place.read_if_there("r.ndjson").lines().count() >= 10);
    assert!(running.child().try_wait().unwrap().is_none(), "it ended by itself");
    running.signal(Signal::KILL);
    running.finish();
}

#[test]
fn one_command_for_every_try() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(600));
    killed(&place, &[&PUSH[..5], &["--rate", "300/s"]].concat());
    place.run(&PUSH).ends_with(0).says("resuming: the report decides").says("of them were decided before this try");
    whole(&service, &place, 600);
    let counts = summary(&place);
    assert_eq!((&counts["rows_read"], &counts["synced"], &counts["not_sent"]), (&json!(600), &json!(600), &json!(0)));
    assert!(counts["resumed_rows"].as_u64().unwrap() >= 10, "{counts}");
    assert_eq!(counts["inputs"], json!([{"source": "a.csv", "rows": 600, "bytes": users(600).len()}]));
    let sent = service.record().stats().requests;
    for _ in 0..2 {
        place.run(&PUSH).ends_with(0).says("this run finished at").says("nothing left to send");
        let counts = summary(&place);
        assert_eq!((&counts["rows_read"], &counts["resumed_rows"]), (&json!(600), &json!(600)));
    }
    assert_eq!(service.record().stats().requests, sent);
}

#[test]
fn one_that_is_refused_sums_up_what_the_report_decides() {
    let service = Service::with_faults(&["code=55004:0.5"]);
    let place = service.workplace();
    let rows = users(300);
    place.file("a.csv", &rows);
    place.file("cut.gz", &{
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(rows.as_bytes()).unwrap();
        let bytes = gzip.finish().unwrap();
        bytes[..bytes.len() / 2].to_vec()
    });
    let push = [&PUSH[..], &["--max-failures", "8", "--in-flight", "1", "--metrics-file", "m.prom"]].concat();
    place.run(&push).ends_with(4);
    let before = summary(&place);
    let decided = before["rows_read"].as_u64().unwrap() - before["not_sent"].as_u64().unwrap();
    assert!(decided >= 8 && before["attempts"].as_u64().unwrap() >= decided, "{before}");
    let cut = std::fs::read(place.path("cut.gz")).unwrap();
    let cases: [(&str, &[u8], &[&str], i32); 4] = [
        ("is missing", b"", &[], 2),
        ("is cut", &cut, &[], 5),
        ("has other rows", b"euid,email\n1,z@example.com\n", &[], 2),
        ("is read otherwise", rows.as_bytes(), &["--trim"], 2),
    ];
    for (what, bytes, options, status) in cases {
        std::fs::remove_file(place.path("a.csv")).unwrap_or_default();
        if !bytes.is_empty() {
            place.file("a.csv", bytes);
        }
        place.file("s.json", "of another night");
        place.run(&[&push[..], options].concat()).ends_with(status);
        let counts = summary(&place);
        for name in ["synced", "failed", "attempts", "retries", "reasons", "codes"] {
            assert_eq!(counts[name], before[name], "{what}: {name}");
        }
        let by = if status == 5 { json!("input") } else { Value::Null };
        assert_eq!((&counts["exit_code"], &counts["stopped_by"]), (&json!(status), &by), "{what}");
        assert_eq!((&counts["rows_read"], &counts["not_sent"]), (&json!(decided), &json!(0)), "{what}");
        let metrics = place.read("m.prom");
        for line in [
            format!("contactsync_rows_read_total{{sync=\"m\"}} {decided}\n"),
            format!("contactsync_attempts_total{{sync=\"m\",kind=\"contact\"}} {}\n", before["attempts"]),
            format!("contactsync_run_exit_code{{sync=\"m\"}} {status}.0\n"),
        ] {
            assert!(metrics.contains(&line), "{what}: {line}{metrics}");
        }
    }
    place.file("a.csv", &rows);
    place.run(&[&PUSH[..], &["--max-failures", "none"]].concat()).ends_with(1);
    whole_report(&place, 300);
}

#[test]
fn a_stopped_run_prints_the_command_that_resumes_it() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place.file("a b.csv", users(300));
    let push = ["push", "a b.csv", "--rate", "unlimited", "--max-failures", "5", "--in-flight", "2"];
    let ran = place.run(&push).ends_with(4);
    let line = ran.stderr.lines().find_map(|line| line.strip_prefix("to go on: ")).unwrap();
    assert!(
        line.contains(" push 'a b.csv' ")
            && line.contains("--report contactsync-report-")
            && line.ends_with("--resume")
    );
    // The command as printed, by a shell.
    let mut shell = std::process::Command::new("sh");
    let shell = shell.args(["-c", line]).current_dir(place.path("")).stderr(std::process::Stdio::piped()).env_clear();
    let shell = shell.envs([
        ("ENGAGELAB_MA_BASE_URL", service.url().as_str()),
        ("ENGAGELAB_MA_API_KEY", "sandbox-key"),
        ("ENGAGELAB_MA_API_SECRET", "sandbox-secret"),
    ]);
    finish(shell.spawn().unwrap()).ends_with(4).says("resuming: the report decides");
}

#[test]
fn refused_rows_stay_refused_and_stopped_credentials_are_tried_again() {
    let service = Service::with_faults(&[]);
    let place = service.workplace().variable("ENGAGELAB_MA_API_SECRET", "wrong");
    place.file("a.csv", users(200) + "x,y\n");
    place.run(&PUSH).ends_with(3);
    let place = place.variable("ENGAGELAB_MA_API_SECRET", "sandbox-secret");
    place.run(&PUSH).ends_with(1);
    let counts = summary(&place);
    assert_eq!((&counts["rows_read"], &counts["synced"], &counts["rejected"]), (&json!(201), &json!(200), &json!(1)));
    assert_eq!(service.record().contacts().len(), 200);
}

#[test]
fn standard_input_is_read_again_and_what_was_not_decided_waits_until_all_is_compared() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rows = users(3_000);
    let push = |report| ["push", "-", "--report", report, "--resume", "--rate", "unlimited", "--summary", "s.json"];
    // The pipe stays open: the first try is killed in the middle.
    let mut running = Running::start(place.command(&push("r.ndjson")).stdin(std::process::Stdio::piped()));
    let half = rows.len() / 2;
    running.child().stdin.as_mut().unwrap().write_all(&rows.as_bytes()[..half]).unwrap();
    running.until("a thousand rows are reported", || place.read_if_there("r.ndjson").lines().count() >= 1_000);
    running.signal(Signal::KILL);
    running.finish();
    let changed = rows.replacen("user7@", "user8@", 1);
    let ran = place.run_with_stdin(&push("r.ndjson"), changed.as_bytes()).ends_with(2);
    ran.says("are others now; nothing was sent");
    let sent = service.record().stats().requests;
    place.run_with_stdin(&push("r.ndjson"), rows.as_bytes()).ends_with(0);
    whole(&service, &place, 3_000);
    assert!(service.record().stats().requests - sent < 3_000, "what was decided is not sent again");
    let again = place.run_with_stdin(&push("r.ndjson"), rows.as_bytes());
    again.ends_with(0).says("this run finished at");
}

/// Runs to the end, changes something, and runs the same command: nothing must be sent.
#[track_caller]
fn refused(change: impl FnOnce(&Workplace), more: &[&str]) -> Ran {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(100));
    place.file("b.csv", "euid,email\n1000,b@example.com\n");
    place.run(&[&PUSH[..], &["b.csv"]].concat()).ends_with(0);
    let sent = service.record().stats().requests;
    let report = place.read("r.ndjson");
    change(&place);
    let ran = place.run(&[&PUSH[..], more].concat()).ends_with(2);
    assert_eq!((service.record().stats().requests, place.read("r.ndjson")), (sent, report));
    ran
}

#[test]
fn last_nights_report_does_not_swallow_tonights_export() {
    let shifted = users(101).replacen("1,user1@example.com\n", "", 1);
    refused(|place| drop(place.file("a.csv", shifted)), &["b.csv"])
        .says("row 1 of a.csv has the EUID \"2\", in the report \"1\"; nothing was sent");
    let value = users(100).replacen("user50@", "user51@", 1);
    refused(|place| drop(place.file("a.csv", value)), &["b.csv"]).says("are others now");
    refused(|place| drop(place.file("a.csv", users(99))), &["b.csv"])
        .says("row 100 of a.csv, which the input doesn't have");
    refused(|place| drop(place.file("a.csv", users(101))), &["b.csv"]).says("is longer now");
    // The last row had no line end: what is there now is another value.
    let growing = |place: &Workplace| drop(place.file("b.csv", "euid,email\n1000,b@example.com\n1001,c@example.com\n"));
    refused(growing, &["b.csv"]).says("b.csv is not what the report was begun with").says("is longer now");
}

#[test]
fn other_inputs_and_options_are_another_run() {
    refused(|_| (), &[]).says("the inputs: then a.csv b.csv, now a.csv");
    refused(|_| (), &["b.csv", "--trim"]).says("--trim: then not given, now on");
    refused(|_| (), &["b.csv", "--limit", "7"]).says("--limit: then not given, now 7");
    refused(|place| drop(std::fs::remove_file(place.path("r.ndjson.run"))), &["b.csv"])
        .says("r.ndjson.run is not there");
    refused(|place| drop(place.file("r.ndjson.run", "{")), &["b.csv"]).says("r.ndjson.run is damaged");
}

#[test]
fn pace_and_retries_may_be_others_and_further_inputs_may_follow() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(10));
    place.file("b.csv", "euid,email\n1000,b@example.com\n");
    place.run(&PUSH).ends_with(0);
    place.run(&[&PUSH[..5], &["b.csv", "--rate", "50/s", "--retries", "0"]].concat()).ends_with(0);
    assert_eq!((service.record().stats().requests, place.json_lines("r.ndjson").len()), (11, 11));
}

#[test]
fn a_row_that_failed_is_not_sent_again_over_a_newer_one() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,old@example.com\n1,new@example.com\n2,x@example.com\n");
    place.run(&PUSH).ends_with(0);
    let report = place.read("r.ndjson");
    let report = report.lines().map(|line| {
        let mut record: Value = serde_json::from_str(line).unwrap();
        if record["row"] == 1 || record["row"] == 3 {
            record["outcome"] = json!("failed");
            record["reason"] = json!("http_status");
            record["contacts"] = json!({"email": "old@example.com"});
        }
        format!("{record}\n")
    });
    place.file("r.ndjson", report.collect::<String>());
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    run["finished"] = Value::Null;
    place.file("r.ndjson.run", run.to_string());
    place
        .run(&PUSH)
        .ends_with(1)
        .says("1 failed or differed and were left alone: a later row of the same EUID was accepted");
    assert_eq!(service.record().user(1).unwrap()["contacts"]["email"], "new@example.com");
    assert_eq!((service.record().requests(1).len(), service.record().requests(2).len()), (2, 2));
    let counts = summary(&place);
    assert_eq!((&counts["superseded"], &counts["failed"], &counts["synced"]), (&json!(1), &json!(1), &json!(2)));
}

#[test]
fn an_export_that_was_cut_off_is_finished_once_it_is_whole() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(users(5_000).as_bytes()).unwrap();
    let whole = encoder.finish().unwrap();
    let push = ["push", "a.csv.gz", "--report", "r.ndjson", "--resume", "--rate", "unlimited", "--summary=s.json"];
    for part in [whole.len() / 3, whole.len() / 2, whole.len() - 3] {
        place.file("a.csv.gz", &whole[..part]);
        place.run(&push).ends_with(5).says("could not be read to its end");
    }
    place.file("a.csv.gz", &whole);
    place.run(&push).ends_with(0);
    self::whole(&service, &place, 5_000);
    assert_eq!(service.record().stats().requests, 5_000);
}

/// More rows than wait in memory while all is compared: then the file is read once more.
#[test]
fn many_rows_in_front_of_decided_ones_are_not_lost() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let row = |euid: &str| format!("{euid},{}@example.com\n", "x".repeat(200));
    place.file("a.csv", format!("euid,email\n{}{}", row("x").repeat(40_000), row("7")));
    place.run(&PUSH).ends_with(1);
    let counts = summary(&place);
    let last = place.read("r.ndjson").lines().find(|line| line.contains("synced")).unwrap().to_owned();
    place.file("r.ndjson", format!("{last}\n"));
    place.run(&PUSH).ends_with(1).says("the report decides 1 rows");
    for name in ["rows_read", "synced", "rejected", "inputs"] {
        assert_eq!(summary(&place)[name], counts[name], "{name}");
    }
    let mut rows: Vec<u64> = place.json_lines("r.ndjson").iter().map(|line| line["row"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    assert!(rows.into_iter().eq(1..=40_001));
    assert_eq!(service.record().stats().requests, 1);
}

#[test]
fn nothing_can_be_resumed_from_a_device_or_under_a_run() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&["push", "a.csv", "--report", "/dev/null", "--resume"]).ends_with(2).says("a pipe or a device");
    let mut running = Running::start(&mut place.command(&PUSH));
    running.until("a request is under way", || service.record().stats().requests > 0);
    place.run(&PUSH).ends_with(2).says("is being written by another run");
    drop(running);
}

#[test]
fn a_signal_while_the_inputs_are_compared_ends_at_once_and_sends_nothing() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let push = ["push", "-", "--report", "r.ndjson", "--resume"];
    place.run_with_stdin(&push, users(5).as_bytes()).ends_with(0);
    let sent = service.record().stats().requests;
    let mut running = Running::start(place.command(&push).stdin(std::process::Stdio::piped()));
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n1,user1@example.com\n").unwrap();
    // It holds the report once it compares.
    let locked = || std::fs::File::open(place.path("r.ndjson")).unwrap().try_lock().is_err();
    running.until("the report is locked", locked);
    running.signal(Signal::TERM);
    let mut child_stdin = running.child().stdin.take().unwrap();
    // Whoever waits for a pipe hears of the signal with its next bytes.
    let _ = child_stdin.write_all(b"2,user2@example.com\n");
    drop(child_stdin);
    let ran = running.finish();
    assert!(matches!(ran.status, Some(2 | 143)), "{ran}");
    assert_eq!(service.record().stats().requests, sent);
}

/// Also where it has no record yet.
#[test]
fn a_report_of_another_command_is_not_resumed() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    place.file("none.csv", "euid,email\n");
    place.run(&["push", "a.csv", "--report", "r.ndjson"]).ends_with(0);
    place.run(&["replay", "r.ndjson", "--report", "again.ndjson"]).ends_with(0);
    place.run(&["push", "none.csv", "--report", "none.ndjson"]).ends_with(0);
    assert_eq!((place.read("again.ndjson"), place.read("none.ndjson")), (String::new(), String::new()));
    let sent = service.record().requests(1).len();
    place
        .run(&["push", "a.csv", "--report", "again.ndjson", "--resume"])
        .ends_with(2)
        .says("the command: then replay, now push");
    place
        .run(&["replay", "r.ndjson", "--all", "--report", "none.ndjson", "--resume"])
        .ends_with(2)
        .says("the command: then push, now replay");
    assert_eq!(service.record().requests(1).len(), sent);
}
