use std::{
    io::{self, Cursor, Read},
    iter::Cycle,
    slice::Iter,
};

use model::{RecordBatch, limits::MAX_RECORD_BYTES};
use reader::{Format, Header, ReaderOptions, Records, Selection, encoding_for_label};
use validator::{EmptyValues, Rules, Validator};

use crate::{
    rows::{Rows, validated},
    stretch::stretched,
};

/// Text of a batch: 256 KiB, and the record with which it became full.
const MOST_TEXT: usize = (256 << 10) + MAX_RECORD_BYTES;
/// All of a batch: its text, the raw text of 1,024 records, 4 KiB each, and fields.
const MOST_BATCH: usize = 8 << 20;

/// CSV: the first byte chooses the options, from 0x80 on with the second.
pub fn csv(data: &[u8]) {
    input(data, Format::Csv);
}

/// NDJSON: the first byte chooses the options, from 0x80 on with the second.
pub fn ndjson(data: &[u8]) {
    input(data, Format::Ndjson);
}

/// An input, and how it is read.
pub(crate) struct Setup {
    pub(crate) bytes: Vec<u8>,
    pub(crate) options: ReaderOptions,
    pub(crate) rules: Rules,
}

/// Printable bytes choose the plain options, so that files can be corpora as they are.
fn setup(data: &[u8]) -> Option<Setup> {
    let (choice, data) = data.split_first()?;
    let bits = if choice.is_ascii_graphic() { 0 } else { *choice };
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let header = match bits & 1 {
        0 => Header::Present,
        _ => Header::Absent { columns: texts(&["euid", "email", "mobile_phone"]) },
    };
    let options = ReaderOptions {
        header,
        selection: if bits & 2 == 0 { Selection::All } else { Selection::Known },
        flexible: bits & 4 != 0,
        delimiter: (bits & 8 != 0).then_some(b';'),
        encoding: if bits & 16 == 0 { None } else { encoding_for_label("windows-1252") },
        ..ReaderOptions::default()
    };
    if bits < 0x80 {
        return Some(Setup { bytes: data.to_vec(), options, rules: Rules::default() });
    }
    let (more, data) = data.split_first()?;
    let labels = ["utf-16le", "utf-16be", "shift_jis", "gb18030", "iso-2022-jp", "utf-8", "", ""];
    let exactly = || Selection::Exactly(texts(&["nick", "email"]));
    let map = [("id", "euid"), ("E-Mail", "email"), ("x", "nick")];
    let options = ReaderOptions {
        delimiter: if bits & 32 == 0 { options.delimiter } else { Some(b',') },
        selection: if bits & 64 == 0 { options.selection } else { exactly() },
        map: map.map(|(from, to)| (from.to_owned(), to.to_owned())).to_vec(),
        encoding: encoding_for_label(labels[usize::from(more & 7)]).or(options.encoding),
        ..options
    };
    let limits = Rules::default();
    let rules = Rules {
        empty: if more & 8 == 0 { EmptyValues::Skip } else { EmptyValues::Reject },
        trim: more & 16 != 0,
        nulls: if more & 32 == 0 { Vec::new() } else { texts(&["NULL", "-"]) },
        max_value_chars: if more & 128 == 0 { limits.max_value_chars } else { 8 },
    };
    let bytes = if more & 64 == 0 { data.to_vec() } else { stretched(data) };
    Some(Setup { bytes, options, rules })
}

fn input(data: &[u8], format: Format) {
    let Some(setup) = setup(data) else { return };
    let mut validator = Validator::new(setup.rules.clone());
    let mut all = Rows::default();
    let whole = read(&setup, format, &[usize::MAX], |batch| {
        all.take(batch);
        batch.iter().for_each(|record| validated(&record, &mut validator, &setup.rules));
    });
    if whole.is_ok() {
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
        assert_eq!(read(&setup, format, sizes, |batch| pieces.take(batch)), whole, "in pieces of {sizes:?}");
        pieces.same_as(&all, sizes);
    }
}

/// Reads to the end, or says what keeps the input from being opened.
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
        let more = records.next_batch(&mut batch).expect("nothing breaks off in memory");
        rows += batch.records.len();
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
