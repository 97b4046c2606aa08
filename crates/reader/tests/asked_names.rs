//! A typo in the names that options give must not drop a contact.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;

use model::RecordBatch;
use reader::{Input, InputName, LookedAt, OpenError, OpenInput, ReaderOptions, Selection, look_at_all};

struct Case<'a> {
    files: &'a [(&'a str, &'a str)],
    contacts: &'a [&'a str],
    map: &'a [(&'a str, &'a str)],
    euid_column: &'a str,
    all: bool,
}

const PLAIN: Case<'static> = Case { files: &[], contacts: &[], map: &[], euid_column: "euid", all: false };

fn options(case: &Case<'_>) -> ReaderOptions {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    ReaderOptions {
        selection: match (case.all, case.contacts) {
            (true, _) => Selection::All,
            (false, []) => Selection::Known,
            (false, names) => Selection::Exactly(texts(names)),
        },
        map: case.map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect(),
        key_column: case.euid_column.to_owned(),
        ..ReaderOptions::default()
    }
}

fn look(case: &Case<'_>) -> Result<LookedAt, OpenError> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { folder.path().join(name) };
    case.files.iter().for_each(|(name, text)| std::fs::write(path(name), text).unwrap());
    let opened = case.files.iter().map(|(name, _)| OpenInput::open(&InputName::new(path(name))).unwrap());
    look_at_all(opened.collect(), &options(case))
}

/// Said, and what to do.
#[track_caller]
fn refused(case: &Case<'_>, texts: &[&str]) {
    let error = look(case).map(|looked| looked.warnings).unwrap_err();
    let said = format!("{error} | {}", error.hint().unwrap_or_default());
    for text in texts {
        assert!(said.contains(text), "not said: {text}\n{said}");
    }
}

#[track_caller]
fn taken(case: &Case<'_>, warnings: &[&str]) -> LookedAt {
    let looked = look(case).unwrap();
    assert_eq!(looked.warnings.len(), warnings.len(), "{:?}", looked.warnings);
    for (warning, text) in looked.warnings.iter().zip(warnings) {
        assert!(warning.contains(text), "not said: {text}\n{warning}");
    }
    looked
}

#[test]
fn a_name_that_no_csv_has_is_refused_with_the_near_miss() {
    let files = &[("a.csv", "euid,email,mobile_phone\n1,a,b\n"), ("b.tsv", "euid\temail\n2\tb\n")];
    let typo = Case { files, contacts: &["email", "mobil_phone"], ..PLAIN };
    refused(
        &typo,
        &[
            "no input has a column or key \"mobil_phone\", named in `--contacts` (did you mean \"mobile_phone\"?)",
            "there are: \"euid\", \"email\", \"mobile_phone\"",
        ],
    );
    refused(&Case { contacts: &["email", "age"], ..typo }, &["key \"age\", named in `--contacts`; the columns"]);
    // Found in one of them is found, and the EUID's column may be listed.
    taken(&Case { contacts: &["email", "mobile_phone", "EUID", "EMAIL"], ..typo }, &[]);
}

#[test]
fn a_mapping_of_no_column_is_refused() {
    let files = &[("a.csv", "euid,E-Mail Addres,mobile_phone\n1,a,b\n")];
    let typo = Case { files, map: &[("E-Mail Address", "email")], ..PLAIN };
    let near = "key \"E-Mail Address\", named in `--map` (did you mean \"E-Mail Addres\"?)";
    refused(&typo, &[near]);
    refused(&Case { all: true, ..typo }, &[near]);
    refused(&Case { contacts: &["email", "mobile_phone"], ..typo }, &[near, ", nor \"email\", named in `--contacts`"]);
    taken(&Case { map: &[("e-mail addres", "email")], ..typo }, &[]);
    let other_case = &[("a.csv", "euid,E-Mail,e-mail\n1,a,b\n")];
    refused(&Case { files: other_case, map: &[("E-MAIL", "email")], ..PLAIN }, &["columns 2 and 3 are both \"email\""]);
    let collides = &[("a.csv", "euid,Mail,email\n1,a,b\n")];
    refused(&Case { files: collides, map: &[("Mail", "email")], ..PLAIN }, &["columns 2 and 3 are both \"email\""]);
    let euid = &[("a.csv", "Kunden-Nr,email\n1,a\n")];
    refused(
        &Case { files: euid, map: &[("Kundennummer", "euid"), ("Kunden-N", "euid")], ..PLAIN },
        &["has no column \"euid\"", "(did you mean \"Kunden-Nr\" by \"Kunden-N\", named in `--map`?)"],
    );
    taken(&Case { files: euid, map: &[("Kunden-Nr", "euid")], ..PLAIN }, &[]);
    refused(
        &Case { files: euid, euid_column: "KundenNo", ..PLAIN },
        &["has no column \"KundenNo\"", "--euid-column \"Kunden-Nr\""],
    );
}

#[test]
fn sparse_keys_are_warned_of_and_near_misses_refused() {
    let nested = "{\"euid\":1,\"contacts\":{\"email\":\"a\"}}\n";
    let flat = "{\"euid\":1,\"email\":\"a\",\"Phone\":\"1\"}\n";
    for (name, text) in [("a.ndjson", nested), ("a.jsonl", flat)] {
        let files = &[(name, text)];
        let case = Case { files, ..PLAIN };
        let near = "(did you mean \"email\"?)";
        refused(&Case { contacts: &["emial"], ..case }, &["key \"emial\", named in `--contacts`", near]);
        refused(&Case { map: &[("E-Mial", "email")], all: true, ..case }, &["named in `--map`", near]);
        refused(
            &Case { euid_column: "euids", all: true, ..case },
            &["\"euids\", named in `--euid-column`", "\"euid\""],
        );
        let warning = "no input has shown the name \"nick\", named in `--contacts`, until now";
        taken(&Case { contacts: &["email", "nick"], ..case }, &[warning]);
        // Who names both has mistyped none.
        taken(&Case { contacts: &["email", "emails"], ..case }, &["\"emails\""]);
        taken(&Case { contacts: &["email"], map: &[("mail", "email")], ..case }, &["\"mail\", named in `--map`"]);
    }
}

#[test]
fn csv_and_ndjson_together_have_all_names_between_them() {
    let files = &[("a.csv", "euid,email\n1,a\n"), ("b.ndjson", "{\"euid\":1,\"nick\":\"a\"}\n")];
    let case = Case { files, ..PLAIN };
    taken(&Case { contacts: &["email", "nick"], ..case }, &[]);
    taken(&Case { contacts: &["email", "nick", "sms"], ..case }, &["\"sms\""]);
    refused(&Case { contacts: &["email", "nik"], ..case }, &["(did you mean \"nick\"?)"]);
}

#[test]
fn an_input_without_records_finds_nothing_missing() {
    for (name, text) in [("a.csv", "euid,email\n\r\n\n"), ("a.ndjson", "\n\n"), ("b.ndjson", "")] {
        taken(&Case { files: &[(name, text)], contacts: &["emial", "nick"], map: &[("x", "nick")], ..PLAIN }, &[]);
    }
    let files = &[("a.csv", "euid,email\n"), ("b.csv", "euid,email,nick\n2,b,c\n")];
    refused(&Case { files, contacts: &["email", "nik"], ..PLAIN }, &["(did you mean \"nick\"?)"]);
    taken(
        &Case {
            files: &[("b.csv", "euid,nick\n"), ("a.csv", "euid,email\n1,a\n")],
            contacts: &["email", "nick"],
            ..PLAIN
        },
        &[],
    );
}

#[test]
fn what_shows_up_later_is_seen_and_the_rest_never_was() {
    let mut text = "{\"euid\":1,\"email\":\"a\"}\n".repeat(1_000);
    text += "{\"euid\":2,\"contacts\":{\"nick\":\"b\"}}\n{\"euid\":3,\"Mail\":\"c\"}\n";
    let files = [("a.ndjson", text.as_str())];
    let case = Case { files: &files, contacts: &["email", "nick", "sms"], map: &[("mail", "email")], ..PLAIN };
    let LookedAt { mut inputs, asked, .. } = taken(&case, &["\"nick\"", "\"sms\"", "\"mail\""]);
    read(inputs.pop().unwrap());
    let never: Vec<String> = asked.unseen().iter().map(ToString::to_string).collect();
    assert_eq!(never, ["\"sms\", named in `--contacts`"]);
}

fn read(mut input: Input) {
    let mut records = input.records().unwrap();
    let mut batch = RecordBatch::default();
    while records.next_batch(&mut batch).unwrap() {}
}

#[test]
fn names_in_messages_have_an_end() {
    let long = "ä\u{1b}".repeat(2_000);
    let header: String = (0..100).map(|number| format!(",{long}{number}")).collect();
    for case in [
        Case { files: &[("a.csv", &format!("euid{header}\n1\n"))], ..PLAIN },
        Case { files: &[("a.csv", &format!("id{header}\n1\n"))], ..PLAIN },
        Case { files: &[("a.csv", &format!("euid{header},{long},{long}\n1\n"))], all: true, ..PLAIN },
        Case { files: &[("a.csv", &format!("euid{header}\n1\n"))], contacts: &["email"], ..PLAIN },
        Case { files: &[("a.ndjson", &format!("{{\"euid\":1,\"{}\":1}}\n", "ä".repeat(400_000)))], ..PLAIN },
    ] {
        let error = look(&case).map(|looked| looked.warnings).unwrap_err();
        let said = format!("{error} {}", error.hint().unwrap_or_default());
        assert!(said.len() < 8_000 && !said.contains('\u{1b}') && said.contains("ä"), "{said}");
        assert!(!said.contains(&"ä".repeat(41)), "{said}");
    }
}
