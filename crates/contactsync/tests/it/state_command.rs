//! `state` and what `doctor` says of a state. The states are made by the crate, as a run would.

use std::{path::Path, sync::Arc};

use model::Euid;
use state::{Ended, FinishedRun, RunInput, State};

use crate::{service::Service, support::Workplace};

/// A state of some users with two contacts each, of the last of which nobody knows what the service holds.
fn make(path: &Path, users: u64, target: &str) {
    let state = Arc::new(State::open(path).unwrap());
    state.set_meta(|meta| meta.target = Some(target.to_owned())).unwrap();
    for number in 1..=users {
        let euid = Euid::new(number).unwrap();
        let row = state.looker().look().to_send(euid).unwrap();
        state.mark([row]);
        let contacts = [("email", "ada@example.com"), ("mobile_phone", "+12025550100")];
        state.ended(euid, Ended::Accepted(contacts.into_iter()), 1_790_000_000_000, false);
    }
    let last = state.looker().look().to_send(Euid::new(users).unwrap()).unwrap();
    state.mark([last]);
    state.finish().unwrap();
}

fn prints(place: &Workplace, arguments: &[&str], text: &str) {
    let told = place.run(arguments).ends_with(0);
    assert!(told.stdout.contains(text), "{text}\n{told}");
}

#[test]
fn info_says_what_a_state_holds_and_of_which_runs() {
    let place = Workplace::new();
    let path = place.path("a.state");
    make(&path, 7, "https://example.com");
    let state = State::open(&path).unwrap();
    let input = RunInput { source: "a\u{7}.csv".to_owned(), rows: 9, ..RunInput::default() };
    let run = FinishedRun {
        at: "2026-11-28T02:03:04.567Z".to_owned(),
        inputs: vec![input],
        rows: 9,
        unchanged: 5,
        ..FinishedRun::default()
    };
    state.set_meta(|meta| meta.add_run(run)).unwrap();
    state.finish().unwrap();
    drop(state);
    let told = place.run(&["state", "info", "a.state"]).ends_with(0);
    for expected in [
        "users      7\n",
        "contacts   14, 2 of them unknown\n",
        "bound to   https://example.com\n",
        "API key    none yet\n",
        "2026-11-28T02:03:04Z            9            5",
        "a\\u{7}.csv (a part of it)",
    ] {
        assert!(told.stdout.contains(expected), "{expected}\n{told}");
    }
    let json = place.run(&["state", "info", "a.state", "--json"]).ends_with(0);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["euids"], &json["known"], &json["unknown"]), (&7.into(), &12.into(), &2.into()));
    assert_eq!(json["bytes"], std::fs::metadata(&path).unwrap().len());
    assert_eq!(json["runs"][0]["unchanged"], 5);
    // A look changes nothing.
    assert_eq!(place.run(&["state", "info", "a.state"]).ends_with(0).stdout, told.stdout);
}

#[test]
fn forgotten_users_leave_nothing_behind() {
    let place = Workplace::new();
    let path = place.path("a.state");
    make(&path, 300, "sandbox");
    let holds = |euid: u64| {
        let bytes = std::fs::read(&path).unwrap();
        bytes.windows(8).any(|window| window == euid.to_le_bytes())
    };
    // Small numbers stand everywhere in a file.
    let far = 0x0102_0304_0506_0708;
    {
        let state = Arc::new(State::open(&path).unwrap());
        let euid = Euid::new(far).unwrap();
        let row = state.looker().look().to_send(euid).unwrap();
        state.mark([row]);
        state.ended(euid, Ended::Accepted([("email", "ben@example.com")].into_iter()), 1_790_000_000_000, false);
        state.finish().unwrap();
    }
    assert!(holds(far));
    place.run(&["state", "forget", "a.state"]).ends_with(2).says("--euid").says("--all");
    place.run(&["state", "forget", "a.state", "--euid", "1", "--all"]).ends_with(2);
    place.run(&["state", "forget", "a.state", "--euid", "one"]).ends_with(2).says("1 ..= 9223372036854775807");
    assert!(holds(far));
    let far_text = far.to_string();
    place
        .run(&["state", "forget", "a.state", "--euid", "1,2", "--euid", &far_text, "--euid", "9999999"])
        .ends_with(0)
        .says("users forgotten: 3")
        .says("users that it did not know: 1");
    assert!(!holds(far));
    prints(&place, &["state", "info", "a.state"], "users      298\n");
    place.run(&["state", "forget", "a.state", "--all"]).ends_with(0).says("users forgotten: 298");
    let left = place.run(&["state", "info", "a.state"]).ends_with(0);
    assert!(left.stdout.contains("users      0\n") && left.stdout.contains("bound to   sandbox\n"), "{left}");
}

#[test]
fn what_is_set_for_a_replay_never_makes_a_state_forget_all() {
    let place = Workplace::new().variable("CONTACTSYNC_ALL", "true");
    make(&place.path("a.state"), 3, "sandbox");
    place.file("contactsync.toml", "all = true\n");
    place.run(&["state", "forget", "a.state"]).ends_with(2);
    prints(&place, &["state", "info", "a.state"], "users      3\n");
}

#[test]
fn a_state_is_bound_to_the_key_in_force() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let path = place.path("a.state");
    let file = "a.state";
    make(&path, 3, "https://example.com");
    let doctor = place.run(&["doctor", "--state", file]).ends_with(2);
    assert!(doctor.stdout.contains("FAIL  state ") && doctor.stdout.contains("state rebind"), "{doctor}");
    place.run(&["state", "rebind", file]).ends_with(0).says("before to https://example.com and no API key");
    place.run(&["state", "rebind", file]).ends_with(0).says("already");
    let doctor = place.run(&["doctor", "--state", file]).ends_with(0);
    assert!(doctor.stdout.contains("a.state holds 6 contacts of 3 users, bound to http://127.0.0.1:"), "{doctor}");
    assert!(doctor.stdout.contains("MiB needed to write the state anew"), "{doctor}");
    let key = |place: &Workplace| {
        let json = place.run(&["state", "info", file, "--json"]).ends_with(0).stdout;
        serde_json::from_str::<serde_json::Value>(&json).unwrap()["api_key"].as_str().unwrap().to_owned()
    };
    let first = key(&place);
    let place = place.variable("ENGAGELAB_MA_API_KEY", "another-key");
    let doctor = place.run(&["doctor", "--state", file]).ends_with(2);
    assert!(doctor.stdout.contains("bound to another API key"), "{doctor}");
    place.run(&["state", "rebind", file]).ends_with(0).never_says("another-key");
    assert_ne!(key(&place), first);
    // What the service accepted no sandbox holds.
    place.run(&["state", "rebind", file, "--sandbox"]).ends_with(2).says("sandbox holds nothing");
    assert_eq!(service.record().stats().requests, 0);
}

#[test]
fn what_is_no_state_or_not_whole_or_used_is_said_as_such() {
    let place = Workplace::new();
    let path = place.path("a.state");
    make(&path, 300, "sandbox");
    place.file("foreign.state", "euid,email\n1,ada@example.com\n".repeat(20));
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    place.file("damaged.state", &bytes);
    let held = State::open_existing(&path).unwrap();
    for command in [&["state", "info"][..], &["state", "forget", "--all"], &["state", "rebind", "--sandbox"]] {
        for (file, what) in [
            ("absent.state", "there is no state"),
            ("foreign.state", "is no state of this version"),
            ("damaged.state", "is damaged"),
            ("a.state", "is being used by another run"),
        ] {
            let arguments: Vec<&str> = command.iter().copied().chain([file]).collect();
            place.run(&arguments).ends_with(2).says(what).never_says("made anew");
        }
    }
    for command in
        [&["state", "info", "foreign.state"][..], &["push", "x.csv", "--sandbox", "--state", "foreign.state"]]
    {
        place.file("x.csv", "euid,email\n1,ada@example.com\n");
        place.run(command).ends_with(2).says("where it is one of another version, move it away");
    }
    for (file, what) in [("foreign.state", "is no state"), ("damaged.state", "is damaged"), ("a.state", "being used")] {
        let doctor = place.run(&["doctor", "--sandbox", "--state", file]).ends_with(2);
        assert!(doctor.stdout.contains("FAIL  state ") && doctor.stdout.contains(what), "{doctor}");
    }
    let first = place.run(&["doctor", "--sandbox", "--state", "absent.state"]).ends_with(0);
    assert!(first.stdout.contains("the first run makes it") && !place.exists("absent.state"), "{first}");
    drop(held);
    assert_eq!(std::fs::read(place.path("damaged.state")).unwrap(), bytes, "what is damaged stays as it is");
}

#[test]
fn a_state_that_is_used_can_be_waited_for() {
    let place = Workplace::new();
    let path = place.path("a.state");
    make(&path, 3, "sandbox");
    let held = State::open_existing(&path).unwrap();
    let mut waiting =
        crate::support::Running::start(&mut place.command(&["state", "info", "a.state", "--lock-wait", "1m"]));
    waiting.until_it_says("waiting for another run");
    drop(held);
    let told = waiting.finish().ends_with(0);
    assert!(told.stdout.contains("users      3\n"), "{told}");
}
