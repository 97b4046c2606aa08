//! The metrics file: what stands in it, when it is written, and that it never stands in a run's way.

#![expect(clippy::float_cmp, reason = "counts and times are exact")]

mod exposition;
mod refused;

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use sandbox::SandboxOptions;
use serde_json::Value;

use self::exposition::{Exposition, check_by_promtool};
use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace, finish},
};

const PUSH: [&str; 8] =
    ["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--metrics-file", "night.prom"];

#[track_caller]
fn metrics(place: &Workplace, name: &str) -> Exposition {
    let text = place.read(name);
    check_by_promtool(&text);
    Exposition::parse(&text)
}

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

fn with<'a>(arguments: &[&'a str], further: &[&'a str]) -> Vec<&'a str> {
    [arguments, further].concat()
}

/// The figures are those of the summary.
#[track_caller]
fn agrees(found: &Exposition, summary: &Value) {
    let number = |name: &str| summary[name].as_f64().unwrap_or_default();
    for outcome in ["synced", "unchanged", "rejected", "failed", "landed", "different", "superseded"] {
        let rows = found.sum("contactsync_rows_total", &[("outcome", outcome)]);
        assert!(rows == number(outcome), "{outcome}: {rows}\n{summary:#}");
    }
    for (reason, rows) in summary["reasons"].as_object().unwrap() {
        assert_eq!(Some(found.sum("contactsync_rows_total", &[("reason", reason)])), rows.as_f64(), "{reason}");
    }
    let attempts = |kind: &str| found.value("contactsync_attempts_total", &[("kind", kind)]);
    let of_rows = if summary["landed"].is_null() { "contact" } else { "profile" };
    assert_eq!(attempts(of_rows), number("attempts"));
    assert_eq!((attempts("register"), attempts("profile")), (number("register_requests"), number("profile_requests")));
    let value = |name: &str| found.value(name, &[]);
    assert_eq!(value("contactsync_rows_read_total"), number("rows_read"));
    assert_eq!(value("contactsync_retries_total"), number("retries"));
    assert_eq!(value("contactsync_run_exit_code"), number("exit_code"));
    assert_eq!((value("contactsync_running"), value("contactsync_in_flight")), (0.0, 0.0));
    assert_eq!((value("contactsync_held"), value("contactsync_rows_per_second")), (0.0, 0.0));
    assert!(value("contactsync_run_start_timestamp_seconds") <= value("contactsync_run_end_timestamp_seconds"));
    let causes: Vec<&str> = found.label("contactsync_run_stopped", "cause").into_iter().collect();
    let stopped_by: Vec<&str> = summary["stopped_by"].as_str().into_iter().collect();
    assert_eq!(causes, stopped_by);
}

#[test]
fn it_says_what_the_summary_says() {
    let service = Service::with_faults(&["code=55105:0.2", "code=-1:0.2"]);
    let place = service.workplace();
    place.file("a.csv", users(300) + "x,nobody@example.com\n,none@example.com\n");
    place.run(&with(&PUSH, &["--retry-base", "1ms", "--rate", "50000/m"])).ends_with(1);
    let found = metrics(&place, "night.prom");
    agrees(&found, &summary(&place));
    assert_eq!(found.sum("contactsync_rows_total", &[("outcome", "rejected"), ("reason", "euid_invalid")]), 1.0);
    assert_eq!(found.value("contactsync_rows_total", &[("outcome", "unchanged"), ("reason", "")]), 0.0);
    assert!(found.value("contactsync_retries_total", &[]) > 0.0);
    // A row's last attempt each.
    assert_eq!(found.value("contactsync_answer_latency_seconds_count", &[]), 300.0);
    assert!(found.value("contactsync_answer_latency_seconds_sum", &[]) >= 0.0);
    assert_eq!(found.value("contactsync_rate_limit_per_second", &[]), 50_000.0 / 60.0);
    let info = |label| found.label("contactsync_run_info", label).into_iter().next().unwrap().to_owned();
    assert_eq!((info("command"), info("sandbox"), info("sync")), ("push".into(), "false".into(), "night".into()));
    assert_eq!((info("version"), info("target")), (env!("CARGO_PKG_VERSION").into(), service.url()));
    assert_eq!(found.get("contactsync_last_success_timestamp_seconds", &[]), None);
    for value in ["user1@example.com", "nobody@example.com"] {
        assert!(!place.read("night.prom").contains(value));
    }
}

#[test]
fn everybody_can_read_it_and_nothing_else_is_left_in_its_folder() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    std::fs::create_dir(place.path("metrics")).unwrap();
    let mut shell = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_contactsync");
    shell.args(["-c", "umask 077; exec \"$0\" push --sandbox a.csv --metrics-file metrics/a.prom", program]);
    shell.current_dir(place.path("")).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(shell.spawn().unwrap()).ends_with(0);
    let mode = std::fs::metadata(place.path("metrics/a.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    assert_eq!(std::fs::read_dir(place.path("metrics")).unwrap().count(), 1);
    assert_eq!(
        metrics(&place, "metrics/a.prom").value("contactsync_rows_total", &[("outcome", "synced"), ("reason", "")]),
        3.0
    );
}

#[test]
fn it_is_there_while_the_run_goes_on_and_knows_the_signal_that_stopped_it() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(200));
    let mut running = Running::start(&mut place.command(&with(&PUSH, &["--grace", "1ms"])));
    running.until("requests are under way", || service.record().stats().requests > 0);
    let found = metrics(&place, "night.prom");
    assert_eq!(found.value("contactsync_running", &[]), 1.0);
    for absent in ["run_end_timestamp_seconds", "run_exit_code", "run_stopped"] {
        assert!(found.samples.keys().all(|(name, _)| *name != format!("contactsync_{absent}")), "{absent}");
    }
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
    agrees(&metrics(&place, "night.prom"), &summary(&place));
}

/// Ends a push of three rows so, and gives the last metrics.
fn ended(service: &Service, options: &[&str], status: i32) -> Exposition {
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&with(&PUSH, &with(&["--retry-base", "1ms", "--retry-cap", "1ms"], options))).ends_with(status);
    metrics(&place, "night.prom")
}

#[test]
fn every_end_is_in_it() {
    for (faults, options, status, cause) in [
        (&[][..], &[][..], 0, None),
        (&["code=55105:1"], &[][..], 1, None),
        (&[], &["--min-rows", "9"], 2, None),
        (&["code=40050:1"], &[], 3, Some("credentials")),
        (&["code=55105:1"], &["--max-failures", "1"], 4, Some("max_failures")),
        (&["drop:1"], &["--outage-wait", "1ms"], 6, Some("outage")),
        (&["hang:1"], &["--max-duration", "5s", "--grace", "1ms"], 7, Some("time")),
    ] {
        let found = ended(&Service::with_faults(faults), options, status);
        assert_eq!(found.value("contactsync_run_exit_code", &[]), f64::from(status));
        assert_eq!(found.value("contactsync_running", &[]), 0.0);
        assert_eq!(found.label("contactsync_run_stopped", "cause").into_iter().next(), cause, "status {status}");
        let success = found.get("contactsync_last_success_timestamp_seconds", &[]);
        let end = found.get("contactsync_run_end_timestamp_seconds", &[]);
        assert_eq!(success, end.filter(|_| status == 0), "status {status}");
    }
}

#[test]
fn a_signal_before_anything_is_sent_is_in_it() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let arguments = ["push", "--sandbox", "a.csv", "--lock", "l", "--max-clears", "none", "--metrics-file", "a.prom"];
    // A pass over the whole input comes first, and never ends.
    let more = ["--min-rows", "1", "--spool", "-"];
    let mut running = Running::start(place.command(&with(&arguments, &more)).stdin(Stdio::piped()));
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n").unwrap();
    running.until("it holds its lock", || place.exists("l"));
    running.signal(Signal::INT);
    running.finish().ends_with(130);
    // It has opened nothing yet, and another run may write here.
    assert!(!place.exists("a.prom"));
}

#[test]
fn an_input_that_breaks_off_is_in_it() {
    let place = Workplace::new();
    place.file("a.json", "[{\"euid\":1,\"email\":\"a@example.com\"},\n nonsense");
    place.run(&["push", "--sandbox", "a.json", "--metrics-file", "a.prom", "--summary", "s.json"]).ends_with(5);
    let found = metrics(&place, "a.prom");
    agrees(&found, &summary(&place));
    assert_eq!(found.value("contactsync_run_stopped", &[("cause", "input")]), 1.0);
}

#[test]
fn the_last_success_outlives_runs_that_fail() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let push = |options: &[&str]| place.run(&with(&PUSH, &with(options, &["--force"])));
    let success =
        |place: &Workplace| metrics(place, "night.prom").get("contactsync_last_success_timestamp_seconds", &[]);
    push(&[]).ends_with(0);
    let first = success(&place);
    assert!(first.is_some());
    push(&["--min-rows", "9"]).ends_with(2);
    service.set_faults(&["code=55105:1"]);
    push(&[]).ends_with(1);
    assert_eq!(success(&place), first);
    service.set_faults::<&str>(&[]);
    push(&[]).ends_with(0);
    assert!(success(&place) >= first);
}

#[test]
fn what_is_no_metrics_file_is_not_replaced() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    std::os::unix::fs::symlink("data.csv", place.path("link.prom")).unwrap();
    for (name, lies_in, text) in [
        ("data.prom", "data.prom", &b"euid,email\n1,a@example.com\n"[..]),
        ("link.prom", "data.csv", b"euid,email\n1,a@example.com\n"),
        ("other.prom", "other.prom", b"# HELP node_load1 Load.\n"),
        ("damaged.prom", "damaged.prom", b"\xff\0contactsync_last_success_timestamp_seconds"),
    ] {
        place.file(lies_in, text);
        for command in [&PUSH[..2], &["verify", "a.csv"]] {
            let ran = place.run(&with(command, &["--report", "r.ndjson", "--metrics-file", name])).ends_with(2);
            ran.says(&format!("the metrics file {name} holds something else than metrics of contactsync"))
                .says("name another file, or remove this one");
        }
        assert_eq!(std::fs::read(place.path(lies_in)).unwrap(), text);
    }
    assert_eq!((service.record().stats().requests, place.exists("r.ndjson")), (0, false));
    // What an unlucky disk or `touch` leaves is taken.
    place.file("night.prom", "");
    place.run(&PUSH).ends_with(0);
    assert_eq!(metrics(&place, "night.prom").value("contactsync_run_exit_code", &[]), 0.0);
}

#[test]
fn a_run_with_the_sandbox_is_no_success_of_a_job() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let success =
        |place: &Workplace| metrics(place, "night.prom").get("contactsync_last_success_timestamp_seconds", &[]);
    let push = |options: &[&str]| _ = place.run(&with(&PUSH, &with(options, &["--force"]))).ends_with(0);
    push(&["--sandbox"]);
    assert_eq!(success(&place), None);
    push(&[]);
    let first = success(&place);
    assert!(first.is_some());
    for _ in 0..2 {
        push(&["--sandbox"]);
        assert_eq!(success(&place), first);
    }
    push(&[]);
    assert!(success(&place) > first);
}

#[test]
fn a_verify_that_is_gone_on_with_has_sent_no_contact() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(40));
    place.run(&PUSH).ends_with(0);
    let verify = ["verify", "a.csv", "--report", "v.ndjson", "--resume", "--metrics-file", "verify.prom"];
    for _ in 0..2 {
        place.run(&verify).ends_with(0);
        let found = metrics(&place, "verify.prom");
        let attempts = |kind| found.value("contactsync_attempts_total", &[("kind", kind)]);
        assert_eq!((attempts("contact"), attempts("profile")), (0.0, 1.0));
    }
}

#[test]
fn a_success_that_is_yet_to_come_is_left_out() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let name = "contactsync_last_success_timestamp_seconds";
    let text = format!("# HELP {name} When.\n# TYPE {name} gauge\n{name}{{sync=\"night\"}} 9999999999\n");
    for (options, status) in [(&["--min-rows", "9"][..], 2), (&[], 0)] {
        place.file("night.prom", &text);
        place.run(&with(&PUSH, options)).ends_with(status).says("tells of a success that is yet to come");
        let found = metrics(&place, "night.prom");
        let end = found.get("contactsync_run_end_timestamp_seconds", &[]);
        assert_eq!(found.get(name, &[]), end.filter(|_| status == 0));
    }
}

#[test]
fn a_resumed_run_counts_the_whole() {
    let service = Service::with_faults(&["code=-1:0.3"]);
    let place = service.workplace();
    place.file("a.csv", users(300));
    let options = ["--retry-base", "1ms", "--max-failures", "20", "--retries", "0", "--outage-wait", "0"];
    place.run(&with(&PUSH, &options)).ends_with(4);
    agrees(&metrics(&place, "night.prom"), &summary(&place));
    service.set_faults::<&str>(&[]);
    place.run(&with(&PUSH, &with(&options[..2], &["--resume"]))).ends_with(1);
    let found = metrics(&place, "night.prom");
    agrees(&found, &summary(&place));
    assert_eq!(found.value("contactsync_rows_read_total", &[]), 300.0);
    // Nothing was left to do.
    place.run(&with(&PUSH, &with(&options[..2], &["--resume"]))).ends_with(1).says("nothing left to send");
    agrees(&metrics(&place, "night.prom"), &summary(&place));
}

#[test]
fn a_run_that_had_finished_before_succeeded_then() {
    let place = Service::start(SandboxOptions::default());
    let folder = place.workplace();
    folder.file("a.csv", users(3));
    folder.run(&PUSH).ends_with(0);
    let first = metrics(&folder, "night.prom").value("contactsync_last_success_timestamp_seconds", &[]);
    folder.run(&with(&PUSH, &["--resume"])).ends_with(0);
    let found = metrics(&folder, "night.prom");
    assert_eq!(found.value("contactsync_last_success_timestamp_seconds", &[]), first);
    assert!(found.value("contactsync_run_end_timestamp_seconds", &[]) >= first);
}

#[test]
fn nights_of_unchanged_rows_verifies_and_replays_have_theirs() {
    let service = Service::with_faults(&["code=-1:0.5"]);
    let place = service.workplace();
    place.file("a.csv", users(20));
    let push = with(&PUSH, &["--retries", "0", "--outage-wait", "0", "--state", "s.state"]);
    place.run(&push).ends_with(1);
    service.set_faults::<&str>(&[]);
    let watched = ["--summary", "s.json", "--metrics-file", "night.prom"];
    place.run(&with(&["replay", "r.ndjson", "--state", "s.state", "--report", "p.ndjson"], &watched)).ends_with(0);
    let found = metrics(&place, "night.prom");
    agrees(&found, &summary(&place));
    assert_eq!(found.label("contactsync_run_info", "command").into_iter().next(), Some("replay"));
    place.run(&with(&push, &["--force"])).ends_with(0);
    let found = metrics(&place, "night.prom");
    agrees(&found, &summary(&place));
    assert!(found.value("contactsync_rows_total", &[("outcome", "unchanged"), ("reason", "")]) == 20.0);
    place.run(&with(&push, &["--force", "--report-unchanged"])).ends_with(0);
    agrees(&metrics(&place, "night.prom"), &summary(&place));
    place.run(&with(&["verify", "a.csv", "--report", "v.ndjson"], &watched)).ends_with(0);
    let found = metrics(&place, "night.prom");
    agrees(&found, &summary(&place));
    assert_eq!(found.value("contactsync_rows_total", &[("outcome", "landed"), ("reason", "")]), 20.0);
    assert_eq!(found.value("contactsync_rate_limit_per_second", &[]), 15.0);
}

#[test]
fn files_of_two_jobs_lie_side_by_side() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    for name in ["one.prom", "o\"t\\her.prom"] {
        place.run(&["push", "--sandbox", "a.csv", "--metrics-file", name, "--rate", "unlimited"]).ends_with(0);
    }
    let (one, other) = (metrics(&place, "one.prom"), metrics(&place, "o\"t\\her.prom"));
    // A collector that finds two helps for one name takes neither.
    assert_eq!(one.families, other.families);
    assert!(one.samples.keys().all(|series| !other.samples.contains_key(series)));
    assert_eq!(other.label("contactsync_running", "sync").into_iter().next(), Some("o\"t\\her"));
    assert_eq!(one.value("contactsync_rate_limit_per_second", &[]), f64::INFINITY);
}

#[test]
fn one_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let push = |name: &str| place.run(&["push", "a.csv", "--report", "r.ndjson", "--metrics-file", name]).ends_with(2);
    push("no/a.prom").says("lies in a folder that isn't there");
    push(".").says("is a folder");
    push("a.csv").says("--metrics-file a.csv would overwrite the input a.csv");
    push("r.ndjson").says("--report and --metrics-file name the same file");
    if cfg!(target_os = "linux") {
        push("/sys/a.prom").says("the metrics file /sys/a.prom can't be written");
    }
    assert_eq!(service.record().stats().requests, 0);
    assert_eq!(place.read("a.csv"), users(3));
}

#[test]
fn one_that_cannot_be_written_later_is_told_once_and_stops_nothing() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    std::fs::create_dir(place.path("metrics")).unwrap();
    let arguments = ["push", "--sandbox", "a.csv", "-", "--metrics-file", "metrics/a.prom", "--report", "r.ndjson"];
    let mut running = Running::start(place.command(&arguments).stdin(Stdio::piped()));
    running.child().stdin.as_mut().unwrap().write_all(b"euid,email\n9,z@example.com\n").unwrap();
    running.until("the run has begun", || !place.read_if_there("r.ndjson").is_empty());
    std::fs::remove_dir_all(place.path("metrics")).unwrap();
    drop(running.child().stdin.take());
    let Ran { stderr, .. } = running.finish().ends_with(0);
    assert_eq!(stderr.matches("the metrics file metrics/a.prom can't be written").count(), 1, "{stderr}");
}

#[test]
fn a_disk_that_hangs_does_not_hold_the_end() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    // Whoever writes into it waits for a reader, who never comes.
    let pipe = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, place.path("a.prom"), pipe, rustix::fs::Mode::from_raw_mode(0o600), 0)
        .unwrap();
    let ran = place.run(&["push", "--sandbox", "a.csv", "--metrics-file", "a.prom"]).ends_with(0);
    ran.says("the metrics file a.prom could not be written in time");
}

#[test]
fn standard_output_gets_the_last_one() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let ran = place.run(&["push", "--sandbox", "a.csv", "--metrics-file", "-"]).ends_with(0).never_says(".prom");
    assert_eq!(Exposition::parse(&ran.stdout).value("contactsync_running", &[]), 0.0);
    let two = ["push", "--sandbox", "a.csv", "--metrics-file", "-", "--summary", "-"];
    place.run(&two).ends_with(2).says("can't both go to standard output");
    place.run(&["push", "--sandbox", "a.csv", "--metrics-file", "/dev/null"]).ends_with(0).never_says(".prom");
}

#[test]
fn a_name_that_no_collector_reads_is_warned_of() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    place.run(&["push", "--sandbox", "a.csv", "--metrics-file", "a.txt"]).ends_with(0).says("doesn't end in .prom");
    assert_eq!(metrics(&place, "a.txt").label("contactsync_running", "sync").into_iter().next(), Some("a.txt"));
}

#[test]
fn set_below_the_command_line_it_is_that_of_the_push_alone() {
    let place = Workplace::new().variable("CONTACTSYNC_METRICS_FILE", "night.prom");
    place.file("a.csv", users(3));
    place.run(&["verify", "--sandbox", "a.csv"]).ends_with(1);
    place.run(&["check", "a.csv"]).ends_with(0);
    place.run(&["push", "--sandbox", "--dry-run", "a.csv"]).ends_with(0);
    assert!(!place.exists("night.prom"));
    let push = place.run(&["push", "--sandbox", "a.csv", "--report", "r.ndjson"]).ends_with(0);
    assert!(place.exists("night.prom"));
    push.never_says("metrics");
    place.file("contactsync.toml", "metrics_file = \"/tmp/elsewhere.prom\"\n");
    place.run(&["push", "--sandbox", "a.csv"]).ends_with(2).says("may not set `metrics_file`");
}

#[cfg(not(feature = "otel"))]
#[test]
fn a_program_that_cannot_deliver_says_which_feature_it_lacks() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let push = ["push", "--sandbox", "a.csv", "--otlp-endpoint", "http://127.0.0.1:4318", "--report", "r.ndjson"];
    place.run(&push).ends_with(2).says("built without the feature `otel`").says("--features otel");
    assert!(!place.exists("r.ndjson"));
}
