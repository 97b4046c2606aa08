//! Rows keyed by ids of the organisation's own in the sheet of `report --csv`: mended and sent, as the users that they were.

use std::collections::BTreeSet;

use crate::{
    service::Service,
    support::{Ran, Workplace},
};

const BY: [&str; 2] = ["--identify-by", "user_id"];

/// Rows of a column with these ids, all refused by the service, and the sheet that is made of its report.
fn refused(place: &Workplace, column: &str, ids: &[&str]) -> Ran {
    let rows: String = ids.iter().map(|id| format!("\"{id}\",a@example.com\n")).collect();
    place.file("a.csv", format!("{column},email\n{rows}"));
    let push = ["push", "a.csv", "--contacts", "email", "--report", "r.ndjson", "--id-column", column];
    place.run(&[&push[..], &BY].concat()).ends_with(1);
    place.run(&["report", "r.ndjson", "--csv", "mend.csv"]).ends_with(0)
}

fn ids(place: &Workplace, report: &str) -> BTreeSet<String> {
    place.json_lines(report).iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_id_column_is_never_taken_for_one_of_the_sheet() {
    for column in ["code", "Row", "raw", "message"] {
        let service = Service::with_faults(&["contact/code=55004:1.0"]);
        let place = service.workplace();
        let told = refused(&place, column, &["z1", "z2"]).says("another column is called");
        told.says("`--identify-by user_id --id-column \"user_id\"`");
        assert!(place.read("mend.csv").contains(",euid,user_id,outcome,"), "{}", place.read("mend.csv"));
        service.set_faults::<&str>(&[]);
        let push = |name: &str| {
            let push = ["push", "mend.csv", "--contacts", "email", "--id-column", name, "--report", "m.ndjson"];
            place.run(&[&push[..], &BY].concat())
        };
        let requests = service.record().stats().requests;
        push(column).ends_with(2).says("is its own and holds no id").says("`--id-column \"user_id\"`");
        assert_eq!(service.record().stats().requests, requests);
        push("user_id").ends_with(0);
        let sent = ids(&place, "m.ndjson");
        assert_eq!(sent, BTreeSet::from(["z1".to_owned(), "z2".to_owned()]));
    }
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,\n");
    place.run(&["check", "a.csv", "--report", "r.ndjson"]).ends_with(1);
    place.run(&["report", "r.ndjson", "--csv", "mend.csv"]).ends_with(0).never_says("the ids stand");
    place.run(&["check", "mend.csv", "--euid-column", "row"]).ends_with(2).says("is its own and holds no EUID");
    place.run(&["check", "mend.csv", "--id-column", "row", BY[0], BY[1]]).ends_with(2).says("it holds no ids");
}

#[test]
fn a_contact_gives_way_to_the_ids() {
    let service = Service::with_faults(&["contact/code=55004:1.0"]);
    let place = service.workplace();
    place.file("a.ndjson", "{\"name\":\"z1\",\"contacts\":{\"nickname\":\"Zoe\"}}\n");
    let push = ["push", "a.ndjson", "--report", "r.ndjson", "--id-column", "name", "--map", "nickname=Name"];
    // Within `contacts` a key is a contact, whatever it is called.
    place.run(&[&push[..], &BY].concat()).ends_with(1);
    place.run(&["report", "r.ndjson", "--csv", "mend.csv"]).ends_with(0).says("--id-column \"name\"`");
    assert!(place.read("mend.csv").contains(",contacts.Name,"), "{}", place.read("mend.csv"));
    service.set_faults::<&str>(&[]);
    let push = ["push", "mend.csv", "--contacts", "contacts.Name", "--id-column", "name", "--report", "m.ndjson"];
    place.run(&[&push[..], &BY].concat()).ends_with(0);
    assert_eq!(ids(&place, "m.ndjson"), BTreeSet::from(["z1".to_owned()]));
}

#[test]
fn an_id_comes_back_from_the_sheet_as_it_was() {
    let awkward = [
        "007",
        "0123",
        "1234567890123456789",
        "+7",
        "-7",
        "=7",
        "@7",
        "1e5x",
        "mar-1",
        "1/2",
        "2026-01-02",
        "TRUE",
        "'x",
        "''x",
        "a;=1",
        "10:30",
        "5%",
        "crm-1",
        "０７",
        "7",
    ];
    let service = Service::with_faults(&["contact/code=55004:1.0"]);
    let place = service.workplace();
    refused(&place, "crm_id", &awkward)
        .says("behind apostrophes")
        .says("`--identify-by user_id --id-column \"crm_id\"`");
    service.set_faults::<&str>(&[]);
    let sheet = place.read("mend.csv");
    assert!(sheet.contains(",'007,failed,") && sheet.contains(",'mar-1,failed,"), "{sheet}");
    let push = ["push", "mend.csv", "--contacts", "email", "--report", "m.ndjson", "--id-column", "crm_id"];
    place.run(&[&push[..], &BY].concat()).ends_with(0).says("formulas and ids are no part");
    assert_eq!(ids(&place, "m.ndjson"), awkward.map(str::to_owned).into());
    assert_eq!(ids(&place, "r.ndjson"), ids(&place, "m.ndjson"));
    // Elsewhere an apostrophe is an id's own.
    place.file("b.csv", "crm_id,email\n'007,a@example.com\n");
    let check = ["check", "b.csv", "--id-column", "crm_id", "--report-all", "--report", "b.ndjson"];
    place.run(&[&check[..], &BY].concat()).ends_with(0);
    assert_eq!(ids(&place, "b.ndjson"), BTreeSet::from(["'007".to_owned()]));
}

#[test]
fn a_sheet_says_what_it_is_pushed_with() {
    let service = Service::with_faults(&["contact/code=-1:1.0"]);
    let place = service.workplace();
    refused(&place, "crm_id", &["z1", "z2"]);
    let replay = ["replay", "r.ndjson", "--retries", "0", "--report", "again.ndjson"];
    place.run(&[&replay[..], &BY].concat()).ends_with(1);
    let with = "`--identify-by user_id --id-column \"crm_id\"`";
    place.run(&["report", "r.ndjson", "again.ndjson", "--csv", "mend.csv"]).ends_with(0).says(with);
    // Nothing lies beside it that says what its column was called.
    place.file("moved.ndjson", place.read("r.ndjson"));
    let told = place.run(&["report", "moved.ndjson", "--csv", "moved.csv"]).ends_with(0);
    told.says("`--identify-by KIND --id-column \"id\"`");
    let check = |name: &str| {
        let check = ["check", "moved.csv", "--contacts", "email", "--id-column", name];
        place.run(&[&check[..], &BY].concat())
    };
    check("crm_id").ends_with(2).says("its ids stand behind the EUIDs: `--id-column \"id\"`");
    check("id").ends_with(0);
    let quiet = place.run(&["report", "moved.ndjson", "--csv", "moved.csv", "-q"]).ends_with(0);
    quiet.never_says("the ids stand");
}

#[test]
fn two_columns_of_ids_are_refused() {
    let place = Workplace::new();
    place.file("a.csv", "user_id,email,User_ID\na-1,a@example.com,a-2\n");
    place.run(&["check", "a.csv", BY[0], BY[1]]).ends_with(2).says("columns 1 and 3 are both \"user_id\"");
}
