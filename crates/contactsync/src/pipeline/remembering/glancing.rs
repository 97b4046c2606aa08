use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Euid, NumberMap};
use state::{Looker, Looking, StateError};

use super::super::unchanged::UnchangedRows;

/// Which EUIDs have rows that were read and are not decided.
#[derive(Debug, Default)]
pub(super) struct Undecided(Mutex<NumberMap<u32>>);

impl Undecided {
    /// A row of this EUID was decided, or is so but for its record. What is known of the EUID is so already.
    pub(super) fn decided(&self, euids: impl IntoIterator<Item = Euid>) {
        let mut rows = self.rows();
        for euid in euids {
            if let Some(count) = rows.get_mut(&euid.get()) {
                *count -= 1;
                if *count == 0 {
                    rows.remove(&euid.get());
                }
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, NumberMap<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
    undecided: MutexGuard<'a, NumberMap<u32>>,
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
        let has_turn = self.compares && (self.undecided.is_empty() || !self.undecided.contains_key(&euid.get()));
        if has_turn && self.looking.is_unchanged(euid, contacts)? {
            return Ok(true);
        }
        *self.undecided.entry(euid.get()).or_default() += 1;
        Ok(false)
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

    /// A row of this EUID was read that is not sent.
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
