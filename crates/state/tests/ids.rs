//! Ids of an organisation's own beside the users.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{collections::HashMap, path::Path, sync::Arc};

use model::{Euid, IdentityKind};
use proptest::prelude::*;
use state::{Ended, IdUser, KnownId, State};

fn open(path: &Path) -> Arc<State> {
    Arc::new(State::open(path).unwrap())
}

fn euid(number: u64) -> Euid {
    Euid::new(number).unwrap()
}

fn id(state: &Arc<State>, kind: IdentityKind, id: &str) -> Option<KnownId> {
    state.looker().look().id(kind, id).unwrap()
}

fn user(state: &Arc<State>, id: &str) -> Option<IdUser> {
    self::id(state, IdentityKind::UserId, id).map(|known| known.user)
}

fn set(state: &Arc<State>, number: u64, value: &str) {
    let to_send = state.looker().look().to_send(euid(number)).unwrap();
    state.mark([to_send]);
    state.ended(euid(number), Ended::Accepted([("email", value)].into_iter()), 1, false);
}

#[test]
fn ids_stay_beside_users_through_merges_and_openings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.state");
    let learn = |state: &Arc<State>, from: u64, to: u64, at| {
        let ids: Vec<(String, IdUser)> =
            (from..to).map(|number| (format!("id-{number}"), IdUser::Known(euid(number + 1)))).collect();
        state.learn_ids(IdentityKind::UserId, ids.iter().map(|(id, user)| (&**id, *user)), at).unwrap();
    };
    let state = open(&path);
    learn(&state, 0, 500, 7);
    for number in 1..=50 {
        set(&state, number, "a");
    }
    state.commit().unwrap();
    drop(state);
    let state = open(&path);
    state.compact().unwrap();
    learn(&state, 500, 600, 9);
    state.learn_ids(IdentityKind::AnonymousId, [("id-1", IdUser::Known(euid(77)))], 9).unwrap();
    let answers = [
        ("nobody", IdUser::Nobody(None)),
        ("bad", IdUser::Nobody(Some(55103))),
        ("odd", IdUser::Nobody(Some(1 << 40))),
    ];
    state.learn_ids(IdentityKind::UserId, answers, 9).unwrap();
    for round in 0..3 {
        for number in 0..600 {
            let at_ms = if number < 500 { 7 } else { 9 };
            let known = KnownId { user: IdUser::Known(euid(number + 1)), at_ms };
            assert_eq!(id(&state, IdentityKind::UserId, &format!("id-{number}")), Some(known), "round {round}");
        }
        assert_eq!(user(&state, "id-600"), None);
        assert_eq!(id(&state, IdentityKind::AnonymousId, "id-1").unwrap().user, IdUser::Known(euid(77)));
        assert_eq!(id(&state, IdentityKind::RegistrationId, "id-1"), None);
        assert_eq!(user(&state, "nobody"), Some(IdUser::Nobody(None)));
        assert_eq!(user(&state, "bad"), Some(IdUser::Nobody(Some(55103))));
        assert_eq!(user(&state, "odd"), Some(IdUser::Nobody(None)));
        let figures = state.figures().unwrap();
        assert_eq!((figures.euids, figures.contacts, figures.ids), (50, 50, 601));
        if round == 1 {
            state.compact().unwrap();
        }
    }
    state.finish().unwrap();
}

#[test]
fn what_is_read_is_known_and_what_is_doubted_is_not() {
    use state::Kept::{Different, Nothing, Same, Unknown};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.state");
    let mut state = open(&path);
    set(&state, 5, "a");
    let kept = |state: &Arc<State>, number, email, phone| {
        let mut all = Vec::new();
        let contacts = [("email", email), ("phone", phone)];
        state.looker().look().compare(euid(number), contacts.into_iter(), |_, _, kept| all.push(kept)).unwrap();
        all
    };
    state.learn(euid(5), [("phone", "1")].into_iter(), None).unwrap();
    state.learn(euid(6), [("email", "b"), ("phone", "")].into_iter(), None).unwrap();
    state.learn(euid(8), [("email", "b")].into_iter(), Some(9)).unwrap();
    for _ in 0..2 {
        assert_eq!(kept(&state, 5, "a", "2"), [Same, Different], "what was known of others stays");
        assert_eq!(kept(&state, 6, "b", ""), [Same, Same]);
        assert_eq!(state.looker().look().set_at(euid(5)).unwrap(), Some(1));
        assert_eq!(state.looker().look().set_at(euid(6)).unwrap(), None, "it was read, not set");
        assert_eq!(state.looker().look().set_at(euid(8)).unwrap(), Some(9), "it was as wanted then");
        state.compact().unwrap();
    }
    state.doubt(euid(5), ["phone", "fax"].into_iter()).unwrap();
    state.doubt(euid(7), ["phone"].into_iter()).unwrap();
    assert_eq!(kept(&state, 5, "a", "1"), [Same, Unknown]);
    state.finish().unwrap();
    drop(state);
    state = open(&path);
    assert_eq!((kept(&state, 5, "a", "1"), kept(&state, 7, "a", "1")), (vec![Same, Unknown], vec![Nothing, Nothing]));
    assert_eq!(state.figures().unwrap().euids, 3);
}

#[test]
fn only_users_vanish() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.state");
    let state = open(&path);
    set(&state, 5, "a");
    set(&state, 6, "a");
    state
        .learn_ids(IdentityKind::UserId, [("five", IdUser::Known(euid(5))), ("six", IdUser::Known(euid(6)))], 1)
        .unwrap();
    state.compact().unwrap();
    drop(state);
    let state = open(&path);
    assert_eq!(state.vanished().unwrap(), 2);
    state.looker().look().see(euid(5)).unwrap();
    assert_eq!(user(&state, "six"), Some(IdUser::Known(euid(6))), "a look at an id sees nobody");
    state
        .learn_ids(IdentityKind::UserId, [("seven", IdUser::Known(euid(7))), ("six", IdUser::Known(euid(8)))], 2)
        .unwrap();
    for _ in 0..2 {
        assert_eq!(state.vanished().unwrap(), 1);
        let mut vanished = Vec::new();
        let note = |euid: Euid| {
            vanished.push(euid.get());
            Ok(())
        };
        state.for_each_vanished(note).unwrap();
        assert_eq!(vanished, [6]);
        state.compact().unwrap();
    }
}

fn open_again(path: &Path) -> Arc<State> {
    let copy = path.with_extension("copy");
    std::fs::copy(path, &copy).unwrap();
    open(&copy)
}

#[test]
fn who_is_forgotten_takes_the_ids_along() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.state");
    let state = open(&path);
    for number in 1..=3 {
        set(&state, number, "a");
    }
    let ids = [("one", 1), ("uno", 1), ("two", 2), ("nine", 9)].map(|(id, number)| (id, IdUser::Known(euid(number))));
    state.learn_ids(IdentityKind::UserId, ids, 1).unwrap();
    state.compact().unwrap();
    assert_eq!(state.forget([euid(1), euid(9)]).unwrap(), 1);
    for reopened in [false, true] {
        let state = if reopened { open_again(&path) } else { Arc::clone(&state) };
        assert_eq!(
            ["one", "uno", "two", "nine"].map(|id| user(&state, id)),
            [None, None, Some(IdUser::Known(euid(2))), None]
        );
        let figures = state.figures().unwrap();
        assert_eq!((figures.euids, figures.ids), (2, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is learnt in whatever order, merged, killed and opened again: an id has the user that was learnt last.
    #[test]
    fn an_id_has_the_user_that_was_learnt_last(
        steps in prop::collection::vec((0_u8..8, 0_u64..40, 1_u64..20), 1..120),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.state");
        let mut state = open(&path);
        let mut expected: HashMap<u64, u64> = HashMap::new();
        let mut durable = expected.clone();
        for (step, (what, number, user)) in steps.into_iter().enumerate() {
            match what {
                0 => {
                    state.commit().unwrap();
                    durable.clone_from(&expected);
                }
                1 => {
                    state.compact().unwrap();
                    durable.clone_from(&expected);
                }
                2 => {
                    drop(state);
                    state = open(&path);
                    expected.clone_from(&durable);
                }
                3 => set(&state, user, "a"),
                _ => {
                    state.learn_ids(IdentityKind::UserId, [(&*number.to_string(), IdUser::Known(euid(user)))], step as u64).unwrap();
                    expected.insert(number, user);
                }
            }
            for number in 0..40 {
                let found = self::user(&state, &number.to_string());
                prop_assert_eq!(found, expected.get(&number).map(|user| IdUser::Known(euid(*user))), "step {}", step);
            }
        }
    }
}
