//! What depends on a column alone, found out once.

use std::sync::Arc;

use model::{Column, Name, Record};

use crate::value::name_fault;

/// The columns of the batches that come, one source after the other.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    of: Arc<[Column]>,
    known: Vec<KnownColumn>,
    /// The names of the contacts of the last row that was sent, by column.
    last: Vec<u32>,
    names: Arc<[Arc<str>]>,
}

/// What is known of a column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownColumn {
    /// Its name can be a contact's.
    pub(crate) can_be_sent: bool,
    pub(crate) is_phone: bool,
}

impl Columns {
    /// Gets to know the columns of a record, unless they are those of the one before.
    pub(crate) fn know(&mut self, record: &Record<'_>) {
        if Arc::ptr_eq(&self.of, record.columns()) {
            return;
        }
        self.of = Arc::clone(record.columns());
        self.known.clear();
        self.known.extend(self.of.iter().map(|column| KnownColumn {
            can_be_sent: name_fault(&column.name, Some(column)).is_none(),
            is_phone: is_phone(&column.name),
        }));
        self.last.clear();
        self.names = Arc::default();
    }

    /// The column of a name; none of a key of its own.
    pub(crate) fn get(&self, name: Name) -> Option<KnownColumn> {
        match name {
            Name::Column(column) => self.known.get(column as usize).copied(),
            Name::Own(_) => None,
        }
    }

    /// The names of some of a record's fields, shared with the last row where they are the same columns.
    pub(crate) fn names(&mut self, record: &Record<'_>, fields: &[u32]) -> Arc<[Arc<str>]> {
        let names = fields.iter().map(|index| record.name_at(*index as usize));
        let is_last = |(name, last): (Name, &u32)| name == Name::Column(*last);
        if fields.len() == self.last.len() && names.clone().zip(&self.last).all(is_last) {
            return Arc::clone(&self.names);
        }
        self.names = names.clone().map(|name| record.shared_name(name)).collect();
        self.last.clear();
        self.last.extend(names.map_while(column));
        if self.last.len() < fields.len() {
            // A key of the row's own: no other row has these names.
            self.last.clear();
        }
        Arc::clone(&self.names)
    }
}

/// Whether a contact of this name is a phone number.
pub(crate) fn is_phone(name: &str) -> bool {
    name.ends_with("_phone")
}

fn column(name: Name) -> Option<u32> {
    match name {
        Name::Column(column) => Some(column),
        Name::Own(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use model::{Field, RecordBatch, RecordHead, Span, Value};

    use super::*;

    #[test]
    fn names_are_those_of_the_row() {
        let column = |name: &str| Column { name: name.into(), header: name.into(), number: None };
        let mut batch = RecordBatch { columns: ["a", "b", "c"].map(column).into(), ..RecordBatch::default() };
        batch.text = "own".to_owned();
        let rows: [&[Option<u32>]; 8] = [
            &[Some(0), Some(1)],
            &[Some(0), Some(1)],
            &[Some(0), None],
            &[Some(0)],
            &[Some(0), None, Some(2)],
            &[Some(0), Some(2)],
            &[Some(2), Some(0)],
            &[None],
        ];
        for row in rows {
            let start = batch.fields.len() as u32;
            batch.fields.extend(row.iter().map(|column| Field {
                name: column.map_or(Name::Own(Span { start: 0, end: 3 }), Name::Column),
                value: Value::Null,
            }));
            let fields = start..batch.fields.len() as u32;
            batch.records.push(RecordHead { row: 1, line: 1, fault: None, euid: Value::Missing, fields, raw: None });
        }
        let mut columns = Columns::default();
        for (record, row) in batch.iter().zip(rows) {
            columns.know(&record);
            let all: Vec<u32> = (0..row.len() as u32).collect();
            let expected: Vec<&str> =
                row.iter().map(|column| column.map_or("own", |column| ["a", "b", "c"][column as usize])).collect();
            assert_eq!(columns.names(&record, &all).iter().map(|name| &**name).collect::<Vec<_>>(), expected);
        }
    }
}
