//! Records of NDJSON: an object a line, nested or flat.

use std::{collections::HashSet, sync::Arc};

use model::{
    Column, Field, Name, Reason, RecordBatch, RecordHead, Rejection, Span, Value,
    limits::{LOOK_AHEAD_RECORDS, MAX_RECORD_BYTES},
};
use serde_json::value::RawValue;

use crate::{
    batch::{BATCH_BYTES, BATCH_FIELDS, BATCH_RECORDS},
    encoding,
    error::ReadError,
    json::{Object, Scalar, scalar},
    naming::{Naming, Role},
    text::{Text, lines, raw_text},
};

/// Unknown keys that are named at most.
const MOST_UNKNOWN: usize = 100;

pub(crate) struct NdjsonRecords {
    text: Text,
    naming: Naming,
    columns: Arc<[Column]>,
    row: u64,
    /// The text was not decoded from another encoding.
    utf8: bool,
    hint: Option<&'static str>,
}

/// What a look at the first lines showed.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Flat keys of which nobody said what they are for.
    pub(crate) unknown: Vec<String>,
    /// Lines that are not blank.
    pub(crate) lines: u64,
    /// Lines that are whole objects.
    pub(crate) objects: u64,
}

impl NdjsonRecords {
    pub(crate) fn new(text: Text, naming: Naming, utf8: bool) -> Self {
        let columns = naming.usual_columns();
        Self { text, naming, columns, row: 0, utf8, hint: None }
    }

    pub(crate) fn rows(&self) -> u64 {
        self.row
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.hint.take_if(|hint| !hint.is_empty()).inspect(|_| self.hint = Some(""))
    }

    /// Looks at the first records. With `keep` nothing leaves the window, and one whole object is enough.
    pub(crate) fn look(&mut self, keep: bool, look: &mut Look) -> Result<(), ReadError> {
        let mut from = 0;
        while look.lines < LOOK_AHEAD_RECORDS && !(keep && look.objects > 0) {
            let length = self.text.line_length(from);
            let too_long = length.unwrap_or(self.text.window.bytes().len()) - from > MAX_RECORD_BYTES;
            if too_long {
                // A row of its own fault, seen when it is read. Behind it nothing can be looked at and kept.
                look.objects += 1;
                if keep {
                    return Ok(());
                }
                self.text.skip_line()?;
                continue;
            }
            if length.is_none() && self.text.fill()? {
                continue;
            }
            let bytes = self.text.window.bytes();
            let end = length.unwrap_or(bytes.len());
            look.line(&bytes[from..end], &self.naming);
            if end == bytes.len() {
                break;
            }
            if keep {
                from = end + 1;
            } else {
                self.text.window.consume(end + 1);
            }
        }
        Ok(())
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(&self.columns);
        loop {
            let full = batch.records.len() >= BATCH_RECORDS
                || batch.fields.len() >= BATCH_FIELDS
                || batch.text.len() >= BATCH_BYTES;
            // Who reads a pipe should not wait for the next rows with those that are there.
            if full || (!batch.records.is_empty() && self.text.window.bytes().is_empty()) {
                return Ok(true);
            }
            if !self.text.skip_empty_lines()? {
                return Ok(false);
            }
            let Some(length) = self.line()? else {
                self.take_too_long(batch)?;
                continue;
            };
            self.take_line(batch, length);
            self.text.pass(length);
        }
    }

    /// The length of the next line; none where it is too long.
    fn line(&mut self) -> Result<Option<usize>, ReadError> {
        let mut seen = 0;
        loop {
            let all = self.text.window.bytes().len();
            match self.text.line_length(seen) {
                Some(length) => return Ok((length <= MAX_RECORD_BYTES).then_some(length)),
                None if all > MAX_RECORD_BYTES => return Ok(None),
                None => seen = all,
            }
            if !self.text.fill()? {
                return Ok(Some(all));
            }
        }
    }

    fn take_line(&mut self, batch: &mut RecordBatch, length: usize) {
        let line = &self.text.window.bytes()[..length];
        if line.trim_ascii().is_empty() {
            return;
        }
        self.row += 1;
        let marks = (batch.text.len(), batch.fields.len());
        let mut row = Row {
            batch,
            naming: &self.naming,
            columns: &self.columns,
            euid: None,
            first_field: marks.1,
            key_unknown: None,
        };
        let fault = match std::str::from_utf8(line) {
            Ok(text) => row.take(text).map_err(|fault| Rejection::new(Reason::MalformedRow, fault)),
            Err(error) => {
                let at = error.valid_up_to();
                let message = if self.utf8 {
                    let likely = encoding::likely(line);
                    self.hint.get_or_insert(likely);
                    format!(
                        "byte {} of the line is 0x{:02X}, which is not valid UTF-8: name the file's encoding, most likely `--encoding {likely}`",
                        at + 1,
                        line[at]
                    )
                } else {
                    "the line has bytes that are not valid in this encoding: check `--encoding`".to_owned()
                };
                Err(Rejection::new(Reason::EncodingInvalid, message))
            }
        };
        let (euid, key_unknown) = (row.euid, row.key_unknown);
        let head = match fault {
            Ok(()) => RecordHead {
                row: self.row,
                line: self.text.lines.line(),
                fault: key_unknown.map(Box::new),
                euid: euid.unwrap_or(Value::Missing),
                fields: marks.1 as u32..batch.fields.len() as u32,
                raw: None,
            },
            Err(fault) => {
                batch.text.truncate(marks.0);
                batch.fields.truncate(marks.1);
                RecordHead {
                    row: self.row,
                    line: self.text.lines.line(),
                    fault: Some(Box::new(fault)),
                    euid: Value::Missing,
                    fields: marks.1 as u32..marks.1 as u32,
                    raw: Some(raw_text(line)),
                }
            }
        };
        batch.records.push(head);
    }

    fn take_too_long(&mut self, batch: &mut RecordBatch) -> Result<(), ReadError> {
        self.row += 1;
        let line = self.text.lines.line();
        let raw = raw_text(self.text.window.bytes());
        self.text.pass(MAX_RECORD_BYTES);
        let bytes = MAX_RECORD_BYTES as u64 + self.text.skip_line()?;
        let message =
            format!("{}: the record has {bytes} bytes, more than {MAX_RECORD_BYTES} (1 MiB)", lines(line, line));
        let fields = batch.fields.len() as u32;
        batch.records.push(RecordHead {
            row: self.row,
            line,
            fault: Some(Box::new(Rejection::new(Reason::MalformedRow, message))),
            euid: Value::Missing,
            fields: fields..fields,
            raw: Some(raw),
        });
        Ok(())
    }
}

impl Look {
    fn line(&mut self, line: &[u8], naming: &Naming) {
        if line.trim_ascii().is_empty() {
            return;
        }
        self.lines += 1;
        // A line that begins and ends as an object is one, whatever else may be wrong with it.
        let trimmed = line.trim_ascii();
        self.objects += u64::from(trimmed.starts_with(b"{") && trimmed.ends_with(b"}"));
        let Some(object) = std::str::from_utf8(line).ok().and_then(|text| Object::parse(text).ok()) else { return };
        for (key, _) in &object.0 {
            let unknown = key != "contacts" && naming.role(key) == Role::Unknown;
            if unknown && self.unknown.len() < MOST_UNKNOWN && !self.unknown.iter().any(|seen| seen == key) {
                self.unknown.push(key.clone().into_owned());
            }
        }
    }
}

/// A row on its way into a batch.
struct Row<'b> {
    batch: &'b mut RecordBatch,
    naming: &'b Naming,
    columns: &'b [Column],
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
                    self.contact(&naming.nested_name(key), value, &mut nested_names)?;
                }
                continue;
            }
            match naming.role(key) {
                Role::Euid if self.euid.is_some() => return Err("it has two EUIDs".to_owned()),
                Role::Euid => self.euid = Some(self.value(value)?),
                Role::Contact(name) => self.contact(&name, value, &mut nested_names)?,
                Role::Ignored => {}
                Role::Unknown => {
                    self.key_unknown.get_or_insert_with(|| {
                        Rejection::new(Reason::KeyUnknown, format!("the key {key:?} is no known contact and did not stand in the first records: `--contacts NAME,…` or `--all-columns` says what is sent"))
                    });
                }
            }
        }
        Ok(())
    }

    fn contact(&mut self, name: &str, value: &RawValue, seen: &mut HashSet<String>) -> Result<(), String> {
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
            return Err(format!("two keys stand for the contact {name:?}"));
        }
        let name = match self.columns.iter().position(|column| *column.name == *name) {
            Some(column) => Name::Column(column as u32),
            None => Name::Own(self.push(name)),
        };
        let value = self.value(value)?;
        self.batch.fields.push(Field { name, value });
        Ok(())
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
