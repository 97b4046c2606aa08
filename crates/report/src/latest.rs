//! Which record of a row counts, where it has several. A row is a source, a row number and an id, or where it has
//! none an EUID.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use roaring::RoaringTreemap;

use crate::{gist::Gist, source::Moment};

/// Which row numbers have several records: a bitmap for all, one for these.
#[derive(Debug, Default)]
pub(crate) struct Repeats(HashMap<Arc<str>, Rows>);

#[derive(Debug, Default)]
struct Rows {
    seen: RoaringTreemap,
    repeated: RoaringTreemap,
}

impl Repeats {
    /// Takes note of a record. Whether it is the first one of its row number.
    pub(crate) fn see(&mut self, record: &Gist<'_>) -> bool {
        let source = record.source;
        if !self.0.contains_key(source) {
            self.0.insert(Arc::clone(source), Rows::default());
        }
        let Some(rows) = self.0.get_mut(source) else { return true };
        let is_new = rows.seen.insert(record.row);
        if !is_new {
            rows.repeated.insert(record.row);
        }
        is_new
    }

    /// Those that have several records; of these it has to be found which one counts.
    pub(crate) fn into_latest(self) -> LatestRecords {
        let repeated = self.0.into_iter().filter(|(_, rows)| !rows.repeated.is_empty());
        LatestRecords {
            repeated: repeated.map(|(source, rows)| (source, rows.repeated)).collect(),
            ends: HashMap::new(),
        }
    }
}

/// The first and the latest record of each row whose number has several. Held are a digest and two moments for each, not
/// the records.
#[derive(Debug, Default)]
pub(crate) struct LatestRecords {
    repeated: HashMap<Arc<str>, RoaringTreemap>,
    ends: HashMap<u64, (Moment, Moment)>,
}

impl LatestRecords {
    /// Takes note that the record's row has several. Say so of all of them before the first [`LatestRecords::see`].
    pub(crate) fn note_repeated(&mut self, record: &Gist<'_>) {
        match self.repeated.get_mut(record.source) {
            Some(rows) => _ = rows.insert(record.row),
            None => _ = self.repeated.insert(Arc::clone(record.source), [record.row].into_iter().collect()),
        }
    }

    /// Whether every record counts, since no row number has two.
    pub(crate) fn is_empty(&self) -> bool {
        self.repeated.is_empty()
    }

    /// Takes note of a record. Show it all of them before the first [`LatestRecords::counts`].
    pub(crate) fn see(&mut self, moment: Moment, record: &Gist<'_>) {
        if self.is_repeated(record) {
            let (first, latest) = self.ends.entry(digest(record)).or_insert((moment, moment));
            (*first, *latest) = (moment.min(*first), moment.max(*latest));
        }
    }

    /// Whether the record is the latest of its row.
    pub(crate) fn counts(&self, moment: Moment, record: &Gist<'_>) -> bool {
        !self.is_repeated(record) || self.ends.get(&digest(record)).is_some_and(|(_, latest)| *latest == moment)
    }

    /// When the row had its first record, which may be this one.
    pub(crate) fn first(&self, moment: Moment, record: &Gist<'_>) -> Moment {
        let ends = if self.is_repeated(record) { self.ends.get(&digest(record)) } else { None };
        ends.map_or(moment, |(first, _)| *first)
    }

    fn is_repeated(&self, record: &Gist<'_>) -> bool {
        let rows = if self.repeated.is_empty() { None } else { self.repeated.get(record.source) };
        rows.is_some_and(|rows| rows.contains(record.row))
    }
}

/// Compared only within one process, so that any good hash will do.
fn digest(record: &Gist<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (record.source, record.row, record.key()).hash(&mut hasher);
    hasher.finish()
}
