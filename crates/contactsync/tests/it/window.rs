//! The time window: `--until` and `--max-duration`.

use std::{
    process::Stdio,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

/// Attempts under way are cut off at once.
const PUSH: [&str; 9] = ["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--resume", "--grace", "1ms"];

fn summary(place: &Workplace) -> Value {
    serde_json::from_str(&place.read("s.json")).unwrap()
}

/// Seconds since 1970, so many from now.
fn in_seconds(seconds: i64) -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + seconds
}

#[test]
fn a_window_ends_a_run_as_any_other_stop_and_another_one_goes_on() {
    let hung = Service::with_faults(&["hang:1"]);
    let answers = Service::with_faults(&[]);
    for (option, said) in [("--max-duration", "(--max-duration)"), ("--until", "(--until)")] {
        let end = if option == "--until" { point_in_time(in_seconds(5)) } else { "1s".to_owned() };
        let place = hung.workplace();
        place.file("a.csv", users(50));
        let ran = place.run(&[&PUSH[..], &[option, &end]].concat()).ends_with(7).says("stopped: ").says(said);
        let counts = summary(&place);
        assert_eq!((&counts["stopped_by"], &counts["exit_code"]), (&json!("time"), &json!(7)), "{ran}");
        assert_eq!((&counts["failed"], &counts["not_sent"]), (&json!(0), &counts["rows_read"]), "{ran}");
        // The command to go on with has no window that is over already.
        let step = ran.stderr.lines().find(|line| line.starts_with("to go on: ")).unwrap();
        assert!(step.contains("--resume") && !step.contains("--until"), "{step}");
        let place = place.variable("ENGAGELAB_MA_BASE_URL", &answers.url());
        place.run(&[&PUSH[..], &["--max-duration", "1h"]].concat()).ends_with(0);
        assert_eq!(summary(&place)["synced"], 50);
    }
    // A window decides nothing about what is sent.
    let place = answers.workplace();
    place.file("a.csv", users(50));
    place.run(&[&PUSH[..], &["--limit", "50", "--max-duration", "1d"]].concat()).ends_with(0);
    place.run(&[&PUSH[..], &["--limit", "50", "--until", &in_one_hour()]].concat()).ends_with(0).says("nothing left");
}

fn point_in_time(seconds: i64) -> String {
    let date = ["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"];
    let said = std::process::Command::new("date").args(date).output().unwrap();
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// A time of the day in UTC.
fn time_of_day(seconds: i64) -> String {
    let of_day = seconds.rem_euclid(86_400);
    format!("{:02}:{:02}", of_day / 3_600, of_day % 3_600 / 60)
}

fn in_one_hour() -> String {
    time_of_day(in_seconds(3_600))
}

#[test]
fn a_window_that_is_over_sends_nothing_and_leaves_a_summary_that_says_so() {
    let service = Service::with_faults(&[]);
    let place = service.workplace().variable("TZ", "UTC");
    place.file("a.csv", users(3));
    // As a job that began late: not until tomorrow.
    let minutes_ago = time_of_day(in_seconds(-120));
    place.file("s.json", "of the night before");
    place.run(&[&PUSH[..], &["--until", &minutes_ago]].concat()).ends_with(7).says("nothing was sent");
    let counts = summary(&place);
    assert_eq!((&counts["stopped_by"], &counts["exit_code"]), (&json!("time"), &json!(7)));
    assert_eq!((&counts["rows_read"], &counts["not_sent"]), (&json!(0), &json!(0)));
    place.run(&[&PUSH[..], &["--until", "2020-01-01T00:00:00Z"]].concat()).ends_with(2).says("is past");
    place.run(&[&PUSH[..], &["--until", "6 o'clock"]].concat()).ends_with(2).says("as 06:00");
    place.run(&[&PUSH[..], &["--max-duration", "0s"]].concat()).ends_with(2).says("more than 0");
    assert!(!place.exists("r.ndjson") && service.record().stats().requests == 0);
    place.run(&[&PUSH[..], &["--until", &in_one_hour()]].concat()).ends_with(0);
    // What is finished ends as it ended.
    place.run(&[&PUSH[..], &["--until", &minutes_ago]].concat()).ends_with(0).says("nothing left to send");
}

#[test]
fn a_window_ends_also_while_an_input_is_waited_for_before_sending_and_while_sending_is_held() {
    let place = Workplace::new();
    let push = ["push", "--sandbox", "-", "--report", "r.ndjson", "--max-duration", "100ms"];
    let running = Running::start(place.command(&push).stdin(Stdio::piped()));
    running.finish().ends_with(7).says("stopped before the first request: the run has taken 100ms (--max-duration)");
    assert!(!place.exists("r.ndjson"));

    let nobody = place
        .variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9")
        .variable("ENGAGELAB_MA_API_KEY", "k")
        .variable("ENGAGELAB_MA_API_SECRET", "s");
    nobody.file("a.csv", users(100));
    let options = ["--max-duration", "1s", "--retry-base", "1ms", "--retry-cap", "5ms", "--rate", "unlimited"];
    nobody.run(&[&PUSH[..], &options].concat()).ends_with(7);
    let counts = summary(&nobody);
    assert_eq!((&counts["stopped_by"], &counts["not_sent"]), (&json!("time"), &json!(100)), "{counts}");
}

#[test]
fn a_replay_has_a_window_too() {
    let place = Workplace::new().variable("TZ", "UTC");
    place.file("a.csv", users(5));
    let fails = ["push", "--sandbox", "a.csv", "--report", "r.ndjson", "--retries", "0"];
    place.run(&[&fails[..], &["--sandbox-fault", "code=-1:1", "--outage-wait", "0"]].concat()).ends_with(1);
    let replay = ["replay", "--sandbox", "r.ndjson", "--report", "2.ndjson", "--summary", "s.json", "--grace", "1ms"];
    let hangs = ["--sandbox-fault", "hang:1", "--max-duration", "500ms"];
    place.run(&[&replay[..], &hangs].concat()).ends_with(7).says("to go on: ");
    assert_eq!(summary(&place)["not_sent"], 5);
    let over = ["--resume", "--until", &time_of_day(in_seconds(-120))];
    place.run(&[&replay[..], &over].concat()).ends_with(7).says("nothing was sent");
    assert_eq!((&summary(&place)["stopped_by"], &summary(&place)["exit_code"]), (&json!("time"), &json!(7)));
    place.run(&[&replay[..], &["--resume"]].concat()).ends_with(0);
}
