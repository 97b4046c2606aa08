//! `verify`, killed and resumed: the report names exactly the rows of which the service holds something else.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use fastrand::Rng;
use model::{Outcome, Reason};
use sandbox::SandboxOptions;
use serde_json::{Map, Value};

use super::{
    Seeds,
    tries::{Tries, tell},
};
use crate::service::Service;

const SEEDS: u64 = 8;
const ROWS: u64 = 4_000;
const USERS: u64 = 2_500;
const NAMES: [&str; 2] = ["email", "mobile_phone"];

/// What a push meets: successes of which something else is there than was sent.
const STORING: [&str; 4] = ["altered:0.05", "unstored:0.05", "forgotten:0.03", "contact/partial:0.03"];
const READING: [&str; 4] = ["profile/code=-1:0.1", "profile/lost:0.1", "profile/status=502:0.1", "profile/drop:0.05"];

/// What campaigns came across.
#[derive(Debug, Default)]
struct Met {
    kills: AtomicU64,
    landed: AtomicU64,
    superseded: AtomicU64,
    missing: AtomicU64,
    without_value: AtomicU64,
    others: AtomicU64,
}

/// A user and its contacts, in the order of [`NAMES`].
#[derive(Clone)]
struct Row {
    euid: Option<u64>,
    contacts: [Option<String>; 2],
}

fn rows(dice: &mut Rng) -> Vec<Row> {
    let row = |number: u64| {
        let euid = (dice.u8(..40) > 0).then(|| 1 + dice.u64(..USERS));
        let phone = Some(format!("+12015550{:03}", number % 1_000));
        let contacts = match dice.u8(..4) {
            0 => [Some(format!("{number}@example.com")), None],
            1 => [None, phone],
            _ => [Some(format!("{number}@example.com")), phone],
        };
        Row { euid, contacts }
    };
    (1..=ROWS).map(row).collect()
}

fn text(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let [email, phone] = row.contacts.each_ref().map(|value| value.as_deref().unwrap_or_default());
        format!("{},{email},{phone}\n", row.euid.map(|euid| euid.to_string()).unwrap_or_default())
    };
    std::iter::once("euid,email,mobile_phone\n".to_owned()).chain(rows.iter().map(line)).collect()
}

/// How each row must end, by what the service holds.
fn expected(rows: &[Row], held: &BTreeMap<u64, Map<String, Value>>) -> Vec<(Outcome, Option<Reason>)> {
    // The last row that sets a contact of a user.
    let mut last: BTreeMap<(u64, usize), usize> = BTreeMap::new();
    for (at, row) in rows.iter().enumerate() {
        let Some(euid) = row.euid else { continue };
        for (name, _) in row.contacts.iter().enumerate().filter(|(_, value)| value.is_some()) {
            last.insert((euid, name), at);
        }
    }
    let judge = |(at, row): (usize, &Row)| {
        let Some(euid) = row.euid else { return (Outcome::Rejected, Some(Reason::EuidEmpty)) };
        let contacts = NAMES.iter().zip(&row.contacts).enumerate();
        let answers_for = contacts.filter(|(name, _)| last.get(&(euid, *name)) == Some(&at));
        let answers_for: Vec<_> = answers_for.map(|(_, (name, value))| (*name, value.as_deref())).collect();
        if answers_for.is_empty() {
            return (Outcome::Superseded, None);
        }
        let Some(there) = held.get(&euid) else { return (Outcome::Different, Some(Reason::UserMissing)) };
        let there = |name: &str| there.get(name).and_then(Value::as_str);
        if answers_for.iter().any(|(name, _)| there(name).is_none()) {
            return (Outcome::Different, Some(Reason::ValueMissing));
        }
        if answers_for.iter().any(|(name, value)| there(name) != *value) {
            return (Outcome::Different, Some(Reason::ValueDiffers));
        }
        (Outcome::Landed, None)
    };
    rows.iter().enumerate().map(judge).collect()
}

fn campaign(seed: u64, met: &Met) {
    let mut dice = Rng::with_seed(seed ^ 0x7e5);
    let latency = Duration::from_millis(dice.u64(..4));
    let options = SandboxOptions { seed, latency, profile_limit: None, ..SandboxOptions::default() };
    let service = Service::start(options);
    let place = service.workplace();
    let rows = rows(&mut dice);
    place.file("a.csv", text(&rows));
    service.set_faults(&STORING);
    let pushed = place.run(&["push", "a.csv", "--report", "pushed.ndjson", "--rate", "unlimited"]);
    pushed.ends_with(1);
    service.set_faults(&READING);
    let expected = expected(&rows, &service.record().profiles());
    let options = ["--profile-rate", "60/s", "--settle", "300ms"];
    let takes = Duration::from_millis(1_600);
    let tries = Tries {
        seed,
        service: &service,
        place: &place,
        command: "verify",
        input: "a.csv",
        options: &options,
        retries: "30",
        takes,
    };
    let (killed, last) = tries.run(&mut dice);
    assert_eq!(last.status, Some(1), "seed {seed}: some rows are rejected\n{last}");
    met.kills.fetch_add(killed, Relaxed);
    for ((row, end), expected) in (1..).zip(tries.ends(ROWS)).zip(&expected) {
        assert_eq!((end.outcome, end.reason), *expected, "seed {seed}, row {row}, after {killed} kills");
        let count = match expected {
            (Outcome::Landed, _) => &met.landed,
            (Outcome::Superseded, _) => &met.superseded,
            (_, Some(Reason::UserMissing)) => &met.missing,
            (_, Some(Reason::ValueMissing)) => &met.without_value,
            (_, Some(Reason::ValueDiffers)) => &met.others,
            _ => continue,
        };
        count.fetch_add(1, Relaxed);
    }
    // What differs is sent, and then it is there.
    service.set_faults::<&str>(&[]);
    place.run(&["replay", "r.ndjson", "--report", "replayed.ndjson", "--rate", "unlimited"]).ends_with(0);
    let valid: Vec<Row> = rows.into_iter().filter(|row| row.euid.is_some()).collect();
    place.file("valid.csv", text(&valid));
    place.run(&["verify", "valid.csv", "--report", "2.ndjson", "--profile-rate", "unlimited"]).ends_with(0);
}

#[test]
fn killed_at_any_moment_verify_names_the_rows_that_differ() {
    let (seeds, met) = (Seeds::new(SEEDS), Met::default());
    seeds.each(|seed| campaign(seed, &met));
    let told = format!("{} seeds, verified: {met:?}", seeds.count);
    tell(&told);
    let Met { kills, landed, superseded, missing, without_value, others } = met;
    for count in [kills, landed, superseded, missing, without_value, others] {
        assert!(count.into_inner() > 0 || seeds.count < SEEDS, "something never happened: {told}");
    }
}
