//! JSON arrays: an element a row, in whatever pieces and wrappings, and an end where it stops being JSON.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod pieces;

use std::{
    io::{self, Write},
    os::fd::AsRawFd,
};

use model::{RecordBatch, ValueRef};
use pieces::Pieces;
use proptest::prelude::*;
use reader::{Format, OpenError, ReadError, ReaderOptions, Records, Selection, encoding_for_label, open_all};

/// Rows as `row@line euid name=value …` or `row@line reason: message`, and how reading ended.
fn drain(mut records: Records) -> (Vec<String>, Option<ReadError>) {
    let mut rows = Vec::new();
    let mut batch = RecordBatch::default();
    loop {
        let more = records.next_batch(&mut batch);
        for (record, head) in batch.iter().zip(&batch.records) {
            let mut row = format!("{}@{}", head.row, head.line);
            if let Some(fault) = record.fault() {
                row += &format!(" {}: {}", fault.reason, fault.message);
            } else {
                row += &format!(" {}", record.euid_text());
                for (name, value) in record.fields() {
                    row += &match value {
                        ValueRef::Text(text) => format!(" {name}={text}"),
                        other => format!(" {name}:{other:?}"),
                    };
                }
            }
            rows.push(row);
        }
        match more {
            Ok(true) => {}
            Ok(false) => return (rows, None),
            Err(error) => {
                let again = records.next_batch(&mut batch);
                assert!(again.is_err() && batch.records.is_empty(), "what is broken stays broken: {again:?}");
                return (rows, Some(error));
            }
        }
    }
}

fn read_with(text: &[u8], piece: usize, options: &ReaderOptions) -> (Vec<String>, Option<String>) {
    let source = Pieces::of(text, piece);
    let (rows, error) = drain(Records::from_reader("in", source, Format::Json, options).unwrap());
    (rows, error.map(|error| error.to_string()))
}

/// The same in pieces of many sizes.
fn json(text: impl AsRef<[u8]>) -> (Vec<String>, Option<String>) {
    let text = text.as_ref();
    let whole = read_with(text, usize::MAX, &ReaderOptions::default());
    let pieces: &[usize] = if text.len() < 10_000 { &[1, 2, 7, 64] } else { &[4_099, 65_537] };
    for piece in pieces {
        assert_eq!(read_with(text, *piece, &ReaderOptions::default()), whole, "in pieces of {piece}");
    }
    whole
}

fn whole(text: impl AsRef<[u8]>) -> Vec<String> {
    let (rows, error) = json(text);
    assert_eq!(error, None);
    rows
}

fn file(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const ARRAY: &str = " \n[ {\"euid\":1,\"email\":\"a\\u00fc\"} ,\r\n\r\n  {\n\"euid\":\"2\",\n\"contacts\":{\"Email\":\"ü]\\\"}\",\"x\":\"y\"}\n},7,\n[{\"euid\":3}],\"text\",null,{\"euid\":4,\n\"email\":\"d\"\n}]\n \n";

const ROWS: [&str; 7] = [
    "1@2 1 email=aü",
    "2@4 2 email=ü]\"} x=y",
    "3@7 malformed_row: not a JSON object",
    "4@8 malformed_row: not a JSON object",
    "5@8 malformed_row: not a JSON object",
    "6@8 malformed_row: not a JSON object",
    "7@8 4 email=d",
];

#[test]
fn an_element_is_a_row_with_the_line_on_which_it_begins() {
    assert_eq!(whole(ARRAY), ROWS);
    assert_eq!(whole("[]"), Vec::<String>::new());
    assert_eq!(whole("\t[ \r\n ] \n\n"), Vec::<String>::new());
    assert_eq!(whole("[{\"euid\":1}]").len(), 1);
}

#[test]
fn arrays_come_out_the_same_in_all_ways() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReaderOptions::default();
    let utf16 = |text: &str| -> Vec<u8> {
        "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
    };
    for bytes in [ARRAY.as_bytes().to_vec(), [b"\xef\xbb\xbf", ARRAY.as_bytes()].concat(), utf16(ARRAY)] {
        for packed in [bytes.clone(), gz(&bytes), zstd::encode_all(&bytes[..], 1).unwrap()] {
            // By extension, by the first byte, and as a pipe that is written to meanwhile.
            for name in ["a.json", "a.json.gz", "a"] {
                let mut inputs = open_all(&[file(&folder, name, &packed)], &options).unwrap();
                let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
                assert!(error.is_none(), "{error:?}");
                assert_eq!(rows, ROWS, "{name}");
            }
            let (reader, mut writer) = io::pipe().unwrap();
            let writing = std::thread::spawn(move || packed.chunks(5).for_each(|part| writer.write_all(part).unwrap()));
            let mut inputs = open_all(&[format!("/dev/fd/{}", reader.as_raw_fd())], &options).unwrap();
            let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
            assert!(error.is_none(), "{error:?}");
            assert_eq!(rows, ROWS);
            writing.join().unwrap();
        }
    }
    let latin = ReaderOptions { encoding: encoding_for_label("windows-1252"), ..ReaderOptions::default() };
    assert_eq!(read_with(b"[{\"euid\":1,\"email\":\"\xfc\"}]", 3, &latin).0, ["1@1 1 email=ü"]);
}

#[test]
fn what_is_not_json_ends_reading_behind_what_was_whole() {
    const ONE: &str = "{\"euid\":1,\"email\":\"a\"}";
    for (text, rows, line, fault) in [
        (format!("[{ONE},\n]"), 1, 2, "a comma is followed by no element"),
        (format!("[{ONE}\n{ONE}]"), 1, 2, "something other than a comma"),
        (format!("[,{ONE}]"), 0, 1, "a comma stands before the first element"),
        (format!("[{ONE},,{ONE}]"), 1, 1, "a comma is followed by no element"),
        (format!("[{ONE}]\n[{ONE}]"), 1, 2, "something stands behind the closing"),
        (format!("[{ONE}]\n\0"), 1, 2, "something stands behind the closing"),
        (format!("[{ONE},\n\n{{\"euid\":01}}]"), 1, 3, "this is no JSON value"),
        (format!("[{ONE},{{euid:2}},{ONE}]"), 1, 1, "this is no JSON value"),
        (format!("[{ONE},{{\"euid\":2\n]"), 1, 2, "this is no JSON value"),
        (format!("[{ONE},\"a\nb\"]"), 1, 1, "this is no JSON value"),
        (format!("[{ONE},nul]"), 1, 1, "this is no JSON value"),
        (format!("[{ONE},\n{{\"euid\":2,\"em"), 1, 2, "it ends within an element"),
        (format!("[{ONE},12"), 1, 1, "it ends within an element"),
        (format!("[{ONE},\n"), 1, 2, "it ends before its array is closed"),
        (format!("[{ONE},{ONE}\n"), 2, 2, "it ends before its array is closed"),
        ("[".to_owned(), 0, 1, "it ends before its array is closed"),
        (String::new(), 0, 1, "it is empty"),
        ("euid,email\n1,a\n".to_owned(), 0, 1, "it does not begin with `[`"),
    ] {
        let (read, error) = json(&text);
        let error = error.unwrap_or_default();
        assert_eq!(read.len(), rows, "{text:?}: {error}");
        assert!(
            error.starts_with(&format!("in: is not JSON on line {line}: ")) && error.contains(fault),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn bytes_that_are_not_valid_end_reading() {
    for text in [
        &b"[{\"euid\":1},\n{\"euid\":2,\"email\":\"M\xfcller\"},{\"euid\":3}]"[..],
        b"[{\"euid\":1}\n\xff]",
        b"[{\"euid\":1},\n{\"euid\":2,\"email\":\"\xc3\"}]",
    ] {
        let (rows, error) = json(text);
        let error = error.unwrap_or_default();
        assert_eq!(rows.len(), 1, "{error}");
        assert!(error.starts_with("in: is not JSON on line 2: "), "{error}");
    }
    let (_, error) = json(b"[{\"euid\":1,\"email\":\"M\xfcller\"}]");
    assert!(
        error.unwrap().contains(
            "the byte 0xFC is not valid UTF-8; name the file's encoding, most likely `--encoding windows-1252`"
        )
    );
}

#[test]
fn what_is_json_and_no_row_is_one_rejected_row() {
    for element in [
        r#"{"euid":1,"euid":2,"email":"a"}"#,
        r#"{"euid":1,"email":"a","contacts":{"email":"b"}}"#,
        r#"{"euid":1,"contacts":[]}"#,
        r#"{"euid":1,"email":"\ud800"}"#,
        r#"{"\ud800":1}"#,
        "-1.5e9",
        "[[[]]]",
    ] {
        let rows = whole(format!("[{element},{{\"euid\":2,\"email\":\"b\"}}]"));
        assert!(rows[0].starts_with("1@1 malformed_row"), "{element}: {}", rows[0]);
        assert_eq!(rows[1..], ["2@1 2 email=b"]);
    }
}

#[test]
fn an_element_over_a_mebibyte_is_one_rejected_row_and_is_not_kept() {
    let long = "ü".repeat(3 << 19);
    let rows = whole(format!("[\n{{\"euid\":1,\n\"email\":\"{long}\"}},\n{{\"euid\":2,\"email\":\"b\"}}]"));
    assert!(rows[0].starts_with("1@2 malformed_row: lines 2 to 3: the record has 3145750 bytes"), "{}", &rows[0][..99]);
    assert_eq!(rows[1..], ["2@4 2 email=b"]);
    // As long as can be, and a byte longer.
    let edge = "x".repeat((1 << 20) - 21);
    assert!(whole(format!("[{{\"euid\":1,\"email\":\"{edge}\"}}]"))[0].starts_with("1@1 1 email=x"));
    assert!(whole(format!("[{{\"euid\":1,\"email\":\"{edge}x\"}}]"))[0].contains("the record has 1048577 bytes"));
    // Not JSON, or not text, far within.
    for inside in ["\n", "\\q"] {
        let (rows, error) = json(format!("[{{\"euid\":1}},{{\"email\":\"{long}{inside}\"}}]"));
        assert!(rows.len() == 1 && error.unwrap_or_default().contains("this is no JSON value"), "{inside:?}");
    }
    let (rows, error) = json([b"[{\"email\":\"", long.as_bytes(), b"\xff\"}]"].concat());
    assert!(rows.is_empty() && error.unwrap_or_default().contains("not valid UTF-8"));
    let (rows, error) = json(format!("[{{\"email\":\"{long}"));
    assert!(rows.is_empty() && error.unwrap_or_default().contains("it ends within an element"));
}

#[test]
fn deep_nesting_is_a_row_or_an_end_and_never_a_stack_overflow() {
    let (open, close) = ("[".repeat(400_000), "]".repeat(400_000));
    let rows = whole(format!("[{{\"euid\":1,\"email\":{open}{close}}},{{\"euid\":2,\"email\":\"b\"}}]"));
    assert!(rows[0].starts_with("1@1 1 email:Other(\"an array\""), "{}", &rows[0][..99]);
    assert_eq!(rows[1], "2@1 2 email=b");
    let (rows, error) = json("[".repeat(3 << 20));
    assert!(rows.is_empty() && error.unwrap_or_default().contains("this is no JSON value"));
}

#[test]
fn the_keys_of_the_first_thousand_records_are_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReaderOptions::default();
    let many: Vec<String> = (1..=1_000).map(|euid| format!("{{\"euid\":{euid},\"email\":\"a\"}}")).collect();
    let last = "{\"euid\":1001,\"nick\":\"a\"}";
    for (elements, is_unknown) in [(&many[1..], true), (&many[..], false)] {
        let path = file(&folder, "a.json", format!("[{},{last}]", elements.join(",\n")).as_bytes());
        match open_all(&[path], &options) {
            Err(OpenError::Unknown(unknown)) => {
                assert!(is_unknown, "{unknown:?}");
                assert_eq!(unknown[0].names, ["nick"]);
            }
            Ok(mut inputs) => {
                assert!(!is_unknown);
                let (rows, _) = drain(inputs.pop().unwrap().records().unwrap());
                assert!(rows.last().unwrap().starts_with("1001@1000 key_unknown"), "{:?}", rows.last());
            }
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn a_file_that_changes_or_is_cut_loses_nothing_but_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let text: String =
        (1..300).map(|euid| format!(",\n{{\"euid\":{euid},\"email\":\"{euid}@example.com\"}}")).collect();
    let text = format!("[{}]\n", &text[1..]);
    let all = whole(&text);
    assert_eq!(all.len(), 299);
    for (name, packed) in [
        ("a.json", text.clone().into_bytes()),
        ("a.json.gz", gz(text.as_bytes())),
        ("a.json.zst", zstd::encode_all(text.as_bytes(), 3).unwrap()),
    ] {
        for length in (8..packed.len() - 2).step_by(7) {
            let path = file(&folder, name, &packed[..length]);
            let Ok(mut inputs) = open_all(&[path], &ReaderOptions::default()) else { continue };
            let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
            assert_eq!(rows, all[..rows.len()], "{name} cut at {length}");
            assert!(error.is_some(), "{name} cut at {length}");
        }
    }
    let path = file(&folder, "b.json", b"[{\"euid\":1,\"email\":\"a\"},{\"euid\":2,");
    let mut input = open_all(std::slice::from_ref(&path), &ReaderOptions::default()).unwrap().pop().unwrap();
    std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"\"em").unwrap();
    let (rows, error) = drain(input.records().unwrap());
    assert_eq!(rows, ["1@1 1 email=a"]);
    assert!(matches!(error, Some(ReadError::Changed { .. })), "{error:?}");
}

#[test]
fn position_and_digest_are_those_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.json", ARRAY.as_bytes());
    let options = ReaderOptions { digest: true, ..ReaderOptions::default() };
    let mut records = open_all(&[path], &options).unwrap().pop().unwrap().records().unwrap();
    while records.next_batch(&mut RecordBatch::default()).unwrap() {}
    let position = records.position();
    assert_eq!((position.bytes, position.rows), (ARRAY.len() as u64, 7));
    assert_eq!(position.blake3, Some(*blake3::hash(ARRAY.as_bytes()).as_bytes()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever the bytes: the same rows and the same end in whatever pieces; and where all of it is an array, what
    /// serde_json reads, element by element.
    #[test]
    fn any_bytes_are_rows_and_an_end(
        text in prop::collection::vec(prop_oneof![
            8 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\"euid\":1", "\"email\":\"a\"", " ", "\n", "\r", "1", "-", "0.5e3", "null", "true", "\\", "{}", "[]"]).prop_map(str::as_bytes).prop_map(<[u8]>::to_vec),
            1 => prop::collection::vec(any::<u8>(), 1..3)
        ], 0..40),
        piece in 1_usize..20,
    ) {
        let bytes = [b"[".to_vec(), text.concat(), b"]".to_vec()].concat();
        let options = ReaderOptions { selection: Selection::All, ..ReaderOptions::default() };
        let (rows, error) = read_with(&bytes, usize::MAX, &options);
        prop_assert_eq!(&read_with(&bytes, piece, &options), &(rows.clone(), error.clone()));
        let mark = bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        if !mark {
            let elements = std::str::from_utf8(&bytes).ok().and_then(|text| serde_json::from_str::<Vec<&serde_json::value::RawValue>>(text).ok());
            prop_assert_eq!(elements.map(|elements| elements.len()), error.is_none().then_some(rows.len()));
        }
    }
}
