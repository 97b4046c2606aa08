use std::{
    io::{self, Cursor, Read},
    iter::Cycle,
    slice::Iter,
};

use model::{RecordBatch, limits::MAX_RECORD_BYTES};
use reader::{Escapes, Format, Header, Quotes, ReaderOptions, Records, Selection};
use validator::{Rules, Validator};

use crate::{
    rows::{Rows, validated},
    setup::{Setup, setup},
};

/// Text of a batch: 256 KiB, and the record with which it became full.
const MOST_TEXT: usize = (256 << 10) + MAX_RECORD_BYTES;
/// All of a batch: its text, the raw text of 1,024 records, 4 KiB each, and fields.
const MOST_BATCH: usize = 8 << 20;

/// CSV: the first byte chooses the options, from 0x80 on with the second.
pub fn csv(data: &[u8]) {
    input(data, Format::Csv);
}

/// What a database dumps: the first byte chooses escapes, quotes, the delimiter, and whether there is a header.
///
/// # Panics
///
/// Where pieces of a text are read otherwise than the whole.
pub fn dump(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let options = ReaderOptions {
        escapes: Some(if choice & 1 == 0 { Escapes::Backslash } else { Escapes::None }),
        quotes: Some(if choice & 3 == 2 { Quotes::Double } else { Quotes::None }),
        delimiter: Some([b'\t', b',', 1, b'|'][usize::from(choice >> 2 & 3)]),
        header: match choice & 16 {
            0 => Header::Absent { columns: ["euid", "email", "nick"].map(str::to_owned).to_vec() },
            _ => Header::Present,
        },
        selection: Selection::All,
        flexible: choice & 128 != 0,
        ..ReaderOptions::default()
    };
    let setup = Setup { bytes: text.to_vec(), options, rules: Rules::default() };
    let mut validator = Validator::new(setup.rules.clone());
    let mut all = Rows::default();
    let whole = read(&setup, Format::Csv, &[usize::MAX], |batch| {
        all.take(batch, Format::Csv);
        batch.iter().for_each(|record| validated(&record, &mut validator, &setup.rules));
    });
    if setup.options.escapes == Some(Escapes::None) && whole.is_ok() {
        all.same_as_lines(&setup, Format::Csv);
        all.same_as_csv(&setup, Format::Csv);
    }
    for sizes in [&[1][..], &[3, 1, 7, 2, 97]] {
        let mut pieces = Rows::default();
        let read = read(&setup, Format::Csv, sizes, |batch| pieces.take(batch, Format::Csv));
        assert_eq!(read, whole, "in pieces of {sizes:?}");
        pieces.same_as(&all, sizes);
    }
}

/// NDJSON: the first byte chooses the options, from 0x80 on with the second.
pub fn ndjson(data: &[u8]) {
    input(data, Format::Ndjson);
}

/// A JSON array: the first byte chooses the options, from 0x80 on with the second.
pub fn json(data: &[u8]) {
    input(data, Format::Json);
}

fn input(data: &[u8], format: Format) {
    let Some(setup) = setup(data) else { return };
    let mut validator = Validator::new(setup.rules.clone());
    let mut all = Rows::default();
    let whole = read(&setup, format, &[usize::MAX], |batch| {
        all.take(batch, format);
        batch.iter().for_each(|record| validated(&record, &mut validator, &setup.rules));
    });
    if format == Format::Json {
        all.same_as_elements(&setup, whole.is_ok());
    } else if whole.is_ok() {
        all.same_as_lines(&setup, format);
        all.same_as_csv(&setup, format);
    }
    validator.notices();
    // Most rows come in a batch of their own then, which takes its time.
    let sizes: [&[usize]; 2] = match setup.bytes.len() {
        0..200 => [&[1], &[3, 1, 7, 2, 97]],
        200..100_000 => [&[257, 1], &[64, 1, 7, 2, 97]],
        _ => [&[4_099], &[65_537, 1, 3]],
    };
    for sizes in sizes {
        let mut pieces = Rows::default();
        assert_eq!(read(&setup, format, sizes, |batch| pieces.take(batch, format)), whole, "in pieces of {sizes:?}");
        pieces.same_as(&all, sizes);
    }
}

/// Reads to the end, or says what keeps the input from being opened, or an array from being read on.
fn read(
    setup: &Setup,
    format: Format,
    sizes: &'static [usize],
    mut see: impl FnMut(&RecordBatch),
) -> Result<(), String> {
    let source = Pieces { bytes: Cursor::new(setup.bytes.clone()), sizes: sizes.iter().cycle() };
    let mut records = Records::from_reader("in", source, format, &setup.options)
        .map_err(|error| format!("{error} {:?}", error.hint()))?;
    let mut batch = RecordBatch::default();
    let mut rows = 0;
    loop {
        let more = records.next_batch(&mut batch);
        rows += batch.records.len();
        let more = match more {
            Ok(more) => more,
            Err(error) => {
                assert!(format == Format::Json, "nothing breaks off in memory: {error}");
                see(&batch);
                assert!(records.next_batch(&mut batch).is_err() && batch.records.is_empty(), "behind {error}");
                return Err(error.to_string());
            }
        };
        assert!(!more || !batch.records.is_empty(), "reading doesn't get on behind row {rows}");
        assert!(batch.text.len() <= MOST_TEXT, "{} bytes of text in a batch", batch.text.len());
        assert!(batch.bytes() <= MOST_BATCH, "{} bytes in a batch", batch.bytes());
        see(&batch);
        let _ = records.notices();
        if !more {
            break;
        }
    }
    assert_eq!(records.position().rows, rows as u64);
    assert_eq!(records.next_batch(&mut batch).ok(), Some(false), "the end is the end");
    assert!(batch.records.is_empty(), "rows behind the end");
    Ok(())
}

/// Gives so many bytes a read, over and over.
struct Pieces {
    bytes: Cursor<Vec<u8>>,
    sizes: Cycle<Iter<'static, usize>>,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.sizes.next().copied().unwrap_or(usize::MAX));
        self.bytes.read(&mut buffer[..most])
    }
}
