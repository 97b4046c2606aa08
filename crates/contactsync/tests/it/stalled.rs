//! Standard error that nobody reads, or not yet: a run goes on, and ends.

use std::{
    io::{ErrorKind, PipeReader, PipeWriter, Read, Write, pipe},
    process::Stdio,
};

use rustix::{
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    process::Signal,
};
use serde_json::Value;

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

/// A pipe that takes nothing more.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    // Down to the last byte.
    for size in [4096, 1] {
        let error = loop {
            if let Err(error) = writer.write(&vec![b'x'; size]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    }
    fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

#[test]
fn a_run_ends_whole_where_nobody_reads_standard_error() {
    for progress in ["bar", "plain", "never"] {
        let (reader, writer) = full_pipe();
        let place = Workplace::new();
        let rejected = "x,nobody@example.com\n".repeat(30);
        place.file("a.csv", users(5_000) + &rejected);
        let arguments = ["-vvv", "push", "--sandbox", "a.csv", "--report", "r.ndjson", "--summary", "s.json"];
        let options = ["--progress", progress, "--rate", "unlimited"];
        let running = Running::start(place.command(&[&arguments[..], &options].concat()).stderr(writer));
        running.finish().ends_with(1);
        assert_eq!(place.json_lines("r.ndjson").len(), 5_030);
        assert_eq!(
            (summary(&place)["synced"].clone(), summary(&place)["stopped_by"].clone()),
            (5_000.into(), Value::Null)
        );
        drop(reader);
    }
}

#[test]
fn a_signal_stops_a_run_where_nobody_reads_standard_error() {
    for (signals, status) in [(&[Signal::INT][..], 130), (&[Signal::TERM, Signal::INT], 143)] {
        let service = Service::with_faults(&["hang:1"]);
        let (reader, writer) = full_pipe();
        let place = service.workplace();
        place.file("a.csv", users(500));
        // Without a second signal it ends after the grace.
        let grace = if signals.len() > 1 { "1h" } else { "1ms" };
        let arguments = ["push", "a.csv", "--progress", "bar", "--report", "r.ndjson", "--summary", "s.json"];
        let options = ["--rate", "unlimited", "--grace", grace];
        let mut running = Running::start(place.command(&[&arguments[..], &options].concat()).stderr(writer));
        running.until("64 requests are under way", || service.record().stats().requests >= 64);
        for signal in signals {
            running.signal(*signal);
        }
        let ran = running.finish();
        // Of two signals sent at once either may be heard first.
        assert!(ran.status == Some(status) || (signals.len() > 1 && ran.status == Some(130)), "{ran}");
        if signals.len() == 1 {
            assert_eq!(summary(&place)["stopped_by"], "signal");
        }
        drop(reader);
    }
}

#[test]
fn every_command_ends_where_nobody_reads_standard_error() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    for (arguments, status) in [
        (&["push", "--no-such-option"][..], 2),
        (&["push", "missing.csv", "--sandbox"], 2),
        (&["check", "a.csv"], 0),
        (&["config", "init", "new.toml"], 0),
    ] {
        let (reader, writer) = full_pipe();
        Running::start(place.command(arguments).stderr(writer)).finish().ends_with(status);
        drop(reader);
    }
}

#[test]
fn whoever_reads_again_reads_how_it_ended() {
    let (mut reader, writer) = full_pipe();
    let place = Workplace::new();
    place.file("a.csv", users(2_000));
    let arguments = ["push", "--sandbox", "a.csv", "-", "--report", "r.ndjson", "--rate", "unlimited"];
    let mut command = place.command(&arguments);
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(writer));
    drop(command);
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n9999,a@example.com\n").unwrap();
    running.until("all is reported", || place.read_if_there("r.ndjson").lines().count() >= 2_000);
    drop(running.child().stdin.take());
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    running.finish().ends_with(0);
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("target: "), "{last}");
}

#[test]
fn nothing_is_lost_where_standard_error_is_non_blocking_and_read_late() {
    let (mut reader, writer) = full_pipe();
    // As another process that has it may have left it.
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    let place = Workplace::new();
    let mut command = place.command(&["check", "-"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(writer));
    drop(command);
    running.child().stdin.take().unwrap().write_all(b"euid,email\nx,a@example.com\n").unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    running.finish().ends_with(1);
    assert!(said.contains("euid_invalid") && said.contains("rows read in"), "{said}");
}
