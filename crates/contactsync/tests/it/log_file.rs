//! The log file: what stands in it, what never does, and that it never stands in a run's way.

use std::{io::Write, os::unix::fs::PermissionsExt, process::Stdio};

use rustix::process::Signal;
use serde_json::Value;

use crate::{
    service::{Service, users},
    support::{Running, Workplace, skipped},
};

/// The lines, each with a time and a level.
#[track_caller]
fn lines(place: &Workplace, name: &str) -> Vec<Value> {
    let lines = place.json_lines(name);
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["target"].is_string(), "{line}");
    }
    lines
}

fn says(lines: &[Value], level: &str, text: &str) -> bool {
    lines.iter().any(|line| line["level"] == level && line["fields"]["message"].as_str().unwrap().contains(text))
}

#[test]
fn events_and_messages_are_written_down_and_standard_error_stays_as_it_is() {
    let place = Workplace::new().variable("CONTACTSYNC_RATE", "unlimited");
    place.file("a.csv", users(3) + "x,nobody@example.com\n");
    let push = ["push", "--sandbox", "a.csv", "--report", "r.ndjson", "--force"];
    let without = place.run(&push).ends_with(1).stderr;
    let with = place.run(&[&push[..], &["--log-file", "l.ndjson"]].concat()).ends_with(1).stderr;
    let first = |text: &str| text.lines().next().unwrap().to_owned();
    assert_eq!((first(&with), with.lines().count()), (first(&without), without.lines().count()));
    let written = lines(&place, "l.ndjson");
    assert!(says(&written, "INFO", "rate is set in"), "{written:#?}");
    assert!(says(&written, "INFO", "euid_invalid") && says(&written, "INFO", "target: the sandbox"), "{written:#?}");
    assert!(!written.iter().any(|line| line["level"] == "DEBUG"));
    assert_eq!(std::fs::metadata(place.path("l.ndjson")).unwrap().permissions().mode() & 0o777, 0o600);
    // What nobody is shown is written all the same, behind what was there; errors too.
    place.run(&["-q", "push", "--sandbox", "missing.csv", "--log-file", "l.ndjson"]).ends_with(2);
    let more = lines(&place, "l.ndjson");
    assert!(more.len() > written.len() && more[..written.len()] == written);
    assert!(says(&more, "ERROR", "missing.csv"));
    place.run(&["-vv", "check", "a.csv", "--log-file", "more.ndjson"]).ends_with(1);
    place.run(&[&push[..], &["-vv", "--log-file", "more.ndjson"]].concat()).ends_with(1);
    assert!(says(&lines(&place, "more.ndjson"), "DEBUG", "synced"));
}

#[test]
fn no_value_and_no_secret_is_ever_in_it() {
    let service = Service::with_faults(&["code=55105:0.3", "drop:0.2", "status=502:0.2"]);
    let place = service.workplace();
    let rows = (1..=60).map(|row| format!("77700{row},private{row}@example.com\n")).collect::<String>();
    place.file("a.csv", format!("euid,email\n{rows}x,hidden@example.com\n,lost@example.com\n"));
    let options = ["--retry-base", "1ms", "--log-file", "l.ndjson", "--report", "r.ndjson", "--canary", "5", "--yes"];
    let ran = place.run(&[&["-vvv", "push", "a.csv", "--max-failures", "none"][..], &options].concat());
    assert!(matches!(ran.status, Some(0 | 1)), "{ran}");
    let written = place.read("l.ndjson");
    assert!(written.lines().count() > 60);
    for secret in ["private", "hidden", "lost@", "@example.com", "77700", "sandbox-secret", "sandbox-key"] {
        assert!(!written.contains(secret), "{secret} is in the log");
    }
}

/// Where an export has lost its header, or is taken for a list, its first row stands where names should.
#[test]
fn values_in_the_place_of_names_are_not_told() {
    let place = Workplace::new();
    place.file("a.csv", "10000000001,user0@example.com,+12025550100\n10000000002,user1@example.com,+12025550101\n");
    for arguments in
        [&["check", "a.csv"][..], &["check", "a.csv", "--contacts", "email"], &["check", "--files-from", "a.csv"]]
    {
        let ran = place.run(&[arguments, &["--log-file", "l.log", "-vvv"]].concat()).ends_with(2);
        let all = format!("{ran}{}", place.read("l.log"));
        for value in ["10000000001", "user0", "2025550100"] {
            assert!(!all.contains(value), "{value}: {all}");
        }
    }
    place.run(&["check", "a.csv"]).says("is the header missing?").says("`--no-header --columns euid,…`");
}

#[test]
fn one_that_cannot_be_opened_is_refused_before_anything() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.file("data.ndjson", "{\"euid\":1,\"email\":\"a@example.com\"}\n");
    let push = |name: &str| place.run(&["push", "a.csv", "--report", "r.ndjson", "--log-file", name]).ends_with(2);
    push("no/l.ndjson").says("the log file no/l.ndjson can't be opened");
    push(".").says("the log file . can't be opened");
    push("-").says("is the name of a file");
    push("a.csv").says("--log-file a.csv would write into the input a.csv");
    push("data.ndjson").says("holds something else than a log");
    push("r.ndjson").says("--report and --log-file name the same file");
    place.file("contactsync.toml", "log_file = \"l.ndjson\"\n");
    place.run(&["push", "a.csv"]).ends_with(2).says("may not set `log_file`");
    assert_eq!(service.record().stats().requests, 0);
    assert_eq!((place.read("a.csv"), place.read("data.ndjson").lines().count()), (users(3), 1));
}

#[test]
fn a_full_disk_is_told_once_and_stops_nothing() {
    if !std::path::Path::new("/dev/full").exists() {
        skipped("there is no /dev/full");
        return;
    }
    let place = Workplace::new();
    place.file("a.csv", users(300));
    let push = ["-vv", "push", "--sandbox", "a.csv", "--rate", "unlimited", "--log-file", "/dev/full"];
    let ran = place.run(&push).ends_with(0);
    assert_eq!(ran.stderr.matches("the log file /dev/full can't be written").count(), 1, "{ran}");
}

#[test]
fn a_disk_that_hangs_holds_neither_the_run_nor_its_end() {
    let place = Workplace::new();
    place.file("a.csv", users(5_000));
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("l"), pipe, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    // Somebody has it open and never reads.
    let held = std::fs::OpenOptions::new().read(true).write(true).open(place.path("l")).unwrap();
    let push = ["-vvv", "push", "--sandbox", "a.csv", "--rate", "unlimited", "--log-file", "l", "--report", "r.ndjson"];
    place.run(&push).ends_with(0).says("the log file l lacks the end of the log");
    assert_eq!(place.json_lines("r.ndjson").len(), 5_000);
    drop(held);
}

#[test]
fn a_pipe_that_nobody_opens_holds_neither_the_run_nor_its_end() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("l"), pipe, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    let push = ["push", "--sandbox", "a.csv", "--log-file", "l", "--report", "r.ndjson"];
    place.run(&push).ends_with(0).says("the log file l lacks the end of the log");
    assert_eq!(place.json_lines("r.ndjson").len(), 3);
}

#[test]
fn what_a_full_disk_left_torn_costs_no_further_line() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    place.run(&["check", "a.csv", "--log-file", "l"]).ends_with(0);
    let whole = place.read("l");
    place.file("l", format!("{whole}{{\"timesta"));
    place.run(&["check", "a.csv", "--log-file", "l"]).ends_with(0);
    let written = place.read("l");
    let behind = written.strip_prefix(&format!("{whole}{{\"timesta\n")).unwrap();
    assert!(behind.ends_with('\n') && behind.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    place.run(&["check", "a.csv", "--log-file", "l"]).ends_with(0);
    assert!(place.read("l").starts_with(&written) && !place.read("l").contains("\n\n"));
}

#[test]
fn a_signal_leaves_it_whole() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(100));
    let push = ["push", "a.csv", "--log-file", "l.ndjson", "--grace", "1ms", "--report", "r.ndjson"];
    let mut running = Running::start(&mut place.command(&push));
    running.until("requests are under way", || service.record().stats().requests > 0);
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
    let written = lines(&place, "l.ndjson");
    assert!(says(&written, "ERROR", "stopped by a signal"));
    let last = written.last().unwrap()["fields"]["message"].as_str().unwrap().to_owned();
    assert!(last.contains(&service.url()), "{last}");
}

#[test]
fn it_can_be_truncated_while_it_is_written() {
    let place = Workplace::new();
    let mut command = place.command(&["check", "-", "--log-file", "l.ndjson"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let rows = "x,a@example.com\n".repeat(20_000);
    running.child().stdin.as_mut().unwrap().write_all(format!("euid,email\n{rows}").as_bytes()).unwrap();
    running.until("lines are written", || place.read_if_there("l.ndjson").lines().count() >= 10);
    std::fs::OpenOptions::new().write(true).open(place.path("l.ndjson")).unwrap().set_len(0).unwrap();
    drop(running.child().stdin.take());
    running.finish().ends_with(1);
    let written = lines(&place, "l.ndjson");
    assert!(says(&written, "INFO", "rows read in") && written.len() < 10, "{written:#?}");
}

/// What the run would write, or reads, gets no lines, and the mended command runs.
#[test]
fn a_name_that_stands_for_something_else_too_is_refused_before_a_line_is_written() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    std::os::unix::fs::symlink("linked.ndjson", place.path("link.log")).unwrap();
    place.file("q", "");
    std::fs::hard_link(place.path("q"), place.path("same")).unwrap();
    let push = ["push", "--sandbox", "a.csv", "--rate", "unlimited"];
    for (further, log, message) in [
        (["--report", "r.ndjson", "--state", "s"], "s", "--state and --log-file name the same file, s"),
        (["--report", "r.ndjson", "--state", "s"], "./s", "--state and --log-file name the same file, ./s"),
        (["--report", "r.ndjson", "--lock", "l"], "r.ndjson", "--report and --log-file name the same file"),
        (["--report", "r.ndjson", "--lock", "l"], "r.ndjson.run", "--report and --log-file name the same file"),
        (["--report", "linked.ndjson", "--lock", "l"], "link.log", "--report and --log-file name the same file"),
        (["--report", "r.ndjson", "--share-rate", "q"], "same", "--share-rate and --log-file name the same file"),
        (["--report", "r.ndjson", "--metrics-file", "m.prom"], "m.prom", "--metrics-file and --log-file name the same"),
    ] {
        place.run(&[&push[..], &further, &["--log-file", log]].concat()).ends_with(2).says(message);
        assert!(place.read_if_there(log).is_empty() && (log == "same" || !place.exists(log)), "{log}");
    }
    place.run(&[&push[..], &["--report", "r.ndjson", "--state", "s", "--log-file", "log"]].concat()).ends_with(0);
}

#[test]
fn an_input_gets_no_lines_even_where_it_is_empty_or_missing() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    place.file("empty.csv", "");
    place.file("list", "a.csv\nempty.csv\nmissing.csv\n");
    let refused = |arguments: &[&str], log: &str| {
        let arguments = [arguments, &["--log-file", log]].concat();
        let message = format!("--log-file {log} would write into the input");
        place.run(&arguments).ends_with(2).says(&message);
        place.run_with_stdin(&arguments, place.read("list").as_bytes()).ends_with(2).says(&message);
        assert!(place.read_if_there(log).is_empty() && place.exists(log) == (log == "empty.csv"), "{log}");
    };
    for log in ["empty.csv", "missing.csv"] {
        for command in ["check", "push", "verify"] {
            refused(&[command, log], log);
            refused(&[command, "a.csv", "--files-from", "list"], log);
        }
        refused(&["report", log], log);
        refused(&["replay", log], log);
        let listed = ["check", "--files-from", "-", "--log-file", log];
        let ran = place.run_with_stdin(&listed, b"empty.csv\nmissing.csv\n").ends_with(2);
        ran.says(&format!("--log-file {log} would write into the input"));
    }
    place.run_with_stdin(&["check", "--files-from", "-", "--log-file", "log"], b"a.csv\n").ends_with(0);
    // Why a list can't be read stands in the log.
    place.run(&["check", "--files-from", "no-list", "--log-file", "log"]).ends_with(2);
    assert!(says(&lines(&place, "log"), "ERROR", "no-list"));
}
