//! What is wrong with a record costs that record, and what it does to the others.

use reader::Escapes;

use super::*;

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
fn a_backslash_before_a_delimiter_too_many_is_most_likely_a_dumps() {
    let text = "euid,email\n1,a\\,b\n2,c,d\n3,e,f\\\n4,g\n";
    let rows = csv(text);
    let plain = "needs quotes";
    assert!(
        rows[0].ends_with("needs quotes; the backslash before one looks like a database's dump: `--escape backslash`"),
        "{}",
        rows[0]
    );
    assert!(rows[1].ends_with(plain) && rows[2].ends_with(plain), "{rows:?}");
    let data = ReaderOptions { escapes: Some(Escapes::None), ..ReaderOptions::default() };
    assert!(read_with(text.as_bytes(), 7, Format::Csv, &data)[0].ends_with(plain));
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
