//! Ids and reads that the service refuses, and sheets of rows by ids.

use crate::support::Workplace;

const BY: [&str; 2] = ["--identify-by", "user_id"];

fn place(content: &str) -> Workplace {
    let place = Workplace::new();
    place.file("a.csv", content);
    place
}

#[test]
fn what_is_rejected_is_reported_also_where_the_kind_of_ids_is_refused() {
    let place = place("user_id,email\na-1,a@example.com\n,b@example.com\na-3,c@example.com\nNULL,d@example.com\n");
    let push = ["push", "a.csv", "--sandbox", "--report", "r.ndjson", "--summary", "-"];
    let ran = place.run(&[&push[..], &["--sandbox-fault", "register/code=55106:1"], &BY].concat()).ends_with(6);
    let ran = ran.says("the API doesn't know the identity name user_id (code 55106)");
    let summary = ran.json();
    assert_eq!((&summary["rejected"], &summary["not_sent"]), (&2.into(), &2.into()), "{ran}");
    let records = place.json_lines("r.ndjson");
    assert!(records.len() == 2 && records.iter().all(|record| record["reason"] == "id_empty"), "{records:?}");
}

#[test]
fn an_id_that_is_refused_is_told_from_a_contact_that_is() {
    let place = place("user_id,email\na-1,a@example.com\n");
    let push = ["push", "a.csv", "--sandbox", "--report", "r.ndjson", "--sandbox-fault", "refused=55105:1"];
    place.run(&[&push[..], &BY].concat()).ends_with(1).says("it is the id that is too long");
    let record = &place.json_lines("r.ndjson")[0];
    assert_eq!(record["reason"], "value_too_long");
    let message = record["message"].as_str().unwrap();
    assert!(message.starts_with("the EUID of the id was asked for"), "{record}");
}

#[test]
fn the_code_of_the_api_is_not_taken_for_an_id_that_stands_in_a_column_of_that_name() {
    let place = place("code,email\nz-1,a@example.com\nz-2,b@example.com\n");
    let keyed = ["--identify-by", "user_id", "--id-column", "code"];
    let push = ["push", "a.csv", "--sandbox", "--sandbox-fault", "contact/code=55004:1", "--report", "r.ndjson"];
    place.run(&[&push[..], &keyed].concat()).ends_with(1);
    place.run(&["report", "r.ndjson", "--csv", "sheet.csv"]).ends_with(0);
    let check = ["check", "sheet.csv", "--contacts", "email"];
    let refused = place.run(&[&check[..], &keyed].concat()).ends_with(2);
    refused.says("its own and holds no id").says("`--id-column \"user_id\"`");
    place.run(&[&check[..], &BY].concat()).ends_with(0);
    let refused = place.run(&[&check[..], &["--euid-column", "row"]].concat()).ends_with(2);
    refused.says("its own and holds no EUID").says("leave out `--euid-column`");
}

#[test]
fn who_wanted_to_compare_hears_that_users_could_not_be_read() {
    let place = place("euid,email\n1,a@example.com\n2,b@example.com\n");
    let fault = ["--sandbox", "--compare-service", "--sandbox-fault", "profile/code=55004:1"];
    for more in [&["--report", "r.ndjson"][..], &["--dry-run"]] {
        let ran = place.run(&[&["push", "a.csv"], &fault[..], more].concat()).ends_with(0);
        ran.says("users of 2 rows could not be read (at first parameters_invalid, code 55004): nothing was compared");
    }
}

#[test]
fn what_to_do_for_an_id_of_nobody_is_a_command_that_asks_for_it() {
    let place = place("user_id,email\na-1,a@example.com\n");
    let push = ["push", "a.csv", "--sandbox", "--report", "r.ndjson", "--sandbox-fault", "unknown:1"];
    let ran = place.run(&[&push[..], &BY].concat()).ends_with(1);
    ran.says("`contactsync replay REPORT --identify-by KIND --reason id_unknown`");
    let replay = ["replay", "r.ndjson", "--sandbox", "--reason", "id_unknown", "--report", "again.ndjson"];
    place.run(&[&replay[..], &BY].concat()).ends_with(0);
    // Its dry run ends as it does.
    for more in [&["--dry-run"][..], &[]] {
        place.run(&[&replay[..5], more].concat()).ends_with(2).says("`--identify-by user_id`");
    }
}
