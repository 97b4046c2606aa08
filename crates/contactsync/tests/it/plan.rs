//! The plan: `--dry-run`, and the limits that are judged before anything is sent.

use std::{fs::OpenOptions, io::Write, process::Stdio};

use flate2::{Compression, write::GzEncoder};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace},
};

const CLEARS: [&str; 2] = ["--empty", "clear"];

/// So many valid rows, of which the first so many clear a contact.
fn clearing(rows: u64, clears: u64) -> String {
    let row = |euid| if euid <= clears { format!("{euid},\n") } else { format!("{euid},user{euid}@example.com\n") };
    std::iter::once("euid,email\n".to_owned()).chain((1..=rows).map(row)).collect()
}

fn push(place: &Workplace, arguments: &[&str]) -> Ran {
    place.run(&[&["push", "--report", "r.ndjson", "--force", "--rate", "unlimited"], arguments].concat())
}

fn plan(place: &Workplace, arguments: &[&str]) -> Ran {
    place.run(&[&["push", "--dry-run", "--summary", "-"], arguments].concat())
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Runs the same as a push and as a dry run: both end so, and a push that is refused has sent and begun nothing.
fn both(service: &Service, place: &Workplace, arguments: &[&str], status: i32) -> [Ran; 2] {
    let before = service.record().stats().requests;
    let planned = plan(place, arguments).ends_with(status);
    assert_eq!(service.record().stats().requests, before, "a dry run sends nothing\n{planned}");
    let pushed = push(place, arguments).ends_with(status);
    let has_sent = service.record().stats().requests > before;
    assert_eq!(has_sent, status != 2, "{pushed}");
    assert_eq!(place.exists("r.ndjson"), status != 2, "{pushed}");
    let _ = std::fs::remove_file(place.path("r.ndjson"));
    [planned, pushed]
}

#[test]
fn clears_are_limited_exactly_at_the_border() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    for (rows, clears, limit, status) in [
        // One in a hundred is let through where nothing is said.
        (200, 2, &[][..], 0),
        (200, 3, &[], 2),
        (199, 2, &[], 2),
        (99, 0, &[], 0),
        (99, 1, &[], 2),
        (10, 5, &["--max-clears", "5"], 0),
        (10, 6, &["--max-clears", "5"], 2),
        (10, 0, &["--max-clears", "0"], 0),
        (10, 1, &["--max-clears", "0"], 2),
        (1_000, 7, &["--max-clears", "0.7%"], 0),
        (1_000, 8, &["--max-clears", "0.7%"], 2),
        (10, 10, &["--max-clears", "100%"], 0),
        (10, 10, &["--max-clears", "none"], 0),
    ] {
        place.file("a.csv", clearing(rows, clears));
        for ran in both(&service, &place, &[&["a.csv"], &CLEARS[..], limit].concat(), status) {
            if status == 2 {
                let limit = limit.last().unwrap_or(&"1%");
                ran.says(&format!(
                    "{clears} of {rows} valid rows would clear a contact (\"email\" {clears}), more than `--max-clears {limit}`"
                ))
                .says("nothing was sent")
                .says("hint: a column that lost its values");
            }
        }
    }
    // What isn't sent clears nothing.
    push(&place, &["a.csv", "--max-clears", "0"]).ends_with(1).says("no_contacts");
}

#[test]
fn rejected_rows_and_rows_left_out_are_in_no_share_of_clears() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rejected = "x,bad@example.com\n".repeat(100);
    place.file("a.csv", clearing(100, 1) + &rejected);
    both(&service, &place, &["a.csv", "--empty", "clear", "--fail-on", "none"], 0);
    place.file("a.csv", clearing(99, 1) + &rejected);
    for ran in both(&service, &place, &["a.csv", "--empty", "clear"], 2) {
        ran.says("1 of 99 valid rows");
    }
    both(&service, &place, &["a.csv", "--empty", "clear", "--skip", "1", "--limit", "5"], 0);
    for ran in both(&service, &place, &["a.csv", "--empty", "clear", "--limit", "50"], 2) {
        ran.says("1 of 50 valid rows");
    }
}

/// Inputs together, compressed or not, and by name of the contact.
#[test]
fn all_inputs_count_together_and_the_contacts_are_named() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv.gz", gzip(&clearing(150, 1)));
    let row = |euid: u64| json!({"euid": euid, "contacts": {"note": if euid == 1_000 { "" } else { "x" }}}).to_string();
    place.file("b.ndjson", (1_000..1_050).map(row).collect::<Vec<_>>().join("\n"));
    let inputs = ["a.csv.gz", "b.ndjson", "--empty", "clear"];
    both(&service, &place, &inputs, 0);
    for ran in both(&service, &place, &[&inputs[..], &["--max-clears", "1"]].concat(), 2) {
        ran.says("2 of 200 valid rows would clear a contact (\"email\" 1, \"note\" 1), more than `--max-clears 1`");
    }
}

#[test]
fn too_few_rows_are_refused() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(6) + "x,rejected@example.com\n");
    place.file("b.csv.gz", gzip(&users(3)));
    let inputs = ["a.csv", "b.csv.gz", "--fail-on", "none"];
    both(&service, &place, &[&inputs[..], &["--min-rows", "10"]].concat(), 0);
    for ran in both(&service, &place, &[&inputs[..], &["--min-rows", "11"]].concat(), 2) {
        ran.says("the input has 10 rows, fewer than the 11 of `--min-rows`")
            .says("hint: see whether the export is whole");
    }
    // An export is no smaller because only a part of it is taken.
    both(&service, &place, &[&inputs[..], &["--min-rows", "10", "--skip", "2", "--limit", "1"]].concat(), 0);
    both(&service, &place, &[&inputs[..], &["--min-rows", "11", "--skip", "2", "--limit", "1"]].concat(), 2);
    // Two limits are told together.
    place.file("a.csv", clearing(5, 5));
    for ran in both(&service, &place, &["a.csv", "--empty", "clear", "--min-rows", "6"], 2) {
        ran.says("fewer than the 6").says("5 of 5 valid rows would clear");
    }
}

#[test]
fn what_needs_a_state_says_so() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    for (options, what) in [
        (["--min-rows", "90%"], "`--min-rows 90%` needs `--state`"),
        (["--max-changes", "5%"], "`--max-changes` needs `--state`"),
    ] {
        for command in [&["push", "a.csv", "--sandbox"][..], &["push", "a.csv", "--dry-run"]] {
            place.run(&[command, &options[..]].concat()).ends_with(2).says(what);
        }
    }
}

#[test]
fn what_can_be_read_only_once_needs_a_copy() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rows = clearing(200, 3);
    for (options, option, otherwise) in [
        (&CLEARS[..], "--max-clears", "say `--max-clears none`"),
        (&["--min-rows", "1"], "--min-rows", "leave the option out"),
    ] {
        for command in [&["push", "-", "--report", "r.ndjson"][..], &["push", "-", "--dry-run"]] {
            let ran = place.run_with_stdin(&[command, options].concat(), rows.as_bytes()).ends_with(2);
            ran.says(&format!("- can be read only once, and `{option}` looks at the whole input"))
                .says("`--spool`")
                .says(otherwise);
        }
    }
    let push = ["push", "-", "--report", "r.ndjson", "--rate", "unlimited", "--spool"];
    let ran = place.run_with_stdin(&[&push[..], &CLEARS].concat(), rows.as_bytes()).ends_with(2);
    ran.says("3 of 200 valid rows");
    assert_eq!(service.record().stats().requests, 0);
    assert!(!place.exists("r.ndjson"));
    let spooled = [&push[..], &CLEARS, &["--max-clears", "3", "--min-rows", "200"]].concat();
    place.run_with_stdin(&spooled, rows.as_bytes()).ends_with(0);
    assert_eq!(service.record().stats().requests, 200, "each row is sent once");
    // Without a limit nothing is read twice, and a plan alone never is.
    let once = ["push", "-", "--report", "s.ndjson", "--rate", "unlimited", "--empty", "clear", "--max-clears", "none"];
    place.run_with_stdin(&once, rows.as_bytes()).ends_with(0);
    let planned =
        place.run_with_stdin(&[&once[..], &["--dry-run", "--summary", "-"]].concat(), rows.as_bytes()).ends_with(0);
    assert_eq!((&planned.json()["to_send"], &planned.json()["clears"]), (&json!(200), &json!(3)));
}

#[test]
fn a_dry_run_says_what_would_be_sent_and_leaves_nothing() {
    // No credentials, no address that anybody listens at.
    let place = Workplace::new().variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9");
    place.file(
        "a.csv",
        "euid,email,mobile_phone\n1,a@example.com,\n2,b@example.com,+12025550102\nx,c@example.com,\n1,d@example.com,\n",
    );
    let files = || std::fs::read_dir(place.path("")).unwrap().count();
    let before = files();
    let ran = plan(&place, &["a.csv", "--rate", "30/m", "--empty", "clear", "--max-clears", "2"]).ends_with(1);
    let mut summary = ran.json();
    for time in ["elapsed_seconds", "rows_per_second"] {
        assert!(summary.as_object_mut().unwrap().remove(time).unwrap().is_number());
    }
    let count = |new: u64, cleared: u64| json!({"new": new, "changed": 0, "cleared": cleared, "unknown": 0});
    let expected = json!({
        "rows_read": 4, "valid": 3, "rejected": 1, "reasons": {"euid_invalid": 1}, "exit_code": 1, "resumed_rows": 0,
        "unchanged": 0, "to_send": 3, "clears": 2, "vanished": null, "seconds_at_rate": 6.0, "target": "http://127.0.0.1:9",
        "names": {"email": count(3, 0), "mobile_phone": count(1, 2)},
    });
    assert_eq!(summary, expected);
    ran.says("a.csv row 3 (line 4): euid_invalid: ")
        .says("  to send               3   75.0 %\n")
        .says("2 rows would clear a contact\n")
        .says("at 30 requests a minute it takes 6.0 s at least\n")
        .says("target: http://127.0.0.1:9; this was a dry run, and nothing was sent")
        .never_says("@example.com");
    assert_eq!(files(), before, "nothing is left behind");
    place.run(&["push", "a.csv", "--dry-run", "--fail-on", "failed"]).ends_with(0);
    place
        .run(&["push", "a.csv", "--dry-run", "--sandbox", "--rate", "unlimited"])
        .ends_with(1)
        .says("target: sandbox;");
    place.run(&["push", "absent.csv", "--dry-run"]).ends_with(2).says("absent.csv");
    // The plan is shown also where a limit would refuse it.
    let ran = plan(&place, &["a.csv", "--min-rows", "5"]).ends_with(2);
    assert_eq!((&ran.json()["exit_code"], &ran.json()["to_send"]), (&json!(2), &json!(3)));
    assert!(ran.stderr.find("  to send ") < ran.stderr.find("error: the input has 4 rows"), "{ran}");
}

#[test]
fn a_dry_run_of_a_resume_says_what_is_left() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place.file("a.csv", users(200) + "x,rejected@example.com\n");
    let run = ["push", "a.csv", "--report", "r.ndjson", "--rate", "unlimited"];
    place.run(&[&run[..], &["--limit", "200", "--max-failures", "20", "--in-flight", "1"]].concat()).ends_with(4);
    let decided = place.json_lines("r.ndjson").len();
    assert!((1..200).contains(&decided));
    let report = place.read("r.ndjson");
    let resume = [&run[..], &["--resume", "--dry-run", "--summary", "-"]].concat();
    place.run(&resume).ends_with(2).says("--limit: then 200, now ");
    let ran = place.run(&[&resume[..], &["--limit", "200"]].concat()).ends_with(0);
    let summary = ran.json();
    assert_eq!((&summary["rows_read"], &summary["resumed_rows"]), (&json!(200), &json!(decided)));
    assert_eq!(summary["to_send"], json!(200 - decided));
    assert_eq!(place.read("r.ndjson"), report, "the report is as it was");
    // Where there is no report yet all is left.
    let ran = plan(&place, &["a.csv", "--report", "new.ndjson", "--resume"]).ends_with(1);
    assert_eq!(ran.json()["to_send"], 200);
    assert!(!place.exists("new.ndjson"));
}

/// Rows that were let through once are not held against a limit again; those that come to them are.
#[test]
fn a_resume_is_judged_by_what_is_left() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place.file("a.csv", clearing(100, 10));
    let run = [
        "push",
        "a.csv",
        "--report",
        "r.ndjson",
        "--resume",
        "--empty",
        "clear",
        "--in-flight",
        "1",
        "--rate",
        "unlimited",
    ];
    place.run(&[&run[..], &["--max-clears", "10", "--max-failures", "5"]].concat()).ends_with(4);
    let left = 10 - place.json_lines("r.ndjson").len();
    assert!((1..10).contains(&left));
    let report = place.read("r.ndjson");
    let fewer = (left - 1).to_string();
    let ran = place.run(&[&run[..], &["--max-clears", &fewer]].concat()).ends_with(2);
    ran.says(&format!("{left} of 100 valid rows would clear a contact")).says("nothing was sent");
    assert_eq!(place.read("r.ndjson"), report, "the report is as it was");
    place.run(&[&run[..], &["--max-clears", &left.to_string()]].concat()).ends_with(1);
    assert_eq!(place.json_lines("r.ndjson").len(), 100);
}

#[test]
fn an_input_that_breaks_off_is_never_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let packed = gzip(&clearing(20_000, 3));
    place.file("a.csv.gz", &packed[..packed.len() / 2]);
    for ran in [
        push(&place, &["a.csv.gz", "--empty", "clear"]),
        push(&place, &["a.csv.gz", "--min-rows", "1"]),
        place.run(&["push", "--dry-run", "a.csv.gz"]),
    ] {
        ran.ends_with(5).says("a.csv.gz");
    }
    assert_eq!(service.record().stats().requests, 0);
    assert!(!place.exists("r.ndjson"));
}

#[test]
fn a_signal_ends_a_dry_run_at_once() {
    let place = Workplace::new();
    rustix::fs::mknodat(rustix::fs::CWD, place.path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let push = ["push", "fifo", "--dry-run", "--summary", "s.json"];
    let mut running = Running::start(place.command(&push).stdin(Stdio::null()));
    let mut pipe = OpenOptions::new().write(true).open(place.path("fifo")).unwrap();
    // More than the pipe holds: it reads.
    pipe.write_all(users(50_000).as_bytes()).unwrap();
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
    assert!(!place.exists("s.json"));
}
