use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{Running, Workplace};

/// A check of standard input that stays open, once it has shown that it reads: the second row is rejected.
fn waiting(command: &mut Command) -> Running {
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let child = running.child();
    child.stdin.as_mut().unwrap().write_all(b"euid,email\n").unwrap();
    let stderr = child.stderr.as_mut().unwrap();
    let feed = child.stdin.as_mut().unwrap();
    let mut said = Vec::new();
    // The reader hands on a batch once it is full, so the rows must be more than one batch holds.
    let rows = "x,a@example.com\n".repeat(20_000);
    feed.write_all(rows.as_bytes()).unwrap();
    while !said.ends_with(b"\n") {
        let mut byte = [0];
        stderr.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    running
}

#[test]
fn a_check_that_waits_for_its_input_stops() {
    for (signal, status) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let place = Workplace::new();
        let mut child = waiting(&mut place.command(&["check", "-", "--summary", "-"]));
        child.signal(signal);
        let ran = child.finish().ends_with(status);
        let summary = ran.json();
        assert_eq!(summary["exit_code"], status, "{ran}");
        assert_eq!(summary["rows_read"], summary["rejected"], "{ran}");
    }
}

#[test]
fn what_was_reported_before_the_signal_is_whole() {
    let place = Workplace::new();
    let mut child = waiting(&mut place.command(&["check", "-", "--summary", "-", "--report", "r.ndjson"]));
    child.signal(Signal::TERM);
    let ran = child.finish().ends_with(143);
    assert_eq!(place.json_lines("r.ndjson").len() as u64, ran.json()["rejected"], "{ran}");
}

#[test]
fn sighup_stays_ignored_under_nohup() {
    let place = Workplace::new();
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_contactsync")).args(["check", "-", "--summary", "-"]);
    command.current_dir(place.path("")).env_clear().stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let mut child = waiting(&mut command);
    child.signal(Signal::HUP);
    child.signal(Signal::TERM);
    child.finish().ends_with(143);
}
