//! What comes out for what goes in: the same rows in whatever pieces, line ends and wrappings they come.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod pieces;

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

#[test]
fn every_fixture_comes_out_the_same_in_all_ways() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = std::fs::read(&path).unwrap();
        let (format, bytes) = match name.rsplit_once('.').unwrap().1 {
            "csv" if bytes.starts_with(b"\xff\xfe") => {
                let units: Vec<u16> = bytes[2..].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
                (Format::Csv, String::from_utf16(&units).unwrap().into_bytes())
            }
            "csv" => (Format::Csv, bytes),
            "ndjson" => (Format::Ndjson, bytes),
            // The compressed ones hold what another one holds.
            _ => continue,
        };
        let text = bytes.iter().copied().filter(|byte| *byte != b'\r' || name.contains("-cr."));
        let text: Vec<u8> = text.map(|byte| if byte == b'\r' { b'\n' } else { byte }).collect();
        let key_column = match name.as_str() {
            "own-ids.csv" => "crm_id",
            name if name.starts_with("crm-export") => "Kundennummer",
            _ => "euid",
        };
        let key_column = key_column.to_owned();
        let options = ReaderOptions { selection: Selection::All, key_column, ..ReaderOptions::default() };
        all_ways(&name, &text, format, &options);
        seen += 1;
    }
    assert!(seen > 10, "only {seen} fixtures");
}

#[test]
fn csv_comes_out_the_same_in_all_ways() {
    all_ways("rows.csv", CSV.as_bytes(), Format::Csv, &ReaderOptions::default());
    assert_eq!(
        csv(CSV),
        [
            "1@2 1 email=a@example.com mobile_phone=+12025550101",
            "2@4 2 email=b \"x\"\n;c mobile_phone=",
            "3@8 3 email=ü mobile_phone=",
            "4@9 4 email=d mobile_phone=e"
        ]
    );
}

#[test]
fn ndjson_comes_out_the_same_in_all_ways() {
    all_ways("rows.ndjson", NDJSON.as_bytes(), Format::Ndjson, &ReaderOptions::default());
    assert_eq!(
        ndjson(NDJSON),
        [
            "1@1 1 email=aü",
            "2@4 2 email=b x=y",
            "3@5 malformed_row: not a JSON object",
            "4@6 malformed_row: invalid JSON at column 46: invalid number",
            "5@7 3 mobile_phone:123456789012345678901234567890 email=null",
        ]
    );
}

#[test]
fn a_stray_quote_costs_one_line() {
    let rows = csv("euid,email\n1,a\n2,\"b\n3,c\n4,d\n");
    assert_eq!(rows[0], "1@2 1 email=a");
    assert!(
        rows[1]
            .starts_with("2@3 malformed_row: unclosed quote, opened on line 3: it would have swallowed lines 3 to 5"),
        "{}",
        rows[1]
    );
    assert_eq!(rows[2..], ["3@4 3 email=c", "4@5 4 email=d"]);
}

#[test]
fn a_stray_quote_is_given_up_after_a_mebibyte() {
    let mut text = "euid,email\n1,\"a\n".to_owned();
    for row in 2..100_000 {
        text += &format!("{row},b@example.com\n");
    }
    let rows = csv(&text);
    assert_eq!(rows.len(), 99_999);
    assert!(rows[0].contains("unclosed quote"));
    assert_eq!(rows[99_998], "99999@100000 99999 email=b@example.com");
}

#[test]
fn a_record_that_is_too_long_is_one_row() {
    let long = "x".repeat(3 << 20);
    let rows = csv(&format!("euid,email\n1,{long}\n2,b\n"));
    assert!(rows[0].starts_with("1@2 malformed_row: line 2: the record has 3145730 bytes"), "{}", rows[0]);
    assert_eq!(rows[1..], ["2@3 2 email=b"]);
    let rows = ndjson(&format!("{{\"euid\":1,\"email\":\"{long}\"}}\n{{\"euid\":2,\"email\":\"b\"}}"));
    assert!(rows[0].contains("the record has"), "{}", rows[0]);
    assert_eq!(rows[1..], ["2@2 2 email=b"]);
}

#[test]
fn a_quote_in_an_endless_line_costs_that_line() {
    let long = "x".repeat(3 << 20);
    let rows = csv(&format!("euid,email\n1,\"{long}\n2,b\n"));
    assert!(rows[0].contains("the record has 3145731 bytes"), "{}", &rows[0][..99]);
    assert_eq!(rows[1..], ["2@3 2 email=b"]);
    // Two quotes that stand for one, right where the record is given up.
    let edge = "x".repeat((1 << 20) - 3);
    let rows = csv(&format!("euid,email\n1,\"{edge}\n\"\"still open\n2,b\n"));
    assert_eq!(rows.last().map(String::as_str), Some("3@4 2 email=b"), "{}", rows.len());
}

#[test]
fn a_source_that_broke_stays_broken() {
    /// Fails once and then has nothing more to give.
    struct Breaks(bool);
    impl Read for Breaks {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) { Ok(0) } else { Err(io::Error::other("gone")) }
        }
    }
    let start = io::Cursor::new(b"euid,email\n1,a\n2,cut");
    let source = start.chain(Breaks(false)).chain(io::Cursor::new(b" off\n3,c\n"));
    let mut records = Records::from_reader("in", source, Format::Csv, &ReaderOptions::default()).unwrap();
    let mut batch = RecordBatch::default();
    let mut rows = 0;
    for _ in 0..4 {
        let more = records.next_batch(&mut batch);
        rows += batch.records.len();
        assert!(rows == 1 && !matches!(more, Ok(false)), "{rows} {more:?}");
    }
}

#[test]
fn wrong_numbers_of_fields_are_malformed_and_flexible_mends_what_is_safe() {
    let text = "euid,email,mobile_phone\n1,a\n2,b,c,d\n3,e,f,\n4,g,h\n";
    let rows = csv(text);
    assert!(
        rows[0].starts_with("1@2 malformed_row: line 2: 2 fields where the header has 3: the row may have been cut"),
        "{}",
        rows[0]
    );
    assert!(rows[1].contains("4 fields where the header has 3") && rows[2].contains("4 fields"));
    let flexible = ReaderOptions { flexible: true, ..ReaderOptions::default() };
    let rows = read_with(text.as_bytes(), 7, Format::Csv, &flexible);
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("1@2 1 email=a mobile_phone?", "3@4 3 email=e mobile_phone=f"));
    assert!(rows[1].contains("malformed_row"));
}

#[test]
fn a_trailing_unnamed_column_must_be_blank() {
    let rows = csv("euid,email,\n1,a,\n2,b, \n3,c,x\n");
    assert_eq!(rows[..2], ["1@2 1 email=a", "2@3 2 email=b"]);
    assert!(rows[2].contains("malformed_row: line 4: column 3 has a value and no name"), "{}", rows[2]);
}

#[test]
fn bytes_that_are_not_valid_reject_their_row_only() {
    let text = b"euid,email\n1,M\xfcller\n2,b\n\xc3,\xa9\n";
    let rows = read_with(text, 3, Format::Csv, &ReaderOptions::default());
    assert!(rows[0].starts_with("1@2 encoding_invalid: column \"email\" (column 2) has the byte 0xFC"), "{}", rows[0]);
    assert_eq!(rows[1], "2@3 2 email=b");
    assert!(rows[2].contains("encoding_invalid"), "two halves of a character in two fields: {}", rows[2]);
    let mut records =
        Records::from_reader("in", io::Cursor::new(text.to_vec()), Format::Csv, &ReaderOptions::default()).unwrap();
    let mut batch = RecordBatch::default();
    records.next_batch(&mut batch).unwrap();
    let euids: Vec<&str> = batch.iter().map(|record| record.euid_text()).collect();
    assert_eq!(euids, ["1", "2", ""], "a valid EUID is kept");
    let latin = ReaderOptions { encoding: reader::encoding_for_label("windows-1252"), ..ReaderOptions::default() };
    assert_eq!(read_with(text, 1, Format::Csv, &latin)[0], "1@2 1 email=Müller");
    let rows = read_with(
        b"{\"euid\":1,\"email\":\"M\xfc\"}\n{\"euid\":2,\"email\":\"b\"}",
        3,
        Format::Ndjson,
        &ReaderOptions::default(),
    );
    assert!(rows[0].contains("encoding_invalid: byte 21"), "{}", rows[0]);
}

#[test]
fn delimiters_are_sniffed_set_and_declared() {
    for text in [
        "euid;email\n1;a,b,c",
        "sep=;\neuid;email\n1;a,b,c",
        "\"sep=;\"\r\neuid;email\n1;a,b,c",
        "euid\temail\n1\ta,b,c",
        "euid|email\n1|a,b,c",
    ] {
        assert!(csv(text)[0].ends_with("1 email=a,b,c"), "{text:?}: {:?}", csv(text));
    }
    assert_eq!(csv("\"euid\",\"email;;;;\"\n").len(), 0, "delimiters within quotes don't count");
    let headless = ReaderOptions {
        header: Header::Absent { columns: vec!["email".into(), "euid".into()] },
        ..ReaderOptions::default()
    };
    assert_eq!(read_with(b"a,1\nb,2", 5, Format::Csv, &headless), ["1@1 1 email=a", "2@2 2 email=b"]);
}

#[test]
fn json_keys_twice_are_malformed_in_any_spelling() {
    for row in [
        r#"{"euid":1,"euid":2,"email":"a"}"#,
        r#"{"euid":1,"email":"a","Email":"b"}"#,
        r#"{"euid":1,"contacts":{"email":"a","email":"b"}}"#,
        r#"{"euid":1,"email":"a","contacts":{"email":"b"}}"#,
        r#"{"euid":1,"EUID":2,"email":"a"}"#,
        r#"{"euid":1,"contacts":[]}"#,
        r#"{"euid":1,"contacts":null}"#,
        r#"{"euid":1,"email":"\ud800"}"#,
    ] {
        assert!(ndjson(row)[0].starts_with("1@1 malformed_row"), "{row}: {:?}", ndjson(row));
    }
    assert_eq!(
        ndjson(r#"{"euid":1.0,"email":true,"mobile_phone":1e5,"contacts":{"a":[1],"b":{"c":1}}}"#),
        ["1@1 1.0 email!a boolean(true) mobile_phone!a fraction(1e5) a!an array([1]) b!an object({\"c\":1})"]
    );
}

#[test]
fn a_key_that_comes_late_rejects_its_row() {
    let rows = ndjson("{\"euid\":1,\"email\":\"a\",\"nick\":\"b\"}");
    assert!(rows[0].starts_with("1@1 key_unknown: the key \"nick\""), "{}", rows[0]);
    let long = "x".repeat(1_000);
    for row in [
        format!("{{\"euid\":1,\"{long}\":\"a\"}}"),
        format!("{{\"euid\":1,\"contacts\":{{\"{long}\":\"a\",\"{long}\":\"b\"}}}}"),
    ] {
        let rows = ndjson(&row);
        assert!(rows[0].contains(&format!("\"{}…\"", "x".repeat(40))), "a long key is cut: {}", rows[0]);
    }
    let exactly = ReaderOptions { selection: Selection::Exactly(vec!["nick".into()]), ..ReaderOptions::default() };
    let rows = read_with(
        b"{\"euid\":1,\"email\":\"a\",\"nick\":\"b\",\"contacts\":{\"z\":\"c\"}}",
        9,
        Format::Ndjson,
        &exactly,
    );
    assert_eq!(rows, ["1@1 1 nick=b z=c"]);
}

fn refusal(name: &str, bytes: &[u8], options: &ReaderOptions) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, name, bytes);
    let error = open_all(std::slice::from_ref(&path), options).unwrap_err();
    let hint = error.hint().map(|hint| format!(" | {hint}")).unwrap_or_default();
    format!("{error}{hint}").replace(&path, name)
}

#[test]
fn what_is_wrong_with_an_input_shows_before_anything_is_sent() {
    let known = ReaderOptions::default();
    for (name, bytes, expected) in [
        (
            "a.csv",
            &b"euid,emial,name\n"[..],
            "a.csv: has columns that are no known contact: \"emial\", \"name\" (did you mean \"email\" by \"emial\"?) | say what is sent: `--contacts mobile_phone,email`",
        ),
        ("a.csv", b"id,email\n", "a.csv: has no column \"euid\"; its columns are: \"id\", \"email\""),
        (
            "a.csv",
            b"euid,email,EMAIL\n",
            "a.csv: columns 2 and 3 are both \"email\", and only one can be sent; its columns are: \"euid\", \"email\", \"EMAIL\"",
        ),
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"PK\x03\x04xl", "a.csv: is a zip or xlsx file"),
        ("a.csv", b"\xfd7zXZ\0...", "a.csv: is xz-compressed"),
        ("a.csv", b"BZh91AY", "a.csv: is bzip2-compressed"),
        ("a", b"PAR1....", "a: is a Parquet file"),
        (
            "a.csv.zst",
            b"\x28\xb5\x2f\xfd\x04\xa8\x01\0\0",
            "a.csv.zst: is zstd-compressed with a window of more than 128 MiB (`--long`), which can't be read | decompress it on the way: `zstd -dc --long=31 FILE",
        ),
        ("a", b"[{\"euid\":1,\"nick\":\"b\"}]", "a: has a column that is no known contact: \"nick\""),
        ("a.json", b"{\n\"euid\":1\n}\n", "a.json: is JSON, but not an object a line"),
        (
            "a",
            b"{\"data\":[{\"euid\":1},\n{\"euid\":2}]}\n",
            "a: is JSON, but not an object a line (NDJSON), which can't be read | for an object that holds an array: `jq -c '.data[]'",
        ),
        (
            "a.json",
            b"{\"code\":0,\"data\": [ {\"euid\":1},{\"euid\":2}]}",
            "a.json: is JSON, but not an object a line (NDJSON), which can't be read | for an object that holds an array: `jq -c '.data[]'",
        ),
        (
            "a.ndjson",
            b"[{\"euid\":1}]\n",
            "a.ndjson: is JSON, but not an object a line (NDJSON), which can't be read | for an array of objects: `--format json`",
        ),
        ("a.ndjson", b"euid,email\n1,a\n", "a.ndjson: is no NDJSON"),
        ("a.jsonl", b"{\"euid\":1,\"nick\":\"b\"}\n", "a.jsonl: has a column that is no known contact: \"nick\""),
    ] {
        let said = refusal(name, bytes, &known);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[test]
fn what_is_kept_of_a_pipe_to_tell_its_format_is_bounded() {
    // 200 lines of nearly a mebibyte, none of them an object: a pipe that goes on would never be read to its end.
    let (reader, mut writer) = io::pipe().unwrap();
    let writing = std::thread::spawn(move || {
        let line = [b"{".to_vec(), vec![b'x'; (1 << 20) - 10], b"\n".to_vec()].concat();
        let mut written = 0;
        while written < 200 && writer.write_all(&line).is_ok() {
            written += 1;
        }
        written
    });
    let options = ReaderOptions { format: Some(Format::Ndjson), ..ReaderOptions::default() };
    let opened = open_all(&[format!("/dev/fd/{}", reader.as_raw_fd())], &options);
    drop(reader);
    assert!(matches!(opened, Err(OpenError::Format { .. })), "{opened:?}");
    let written = writing.join().unwrap();
    assert!(written < 5, "{written} lines were taken before it was given up");
}

#[test]
fn long_lines_are_told_from_a_document_by_their_own_keys() {
    let long = "x".repeat(2 << 20);
    let options = ReaderOptions::default();
    for text in [
        format!("{{\"data\":[{{\"euid\":1,\"email\":\"{long}\"}}]}}"),
        format!("{{\"data\":\n\"{long}\",\n\"euid\":1}}"),
    ] {
        let said = refusal("a.json", text.as_bytes(), &options);
        assert!(said.starts_with("a.json: is JSON, but not an object a line"), "{said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let text = format!("{{\"x\":[\"}}\\\"\"],\"euid\":1,\"email\":\"{long}\"}}\n{{\"euid\":2,\"email\":\"b\"}}\n");
    let path = file(&folder, "a.ndjson", text.as_bytes());
    for rows in [opened(&path, &options), piped(text.as_bytes(), Format::Ndjson, &options)] {
        assert!(rows[0].contains("the record has 2097"), "{}", rows[0]);
        assert_eq!(rows[1..], ["2@2 2 email=b"]);
    }
}

#[test]
fn an_input_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "a.csv", b"euid,email\n");
    let link = folder.path().join("b.csv");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let options = ReaderOptions::default();
    for second in [path.clone(), link.to_str().unwrap().to_owned()] {
        assert!(matches!(open_all(&[path.clone(), second], &options), Err(OpenError::Twice { .. })));
    }
    let missing = folder.path().join("none.csv").to_str().unwrap().to_owned();
    assert!(matches!(open_all(&[missing], &options), Err(OpenError::Missing(_))));
    assert!(matches!(open_all(&[folder.path().to_str().unwrap().to_owned()], &options), Err(OpenError::Folder(_))));
}

#[test]
fn zeros_behind_gzip_are_let_pass_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let rows = gz(b"euid,email\n1,a\n");
    let more = gz(b"2,b\n");
    for (behind, expected, is_whole) in [
        (vec![], 1, true),
        (vec![0; 300_000], 1, true),
        ([more.clone(), vec![0; 512]].concat(), 2, true),
        ([vec![0; 512], more].concat(), 1, false),
        (b"\0\0x".to_vec(), 1, false),
        (b"garbage".to_vec(), 1, false),
    ] {
        let path = file(&folder, "a.csv.gz", &[rows.clone(), behind].concat());
        let mut input = open_all(&[path], &ReaderOptions::default()).unwrap().pop().unwrap();
        let (read, error) = drain(input.records().unwrap());
        assert_eq!((read.len(), error.is_none()), (expected, is_whole), "{error:?}");
    }
}

#[test]
fn a_cut_record_is_never_delivered() {
    let text: String = std::iter::once("euid,email\n".to_owned())
        .chain((1..400).map(|row| format!("{row},{row}{row}{row}@example.com\n")))
        .collect();
    let whole = csv(&text);
    let folder = tempfile::tempdir().unwrap();
    for (name, packed) in
        [("a.csv.gz", gz(text.as_bytes())), ("a.csv.zst", zstd::encode_all(text.as_bytes(), 3).unwrap())]
    {
        for length in 8..packed.len() {
            let path = file(&folder, name, &packed[..length]);
            let Ok(mut inputs) = open_all(&[path], &ReaderOptions::default()) else { continue };
            let (rows, error) = drain(inputs.pop().unwrap().records().unwrap());
            assert_eq!(rows, whole[..rows.len()], "cut at {length}");
            assert!(error.is_some(), "cut at {length}");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_loses_its_unterminated_end() {
    let folder = tempfile::tempdir().unwrap();
    for (before, rows_left) in [(&b"euid,email\n1,a\n2,b"[..], 1), (b"euid,email\n1,a\n2,b\n", 2)] {
        let path = file(&folder, "a.csv", before);
        let mut input = open_all(std::slice::from_ref(&path), &ReaderOptions::default()).unwrap().pop().unwrap();
        let mut grown = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        let records = input.records().unwrap();
        grown.write_all(b"5@ex").unwrap();
        let (rows, error) = drain(records);
        assert_eq!(rows.len(), rows_left);
        assert!(matches!(error, Some(ReadError::Changed { .. })), "{error:?}");
    }
}

/// Beside itself, too: neither disturbs the other. A change in between is told by whichever comes behind it.
#[test]
fn a_file_is_read_again_and_a_pipe_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (1..=50_000).map(|euid| format!("{euid},user{euid}@example.com\n")).collect();
    let text = format!("euid,email\n{rows}");
    for (name, bytes) in [("a.csv", text.clone().into_bytes()), ("a.csv.gz", gz(text.as_bytes()))] {
        let path = file(&folder, name, &bytes);
        let options = ReaderOptions { digest: true, ..ReaderOptions::default() };
        let mut input = open_all(std::slice::from_ref(&path), &options).unwrap().pop().unwrap();
        let (mut first, mut batch) = (input.records().unwrap(), RecordBatch::default());
        assert!(first.next_batch(&mut batch).unwrap());
        let taken = batch.records.len();
        let (whole, error) = drain(input.again().unwrap().unwrap().records().unwrap());
        assert!(whole.len() == 50_000 && error.is_none(), "{} rows, {error:?}", whole.len());
        let (rest, error) = drain(first);
        assert!(rest == whole[taken..] && error.is_none(), "{error:?}");

        let mut again = input.again().unwrap().unwrap();
        assert_eq!(drain(again.records().unwrap()).0.len(), 50_000);
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"x").unwrap();
        for input in [&mut again, &mut input] {
            let (_, error) = drain(input.records().unwrap());
            // What comes behind the end of a packed file is told as such.
            let is_told = matches!(error, Some(ReadError::Changed { .. } | ReadError::Broken { .. }));
            assert!(is_told, "{error:?}");
        }
    }
    let (reader, writer) = io::pipe().unwrap();
    let options = ReaderOptions { format: Some(Format::Csv), ..ReaderOptions::default() };
    let names = [format!("/dev/fd/{}", reader.as_raw_fd())];
    let writing = std::thread::spawn(move || (&writer).write_all(b"euid,email\n1,a\n").unwrap());
    let input = open_all(&names, &options).unwrap().pop().unwrap();
    assert!(input.again().is_none());
    writing.join().unwrap();
}

#[test]
fn position_and_digest_follow_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = gz(b"euid,email\n1,a\n2,b\n");
    let path = file(&folder, "a.csv.gz", &bytes);
    for mark in 0..=bytes.len() {
        let marks = BTreeMap::from([(path.clone(), mark as u64)]);
        let options = ReaderOptions { digest: true, marks: marks.into(), ..ReaderOptions::default() };
        let mut input = open_all(std::slice::from_ref(&path), &options).unwrap().pop().unwrap();
        // A file is read from its beginning each time.
        for _ in 0..2 {
            let mut records = input.records().unwrap();
            while records.next_batch(&mut RecordBatch::default()).unwrap() {}
            let position = records.position();
            assert_eq!((position.bytes, position.rows), (bytes.len() as u64, 2));
            let digests = (position.blake3, position.at_mark);
            let [whole, part] = [&bytes[..], &bytes[..mark]].map(|bytes| Some(*blake3::hash(bytes).as_bytes()));
            assert_eq!(digests, (whole, part), "{mark}");
        }
    }
    let options = ReaderOptions {
        digest: true,
        marks: BTreeMap::from([(path.clone(), 1_000)]).into(),
        ..ReaderOptions::default()
    };
    let mut records = open_all(&[path], &options).unwrap().pop().unwrap().records().unwrap();
    while records.next_batch(&mut RecordBatch::default()).unwrap() {}
    assert_eq!(records.position().at_mark, None, "there are fewer bytes than that");
}

#[test]
fn records_read_before_their_turn_come_first_and_then_the_rest() {
    let text: String =
        (1..=3_000).map(|euid| format!("{{\"euid\":{euid},\"email\":\"{euid}@example.com\"}}\n")).collect();
    let all = ndjson(&text);
    for ahead in 0..5 {
        let source = io::Cursor::new(text.clone().into_bytes());
        let mut records = Records::from_reader("in", source, Format::Ndjson, &ReaderOptions::default()).unwrap();
        let (mut batches, mut end, mut expected) = (Vec::new(), None, all.clone());
        for _ in 0..ahead {
            let mut batch = RecordBatch::default();
            let more = records.next_batch(&mut batch);
            let left_out = shown(&batch.with_only(|head| head.row % 2 == 0));
            expected.retain(|row| !left_out.contains(row));
            let kept = batch.with_only(|head| head.row % 2 == 1);
            assert!(kept.bytes() < batch.bytes() || batch.records.is_empty());
            batches.push(kept);
            if !matches!(more, Ok(true)) {
                end = Some(more.map(drop));
                break;
            }
        }
        records.put_back(batches, end);
        let (rows, error) = drain(records);
        assert!(error.is_none());
        assert_eq!(rows, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the bytes: no panic, an end, rows numbered from 1, and the same rows in whatever pieces.
    #[test]
    fn any_bytes_are_rows_or_faults(
        text in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(&b"\"\",,;\n\r\t a1{}[]:\\"[..]), 1 => any::<u8>()
        ], 0..400),
        piece in 1_usize..50,
    ) {
        for (format, start) in [(Format::Csv, &b"euid,email\n"[..]), (Format::Ndjson, b"")] {
            let bytes = [start, &text].concat();
            let options = ReaderOptions { selection: Selection::All, delimiter: Some(b','), ..ReaderOptions::default() };
            let rows = read_with(&bytes, piece, format, &options);
            prop_assert_eq!(&rows, &read_with(&bytes, 65_536, format, &options));
            for (index, row) in rows.iter().enumerate() {
                prop_assert!(row.starts_with(&format!("{}@", index + 1)), "{}", row);
            }
        }
    }

    /// Every line without quotes is a row, whatever stands around it.
    #[test]
    fn every_line_is_accounted_for(lines in prop::collection::vec("[a-z0-9,; ]{0,12}", 0..60), end in prop::sample::select(vec!["\n", "\r\n", "\r"])) {
        let text = format!("euid,email{end}{}", lines.join(end));
        prop_assert_eq!(csv(&text).len(), lines.iter().filter(|line| !line.is_empty()).count());
        let blank = |line: &&String| !line.trim().is_empty();
        prop_assert_eq!(ndjson(&lines.join(end)).len(), lines.iter().filter(blank).count());
    }
}
