//! A few rows first.

use std::{
    io::{Read, Write},
    path::Path,
    process::Stdio,
    time::Duration,
};

use sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Workplace, finish, skipped},
};

const PUSH: [&str; 9] =
    ["push", "a.csv", "--rate", "unlimited", "--report", "r.ndjson", "--summary=s.json", "--canary", "5"];

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

#[test]
fn a_canary_that_lives_lets_the_rest_go() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", format!("{}x,y\n", users(500)));
    place.run(&PUSH).ends_with(1).says("canary: 5 rows were answered, 0 of them failed").says("a.csv line 2: synced");
    assert_eq!((summary(&place)["synced"].as_u64(), service.record().contacts().len()), (Some(500), 500));
}

#[test]
fn a_canary_that_dies_stops_with_4_and_nothing_else_is_sent() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    // Rejected rows are no canaries.
    place.file("a.csv", users(500).replacen("1,user1@", "x,user1@", 1));
    let ran = place.run(&PUSH).ends_with(4);
    ran.says("5 of the first 5 rows failed")
        .says("failed (parameters_invalid, code 55004, HTTP 200)")
        .never_says("example.com");
    let counts = summary(&place);
    assert_eq!(
        (&counts["stopped_by"], &counts["failed"], &counts["rejected"]),
        (&json!("max_failures"), &json!(5), &json!(1))
    );
    let count = |name: &str| counts[name].as_u64().unwrap();
    assert_eq!(count("rows_read"), count("failed") + count("rejected") + count("not_sent"));
    assert_eq!(service.record().stats().requests, 5);
    place.run(&[&PUSH[..], &["--force", "--max-failures", "none"]].concat()).ends_with(1);
    assert_eq!(summary(&place)["failed"], 499);
}

#[test]
fn fewer_rows_than_the_canary_has_are_simply_sent_and_a_replay_has_one_too() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&PUSH).ends_with(0);
    let report = place.read("r.ndjson").replace("\"synced\",\"reason\":\"\"", "\"failed\",\"reason\":\"timeout\"");
    place.file("r.ndjson", report.replace("\"contacts\":null", "\"contacts\":{\"email\":\"x@example.com\"}"));
    let replay = ["replay", "r.ndjson", "--report", "2.ndjson", "--canary", "2", "--yes"];
    place.run(&replay).ends_with(0).says("canary: 2 rows were answered");
    assert_eq!(service.record().stats().requests, 6);
}

#[test]
fn on_a_terminal_it_asks_before_it_goes_on() {
    if !Path::new("/usr/bin/script").exists() {
        skipped("script (util-linux) is not installed");
        return;
    }
    for (answer, status, synced) in [("y\n", 0, 50), ("n\n", 4, 5), ("\n", 4, 5)] {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        place.file("a.csv", users(50));
        let mut child = on_terminal(&place).spawn().unwrap();
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(answer.as_bytes()).unwrap();
        let ran = finish(child);
        drop(keyboard);
        assert_eq!(ran.status, Some(status), "{answer:?}\n{ran}");
        assert!(ran.stdout.contains("Go on with the rest? [y/N]"), "{ran}");
        assert_eq!(summary(&place)["synced"], synced, "{ran}");
        if status == 4 {
            assert_eq!(summary(&place)["stopped_by"], "max_failures");
            assert!(ran.stdout.contains("stopped: the canary's question was answered with no"), "{ran}");
            assert!(ran.stdout.contains("to go on: ") && !ran.stdout.contains("signal"), "{ran}");
        }
    }
}

#[test]
fn a_signal_instead_of_an_answer_stops_by_a_signal() {
    if !Path::new("/usr/bin/script").exists() {
        skipped("script (util-linux) is not installed");
        return;
    }
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(50));
    let mut child = on_terminal(&place).spawn().unwrap();
    let mut shown = Vec::new();
    while !shown.ends_with(b"Go on with the rest? [y/N] ") {
        let mut byte = [0];
        child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    let mut keyboard = child.stdin.take().unwrap();
    keyboard.write_all(b"\x03").unwrap();
    let ran = finish(child).ends_with(130);
    drop(keyboard);
    assert!(ran.stdout.contains("stopped by a signal") && ran.stdout.contains("to go on: "), "{ran}");
    assert_eq!(summary(&place)["stopped_by"], "signal");
}

#[test]
fn a_bar_is_drawn_only_where_the_terminal_can() {
    if !Path::new("/usr/bin/script").exists() {
        skipped("script (util-linux) is not installed");
        return;
    }
    for (term, draws) in [("xterm", true), ("dumb", false)] {
        let service =
            Service::start(SandboxOptions { latency: Duration::from_millis(600), ..SandboxOptions::default() });
        let place = service.workplace().variable("TERM", term);
        // Fewer rows than canaries: nothing is asked.
        place.file("a.csv", users(3));
        let ran = finish(on_terminal(&place).stdin(Stdio::null()).spawn().unwrap()).ends_with(0);
        assert!(ran.stdout.contains("target: "), "{ran}");
        assert_eq!((ran.stdout.contains('\u{1b}'), ran.stdout.contains("in flight")), (draws, draws), "{term}: {ran}");
    }
}

/// The push on a terminal of its own.
fn on_terminal(place: &Workplace) -> std::process::Command {
    let command = place.command(&PUSH);
    let line: Vec<String> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut terminal = std::process::Command::new("/usr/bin/script");
    terminal.args(["-q", "-e", "-c", &line.join(" "), "/dev/null"]).current_dir(place.path("")).env_clear();
    terminal.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    terminal
}
