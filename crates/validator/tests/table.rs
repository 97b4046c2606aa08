//! Every reason with its message, as people read it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use model::{Column, Field, Name, Reason, RecordBatch, RecordHead, Rejection, Span, Value};
use proptest::prelude::*;
use validator::{EmptyValues, Rules, Validator, would_send};

enum Cell<'a> {
    Text(&'a str),
    Json(&'static str, &'a str),
    Null,
    Missing,
}

fn push(batch: &mut RecordBatch, text: &str) -> Span {
    let start = batch.text.len() as u32;
    batch.text.push_str(text);
    Span { start, end: batch.text.len() as u32 }
}

fn value(batch: &mut RecordBatch, cell: &Cell<'_>) -> Value {
    match cell {
        Cell::Text(text) => Value::Text(push(batch, text)),
        Cell::Json(kind, text) => Value::Other(kind, push(batch, text)),
        Cell::Null => Value::Null,
        Cell::Missing => Value::Missing,
    }
}

/// A batch of one record with these contacts, each in a column of its name.
fn batch(euid: &Cell<'_>, contacts: &[(&str, Cell<'_>)]) -> RecordBatch {
    let column = |(index, (name, _)): (usize, &(&str, Cell<'_>))| Column {
        name: (*name).into(),
        header: (*name).into(),
        number: Some(index as u32 + 2),
    };
    let columns: Arc<[Column]> = contacts.iter().enumerate().map(column).collect();
    let mut batch = RecordBatch { columns, ..RecordBatch::default() };
    let euid = value(&mut batch, euid);
    for (index, (_, cell)) in contacts.iter().enumerate() {
        let value = value(&mut batch, cell);
        batch.fields.push(Field { name: Name::Column(index as u32), value });
    }
    let fields = 0..batch.fields.len() as u32;
    batch.records.push(RecordHead { row: 1, line: 2, fault: None, euid, fields, raw: None });
    batch
}

fn verdict(rules: Rules, euid: &Cell<'_>, contacts: &[(&str, Cell<'_>)]) -> String {
    let batch = batch(euid, contacts);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(rules);
    match validator.validate(&record) {
        Ok(accepted) => serde_json::to_string(&accepted.contact(&record).contacts).unwrap(),
        Err(rejection) => format!("{}: {}", rejection.reason, rejection.text(true)),
    }
}

fn of(euid: &str, name: &str, text: &str) -> String {
    verdict(Rules::default(), &Cell::Text(euid), &[(name, Cell::Text(text))])
}

#[test]
fn euids_name_the_habit_behind_them() {
    for (euid, expected) in [
        ("", "euid_empty: the EUID is empty"),
        (" \t", "euid_empty"),
        ("1.03625E+07", "euid_invalid: the EUID is in scientific notation"),
        ("10362473.0", "euid_invalid: the EUID has a decimal part"),
        ("10,362,473", "euid_invalid: the EUID has thousands separators"),
        ("10.362.473", "euid_invalid: the EUID has thousands separators"),
        ("=\"123\"", "euid_invalid: the EUID is wrapped in a spreadsheet formula"),
        ("１２３", "euid_invalid: the EUID has digits other than 0 to 9"),
        ("123\u{a0}", "euid_invalid: the EUID has a no-break"),
        ("-5", "euid_invalid: the EUID has a sign"),
        ("0", "euid_invalid: the EUID lies outside"),
        ("9223372036854775808", "euid_invalid: the EUID lies outside"),
        ("abc", "euid_invalid: the EUID is not a whole number in digits"),
    ] {
        let said = of(euid, "email", "a@example.com");
        assert!(said.starts_with(expected), "{euid:?}: {said}");
        assert!(euid.trim().is_empty() || said.contains("; found \""), "{said}");
    }
    assert_eq!(of(" 12 ", "email", "a"), r#"{"email":"a"}"#);
    let json = verdict(Rules::default(), &Cell::Json("an array", "[1]"), &[]);
    assert!(json.starts_with("euid_invalid: the EUID is an array"), "{json}");
    assert!(verdict(Rules::default(), &Cell::Null, &[]).starts_with("euid_empty"));
}

#[test]
fn values_are_checked_in_order() {
    let long = "é".repeat(257);
    assert_eq!(of("1", "email", &"é".repeat(256)), format!("{{\"email\":\"{}\"}}", "é".repeat(256)));
    let said = of("1", "email", &long);
    assert_eq!(
        said,
        format!(
            "value_too_long: column \"email\" (column 2) has 257 characters, more than 256; shorten it; found \"{}…\"",
            "é".repeat(40)
        )
    );
    for (name, text, expected) in [
        ("", "a", "name_invalid: column \"\" (column 2) has no name"),
        ("a\tb", "a", "name_invalid"),
        ("email", "a\0b", "value_invalid: column \"email\" (column 2) has a NUL"),
        ("mobile_phone", "4.47911E+11", "value_invalid: column \"mobile_phone\" (column 2) is in scientific"),
        ("mobile_phone", "12025550101.0", "value_invalid: column \"mobile_phone\" (column 2) ends in .0"),
        (
            "mobile_phone",
            "'+12025550101",
            "value_invalid: column \"mobile_phone\" (column 2) begins with an apostrophe",
        ),
        (
            "email",
            "a@example.com\n2,b@example.com",
            "value_invalid: column \"email\" (column 2) has a line end in it: most likely a stray quote",
        ),
        ("fax_phone", "1\r2", "value_invalid: column \"fax_phone\" (column 2) has a line end in it"),
        ("email", "  ", "no_contacts: every contact of the row is empty"),
    ] {
        let said = of("1", name, text);
        assert!(said.starts_with(expected), "{said}");
    }
    assert_eq!(of("1", "address", "a\nb"), r#"{"address":"a\nb"}"#, "other contacts may have several lines");
    assert_eq!(of("1", "email", "a@example.com\n"), r#"{"email":"a@example.com\n"}"#, "nothing is joined by it");
    assert_eq!(of("1", "email", "1E5"), r#"{"email":"1E5"}"#, "only phone numbers are numbers");
    let said = verdict(Rules::default(), &Cell::Text("1"), &[("email", Cell::Json("a boolean", "true"))]);
    assert!(said.starts_with("value_invalid: column \"email\" (column 2) is a boolean"), "{said}");
    // Several faults: the earliest reason is reported, whatever the column order.
    let rules = Rules { empty: EmptyValues::Reject, ..Rules::default() };
    let cells =
        [("email", Cell::Text("a\0")), ("x", Cell::Text(&long)), ("y", Cell::Text("")), ("\n", Cell::Text("z"))];
    assert!(verdict(rules.clone(), &Cell::Text("1"), &cells).starts_with("name_invalid"));
    assert!(verdict(rules.clone(), &Cell::Text("1"), &cells[..3]).starts_with("value_empty"));
    assert!(verdict(rules, &Cell::Text("1"), &cells[..2]).starts_with("value_too_long"));
}

#[test]
fn empty_trimmed_and_null_values() {
    let rules = Rules { trim: true, nulls: vec!["-".to_owned()], ..Rules::default() };
    let cells = [("email", Cell::Text(" a ")), ("x", Cell::Text("-")), ("y", Cell::Null), ("z", Cell::Text(""))];
    assert_eq!(verdict(rules, &Cell::Text("1"), &cells), r#"{"email":"a"}"#);
    assert_eq!(of("1", "email", " a "), r#"{"email":" a "}"#, "values are sent as they stand");
}

#[test]
fn empty_values_clear_and_missing_ones_never_do() {
    let rules = Rules { empty: EmptyValues::Clear, nulls: vec!["-".to_owned()], ..Rules::default() };
    let said = |cells: &[(&str, Cell<'_>)]| verdict(rules.clone(), &Cell::Text("1"), cells);
    let empty =
        [Cell::Text(""), Cell::Text(" \t"), Cell::Text("\u{a0}"), Cell::Text("-"), Cell::Text(" - "), Cell::Null];
    for cell in empty {
        assert_eq!(said(&[("email", Cell::Text(" a ")), ("x", cell)]), r#"{"email":" a ","x":""}"#);
    }
    assert_eq!(
        said(&[("email", Cell::Text("")), ("x", Cell::Missing)]),
        r#"{"email":""}"#,
        "a clear is something to send"
    );
    assert_eq!(said(&[("email", Cell::Text("a")), ("x", Cell::Missing)]), r#"{"email":"a"}"#);
    assert!(said(&[("email", Cell::Missing)]).starts_with("no_contacts"));
    assert!(said(&[("", Cell::Text(""))]).starts_with("name_invalid"), "a name that is sent must be one");
    assert!(said(&[("", Cell::Missing), ("x", Cell::Null)]).starts_with(r#"{"x":""}"#), "one that isn't sent needn't");
    assert!(said(&[("email", Cell::Text("")), ("x", Cell::Json("an array", "[]"))]).starts_with("value_invalid"));

    let trimming = Rules { trim: true, ..rules.clone() };
    let cells = [("email", Cell::Text(" a ")), ("x", Cell::Text(" - ")), ("y", Cell::Missing)];
    assert_eq!(verdict(trimming.clone(), &Cell::Text("1"), &cells), r#"{"email":"a","x":""}"#);
    let batch = batch(&Cell::Text("x"), &cells);
    let record = batch.iter().next().unwrap();
    let would = would_send(&record, &trimming).unwrap();
    assert_eq!(serde_json::to_string(&would).unwrap(), r#"{"email":"a","x":""}"#, "a rejected row shows its clears");
}

#[test]
fn what_is_sent_is_told_before_it_becomes_a_row() {
    let rules = Rules { empty: EmptyValues::Clear, ..Rules::default() };
    for (cells, clears) in [
        ([("email", Cell::Text("a")), ("x", Cell::Null), ("y", Cell::Missing)], true),
        ([("email", Cell::Text("a")), ("x", Cell::Text("b")), ("y", Cell::Missing)], false),
    ] {
        let batch = batch(&Cell::Text("1"), &cells);
        let record = batch.iter().next().unwrap();
        for (rules, clears) in [(rules.clone(), clears), (Rules::default(), false)] {
            let mut validator = Validator::new(rules);
            let accepted = validator.validate(&record).unwrap();
            assert_eq!(accepted.clears(), clears);
            let sent: Vec<(String, String)> =
                accepted.sent(&record).map(|(name, value)| (record.name(name).to_owned(), value.to_owned())).collect();
            let contact = accepted.contact(&record);
            let expected: Vec<(String, String)> =
                contact.contacts.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            assert_eq!(sent, expected);
        }
    }
}

#[test]
fn null_like_texts_are_warned_of_once_a_column() {
    let batch = batch(&Cell::Text("1"), &[("email", Cell::Text("NULL")), ("x", Cell::Text("\\N"))]);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(Rules::default());
    validator.validate(&record).unwrap();
    assert_eq!(validator.notices().len(), 2);
    validator.validate(&record).unwrap();
    assert!(validator.notices().is_empty());
}

#[test]
fn names_that_were_warned_of_are_bounded() {
    let mut validator = Validator::new(Rules::default());
    let mut notices = Vec::new();
    for number in 0..1_000 {
        let name = format!("key{number}");
        let batch = batch(&Cell::Text("1"), &[(&name, Cell::Text("NULL"))]);
        validator.validate(&batch.iter().next().unwrap()).unwrap();
        notices.extend(validator.notices());
    }
    assert_eq!(notices.len(), 101, "{:?}", notices.last());
    assert!(notices[100].starts_with("more than 100 contacts hold such texts"), "{}", notices[100]);
}

#[test]
fn of_many_columns_those_with_a_value_are_sent_in_order() {
    let names: Vec<String> = (0..200_000).map(|number| format!("c{number}")).collect();
    let text = |number: usize| if number.is_multiple_of(3) { Cell::Text("") } else { Cell::Text("x") };
    let cells: Vec<_> = names.iter().enumerate().map(|(number, name)| (name.as_str(), text(number))).collect();
    let batch = batch(&Cell::Text("1"), &cells);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(Rules::default());
    let contact = validator.validate(&record).unwrap().contact(&record);
    let sent: Vec<&str> = contact.contacts.iter().map(|(name, _)| name).collect();
    let expected: Vec<&str> =
        (0..200_000).filter(|number| number % 3 > 0).map(|number| names[number].as_str()).collect();
    assert_eq!(sent, expected);
}

#[test]
fn the_readers_fault_comes_first_and_raw_rows_would_send_nothing() {
    let mut batch = batch(&Cell::Text(""), &[("email", Cell::Text("a"))]);
    batch.records[0].fault = Some(Box::new(Rejection::new(Reason::MalformedRow, "cut")));
    batch.records[0].raw = Some("1,".into());
    let record = batch.iter().next().unwrap();
    assert_eq!(Validator::new(Rules::default()).validate(&record).unwrap_err().reason, Reason::MalformedRow);
    assert_eq!(would_send(&record, &Rules::default()), None);
}

proptest! {
    #[test]
    fn any_text_is_accepted_or_rejected(euid in ".{0,30}", name in ".{0,20}", text in ".{0,300}") {
        let said = of(&euid, &name, &text);
        prop_assert!(!said.is_empty());
    }
}
