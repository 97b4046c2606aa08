//! What databases dump, read back: whatever the values are, they come out as they were.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod pieces;

use model::{RecordBatch, ValueRef};
use pieces::Pieces;
use proptest::prelude::*;
use reader::{Escapes, Format, Header, Quotes, ReaderOptions, Records, Selection};

/// A row: its line, and its fields, of which the first is the EUID; or what is wrong with it.
type Row = (u64, Result<Vec<String>, String>);

fn options(delimiter: u8, escapes: Escapes, quotes: Option<Quotes>, width: usize) -> ReaderOptions {
    let columns = (0..width).map(|column| if column == 0 { "euid".to_owned() } else { format!("c{column}") }).collect();
    ReaderOptions {
        delimiter: Some(delimiter),
        escapes: Some(escapes),
        quotes,
        header: Header::Absent { columns },
        selection: Selection::All,
        ..ReaderOptions::default()
    }
}

fn read(bytes: &[u8], piece: usize, options: &ReaderOptions) -> Vec<Row> {
    let mut records = Records::from_reader("in", Pieces::of(bytes, piece), Format::Csv, options).unwrap();
    let (mut rows, mut batch, mut more) = (Vec::new(), RecordBatch::default(), true);
    while more {
        more = records.next_batch(&mut batch).unwrap();
        for (record, head) in batch.iter().zip(&batch.records) {
            let fault = record.fault().map(|fault| fault.message.clone());
            let values = record.fields().map(|(_, value)| match value {
                ValueRef::Text(text) => text.to_owned(),
                other => panic!("{other:?}"),
            });
            let row = std::iter::once(record.euid_text().to_string()).chain(values).collect();
            rows.push((head.line, fault.map_or(Ok(row), Err)));
        }
    }
    assert!(records.notices().is_empty());
    rows
}

fn read_in_pieces(bytes: &[u8], options: &ReaderOptions) -> Vec<Row> {
    let whole = read(bytes, usize::MAX, options);
    for piece in [1, 2, 7] {
        assert_eq!(read(bytes, piece, options), whole, "in pieces of {piece}: {}", bytes.escape_ascii());
    }
    whole
}

/// How a program dumps rows.
#[derive(Debug, Clone, Copy)]
enum Dumper {
    /// `mysql --batch`.
    Batch,
    /// `SELECT … INTO OUTFILE`, as it comes.
    Outfile,
    /// The same, `LINES TERMINATED BY '\r\n'`.
    OutfileCrlf,
    /// The same, `FIELDS TERMINATED BY ',' ENCLOSED BY '"'`.
    OutfileEnclosed,
    /// `COPY … TO STDOUT` of PostgreSQL.
    Copy,
    /// Hive's text files, `ESCAPED BY '\\'` and with `serialization.escape.crlf`.
    Hive,
}

const DUMPERS: [Dumper; 6] =
    [Dumper::Batch, Dumper::Outfile, Dumper::OutfileCrlf, Dumper::OutfileEnclosed, Dumper::Copy, Dumper::Hive];

impl Dumper {
    fn delimiter(self) -> u8 {
        match self {
            Self::Hive => 1,
            Self::OutfileEnclosed => b',',
            _ => b'\t',
        }
    }

    fn options(self, width: usize) -> ReaderOptions {
        let quotes = matches!(self, Self::OutfileEnclosed).then_some(Quotes::Double);
        options(self.delimiter(), Escapes::Backslash, quotes, width)
    }

    /// A character in a value.
    fn write(self, character: char) -> String {
        let letter = |letter| format!("\\{letter}");
        match (self, character) {
            (_, '\\') => "\\\\".into(),
            (Self::Batch | Self::Copy | Self::Hive, '\n') => letter('n'),
            (Self::Batch | Self::Copy, '\t') => letter('t'),
            (Self::Copy | Self::Hive, '\r') => letter('r'),
            (Self::Copy, '\u{8}') => letter('b'),
            (Self::Copy, '\u{b}') => letter('v'),
            (Self::Copy, '\u{c}') => letter('f'),
            (Self::Batch | Self::Outfile | Self::OutfileCrlf | Self::OutfileEnclosed, '\0') => letter('0'),
            (Self::Outfile | Self::OutfileCrlf, '\t')
            | (Self::Outfile | Self::OutfileEnclosed, '\n')
            | (Self::OutfileCrlf, '\r')
            | (Self::OutfileEnclosed, '"')
            | (Self::Hive, '\u{1}') => format!("\\{character}"),
            (_, other) => other.to_string(),
        }
    }

    /// Whether the line ends of a row can be told from what its values hold: these programs don't escape all of it.
    fn tells(self, row: &[Option<String>]) -> bool {
        let ends_with_cr = row.last().and_then(Option::as_ref).is_some_and(|value| value.ends_with('\r'));
        match self {
            Self::Batch | Self::Outfile => !ends_with_cr,
            Self::OutfileCrlf => !row.iter().flatten().any(|value| value.contains('\n')),
            Self::OutfileEnclosed | Self::Copy | Self::Hive => true,
        }
    }

    fn dump(self, rows: &[Vec<Option<String>>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for row in rows {
            for (index, value) in row.iter().enumerate() {
                if index > 0 {
                    bytes.push(self.delimiter());
                }
                let text = value.as_ref().map(|value| value.chars().map(|c| self.write(c)).collect::<String>());
                bytes.extend(
                    match (self, text) {
                        // No null is told from an empty text there.
                        (Self::Batch, None) => String::new(),
                        (_, None) => "\\N".into(),
                        (Self::OutfileEnclosed, Some(text)) if index > 0 => format!("\"{text}\""),
                        (_, Some(text)) => text,
                    }
                    .bytes(),
                );
            }
            bytes.extend(if matches!(self, Self::OutfileCrlf) { &b"\r\n"[..] } else { b"\n" });
        }
        bytes
    }
}

/// Texts of what a dump escapes, and of what looks so.
fn text() -> impl Strategy<Value = String> {
    let parts = vec![
        "a",
        "n",
        "t",
        "N",
        "0",
        "NULL",
        "x@example.com",
        "é",
        "日本",
        "\\",
        "\\N",
        "\\n",
        "\\t",
        "\t",
        "\n",
        "\r",
        "\r\n",
        "\0",
        "\u{1}",
        "\u{8}",
        "\u{b}",
        "\u{c}",
        "\"",
        "\"\"",
        "'",
        ",",
        ";",
        "|",
        " ",
        "#",
        ".",
        "\u{a0}",
        "\u{feff}x",
    ];
    prop::collection::vec(prop::sample::select(parts), 0..5).prop_map(|parts| parts.concat())
}

fn rows() -> impl Strategy<Value = Vec<Vec<Option<String>>>> {
    let fields = prop::collection::vec(prop::option::weighted(0.8, text()), 2);
    let row = (1_u64..2_000, fields)
        .prop_map(|(euid, fields)| std::iter::once(Some(euid.to_string())).chain(fields).collect());
    // Of the first row's end is told how the others end: one that ends with a CR of its own says what isn't so.
    let first = ["7", "a", "b"].map(|text| Some(text.to_owned())).to_vec();
    prop::collection::vec(row, 1..6).prop_map(move |rows| [vec![first.clone()], rows].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_was_dumped_is_read(rows in rows(), dumper in prop::sample::select(DUMPERS.to_vec())) {
        let bytes = dumper.dump(&rows);
        let mut expected: Vec<Row> = Vec::new();
        let mut at = 1;
        let is_told = |row: &&Vec<Option<String>>| dumper.tells(row);
        for row in rows.iter().filter(is_told) {
            expected.push((at, Ok(row.iter().map(|value| value.clone().unwrap_or_default()).collect())));
            at += line_feeds(&dumper.dump(std::slice::from_ref(row)));
        }
        let told: Vec<_> = rows.iter().filter(is_told).cloned().collect();
        let read_back = read_in_pieces(&dumper.dump(&told), &dumper.options(3));
        prop_assert_eq!(read_back, expected, "{:?}: {}", dumper, bytes.escape_ascii());
        // Rows whose values look like line ends cost themselves, and never become others.
        for (_, row) in read_in_pieces(&bytes, &dumper.options(3)) {
            let is_one = |row: &Vec<String>| told.iter().any(|told| {
                told.iter().map(|value| value.clone().unwrap_or_default()).eq(row.iter().cloned())
            });
            prop_assert!(row.as_ref().is_ok_and(is_one) || row.is_err(), "{:?}: {:?}", dumper, row);
        }
    }

    /// Any text at all, against the plainest reader there is.
    #[test]
    fn a_dump_of_any_text_is_read_as_the_plain_way_reads_it(parts in prop::collection::vec(prop::sample::select(vec![
        "a", "n", "N", "q", "7", "1", "\\", "\\", "\\\\", "\\N", "\t", "\t", "\n", "\n", "\r", "\r\n", "\"", "\"\t", "\t\"", "ü", "\\ü",
    ]), 0..30), quotes in any::<bool>()) {
        let text = parts.concat();
        let quoted = if quotes { Quotes::Double } else { Quotes::None };
        let got = read_in_pieces(text.as_bytes(), &options(b'\t', Escapes::Backslash, Some(quoted), 3));
        let got: Vec<_> = got.into_iter().map(|(line, row)| (line, row.ok())).collect();
        prop_assert_eq!(got, plainly(&text, quotes), "{:?}", text);
    }

    /// Without escapes and quotes it is a CSV: any line end ends a row, whatever ended the others.
    #[test]
    fn without_quotes_any_text_is_split_at_line_ends(parts in prop::collection::vec(prop::sample::select(vec![
        "a", "7", "\\", "\\N", ",", ",", "\n", "\r", "\r\n", "\"", "\"\"", "\",", ",\"", "ü", "1,a,b\n", "2,\"c,d\r\n", "3,e\",f\r",
    ]), 0..30)) {
        let text = parts.concat();
        let got = read_in_pieces(text.as_bytes(), &options(b',', Escapes::None, Some(Quotes::None), 3));
        let got: Vec<_> = got.into_iter().map(|(line, row)| (line, row.ok())).collect();
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let lines = (1..).zip(text.split('\n')).filter(|(_, line)| !line.is_empty());
        let fields = |line: &str| line.split(',').map(str::to_owned).collect::<Vec<_>>();
        let expected: Vec<_> = lines.map(|(at, line)| (at, Some(fields(line)).filter(|row| row.len() == 3))).collect();
        prop_assert_eq!(got, expected, "{:?}", text);
    }
}

fn line_feeds(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').count() as u64 - 1
}

/// Rows of three fields, and none for those that are none: character by character.
fn plainly(text: &str, quotes: bool) -> Vec<(u64, Option<Vec<String>>)> {
    let characters: Vec<char> = text.chars().collect();
    let (mut rows, mut start, mut line, mut crlf, mut is_torn) = (Vec::new(), 0, 1, None, false);
    while start < characters.len() {
        let mut end = start;
        while end < characters.len() && characters[end] != '\n' {
            end += if characters[end] == '\\' { 2 } else { 1 };
        }
        let is_whole = end < characters.len();
        let end = end.min(characters.len());
        let text = &characters[start..end];
        let ends_with_cr = text.last() == Some(&'\r') && !is_escaped(text, text.len() - 1);
        let is_blank = text.is_empty() || text == ['\r'];
        if !(is_blank && is_whole) {
            if is_whole {
                crlf.get_or_insert(ends_with_cr);
            }
            let text = if ends_with_cr { &text[..text.len() - 1] } else { text };
            let is_row = is_whole && crlf == Some(ends_with_cr) && !is_torn;
            rows.push((line, fields(text, quotes).filter(|row| is_row && row.len() == 3)));
        }
        is_torn = crlf == Some(true) && !ends_with_cr;
        line += text.iter().filter(|c| **c == '\n').count() as u64 + 1;
        start = end + 1;
    }
    rows
}

fn is_escaped(line: &[char], at: usize) -> bool {
    line[..at].iter().rev().take_while(|c| **c == '\\').count() % 2 == 1
}

fn fields(line: &[char], has_quotes: bool) -> Option<Vec<String>> {
    let (mut fields, mut field, mut at, mut quoted, mut closed) = (Vec::new(), String::new(), 0, false, false);
    let mut fresh = true;
    while at < line.len() {
        let (c, next) = (line[at], line.get(at + 1).copied());
        at += 1;
        if closed && c != '\t' {
            return None;
        }
        match c {
            '"' if has_quotes && fresh => quoted = true,
            '"' if quoted && next == Some('"') => {
                field.push('"');
                at += 1;
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '\t' if !quoted => {
                fields.push(std::mem::take(&mut field));
                (closed, fresh) = (false, true);
                continue;
            }
            '\\' => {
                at += 1;
                match next? {
                    'n' => field.push('\n'),
                    'N' if fresh && line.get(at).is_none_or(|c| *c == '\t') => {}
                    c if c.is_ascii_alphanumeric() => return None,
                    c => field.push(c),
                }
            }
            c => field.push(c),
        }
        fresh = false;
    }
    fields.push(field);
    (!quoted).then_some(fields)
}

#[test]
fn what_is_wrong_with_a_row_is_said() {
    let said = |text: &str, quotes| {
        let rows = read_in_pieces(text.as_bytes(), &options(b'\t', Escapes::Backslash, quotes, 2));
        assert_eq!(rows.last(), Some(&(line_feeds(text.as_bytes()), Ok(vec!["9".into(), "z".into()]))));
        rows[0].1.clone().unwrap_err()
    };
    for (text, expected) in [
        ("1\ta\\q\n9\tz\n", "column \"c1\" (column 2): \\q is no escape that a dump has"),
        ("1\t\\x41\n9\tz\n", "\\x is no escape"),
        ("1\ta\\N\n9\tz\n", "\\N is no escape"),
        ("1\\7\ta\n9\tz\n", "column \"euid\" (column 1): \\7 is no escape"),
        (
            "1\ta\tb\n9\tz\n",
            "line 1: 3 fields where the header has 2: a value that holds the delimiter needs a backslash before it",
        ),
        ("1\ta\\\nb\tc\n9\tz\n", "lines 1 to 2: 3 fields where the header has 2"),
    ] {
        let message = said(text, None);
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    for (text, expected) in [("1\t\"a\n9\tz\n", "unclosed quote"), ("1\t\"a\"b\n9\tz\n", "text behind a closing quote")]
    {
        let message = said(text, Some(Quotes::Double));
        assert!(message.contains(expected), "{text:?}: {message}");
    }
    let last = |text: &str| {
        let rows = read_in_pieces(text.as_bytes(), &options(b'\t', Escapes::Backslash, None, 2));
        rows.last().unwrap().1.clone().unwrap_err()
    };
    assert!(last("1\ta\n2\tcut sho").contains("the last line has no line end"));
    let cut = ReaderOptions { header: Header::Present, ..options(b'\t', Escapes::Backslash, None, 2) };
    let error = Records::from_reader("in", Pieces::of(b"euid\tmobile_ph", 3), Format::Csv, &cut).unwrap_err();
    assert!(error.to_string().contains("the header can't be read: column 2: the last line has no line end"), "{error}");
    assert!(last("1\ta\n2\tcut\\").contains("a backslash at its end escapes nothing"));
}

#[test]
fn without_escapes_a_backslash_is_data_and_so_is_a_quote() {
    let text = b"1\x01\"a\\n\\\x012\n2\x01\\N\x01b";
    let rows = read_in_pieces(text, &options(1, Escapes::None, Some(Quotes::None), 3));
    let row = |fields: [&str; 3]| Ok(fields.map(str::to_owned).to_vec());
    assert_eq!(rows, [(1, row(["1", "\"a\\n\\", "2"])), (2, row(["2", "\\N", "b"]))]);
}

#[test]
fn a_dump_of_both_line_ends_joins_no_lines_and_adds_nothing_to_a_value() {
    let read = |text: &str| {
        let rows = read_in_pieces(text.as_bytes(), &options(b'\t', Escapes::Backslash, None, 2));
        let shown = |(line, row): Row| match row {
            Ok(row) => format!("{line} {}", row.join(" ")),
            Err(message) => format!("{line} !{message}"),
        };
        rows.into_iter().map(shown).collect::<Vec<_>>()
    };
    let cr = "a carriage return before the line end, where the first line has none";
    let rows = read("1\ta\n2\tb\r\n3\tc\\\r\n4\td\r\\\n\n\r\n5\te\n");
    assert_eq!([&rows[0], &rows[2], &rows[3], &rows[4]], ["1 1 a", "3 3 c\r", "4 4 d\r\n", "7 5 e"]);
    assert!(rows[1].starts_with(&format!("2 !line 2: {cr}")), "{rows:?}");

    let lf = "a line feed without a carriage return";
    let rows = read("1\ta\r\n2\tb\n3\tc\r\n4\td\\\n\r\n5\te\\\r\n6\tf\r\n\n7\tg\r\n8\th\r\n");
    assert_eq!([&rows[0], &rows[3], &rows[7]], ["1 1 a", "4 4 d\n", "10 8 h"]);
    for (index, line) in [(1, 2), (2, 3), (4, 6), (5, 7), (6, 9)] {
        assert!(rows[index].starts_with(&format!("{line} !line {line}: {lf}")), "{rows:?}");
    }
    assert_eq!(rows.len(), 8);

    // Also behind a record that is too long, however it ends.
    let long = "x".repeat(1 << 20);
    for (end, is_told) in [("\r\n", true), ("\n", false)] {
        let rows = read(&format!("1\ta\r\n2\t{long}{end}3\tb\r\n4\tc\r\n"));
        assert!(rows[1].starts_with("2 !line 2: the record has 10485"), "{end:?}: {rows:?}");
        assert_eq!((rows[2] == "3 3 b", &*rows[3]), (is_told, "4 4 c"), "{end:?}: {}", rows[2]);
    }
}

#[test]
fn a_record_that_is_too_long_is_one_and_costs_no_other() {
    for (over, expected) in [(0, None), (1, Some("has 1048577 bytes"))] {
        let long = "x\\\n".repeat((1 << 20) / 3 - 1) + &"y".repeat(2 + over);
        let text = format!("1\t{long}\n2\ta\n");
        let rows = read(text.as_bytes(), 65_536, &options(b'\t', Escapes::Backslash, None, 2));
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[1], (line_feeds(text.as_bytes()), Ok(vec!["2".into(), "a".into()])));
        match (&rows[0].1, expected) {
            (Ok(row), None) => assert_eq!(row[1], long.replace('\\', "")),
            (Err(message), Some(expected)) => assert!(message.contains(expected), "{message}"),
            other => panic!("{} {over}", other.0.is_ok()),
        }
    }
}

#[test]
fn backslashes_that_nobody_spoke_of_are_told_once() {
    let told = |rows: &str, escapes: Option<Escapes>| {
        let text = format!("euid,email\n{rows}");
        let options = ReaderOptions { escapes, ..ReaderOptions::default() };
        let bytes = text.into_bytes();
        let mut records = Records::from_reader("in", std::io::Cursor::new(bytes), Format::Csv, &options).unwrap();
        let (mut batch, mut more, mut notices) = (RecordBatch::default(), true, Vec::new());
        while more {
            more = records.next_batch(&mut batch).unwrap();
            notices.extend(records.notices().iter().map(ToString::to_string));
        }
        notices.join("|")
    };
    for rows in [
        "1,a\n2,b\\tc\n3,b\\nc\n",
        "1,a\n2,\"a\\\"b\"\n",
        "1,a\n2,b\\\n",
        "1,\"a\"\"b\"\n2,C:\\\\x\n",
        "1,a\n2,a\\\n\\,b\n",
    ] {
        let line = told(rows, None);
        assert!(line.starts_with("in: line 3 has backslashes") && !line.contains('|'), "{rows:?}: {line}");
        assert_eq!(told(rows, Some(Escapes::None)), "");
    }
    assert_eq!(told("1,a\n2,C:\\users\n3,\\N\n", None), "");
}
