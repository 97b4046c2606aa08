//! Which rows of a run were unchanged: found by whoever reads or compares rows, kept beside the report by the journal.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use model::Counters;
use report::RowSet;

/// The rows of each source that were unchanged, those of earlier tries among them. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct UnchangedRows(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// The sources in the order of the inputs.
    sources: Vec<Arc<str>>,
    rows: Mutex<Vec<RowSet>>,
    /// How many rows are in the sets.
    count: AtomicU64,
    /// Of these, those of which nobody hears by a decision.
    passed_over: AtomicU64,
    counters: Arc<Counters>,
}

impl UnchangedRows {
    /// Those of inputs, each with the rows that an earlier try found unchanged.
    pub(crate) fn new(inputs: impl IntoIterator<Item = (Arc<str>, RowSet)>, counters: Arc<Counters>) -> Self {
        let (sources, rows): (Vec<_>, Vec<RowSet>) = inputs.into_iter().unzip();
        let count = AtomicU64::new(rows.iter().map(RowSet::len).sum());
        Self(Arc::new(Shared { sources, rows: Mutex::new(rows), count, passed_over: AtomicU64::new(0), counters }))
    }

    /// Rows of one input that go no further: no decision of them is made, so they are counted here. `input`: which of the
    /// inputs, from 0. One call for as many rows as stand together.
    pub(crate) fn pass_over(&self, input: usize, rows: Range<u64>) {
        let new = self.insert(input, rows);
        self.0.passed_over.fetch_add(new, SeqCst);
        Counters::add(&self.0.counters.unchanged, new);
    }

    /// Takes note of a row that was found unchanged, before anybody hears of it: its decision follows, and is counted
    /// where it is written down. A row of another source than the inputs is left alone.
    pub(crate) fn note(&self, source: &str, row: u64) {
        if let Some(input) = self.0.sources.iter().position(|name| **name == *source) {
            self.note_in(input, row);
        }
    }

    /// The same where it is known which input it is.
    pub(crate) fn note_in(&self, input: usize, row: u64) {
        self.insert(input, row..row.saturating_add(1));
    }

    /// How many rows were unchanged, in earlier tries too. It only grows.
    pub(crate) fn count(&self) -> u64 {
        self.0.count.load(SeqCst)
    }

    /// How many rows of this try were passed over without a decision.
    pub(crate) fn passed_over(&self) -> u64 {
        self.0.passed_over.load(SeqCst)
    }

    /// The rows of each input, and how many they are together.
    pub(crate) fn all(&self) -> (Vec<RowSet>, u64) {
        let rows = self.rows();
        (rows.clone(), self.count())
    }

    fn insert(&self, input: usize, rows: Range<u64>) -> u64 {
        let mut sets = self.rows();
        let new = sets.get_mut(input).map_or(0, |set| set.insert(rows));
        // Under the lock, so that a count always is that of the sets.
        self.0.count.fetch_add(new, SeqCst);
        new
    }

    fn rows(&self) -> MutexGuard<'_, Vec<RowSet>> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_row_is_counted_once_and_by_one_of_two() {
        let mut before = RowSet::default();
        before.insert(1..11);
        let counters = Arc::new(Counters::default());
        let inputs = [("a".into(), before), ("b".into(), RowSet::default())];
        let unchanged = UnchangedRows::new(inputs, Arc::clone(&counters));
        unchanged.pass_over(1, 1..101);
        unchanged.note("a", 11);
        unchanged.note("b", 100);
        unchanged.note("elsewhere", 1);
        assert_eq!((unchanged.count(), unchanged.passed_over(), Counters::get(&counters.unchanged)), (111, 100, 100));
        let (sets, count) = unchanged.all();
        assert_eq!((sets[0].len(), sets[1].len(), count), (11, 100, 111));
    }
}
