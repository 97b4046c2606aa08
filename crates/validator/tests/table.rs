//! Every reason with its message, as people read it.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use model::{Column, Contact, Euid, Field, Name, Reason, Record, RecordBatch, RecordHead, Rejection, Span, Value};
use proptest::prelude::*;
use validator::{Accepted, EmptyValues, IdRules, Key, Rules, Validator, would_send};

enum Cell<'a> {
    Text(&'a str),
    Integer(&'a str),
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
        Cell::Integer(text) => Value::Integer(push(batch, text)),
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

/// The row that is sent, to EUID 7 where it is keyed by an id.
fn contact(accepted: Accepted<'_>, record: &Record<'_>) -> Contact {
    let euid = match accepted.key(record) {
        Key::Euid(euid) => euid,
        Key::Id(_) => Euid::new(7).unwrap(),
    };
    accepted.contact(euid, record)
}

fn verdict(rules: Rules, euid: &Cell<'_>, contacts: &[(&str, Cell<'_>)]) -> String {
    let batch = batch(euid, contacts);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(rules);
    match validator.validate(&record) {
        Ok(accepted) => serde_json::to_string(&contact(accepted, &record).contacts).unwrap(),
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
            let contact = contact(accepted, &record);
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
fn a_text_that_is_no_null_is_not_warned_of() {
    let batch = batch(&Cell::Text("1"), &[("email", Cell::Text("NULL")), ("x", Cell::Text("\\N"))]);
    let mut validator = Validator::new(Rules { are_nulls_told: true, ..Rules::default() });
    validator.validate(&batch.iter().next().unwrap()).unwrap();
    let notices = validator.notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("--null 'NULL'"), "{notices:?}");
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
    let contact = contact(validator.validate(&record).unwrap(), &record);
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

fn by_ids(allowed: &[&str]) -> Rules {
    let allowed = allowed.iter().map(|text| (*text).to_owned()).collect();
    Rules { ids: Some(IdRules { column: "crm_id".to_owned(), allowed }), ..Rules::default() }
}

/// The id under which a row is accepted, or why it is rejected.
fn of_id(rules: Rules, id: &Cell<'_>) -> String {
    let batch = batch(id, &[("email", Cell::Text("a@example.com"))]);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(rules);
    match validator.validate(&record) {
        Err(rejection) => format!("{}: {}", rejection.reason, rejection.text(true)),
        Ok(accepted) => {
            let Key::Id(id) = accepted.key(&record) else { panic!("an id") };
            let unresolved = accepted.unresolved(id, &record);
            assert_eq!((&*unresolved.id, unresolved.contacts.len()), (id, 1));
            let contact = contact(validator.validate(&record).unwrap(), &record);
            assert_eq!((contact.id.as_deref(), &*contact.euid_text, contact.euid.get()), (Some(id), "7", 7));
            assert_eq!(contact.contacts, unresolved.contacts);
            id.to_owned()
        }
    }
}

#[test]
fn ids_are_looked_at_hard() {
    let long = "é".repeat(257);
    for (id, expected) in [
        ("", "id_empty: the id in \"crm_id\" is empty; fill it in, or check --id-column"),
        (" \t\u{a0}", "id_empty: the id in \"crm_id\" is empty"),
        (
            "NULL",
            "id_empty: the id in \"crm_id\" holds what programs write for nothing; where it is an id: --allow-id 'NULL'; found \"NULL\"",
        ),
        (" none ", "id_empty: the id in \"crm_id\" holds"),
        ("\\N", "id_empty"),
        ("\\n", "id_empty"),
        ("nan", "id_empty"),
        ("NiL", "id_empty"),
        ("n/A", "id_empty"),
        ("1.03625E+07", "id_invalid: the id in \"crm_id\" is in scientific notation"),
        ("1E5", "id_invalid"),
        (" 10362473.0 ", "id_invalid: the id in \"crm_id\" ends in .0, as dataframes"),
        ("a\0b", "id_invalid: the id in \"crm_id\" has a NUL"),
        ("a\tb", "id_invalid: the id in \"crm_id\" has a control character"),
        ("a\u{85}b", "id_invalid"),
        ("a\n2,b", "id_invalid: the id in \"crm_id\" has a line end in it: most likely a stray quote"),
        (&long, "id_too_long: the id in \"crm_id\" has 257 characters, more than 256"),
    ] {
        let said = of_id(by_ids(&[]), &Cell::Text(id));
        assert!(said.starts_with(expected), "{id:?}: {said}");
        assert!(said.chars().count() < 300, "{said}");
    }
    for id in [
        "A-17",
        "0",
        "007",
        "-5",
        "x@example.com",
        "+12015550123",
        "a b",
        "nulla",
        "N/AX",
        "Zoë",
        "1.01",
        "v1.0",
        &"é".repeat(256),
    ] {
        assert_eq!(of_id(by_ids(&[]), &Cell::Text(&format!(" {id}\u{a0}"))), id);
    }
    let other = |kind, text| of_id(by_ids(&[]), &Cell::Json(kind, text));
    assert!(other("a fraction", "1.5").starts_with("id_invalid: the id in \"crm_id\" is a fraction"));
    assert!(other("a boolean", "true").starts_with("id_invalid: the id in \"crm_id\" is a boolean"));
    assert!(other("an object", "{}").starts_with("id_invalid"));
    for nothing in [Cell::Null, Cell::Missing] {
        assert!(of_id(by_ids(&[]), &nothing).starts_with("id_empty"));
    }
    assert_eq!(of_id(by_ids(&[]), &Cell::Integer("000099999999999999999999")), "000099999999999999999999");
}

#[test]
fn what_looks_like_nothing_is_an_id_where_it_is_said_exactly_so() {
    let of = |id| of_id(by_ids(&["None", "N/A"]), &Cell::Text(id));
    assert_eq!((of("None"), of(" N/A ")), ("None".to_owned(), "N/A".to_owned()));
    for other in ["none", "NONE", "n/a", "NULL", ""] {
        assert!(of(other).starts_with("id_empty"), "{other}");
    }
    // What the user takes as empty is no id either, unless it is said to be one.
    let with_nulls = |allowed: &[&str]| Rules { nulls: vec!["-".to_owned(), "0".to_owned()], ..by_ids(allowed) };
    assert!(of_id(with_nulls(&["0"]), &Cell::Text(" - ")).starts_with("id_empty"));
    assert_eq!(of_id(with_nulls(&["0"]), &Cell::Text("0")), "0");
}

#[test]
fn an_id_in_very_many_rows_is_told_of_once_and_not_shown() {
    let batch = batch(&Cell::Text("guest"), &[("email", Cell::Text("a@example.com"))]);
    let record = batch.iter().next().unwrap();
    let mut validator = Validator::new(by_ids(&[]));
    let mut notices = Vec::new();
    for row in 1..=2_500 {
        validator.validate(&record).unwrap();
        notices.extend(validator.notices().into_iter().map(|notice| (row, notice)));
    }
    let [(1_001, notice)] = &notices[..] else { panic!("{notices:?}") };
    assert!(notice.contains("line 2") && notice.contains("over 1,000 rows") && !notice.contains("guest"), "{notice}");
    let mut by_euid = Validator::new(Rules::default());
    let batch = self::batch(&Cell::Text("7"), &[("email", Cell::Text("a@example.com"))]);
    let record = batch.iter().next().unwrap();
    for _ in 0..1_500 {
        by_euid.validate(&record).unwrap();
    }
    assert!(by_euid.notices().is_empty(), "rows of one EUID may be many");
}

#[test]
fn a_fault_of_the_id_comes_behind_the_readers_and_before_those_of_contacts() {
    let cells = [("", Cell::Text("a"))];
    assert!(verdict(by_ids(&[]), &Cell::Text("NULL"), &cells).starts_with("id_empty"));
    assert!(verdict(by_ids(&[]), &Cell::Text("x"), &cells).starts_with("name_invalid"));
    let mut cut = batch(&Cell::Text(""), &[("email", Cell::Text("a"))]);
    cut.records[0].fault = Some(Box::new(Rejection::new(Reason::MalformedRow, "cut")));
    let record = cut.iter().next().unwrap();
    assert_eq!(Validator::new(by_ids(&[])).validate(&record).unwrap_err().reason, Reason::MalformedRow);
}

proptest! {
    /// What is asked for is never blank, too long, or anything that a terminal would obey, and never has blanks around it.
    #[test]
    fn any_id_is_in_order_or_rejected(id in prop_oneof!["\\PC{0,12}", ".{0,400}", "[0-9eE.+-]{0,8}", "(?i)(null|none|nil|nan|n/a|\\\\n)[ \\t]?"]) {
        let said = of_id(by_ids(&[]), &Cell::Text(&id));
        if !said.starts_with("id_") {
            prop_assert_eq!(&said, id.trim());
            prop_assert!(!said.is_empty() && said.chars().count() <= 256 && !said.chars().any(char::is_control));
            prop_assert!(!validator::stands_for_nothing(&said));
        }
    }

    #[test]
    fn any_text_is_accepted_or_rejected(euid in ".{0,30}", name in ".{0,20}", text in ".{0,300}") {
        let said = of(&euid, &name, &text);
        prop_assert!(!said.is_empty());
    }
}
