//! The file of `--state` seen from outside: whose it is, who may use it, what it holds, and disks that are full.

use std::{
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use rustix::process::Signal;
use sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Ran, Running, Workplace, finish},
};

const PUSH: [&str; 6] = ["push", "a.csv", "--state", "s.state", "--rate", "unlimited"];

fn push(place: &Workplace, arguments: &[&str]) -> Ran {
    place.run(&[&PUSH[..], arguments].concat())
}

/// A state of so many users.
fn filled(users_known: u64) -> (Service, Workplace) {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(users_known));
    push(&place, &["--report", "first.ndjson"]).ends_with(0);
    assert_eq!(service.record().stats().requests, users_known);
    (service, place)
}

/// A push that can't use the state: told so, nothing is sent and no report begun.
fn refused(service: &Service, place: &Workplace, arguments: &[&str], why: &str) {
    let sent = service.record().stats().requests;
    push(place, &[&["--report", "refused.ndjson"], arguments].concat()).ends_with(2).says(why).says("nothing was sent");
    assert_eq!(service.record().stats().requests, sent);
    assert!(!place.exists("refused.ndjson") && !place.exists("refused.ndjson.run"), "{why}");
}

#[test]
fn a_second_process_is_refused_or_waits() {
    let (service, place) = filled(5);
    service.set_faults(&["hang:1"]);
    place.file("b.csv", "euid,email\n1,new@example.com\n");
    let sent = service.record().stats().requests;
    let first = ["push", "b.csv", "--state", "s.state", "--report", "b.ndjson", "--grace", "0s"];
    let mut running = Running::start(&mut place.command(&first));
    running.until("its request", || service.record().stats().requests > sent);
    refused(&service, &place, &[], "s.state");
    refused(&service, &place, &["--lock-wait", "1ms"], "--lock-wait");
    let waits = [&PUSH[..], &["--report", "waits.ndjson", "--lock-wait", "10m"]].concat();
    let mut waiting = Running::start(&mut place.command(&waits));
    waiting.until_it_says("waiting");
    service.set_faults::<&str>(&[]);
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
    waiting.finish().ends_with(0);
    assert_eq!(service.record().user(1).unwrap()["contacts"]["email"], "user1@example.com");
}

#[test]
fn what_is_damaged_foreign_or_empty_is_refused() {
    let (service, place) = filled(300);
    let whole = std::fs::read(place.path("s.state")).unwrap();
    refused_after(&service, &place, b"", "s.state");
    refused_after(&service, &place, b"euid,email\n1,a@example.com\n", "s.state");
    refused_after(&service, &place, &[0; 9_000], "s.state");
    for at in [20, 50, 4_100, 12_300, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        place.file("s.state", &flipped);
        let sent = service.record().stats().requests;
        let ran = push(&place, &["--report", "refused.ndjson", "--force"]);
        // One of the two pages that say how far it reaches may be missing.
        if ran.status == Some(2) {
            ran.says("damaged").says("nothing was sent");
            assert_eq!(service.record().stats().requests, sent, "byte {at}");
        } else {
            ran.ends_with(0);
        }
    }
    for length in [1, 100, 5_000, whole.len() / 2, whole.len() - 1] {
        refused_after(&service, &place, &whole[..length], "s.state");
    }
    place.file("s.state", &whole);
    let sent = service.record().stats().requests;
    push(&place, &["--report", "whole.ndjson"]).ends_with(0);
    assert_eq!(service.record().stats().requests, sent, "all of it is unchanged");
}

fn refused_after(service: &Service, place: &Workplace, content: &[u8], why: &str) {
    for leftover in ["refused.ndjson", "refused.ndjson.run"] {
        // There where a flip did no harm.
        let _ = std::fs::remove_file(place.path(leftover));
    }
    place.file("s.state", content);
    refused(service, place, &[], why);
    assert_eq!(std::fs::read(place.path("s.state")).unwrap(), content, "what isn't understood is left alone");
}

#[test]
fn it_belongs_to_one_service_and_one_key() {
    let (service, place) = filled(3);
    let other = Service::with_faults(&[]);
    refused(&service, &place, &["--base-url", &other.url()], "belongs to");
    refused(&service, &place, &["--sandbox"], "belongs to");
    assert_eq!(other.record().stats().requests, 0);
    let text = std::fs::read(place.path("s.state")).unwrap();
    let place = place.variable("ENGAGELAB_MA_API_KEY", "another-key");
    refused(&service, &place, &[], "another API key");
    refused(&service, &place, &["--refresh"], "another API key");
    assert_eq!(std::fs::read(place.path("s.state")).unwrap(), text);
    push(&place, &["--report", "r.ndjson", "--accept-new-key"]).ends_with(0);
    assert_eq!(service.record().stats().requests, 3, "all of it is unchanged");
}

/// Once a row was accepted under the new key, it is the one that it belongs to.
#[test]
fn a_row_that_is_accepted_binds_it_to_the_new_key() {
    let (service, place) = filled(2);
    let address = service.url();
    drop(service);
    let (key, listen) = ("another-key".to_owned(), address.trim_start_matches("http://").parse().unwrap());
    let rotated = Service::start(SandboxOptions { api_key: key, listen, ..SandboxOptions::default() });
    let place = place.variable("ENGAGELAB_MA_API_KEY", "another-key");
    place.file("a.csv", "euid,email\n2,new@example.com\n");
    push(&place, &["--report", "new.ndjson", "--accept-new-key"]).ends_with(0);
    assert_eq!(rotated.record().stats().requests, 1);
    push(&place, &["--report", "again.ndjson"]).ends_with(0);
    let place = place.variable("ENGAGELAB_MA_API_KEY", "sandbox-key");
    refused(&rotated, &place, &[], "another API key");
}

#[test]
fn it_is_private_and_holds_no_contact_and_no_key() {
    let (_service, place) = filled(50);
    place.file("b.csv", "euid,email,mobile_phone\n1,fresh@example.com,+12025550123\n");
    place.run(&["push", "b.csv", "--state", "s.state", "--report", "b.ndjson"]).ends_with(0);
    let state = place.path("s.state");
    assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes = std::fs::read(&state).unwrap();
    assert!(bytes.len() > 1_000);
    for text in ["example.com", "user1", "fresh", "12025550123", "2025550123", "sandbox-key", "sandbox-secret", "email"]
    {
        assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "it holds {text}");
    }
    let others = std::fs::read_dir(place.path("")).unwrap();
    let left = others.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| name.starts_with("s.state") && name != "s.state").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// Runs a push under a limit on the size of files, in blocks of 512 bytes.
fn push_limited(place: &Workplace, blocks: u64, report: &str) -> Ran {
    let program = env!("CARGO_BIN_EXE_contactsync");
    let options = "--rate unlimited --resume --summary s.json --state s.state";
    let line = format!("ulimit -f {blocks} && exec {program} push a.csv --report {report} {options}");
    let surroundings = place.command(&[] as &[&str]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(place.path("")).env_clear();
    shell.envs(surroundings.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    finish(shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
}

#[test]
fn a_disk_that_is_full_stops_with_5_and_nothing_is_wrong_afterwards() {
    fill_up(None);
}

#[test]
fn a_disk_that_is_full_while_a_new_file_of_it_is_made_does_no_harm_either() {
    fill_up(Some("4000"));
}

/// `newer`: a new file is made once what is newer takes so many bytes.
fn fill_up(newer: Option<&str>) {
    let (service, mut place) = filled(2_000);
    if let Some(bytes) = newer {
        place = place.variable("_CONTACTSYNC_TEST_NEWER_BYTES", bytes);
    }
    let size = std::fs::metadata(place.path("s.state")).unwrap().len();
    let changed: String = users(2_000).replace("@example", "@changed.example");
    place.file("a.csv", &changed);
    // A report that is packed is smaller than the state, which grows with its log.
    let (mut stopped, mut sent) = (0, service.record().stats().requests);
    for (kilobytes, report) in [(2, "1.ndjson.zst"), (24, "2.ndjson.zst"), (64, "3.ndjson.zst")] {
        let ran = push_limited(&place, (size + kilobytes * 1_024).div_ceil(512), report);
        let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
        if ran.status == Some(5) {
            stopped += 1;
            ran.says("s.state").says("can't be written");
            assert_eq!((&summary["stopped_by"], &summary["exit_code"]), (&json!("report"), &json!(5)));
        } else {
            ran.ends_with(0);
        }
        // Every row that was not found unchanged was sent since, so what is known is true.
        let now = service.record().stats().requests;
        assert_eq!(summary["synced"].as_u64().unwrap(), now - sent, "{report}");
        sent = now;
    }
    assert!(stopped > 0, "there was room for all of it");
    push(&place, &["--report", "last.ndjson"]).ends_with(0);
    let contacts = service.record().contacts();
    assert_eq!(contacts.len(), 2_000);
    for (euid, contacts) in contacts {
        assert_eq!(contacts["email"], format!("user{euid}@changed.example.com"));
    }
    // And back: each must be sent again.
    place.file("a.csv", users(2_000));
    push(&place, &["--report", "back.ndjson"]).ends_with(0);
    let contacts = service.record().contacts();
    assert!(contacts.iter().all(|(euid, contacts)| contacts["email"] == format!("user{euid}@example.com")));
}
