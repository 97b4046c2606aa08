//! Many nights of sending, killed anywhere, against what a service holds.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use model::Euid;
use proptest::prelude::*;
use state::{Ended, Kept, State};

const NAMES: [&str; 3] = ["email", "mobile_phone", "a name"];

type Row = BTreeMap<&'static str, String>;

/// What happens with a row that is to be sent.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Accepted, and the answer came.
    Accepted,
    /// Accepted, but nobody heard of it.
    Lost,
    /// Not accepted.
    Refused,
    /// Nothing: it is still under way, or waits.
    Pending,
}

#[derive(Debug, Clone)]
enum Step {
    Row(u64, Row, End),
    /// Beside the rows' own commits.
    Commit,
    Compact,
    Finish,
    Forget(u64),
    /// The process is killed: only what is on the disk is left.
    Kill,
    Reopen,
}

fn row() -> impl Strategy<Value = Row> {
    prop::collection::btree_map(
        prop::sample::select(NAMES.to_vec()),
        prop::sample::select(vec!["", "a", "b"]).prop_map(str::to_owned),
        1..=3,
    )
}

fn step() -> impl Strategy<Value = Step> {
    let end =
        prop::sample::select(vec![End::Accepted, End::Accepted, End::Accepted, End::Lost, End::Refused, End::Pending]);
    prop_oneof![
        20 => (1..12_u64, row(), end).prop_map(|(euid, row, end)| Step::Row(euid * 1_000, row, end)),
        2 => Just(Step::Commit),
        1 => Just(Step::Compact),
        1 => Just(Step::Finish),
        1 => (1..12_u64).prop_map(|euid| Step::Forget(euid * 1_000)),
        2 => Just(Step::Kill),
        2 => Just(Step::Reopen),
    ]
}

fn contacts(row: &Row) -> impl Iterator<Item = (&str, &str)> + Clone {
    row.iter().map(|(name, value)| (*name, value.as_str()))
}

struct World {
    state: Arc<State>,
    /// What the service holds: a request sets what it names and leaves the rest, or clears it. Nobody knows.
    service: BTreeMap<u64, BTreeMap<&'static str, BTreeSet<String>>>,
    limit: usize,
    keep_others: bool,
}

impl World {
    fn open(path: &Path, limit: usize) -> Arc<State> {
        let mut state = State::open(path).unwrap();
        state.set_limit(limit);
        Arc::new(state)
    }

    /// The service may hold any of several values where it isn't known which was last.
    fn apply(&mut self, euid: u64, row: &Row, for_certain: bool) {
        let held = self.service.entry(euid).or_default();
        for (name, values) in held.iter_mut().filter(|(name, _)| !row.contains_key(**name)) {
            if !self.keep_others {
                values.insert(format!("not {name}"));
            }
        }
        for (name, value) in row {
            let values = held.entry(name).or_default();
            if for_certain {
                values.clear();
            } else {
                values.insert("nothing".to_owned());
            }
            values.insert(value.clone());
        }
    }

    fn send(&mut self, euid: u64, row: &Row, end: End) {
        let number = Euid::new(euid).unwrap();
        let mut looker = self.state.looker();
        if looker.look().is_unchanged(number, contacts(row)).unwrap() {
            let held = &self.service[&euid];
            for (name, value) in row {
                let is_it = held[name].len() == 1 && held[name].contains(value);
                assert!(is_it, "{euid} {name} is said to be {value:?} and may be {:?}", held[name]);
            }
            return;
        }
        let to_send = looker.look().to_send(number).unwrap();
        let needs_mark = to_send.needs_mark();
        self.state.mark([to_send]);
        if needs_mark {
            self.state.commit().unwrap();
        }
        match end {
            End::Pending => {}
            End::Accepted => {
                self.apply(euid, row, true);
                self.state.ended(number, Ended::Accepted(contacts(row)), 7, self.keep_others);
                assert!(looker.look().is_unchanged(number, contacts(row)).unwrap());
            }
            End::Lost => {
                self.apply(euid, row, false);
                self.state.ended(number, Ended::<std::iter::Empty<_>>::Failed, 7, self.keep_others);
            }
            End::Refused => self.state.ended(number, Ended::<std::iter::Empty<_>>::Failed, 7, self.keep_others),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_said_to_be_unchanged_is_what_the_service_holds(
        steps in prop::collection::vec(step(), 1..120),
        limit in prop::sample::select(vec![1_usize, 300, 2_000, 64 << 20]),
        keep_others in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (path, left) = (folder.path().join("state"), folder.path().join("left"));
        let mut world = World { state: World::open(&path, limit), service: BTreeMap::new(), limit, keep_others };
        for step in steps {
            match step {
                Step::Row(euid, row, end) => world.send(euid, &row, end),
                Step::Commit => world.state.commit().unwrap(),
                Step::Compact => world.state.compact().unwrap(),
                Step::Finish => assert!(world.state.finish().unwrap().is_none()),
                Step::Forget(euid) => _ = world.state.forget([Euid::new(euid).unwrap()]).unwrap(),
                Step::Kill => {
                    fs::copy(&path, &left).unwrap();
                    drop(world.state);
                    fs::rename(&left, &path).unwrap();
                    world.state = World::open(&path, world.limit);
                }
                Step::Reopen => {
                    world.state.finish().unwrap();
                    drop(world.state);
                    world.state = World::open(&path, world.limit);
                }
            }
        }
    }
}

fn set(state: &Arc<State>, euid: u64, value: &str) {
    let number = Euid::new(euid).unwrap();
    let row = state.looker().look().to_send(number).unwrap();
    state.mark([row]);
    state.ended(number, Ended::Accepted([("email", value)].into_iter()), 5, false);
}

fn vanished(state: &State) -> Vec<u64> {
    let mut all = Vec::new();
    state
        .for_each_vanished(|euid| {
            all.push(euid.get());
            Ok(())
        })
        .unwrap();
    assert_eq!(all.len() as u64, state.vanished().unwrap());
    all
}

#[test]
fn users_that_no_row_had_are_known_across_new_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let state = Arc::new(State::open(&path).unwrap());
    for euid in 1..=1_000 {
        set(&state, euid, "a");
    }
    assert_eq!(vanished(&state), [0; 0], "all were seen in this run");
    state.compact().unwrap();
    assert_eq!(vanished(&state), [0; 0]);
    drop(state);
    let state = Arc::new(State::open(&path).unwrap());
    assert_eq!(vanished(&state).len(), 1_000);
    let mut looker = state.looker();
    for euid in (1..=1_000).filter(|euid| euid % 10 != 0) {
        let unchanged = looker.look().is_unchanged(Euid::new(euid).unwrap(), [("email", "a")].into_iter()).unwrap();
        assert!(unchanged);
        if euid % 100 == 1 {
            // A user that is new, in front of many: every place behind it moves.
            set(&state, 10_000 - euid, "a");
            state.compact().unwrap();
        }
    }
    assert_eq!(vanished(&state), (10..=1_000).step_by(10).collect::<Vec<_>>());
    for euid in [10, 20] {
        looker.look().see(Euid::new(euid).unwrap()).unwrap();
    }
    assert_eq!(state.forget([30, 31_000].map(|euid| Euid::new(euid).unwrap())).unwrap(), 1);
    assert_eq!(vanished(&state).first(), Some(&40));
    let figures = state.figures().unwrap();
    assert_eq!((figures.euids, figures.contacts, figures.unknown), (1_009, 1_009, 0));
}

#[test]
fn a_row_after_one_that_was_unchanged_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("state")).unwrap());
    let one = Euid::new(1).unwrap();
    set(&state, 1, "a");
    let mut looker = state.looker();
    assert!(!looker.look().to_send(one).unwrap().was_unchanged());
    for _ in 0..2 {
        assert!(looker.look().is_unchanged(one, [("email", "a")].into_iter()).unwrap());
        assert!(looker.look().to_send(one).unwrap().was_unchanged());
        state.compact().unwrap();
        assert!(looker.look().to_send(one).unwrap().was_unchanged(), "also in a new file");
    }
}

#[test]
fn a_scratch_state_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let mut state = State::open(&path).unwrap();
    state.set_limit(10_000);
    let state = Arc::new(state);
    for euid in 1..=50 {
        set(&state, euid, "a");
    }
    state.commit().unwrap();
    let before = fs::read(&path).unwrap();
    let scratch = Arc::new(state.scratch(folder.path()));
    for euid in 40..=2_000 {
        set(&scratch, euid, "b");
        scratch.commit().unwrap();
    }
    let mut looker = scratch.looker();
    for (euid, value) in [(1, "a"), (39, "a"), (40, "b"), (50, "b"), (2_000, "b")] {
        assert!(
            looker.look().is_unchanged(Euid::new(euid).unwrap(), [("email", value)].into_iter()).unwrap(),
            "{euid}"
        );
    }
    let mut kept = Vec::new();
    let contacts = [("email", "a"), ("mobile_phone", "1")].into_iter();
    looker.look().compare(Euid::new(45).unwrap(), contacts, |_, _, how| kept.push(how)).unwrap();
    assert_eq!(kept, [Kept::Different, Kept::Nothing]);
    scratch.finish().unwrap();
    drop((looker, scratch));
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    assert!(state.looker().look().is_unchanged(Euid::new(45).unwrap(), [("email", "a")].into_iter()).unwrap());
}
