use std::{collections::BTreeMap, sync::Arc};

use model::{Column, Name, Record};
use serde::Serialize;
use state::Kept;

/// Names that are told apart: keys of JSON may be of any number.
const MOST_NAMES: usize = 1_000;

/// How often a contact would be set, by what is known of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct NameCount {
    /// Nothing is known of it.
    pub(crate) new: u64,
    /// It is known to be another one.
    pub(crate) changed: u64,
    /// It would be cleared, and is there or may be.
    pub(crate) cleared: u64,
    /// It was sent before, and nobody knows whether it arrived.
    pub(crate) unknown: u64,
}

/// The same for each contact name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    columns: Arc<[Column]>,
    /// Of the columns of the batches that are read now.
    by_column: Vec<NameCount>,
    all: BTreeMap<Arc<str>, NameCount>,
    /// Of those that are too many.
    others: NameCount,
}

impl NameCount {
    /// Counts a contact that would be set to this value, by what is known of it.
    pub(super) fn add_one(&mut self, value: &str, kept: Kept) {
        match kept {
            Kept::Same => {}
            _ if value.is_empty() => self.cleared += 1,
            Kept::Different => self.changed += 1,
            Kept::Unknown => self.unknown += 1,
            Kept::Nothing => self.new += 1,
        }
    }

    fn add(&mut self, other: Self) {
        let Self { new, changed, cleared, unknown } = other;
        self.new += new;
        self.changed += changed;
        self.cleared += cleared;
        self.unknown += unknown;
    }
}

impl Names {
    /// The count of a contact of this record.
    pub(crate) fn of(&mut self, record: &Record<'_>, name: Name) -> &mut NameCount {
        if !Arc::ptr_eq(&self.columns, record.columns()) {
            self.sum_up();
            self.columns = Arc::clone(record.columns());
            self.by_column = vec![NameCount::default(); self.columns.len()];
        }
        match name {
            Name::Column(column) => &mut self.by_column[column as usize],
            Name::Own(_) => self.by_name(record.name(name)),
        }
    }

    fn by_name(&mut self, name: &str) -> &mut NameCount {
        if !self.all.contains_key(name) {
            if self.all.len() >= MOST_NAMES {
                return &mut self.others;
            }
            self.all.insert(name.into(), NameCount::default());
        }
        self.all.get_mut(name).unwrap_or(&mut self.others)
    }

    fn sum_up(&mut self) {
        let columns = std::mem::take(&mut self.columns);
        for (column, count) in columns.iter().zip(std::mem::take(&mut self.by_column)) {
            if count != NameCount::default() {
                self.by_name(&column.name).add(count);
            }
        }
    }

    /// All names of which anything would be set, in alphabetical order, and what those come to that are too many to be told
    /// apart.
    pub(crate) fn all(&mut self) -> (&BTreeMap<Arc<str>, NameCount>, NameCount) {
        self.sum_up();
        (&self.all, self.others)
    }

    /// The names for which a count is highest, with that count, for a message.
    pub(crate) fn most(&mut self, count: impl Fn(&NameCount) -> u64) -> Vec<(Arc<str>, u64)> {
        self.sum_up();
        let counts = self.all.iter().map(|(name, counts)| (Arc::clone(name), count(counts)));
        let mut most: Vec<_> = counts.filter(|(_, count)| *count > 0).collect();
        most.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        most
    }
}

#[cfg(test)]
mod tests {
    use model::{Field, RecordBatch, RecordHead, Span, Value};

    use super::*;

    fn batch(columns: &[&str], own: &str) -> RecordBatch {
        let column = |name: &&str| Column { name: (*name).into(), header: (*name).into(), number: None };
        let fields = [
            Field { name: Name::Column(0), value: Value::Null },
            Field { name: Name::Own(Span { start: 0, end: own.len() as u32 }), value: Value::Null },
        ];
        let head = RecordHead { row: 1, line: 1, fault: None, euid: Value::Missing, fields: 0..2, raw: None };
        RecordBatch {
            columns: columns.iter().map(column).collect(),
            text: own.to_owned(),
            fields: fields.to_vec(),
            records: vec![head],
            ..RecordBatch::default()
        }
    }

    #[test]
    fn a_name_is_one_whether_it_is_a_column_or_a_key() {
        let mut names = Names::default();
        for (columns, own) in [(&["email", "x"][..], "phone"), (&["phone"], "email"), (&["email"], "phone")] {
            let batch = batch(columns, own);
            let record = batch.iter().next().unwrap();
            for index in 0..2 {
                names.of(&record, record.name_at(index)).new += 1;
            }
        }
        let three = NameCount { new: 3, ..NameCount::default() };
        let expected = [("email".into(), three), ("phone".into(), three)];
        assert_eq!(names.all(), (&expected.into(), NameCount::default()), "and one of which nothing is set is none");
        assert_eq!(names.most(|count| count.new)[0], ("email".into(), 3));
    }

    #[test]
    fn names_are_bounded_and_what_is_left_over_is_counted() {
        let mut names = Names::default();
        for number in 0..2_000 {
            let batch = batch(&["email"], &format!("key{number}"));
            let record = batch.iter().next().unwrap();
            names.of(&record, record.name_at(0)).cleared += 1;
            names.of(&record, record.name_at(1)).cleared += 1;
        }
        let (all, others) = names.all();
        assert_eq!(all.len(), MOST_NAMES);
        assert_eq!(all.values().map(|count| count.cleared).sum::<u64>() + others.cleared, 4_000);
        assert_eq!(all["email"].cleared, 2_000);
    }
}
