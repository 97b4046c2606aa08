//! The plan beside a state: what is compared, and the limits that need to know what was sent before.

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Workplace},
};

const STATE: [&str; 4] = ["--state", "s.state", "--rate", "unlimited"];

fn push(place: &Workplace, arguments: &[&str]) -> Ran {
    place.run(&[&["push", "--report", "r.ndjson", "--force", "--summary", "-"], &STATE[..], arguments].concat())
}

/// A plan; the state is as it was, and nothing lies beside it.
fn plan(place: &Workplace, arguments: &[&str]) -> Ran {
    let files = || std::fs::read_dir(place.path("")).unwrap().count();
    let before = (std::fs::read(place.path("s.state")).ok(), files());
    let ran = place.run(&[&["push", "--dry-run", "--summary", "-"], &STATE[..], arguments].concat());
    assert_eq!((std::fs::read(place.path("s.state")).ok(), files()), before, "{ran}");
    ran
}

/// Figures of a summary.
fn figures(ran: &Ran, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| ran.json()[name].clone()).collect()
}

/// So many rows, of which the first so many have another address than the night before.
fn changed(rows: u64, changed: u64) -> String {
    let row = |euid| {
        let night = if euid <= changed { "second" } else { "user" };
        format!("{euid},{night}{euid}@example.com\n")
    };
    std::iter::once("euid,email\n".to_owned()).chain((1..=rows).map(row)).collect()
}

#[test]
fn a_dry_run_tells_what_the_push_then_does() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email,mobile_phone\n1,a@example.com,+12025550101\n2,b@example.com,+12025550102\n3,c@example.com,\n4,d@example.com,\n");
    let ran = plan(&place, &["a.csv"]).ends_with(0);
    ran.says("there is no state s.state yet").never_says("@example.com");
    push(&place, &["a.csv"]).ends_with(0);
    let first = service.record().stats().requests;
    assert_eq!(first, 4);

    // Unchanged; changed; changed and back again, compared in order; cleared; nobody's row; new. The fourth has vanished.
    let rows = "1,a@example.com,+12025550101\n2,x@example.com,+12025550102\n2,b@example.com,+12025550102\n\
                3,,\nx,y@example.com,\n5,e@example.com,+12025550105\n5,e@example.com,+12025550105\n";
    place.file("b.csv", format!("euid,email,mobile_phone\n{rows}"));
    let options = ["b.csv", "--empty", "clear", "--max-clears", "none"];
    let ran = plan(&place, &options).ends_with(1);
    let names = ["rows_read", "valid", "rejected", "unchanged", "to_send", "clears", "vanished"];
    assert_eq!(figures(&ran, &names), [7, 6, 1, 2, 4, 1, 1]);
    let count = |new: u64, changed: u64, cleared: u64| json!({"new": new, "changed": changed, "cleared": cleared, "unknown": 0});
    // The third's phone was never sent: whether it is there is not known.
    assert_eq!(ran.json()["names"], json!({"email": count(1, 2, 1), "mobile_phone": count(1, 0, 1)}));
    ran.says("  unchanged             2").says("1 user that the state knows is not in the input");
    assert_eq!(service.record().stats().requests, first, "a dry run sends nothing");

    let pushed = push(&place, &options).ends_with(1);
    assert_eq!(figures(&pushed, &["unchanged", "synced", "rejected"]), [2, 4, 1]);
    assert_eq!(service.record().stats().requests - first, 4);
    // What was sent is known, what was cleared too.
    let ran = plan(&place, &options).ends_with(1);
    assert_eq!(figures(&ran, &["unchanged", "to_send", "clears"]), [4, 2, 0], "the second user's rows differ in turn");
    let ran = plan(&place, &[&options[..], &["--refresh"]].concat()).ends_with(1);
    assert_eq!(figures(&ran, &["unchanged", "to_send"]), [0, 6]);
    // Of a part of the input nobody has vanished.
    assert_eq!(figures(&plan(&place, &[&options[..], &["--limit", "1"]].concat()), &["vanished"]), [Value::Null]);
}

#[test]
fn only_clears_of_what_may_be_there_are_limited() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let clear = ["a.csv", "--empty", "clear"];
    // Half of the users have no phone. On the first night nobody knows that.
    let row = |euid: u64| {
        format!("{euid},user{euid}@example.com,{}\n", if euid.is_multiple_of(2) { "+12025550100" } else { "" })
    };
    let rows: String = std::iter::once("euid,email,mobile_phone\n".to_owned()).chain((1..=100).map(row)).collect();
    place.file("a.csv", &rows);
    let said = "50 of 100 valid rows would clear a contact (\"mobile_phone\" 50), more than `--max-clears 1%`";
    push(&place, &clear).ends_with(2).says(said).says("hint: the state knows none of these users yet");
    plan(&place, &clear).ends_with(2).says(said);
    push(&place, &[&clear[..], &["--max-clears", "none"]].concat()).ends_with(0);
    // From then on only what goes counts.
    push(&place, &clear).ends_with(0);
    place.file("a.csv", rows.replacen("user2@example.com,+12025550100", "user2@example.com,", 1));
    push(&place, &[&clear[..], &["--max-clears", "0"]].concat())
        .ends_with(2)
        .says("1 of 100 valid rows")
        .says("hint: a column that lost");
    let pushed = push(&place, &clear).ends_with(0);
    assert_eq!(figures(&pushed, &["unchanged", "synced"]), [99, 1]);
    let held = service.record().contacts();
    assert_eq!((held[&2].len(), held[&4].len()), (1, 2));
    push(&place, &[&clear[..], &["--max-clears", "0"]].concat()).ends_with(0);
}

#[test]
fn changes_are_limited_exactly_at_the_border() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let limit = ["a.csv", "--max-changes", "20%"];
    place.file("a.csv", users(50));
    // Where nothing is known nothing has changed, and rows that are new are no changes.
    push(&place, &limit).ends_with(0);
    place.file("a.csv", changed(500, 11).replace("euid,email\n", "euid,email\n999,x@example.com\n"));
    let said = "11 of the 50 rows that the state knows changed (\"email\" 11), more than `--max-changes 20%`";
    for ran in [push(&place, &limit), plan(&place, &limit)] {
        ran.ends_with(2).says(said).says("hint: columns that moved under another header");
    }
    assert_eq!(service.record().stats().requests, 50);
    place.file("a.csv", changed(500, 10));
    plan(&place, &limit).ends_with(0);
    let pushed = push(&place, &limit).ends_with(0);
    assert_eq!(figures(&pushed, &["unchanged", "synced"]), [40, 460]);
}

/// Nobody knows what the service holds of rows whose answer never came: they are neither changed nor known.
#[test]
fn what_is_held_as_unknown_counts_as_neither() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(10));
    push(&place, &["a.csv"]).ends_with(0);
    let failing = Service::with_faults(&["code=55004:1"]);
    place.file("b.csv", changed(5, 5));
    // The same service under another address, as far as the state can tell.
    let url = service.url();
    drop(service);
    let _ = failing;
    let down = ["b.csv", "--retries", "0", "--outage-wait", "0"];
    let ran = push(&place, &down);
    assert!(ran.status == Some(1) || ran.status == Some(6), "{url}\n{ran}");
    let ran = plan(&place, &["b.csv", "--max-changes", "0%"]).ends_with(0);
    assert_eq!(figures(&ran, &["unchanged", "to_send"]), [0, 5]);
    assert_eq!(ran.json()["names"]["email"], json!({"new": 0, "changed": 0, "cleared": 0, "unknown": 5}));
}

#[test]
fn a_share_of_the_last_runs_rows_must_be_there() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let limit = ["a.csv", "--min-rows", "90%"];
    place.file("a.csv", users(100));
    let nothing = "no run with this state over inputs of these names has finished yet";
    plan(&place, &limit).ends_with(0).says(nothing);
    push(&place, &limit).ends_with(0).says(nothing);
    place.file("a.csv", users(89));
    for ran in [push(&place, &limit), plan(&place, &limit)] {
        ran.ends_with(2)
            .says("the input has 89 rows, fewer than `--min-rows 90%` of the 100 rows that the last finished run read");
    }
    // A run over a part of the input is no measure, nor is one over other inputs.
    push(&place, &["a.csv", "--limit", "5"]).ends_with(0);
    push(&place, &limit).ends_with(2).says("fewer than");
    place.file("b.csv", users(10));
    push(&place, &["b.csv", "--min-rows", "90%"]).ends_with(0).says(nothing);
    place.file("a.csv", users(90));
    push(&place, &limit).ends_with(0).never_says(nothing);
    // From now on ninety are the measure.
    place.file("a.csv", users(81));
    push(&place, &limit).ends_with(0);
}

#[test]
fn a_plan_is_compared_with_the_state_of_its_own_service_only() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(3));
    push(&place, &["a.csv"]).ends_with(0);
    plan(&place, &["a.csv", "--sandbox"]).ends_with(2).says("belongs to http://127.0.0.1").says("nothing was sent");
    // Who has no credentials gets a plan all the same.
    let other = Workplace::new().variable("ENGAGELAB_MA_BASE_URL", &service.url());
    other.file("a.csv", users(3));
    other.file("s.state", std::fs::read(place.path("s.state")).unwrap());
    assert_eq!(figures(&plan(&other, &["a.csv"]).ends_with(0), &["unchanged"]), [3]);
    other.file("s.state", "no state");
    plan(&other, &["a.csv"]).ends_with(2).says("is no state");
}

/// A run that was let through once goes on, whatever of it became known or unknown in between.
#[test]
fn a_resume_with_a_state_is_never_refused_for_what_an_earlier_try_did() {
    let service = Service::with_faults(&["code=55004:0.01"]);
    let place = service.workplace();
    let row = |night: &str, euid: u64| format!("{euid},{night}{euid}@example.com,\n");
    let night = |changed_from: u64| {
        let name = |euid| if euid >= changed_from { "second" } else { "user" };
        let rows = (1..=1_000).map(|euid| row(name(euid), euid));
        std::iter::once("euid,email,mobile_phone\n".to_owned()).chain(rows).collect::<String>()
    };
    place.file("a.csv", night(9_999));
    // Until all of them are known: no phone is there.
    let clear = ["--empty", "clear", "--max-clears", "none"];
    let fill = || place.run(&[&["push", "a.csv", "--report", "f.ndjson", "--force"], &STATE[..], &clear].concat());
    fill();
    let filled = fill();
    let unknown = if filled.status == Some(0) { 0 } else { place.json_lines("f.ndjson").len() };
    assert!(unknown < 500, "{filled}");

    // The first half is unchanged, the second changed.
    place.file("a.csv", night(501));
    let limits = ["--empty", "clear", "--max-clears", "20", "--max-changes", "55%"];
    let run = |options: &[&str]| {
        let run = ["push", "a.csv", "--report", "r.ndjson", "--resume", "--in-flight", "1", "--outage-wait", "0"];
        place.run(&[&run[..], &STATE, &limits, options].concat())
    };
    run(&["--max-failures", "1"]).ends_with(4);
    let decided = place.json_lines("r.ndjson").len();
    assert!((1..500).contains(&decided));
    let planned = run(&["--dry-run", "--summary", "-"]).ends_with(0);
    let left = planned.json()["to_send"].as_u64().unwrap();
    let unknown = &planned.json()["names"]["email"]["unknown"];
    assert!(left > 0 && unknown.as_u64().unwrap() > 20, "rows were let in and not decided\n{planned}");
    run(&["--max-failures", "none"]).ends_with(1);
    assert_eq!(service.record().contacts().len(), 1_000);
}

/// Whatever the nights bring: a plan says beforehand what the push then counts, and what the service holds in the end is
/// what the last rows say.
#[test]
fn a_plan_of_any_night_is_what_the_push_then_does() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let mut random = fastrand::Rng::with_seed(7);
    let mut any_unchanged = 0;
    for night in 0..12 {
        let mut rows = Vec::new();
        for _ in 0..random.usize(1..60) {
            let mut contacts = serde_json::Map::new();
            for name in ["email", "mobile_phone", "note"] {
                match random.u32(0..4) {
                    0 => {}
                    1 => drop(contacts.insert(name.to_owned(), Value::Null)),
                    _ => drop(contacts.insert(name.to_owned(), json!(format!("+1202555010{}", random.u32(0..2))))),
                }
            }
            let euid = if random.u32(0..20) == 0 { json!("x") } else { json!(random.u32(1..25)) };
            rows.push(json!({"euid": euid, "contacts": contacts}).to_string());
        }
        // Some rows of the night before come again.
        let before = place.read_if_there("a.ndjson");
        rows.extend(before.lines().filter(|_| random.bool()).map(str::to_owned));
        place.file("a.ndjson", rows.join("\n"));
        let mut options = vec!["a.ndjson", "--empty", "clear", "--max-clears", "none", "--fail-on", "none"];
        if random.bool() {
            options.push("--omitted-kept");
        }
        let planned = plan(&place, &options).ends_with(0);
        let before = service.record().stats().requests;
        let pushed = push(&place, &options).ends_with(0);
        let sent = service.record().stats().requests - before;
        assert_eq!(planned.json()["to_send"], sent, "night {night}\n{planned}\n{pushed}");
        for name in ["rows_read", "unchanged", "rejected"] {
            assert_eq!(planned.json()[name], pushed.json()[name], "night {night}, {name}\n{planned}\n{pushed}");
        }
        assert_eq!(planned.json()["vanished"], pushed.json()["vanished"], "night {night}\n{planned}\n{pushed}");
        any_unchanged += pushed.json()["unchanged"].as_u64().unwrap();
    }
    assert!(any_unchanged > 20, "{any_unchanged}");
}
