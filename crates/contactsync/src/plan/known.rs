use std::{path::Path, sync::Arc};

use model::{Contact, Euid, IdentityKind};
use state::{Ended, FinishedRun, IdUser, Kept, KnownId, Looker, State, StateError};

use crate::{
    failure::Failure,
    pipeline::{Comparer, Told},
    settings::Output,
    vanished::list_vanished,
};

/// When an id is said to have been learnt of which the plan found that the state doesn't know it: no run learns so early.
const SEEN_BY_PLAN: u64 = 0;

/// What the state knows, and what the rows that were read so far would make of it. Nothing of that is written to the state.
#[derive(Debug)]
pub(crate) struct Known {
    scratch: Arc<State>,
    looker: Looker,
    omitted_kept: bool,
    refresh: bool,
    /// How each contact of the last row that is not unchanged compares, in their order.
    kept: Vec<Kept>,
}

impl Known {
    /// Begins with what the state knows. `omitted_kept`: contacts that a row leaves out stay known. `refresh`: rows are sent
    /// whatever is known. What doesn't fit into memory goes into files without a name in `folder`.
    pub(crate) fn new(state: &State, omitted_kept: bool, refresh: bool, folder: &Path) -> Self {
        let scratch = Arc::new(state.scratch(folder));
        let looker = scratch.looker();
        Self { scratch, looker, omitted_kept, refresh, kept: Vec::new() }
    }

    /// Rows of the inputs of the last finished run over inputs of these names that took all of them, or all of a shard.
    pub(super) fn rows_of_last_run(&self, inputs: &[&str]) -> Option<u64> {
        self.scratch.meta().last_run_over(&inputs.iter().copied()).map(FinishedRun::rows_of_inputs)
    }

    /// A row of this EUID was read that is not compared.
    pub(super) fn see(&mut self, euid: &str) -> Result<(), StateError> {
        Euid::parse(euid).map_or(Ok(()), |euid| self.looker.look().see(euid))
    }

    /// The user of an id; else whether this is the first row that has it.
    pub(super) fn user_of(&mut self, kind: IdentityKind, id: &str) -> Result<Result<Euid, IsFirst>, StateError> {
        let known = self.looker.look().id(kind, id)?;
        let is_first = match known {
            Some(KnownId { user: IdUser::Known(euid), .. }) => return Ok(Ok(euid)),
            Some(KnownId { user: IdUser::Nobody(_), at_ms }) => at_ms != SEEN_BY_PLAN,
            None => true,
        };
        if is_first {
            self.scratch.learn_ids(kind, [(id, IdUser::Nobody(None))], SEEN_BY_PLAN)?;
            if self.scratch.has_many_changes() {
                self.scratch.commit()?;
            }
        }
        Ok(Err(IsFirst(is_first)))
    }

    /// The user of an id, where it is known.
    pub(super) fn known_user(&mut self, kind: IdentityKind, id: &str) -> Result<Option<Euid>, StateError> {
        Ok(self.looker.look().id(kind, id)?.and_then(KnownId::user))
    }

    /// A row of this id was read that is not compared. Whether its user is known.
    pub(super) fn see_id(&mut self, kind: IdentityKind, id: &str) -> Result<bool, StateError> {
        let user = self.known_user(kind, id)?;
        user.map_or(Ok(()), |euid| self.looker.look().see(euid))?;
        Ok(user.is_some())
    }

    /// How the contacts of a row compare with what is there once all rows before it are accepted, in their order; none where
    /// the row would not be sent. The next row is compared with what this one sets.
    pub(super) fn compare<'c>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'c str, &'c str)> + Clone,
    ) -> Result<Option<&[Kept]>, StateError> {
        let Self { scratch, looker, omitted_kept, refresh, kept } = self;
        let mut looking = looker.look();
        if !*refresh && looking.is_unchanged(euid, contacts.clone())? {
            return Ok(None);
        }
        kept.clear();
        looking.compare(euid, contacts.clone(), |_, _, one| kept.push(one))?;
        let to_send = looking.to_send(euid)?;
        drop(looking);
        scratch.mark([to_send]);
        scratch.ended(euid, Ended::Accepted(contacts), 0, *omitted_kept);
        if scratch.has_many_changes() {
            scratch.commit()?;
        }
        Ok(Some(kept))
    }

    /// Whether something isn't known of a row's contacts, and nothing is known to be otherwise.
    pub(super) fn lacks<'c>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Result<bool, StateError> {
        let (mut lacks_any, mut differs) = (false, false);
        self.looker.look().compare(euid, contacts, |_, _, kept| match kept {
            Kept::Same => {}
            Kept::Different => differs = true,
            Kept::Unknown | Kept::Nothing => lacks_any = true,
        })?;
        Ok(lacks_any && !differs)
    }

    /// What the service holds of a row's user.
    pub(super) fn learn(&mut self, row: &Contact, told: &Told, comparer: &Comparer) -> Result<(), StateError> {
        told.found_of(row, comparer).map_or(Ok(()), |found| self.scratch.learn(row.euid, found, None))
    }

    /// Whether anything is known of a row's contacts, where the row is not compared.
    pub(super) fn knows<'c>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Result<bool, StateError> {
        let mut any = false;
        self.looker.look().compare(euid, contacts, |_, _, kept| any |= matches!(kept, Kept::Same | Kept::Different))?;
        Ok(any)
    }

    /// Users that it knew before and that no row had.
    pub(super) fn vanished(&self) -> Result<u64, StateError> {
        self.scratch.vanished()
    }

    /// Lists them.
    pub(super) fn list_vanished(&self, list: &Output) -> Result<(), Failure> {
        list_vanished(&self.scratch, list)
    }
}

/// Whether a row is the first that has its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IsFirst(pub(super) bool);

#[cfg(test)]
mod tests {
    use super::*;

    fn euid(euid: &str) -> Euid {
        Euid::parse(euid).unwrap()
    }

    fn compared(known: &mut Known, number: &str, contacts: &[(&str, &str)]) -> Option<Vec<Kept>> {
        known.compare(euid(number), contacts.iter().copied()).unwrap().map(<[Kept]>::to_vec)
    }

    /// A state that knows a user's address and phone, and of another's address that nobody knows it.
    fn state(folder: &Path) -> Arc<State> {
        let state = Arc::new(State::open(&folder.join("s.state")).unwrap());
        let mut looker = state.looker();
        for (number, contacts) in [("1", &[("email", "a"), ("phone", "")][..]), ("2", &[("email", "b")])] {
            let to_send = looker.look().to_send(euid(number)).unwrap();
            state.mark([to_send]);
            state.ended(euid(number), Ended::Accepted(contacts.iter().copied()), 1, false);
        }
        let to_send = looker.look().to_send(euid("2")).unwrap();
        state.mark([to_send]);
        state.finish().unwrap();
        drop((state, looker));
        Arc::new(State::open_existing(&folder.join("s.state")).unwrap())
    }

    #[test]
    fn each_row_is_compared_with_what_the_one_before_would_set() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let before = std::fs::read(folder.path().join("s.state")).unwrap();
        for _ in 0..2 {
            let mut known = Known::new(&state, false, false, folder.path());
            assert_eq!(compared(&mut known, "1", &[("email", "a"), ("phone", "")]), None);
            assert_eq!(compared(&mut known, "1", &[("email", "x")]), Some(vec![Kept::Different]));
            assert_eq!(compared(&mut known, "1", &[("email", "x")]), None);
            // What was left out may be gone: the API doesn't say that it keeps it.
            assert_eq!(
                compared(&mut known, "1", &[("phone", ""), ("email", "x")]),
                Some(vec![Kept::Unknown, Kept::Same])
            );
            assert_eq!(
                compared(&mut known, "1", &[("email", "a"), ("fax", "1")]),
                Some(vec![Kept::Different, Kept::Nothing])
            );
            assert_eq!(compared(&mut known, "2", &[("email", "b")]), Some(vec![Kept::Unknown]));
            assert_eq!(compared(&mut known, "3", &[("email", "c")]), Some(vec![Kept::Nothing]));
            assert_eq!(compared(&mut known, "3", &[("email", "c")]), None);
        }
        let mut keeping = Known::new(&state, true, false, folder.path());
        assert_eq!(compared(&mut keeping, "1", &[("email", "x")]), Some(vec![Kept::Different]));
        assert_eq!(compared(&mut keeping, "1", &[("phone", "")]), None);
        let mut refreshing = Known::new(&state, true, true, folder.path());
        assert_eq!(compared(&mut refreshing, "1", &[("email", "a")]), Some(vec![Kept::Same]));
        assert_eq!(std::fs::read(folder.path().join("s.state")).unwrap(), before, "the state is as it was");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    fn an_id_that_is_not_known_is_new_once() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let kind = IdentityKind::UserId;
        let nobody = IdUser::Nobody(Some(55_103));
        state.learn_ids(kind, [("a-1", IdUser::Known(euid("1"))), ("a-3", nobody)], 5).unwrap();
        state.commit().unwrap();
        for _ in 0..2 {
            let mut known = Known::new(&state, false, false, folder.path());
            let mut of = |kind, id: &str| known.user_of(kind, id).unwrap();
            let (first, again) = (Err(IsFirst(true)), Err(IsFirst(false)));
            assert_eq!(of(kind, "a-1"), Ok(euid("1")));
            assert_eq!([of(kind, "a-2"), of(kind, "a-2"), of(kind, "A-2")], [first, again, first]);
            assert_eq!([of(kind, "a-3"), of(kind, "a-3")], [first, again], "nobody's, then");
            assert_eq!(of(IdentityKind::AnonymousId, "a-1"), first, "of another kind");
            for number in 0..3_000 {
                assert_eq!(of(kind, &number.to_string()), first);
            }
            assert_eq!((0..3_000).filter(|number| of(kind, &number.to_string()) == again).count(), 3_000);
            assert_eq!(known.vanished().unwrap(), 2);
            assert!(known.see_id(kind, "a-1").unwrap());
            assert!(!known.see_id(kind, "a-2").unwrap());
            assert_eq!(known.vanished().unwrap(), 1);
        }
    }

    #[test]
    fn users_that_no_row_had_have_vanished() {
        let folder = tempfile::tempdir().unwrap();
        let state = state(folder.path());
        let mut known = Known::new(&state, false, false, folder.path());
        assert_eq!(known.vanished().unwrap(), 2);
        known.see("x").unwrap();
        known.see(" 02 ").unwrap();
        assert_eq!(known.vanished().unwrap(), 1);
        assert_eq!(compared(&mut known, "1", &[("email", "a")]), None);
        assert_eq!(compared(&mut known, "3", &[("email", "a")]), Some(vec![Kept::Nothing]));
        assert_eq!(known.vanished().unwrap(), 0);
        assert_eq!(state.vanished().unwrap(), 2, "a plan has seen nobody");
    }
}
