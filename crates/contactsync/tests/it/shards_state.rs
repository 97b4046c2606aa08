//! What is bound to a shard: reports that are resumed, states, and what a replay tells these.

use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Workplace},
};

/// So many users, of whom the first so many have another address.
fn changed(count: u64, changed: u64) -> String {
    let row = |euid| {
        let night = if euid <= changed { "second" } else { "user" };
        format!("{euid},{night}{euid}@example.com\n")
    };
    std::iter::once("euid,email\n".to_owned()).chain((1..=count).map(row)).collect()
}

fn push(place: &Workplace, shard: &str, more: &[&str]) -> Ran {
    let shard: &[&str] = if shard.is_empty() { &[] } else { &["--shard", shard] };
    let common = ["push", "a.csv", "--report", "r.ndjson", "--rate", "unlimited", "--summary", "-", "--retries", "0"];
    place.run(&[&common[..], shard, more].concat())
}

/// A push of each of three shards, with a state of its own.
fn night(place: &Workplace, more: &[&str]) -> [Value; 3] {
    [0, 1, 2].map(|number| {
        let (shard, state) = (format!("{number}/3"), format!("s{number}.state"));
        push(place, &shard, &[&["--force", "--state", &state], more].concat()).ends_with(0).json()
    })
}

fn sum(summaries: &[Value], name: &str) -> u64 {
    summaries.iter().map(|summary| summary[name].as_u64().unwrap()).sum()
}

#[test]
fn a_resume_compares_the_shard() {
    let service = Service::with_faults(&["code=-1:0.5"]);
    let place = service.workplace();
    place.file("a.csv", users(60));
    push(&place, "0/2", &["--max-failures", "3"]).ends_with(4);
    let before = service.record().stats().requests;
    for (shard, said) in [("1/2", "--shard: then 0/2, now 1/2"), ("0/4", "now 0/4"), ("", "now not given")] {
        push(&place, shard, &["--resume"]).ends_with(2).says(said).says("nothing was sent");
        push(&place, shard, &["--resume", "--dry-run"]).ends_with(2).says(said);
    }
    assert_eq!(service.record().stats().requests, before);
    service.set_faults::<&str>(&[]);
    let ran = push(&place, "0/2", &["--resume", "--fail-on", "none"]).ends_with(0);
    let rows = ran.json()["rows_read"].as_u64().unwrap();
    assert!((20..40).contains(&rows) && place.json_lines("r.ndjson").len() as u64 == rows, "{ran}");
    push(&place, "0/2", &["--resume", "--fail-on", "none"]).ends_with(0).says("this run finished at");
}

#[test]
fn a_state_belongs_to_one_shard() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(60));
    push(&place, "0/4", &["--state", "s.state"]).ends_with(0);
    push(&place, "", &["--force", "--state", "all.state"]).ends_with(0);
    let before = service.record().stats().requests;
    let files = ["s.state", "all.state"].map(|state| std::fs::read(place.path(state)).unwrap());
    for (shard, state, said) in [
        ("1/4", "s.state", "s.state belongs to shard 0/4, and the rows are of shard 1/4; nothing was sent"),
        ("0/8", "s.state", "belongs to shard 0/4, and the rows are of shard 0/8"),
        ("", "s.state", "belongs to shard 0/4, and the rows are of all users"),
        ("0/4", "all.state", "belongs to all users, and the rows are of shard 0/4"),
    ] {
        for more in [&["--force"][..], &["--dry-run"]] {
            push(&place, shard, &[&["--state", state], more].concat()).ends_with(2).says(said);
        }
        let shard: &[&str] = if shard.is_empty() { &[] } else { &["--shard", shard] };
        let verify = ["verify", "a.csv", "--state", state, "--report", "v.ndjson"];
        place.run(&[&verify[..], shard].concat()).ends_with(2).says(said);
    }
    push(&place, "", &["--force", "--state", "s.state"]).says("say `--shard 0/4`, or name another state");
    assert_eq!(service.record().stats().requests, before);
    assert_eq!(["s.state", "all.state"].map(|state| std::fs::read(place.path(state)).unwrap()), files);

    let info = place.run(&["state", "info", "s.state", "--json"]).ends_with(0).json();
    assert_eq!(info["shard"], "0/4");
    let rows = push(&place, "0/4", &["--force", "--state", "s.state"]).ends_with(0).json();
    assert_eq!((&rows["unchanged"], &rows["rows_read"]), (&info["euids"], &info["euids"]));
    let doctor = place.run(&["doctor", "--state", "s.state", "--shard", "0/4"]).ends_with(0);
    assert!(doctor.stdout.contains("users of shard 0/4, bound to"), "{doctor}");
    for (state, shard, said) in [
        ("s.state", "1/4", "it belongs to shard 0/4, not to shard 1/4"),
        ("all.state", "0/4", "it belongs to all users, not to shard 0/4"),
    ] {
        let doctor = place.run(&["doctor", "--state", state, "--shard", shard]).ends_with(2);
        assert!(doctor.stdout.contains(&format!("FAIL  state          {said}")), "{doctor}");
    }
    let doctor = place.run(&["doctor", "--state", "s.state"]).ends_with(2);
    assert!(doctor.stdout.contains("it belongs to shard 0/4, not to all users"), "{doctor}");
    assert!(doctor.stdout.contains("say `--shard 0/4`, or name another file"), "{doctor}");
    // It stays what it is of, whoever is forgotten and whatever it is bound to.
    place.run(&["state", "forget", "s.state", "--all"]).ends_with(0);
    let place = place.variable("ENGAGELAB_MA_API_KEY", "another-key");
    place.run(&["state", "rebind", "s.state"]).ends_with(0);
    assert!(place.run(&["state", "info", "s.state"]).ends_with(0).stdout.contains("shard      0/4\n"));
}

#[test]
fn a_state_of_which_nothing_is_known_belongs_to_no_shard_yet() {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(20));
    push(&place, "0/4", &["--state", "s.state"]).ends_with(1);
    service.set_faults::<&str>(&[]);
    push(&place, "1/4", &["--force", "--state", "s.state"]).ends_with(0);
    push(&place, "0/4", &["--force", "--state", "s.state"]).ends_with(2).says("belongs to shard 1/4");
}

/// The same shard of EUIDs and of ids is not the same users.
#[test]
fn a_state_of_a_shard_is_of_what_the_shard_is_of() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file(
        "a.csv",
        "euid,user_id,email\n1,a,a@example.com\n2,b,b@example.com\n3,c,c@example.com\n4,d,d@example.com\n",
    );
    let only = ["--contacts", "email", "--state", "s.state", "--force"];
    push(&place, "0/2", &only).ends_with(0);
    let by_id = ["--identify-by", "user_id"];
    push(&place, "0/2", &[&only[..], &by_id].concat())
        .ends_with(2)
        .says("belongs to shard 0/2, and the rows are of shard 0/2 by user_id");
    let other = ["--contacts", "email", "--state", "ids.state", "--force"];
    let first = push(&place, "1/2", &[&other[..], &by_id].concat()).ends_with(0).json();
    let again = push(&place, "1/2", &[&other[..], &by_id].concat()).ends_with(0).json();
    assert_eq!((&again["unchanged"], &again["register_requests"]), (&first["synced"], &json!(0)));
    assert!(first["synced"].as_u64().unwrap() > 0, "{first}");
    push(&place, "1/2", &other).ends_with(2).says("belongs to shard 1/2 by user_id, and the rows are of shard 1/2;");
}

#[test]
fn nights_of_shards_are_as_those_of_all_rows() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", changed(300, 0));
    let first = night(&place, &[]);
    assert_eq!((sum(&first, "synced"), sum(&first, "rows_read")), (300, 300));
    let requests = service.record().stats().requests;
    // A tenth changed, and thirty of the last are gone; one row is of nobody.
    let rows = changed(270, 30) + "oops,x@example.com\n";
    place.file("a.csv", &rows);
    let lists = [0, 1, 2].map(|number| {
        let (shard, state) = (format!("{number}/3"), format!("s{number}.state"));
        let list = format!("gone{number}.txt");
        let more = ["--force", "--state", &state, "--report-vanished", &list, "--fail-on", "none", "--min-rows", "90%"];
        let ran = push(&place, &shard, &more).ends_with(0);
        // Whoever seems to have vanished may be the one that can't be read, in whichever shard that is.
        let ran = ran.says("1 rows have no readable EUID: users counted or listed as vanished may be theirs");
        (ran.json(), place.read(&list))
    });
    let summaries = lists.clone().map(|(summary, _)| summary);
    let sums = ["rows_read", "unchanged", "synced", "rejected", "vanished"].map(|name| sum(&summaries, name));
    assert_eq!(sums, [271, 240, 30, 1, 30]);
    assert_eq!(service.record().stats().requests - requests, 30);
    let mut gone: Vec<u64> =
        lists.iter().flat_map(|(_, list)| list.lines()).map(|euid| euid.parse().unwrap()).collect();
    gone.sort_unstable();
    assert_eq!(gone, (271..=300).collect::<Vec<_>>());
    // The least rows are those of the whole input, then and now.
    place.file("a.csv", changed(243, 0));
    push(&place, "1/3", &["--force", "--state", "s1.state", "--min-rows", "90%"])
        .ends_with(2)
        .says("the input has 243 rows, fewer than `--min-rows 90%` of the 271 rows that the last finished run read");
    place.file("a.csv", &rows);
    push(&place, "1/3", &["--force", "--state", "s1.state", "--min-rows", "100%", "--fail-on", "none"])
        .ends_with(0)
        .says("is byte for byte what the run of");
    place.file("a.csv", changed(300, 300));
    push(&place, "1/3", &["--force", "--state", "s1.state", "--max-changes", "50%"])
        .ends_with(2)
        .says("rows that the state knows changed (\"email\" ");
}

#[test]
fn whoever_has_several_ids_may_seem_to_have_vanished_from_a_shard() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let ids = |ids: std::ops::Range<u32>| {
        std::iter::once("user_id,email\n".to_owned())
            .chain(ids.map(|id| format!("crm-{id},u{id}@example.com\n")))
            .collect::<String>()
    };
    place.file("a.csv", ids(0..40));
    let by_id = ["--identify-by", "user_id", "--state", "s.state", "--force"];
    push(&place, "0/2", &by_id).ends_with(0).never_says("several ids");
    place.file("a.csv", ids(0..20));
    let ran = push(&place, "0/2", &by_id).ends_with(0);
    assert!(ran.json()["vanished"].as_u64().unwrap() > 0, "{ran}");
    let said = "have no row in shard 0/2: one with several ids may have a row in another";
    push(&place, "0/2", &[&by_id[..], &["--dry-run"]].concat()).says(said);
    ran.says(said);
}

/// Reports of three shards in which all rows failed, with a state each.
fn failed() -> (Service, Workplace) {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(30));
    night(&place, &[]);
    service.set_faults(&["code=-1:1"]);
    place.file("a.csv", changed(30, 30));
    for number in ["0", "1", "2"] {
        let (shard, state, report) = (format!("{number}/3"), format!("s{number}.state"), format!("r{number}.ndjson"));
        place
            .run(&["push", "a.csv", "--retries", "0", "--shard", &shard, "--state", &state, "--report", &report])
            .ends_with(1);
    }
    service.set_faults::<&str>(&[]);
    (service, place)
}

#[test]
fn a_replay_tells_a_state_of_no_user_of_another_shard() {
    let (service, place) = failed();
    let replay = |reports: &[&str], more: &[&str]| {
        let common = ["replay", "--report", "again.ndjson", "--force", "--rate", "unlimited"];
        place.run(&[&common[..], reports, more].concat())
    };
    let before = service.record().stats().requests;
    // By what lies beside a report; and by its rows, where nothing does.
    replay(&["r0.ndjson"], &["--state", "s1.state"]).ends_with(2).says("must know of what is sent again");
    for report in ["r0.ndjson", "r1.ndjson", "r2.ndjson"] {
        std::fs::rename(place.path(&format!("{report}.run")), place.path(&format!("{report}.kept"))).unwrap();
    }
    for (reports, more) in [
        (&["r0.ndjson"][..], &[][..]),
        (&["r1.ndjson", "r0.ndjson"], &[]),
        (&["r0.ndjson"], &["--dry-run"]),
        (&["r1.ndjson"], &["--identify-by", "user_id"]),
    ] {
        let ran = replay(reports, &[more, &["--state", "s1.state"]].concat()).ends_with(2);
        ran.says("nothing was sent").says("s1.state").says("replay the report of each shard by itself");
    }
    assert_eq!(service.record().stats().requests, before);
    replay(&["r1.ndjson"], &["--state", "s1.state", "--dry-run"]).ends_with(0);
    replay(&["r1.ndjson"], &["--state", "s1.state"]).ends_with(0);
    let sent = service.record().stats().requests - before;
    assert!(sent > 3, "{sent}");
    let known = push(&place, "1/3", &["--state", "s1.state", "--force"]).ends_with(0).json();
    assert_eq!(known["unchanged"], sent, "{known}");
}

#[test]
fn a_replay_makes_a_state_of_the_shard_of_its_reports() {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    place.file("a.csv", users(30));
    for number in ["0", "1", "2"] {
        let (shard, report) = (format!("{number}/3"), format!("r{number}.ndjson"));
        place.run(&["push", "a.csv", "--retries", "0", "--shard", &shard, "--report", &report]).ends_with(1);
    }
    service.set_faults::<&str>(&[]);
    let replay = |reports: &[&str], more: &[&str]| {
        let common = ["replay", "--report", "again.ndjson", "--force", "--rate", "unlimited", "--summary", "-"];
        place.run(&[&common[..], reports, more].concat())
    };
    let state = ["--state", "s.state"];
    replay(&["r0.ndjson", "r1.ndjson"], &state).ends_with(2).says("the reports are of several shards");
    replay(&["r0.ndjson"], &state).ends_with(0);
    assert_eq!(place.run(&["state", "info", "s.state", "--json"]).json()["shard"], "0/3");
    replay(&["r1.ndjson"], &state)
        .ends_with(2)
        .says("s.state belongs to shard 0/3; rows that are not of it: 12 of 12; nothing was sent");
    // A state of all users takes no report of a shard.
    push(&place, "", &["--state", "all.state", "--force"]).ends_with(0);
    replay(&["r1.ndjson"], &["--state", "all.state"])
        .ends_with(2)
        .says("belongs to all users, and the rows are of shard 1/3");
    // Without a state all of them are one.
    let requests = service.record().stats().requests;
    let all = replay(&["r0.ndjson", "r1.ndjson", "r2.ndjson"], &[]).ends_with(0).json();
    assert_eq!((&all["rows_read"], service.record().stats().requests - requests), (&json!(30), 30));
    assert!(!place.read("again.ndjson.run").contains("--shard"));
    replay(&["r2.ndjson"], &[]).ends_with(0);
    assert!(place.read("again.ndjson.run").contains("\"--shard\":\"2/3\""));
}

#[test]
fn a_later_row_in_the_report_of_another_shard_replaces_a_failed_one() {
    let service = Service::with_faults(&["contact/code=-1:1"]);
    let place = service.workplace();
    // One user by two ids, which are in two shards.
    place.file("a.csv", "user_id,email\na,old@example.com\n");
    let by_id = ["--identify-by", "user_id", "--force"];
    let shards = ["0/2", "1/2"];
    let of = |id: &str| {
        let shard: Vec<_> = shards.iter().filter(|shard| shard.parse::<model::Shard>().unwrap().has_id(id)).collect();
        *shard[0]
    };
    let other = (0..100).map(|number| format!("b{number}")).find(|id| of(id) != of("a")).unwrap();
    push(&place, of("a"), &by_id).ends_with(1);
    let euid = place.json_lines("r.ndjson")[0]["euid"].clone();
    for name in ["r.ndjson", "r.ndjson.run"] {
        std::fs::rename(place.path(name), place.path(&format!("first-{name}"))).unwrap();
    }
    service.set_faults(&["twin:1"]);
    place.file("a.csv", format!("user_id,email\n{other},new@example.com\n"));
    push(&place, of(&other), &by_id).ends_with(0);
    // As the service would say of two ids of one user.
    let record = place.read("r.ndjson");
    let there = place.json_lines("r.ndjson")[0]["euid"].clone();
    place.file("r.ndjson", record.replace(&format!("\"euid\":{there}"), &format!("\"euid\":{euid}")));
    let replay = ["replay", "first-r.ndjson", "r.ndjson", "--dry-run"];
    place.run(&replay).ends_with(0).says("0 rows would be sent; left alone: 1 superseded");
}

#[test]
fn a_verify_of_each_shard_finds_what_that_of_all_rows_does() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rows: String = (1..=90).map(|row| format!("{},u{row}@example.com\n", 1 + row % 40)).collect();
    place.file("a.csv", format!("euid,email\n{rows}"));
    push(&place, "", &[]).ends_with(0);
    // Three users are not there.
    place.file("b.csv", format!("euid,email\n{rows}101,a@example.com\n102,b@example.com\n103,c@example.com\n"));
    let verify = |more: &[&str]| {
        let common = ["verify", "b.csv", "--settle", "0", "--report", "v.ndjson", "--force", "--summary", "-"];
        place.run(&[&common[..], more].concat()).json()
    };
    let all = verify(&[]);
    assert_eq!((&all["landed"], &all["superseded"], &all["different"]), (&json!(40), &json!(50), &json!(3)));
    let shards = ["0/3", "1/3", "2/3"].map(|shard| verify(&["--shard", shard]));
    for name in ["rows_read", "landed", "superseded", "different"] {
        assert_eq!(sum(&shards, name), all[name].as_u64().unwrap(), "{name}");
    }
    assert!(shards.iter().all(|shard| shard["rows_read"].as_u64().unwrap() > 10), "{shards:?}");
}
