use std::sync::{Arc, RwLockReadGuard};

use model::Euid;

use crate::{
    base::Cursor,
    error::StateError,
    fingerprint::{Fingerprints, Print},
    flags::{SEEN, UNCHANGED},
    state::{State, ToSend},
    tables::{Found, Tables},
};

/// Looks rows up in a state. It remembers where it looked last, so each thread has one of its own.
#[derive(Debug)]
pub struct Looker {
    state: Arc<State>,
    cursor: Cursor,
    /// Ids stand elsewhere than users.
    id_cursor: Cursor,
    generation: u64,
    prints: Fingerprints,
}

/// A looker at work: while it lives nothing is marked or set, so it is for a handful of rows.
#[derive(Debug)]
pub struct Looking<'a> {
    pub(crate) state: &'a State,
    pub(crate) tables: RwLockReadGuard<'a, Tables>,
    pub(crate) cursor: &'a mut Cursor,
    pub(crate) id_cursor: &'a mut Cursor,
    pub(crate) prints: &'a mut Fingerprints,
}

/// How a contact compares with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// It is known to be there.
    Same,
    /// Another value is known to be there.
    Different,
    /// Nobody knows what is there.
    Unknown,
    /// Nothing is stored under this name.
    Nothing,
}

impl Looker {
    pub(crate) fn new(state: Arc<State>) -> Self {
        let prints = state.prints().clone();
        Self { state, cursor: Cursor::new(), id_cursor: Cursor::new(), generation: 0, prints }
    }

    /// Begins to look.
    pub fn look(&mut self) -> Looking<'_> {
        let Self { state, cursor, id_cursor, generation, prints } = self;
        let tables = state.tables();
        if *generation != tables.generation {
            *generation = tables.generation;
            cursor.reset();
            id_cursor.reset();
        }
        Looking { state, tables, cursor, id_cursor, prints }
    }
}

impl Looking<'_> {
    /// Whether every one of these contacts is known to be there, and there are any. The EUID counts as seen.
    pub fn is_unchanged<'a>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<bool, StateError> {
        let found = self.tables.find(self.cursor, euid.get());
        let Some(Found { entry, place }) = found.map_err(|error| self.state.of_base(error))? else { return Ok(false) };
        let mut any = false;
        for (name, value) in contacts {
            let (tag, print) = self.prints.of(euid.get(), name, value);
            if !entry.has(tag, print) {
                self.tables.add_flags(place, SEEN);
                return Ok(false);
            }
            any = true;
        }
        self.tables.add_flags(place, if any { SEEN | UNCHANGED } else { SEEN });
        Ok(any)
    }

    /// How each of these contacts compares, in their order, for what is told of a row that is sent. The EUID counts as seen.
    pub fn compare<'a>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'a str, &'a str)>,
        mut each: impl FnMut(&'a str, &'a str, Kept),
    ) -> Result<(), StateError> {
        let found = self.tables.find(self.cursor, euid.get()).map_err(|error| self.state.of_base(error))?;
        if let Some(Found { place, .. }) = found {
            self.tables.add_flags(place, SEEN);
        }
        for (name, value) in contacts {
            let (tag, print) = self.prints.of(euid.get(), name, value);
            let kept = match found.and_then(|found| found.entry.get(tag)) {
                None => Kept::Nothing,
                Some(Print::UNKNOWN) => Kept::Unknown,
                Some(stored) if stored == print => Kept::Same,
                Some(_) => Kept::Different,
            };
            each(name, value, kept);
        }
        Ok(())
    }

    /// What the state has to know of a row that is sent: [`State::mark`] takes it. The EUID counts as seen.
    pub fn to_send(&mut self, euid: Euid) -> Result<ToSend, StateError> {
        let euid = euid.get();
        let found = self.tables.find(self.cursor, euid).map_err(|error| self.state.of_base(error))?;
        Ok(match found {
            None => ToSend { euid, before: None, is_known: false, was_unchanged: false },
            Some(Found { entry, place }) => ToSend {
                euid,
                before: Some(entry.bytes().into()),
                is_known: entry.knows_any(),
                was_unchanged: self.tables.add_flags(place, SEEN) & UNCHANGED != 0,
            },
        })
    }

    /// A row of this EUID was read that is not compared.
    pub fn see(&mut self, euid: Euid) -> Result<(), StateError> {
        let found = self.tables.find(self.cursor, euid.get()).map_err(|error| self.state.of_base(error))?;
        if let Some(Found { place, .. }) = found {
            self.tables.add_flags(place, SEEN);
        }
        Ok(())
    }

    /// When an EUID was last set, in milliseconds since 1970; none where it never was.
    pub fn set_at(&mut self, euid: Euid) -> Result<Option<u64>, StateError> {
        let found = self.tables.find(self.cursor, euid.get()).map_err(|error| self.state.of_base(error))?;
        Ok(found.map(|found| found.entry.set_at()).filter(|time| *time > 0))
    }
}
