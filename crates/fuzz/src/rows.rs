//! What must hold for rows, one by one and all together.

use std::collections::HashSet;

use model::{
    Euid, Record, RecordBatch, ValueRef,
    limits::{MAX_NAME_CHARS, MAX_RAW_BYTES, MAX_VALUE_CHARS},
    wire::SetContact,
};
use reader::{Format, Header, Quotes};
use validator::{EmptyValues, Key, Rules, Validator, stands_for_nothing, would_send};

use crate::setup::Setup;

/// All rows of an input.
#[derive(Default)]
pub(crate) struct Rows(Vec<Row>);

struct Row {
    line: u64,
    /// All there is to it.
    shown: String,
    fault: Option<String>,
    /// Contacts by the index of their column; none where the row is too short.
    fields: Vec<(usize, Option<String>)>,
}

impl Rows {
    /// Takes the next rows. They count from 1 on, and each begins on a line of its own, but for elements of an array.
    pub(crate) fn take(&mut self, batch: &RecordBatch, format: Format) {
        for (record, head) in batch.iter().zip(&batch.records) {
            let before = self.0.last().map_or(0, |row| row.line);
            assert_eq!(head.row, self.0.len() as u64 + 1, "rows count without gaps");
            let first = before + u64::from(format != Format::Json);
            assert!(head.line >= first, "row {} begins on line {}, the one before on {before}", head.row, head.line);
            let fields: Vec<_> = record.fields().collect();
            self.0.push(Row {
                line: head.line,
                shown: format!("{} {:?} {:?} {fields:?} {:?}", head.line, head.fault, record.euid(), head.raw),
                fault: head.fault.as_ref().map(|fault| fault.message.clone()),
                fields: (0..).zip(&fields).filter_map(|(index, field)| in_column(&record, index, field.1)).collect(),
            });
        }
    }

    /// Compares with the same rows read in one piece.
    pub(crate) fn same_as(&self, whole: &Self, sizes: &[usize]) {
        for (row, expected) in self.0.iter().zip(&whole.0) {
            assert_eq!(row.shown, expected.shown, "in pieces of {sizes:?}");
        }
        assert_eq!(self.0.len(), whole.0.len(), "in pieces of {sizes:?}");
    }

    /// Compares with what plain splitting into lines gives, where that is all there is to it: every line that is not
    /// blank is a row, whatever is wrong with it.
    pub(crate) fn same_as_lines(&self, setup: &Setup, format: Format) {
        let Some(text) = plain_text(setup) else { return };
        let is_csv = format != Format::Ndjson;
        let has_quotes = setup.options.quotes() == Quotes::Double && text.contains(&b'"');
        if is_csv && (has_quotes || has_separator_line(text)) {
            return;
        }
        let is_row = |line: &[u8]| if is_csv { !line.is_empty() } else { !line.trim_ascii().is_empty() };
        let mut expected = physical_lines(text).filter(|(_, line)| is_row(line)).map(|(number, _)| number);
        if is_csv && setup.options.header == Header::Present {
            expected.next();
        }
        for row in &self.0 {
            assert_eq!(Some(row.line), expected.next(), "the row is {}", row.shown);
        }
        assert_eq!(expected.next(), None, "a line that is no row");
    }

    /// Compares with what `serde_json` reads: the elements of an array, or that it isn't one.
    pub(crate) fn same_as_elements(&self, setup: &Setup, whole: bool) {
        let Some(text) = plain_text(setup) else { return };
        let elements = std::str::from_utf8(text).map(serde_json::from_str::<Vec<&serde_json::value::RawValue>>);
        match elements {
            Ok(Ok(elements)) if whole => assert_eq!(self.0.len(), elements.len(), "rows, and elements"),
            Ok(Ok(_)) => panic!("an array that can't be read"),
            _ => assert!(!whole, "what is no array is read to its end"),
        }
    }

    /// Compares with what the `csv` crate reads, where no quote was given up and no record was too long.
    pub(crate) fn same_as_csv(&self, setup: &Setup, format: Format) {
        let (Some(text), Some(delimiter)) = (plain_text(setup), setup.options.delimiter) else { return };
        let given_up = |fault: &str| fault.starts_with("unclosed quote") || fault.contains(": the record has ");
        if format != Format::Csv
            || text.starts_with(b"\xef\xbb\xbf")
            || has_separator_line(text)
            || self.0.iter().filter_map(|row| row.fault.as_deref()).any(given_up)
        {
            return;
        }
        let has_header = setup.options.header == Header::Present;
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(delimiter).quoting(setup.options.quotes() == Quotes::Double);
        let mut reader = builder.flexible(true).has_headers(has_header).from_reader(text);
        let expected: Result<Vec<_>, _> = reader.byte_records().collect();
        let expected = expected.expect("bytes in memory, of any width");
        assert_eq!(self.0.len(), expected.len(), "rows, and records of the csv crate");
        for (row, expected) in self.0.iter().zip(expected) {
            for (index, text) in &row.fields {
                assert_eq!(text.as_deref().map(str::as_bytes), expected.get(*index), "of {}", row.shown);
            }
        }
    }
}

/// A row is rejected for a reason, or keeps within the limits.
pub(crate) fn validated(record: &Record<'_>, validator: &mut Validator, rules: &Rules) {
    assert!(record.raw().is_none_or(|raw| raw.len() <= MAX_RAW_BYTES), "a long raw text");
    assert_eq!(would_send(record, rules).is_none(), record.raw().is_some());
    let accepted = match validator.validate(record) {
        Ok(accepted) => accepted,
        Err(rejection) => {
            assert!(record.fault().is_none_or(|fault| *fault == rejection), "{rejection:?}");
            for quote in [false, true] {
                let text = rejection.text(quote);
                assert!(!text.is_empty() && !text.chars().any(char::is_control), "{text:?}");
            }
            return;
        }
    };
    assert_eq!(record.fault(), None, "a faulty row passes");
    let key = accepted.key(record);
    let contact = match key {
        Key::Euid(euid) => accepted.contact(euid, record),
        Key::Id(id) => accepted.unresolved(id, record).resolved(Euid::new(7).expect("a number in range")),
    };
    let euid = contact.euid.get();
    assert!((1..=i64::MAX as u64).contains(&euid), "{euid}");
    let digits = contact.euid_text.trim().trim_start_matches('0');
    assert_eq!(digits, euid.to_string(), "another EUID than the row's");
    if let Key::Id(id) = key {
        assert!(rules.ids.is_some() && contact.id.as_deref() == Some(id) && id.trim() == id && !id.is_empty());
        assert!(id.chars().count() <= MAX_VALUE_CHARS && !id.chars().any(char::is_control), "{id:?}");
        assert!(!stands_for_nothing(id) && !rules.nulls.iter().any(|null| null == id), "{id:?}");
    } else {
        assert!(rules.ids.is_none() && contact.id.is_none());
    }
    assert!(!contact.contacts.is_empty(), "nothing to send");
    let mut names = HashSet::new();
    for (name, value) in contact.contacts.iter() {
        assert!(names.insert(name), "{name:?} twice");
        assert!(!name.trim().is_empty() && !name.chars().any(char::is_control), "{name:?}");
        assert!(name.chars().count() <= MAX_NAME_CHARS, "{name:?}");
        let clears = value.is_empty() && rules.empty == EmptyValues::Clear;
        assert!((clears || !value.trim().is_empty()) && !value.contains('\0'), "{name:?} is {value:?}");
        assert!(value.chars().count() <= rules.max_value_chars, "{name:?} is {value:?}");
        assert!(!rules.trim || value.trim() == value, "{name:?} is {value:?}");
        assert!(!rules.nulls.iter().any(|null| null == value), "{name:?} is {value:?}");
    }
    let body = serde_json::to_vec(&SetContact { euid: contact.euid, contacts: &contact.contacts });
    let body: serde_json::Value = serde_json::from_slice(&body.expect("texts and numbers")).expect("what was written");
    assert_eq!(body["euid"].as_u64(), Some(euid));
    for (name, value) in contact.contacts.iter() {
        assert_eq!(body["contacts"][name].as_str(), Some(value), "{name:?}");
    }
}

fn in_column(record: &Record<'_>, index: usize, value: ValueRef<'_>) -> Option<(usize, Option<String>)> {
    let column = record.column(index)?.number? as usize - 1;
    match value {
        ValueRef::Text(text) => Some((column, Some(text.to_owned()))),
        _ => Some((column, None)),
    }
}

/// The text without its mark, where it wasn't decoded from another encoding.
fn plain_text(setup: &Setup) -> Option<&[u8]> {
    let text = &setup.bytes[..];
    let is_decoded = text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") || setup.options.encoding.is_some();
    (!is_decoded).then(|| text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text))
}

fn has_separator_line(text: &[u8]) -> bool {
    let (_, line) = physical_lines(text).find(|(_, line)| !line.is_empty()).unwrap_or_default();
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    line.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"sep="))
}

/// Lines with their numbers; they end with LF, CRLF or CR.
fn physical_lines(text: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let mut rest = Some(text);
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        let length = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        rest = length.map(|length| {
            let end = if text[length..].starts_with(b"\r\n") { 2 } else { 1 };
            &text[length + end..]
        });
        Some(&text[..length.unwrap_or(text.len())])
    });
    (1..).zip(lines)
}
