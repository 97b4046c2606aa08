//! Which refused runs are in it, and whose figures stay as they are.

use super::*;

#[test]
fn an_input_that_cannot_be_opened_is_an_end_too() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.file("broken.csv.gz", b"\x1f\x8b\x08broken");
    place.run(&PUSH).ends_with(0);
    let first = metrics(&place, "night.prom");
    let start = "contactsync_run_start_timestamp_seconds";
    let ended = |command: &str, input: &str, status: i32| {
        let watched = ["--report", "o.ndjson", "--metrics-file", "night.prom"];
        place.run(&[&[command, input], &watched[..]].concat()).ends_with(status);
        let found = metrics(&place, "night.prom");
        assert_eq!(found.value("contactsync_run_exit_code", &[]), f64::from(status), "{command} {input}");
        assert!(found.value(start, &[]) > first.value(start, &[]));
        let success = "contactsync_last_success_timestamp_seconds";
        assert_eq!(found.value(success, &[]), first.value(success, &[]));
        found
    };
    for command in ["push", "verify"] {
        let found = ended(command, "broken.csv.gz", 5);
        assert_eq!(found.value("contactsync_run_stopped", &[("cause", "input")]), 1.0);
    }
    place.file("columns.csv", "euid,nickname\n1,a\n");
    ended("push", "columns.csv", 2);
    ended("push", "missing.csv", 2);
    // Before that, nobody knows whose file it is.
    let before = place.read("night.prom");
    place.run(&["push", "a.csv", "--report", "r.ndjson", "--metrics-file", "night.prom"]).ends_with(2);
    assert_eq!(place.read("night.prom"), before);
}

#[test]
fn figures_of_the_run_that_holds_the_state_or_the_report_stay() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let push =
        |input, report| ["push", input, "--report", report, "--state", "u.state", "--metrics-file", "night.prom"];
    let mut running = Running::start(&mut place.command(&push("a.csv", "one.ndjson")));
    running.until("a request is under way", || service.record().stats().requests > 0);
    let another = [&push("missing.csv", "two.ndjson")[..], &["--summary", "s.json"]].concat();
    place.run(&another).ends_with(2).says("missing.csv: there is no such file");
    let same_report = ["--report", "one.ndjson", "--force", "--metrics-file", "night.prom", "--summary", "s.json"];
    for input in ["a.csv", "missing.csv"] {
        let ran = place.run(&[&["push", input], &same_report[..]].concat()).ends_with(2);
        ran.says("the report one.ndjson is being written by another run");
    }
    place.run(&["push", "a.csv", "--sandbox", "--sandbox-fault", "code=-1:1", "--retries=0", "--report=old.ndjson"]);
    let ran = place.run(&[&["replay", "old.ndjson"], &same_report[..]].concat()).ends_with(2);
    ran.says("the report one.ndjson is being written by another run");
    let found = metrics(&place, "night.prom");
    assert_eq!(found.value("contactsync_running", &[]), 1.0);
    assert_eq!(found.get("contactsync_run_exit_code", &[]), None);
    assert!(!place.exists("s.json"));
    running.signal(Signal::KILL);
    running.finish();
    // What is no file keeps nobody waiting.
    let (fifo, mode) = (rustix::fs::FileType::Fifo, 0o600.into());
    rustix::fs::mknodat(rustix::fs::CWD, place.path("pipe"), fifo, mode, 0).unwrap();
    let pipe = ["push", "missing.csv", "--state", "pipe"];
    place.run(&pipe).ends_with(2).says("missing.csv: there is no such file");
    place.run(&another).ends_with(2);
    assert_eq!(metrics(&place, "night.prom").value("contactsync_run_exit_code", &[]), 2.0);
    assert!(place.exists("s.json"));
}
