//! Users that the state knows and no row had: counted, listed, and when to be careful with that.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Workplace, finish},
};

const NIGHT: [&str; 6] = ["push", "b.csv", "--state", "s.state", "--rate", "unlimited"];

/// A state that knows five users, of whom the next input has two.
fn two_of_five() -> (Service, Workplace) {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(5));
    place.file("b.csv", "euid,email\n1,user1@example.com\n4,new@example.com\n");
    let push = ["push", "a.csv", "--state", "s.state", "--rate", "unlimited", "--report", "a.ndjson"];
    place.run(&push).ends_with(0);
    (service, place)
}

fn night(place: &Workplace, arguments: &[&str]) -> Ran {
    let report = if arguments.contains(&"--report") { &[][..] } else { &["--report", "b.ndjson"] };
    place.run(&[&NIGHT[..], report, arguments].concat())
}

fn vanished(summary: &str) -> Value {
    serde_json::from_str::<Value>(summary).unwrap()["vanished"].clone()
}

#[test]
fn a_list_that_can_not_be_written_is_refused_before_anything_is_sent() {
    let (service, place) = two_of_five();
    let sent = service.record().stats().requests;
    for dry_run in [&[][..], &["--dry-run"]] {
        for (path, why) in [
            ("nodir/v.txt", "nodir/v.txt lies in a folder that isn't there"),
            (".", ". is a folder"),
            ("s.state", "--state and --report-vanished name the same file"),
            ("b.csv", "--report-vanished b.csv would overwrite the input b.csv"),
        ] {
            night(&place, &[dry_run, &["--report-vanished", path]].concat()).ends_with(2).says(why);
        }
        let both = [dry_run, &["--report-vanished", "-", "--summary", "-"]].concat();
        night(&place, &both).ends_with(2).says("can't both go to standard output");
    }
    assert_eq!(service.record().stats().requests, sent);
    assert!(!place.exists("b.ndjson"));
}

#[test]
fn a_state_is_a_file() {
    let (_service, place) = two_of_five();
    for command in [&["push", "b.csv"][..], &["push", "b.csv", "--dry-run"], &["replay", "a.ndjson"]] {
        place.run(&[command, &["--state", "-"]].concat()).ends_with(2).says("`--state`").says("standard output");
    }
    assert!(!place.exists("-"));
}

#[test]
fn a_list_goes_to_a_file_standard_output_or_a_pipe() {
    let (_service, place) = two_of_five();
    let ran = night(&place, &["--report-vanished", "v.txt"]).ends_with(0);
    ran.says("3 users that the state knows are in no row, listed in v.txt").never_says("--report-vanished lists them");
    assert_eq!(place.read("v.txt"), "2\n3\n5\n");
    for (report, to) in [("c.ndjson", "-"), ("d.ndjson", "/dev/stdout")] {
        let ran = night(&place, &["--report-vanished", to, "--report", report]).ends_with(0);
        assert_eq!(ran.stdout, "2\n3\n5\n", "{to}");
        assert!(!place.exists("-"));
    }
    // A reader that went away had enough.
    let arguments = [&NIGHT[..], &["--report-vanished", "-", "--report", "e.ndjson", "--summary", "s.json"]].concat();
    let mut child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    finish(child).ends_with(0);
    assert_eq!(vanished(&place.read("s.json")), 3);
}

#[test]
fn a_dry_run_lists_them_too() {
    let (service, place) = two_of_five();
    let sent = service.record().stats().requests;
    let ran = night(&place, &["--dry-run", "--report-vanished", "v.txt"]).ends_with(0);
    ran.says("3 users that the state knows are not in the input, listed in v.txt");
    assert_eq!(place.read("v.txt"), "2\n3\n5\n");
    assert_eq!(night(&place, &["--dry-run", "--report-vanished", "-"]).ends_with(0).stdout, "2\n3\n5\n");
    let part = ["--dry-run", "--report-vanished", "part.txt", "--limit", "1"];
    night(&place, &part).ends_with(0).says("--report-vanished: not every row");
    assert!(!place.exists("part.txt"));
    assert_eq!(service.record().stats().requests, sent);
}

#[test]
fn whose_euid_can_not_be_read_may_be_among_them() {
    let (_service, place) = two_of_five();
    for dry_run in [&["--dry-run"][..], &[]] {
        night(&place, dry_run).ends_with(0).never_says("readable");
        place.file("b.csv", "euid,email\n1,user1@example.com\n2.0E0,b@example.com\n,c@example.com\n4,\n");
        let said = "2 rows have no readable EUID: users counted or listed as vanished may be theirs";
        night(&place, &[dry_run, &["--report", "bad.ndjson"]].concat()).ends_with(1).says(said);
        place.file("b.csv", "euid,email\n1,user1@example.com\n4,new@example.com\n");
    }
    // Nobody has vanished.
    let whole = format!("{}x,x@example.com\n", users(5));
    place.file("b.csv", whole);
    night(&place, &["--report", "whole.ndjson"]).ends_with(1).never_says("readable");
}

/// A state that knows the users of three ids.
fn three_by_id() -> (Service, Workplace) {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "user_id,email\n101,a@example.com\n102,b@example.com\n103,c@example.com\n");
    let push = ["push", "a.csv", "--state", "s.state", "--report", "a.ndjson", "--identify-by", "user_id"];
    place.run(&push).ends_with(0);
    (service, place)
}

fn night_by_id(place: &Workplace, rows: &str, arguments: &[&str]) -> Ran {
    place.file("b.csv", format!("user_id,email\n{rows}"));
    let night = ["--identify-by", "user_id", "--report-vanished", "v.txt", "--retries", "0", "--report", "b.ndjson"];
    place.run(&[&NIGHT[..4], &night, arguments].concat())
}

const THEIRS: &str = "users counted or listed as vanished may be theirs";

#[test]
fn whose_id_is_refused_may_be_among_them() {
    let (_service, place) = three_by_id();
    let long = "x".repeat(300);
    for (rows, of_nobody) in [
        ("101.0,a@example.com\n102,b@example.com\n".to_owned(), 1),
        (format!(",a@example.com\n{long},b@example.com\n102,b@example.com\nx,y,z\n"), 3),
        // Not asked for, so that nobody knows whose it is.
        ("104,\n".to_owned(), 1),
    ] {
        for dry_run in [&["--dry-run"][..], &["--force"]] {
            let ran = night_by_id(&place, &rows, dry_run).ends_with(1);
            ran.says(&format!("{of_nobody} rows have no id whose user is known: {THEIRS}")).never_says("readable");
        }
    }
    // The rejected row is of a user who is known.
    for dry_run in [&["--dry-run"][..], &["--force"]] {
        let ran = night_by_id(&place, "101,\n102,b@example.com\n", dry_run).ends_with(1).never_says(THEIRS);
        assert_eq!(place.read("v.txt").lines().count(), 1, "{ran}");
    }
}

#[test]
fn whose_id_got_no_euid_may_be_among_them() {
    let (service, place) = three_by_id();
    service.set_faults(&["contact/code=55108:1.0", "register/code=55004:1.0"]);
    let rows = "101,aa@example.com\n102,bb@example.com\n103,cc@example.com\n";
    for _ in 0..2 {
        let ran = night_by_id(&place, rows, &["--force"]).ends_with(1);
        match place.read("v.txt").lines().count() {
            0 => {}
            _ => drop(ran.says(&format!("3 rows have no id whose user is known: {THEIRS}"))),
        }
    }
    assert_eq!(place.read("v.txt").lines().count(), 3, "nobody was seen");
    night_by_id(&place, rows, &["--resume"]).ends_with(1);
}

#[test]
fn a_dry_run_does_not_claim_whose_ids_it_does_not_know() {
    let (service, place) = three_by_id();
    let euids: Vec<u64> = service.record().contacts().into_keys().collect();
    // The same users, but the state has been told of them by their EUIDs.
    let rows: String =
        euids.iter().zip(["a", "b", "c"]).map(|(euid, who)| format!("{euid},{who}@example.com\n")).collect();
    place.file("euids.csv", format!("euid,email\n{rows}"));
    let push = ["push", "euids.csv", "--state", "new.state", "--report", "euids.ndjson"];
    place.run(&push).ends_with(0);
    let night = |more: &[&str]| {
        let night = ["push", "a.csv", "--state", "new.state", "--identify-by", "user_id", "--report-vanished", "v.txt"];
        place.run(&[&night[..], &["--report", "b.ndjson", "--summary", "s.json"], more].concat()).ends_with(0)
    };
    let ran = night(&["--dry-run"])
        .says(&format!("3 rows have an id that the state doesn't know, and a dry run doesn't ask: {THEIRS}"));
    ran.says("3 users that the state knows have no row with an id that it knows");
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!(summary["names"]["email"]["new"], 0, "{summary}");
    assert_eq!(summary["names"]["email"]["unknown"], 3, "{summary}");
    night(&[]).never_says(THEIRS);
    assert_eq!(place.read("v.txt"), "");
}

#[test]
fn a_run_that_is_finished_keeps_the_figure() {
    let (_service, place) = two_of_five();
    let resume = ["--resume", "--summary", "s.json", "--report-vanished", "v.txt"];
    night(&place, &resume).ends_with(0);
    assert_eq!(vanished(&place.read("s.json")), 3);
    std::fs::remove_file(place.path("v.txt")).unwrap();
    let again = night(&place, &resume).ends_with(0).says("this run finished at");
    again.says("--report-vanished: nothing is listed").says("3 users that the state knows");
    assert_eq!(vanished(&place.read("s.json")), 3);
    assert!(!place.exists("v.txt"));
    // One of an earlier version doesn't say it.
    let mut run: Value = serde_json::from_str(&place.read("b.ndjson.run")).unwrap();
    assert_eq!(run["finished"].as_object_mut().unwrap().remove("vanished"), Some(json!(3)));
    place.file("b.ndjson.run", run.to_string());
    night(&place, &resume).ends_with(0).says("this run finished at");
    assert_eq!(vanished(&place.read("s.json")), Value::Null);
}
