use std::{ops::Range, sync::Arc};

use crate::{Origin, Rejection};

/// A range of bytes in a batch's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// In a table: the row has no such field.
    pub const MISSING: Self = Self { start: u32::MAX, end: u32::MAX };
}

/// A value as the reader found it. Text and integers are ranges of the batch's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The row has no such field.
    Missing,
    /// JSON `null`.
    Null,
    /// Text.
    Text(Span),
    /// A JSON integer: its digits, exactly as written.
    Integer(Span),
    /// JSON that is neither text nor an integer: what it is ("an array", "a boolean", "a fraction", "an object") and
    /// how it was written.
    Other(&'static str, Span),
}

/// A value, looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueRef<'a> {
    /// The row has no such field.
    Missing,
    /// JSON `null`.
    Null,
    /// Text.
    Text(&'a str),
    /// A JSON integer: its digits, exactly as written.
    Integer(&'a str),
    /// JSON that is neither: what it is, and how it was written.
    Other(&'static str, &'a str),
}

/// A contact's name: a column of the source, or a key that stands in this row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Index into the batch's columns.
    Column(u32),
    /// A key of its own, in the batch's text.
    Own(Span),
}

/// A contact field of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Under which name it is sent.
    pub name: Name,
    /// What stands there.
    pub value: Value,
}

/// A column that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The name in the request.
    pub name: Arc<str>,
    /// The header or key as it stands in the input.
    pub header: Arc<str>,
    /// Position in the header, from 1; none for NDJSON keys.
    pub number: Option<u32>,
}

/// One record of a batch, without its text.
#[derive(Debug, Clone)]
pub struct RecordHead {
    /// 1 for the first data record of the source.
    pub row: u64,
    /// Physical line on which it starts.
    pub line: u64,
    /// What the reader found wrong with it: `malformed_row`, `encoding_invalid` or `key_unknown`.
    pub fault: Option<Box<Rejection>>,
    /// The EUID's field.
    pub euid: Value,
    /// The contact fields, as a range of the batch's fields, or in a table of its cells.
    pub fields: Range<u32>,
    /// The text of a record that could not be read; missing where it could.
    pub raw: Option<Box<str>>,
}

/// Records of one source, in order, with all their text in one buffer. Reused, so that a row costs no allocation.
#[derive(Debug, Default)]
pub struct RecordBatch {
    /// The source's name.
    pub source: Arc<str>,
    /// The columns that [`Name::Column`] counts in.
    pub columns: Arc<[Column]>,
    /// All text.
    pub text: String,
    /// All fields, where this is no table.
    pub fields: Vec<Field>,
    /// Whether each record's fields are texts in the order of the columns, as `cells`: a sixth of the memory of fields.
    pub is_table: bool,
    /// All fields of a table.
    pub cells: Vec<Span>,
    /// The records.
    pub records: Vec<RecordHead>,
}

impl RecordBatch {
    /// The records, each with its text at hand.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Record<'_>> {
        self.records.iter().map(|head| Record { batch: self, head })
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.fields.clear();
        self.cells.clear();
        self.is_table = false;
        self.records.clear();
    }

    /// A batch of its own with some of the records, and no more memory than these need.
    #[must_use]
    pub fn with_only(&self, keep: impl Fn(&RecordHead) -> bool) -> Self {
        let mut kept = Self {
            source: Arc::clone(&self.source),
            columns: Arc::clone(&self.columns),
            is_table: self.is_table,
            ..Self::default()
        };
        for head in self.records.iter().filter(|head| keep(head)) {
            let first = kept.fields_so_far();
            let euid = kept.take_value(self, head.euid);
            for cell in self.cells_of(head) {
                let cell = if *cell == Span::MISSING { *cell } else { kept.take_text(self, *cell) };
                kept.cells.push(cell);
            }
            for field in self.fields_of(head) {
                let name = match field.name {
                    Name::Column(column) => Name::Column(column),
                    Name::Own(span) => Name::Own(kept.take_text(self, span)),
                };
                let value = kept.take_value(self, field.value);
                kept.fields.push(Field { name, value });
            }
            let fields = first..kept.fields_so_far();
            kept.records.push(RecordHead { euid, fields, ..head.clone() });
        }
        kept
    }

    /// How many fields all records have.
    pub fn fields_so_far(&self) -> u32 {
        (if self.is_table { self.cells.len() } else { self.fields.len() }) as u32
    }

    /// Bytes held in memory, roughly.
    pub fn bytes(&self) -> usize {
        let raw: usize = self.records.iter().filter_map(|head| head.raw.as_ref()).map(|raw| raw.len()).sum();
        let fields = size_of_val(&self.fields[..]) + size_of_val(&self.cells[..]);
        self.text.len() + raw + fields + size_of_val(&self.records[..])
    }

    fn fields_of(&self, head: &RecordHead) -> &[Field] {
        if self.is_table { &[] } else { &self.fields[head.fields.start as usize..head.fields.end as usize] }
    }

    fn cells_of(&self, head: &RecordHead) -> &[Span] {
        if self.is_table { &self.cells[head.fields.start as usize..head.fields.end as usize] } else { &[] }
    }

    fn take_value(&mut self, from: &Self, value: Value) -> Value {
        match value {
            Value::Missing | Value::Null => value,
            Value::Text(span) => Value::Text(self.take_text(from, span)),
            Value::Integer(span) => Value::Integer(self.take_text(from, span)),
            Value::Other(kind, span) => Value::Other(kind, self.take_text(from, span)),
        }
    }

    fn take_text(&mut self, from: &Self, span: Span) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(from.text(span));
        Span { start, end: self.text.len() as u32 }
    }

    #[inline]
    fn text(&self, span: Span) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    #[inline]
    fn value(&self, value: Value) -> ValueRef<'_> {
        match value {
            Value::Missing => ValueRef::Missing,
            Value::Null => ValueRef::Null,
            Value::Text(span) => ValueRef::Text(self.text(span)),
            Value::Integer(span) => ValueRef::Integer(self.text(span)),
            Value::Other(kind, span) => ValueRef::Other(kind, self.text(span)),
        }
    }
}

/// One record, as validators see it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    batch: &'a RecordBatch,
    head: &'a RecordHead,
}

impl<'a> Record<'a> {
    /// Where it came from.
    pub fn origin(&self) -> Origin {
        Origin { source: Arc::clone(&self.batch.source), row: self.head.row, line: self.head.line }
    }

    /// 1 for the first data record of the source.
    pub fn row(&self) -> u64 {
        self.head.row
    }

    /// What the reader found wrong with it.
    pub fn fault(&self) -> Option<&'a Rejection> {
        self.head.fault.as_deref()
    }

    /// The EUID's field.
    pub fn euid(&self) -> ValueRef<'a> {
        self.batch.value(self.head.euid)
    }

    /// The EUID as it stood in the input, empty where it is missing or null.
    #[inline]
    pub fn euid_text(&self) -> &'a str {
        match self.head.euid {
            Value::Text(span) | Value::Integer(span) | Value::Other(_, span) => self.batch.text(span),
            Value::Missing | Value::Null => "",
        }
    }

    /// The text of a record that could not be read.
    pub fn raw(&self) -> Option<&'a str> {
        self.head.raw.as_deref()
    }

    /// How many contact fields it has.
    pub fn len(&self) -> usize {
        self.head.fields.len()
    }

    /// Whether it has no contact field.
    pub fn is_empty(&self) -> bool {
        self.head.fields.is_empty()
    }

    /// The columns of its batch.
    pub fn columns(&self) -> &'a Arc<[Column]> {
        &self.batch.columns
    }

    /// The contact fields in order: name as sent, value.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&'a str, ValueRef<'a>)> + use<'a> {
        let batch = self.batch;
        self.values().map(move |(name, value)| (batch.name(name), value))
    }

    /// The contact fields in order, names not looked up.
    pub fn values(&self) -> impl ExactSizeIterator<Item = (Name, ValueRef<'a>)> + use<'a> {
        let record = *self;
        (0..self.len()).map(move |index| (record.name_at(index), record.value_at(index)))
    }

    /// The `index`th field, where it is a text.
    #[inline]
    pub fn text_at(&self, index: usize) -> Option<&'a str> {
        let Self { batch, head } = *self;
        let index = head.fields.start as usize + index;
        let span = if batch.is_table {
            Some(batch.cells[index]).filter(|cell| *cell != Span::MISSING)
        } else if let Value::Text(span) = batch.fields[index].value {
            Some(span)
        } else {
            None
        };
        span.map(|span| batch.text(span))
    }

    /// The value of the `index`th field.
    pub fn value_at(&self, index: usize) -> ValueRef<'a> {
        let Self { batch, head } = *self;
        let index = head.fields.start as usize + index;
        if batch.is_table { batch.cell(batch.cells[index]) } else { batch.value(batch.fields[index].value) }
    }

    /// The name of the `index`th field, not looked up. In a table its number.
    #[inline]
    pub fn name_at(&self, index: usize) -> Name {
        let Self { batch, head } = *self;
        if batch.is_table {
            return Name::Column(index as u32);
        }
        batch.fields[head.fields.start as usize + index].name
    }

    /// The name of a field.
    pub fn name(&self, name: Name) -> &'a str {
        self.batch.name(name)
    }

    /// The name of a field as a shared text, for keeping.
    pub fn shared_name(&self, name: Name) -> Arc<str> {
        match name {
            Name::Column(column) => Arc::clone(&self.batch.columns[column as usize].name),
            Name::Own(span) => self.batch.text(span).into(),
        }
    }

    /// The column of the `index`th field, for messages; none for a key of its own.
    pub fn column(&self, index: usize) -> Option<&'a Column> {
        match self.name_at(index) {
            Name::Column(column) => self.batch.columns.get(column as usize),
            Name::Own(_) => None,
        }
    }
}

impl RecordBatch {
    fn name(&self, name: Name) -> &str {
        match name {
            Name::Column(column) => &self.columns[column as usize].name,
            Name::Own(span) => self.text(span),
        }
    }

    #[inline]
    fn cell(&self, cell: Span) -> ValueRef<'_> {
        if cell == Span::MISSING { ValueRef::Missing } else { ValueRef::Text(self.text(cell)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(batch: &mut RecordBatch, text: &str) -> Span {
        let start = batch.text.len() as u32;
        batch.text.push_str(text);
        Span { start, end: batch.text.len() as u32 }
    }

    fn shown(batch: &RecordBatch) -> Vec<(u64, String)> {
        let show = |record: Record<'_>| {
            let columns: Vec<_> =
                (0..record.len()).map(|index| record.column(index).map(|column| &*column.name)).collect();
            format!("{:?} {:?} {columns:?}", record.euid(), record.fields().collect::<Vec<_>>())
        };
        batch.iter().map(|record| (record.row(), show(record))).collect()
    }

    /// The same records as a table and with fields of their own; every one of them alone, too.
    #[test]
    fn a_table_holds_what_fields_would() {
        let column = |name: &str| Column { name: name.into(), header: name.into(), number: Some(2) };
        let columns: Arc<[Column]> = ["a", "b"].map(column).into();
        let rows: [&[Option<&str>]; 4] = [&[Some("x"), Some("")], &[], &[None, Some("ü")], &[Some("y"), None]];
        let filled = |is_table: bool| {
            let mut batch = RecordBatch { columns: Arc::clone(&columns), is_table, ..RecordBatch::default() };
            for (row, values) in (1..).zip(rows) {
                let first = batch.fields_so_far();
                let euid = Value::Text(push(&mut batch, &format!("{row}000")));
                for (column, value) in values.iter().enumerate() {
                    let span = value.map(|value| push(&mut batch, value));
                    if is_table {
                        batch.cells.push(span.unwrap_or(Span::MISSING));
                    } else {
                        let value = span.map_or(Value::Missing, Value::Text);
                        batch.fields.push(Field { name: Name::Column(column as u32), value });
                    }
                }
                let fields = first..batch.fields_so_far();
                batch.records.push(RecordHead { row, line: row, fault: None, euid, fields, raw: None });
            }
            batch
        };
        let (table, fields) = (filled(true), filled(false));
        let all = shown(&table);
        assert_eq!(all, shown(&fields));
        assert_eq!(all[2].1, r#"Text("3000") [("a", Missing), ("b", Text("ü"))] [Some("a"), Some("b")]"#);
        for row in 1..=4 {
            let expected: Vec<_> = all.iter().filter(|(number, _)| *number != row).cloned().collect();
            for batch in [&table, &fields] {
                let others = batch.with_only(|head| head.row != row);
                assert_eq!(shown(&others), expected, "without {row}");
                assert!(others.bytes() < batch.bytes());
            }
        }
        assert!(table.bytes() < fields.bytes());
        let mut emptied = table;
        emptied.clear();
        assert_eq!((emptied.bytes(), emptied.is_table), (0, false));
    }
}
