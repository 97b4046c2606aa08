use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Euid, IdentityKind, NumberMap};
use state::{KnownId, Looker, Looking, StateError};

use super::super::unchanged::UnchangedRows;

/// Which EUIDs have rows that were read and are not decided.
#[derive(Debug, Default)]
pub(in super::super) struct Undecided(Mutex<UndecidedRows>);

#[derive(Debug, Default)]
struct UndecidedRows {
    by_euid: NumberMap<u32>,
    /// Rows whose EUID is still to be found out: they may be of anybody.
    unresolved: u64,
    /// Rows that were read and of whose user nothing can be found out: who seems to have vanished may have them.
    of_nobody: u64,
}

impl Undecided {
    /// A row of this EUID was decided, or is so but for its record. What is known of the EUID is so already.
    pub(super) fn decided(&self, euids: impl IntoIterator<Item = Euid>) {
        let by_euid = &mut self.rows().by_euid;
        for euid in euids {
            if let Some(count) = by_euid.get_mut(&euid.get()) {
                *count -= 1;
                if *count == 0 {
                    by_euid.remove(&euid.get());
                }
            }
        }
    }

    /// The EUID of a row was found out, or that there is none.
    pub(in super::super) fn resolved(&self, euid: Option<Euid>) {
        let mut rows = self.rows();
        rows.unresolved = rows.unresolved.saturating_sub(1);
        match euid {
            Some(euid) => *rows.by_euid.entry(euid.get()).or_default() += 1,
            None => rows.of_nobody += 1,
        }
    }

    /// How many rows were read of whose user nothing could be found out.
    pub(super) fn of_nobody(&self) -> u64 {
        self.rows().of_nobody
    }

    fn rows(&self) -> MutexGuard<'_, UndecidedRows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UndecidedRows {
    fn has(&self, euid: Euid) -> bool {
        self.unresolved > 0 || (!self.by_euid.is_empty() && self.by_euid.contains_key(&euid.get()))
    }
}

/// Looks at rows as they are read. One of an EUID of which no earlier row is undecided has its turn at once: where it is
/// unchanged it goes no further, and no contact is made of it.
#[derive(Debug)]
pub(in super::super) struct Glancing {
    pub(super) looker: Looker,
    pub(super) undecided: Arc<Undecided>,
    pub(super) unchanged: UnchangedRows,
    /// Rows may be found unchanged.
    pub(super) compares: bool,
    /// Rows that are unchanged get a record.
    pub(super) writes_unchanged: bool,
}

/// The same at a batch.
#[derive(Debug)]
pub(in super::super) struct Glance<'a> {
    looking: Looking<'a>,
    undecided: MutexGuard<'a, UndecidedRows>,
    unchanged: &'a UnchangedRows,
    compares: bool,
    input: usize,
    /// Unchanged rows that stand together and are not noted yet.
    from: u64,
    to: u64,
}

impl Glancing {
    /// Whether rows that are unchanged are to become decisions.
    pub(in super::super) fn writes_unchanged(&self) -> bool {
        self.writes_unchanged
    }

    /// Begins with a batch of one of the inputs.
    pub(in super::super) fn begin(&mut self, input: usize) -> Glance<'_> {
        let Self { looker, undecided, unchanged, compares, .. } = self;
        // In this order: whoever decides a row sets first, and takes it out of here then.
        let looking = looker.look();
        let undecided = undecided.rows();
        Glance { looking, undecided, unchanged, compares: *compares, input, from: 0, to: 0 }
    }
}

impl Glance<'_> {
    /// Whether a valid row is unchanged. One that isn't is undecided from now on.
    pub(in super::super) fn is_unchanged<'c>(
        &mut self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'c str, &'c str)>,
    ) -> Result<bool, StateError> {
        if self.compares && !self.undecided.has(euid) && self.looking.is_unchanged(euid, contacts)? {
            return Ok(true);
        }
        *self.undecided.by_euid.entry(euid.get()).or_default() += 1;
        Ok(false)
    }

    /// A row was read whose EUID is still to be found out.
    pub(in super::super) fn note_unresolved(&mut self) {
        self.undecided.unresolved += 1;
    }

    /// Takes note of an unchanged row that goes no further.
    pub(in super::super) fn pass_over(&mut self, row: u64) {
        if row != self.to {
            self.note_range();
            self.from = row;
        }
        self.to = row + 1;
    }

    /// Takes note of an unchanged row whose decision follows.
    pub(in super::super) fn note(&mut self, row: u64) {
        self.unchanged.note_in(self.input, row);
    }

    /// The user of an id, where one is known.
    pub(in super::super) fn user(&mut self, kind: IdentityKind, id: &str) -> Result<Option<Euid>, StateError> {
        Ok(self.looking.id(kind, id)?.and_then(KnownId::user))
    }

    /// A row of this EUID was read that is not sent.
    pub(in super::super) fn see_user(&mut self, euid: Euid) -> Result<(), StateError> {
        self.looking.see(euid)
    }

    /// A row was read that is not sent, with an id whose user isn't known, or without one.
    pub(in super::super) fn note_nobody(&mut self) {
        self.undecided.of_nobody += 1;
    }

    /// A row of this EUID, as it was read, is not sent.
    pub(in super::super) fn see(&mut self, euid: &str) -> Result<(), StateError> {
        Euid::parse(euid).map_or(Ok(()), |euid| self.looking.see(euid))
    }

    fn note_range(&mut self) {
        if self.from < self.to {
            self.unchanged.pass_over(self.input, self.from..self.to);
        }
        (self.from, self.to) = (0, 0);
    }
}

impl Drop for Glance<'_> {
    /// Before any later row of these EUIDs can be decided.
    fn drop(&mut self) {
        self.note_range();
    }
}
