//! What a push needs, looked at without sending a contact.

use rustix::process::Signal;

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

#[test]
fn where_all_is_well_every_line_says_so_and_nothing_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(1_000));
    let ran = place.run(&["doctor", "a.csv", "--report", "r.ndjson"]).ends_with(0).never_says("sandbox-secret");
    assert!(ran.stdout.lines().all(|line| line.starts_with("ok    ")), "{ran}");
    for expected in [
        "configuration",
        "credentials",
        "key from the environment variable ENGAGELAB_MA_API_KEY",
        "127.0.0.1 is known, addresses: 1",
        "it answers (HTTP ",
        "can be written to",
        "for some 1001 rows",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{ran}");
    }
    assert!(!place.exists("r.ndjson") && service.record().stats().euids == 0);
    place.run(&["doctor", "--sandbox"]).ends_with(0);
}

#[test]
fn what_is_wrong_is_named_with_what_to_do_and_the_first_fault_decides() {
    let nothing = Workplace::new().variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9");
    let ran = nothing.run(&["doctor", "--report", "no/such/r.ndjson", "absent.csv"]).ends_with(2);
    for expected in [
        "FAIL  credentials    no credentials",
        "to try without credentials: `--sandbox`",
        "FAIL  connection ",
        "FAIL  report         no/such can't be written to",
    ] {
        assert!(ran.stdout.contains(expected), "{expected}\n{ran}");
    }
    let place =
        Workplace::new().variable("ENGAGELAB_MA_API_KEY", "k").variable("ENGAGELAB_MA_API_SECRET", "hidden-word");
    let unknown = ["doctor", "--base-url", "https://no-such-host.invalid"];
    let ran = place.run(&unknown).ends_with(6).never_says("hidden-word");
    assert!(ran.stdout.contains("FAIL  name           no-such-host.invalid can't be looked up"), "{ran}");
    let plain = place.run(&["doctor", "--base-url", "http://example.com"]).ends_with(2);
    assert!(plain.stdout.contains("FAIL  target ") && plain.stdout.contains("--allow-insecure-http"), "{plain}");
}

#[test]
fn a_pipe_or_a_device_is_neither_opened_nor_taken_for_a_folder() {
    let place = Workplace::new();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        place.path("pipe.ndjson"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    for report in ["pipe.ndjson", "/dev/null"] {
        let ran = place.run(&["doctor", "--sandbox", "--report", report]).ends_with(0);
        let line = format!("ok    report         {report} is a pipe or a device: no such report can be resumed");
        assert!(ran.stdout.contains(&line) && !ran.stdout.contains("room"), "{ran}");
    }
    place.file("folder/a", "");
    let ran = place.run(&["doctor", "--sandbox", "--report", "folder"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  report         folder is a folder"), "{ran}");
}

#[test]
fn a_report_that_another_run_writes_is_noticed() {
    let service = Service::with_faults(&["hang:1"]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    let mut running = Running::start(&mut place.command(&["push", "a.csv", "--report", "r.ndjson"]));
    running.until("a request is under way", || service.record().stats().requests > 0);
    let ran = place.run(&["doctor", "--report", "r.ndjson"]).ends_with(2);
    assert!(ran.stdout.contains("FAIL  report         another run is writing r.ndjson"), "{ran}");
    running.signal(Signal::KILL);
    running.finish();
    let ran = place.run(&["doctor", "--report", "r.ndjson"]).ends_with(0);
    assert!(ran.stdout.contains("ok    report         r.ndjson exists, of a run: go on with `--resume`"), "{ran}");
}
