//! Rows keyed by ids, of which some are unknown, some refused, and some belong to one user.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use fastrand::Rng;
use model::{Outcome, Reason};
use sandbox::{AskedId, SandboxOptions};

use super::{
    IN_FLIGHT, RATE, Seeds, row_of,
    tries::{End, Tries, tell},
};
use crate::{service::Service, support::Workplace};

const SEEDS: u64 = 8;
const ROWS: u64 = 900;
const IDS: u64 = 240;
/// Rows of the night before have numbers from here on.
const BEFORE: u64 = 10_000;

/// What campaigns came across.
#[derive(Debug, Default)]
struct Met {
    kills: AtomicU64,
    unknown: AtomicU64,
    twins: AtomicU64,
    retired: AtomicU64,
    unchanged: AtomicU64,
}

/// What ids are and become, in all requests.
const OF_IDS: [&str; 3] = ["unknown:0.05", "twin:0.3", "refused=55105:0.02"];
const OF_REQUESTS: [&str; 3] = ["contact/code=-1:0.03", "contact/drop:0.01", "contact/status=502:0.01"];
const OF_ASKING: [&str; 4] =
    ["register/lost:0.15", "register/drop:0.1", "register/code=-1:0.1", "register/status=502:0.05"];

/// A row of a user: the id, none where it isn't one; and the number that its address bears.
type Row = (Option<String>, u64);

struct Campaign<'c> {
    seed: u64,
    service: &'c Service,
    place: &'c Workplace,
    with_state: bool,
    /// How often an id may be asked for.
    runs: u64,
    /// How many requests each user had before tonight, whose rows may be those of then.
    asked_before: BTreeMap<u64, usize>,
    /// Ids whose users are gone.
    moved: BTreeSet<String>,
    met: &'c Met,
}

fn rows(dice: &mut Rng, count: u64, first: u64) -> Vec<Row> {
    let mut id = || (dice.u8(..20) > 0).then(|| format!("crm-{}", dice.u64(..IDS)));
    (0..count).map(|row| (id(), first + row)).collect()
}

fn text(rows: &[Row]) -> String {
    let line = |(id, row): &Row| format!("{},{row}@example.com\n", id.as_deref().unwrap_or("NULL"));
    std::iter::once("user_id,email\n".to_owned()).chain(rows.iter().map(line)).collect()
}

fn campaign(seed: u64, met: &Met) {
    let mut dice = Rng::with_seed(seed ^ 0x1d5);
    let with_state = seed % 2 == 1;
    let service = Service::start(SandboxOptions { seed, ..SandboxOptions::default() });
    let mut place = service.workplace();
    if with_state {
        place = place.variable("_CONTACTSYNC_TEST_NEWER_BYTES", &[500, 8_000, 64 << 20][seed as usize % 3].to_string());
    }
    service.set_faults(&OF_IDS);
    let (mut runs, mut before, mut moved) = (0, Vec::new(), BTreeSet::new());
    if with_state {
        before = rows(&mut dice, ROWS / 3, BEFORE);
        place.file("before.csv", text(&before));
        let night =
            ["push", "before.csv", "--identify-by", "user_id", "--state", "s.state", "--report", "before.ndjson"];
        place.run(&[&night[..], &["--rate", "unlimited"]].concat()).ends_with(1);
        runs = 1;
        let users: BTreeSet<u64> = service.record().ids().values().filter_map(|id| id.euid).collect();
        for euid in users.into_iter().filter(|_| dice.u8(..20) == 0) {
            service.record().retire(euid);
            let ids = service.record().ids().into_iter().filter(|(_, id)| id.euid == Some(euid));
            moved.extend(ids.map(|((_, id), _)| id));
            met.retired.fetch_add(1, Relaxed);
            // What is known of it is asked for once more.
            runs = 2;
        }
    }
    let asks_in_vain = !seed.is_multiple_of(3);
    let faults = OF_IDS.iter().chain(&OF_REQUESTS).chain(if asks_in_vain { &OF_ASKING[..] } else { &[] });
    service.set_faults(&faults.collect::<Vec<_>>());
    let users: BTreeSet<u64> = service.record().ids().values().filter_map(|id| id.euid).collect();
    let asked_before = users.into_iter().map(|euid| (euid, service.record().requests(euid).len())).collect();
    let mut tonight = rows(&mut dice, ROWS, 1);
    if with_state {
        repeat_what_is_there(&service, &before, &mut tonight);
    }
    place.file("a.csv", text(&tonight));
    let rate = format!("{RATE}/s");
    let mut options = vec!["--identify-by", "user_id", "--rate", &*rate];
    if with_state {
        options.extend(["--state", "s.state", "--report-unchanged"]);
    }
    let takes = Duration::from_millis(1_500);
    let (service, place) = (&service, &place);
    let tries =
        Tries { seed, service, place, command: "push", input: "a.csv", options: &options, retries: "30", takes };
    let (killed, last) = tries.run(&mut dice);
    assert_eq!(last.status, Some(1), "seed {seed}: some rows are rejected\n{last}");
    met.kills.fetch_add(killed, Relaxed);
    let runs = if asks_in_vain { u64::MAX } else { runs + killed + 1 };
    let campaign = Campaign { seed, service, place, with_state, runs, asked_before, moved, met };
    let known = campaign.ids(&tonight);
    let ends = tries.ends(ROWS);
    campaign.each_ended_as_its_id_says(&tonight, &ends, &known);
    campaign.last_rows_are_there(&before, &tonight, &known);
    campaign.in_order(&tonight, &ends, &known, killed);
    if with_state {
        campaign.next_nights(&known, &mut dice);
    }
}

/// Lets the first rows of some users be as the night before left them, for a state to find.
fn repeat_what_is_there(service: &Service, before: &[Row], tonight: &mut [Row]) {
    let mut seen = BTreeSet::new();
    let held = service.record().contacts();
    for (id, row) in tonight.iter_mut() {
        let Some(id) = id else { continue };
        let asked = service.record().id("user_id", id);
        let Some(euid) = asked.and_then(|asked| asked.euid) else { continue };
        let was_sent = before.iter().any(|(other, _)| other.as_ref() == Some(id));
        if was_sent
            && seen.insert(euid)
            && euid % 2 == 0
            && let Some(contacts) = held.get(&euid)
            && contacts.contains_key("email")
        {
            *row = row_of(contacts);
        }
    }
}

impl Campaign<'_> {
    /// What the service knows of the ids of these rows.
    fn ids(&self, rows: &[Row]) -> BTreeMap<String, AskedId> {
        let ids: BTreeSet<&String> = rows.iter().filter_map(|(id, _)| id.as_ref()).collect();
        let mut users: BTreeMap<u64, u64> = BTreeMap::new();
        let known: BTreeMap<String, AskedId> = ids
            .into_iter()
            .map(|id| {
                let asked = self.service.record().id("user_id", id);
                (id.clone(), asked.unwrap_or_else(|| panic!("seed {}: {id} was never asked for", self.seed)))
            })
            .collect();
        for (id, asked) in &known {
            assert!(asked.answered <= self.runs, "seed {}: {id} in {} runs: {asked:?}", self.seed, self.runs);
            if let Some(euid) = asked.euid {
                *users.entry(euid).or_default() += 1;
            }
        }
        self.met.twins.fetch_add(users.values().filter(|ids| **ids > 1).count() as u64, Relaxed);
        known
    }

    fn each_ended_as_its_id_says(&self, rows: &[Row], ends: &[End], known: &BTreeMap<String, AskedId>) {
        for ((id, row), end) in rows.iter().zip(ends) {
            let told = || format!("seed {}: the row with {row}@, {id:?}: {end:?}", self.seed);
            let Some(id) = id else {
                assert_eq!((end.outcome, end.reason), (Outcome::Rejected, Some(Reason::IdEmpty)), "{}", told());
                continue;
            };
            match known[id].euid {
                None => {
                    assert!(end.outcome == Outcome::Failed && end.euid == 0, "{}", told());
                    self.met.unknown.fetch_add(u64::from(end.reason == Some(Reason::IdUnknown)), Relaxed);
                }
                Some(euid) if end.outcome == Outcome::Synced => assert_eq!(end.euid, euid, "{}", told()),
                Some(_) => {
                    assert!(self.with_state && end.outcome == Outcome::Unchanged, "{}", told());
                    self.met.unchanged.fetch_add(1, Relaxed);
                }
            }
        }
    }

    /// Whatever ids its rows bore, each user has what its last row says.
    fn last_rows_are_there(&self, before: &[Row], rows: &[Row], known: &BTreeMap<String, AskedId>) {
        // By user the last row of each of its ids.
        let mut last: BTreeMap<u64, BTreeMap<&String, u64>> = BTreeMap::new();
        let mut last_of_all = BTreeMap::new();
        for (id, row) in rows {
            let Some((id, euid)) = id.as_ref().and_then(|id| Some((id, known[id].euid?))) else { continue };
            last.entry(euid).or_default().insert(id, *row);
            last_of_all.insert(euid, *row);
        }
        let profiles = self.service.record().profiles();
        for (euid, ids) in &last {
            let there = profiles.get(euid).filter(|there| !there.is_empty()).map(row_of);
            let is_last = there == Some(last_of_all[euid]);
            let is_of_some = self.may_mix(*euid, known) && ids.values().any(|row| Some(*row) == there);
            assert!(is_last || is_of_some, "seed {}: user {euid} has {there:?}: {ids:?}", self.seed);
        }
        assert!(last.len() as u64 > IDS / 2, "seed {}: {} of {}", self.seed, last.len(), before.len());
    }

    /// Whether a user has two ids, and was found to be that of one of them only when an old EUID was refused: rows of the
    /// other may have been sent by then.
    fn may_mix(&self, euid: u64, known: &BTreeMap<String, AskedId>) -> bool {
        let ids: Vec<&String> = known.iter().filter(|(_, id)| id.euid == Some(euid)).map(|(id, _)| id).collect();
        ids.len() > 1 && ids.iter().any(|id| self.moved.contains(*id))
    }

    /// Rows of a user come in order, whichever id they bear, but that a kill may set them back; each row of a known id was
    /// accepted, and few were twice.
    fn in_order(&self, rows: &[Row], ends: &[End], known: &BTreeMap<String, AskedId>, killed: u64) {
        let (seed, record) = (self.seed, self.service.record());
        assert!(!record.any_overlap() || killed > 0, "seed {seed}: rows of one user overlapped");
        let place: BTreeMap<u64, usize> = rows.iter().enumerate().map(|(at, (_, row))| (*row, at)).collect();
        let users: BTreeSet<u64> = known.values().filter_map(|id| id.euid).collect();
        let mut accepted: BTreeMap<u64, u64> = BTreeMap::new();
        for euid in users {
            let requests = record.requests(euid);
            let of_tonight = requests.iter().skip(self.asked_before.get(&euid).copied().unwrap_or_default());
            let of_tonight = of_tonight.filter_map(|request| Some((place.get(&row_of(&request.contacts))?, request)));
            let of_tonight: Vec<_> = of_tonight.collect();
            let steps_back = of_tonight.windows(2).filter(|pair| pair[1].0 < pair[0].0).count() as u64;
            let may_mix = self.may_mix(euid, known);
            assert!(steps_back <= killed || may_mix, "seed {seed}, user {euid}: {of_tonight:?} after {killed} kills");
            for (_, request) in of_tonight.iter().filter(|(_, request)| request.answered == 0) {
                *accepted.entry(row_of(&request.contacts)).or_default() += 1;
            }
        }
        for ((_, row), _) in rows.iter().zip(ends).filter(|(_, end)| end.outcome == Outcome::Synced) {
            assert!(accepted.contains_key(row), "seed {seed}: {row}@ is synced and was never accepted");
        }
        let twice: u64 = accepted.values().map(|times| times - 1).sum();
        assert!(twice <= killed * (IN_FLIGHT + 2 * RATE), "seed {seed}: {twice} were sent twice after {killed} kills");
    }

    /// What the state holds behind those kills is true: ids belong to their users, and no change is skipped.
    fn next_nights(&self, known: &BTreeMap<String, AskedId>, dice: &mut Rng) {
        let Self { seed, service, place, .. } = *self;
        service.set_faults(&OF_IDS);
        let one_of_each: BTreeMap<u64, &String> =
            known.iter().filter_map(|(id, asked)| Some((asked.euid?, id))).collect();
        let mut next: Vec<(u64, Row)> = Vec::new();
        let profiles = service.record().profiles();
        for (euid, id) in one_of_each {
            let row = if dice.bool() { row_of(&profiles[&euid]) } else { 2 * BEFORE + dice.u64(..ROWS) };
            next.push((euid, (Some(id.clone()), row)));
        }
        let rows: Vec<Row> = next.iter().map(|(_, row)| row.clone()).collect();
        place.file("next.csv", text(&rows));
        for (report, again) in [("next.ndjson", false), ("again.ndjson", true)] {
            let sent = service.record().stats().requests;
            let night = ["push", "next.csv", "--identify-by", "user_id", "--state", "s.state", "--report", report];
            let ran = place.run(&[&night[..], &["--rate", "unlimited"]].concat()).ends_with(0);
            let profiles = service.record().profiles();
            for (euid, (id, row)) in &next {
                assert_eq!(row_of(&profiles[euid]), *row, "seed {seed}: a change of {id:?} was skipped\n{ran}");
            }
            let requests = service.record().stats().requests - sent;
            assert!(!again || requests == 0, "seed {seed}: {requests} requests, and all is known\n{ran}");
        }
    }
}

#[test]
fn killed_at_any_moment_ids_are_resolved_and_rows_decided_once() {
    let (seeds, met) = (Seeds::new(SEEDS), Met::default());
    seeds.each(|seed| campaign(seed, &met));
    let told = format!("{} seeds, by ids: {met:?}", seeds.count);
    tell(&told);
    let Met { kills, unknown, twins, retired, unchanged } = met;
    for count in [kills, unknown, twins, retired, unchanged] {
        assert!(count.into_inner() > 0 || seeds.count < SEEDS, "something never happened: {told}");
    }
}
