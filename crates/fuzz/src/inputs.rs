use std::io::{self, Read};

use model::{RecordBatch, ValueRef};
use reader::{Format, Header, ReaderOptions, Records, Selection, encoding_for_label};
use validator::{Rules, Validator};

/// More than a batch ever holds: records up to a mebibyte, and what comes before it is full.
const MOST_BATCH_BYTES: usize = 32 << 20;

/// CSV: the first byte chooses the options.
pub fn csv(data: &[u8]) {
    input(data, Format::Csv);
}

/// NDJSON: the first byte chooses the options.
pub fn ndjson(data: &[u8]) {
    input(data, Format::Ndjson);
}

fn input(data: &[u8], format: Format) {
    let Some((choice, data)) = data.split_first() else { return };
    let options = options(*choice);
    let whole = rows(data, data.len().max(1), format, &options);
    // In pieces of an odd size the same rows come out.
    let pieces = rows(data, 1 + usize::from(*choice) % 7, format, &options);
    assert_eq!(whole, pieces);
}

/// Printable bytes choose the plain options, so that files can be corpora as they are.
fn options(choice: u8) -> ReaderOptions {
    let bits = if choice.is_ascii_graphic() { 0 } else { choice };
    let header = match bits & 1 {
        0 => Header::Present,
        _ => Header::Absent { columns: vec!["euid".to_owned(), "email".to_owned(), "mobile_phone".to_owned()] },
    };
    ReaderOptions {
        header,
        selection: if bits & 2 == 0 { Selection::All } else { Selection::Known },
        flexible: bits & 4 != 0,
        delimiter: (bits & 8 != 0).then_some(b';'),
        encoding: if bits & 16 == 0 { None } else { encoding_for_label("windows-1252") },
        ..ReaderOptions::default()
    }
}

/// Gives at most `piece` bytes a read.
struct Pieces {
    bytes: io::Cursor<Vec<u8>>,
    piece: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.piece);
        self.bytes.read(&mut buffer[..most])
    }
}

/// Every row in words, each of them validated; none where the input is refused as a whole.
fn rows(data: &[u8], piece: usize, format: Format, options: &ReaderOptions) -> Option<Vec<String>> {
    let source = Pieces { bytes: io::Cursor::new(data.to_vec()), piece };
    let mut records = Records::from_reader("in", source, format, options).ok()?;
    let mut validator = Validator::new(Rules::default());
    let (mut all, mut line, mut batch) = (Vec::new(), 0, RecordBatch::default());
    loop {
        let more = records.next_batch(&mut batch);
        assert!(batch.bytes() <= MOST_BATCH_BYTES, "a batch of {} bytes", batch.bytes());
        for (record, head) in batch.iter().zip(&batch.records) {
            assert_eq!(head.row, all.len() as u64 + 1, "rows are counted without a gap");
            assert!(head.line >= line, "line {} after {line}", head.line);
            line = head.line;
            let mut row = format!("{}@{} {:?}", head.row, head.line, record.fault());
            for (name, value) in record.fields() {
                let value = match value {
                    ValueRef::Missing | ValueRef::Null => "",
                    ValueRef::Text(text) | ValueRef::Integer(text) | ValueRef::Other(_, text) => text,
                };
                row += &format!(" {name}={value}");
            }
            match validator.validate(&record) {
                Ok(accepted) => check(&accepted.contact(&record)),
                Err(rejection) => row += rejection.reason.as_str(),
            }
            all.push(row);
        }
        match more {
            Ok(true) => {}
            // Where an input breaks off depends on its bytes only.
            Ok(false) | Err(_) => return Some(all),
        }
    }
}

fn check(contact: &model::Contact) {
    assert!(!contact.contacts.is_empty(), "nothing to send");
    let mut names: Vec<&str> = contact.contacts.iter().map(|(name, _)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), contact.contacts.len(), "a name twice");
    for (name, value) in contact.contacts.iter() {
        assert!((1..=256).contains(&name.chars().count()) && (1..=256).contains(&value.chars().count()));
        assert!(!value.contains('\0') && !name.chars().any(char::is_control));
    }
}
