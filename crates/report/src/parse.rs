//! A record of the report as a decision: the way back from `record`.

use std::{borrow::Cow, fmt, ops::Range, sync::Arc};

use csv_core::ReadRecordResult;
use jiff::Timestamp;
use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use crate::record::{FIELDS, HEADER, HEADER_WITH_IDS, ID};

/// Why bytes are no record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They were cut or overwritten: what a kill or a loss of power leaves.
    NotWhole,
    /// They are whole, but nothing that this version writes.
    Foreign(String),
}

/// Reads records of one report.
pub(crate) struct Parser {
    /// That of the record before, which most often is that of the next.
    source: Arc<str>,
    /// Made with the first record of CSV: it has large tables.
    csv: Option<CsvFields>,
    /// Where each of [`FIELDS`] stands in a CSV record.
    columns: Vec<usize>,
    /// Where that of ids stands, in a report that has it.
    id_column: Option<usize>,
}

impl Parser {
    pub(crate) fn new() -> Self {
        Self { source: "".into(), csv: None, columns: Vec::new(), id_column: None }
    }

    /// Reads an object of NDJSON, with or without its line end.
    pub(crate) fn ndjson(&mut self, line: &[u8]) -> Result<Decision, Fault> {
        let text = str::from_utf8(line).map_err(|_| Fault::NotWhole)?.trim_start();
        if text.starts_with('[') {
            // serde would take it for the fields in their order.
            return Err(Fault::Foreign("an array".to_owned()));
        }
        match serde_json::from_str::<Line<'_>>(text) {
            Ok(line) => decision(line, &mut self.source),
            // The parser's own words could quote a contact value.
            Err(error) if error.is_data() => Err(Fault::Foreign("JSON without the fields of a record".to_owned())),
            Err(_) => Err(Fault::NotWhole),
        }
    }

    /// Reads the header of CSV. Further columns are ignored, whatever their place.
    pub(crate) fn csv_header(&mut self, record: &[u8]) -> Result<(), Fault> {
        let csv = self.csv.get_or_insert_with(CsvFields::new);
        if !csv.split(record) {
            return Err(Fault::NotWhole);
        }
        let column = |name: &&str| (0..csv.len()).find(|index| csv.text(*index) == Some(*name));
        let columns: Option<Vec<usize>> = FIELDS.iter().map(column).collect();
        let id_column = column(&ID);
        self.columns = columns.ok_or_else(|| Fault::Foreign("columns are missing".to_owned()))?;
        self.id_column = id_column;
        Ok(())
    }

    /// Reads a record of CSV, with or without its line end.
    pub(crate) fn csv_record(&mut self, record: &[u8]) -> Result<Decision, Fault> {
        let csv = self.csv.get_or_insert_with(CsvFields::new);
        if !csv.split(record) || self.columns.iter().chain(&self.id_column).any(|column| *column >= csv.len()) {
            return Err(Fault::NotWhole);
        }
        let line = columns_line(csv, &self.columns, self.id_column).ok_or(Fault::NotWhole)?;
        decision(line, &mut self.source)
    }
}

/// None where a field doesn't hold what it should.
fn columns_line<'a>(csv: &'a CsvFields, columns: &[usize], id_column: Option<usize>) -> Option<Line<'a>> {
    let mut texts = columns.iter().map(|column| csv.text(*column));
    let mut next = || texts.next().flatten();
    Some(Line {
        source: next()?.into(),
        row: next()?.parse().ok()?,
        line: next()?.parse().ok()?,
        euid: next()?.into(),
        id: match id_column {
            Some(column) => Some(csv.text(column)?.into()),
            None => None,
        },
        outcome: next()?.into(),
        reason: next()?.into(),
        code: optional(next()?, |text| text.parse().ok())?,
        message: optional(next()?, |text| Some(text.into()))?,
        http_status: optional(next()?, |text| text.parse().ok())?,
        attempts: next()?.parse().ok()?,
        latency_ms: optional(next()?, |text| text.parse().ok())?,
        at: next()?.into(),
        contacts: optional(next()?, |text| serde_json::from_str(text).ok())?,
        raw: optional(next()?, |text| Some(text.into()))?,
    })
}

/// Turns the texts into what they stand for; `source` is kept from record to record.
fn decision(line: Line<'_>, source: &mut Arc<str>) -> Result<Decision, Fault> {
    let unknown = |what: &str, word: &str| Fault::Foreign(format!("unknown {what} {}", model::excerpt(word, 40)));
    if **source != *line.source {
        *source = line.source.as_ref().into();
    }
    let reason = match line.reason.as_ref() {
        "" => None,
        word => Some(Reason::parse(word).ok_or_else(|| unknown("reason", word))?),
    };
    let at: Timestamp = line.at.parse().map_err(|_| unknown("time", &line.at))?;
    Ok(Decision {
        origin: Origin { source: Arc::clone(source), row: line.row, line: line.line },
        outcome: Outcome::parse(&line.outcome).ok_or_else(|| unknown("outcome", &line.outcome))?,
        euid: line.euid.into(),
        id: line.id.map(Into::into),
        reason,
        answered: Answered {
            code: line.code,
            message: line.message.map(Cow::into_owned),
            http_status: line.http_status,
        },
        attempts: line.attempts,
        latency_ms: line.latency_ms,
        at_ms: at.as_millisecond(),
        contacts: line.contacts.map(|contacts| contacts.0),
        raw: line.raw.map(Into::into),
    })
}

/// Whether bytes that are no whole record may be the beginning of a report that was cut there, or was never filled.
pub(crate) fn may_begin_report(bytes: &[u8]) -> bool {
    let zeros = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let written = &bytes[..zeros];
    [HEADER.as_bytes(), HEADER_WITH_IDS.as_bytes(), b"{\"source\":"].iter().any(|start| {
        let common = written.len().min(start.len());
        written[..common] == start[..common]
    })
}

/// Empty is null; else what the text holds, or none where it doesn't hold that.
#[expect(clippy::option_option, reason = "absent and wrong are different things")]
fn optional<'a, T>(text: &'a str, read: impl FnOnce(&'a str) -> Option<T>) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { read(text).map(Some) }
}

/// The fields by name; further ones are ignored.
#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "the field's name is given")]
struct Line<'a> {
    #[serde(borrow)]
    source: Cow<'a, str>,
    row: u64,
    line: u64,
    #[serde(borrow)]
    euid: Cow<'a, str>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Cow<'a, str>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
    code: Option<i64>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    http_status: Option<u16>,
    attempts: u32,
    latency_ms: Option<u64>,
    #[serde(borrow)]
    at: Cow<'a, str>,
    contacts: Option<OrderedContacts>,
    #[serde(borrow)]
    raw: Option<Cow<'a, str>>,
}

/// Contacts in the order in which they stand.
struct OrderedContacts(Contacts);

impl<'de> Deserialize<'de> for OrderedContacts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = OrderedContacts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut contacts = Contacts::default();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    contacts.push(name.into(), &value);
                }
                Ok(OrderedContacts(contacts))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

/// One CSV record, split; its buffers are reused.
struct CsvFields {
    reader: csv_core::Reader,
    unquoted: Vec<u8>,
    ends: Vec<usize>,
    fields: Vec<Range<usize>>,
}

/// More columns than any version will write.
const MOST_COLUMNS: usize = 64;

impl CsvFields {
    fn new() -> Self {
        // Its `default` has an empty table, unlike its `new`.
        let reader = csv_core::Reader::new();
        Self { reader, unquoted: Vec::new(), ends: Vec::new(), fields: Vec::new() }
    }

    /// Splits one record; false where the bytes are not just one.
    fn split(&mut self, record: &[u8]) -> bool {
        self.reader.reset();
        self.unquoted.resize(record.len() + 1, 0);
        self.ends.resize(MOST_COLUMNS, 0);
        self.fields.clear();
        let (result, taken, _, ends) = self.reader.read_record(record, &mut self.unquoted, &mut self.ends);
        let rest = record.get(taken..).unwrap_or_default();
        if result != ReadRecordResult::Record || !rest.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            return false;
        }
        let mut start = 0;
        for end in self.ends.iter().take(ends) {
            self.fields.push(start..*end);
            start = *end;
        }
        true
    }

    fn len(&self) -> usize {
        self.fields.len()
    }

    fn text(&self, index: usize) -> Option<&str> {
        str::from_utf8(self.unquoted.get(self.fields.get(index)?.clone())?).ok()
    }
}
