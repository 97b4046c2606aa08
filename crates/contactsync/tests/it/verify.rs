//! `verify`: what is said of rows is held against what the service really holds.

use std::{collections::BTreeMap, fmt::Write as _};

use fastrand::Rng;
use rustix::process::Signal;
use sandbox::{ProfileShape, SandboxOptions};
use serde_json::{Map, Value, json};

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

const NAMES: [&str; 4] = ["email", "mobile_phone", "landline_phone", "fax"];
/// No rate, no waiting.
const QUICKLY: [&str; 6] = ["--profile-rate", "unlimited", "--settle", "1ms", "--retry-base", "1ms"];

/// A row of an input: its EUID as it stands there, and its contacts.
type Row = (String, Vec<(&'static str, String)>);

/// Rows of few users, so that later ones replace contacts of earlier ones, and some that validation refuses.
fn rows(count: usize, dice: &mut Rng) -> Vec<Row> {
    let row = |number: usize| {
        let euid = match dice.u8(..20) {
            0 => "no number".to_owned(),
            1 => format!(" 00{} ", 1 + dice.usize(..count / 3)),
            _ => (1 + dice.usize(..count / 3)).to_string(),
        };
        let mut names = NAMES;
        dice.shuffle(&mut names);
        let contacts = names[..=dice.usize(..NAMES.len())].iter().map(|name| {
            let value = if *name == "email" { format!("{number}@example.com") } else { format!("1201555{number:04}") };
            (*name, value)
        });
        (euid, contacts.collect())
    };
    (0..count).map(row).collect()
}

fn ndjson(rows: &[Row]) -> String {
    let mut text = String::new();
    for (euid, contacts) in rows {
        let contacts: Map<String, Value> =
            contacts.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
        let _ = writeln!(text, "{}", json!({"euid": euid, "contacts": contacts}));
    }
    text
}

/// What is to be said of each row, by what the service holds: outcome, reason, and the contacts that the row answers for.
fn expected(rows: &[Row], held: &BTreeMap<u64, Map<String, Value>>) -> Vec<(String, String, Value)> {
    let number = |euid: &str| euid.trim().parse::<u64>().ok();
    let mut last = BTreeMap::new();
    for (place, (euid, contacts)) in rows.iter().enumerate() {
        if let Some(euid) = number(euid) {
            last.extend(contacts.iter().map(|(name, _)| ((euid, *name), place)));
        }
    }
    let mut all = Vec::new();
    for (place, (euid, contacts)) in rows.iter().enumerate() {
        let shown: Value =
            contacts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<Map<_, _>>().into();
        let Some(euid) = number(euid) else {
            all.push(("rejected".into(), "euid_invalid".into(), shown));
            continue;
        };
        let answers: Vec<_> = contacts.iter().filter(|(name, _)| last[&(euid, *name)] == place).collect();
        if answers.is_empty() {
            all.push(("superseded".into(), String::new(), Value::Null));
            continue;
        }
        let there = |name: &str| held.get(&euid).and_then(|held| held.get(name)).and_then(Value::as_str);
        let reason = if !held.contains_key(&euid) {
            "user_missing"
        } else if answers.iter().any(|(name, _)| there(name).is_none()) {
            "value_missing"
        } else if answers.iter().any(|(name, value)| there(name) != Some(value)) {
            "value_differs"
        } else {
            all.push(("landed".into(), String::new(), Value::Null));
            continue;
        };
        let answers: Map<String, Value> =
            answers.into_iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        all.push(("different".into(), reason.into(), answers.into()));
    }
    all
}

/// What a report says of each row.
fn said(place: &Workplace, report: &str) -> Vec<(String, String, Value)> {
    let mut records = place.json_lines(report);
    records.sort_by_key(|record| record["row"].as_u64());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    records.iter().map(|it| (text(&it["outcome"]), text(&it["reason"]), it["contacts"].clone())).collect()
}

fn count(said: &[(String, String, Value)], outcome: &str) -> u64 {
    said.iter().filter(|(word, ..)| word == outcome).count() as u64
}

#[test]
fn exactly_the_rows_that_differ_are_named_in_every_shape_and_a_replay_mends_them() {
    for (seed, shape) in (0..).zip(ProfileShape::ALL).filter(|(_, shape)| *shape != ProfileShape::Unknown) {
        let service = Service::start(SandboxOptions { profile_shape: shape, seed, ..SandboxOptions::default() });
        let place = service.workplace();
        let rows = rows(240, &mut Rng::with_seed(seed));
        place.file("a.ndjson", ndjson(&rows));
        service.set_faults(&["unstored:0.1", "altered:0.1", "forgotten:0.05", "lost:0.05"]);
        place
            .run(&["push", "a.ndjson", "--report", "push.ndjson", "--rate", "unlimited", "--retry-base", "1ms"])
            .ends_with(1);
        service.set_faults(&["profile/code=-1:0.1", "profile/drop:0.1"]);
        let expected = expected(&rows, &service.record().profiles());
        for outcome in ["landed", "different", "superseded", "rejected"] {
            assert!(count(&expected, outcome) > 0, "{shape:?}: no row is {outcome}");
        }
        let verify = |report, summary| {
            [&["verify", "a.ndjson", "--report", report, "--summary", summary][..], &QUICKLY].concat()
        };
        let ran = place.run(&verify("v.ndjson", "-")).ends_with(1).never_says("@example.com").never_says("120155");
        assert_eq!(said(&place, "v.ndjson"), expected, "{shape:?}");
        let summary = ran.json();
        for outcome in ["landed", "different", "superseded", "rejected"] {
            assert_eq!(summary[outcome], count(&expected, outcome), "{outcome}");
        }
        assert_eq!(
            (&summary["rows_read"], &summary["failed"], &summary["not_checked"]),
            (&json!(240), &json!(0), &json!(0))
        );
        assert_eq!(summary["attempts"], summary["profile_requests"]);
        assert_eq!(service.record().stats().profile_requests, summary["profile_requests"].as_u64().unwrap());
        // What differs is sent, and nothing else.
        let replay = ["replay", "v.ndjson", "--report", "r.ndjson", "--rate", "unlimited", "--retry-base", "1ms"];
        place.run(&replay).ends_with(0).says(&format!("{} rows read", count(&expected, "different")));
        place.run(&verify("v2.ndjson", "s")).ends_with(1).says("0 rows").never_says("to send again");
        let after = said(&place, "v2.ndjson");
        assert_eq!((count(&after, "different"), count(&after, "rejected")), (0, count(&expected, "rejected")));
        assert_eq!(count(&after, "landed"), count(&expected, "landed") + count(&expected, "different"));
        // Who reads both reports sees that it was mended.
        let figures = place.run(&["report", "v.ndjson", "r.ndjson", "--json"]).ends_with(0).json();
        assert_eq!((&figures["different"], &figures["synced"]), (&json!(0), &summary["different"]));
    }
}

/// Runs a verify of `a.csv` with its report `v.ndjson`, and further options.
fn verify<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["verify", "a.csv", "--report", "v.ndjson"], &QUICKLY[..], options].concat()
}

const PUSH: [&str; 6] = ["push", "a.csv", "--report", "push.ndjson", "--rate", "unlimited"];

#[test]
fn of_a_shape_that_is_not_known_nothing_is_concluded() {
    let options = SandboxOptions { profile_shape: ProfileShape::Unknown, ..SandboxOptions::default() };
    let service = Service::start(options);
    let place = service.workplace();
    place.file("a.csv", users(250));
    place.run(&PUSH).ends_with(0);
    let ran =
        place.run(&verify(&["--summary", "-"])).ends_with(6).says("shape that isn't known").never_says("@example.com");
    let summary = ran.json();
    assert_eq!((&summary["rows_read"], &summary["not_checked"]), (&json!(250), &json!(250)));
    assert_eq!(
        (&summary["landed"], &summary["different"], &summary["stopped_by"]),
        (&json!(0), &json!(0), &json!("outage"))
    );
    assert_eq!(place.read("v.ndjson"), "");
}

#[test]
fn rows_of_one_user_may_lie_far_apart_also_in_a_pipe() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let text = format!("{}1,last@example.com\n", users(30_000));
    place.file("a.csv", "euid,email\n1,last@example.com\n");
    place.run(&PUSH).ends_with(0);
    let arguments =
        [&["verify", "-", "--limit", "30001", "--skip", "0", "--report", "v.ndjson", "--summary", "s"], &QUICKLY[..]]
            .concat();
    place.run_with_stdin(&arguments, text.as_bytes()).ends_with(1);
    let records = place.json_lines("v.ndjson");
    assert_eq!(records.len(), 30_001);
    let of = |row: u64| records.iter().find(|record| record["row"] == row).unwrap();
    assert_eq!((&of(1)["outcome"], &of(30_001)["outcome"]), (&json!("superseded"), &json!("landed")));
    assert_eq!((&of(2)["outcome"], &of(2)["reason"]), (&json!("different"), &json!("user_missing")));
}

#[test]
fn what_is_to_be_cleared_must_not_be_there() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email,mobile_phone\n1,a@example.com,12015550101\n2,b@example.com,12015550102\n");
    place.run(&PUSH).ends_with(0);
    place.file("a.csv", "euid,email,mobile_phone\n1,,12015550101\n2,b@example.com,12015550102\n");
    place.run(&verify(&[])).ends_with(0);
    place.run(&verify(&["--force", "--empty", "clear"])).ends_with(1);
    let records = place.json_lines("v.ndjson");
    let first = records.iter().find(|record| record["row"] == 1).unwrap();
    assert_eq!((&first["reason"], &first["message"]), (&json!("value_differs"), &json!("not cleared: \"email\"")));
    assert_eq!(first["contacts"], json!({"email": "", "mobile_phone": "12015550101"}));
    place.run(&["replay", "v.ndjson", "--report", "r.ndjson"]).ends_with(0);
    place.run(&verify(&["--force", "--empty", "clear"])).ends_with(0);
}

#[test]
fn a_read_may_lag_behind_a_write() {
    let service = Service::with_faults(&["late:1"]);
    let place = service.workplace();
    place.file("a.csv", users(150));
    place.run(&PUSH).ends_with(0);
    let summary = place.run(&verify(&["--summary", "-"])).ends_with(0).json();
    assert_eq!(summary["landed"], 150);
    // Each row was read twice, which is no retry.
    assert_eq!(summary["profile_requests"], service.record().stats().profile_requests);
    assert!(summary["profile_requests"].as_u64().unwrap() >= 4, "{summary}");
    assert_eq!(summary["retries"], 0);
    assert!(place.json_lines("v.ndjson").iter().all(|record| record["attempts"] == 1));
    let surveyed = place.run(&["report", "v.ndjson", "--json"]).ends_with(0).json();
    assert_eq!(surveyed["retries"], 0);
}

#[test]
fn values_that_are_written_otherwise_are_warned_of_and_may_count_as_equal() {
    let service = Service::start(SandboxOptions { normalise: true, ..SandboxOptions::default() });
    let place = service.workplace();
    let rows = (1..=50).map(|euid| format!("{euid},User{euid}@Example.com,+1 (201) 555-01{euid:02}\n"));
    place.file("a.csv", format!("euid,email,mobile_phone\n{}", rows.collect::<String>()));
    place.run(&PUSH).ends_with(0);
    let ran = place
        .run(&verify(&[]))
        .ends_with(1)
        .says("--compare loose")
        .says("of 50 different values of \"mobile_phone\", 50");
    ran.never_says("555");
    place.run(&verify(&["--force", "--compare", "loose"])).ends_with(0).says("50  100.0 %");
}

#[test]
fn a_read_that_was_given_up_proves_nothing_and_no_replay_sends_its_row() {
    let service = Service::with_faults(&["profile/code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(5));
    let given_up = ["--retries", "0", "--outage-wait", "0"];
    let ran = place.run(&verify(&given_up)).ends_with(1).says("5 rows could not be compared");
    ran.never_says("to send again");
    let records = place.json_lines("v.ndjson");
    assert!(records.iter().all(|record| record["reason"] == "server_error" && record["outcome"] == "failed"));
    place.run(&["replay", "v.ndjson", "--dry-run"]).ends_with(0).says("0 rows would be sent");
    std::fs::remove_file(place.path("v.ndjson.run")).unwrap();
    place
        .run(&["replay", "v.ndjson", "--dry-run", "--reason", "server_error"])
        .ends_with(0)
        .says("5 rows would be sent");
    // Nor does an answer that says it isn't whole prove that somebody isn't there.
    service.set_faults(&["profile/partial:1"]);
    place.run(&verify(&["--force"])).ends_with(1);
    let records = place.json_lines("v.ndjson");
    assert!(records.iter().all(|record| record["reason"] == "partial" && record["outcome"] == "failed"));
}

#[test]
fn a_report_without_contacts_can_not_be_replayed() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    place.run(&verify(&["--report-contacts", "never"])).ends_with(1);
    assert!(!place.read("v.ndjson").contains("@example.com"));
    place.run(&["replay", "v.ndjson", "--report", "r.ndjson"]).ends_with(2).says("--report-contacts never");
    place.run(&verify(&["--force", "--report-contacts", "always"])).ends_with(1);
    place
        .run(&["replay", "v.ndjson", "--report", "r.ndjson", "--max-age", "0s"])
        .ends_with(0)
        .says("3 failed or differed");
}

#[test]
fn a_state_forgets_what_was_found_different() {
    let service = Service::with_faults(&["unstored:0.3"]);
    let place = service.workplace();
    place.file("a.csv", users(40));
    let push = |report| [&PUSH[..3], &[report, "--state", "s.state", "--rate", "unlimited"]].concat();
    place.run(&push("1.ndjson")).ends_with(0);
    service.set_faults::<&str>(&[]);
    place.run(&push("2.ndjson")).ends_with(0).says("40 rows read");
    assert!(place.read("2.ndjson").is_empty(), "the state takes all for sent");
    let summary = place.run(&verify(&["--state", "s.state", "--summary", "-"])).ends_with(1).json();
    let different = summary["different"].as_u64().unwrap();
    assert!(different > 0 && different < 40);
    place.run(&push("3.ndjson")).ends_with(0);
    assert_eq!(place.json_lines("3.ndjson").len() as u64, different, "just these are sent");
    place.run(&verify(&["--force", "--state", "s.state"])).ends_with(0);
    // What isn't there is not made by looking.
    place.run(&verify(&["--force", "--state", "t.state"])).ends_with(0).says("no state t.state");
    assert!(!place.exists("t.state"));
}

#[test]
fn a_verify_that_was_killed_goes_on_and_says_of_each_row_what_is_so() {
    let options = SandboxOptions { latency: std::time::Duration::from_millis(5), ..SandboxOptions::default() };
    let service = Service::start(options);
    let place = service.workplace();
    let mut dice = Rng::with_seed(7);
    let rows = rows(6_000, &mut dice);
    place.file("a.csv", "");
    place.file("a.ndjson", ndjson(&rows));
    service.set_faults(&["unstored:0.1"]);
    place.run(&["push", "a.ndjson", "--report", "push.ndjson", "--rate", "unlimited"]).ends_with(1);
    service.set_faults::<&str>(&[]);
    let expected = expected(&rows, &service.record().profiles());
    let slowly =
        ["verify", "a.ndjson", "--report", "v.ndjson", "--settle", "1ms", "--in-flight", "1", "--profile-rate", "40/s"];
    let mut tries = 0;
    loop {
        tries += 1;
        let resume = [&slowly[..], &["--resume", "--summary", "s.json"]].concat();
        let before = place.read_if_there("v.ndjson").len();
        let mut running = Running::start(&mut place.command(&resume));
        if tries == 4 {
            running.finish().ends_with(1);
            break;
        }
        running.until("a few records", || place.read_if_there("v.ndjson").len() > before);
        running.signal(Signal::KILL);
        running.finish();
    }
    assert_eq!(said(&place, "v.ndjson"), expected, "each row once, and rightly");
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    assert_eq!((&summary["rows_read"], &summary["not_checked"]), (&json!(6_000), &json!(0)));
    assert!(summary["resumed_rows"].as_u64().unwrap() > 0);
    let again = [&slowly[..], &["--resume"]].concat();
    place.run(&again).ends_with(1).says("nothing left to check");
    // Another command's report, and another input.
    place.run(&["push", "a.ndjson", "--report", "v.ndjson", "--resume"]).ends_with(2).says("then verify, now push");
    place.run(&[&again[..], &["--compare", "loose"]].concat()).ends_with(2).says("--compare");
}

#[test]
fn a_resume_refuses_rows_that_came_later() {
    let service = Service::with_faults(&["profile/status=401:1"]);
    let place = service.workplace();
    // More than is let in: what follows was seen in the first pass only.
    place.file("a.csv", users(100_000));
    place.run(&verify(&[])).ends_with(3);
    place.file("a.csv", users(100_001));
    place.run(&verify(&["--resume"])).ends_with(2).says("the whole input: then");
}

#[test]
fn what_only_sending_needs_is_no_option_here() {
    let place = Workplace::new();
    place.file("a.csv", users(1));
    for option in
        [&["--rate", "5/s"][..], &["--canary", "5"], &["--max-clears", "none"], &["--ok-code", "5"], &["--refresh"]]
    {
        place.run(&[&["verify", "a.csv"], option].concat()).ends_with(2).says("unexpected argument");
    }
    place.run(&["verify", "a.csv", "--sandbox", "--settle", "0s"]).ends_with(1).says("1 rows read").says("different");
}
