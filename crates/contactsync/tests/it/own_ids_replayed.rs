//! Replays of rows keyed by ids: never an old value over a new one, and never another user's contacts.

use serde_json::Value;

use crate::{
    service::Service,
    support::{Ran, Workplace},
};

const BY: [&str; 2] = ["--identify-by", "user_id"];
const AT_ONCE: [&str; 4] = ["--retries", "0", "--outage-wait", "0"];

fn run(place: &Workplace, command: &str, input: &str, more: &[&str]) -> Ran {
    place.run(&[&[command, input][..], &AT_ONCE, &BY, more].concat())
}

fn euid_of(place: &Workplace, report: &str) -> u64 {
    let records = place.json_lines(report);
    records[0]["euid"].as_str().unwrap().parse().unwrap()
}

fn email(service: &Service, euid: u64) -> Value {
    service.record().contacts()[&euid]["email"].clone()
}

#[test]
fn a_row_without_euid_is_too_old_where_its_user_was_set_since() {
    let service = Service::with_faults(&["register/drop:1.0"]);
    let place = service.workplace();
    place.file("old.csv", "user_id,email\nA,old@example.com\n");
    place.file("new.csv", "user_id,email\nA,new@example.com\n");
    run(&place, "push", "old.csv", &["--state", "s", "--report", "old.ndjson"]).ends_with(1);
    assert_eq!(place.json_lines("old.ndjson")[0]["euid"], "");
    service.set_faults::<&str>(&[]);
    run(&place, "push", "new.csv", &["--state", "s", "--report", "new.ndjson"]).ends_with(0);
    let euid = euid_of(&place, "new.ndjson");
    let replayed = run(&place, "replay", "old.ndjson", &["--state", "s", "--report", "again.ndjson"]).ends_with(0);
    replayed.says("1 failed or differed and were left alone");
    assert_eq!(email(&service, euid), "new@example.com");
    // The same where another id turns out to be that user's, by what the reports say.
    place.file("other.csv", "user_id,email\nA,old@example.com\n");
    service.set_faults(&["register/drop:1.0"]);
    run(&place, "push", "other.csv", &["--report", "failed.ndjson"]).ends_with(1);
    service.set_faults::<&str>(&[]);
    place.file("later.csv", format!("euid,email\n{euid},later@example.com\n"));
    place.run(&["push", "later.csv", "--report", "later.ndjson"]).ends_with(0);
    let both = ["--report", "both.ndjson", "later.ndjson", "--summary", "both.json"];
    run(&place, "replay", "failed.ndjson", &both).ends_with(0);
    assert_eq!(email(&service, euid), "later@example.com");
    let summary: Value = serde_json::from_str(&place.read("both.json")).unwrap();
    assert_eq!((&summary["superseded"], &summary["synced"]), (&1.into(), &0.into()));
    assert_eq!(summary["register_requests"], 1, "its user had to be asked for");
}

#[test]
fn euids_of_another_project_or_kind_are_left_alone() {
    let there = Service::with_faults(&[]);
    // There the EUID is obtained, and the row fails.
    there.set_faults(&["contact/code=-1:1.0"]);
    let place = there.workplace();
    place.file("a.csv", "user_id,email\nA,a@example.com\n");
    run(&place, "push", "a.csv", &["--report", "there.ndjson"]).ends_with(1);
    assert!(euid_of(&place, "there.ndjson") > 0, "an EUID was obtained");
    let here = Service::with_faults(&[]);
    let url = here.url();
    let at_here = ["--base-url", url.as_str(), "--state", "s"];
    let replay = |report: &str, own: &str, kind: &'static str| {
        place.run(&[&["replay", report, "--report", own, "--identify-by", kind][..], &AT_ONCE, &at_here].concat())
    };
    let unasked = ["replay", "there.ndjson", "--report", "x.ndjson", "--base-url", url.as_str()];
    place.run(&unasked).ends_with(2).says("other users' here").says("`--identify-by user_id`");
    replay("there.ndjson", "here.ndjson", "user_id").ends_with(0);
    assert_eq!(here.record().stats().register_requests, 1, "its id is asked for");
    let asked = here.record().id("user_id", "A").unwrap().euid;
    assert_eq!(asked, Some(euid_of(&place, "here.ndjson")), "and goes to whom it is here");
    // A report that nothing lies beside proves nothing: not of which kind its ids are.
    std::fs::copy(place.path("there.ndjson"), place.path("moved.ndjson")).unwrap();
    replay("moved.ndjson", "moved-again.ndjson", "anonymous_id").ends_with(0);
    assert!(here.record().id("anonymous_id", "A").is_some(), "it was asked for as what it is said to be");
}

#[test]
fn a_verify_by_ids_needs_the_state_that_knows_them() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "user_id,email\nA,a@example.com\n");
    let refused = run(&place, "verify", "a.csv", &["--state", "nosuch", "--report", "v.ndjson"]).ends_with(2);
    refused.says("there is no state").says("whose the ids are");
    assert!(!place.exists("v.ndjson") && !place.exists("nosuch"));
}

/// An outage night decides nothing; by the time it is resumed a newer night may have run over the same state.
#[test]
fn a_run_that_decided_nothing_is_older_than_what_was_set_since() {
    for by_id in [false, true] {
        let service = Service::with_faults(&["drop:1.0"]);
        let place = service.workplace();
        let (key, by): (_, &[&str]) = if by_id { ("user_id", &BY) } else { ("euid", &[]) };
        place.file("night.csv", format!("{key},email\n7,old@example.com\n"));
        place.file("next.csv", format!("{key},email\n7,new@example.com\n"));
        let push = |input: &str, report: &str, more: &[&str]| {
            let quick = ["--retry-base", "1ms", "--retry-cap", "10ms", "--outage-wait", "100ms", "--state", "s"];
            place.run(&[&["push", input, "--report", report][..], &quick, by, more].concat())
        };
        push("night.csv", "night.ndjson", &[]).ends_with(6);
        assert!(place.json_lines("night.ndjson").is_empty(), "nothing was decided");
        service.set_faults::<&str>(&[]);
        push("next.csv", "next.ndjson", &[]).ends_with(0);
        let euid = euid_of(&place, "next.ndjson");
        push("night.csv", "night.ndjson", &["--resume"])
            .ends_with(2)
            .says("another run over the same state has since set");
        assert_eq!(email(&service, euid), "new@example.com", "by id: {by_id}");
        // The export of another night under that name is a run of its own.
        place.file("night.csv", format!("{key},email\n7,newest@example.com\n"));
        push("night.csv", "night.ndjson", &["--resume"]).ends_with(0);
        assert_eq!(email(&service, euid), "newest@example.com");
    }
}
