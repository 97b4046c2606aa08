//! `--empty clear`: empty values are sent, and clear what is there.

use std::collections::BTreeMap;

use sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::{
    service::Service,
    support::{Ran, Workplace},
};

const CLEAR: [&str; 6] = ["--empty", "clear", "--max-clears", "none", "--rate", "unlimited"];

fn push(place: &Workplace, arguments: &[&str]) -> Ran {
    place.run(&[&["push", "--report", "r.ndjson", "--force"], &CLEAR[..], arguments].concat())
}

/// The names of the contacts that the service holds, by user.
fn held(service: &Service) -> BTreeMap<u64, Vec<String>> {
    let contacts = service.record().contacts();
    contacts.into_iter().map(|(euid, contacts)| (euid, contacts.keys().cloned().collect())).collect()
}

/// What the last request of a user asked for.
fn asked(service: &Service, euid: u64) -> Value {
    json!(service.record().requests(euid).pop().unwrap().contacts)
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Six users with an address and a phone.
fn filled() -> (Service, Workplace) {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let row = |euid| format!("{euid},user{euid}@example.com,+1202555010{euid}\n");
    place.file(
        "all.csv",
        std::iter::once("euid,email,mobile_phone\n".to_owned()).chain((1..=6).map(row)).collect::<String>(),
    );
    push(&place, &["all.csv"]).ends_with(0);
    assert_eq!(held(&service).len(), 6);
    assert!(held(&service).values().all(|held| *held == ["email", "mobile_phone"]));
    (service, place)
}

#[test]
fn empty_values_clear_and_missing_ones_never_do() {
    let (service, place) = filled();
    place.file("a.csv", "euid,email,mobile_phone\n1,,+12025550101\n2,\" \",\n3,-,+12025550103\n4,user4@example.com\n");
    let nested =
        [r#"{"euid":5,"contacts":{"email":null}}"#, r#"{"euid":6,"mobile_phone":""}"#, r#"{"euid":6,"contacts":{}}"#];
    place.file("b.ndjson", nested.join("\n"));
    let ran = push(&place, &["a.csv", "b.ndjson", "--flexible", "--null", "-"]).ends_with(1);
    let expected = [(1, &["mobile_phone"][..]), (2, &[]), (3, &["mobile_phone"]), (4, &["email", "mobile_phone"])];
    let expected = expected.into_iter().chain([(5, &["mobile_phone"][..]), (6, &["email"])]);
    assert_eq!(held(&service), expected.map(|(euid, held)| (euid, names(held))).collect(), "{ran}");
    assert_eq!(asked(&service, 2), json!({"email": "", "mobile_phone": ""}));
    assert_eq!(asked(&service, 4), json!({"email": "user4@example.com"}), "a field that is missing is not sent");
    assert_eq!(asked(&service, 5), json!({"email": ""}), "nor is a key");
    ran.says("b.ndjson row 3 (line 3): no_contacts: the row has no contact").never_says("doesn't clear");

    // Without it nothing is cleared by anything.
    let before = held(&service);
    place.run(&["push", "a.csv", "--flexible", "--report", "r.ndjson", "--force"]).ends_with(1).says("no_contacts");
    assert_eq!(held(&service).values().map(Vec::len).sum::<usize>(), before.values().map(Vec::len).sum::<usize>() + 1);
}

#[test]
fn a_check_takes_what_clears_for_valid() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,\n2,b@example.com\nx,\n");
    let check = ["check", "a.csv", "--report", "c.ndjson", "--report-all", "--report-contacts", "always"];
    place.run(&check).ends_with(1).says("no_contacts");
    place.run(&[&check[..], &["--force", "--empty", "clear"]].concat()).ends_with(1).never_says("no_contacts");
    let contacts: Vec<Value> = place.json_lines("c.ndjson").iter().map(|record| record["contacts"].clone()).collect();
    assert_eq!(contacts, [json!({"email": ""}), json!({"email": "b@example.com"}), json!({"email": ""})]);
}

#[test]
fn a_project_that_refuses_it_is_told_once_and_a_replay_sends_it_again() {
    let refusing = Service::start(SandboxOptions { refuse_empty: true, ..SandboxOptions::default() });
    let place = refusing.workplace();
    place.file(
        "a.csv",
        "euid,email,mobile_phone\n1,,+12025550101\n2,,+12025550102\n3,c@example.com,\n4,d@example.com,+12025550104\n",
    );
    let ran = push(&place, &["a.csv"]).ends_with(1);
    let hint = "this project's API doesn't clear by an empty value";
    assert_eq!(ran.stderr.matches(hint).count(), 1, "{ran}");
    assert_eq!(refusing.record().stats().by_code["55103"], 3);
    let records = place.json_lines("r.ndjson");
    let refused: Vec<&Value> = records.iter().filter(|record| record["reason"] == "value_empty").collect();
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|record| record["outcome"] == "failed" && record["code"] == 55103));

    let service = Service::with_faults(&[]);
    let replay = ["replay", "r.ndjson", "--all", "--base-url", &service.url(), "--report", "again.ndjson"];
    place.run(&replay).ends_with(0).never_says(hint);
    assert_eq!(asked(&service, 1), json!({"email": "", "mobile_phone": "+12025550101"}), "as it was sent before");
    assert_eq!(held(&service)[&1], ["mobile_phone"]);
    // What is empty for the API alone is something else.
    let other = Service::with_faults(&["code=55103:1"]);
    place.file("b.csv", "euid,email\n1,a@example.com\n");
    push(&place, &["b.csv", "--base-url", &other.url()]).ends_with(1).says("value_empty").never_says(hint);
    let sandboxed = ["push", "a.csv", "--sandbox", "--sandbox-refuse-empty", "--report", "s.ndjson"];
    let ran = place.run(&[&sandboxed[..], &CLEAR].concat()).ends_with(1);
    ran.says(hint);
}

#[test]
fn a_resume_must_clear_as_well() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,\n2,b@example.com\n");
    push(&place, &["a.csv"]).ends_with(0);
    let resume = ["push", "a.csv", "--report", "r.ndjson", "--resume"];
    place.run(&resume).ends_with(2).says("--empty: then clear, now ");
    place.run(&[&resume[..], &CLEAR].concat()).ends_with(0).says("this run finished at");
}

/// A cell of such a sheet is empty also where the row never had that contact.
#[test]
fn a_sheet_of_rows_to_be_mended_clears_nothing() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place
        .file("a.ndjson", "{\"euid\":1,\"email\":\"a@example.com\"}\n{\"euid\":2,\"mobile_phone\":\"+12025550102\"}\n");
    push(&place, &["a.ndjson"]).ends_with(1);
    place.run(&["report", "r.ndjson", "--csv", "mend.csv"]).ends_with(0);
    let contacts = ["--contacts", "email,mobile_phone"];
    let requests = service.record().stats().requests;
    assert_eq!(requests, 2);
    for command in ["check", "push"] {
        let command = [&[command, "mend.csv", "--report", "m.ndjson", "--empty", "clear"], &contacts[..]].concat();
        let ran = place.run(&command).ends_with(2);
        ran.says("mend.csv is a sheet of `report --csv`").says("`--empty clear` would clear it").says("replay");
    }
    place
        .run_with_stdin(
            &[&["check", "-", "--empty", "clear"], &contacts[..]].concat(),
            place.read("mend.csv").as_bytes(),
        )
        .ends_with(2);
    assert_eq!(service.record().stats().requests, requests);
    assert!(!place.exists("m.ndjson"), "nothing was begun");
    place.run(&[&["check", "mend.csv"], &contacts[..]].concat()).ends_with(0);
}
