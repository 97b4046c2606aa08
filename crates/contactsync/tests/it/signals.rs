use std::{
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use rustix::process::Signal;

use crate::support::{Running, Workplace, ending_signals};

/// A check of standard input that stays open, once it has shown that it reads: the second row is rejected.
fn waiting(command: &mut Command) -> Running {
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let child = running.child();
    child.stdin.as_mut().unwrap().write_all(b"euid,email\n").unwrap();
    let feed = child.stdin.as_mut().unwrap();
    // The reader hands on a batch once it is full, so the rows must be more than one batch holds.
    let rows = "x,a@example.com\n".repeat(20_000);
    feed.write_all(rows.as_bytes()).unwrap();
    running.until_it_says("\n");
    running
}

#[test]
fn a_check_that_waits_for_its_input_stops() {
    for (signal, status) in ending_signals() {
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

/// Starts a program, and waits until it hears signals.
fn hearing(command: &mut Command) -> Running {
    let mut running = Running::start(command);
    let threads = format!("/proc/{}/task", running.child().id());
    let is_listener = |thread: std::io::Result<std::fs::DirEntry>| {
        thread.is_ok_and(|thread| {
            std::fs::read_to_string(thread.path().join("comm")).is_ok_and(|name| name == "signals\n")
        })
    };
    running.until("it hears signals", || std::fs::read_dir(&threads).unwrap().any(is_listener));
    running
}

#[test]
fn the_first_signal_ends_what_only_reads() {
    let place = Workplace::new();
    // Nobody ever writes into it: whoever opens it waits.
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("pipe.ndjson"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for arguments in [
        &["push", "--sandbox", "-"][..],
        &["push", "--sandbox", "pipe.ndjson"],
        &["check", "-"],
        &["check", "pipe.ndjson"],
        &["report", "pipe.ndjson"],
        &["replay", "--sandbox", "pipe.ndjson"],
        &["replay", "--dry-run", "pipe.ndjson"],
    ] {
        for (signal, status) in ending_signals() {
            let mut running = hearing(place.command(arguments).stdin(Stdio::piped()));
            running.signal(signal);
            let ran = running.finish();
            assert_eq!(ran.status, Some(status), "{arguments:?}\n{ran}");
        }
    }
}

#[test]
fn the_first_signal_ends_a_run_whose_end_nobody_takes() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/", nobody.local_addr().unwrap());
    let arguments = ["push", "--sandbox", "a.csv", "--summary", "s.json", "--notify", &address];
    let mut running = Running::start(&mut place.command(&arguments));
    let (mut connection, _) = nobody.accept().unwrap();
    connection.read_exact(&mut [0; 4]).unwrap();
    running.signal(Signal::TERM);
    // The run came to its end before.
    running.finish().ends_with(0);
    assert!(place.read("s.json").contains("\"exit_code\":0"));
}

#[test]
fn a_push_that_waits_for_more_of_its_input_stops_as_any_other() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,a@example.com\n");
    let arguments = ["push", "--sandbox", "a.csv", "-", "--report", "r.ndjson", "--summary", "-"];
    let mut running = Running::start(place.command(&arguments).stdin(Stdio::piped()));
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n2,b@example.com\n").unwrap();
    running.until("a row is reported", || !place.read_if_there("r.ndjson").is_empty());
    running.signal(Signal::INT);
    let ran = running.finish().ends_with(130);
    assert_eq!(ran.json()["stopped_by"], "signal", "{ran}");
}
