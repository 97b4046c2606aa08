//! Plain rows by the run, against every record parsed.

use proptest::prelude::*;

use super::*;
use crate::{options::Selection, pieces::Pieces, window::Window};

/// All there is to the records, and how many of them came in runs.
fn read(bytes: &[u8], piece: usize, options: &ReaderOptions, by_the_run: bool) -> Option<(Vec<String>, usize)> {
    let source = Pieces::of(bytes, piece);
    let text = Text::new(Window::new(Box::new(source)), "in", Box::new(|| None));
    let mut records = CsvRecords::open(text, "in", Format::Csv, options, &Naming::new(options), true).ok()?;
    if !by_the_run {
        records.plain = None;
    }
    let mut rows = Vec::new();
    let mut batch = RecordBatch::default();
    loop {
        batch.clear();
        let more = records.fill(&mut batch).unwrap();
        for (record, head) in batch.iter().zip(&batch.records) {
            let fields: Vec<_> = record.fields().collect();
            let RecordHead { row, line, fault, raw, .. } = head;
            rows.push(format!("{row}@{line} {:?} {fields:?} {fault:?} {raw:?}", record.euid()));
        }
        if !more {
            return Some((rows, records.taken_by_the_run));
        }
    }
}

fn same(bytes: &[u8], options: &ReaderOptions) -> usize {
    let expected = read(bytes, usize::MAX, options, false);
    let mut most = 0;
    for piece in [usize::MAX, 1, 7, 16, 61] {
        let got = read(bytes, piece, options, true);
        let rows = got.as_ref().map(|(rows, _)| rows);
        let shown = bytes.escape_ascii().to_string();
        assert_eq!(rows, expected.as_ref().map(|(rows, _)| rows), "in pieces of {piece}: {shown}");
        most = most.max(got.map_or(0, |(_, runs)| runs));
    }
    most
}

/// Rows of three fields, of which so many came in runs.
fn plain(rows: &str, expected: usize) {
    let options = ReaderOptions::default();
    let text = format!("euid,email,mobile_phone\n{rows}");
    assert_eq!(same(text.as_bytes(), &options), expected, "{rows:?}");
}

#[test]
fn what_is_plain_is_taken_by_the_run() {
    for (rows, expected) in [
        ("1,a@example.com,+12025550101\n2,,\n", 2),
        ("1,a,b\r\n2,c,d\r\n", 2),
        ("\"1\",\"a,b\",\"\"\n2,\"c;\td\",e\r\n", 2),
        ("1,a \"b\",it's\n2, \"c\",d\"\n", 2),
        ("\n\n1,ü,\u{1f600}\n\r\n2,\0,\t\n", 2),
        // And what isn't.
        ("1,\"a\"\"b\",c\n", 0),
        ("1,\"a\nb\",c\n", 0),
        ("1,\"a\"b,c\n", 0),
        ("1,\"a\",\"b\" \n", 0),
        ("1,\"a,b\n", 0),
        ("1,a,b\r2,c,d\r", 0),
        ("1,a\n", 0),
        ("1,a,b,c\n", 0),
        (" \n", 0),
    ] {
        plain(rows, expected);
    }
}

#[test]
fn quotes_that_are_data_are_plain() {
    let options = ReaderOptions { quotes: Some(Quotes::None), ..ReaderOptions::default() };
    let rows = "1,\"a,b\"\n2,\"c\",\"\"\"\r\n3,\",d\n";
    assert_eq!(same(format!("euid,email,mobile_phone\n{rows}").as_bytes(), &options), 3);
}

/// Fields, quotes and ends of all kinds, and whole rows between.
fn part() -> impl Strategy<Value = &'static [u8]> {
    let parts: Vec<&'static [u8]> = vec![
        b"1",
        b"22",
        b"a@example.com",
        b"\xc3\xbc",
        b"\xc3",
        b"\xbc",
        b"\xff",
        b"\0",
        b"\t",
        b" ",
        b"'",
        b"\\",
        b"=1",
        b",",
        b",",
        b",",
        b",,",
        b";",
        b"|",
        b"\"",
        b"\"",
        b"\"\"",
        b"\",\"",
        b"\"\n",
        b"\n\"",
        b"\n",
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b"1,a,b\n",
        b"1;a;b\n",
        b"1\ta\tb\r\n",
        b"1|a|b\n",
        b"\"1\",\"a\",\"b\"\n",
        b"1,a,b,\n",
        b"1,a,b, \n",
        b"1,a,b,c\n",
        b"1,a\n",
        b"\n12345678,a@example.com,+12025550101\n12345679,b@example.com,+12025550102\n",
    ];
    prop::sample::select(parts)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn runs_are_what_records_are(
        header in prop::sample::select(vec![
            "euid,email,mobile_phone", "email,euid", "euid", "euid,email,mobile_phone,", "x,euid,email,y,,", "\"euid\",\"email\",x",
        ]),
        separator in prop::sample::select(vec![",", ";", "\t", "|", "1", " ", "\u{1}"]),
        flexible in any::<bool>(),
        quotes in prop::sample::select(vec![None, Some(Quotes::None)]),
        parts in prop::collection::vec(part(), 0..40),
        end in prop::sample::select(vec![&b""[..], b"\n"])
    ) {
        let header = header.replace(',', separator);
        let delimiter = Some(separator.as_bytes()[0]);
        let options = ReaderOptions { flexible, delimiter, quotes, selection: Selection::Exactly(vec!["email".into(), "mobile_phone".into()]), ..ReaderOptions::default() };
        let bytes = [header.as_bytes(), b"\n", &parts.concat(), end].concat();
        same(&bytes, &options);
    }
}

#[test]
fn batches_of_runs_keep_within_their_bounds() {
    let mut text = "euid,email,mobile_phone\n".to_owned();
    for row in 0..5_000 {
        text += &format!("{row},{},+12025550101\n", "x".repeat(row % 700));
    }
    assert!(same(text.as_bytes(), &ReaderOptions::default()) > 4_900);
    let wide = format!("euid{}\n", (0..3_000).map(|column| format!(",c{column}")).collect::<String>());
    let rows: String = (1..100).map(|row| format!("{row}{}\n", ",".repeat(3_000))).collect();
    let options = ReaderOptions { selection: Selection::All, ..ReaderOptions::default() };
    // But for those that a read ends within.
    assert!(same(format!("{wide}{rows}").as_bytes(), &options) >= 95);
}

/// A row of the greatest length, and one that is a byte longer.
#[test]
fn a_row_that_is_too_long_is_no_plain_row() {
    for over in [0, 1] {
        let long = "x".repeat(MAX_RECORD_BYTES - 3 + over);
        let text = format!("euid,email,mobile_phone\n1,{long},\n2,a,b\n");
        let (rows, _) = read(text.as_bytes(), usize::MAX, &ReaderOptions::default(), true).unwrap();
        assert_eq!(rows[0].contains("has 1048577 bytes"), over == 1, "{}", &rows[0][..99]);
        assert_eq!(read(text.as_bytes(), usize::MAX, &ReaderOptions::default(), false).unwrap().0, rows);
    }
}
