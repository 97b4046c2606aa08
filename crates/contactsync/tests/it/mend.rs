//! The sheet of rows that are to be mended, sent again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::service::Service;

const NAMES: &str = "email,mobile_phone,note,source";

/// What is awkward in a sheet: formulas, texts that begin with an apostrophe, cells of other countries.
const AWKWARD: [&str; 14] = [
    "+12025550101",
    "=x",
    "@x",
    "'quoted",
    "'=x",
    "''+x",
    "-1",
    "-1+1",
    "＝x",
    "first.last+tag@example.com",
    "a;=1",
    "a;'=1;\"-2\"",
    "\u{200b}=x",
    "two\nlines;+x, \"said\" ü",
];

fn rows() -> String {
    let row = |(index, value): (usize, &&str)| {
        let row = json!({"euid": index + 1, "email": format!("{index}@example.com"), "mobile_phone": "+12025550101",
            "note": value, "source": value});
        format!("{row}\n")
    };
    AWKWARD.iter().enumerate().map(row).collect()
}

fn sent(service: &Service) -> BTreeMap<u64, BTreeMap<String, String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut sent = BTreeMap::new();
    for (euid, contacts) in service.record().contacts() {
        sent.insert(euid, contacts.iter().map(|(name, value)| (name.clone(), text(value))).collect());
    }
    sent
}

fn expected() -> BTreeMap<u64, BTreeMap<String, String>> {
    let user = |(index, value): (usize, &&str)| {
        let contacts = [
            ("email", &*format!("{index}@example.com")),
            ("mobile_phone", "+12025550101"),
            ("note", value),
            ("source", value),
        ];
        (index as u64 + 1, contacts.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
    };
    AWKWARD.iter().enumerate().map(user).collect()
}

#[test]
fn what_a_sheet_protects_is_sent_as_it_was() {
    let refusing = Service::with_faults(&["code=55004:1"]);
    let place = refusing.workplace();
    place.file("a.ndjson", rows());
    place.run(&["push", "a.ndjson", "--contacts", NAMES, "--report", "r.ndjson"]).ends_with(1);
    let told = place.run(&["report", "r.ndjson", "--csv", "mend.csv"]).ends_with(0);
    told.says("have an apostrophe in front").says("take it away again as long as the sheet has all its columns");
    let sheet = place.read("mend.csv");
    assert!(sheet.contains("'+12025550101") && sheet.contains("''=x"), "{sheet}");

    // A contact's column that is named as one of the sheet's own has another name in it.
    let options = ["--contacts", "email,mobile_phone,note,origin", "--map", "contacts.source=origin"];
    let renamed = |contacts: BTreeMap<String, String>| -> BTreeMap<String, String> {
        contacts
            .into_iter()
            .map(|(name, value)| (if name == "origin" { "source".to_owned() } else { name }, value))
            .collect()
    };
    let semicolons = {
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).from_reader(sheet.trim_start_matches('\u{feff}').as_bytes());
        let mut writer = csv::WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
        // As a spreadsheet that was used to move the columns about writes it.
        for record in reader.records() {
            writer.write_record(record.unwrap().iter().rev()).unwrap();
        }
        String::from_utf8(writer.into_inner().unwrap()).unwrap()
    };
    for (name, text) in [("mend.csv", sheet), ("moved.csv", semicolons)] {
        place.file(name, text);
        place.run(&[&["check", name], &options[..]].concat()).ends_with(0).says("no part of the values");
        let service = Service::with_faults(&[]);
        let report = format!("{name}.ndjson");
        let push = ["push", name, "--base-url", &service.url(), "--report", &report].map(str::to_owned);
        place.run(&[&push[..], &options.map(str::to_owned)].concat()).ends_with(0).says("no part of the values");
        let sent: BTreeMap<_, _> =
            sent(&service).into_iter().map(|(euid, contacts)| (euid, renamed(contacts))).collect();
        assert_eq!(sent, expected(), "{name}");
    }
}

/// Apostrophes of who knows whose CSV are data; only phone numbers never begin with one.
#[test]
fn in_any_other_csv_an_apostrophe_is_sent_and_said() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    // The last one lacks a column of a sheet's.
    for (header, before, behind) in [
        ("euid,note", "", ""),
        (
            "source,row,line,euid,outcome,reason,code,message,http_status,attempts,note,raw",
            "a.csv,1,2,",
            ",failed,timeout,,,,1",
        ),
    ] {
        let mut text = format!("{header}\n");
        for (index, note) in ["'=x", "'quoted", "=x", "''+x"].iter().enumerate() {
            text += &match before {
                "" => format!("{},{note}\n", index + 1),
                _ => format!("{before}{}{behind},{note},\n", index + 1),
            };
        }
        place.file("a.csv", text);
        let ran = place.run(&["push", "a.csv", "--contacts", "note", "--report", "r.ndjson", "--force"]).ends_with(0);
        ran.says("holds an apostrophe in front of a formula").never_says("no part of the values");
        let notes: Vec<String> =
            sent(&service).into_values().map(|mut contacts| contacts.remove("note").unwrap()).collect();
        assert_eq!(notes, ["'=x", "'quoted", "=x", "''+x"], "{header}");
    }
    place.file("phone.csv", "euid,mobile_phone\n1,'+12025550101\n");
    place.run(&["check", "phone.csv"]).ends_with(1).says("value_invalid");
}
