//! Rows that are compared with the service, which loses answers: what is `unchanged` was there.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use fastrand::Rng;
use model::Outcome;
use sandbox::SandboxOptions;
use serde_json::Value;

use super::{
    RATE, Seeds,
    tries::{End, Tries, tell},
};
use crate::{service::Service, support::Workplace};

const SEEDS: u64 = 8;
const ROWS: u64 = 900;
const USERS: u64 = 220;
/// Values that come back.
const VERSIONS: u64 = 3;

const FAULTS: [&str; 9] = [
    "contact/lost:0.05",
    "contact/drop:0.03",
    "contact/partial:0.02",
    "contact/code=-1:0.03",
    "contact/code=55004:0.02",
    "profile/code=-1:0.1",
    "profile/lost:0.1",
    "profile/status=502:0.1",
    "profile/garbage:0.02",
];

/// What campaigns came across.
#[derive(Debug, Default)]
struct Met {
    kills: AtomicU64,
    unchanged: AtomicU64,
    synced: AtomicU64,
    failed: AtomicU64,
}

/// A user and which of its values it gets.
type Row = (u64, u64);

fn text(rows: &[Row]) -> String {
    let line = |(euid, version): &Row| format!("{euid},{version}.{euid}@example.com\n");
    std::iter::once("euid,email\n".to_owned()).chain(rows.iter().map(line)).collect()
}

fn version(contacts: &serde_json::Map<String, Value>) -> Option<u64> {
    Some(contacts.get("email")?.as_str()?.split('.').next()?.parse().unwrap())
}

fn held(service: &Service) -> BTreeMap<u64, Option<u64>> {
    service.record().profiles().iter().map(|(euid, contacts)| (*euid, version(contacts))).collect()
}

fn campaign(seed: u64, met: &Met) {
    let mut dice = Rng::with_seed(seed ^ 0xc0);
    let service = Service::start(SandboxOptions { seed, profile_limit: None, ..SandboxOptions::default() });
    let place = service.workplace();
    let with_state = seed % 2 == 1;
    let state: &[&str] = if with_state { &["--state", "s.state"] } else { &[] };
    // Half of the users are there, and a state knows a part of them.
    let there: Vec<Row> = (1..=USERS / 2).map(|euid| (euid, dice.u64(..VERSIONS))).collect();
    for (rows, state, report) in [(&there[..], &[][..], "1.ndjson"), (&there[..there.len() / 2], state, "2.ndjson")] {
        place.file("there.csv", text(rows));
        let pushed = ["push", "there.csv", "--report", report, "--rate", "unlimited"];
        place.run(&[&pushed[..], state].concat()).ends_with(0);
    }
    let begin = held(&service);
    let requests: BTreeMap<u64, usize> =
        (1..=USERS).map(|euid| (euid, service.record().requests(euid).len())).collect();
    let rows: Vec<Row> = (0..ROWS).map(|_| (1 + dice.u64(..USERS), dice.u64(..VERSIONS))).collect();
    place.file("a.csv", text(&rows));
    service.set_faults(&FAULTS);
    let rate = format!("{RATE}/s");
    let options = ["--compare-service", "--report-unchanged", "--rate", &rate, "--profile-rate", "200/s"];
    // A lost answer mostly ends in another attempt, and now and then in a row that failed.
    let retries = if seed % 4 < 2 { "1" } else { "30" };
    let options = [&options[..], state].concat();
    let takes = Duration::from_millis(1_200);
    let tries = Tries {
        seed,
        service: &service,
        place: &place,
        command: "push",
        input: "a.csv",
        options: &options,
        retries,
        takes,
    };
    let (killed, last) = tries.run(&mut dice);
    assert!(matches!(last.status, Some(0 | 1)), "seed {seed}: {last}");
    met.kills.fetch_add(killed, Relaxed);
    let ends = tries.ends(ROWS);
    for euid in 1..=USERS {
        let of_user: Vec<(u64, End)> = rows
            .iter()
            .zip(&ends)
            .filter(|((user, _), _)| *user == euid)
            .map(|((_, version), end)| (*version, *end))
            .collect();
        let asked = service.record().requests(euid);
        let asked = asked[requests[&euid]..].iter();
        // What it held one after the other.
        let held: Vec<Option<u64>> = std::iter::once(begin.get(&euid).copied().flatten())
            .chain(
                asked
                    .filter(|request| request.answered == 0 || request.answered == "lost")
                    .map(|request| version(&request.contacts)),
            )
            .collect();
        explained(&of_user, &held)
            .unwrap_or_else(|why| panic!("seed {seed}, user {euid}: {why}: {of_user:?} and {held:?}"));
        for (_, end) in of_user {
            let count = match end.outcome {
                Outcome::Unchanged => &met.unchanged,
                Outcome::Synced => &met.synced,
                _ => &met.failed,
            };
            count.fetch_add(1, Relaxed);
        }
    }
    next_nights(&service, &place, (seed, &rows, state));
}

/// Whether a user's rows, as they ended, are true of what the service held of it one after the other.
fn explained(rows: &[(u64, End)], held: &[Option<u64>]) -> Result<(), &'static str> {
    let mut at = 0;
    let find = |from: usize, version: u64| (from..held.len()).find(|at| held[*at] == Some(version));
    let mut may_be_last = vec![held[0]];
    for (version, end) in rows {
        match (end.outcome, end.reason) {
            (Outcome::Unchanged, None) => at = find(at, *version).ok_or("one is unchanged, and it was never there")?,
            (Outcome::Synced, None) => at = find(at + 1, *version).ok_or("one is synced, and it was never set")?,
            // Some of it may be there.
            (Outcome::Synced | Outcome::Failed, Some(_)) => {
                may_be_last.push(Some(*version));
                continue;
            }
            _ => return Err("one ended in no such way"),
        }
        may_be_last = vec![Some(*version)];
    }
    let last = held[held.len() - 1];
    if may_be_last.contains(&last) { Ok(()) } else { Err("another value is there than the last row's") }
}

/// Behind it all: what isn't there is sent, and then all is there.
fn next_nights(service: &Service, place: &Workplace, (seed, rows, state): (u64, &[Row], &[&str])) {
    service.set_faults::<&str>(&[]);
    let last: BTreeMap<u64, u64> = rows.iter().copied().collect();
    let rows: Vec<Row> = last.iter().map(|(euid, version)| (*euid, *version)).collect();
    place.file("next.csv", text(&rows));
    for (report, state) in [("3.ndjson", state), ("4.ndjson", state), ("5.ndjson", &[])] {
        let sent = sent(service);
        let pushed = ["push", "next.csv", "--compare-service", "--report", report, "--rate", "unlimited"];
        let ran = place.run(&[&pushed[..], &["--profile-rate", "unlimited"], state].concat()).ends_with(0);
        let there: BTreeMap<u64, Option<u64>> = held(service);
        let is_there = last.iter().all(|(euid, version)| there[euid] == Some(*version));
        assert!(is_there, "seed {seed}: a change was skipped\n{ran}");
        let sent = self::sent(service) - sent;
        assert!(report == "3.ndjson" || sent == 0, "seed {seed}: {sent} were sent, and all is there\n{ran}");
    }
}

/// Requests that set contacts.
fn sent(service: &Service) -> usize {
    let users: BTreeSet<u64> = service.record().contacts().into_keys().collect();
    users.into_iter().map(|euid| service.record().requests(euid).len()).sum()
}

#[test]
fn killed_at_any_moment_what_is_unchanged_was_there() {
    let (seeds, met) = (Seeds::new(SEEDS), Met::default());
    seeds.each(|seed| campaign(seed, &met));
    let told = format!("{} seeds, compared with the service: {met:?}", seeds.count);
    tell(&told);
    let Met { kills, unchanged, synced, failed } = met;
    for count in [kills, unchanged, synced, failed] {
        assert!(count.into_inner() > 0 || seeds.count < SEEDS, "something never happened: {told}");
    }
}

#[test]
fn what_explains_rows_and_what_does_not() {
    let end = |outcome| End { outcome, reason: None, euid: 1 };
    let (unchanged, synced) = (end(Outcome::Unchanged), end(Outcome::Synced));
    let failed = End { reason: Some(model::Reason::ServerError), ..end(Outcome::Failed) };
    assert_eq!(explained(&[(1, unchanged), (2, synced), (2, unchanged)], &[Some(1), Some(2)]), Ok(()));
    assert_eq!(explained(&[(1, failed)], &[None, Some(1)]), Ok(()));
    assert_eq!(explained(&[(1, failed), (2, unchanged)], &[Some(2)]), Ok(()));
    assert!(explained(&[(1, unchanged)], &[Some(2)]).is_err(), "it was never there");
    assert!(explained(&[(2, synced), (1, unchanged)], &[Some(1), Some(2)]).is_err(), "it was there before only");
    assert!(explained(&[(1, synced)], &[Some(1)]).is_err(), "it was never sent");
    assert!(explained(&[(2, synced)], &[Some(1), Some(2), Some(1)]).is_err(), "an old value came back");
}
