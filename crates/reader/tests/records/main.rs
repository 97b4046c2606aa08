//! What comes out for what goes in: the same rows in whatever pieces, line ends and wrappings they come.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod files;
mod malformed;
mod opening;
#[path = "../pieces/mod.rs"]
mod pieces;
mod properties;
mod ways;

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    os::fd::AsRawFd,
};

use model::{RecordBatch, ValueRef};
use pieces::Pieces;
use proptest::prelude::*;
use reader::{Format, Header, OpenError, ReadError, ReaderOptions, Records, Selection, open_all};

/// Rows in words: `row@line euid name=value …`, or `row@line reason: message`.
fn shown(batch: &RecordBatch) -> Vec<String> {
    let show = |(record, head): (model::Record<'_>, &model::RecordHead)| {
        let mut row = format!("{}@{}", head.row, head.line);
        if let Some(fault) = record.fault() {
            return row + &format!(" {}: {}", fault.reason, fault.message);
        }
        row += &format!(" {}", record.euid_text());
        for (name, value) in record.fields() {
            row += &match value {
                ValueRef::Text(text) => format!(" {name}={text}"),
                ValueRef::Integer(digits) => format!(" {name}:{digits}"),
                ValueRef::Other(kind, text) => format!(" {name}!{kind}({text})"),
                ValueRef::Null => format!(" {name}=null"),
                ValueRef::Missing => format!(" {name}?"),
            };
        }
        row
    };
    batch.iter().zip(&batch.records).map(show).collect()
}

/// All rows that are left, and how reading ended.
fn drain(mut records: Records) -> (Vec<String>, Option<ReadError>) {
    let mut rows = Vec::new();
    let mut batch = RecordBatch::default();
    loop {
        let more = records.next_batch(&mut batch);
        rows.extend(shown(&batch));
        match more {
            Ok(true) => {}
            Ok(false) => return (rows, None),
            Err(error) => return (rows, Some(error)),
        }
    }
}

fn read_with(text: &[u8], piece: usize, format: Format, options: &ReaderOptions) -> Vec<String> {
    let source = Pieces::of(text, piece);
    let (rows, error) = drain(Records::from_reader("in", source, format, options).unwrap());
    assert!(error.is_none(), "{error:?}");
    rows
}

fn csv(text: &str) -> Vec<String> {
    read_with(text.as_bytes(), 65_536, Format::Csv, &ReaderOptions::default())
}

fn ndjson(text: &str) -> Vec<String> {
    read_with(text.as_bytes(), 65_536, Format::Ndjson, &ReaderOptions::default())
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

const CSV: &str =
    "EUID;Email;mobile_phone\n1;a@example.com;+12025550101\n\n2;\"b \"\"x\"\"\n;c\";\n\n\n3;ü;\"\"\n4;d;e";
const NDJSON: &str = "{\"euid\":1,\"email\":\"a\\u00fc\"}\n\n  \n{\"euid\":\"2\",\"contacts\":{\"Email\":\"b\",\"x\":\"y\"}}\n[1]\n{\"euid\":18446744073709551616,\"mobile_phone\":0012}\n{\"euid\":3,\"mobile_phone\":123456789012345678901234567890,\"email\":null}";

/// Every way in which the same rows may come: pieces, line ends, marks, encodings, compression, files and pipes.
fn all_ways(name: &str, text: &[u8], format: Format, options: &ReaderOptions) {
    let expected = read_with(text, 65_536, format, options);
    let folder = tempfile::tempdir().unwrap();
    let quoted_ends = |row: &String| row.replace("\r\n", "\n").replace('\r', "\n");
    let expected: Vec<String> = expected.iter().map(quoted_ends).collect();
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    let joined = |end: &dyn Fn(usize) -> &'static str| {
        let parts = lines.iter().enumerate().map(|(index, line)| {
            let end = if index + 1 == lines.len() { "" } else { end(index) };
            [line, end.as_bytes()].concat()
        });
        parts.collect::<Vec<_>>().concat()
    };
    // A CR right before an empty line that ends with LF would be one end instead of two.
    let mixed = |index: usize| match lines.get(index + 1) {
        Some([]) => "\n",
        _ => ["\r", "\n", "\r\n"][index % 3],
    };
    for text in [text.to_vec(), joined(&|_| "\r\n"), joined(&|_| "\r"), joined(&mixed)] {
        let mut wrappings = vec![text.clone(), [b"\xef\xbb\xbf", text.as_slice()].concat()];
        if let Ok(text) = std::str::from_utf8(&text) {
            wrappings.push("\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect());
        }
        for bytes in &wrappings {
            let shown = String::from_utf8_lossy(bytes);
            for piece in [1, 2, 7, 65_536] {
                let rows: Vec<String> = read_with(bytes, piece, format, options).iter().map(quoted_ends).collect();
                assert_eq!(rows, expected, "{name} in pieces of {piece}: {shown:?}");
            }
            let (first, second) = bytes.split_at(bytes.len() / 2);
            let members = [gz(first), gz(second)].concat();
            let frames = [zstd::encode_all(first, 1).unwrap(), zstd::encode_all(second, 1).unwrap()].concat();
            for (ending, bytes) in [("", bytes), (".gz", &members), (".zst", &frames)] {
                let path = file(&folder, &format!("{name}{ending}"), bytes);
                for rows in [opened(&path, options), piped(bytes, format, options)] {
                    assert_eq!(rows.iter().map(quoted_ends).collect::<Vec<_>>(), expected, "{name}{ending} {shown:?}");
                }
            }
        }
    }
}

fn opened(path: &str, options: &ReaderOptions) -> Vec<String> {
    let mut input = open_all(&[path.to_owned()], options).unwrap().pop().unwrap();
    let (rows, error) = drain(input.records().unwrap());
    assert!(error.is_none(), "{path}: {error:?}");
    rows
}

/// The rows of a real pipe that is written to meanwhile.
fn piped(bytes: &[u8], format: Format, options: &ReaderOptions) -> Vec<String> {
    let (reader, mut writer) = io::pipe().unwrap();
    let bytes = bytes.to_vec();
    let writing = std::thread::spawn(move || writer.write_all(&bytes).unwrap());
    let options = ReaderOptions { format: Some(format), ..options.clone() };
    let mut inputs = open_all(&[format!("/dev/fd/{}", reader.as_raw_fd())], &options).unwrap();
    let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
    assert!(error.is_none(), "{error:?}");
    writing.join().unwrap();
    rows
}
