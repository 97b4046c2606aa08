//! Rows keyed by ids of the organisation's own, sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    service::Service,
    support::{Ran, Workplace},
};

const BY: [&str; 2] = ["--identify-by", "user_id"];

/// A CSV of so many users, each once.
fn users(ids: impl IntoIterator<Item = u64>) -> String {
    let rows = ids.into_iter().map(|id| format!("crm-{id},user{id}@example.com\n"));
    std::iter::once("user_id,email\n".to_owned()).chain(rows).collect()
}

fn push(place: &Workplace, more: &[&str]) -> Ran {
    place.run(&[&["push", "a.csv", "--retries", "0"], more, &BY].concat())
}

/// The address that the service holds of each id, by the EUIDs of these records.
fn held(service: &Service, records: &[Value]) -> BTreeMap<String, String> {
    let contacts = service.record().contacts();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |record: &Value| {
        let euid = text(&record["euid"]).parse::<u64>().unwrap();
        (text(&record["id"]), text(&contacts[&euid]["email"]))
    };
    records.iter().filter(|record| record["outcome"] == "synced").map(of).collect()
}

#[test]
fn each_row_goes_to_the_user_of_its_id() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(1..=250));
    let ran = push(&place, &["--report", "r.ndjson", "--summary", "s.json"]).ends_with(0).never_says("crm-");
    let records = place.json_lines("r.ndjson");
    let held = held(&service, &records);
    assert_eq!(held.len(), 250, "{ran}");
    assert!((1..=250).all(|id| held[&format!("crm-{id}")] == format!("user{id}@example.com")));
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!((&summary["rows_read"], &summary["synced"]), (&json!(250), &json!(250)));
    assert!(summary["register_requests"].as_u64().unwrap() >= 3, "{summary}");
}

#[test]
fn a_resume_compares_ids() {
    let service = Service::with_faults(&["code=55004:0.5"]);
    let place = service.workplace();
    place.file("a.csv", users(1..=60));
    push(&place, &["--report", "r.ndjson", "--max-failures", "3"]).ends_with(4);
    let decided = place.json_lines("r.ndjson").len();
    assert!(decided < 60, "{decided}");
    service.set_faults::<&str>(&[]);
    // Rows changed places: bytes differ, and so do the ids of what is decided.
    let whole = place.read("a.csv");
    let mut lines: Vec<&str> = whole.lines().collect();
    lines.swap(1, 2);
    place.file("a.csv", lines.join("\n") + "\n");
    let refused =
        push(&place, &["--report", "r.ndjson", "--resume"]).ends_with(2).says("has another id than in the report");
    refused.never_says("crm-");
    place.file("a.csv", whole);
    let other = place.run(&[
        "push",
        "a.csv",
        "--identify-by",
        "anonymous_id",
        "--id-column",
        "user_id",
        "--report",
        "r.ndjson",
        "--resume",
    ]);
    other.ends_with(2).says("--identify-by: then user_id, now anonymous_id");
    push(&place, &["--report", "r.ndjson", "--resume"]).ends_with(1);
    let records = place.json_lines("r.ndjson");
    assert_eq!(records.len(), 60);
    let mut rows: Vec<u64> = records.iter().map(|record| record["row"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    assert_eq!(rows, (1..=60).collect::<Vec<_>>(), "each is decided once");
}

#[test]
fn what_failed_is_replayed_by_its_euid_or_its_id() {
    // A third of all requests fail, those that ask for EUIDs too.
    let service = Service::with_faults(&["status=502:0.3"]);
    let place = service.workplace();
    place.file("a.csv", users(1..=1_000));
    let options = ["--outage-wait", "0", "--max-failures", "none", "--report"];
    push(&place, &[&options[..], &["r.ndjson"]].concat()).ends_with(1);
    let records = place.json_lines("r.ndjson");
    let failed: Vec<&Value> = records.iter().filter(|record| record["outcome"] == "failed").collect();
    let without = failed.iter().filter(|record| record["euid"] == "").count();
    assert!(!failed.is_empty() && without < 1_000, "{} failed, {without} of them without an EUID", failed.len());
    service.set_faults::<&str>(&[]);
    if without > 0 {
        place.run(&["replay", "r.ndjson", "--report", "x.ndjson"]).ends_with(2).says("`--identify-by user_id`");
    }
    place.run(&["replay", "r.ndjson", "--report", "again.csv", BY[0], BY[1]]).ends_with(0);
    assert!(place.read("again.csv").starts_with("source,row,line,euid,id,outcome,"));
    let everyone: Vec<String> =
        service.record().contacts().values().map(|user| user["email"].as_str().unwrap().to_owned()).collect();
    assert_eq!(everyone.len(), 1_000);
    assert!((1..=1_000).all(|id| everyone.contains(&format!("user{id}@example.com"))));
    // What both reports say together: nothing is left to be sent.
    let again = place.run(&["replay", "r.ndjson", "again.csv", "--report", "none.ndjson", BY[0], BY[1]]).ends_with(0);
    again.says("0 rows");
    assert!(place.json_lines("none.ndjson").is_empty());
}

#[test]
fn too_many_new_ids_are_refused_before_any_is_asked_for() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(1..=100));
    let with_state = |limit: &str, report: &str| {
        push(&place, &["--state", "s", "--max-new-ids", limit, "--report", report, "--summary", "sum.json", "--force"])
    };
    with_state("99", "r1.ndjson").ends_with(2).says("100 ids are not known to the state, more than `--max-new-ids 99`");
    assert_eq!(service.record().stats().requests, 0, "nobody was asked for anything");
    with_state("100", "r2.ndjson").ends_with(0);
    // The same ids again, and a tenth more.
    place.file("a.csv", users(1..=110) + "crm-110,x@example.com\n");
    let before = service.record().stats().requests;
    with_state("9", "r3.ndjson").ends_with(2).says("10 ids are not known");
    with_state("9%", "r4.ndjson")
        .ends_with(2)
        .says("11 of 111 rows with an id have one that the state doesn't know (10 ids)");
    assert_eq!(service.record().stats().requests, before);
    let dry = push(&place, &["--state", "s", "--dry-run", "--summary", "dry.json"]).ends_with(0);
    dry.says("ids not known: 10, in 11 rows");
    let summary: Value = serde_json::from_str(&place.read("dry.json")).unwrap();
    assert_eq!(summary["ids_not_known"], json!({"rows": 11, "ids": 10}));
    assert_eq!((&summary["unchanged"], &summary["to_send"]), (&json!(100), &json!(11)));
    assert_eq!(service.record().stats().requests, before, "a dry run asks for no ids");
    with_state("10", "r5.ndjson").ends_with(0);
    let piped = place.run_with_stdin(
        &["push", "-", "--sandbox", BY[0], BY[1], "--state", "x", "--max-new-ids", "1", "--report", "p"],
        b"user_id,email\n",
    );
    piped.ends_with(2).says("--spool");
    let alone = place.run(&["push", "a.csv", "--dry-run", BY[0], BY[1]]).ends_with(0);
    alone.says("without a state no id is known, in 111 rows");
}

#[test]
fn what_landed_is_verified_by_the_ids_that_the_state_knows() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(1..=30));
    push(&place, &["--state", "s", "--report", "r.ndjson"]).ends_with(0);
    place.file("a.csv", users(1..=31));
    let verify = |report: &str| {
        place.run(&["verify", "a.csv", "--state", "s", "--settle", "0s", "--report", report, BY[0], BY[1]])
    };
    verify("v.ndjson").ends_with(1).never_says("crm-");
    let records = place.json_lines("v.ndjson");
    assert_eq!(records.len(), 31);
    for record in &records {
        let expected = if record["row"] == 31 { ("different", true) } else { ("landed", false) };
        assert_eq!((record["outcome"].as_str().unwrap(), record["euid"] == ""), expected);
        assert_eq!(record["id"], format!("crm-{}", record["row"]));
    }
    verify("v.csv").ends_with(1);
    assert!(place.read("v.csv").starts_with("source,row,line,euid,id,outcome,"));
    // What nobody was known for is asked for by a replay that may.
    place
        .run(&["replay", "v.ndjson", "--state", "s", "--report", "x.ndjson"])
        .ends_with(2)
        .says("`--identify-by user_id`");
    let again = ["replay", "v.ndjson", "--state", "s", "--report", "again.ndjson", BY[0], BY[1]];
    place.run(&again).ends_with(0);
    verify("w.ndjson").ends_with(0);
}
