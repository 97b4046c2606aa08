//! JSON objects as records: what NDJSON and JSON arrays have in common.

use std::{collections::HashSet, sync::Arc};

use model::{
    Column, Field, Name, Reason, RecordBatch, RecordHead, Rejection, Span, Value, limits::MAX_RECORD_BYTES, shown_name,
};
use serde_json::value::RawValue;

use crate::{
    asked::SeenKeys,
    batch::{BATCH_BYTES, BATCH_RECORDS},
    encoding,
    json::{Object, Scalar, scalar},
    naming::{Naming, Role},
    plain::{Enough, Run},
    plain_objects::{Level, MOST_KEYS, PlainObjects, Target},
    text::{lines, raw_text},
};

/// Unknown keys that are named at most.
const MOST_UNKNOWN: usize = 100;
/// Bytes of them that are kept.
const LONGEST_UNKNOWN: usize = 256;

/// What a look at the first records showed.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Flat keys of which nobody said what they are for.
    pub(crate) unknown: Vec<String>,
    /// Any record has the key of its user.
    pub(crate) has_key: bool,
    /// All keys, also those inside `contacts`.
    pub(crate) keys: SeenKeys,
    /// Records that were looked at.
    pub(crate) records: u64,
    /// Records that are whole objects.
    pub(crate) objects: u64,
    /// The first byte that is not blank.
    pub(crate) first_byte: Option<u8>,
    /// The first record has no key of a user, and holds an array of objects under a key of which nobody said what it is for: it is
    /// no record, but what records stand in.
    pub(crate) is_envelope: bool,
}

impl Look {
    /// Sees the beginning of a record.
    pub(crate) fn begins(&mut self, record: &[u8]) {
        self.first_byte = self.first_byte.or_else(|| record.trim_ascii_start().first().copied());
    }

    /// Looks at the keys of a record.
    pub(crate) fn look_at_keys(&mut self, record: &[u8], naming: &Naming) {
        let Some(object) = std::str::from_utf8(record).ok().and_then(|text| Object::parse(text).ok()) else { return };
        let is_first = self.records == 1;
        let (mut has_key, mut has_array) = (false, false);
        for (key, value) in &object.0 {
            if key == "contacts" {
                // What is no object there rejects its row later.
                for (key, _) in Object::parse(value.get()).map(|contacts| contacts.0).unwrap_or_default() {
                    naming.nested_name(&key);
                    self.keys.see(&key);
                }
                continue;
            }
            self.keys.see(key);
            let role = naming.role(key);
            let unknown = role == Role::Unknown;
            has_key |= role == Role::Key;
            has_array |=
                unknown && value.get().strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with('{'));
            // More of it than a message shows.
            let start = &key[..key.floor_char_boundary(LONGEST_UNKNOWN)];
            if unknown && self.unknown.len() < MOST_UNKNOWN && !self.unknown.iter().any(|seen| seen == start) {
                self.unknown.push(start.to_owned());
            }
        }
        self.is_envelope |= is_first && has_array && !has_key;
        self.has_key |= has_key;
    }
}

/// Turns objects into the records of a batch.
pub(crate) struct Objects {
    naming: Naming,
    columns: Arc<[Column]>,
    pub(crate) plain: PlainObjects,
    #[cfg(test)]
    pub(crate) taken_by_the_run: u64,
    rows: u64,
    /// The text was not decoded from another encoding.
    utf8: bool,
    hint: Option<&'static str>,
}

impl Objects {
    pub(crate) fn new(naming: Naming, utf8: bool) -> Self {
        let columns = naming.usual_columns();
        Self {
            naming,
            columns,
            plain: PlainObjects::new(MOST_KEYS),
            #[cfg(test)]
            taken_by_the_run: 0,
            rows: 0,
            utf8,
            hint: None,
        }
    }

    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }

    pub(crate) fn columns(&self) -> &Arc<[Column]> {
        &self.columns
    }

    /// Records so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.hint.take_if(|hint| !hint.is_empty()).inspect(|_| self.hint = Some(""))
    }

    /// Adds the plain lines at the front of the text, the first of which is this line. Their text is checked and taken as a
    /// whole. Returns what was taken.
    pub(crate) fn take_plain(&mut self, batch: &mut RecordBatch, text: &[u8], line: u64) -> Run {
        let (records_before, fields_before, text_before) = (batch.records.len(), batch.fields.len(), batch.text.len());
        let enough = Enough { rows: BATCH_RECORDS - records_before, bytes: BATCH_BYTES - text_before };
        let rows = &mut self.rows;
        let run = self.plain.scan(
            text,
            text_before,
            MAX_RECORD_BYTES,
            enough,
            &mut batch.fields,
            |euid, fields, lines_before| {
                *rows += 1;
                let line = line + lines_before;
                batch.records.push(RecordHead { row: *rows, line, fault: None, euid, fields, raw: None });
            },
        );
        // Each line was found valid.
        let Ok(taken) = std::str::from_utf8(&text[..run.bytes]) else {
            self.rows -= (batch.records.len() - records_before) as u64;
            batch.records.truncate(records_before);
            batch.fields.truncate(fields_before);
            return Run::default();
        };
        #[cfg(test)]
        {
            self.taken_by_the_run += (batch.records.len() - records_before) as u64;
        }
        batch.text.push_str(taken);
        run
    }

    /// Adds the record that stands in `bytes` and begins on this line.
    pub(crate) fn take(&mut self, batch: &mut RecordBatch, bytes: &[u8], line: u64) {
        let (text_before, fields_before) = (batch.text.len(), batch.fields.len());
        let mut row = Row {
            batch,
            naming: &self.naming,
            columns: &self.columns,
            plain: &mut self.plain,
            euid: None,
            first_field: fields_before,
            key_unknown: None,
        };
        let taken = match std::str::from_utf8(bytes) {
            Ok(text) => row.take(text).map_err(|fault| Rejection::new(Reason::MalformedRow, fault)),
            Err(error) => Err(invalid(bytes, error.valid_up_to(), self.utf8, &mut self.hint)),
        };
        let (euid, key_unknown) = (row.euid, row.key_unknown);
        if let Err(fault) = taken {
            batch.text.truncate(text_before);
            batch.fields.truncate(fields_before);
            return self.push_unread(batch, line, fault, raw_text(bytes));
        }
        self.rows += 1;
        batch.records.push(RecordHead {
            row: self.rows,
            line,
            fault: key_unknown.map(Box::new),
            euid: euid.unwrap_or(Value::Missing),
            fields: fields_before as u32..batch.fields.len() as u32,
            raw: None,
        });
    }

    /// Adds a record of so many bytes that was not kept. `raw`: its beginning.
    pub(crate) fn take_too_long(&mut self, batch: &mut RecordBatch, first: u64, last: u64, bytes: u64, raw: Box<str>) {
        let place = lines(first, last);
        let message = format!("{place}: the record has {bytes} bytes, more than {MAX_RECORD_BYTES} (1 MiB)");
        self.push_unread(batch, first, Rejection::new(Reason::MalformedRow, message), raw);
    }

    fn push_unread(&mut self, batch: &mut RecordBatch, line: u64, fault: Rejection, raw: Box<str>) {
        self.rows += 1;
        let fields = batch.fields.len() as u32;
        batch.records.push(RecordHead {
            row: self.rows,
            line,
            fault: Some(Box::new(fault)),
            euid: Value::Missing,
            fields: fields..fields,
            raw: Some(raw),
        });
    }
}

/// What is wrong with a record that has a byte at `at` which is not valid. `utf8`: it was not decoded.
fn invalid(bytes: &[u8], at: usize, utf8: bool, hint: &mut Option<&'static str>) -> Rejection {
    let message = if utf8 {
        let likely = encoding::likely(bytes);
        hint.get_or_insert(likely);
        format!(
            "byte {} of the line is 0x{:02X}, which is not valid UTF-8: name the file's encoding, most likely `--encoding {likely}`",
            at + 1,
            bytes[at]
        )
    } else {
        "the line has bytes that are not valid in this encoding: check `--encoding`".to_owned()
    };
    Rejection::new(Reason::EncodingInvalid, message)
}

/// A row on its way into a batch.
struct Row<'b> {
    batch: &'b mut RecordBatch,
    naming: &'b Naming,
    columns: &'b [Column],
    plain: &'b mut PlainObjects,
    euid: Option<Value>,
    first_field: usize,
    key_unknown: Option<Rejection>,
}

impl Row<'_> {
    /// Adds the row's EUID and contacts; else says why it is malformed.
    fn take(&mut self, text: &str) -> Result<(), String> {
        let naming = self.naming;
        let mut nested_names = HashSet::new();
        for (key, value) in &Object::parse(text)?.0 {
            if key == "contacts" {
                let members = value.get();
                if !members.starts_with('{') {
                    return Err("`contacts` is not an object".to_owned());
                }
                for (key, value) in &Object::parse(members).map_err(|fault| format!("in `contacts`: {fault}"))?.0 {
                    let target = self.contact(&naming.nested_name(key), value, &mut nested_names)?;
                    self.learn(Level::Nested, key, target);
                }
                self.learn(Level::Flat, key, Target::Contacts);
                continue;
            }
            match naming.role(key) {
                Role::Key if self.euid.is_some() => return Err(format!("it has two {}s", naming.key().word())),
                Role::Key => {
                    self.euid = Some(self.value(value)?);
                    self.learn(Level::Flat, key, Target::Key);
                }
                Role::Contact(name) => {
                    let target = self.contact(&name, value, &mut nested_names)?;
                    self.learn(Level::Flat, key, target);
                }
                Role::Ignored => self.learn(Level::Flat, key, Target::Ignored),
                Role::Unknown => {
                    self.key_unknown.get_or_insert_with(|| {
                        Rejection::new(Reason::KeyUnknown, format!("the key {} is no known contact and did not stand in the first records: `--contacts NAME,…` or `--all-columns` says what is sent", shown_name(key)))
                    });
                }
            }
        }
        Ok(())
    }

    /// Adds a contact. Returns what keys of this name are for.
    fn contact(&mut self, name: &str, value: &RawValue, seen: &mut HashSet<String>) -> Result<Target, String> {
        const FEW: usize = 16;
        let fields = &self.batch.fields[self.first_field..];
        let twice = if fields.len() < FEW {
            fields.iter().any(|field| self.field_name(field) == name)
        } else {
            if seen.is_empty() {
                seen.extend(fields.iter().map(|field| self.field_name(field).to_owned()));
            }
            !seen.insert(name.to_owned())
        };
        if twice {
            return Err(format!("two keys stand for the contact {}", shown_name(name)));
        }
        let (name, target) = match self.columns.iter().position(|column| *column.name == *name) {
            Some(column) => (Name::Column(column as u32), Target::Column(column as u32)),
            None => (Name::Own(self.push(name)), Target::Own),
        };
        let value = self.value(value)?;
        self.batch.fields.push(Field { name, value });
        Ok(target)
    }

    /// Learns what a key is for, unless it names a contact otherwise than that is called.
    fn learn(&mut self, level: Level, key: &str, target: Target) {
        let is_named_otherwise =
            target == Target::Own && self.batch.fields.last().is_none_or(|field| self.field_name(field) != key);
        if !is_named_otherwise {
            self.plain.learn(level, key, target);
        }
    }

    fn field_name(&self, field: &Field) -> &str {
        match field.name {
            Name::Column(column) => &self.columns[column as usize].name,
            Name::Own(span) => &self.batch.text[span.start as usize..span.end as usize],
        }
    }

    fn value(&mut self, value: &RawValue) -> Result<Value, String> {
        Ok(match scalar(value).ok_or("a text has an escape that stands for no character")? {
            Scalar::Null => Value::Null,
            Scalar::Text(text) => Value::Text(self.push(&text)),
            Scalar::Integer(digits) => Value::Integer(self.push(digits)),
            Scalar::Other(kind, text) => Value::Other(kind, self.push(text)),
        })
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.batch.text.len() as u32;
        self.batch.text.push_str(text);
        Span { start, end: self.batch.text.len() as u32 }
    }
}
