//! Rows keyed by ids of the organisation's own: what is said of them before anything is sent.

use serde_json::json;

use crate::support::Workplace;

const BY: [&str; 2] = ["--identify-by", "user_id"];

fn place(rows: &str) -> Workplace {
    let place = Workplace::new();
    place.file("a.csv", format!("user_id,email\n{rows}"));
    place
}

#[test]
fn what_contradicts_itself_is_refused() {
    let place = place("a-1,a@example.com\n");
    for (arguments, why) in [
        (&["check", "a.csv", "--identify-by", "email"][..], "invalid value 'email' for '--identify-by <KIND>'"),
        (&["check", "a.csv", "--identify-by", "user_id", "--euid-column", "user_id"], "cannot be used with"),
        (&["check", "a.csv", "--id-column", "user_id"], "--identify-by <KIND>"),
        (&["check", "a.csv", "--allow-id", "None"], "--identify-by <KIND>"),
        (&["check", "a.csv", "--identify-by", "user_id", "--allow-id", "Nome"], "`--allow-id` names \"Nome\""),
        (&["check", "a.csv", "--identify-by", "user_id", "--max-new-ids", "5"], "unexpected argument"),
        (&["push", "a.csv", "--sandbox", "--max-new-ids", "5"], "--identify-by <KIND>"),
        (&["push", "a.csv", "--sandbox", "--identify-by", "user_id", "--max-new-ids", "5"], "needs `--state`"),
        (
            &["push", "a.csv", "--sandbox", "--identify-by", "user_id", "--max-new-ids", "x", "--state", "s"],
            "say a number as 10, a share as 5%, or none",
        ),
    ] {
        place.run(arguments).ends_with(2).says(why);
    }
    assert!(!place.exists("s"));
}

#[test]
fn the_column_is_called_by_its_name_and_found_without_regard_to_case() {
    let place = Workplace::new();
    place.file("a.csv", "Email,CRM_Id\na@example.com,a-1\n");
    place.file("b.ndjson", "{\"Crm_ID\":17,\"email\":\"b@example.com\"}\n");
    place.file("c.csv", "crm id;email\na-1;a@example.com\n");
    let by = |more: &[&'static str]| [&["check"], more, &BY].concat();
    place.run(&by(&["a.csv", "b.ndjson", "--id-column", "crm_id"])).ends_with(0);
    place.run(&by(&["c.csv", "--map", "crm id=user_id"])).ends_with(0);
    place.run(&by(&["a.csv"])).ends_with(2).says("has no column \"user_id\"").says("`--id-column NAME`");
    place.run(&by(&["c.csv", "--id-column", "crm_id"])).ends_with(2).says("`--id-column \"crm id\"`");
    place.run(&by(&["a.csv", "--id-column", "mail"])).ends_with(2).says("`--id-column \"Email\"`");
    let said = place.run(&by(&["b.ndjson", "--id-column", "crmid"])).ends_with(2);
    said.says("\"crmid\", named in `--id-column`");
    place.file("two.ndjson", "{\"user_id\":1,\"User_Id\":2,\"email\":\"b@example.com\"}\n");
    place.run(&by(&["two.ndjson"])).ends_with(1).says("it has two ids");
}

#[test]
fn an_euid_beside_an_id_is_no_contact() {
    let place = Workplace::new();
    place.file("d.csv", "EUID,user_id,email\n7,a-1,a@example.com\n");
    place.file("d.ndjson", "{\"euid\":7,\"user_id\":\"a-1\",\"email\":\"a@example.com\"}\n");
    for input in ["d.csv", "d.ndjson"] {
        let run = |more: &[&str]| place.run(&[&["check", input], more, &BY].concat());
        let refused = run(&[]).ends_with(2).says("`--contacts mobile_phone,email`").says("`--all-columns`");
        refused.never_says("--map").never_says("--id-column");
        run(&["--contacts", "email"]).ends_with(0);
        run(&["--contacts", "email,Euid"]).ends_with(2).says("`--contacts` names \"Euid\"");
        let all = ["push", input, "--all-columns", "--dry-run", "--sandbox", "--summary", "-"];
        let names = place.run(&[&all[..], &BY].concat()).ends_with(0).stdout;
        let names: serde_json::Value = serde_json::from_str(&names).unwrap();
        assert_eq!(names["names"].as_object().unwrap().keys().collect::<Vec<_>>(), ["email"]);
    }
    place.file("more.csv", "euid,user_id,name\n7,a-1,A\n");
    place.run(&["check", "more.csv", BY[0], BY[1]]).ends_with(2).says("`--map \"name=email\"`");
}

#[test]
fn an_id_under_another_key_is_pointed_out() {
    let place = Workplace::new();
    place.file("near.ndjson", "{\"userid\":\"a\",\"email\":\"a@example.com\"}\n");
    place.file("far.ndjson", "{\"uid\":\"a\",\"email\":\"a@example.com\"}\n");
    for more in [&[][..], &["--contacts", "email"], &["--all-columns"]] {
        let ran = place.run(&[&["check", "near.ndjson"], more, &BY].concat()).ends_with(2);
        ran.says("did you mean \"userid\"").says("`--id-column \"userid\"`").never_says("--map");
    }
    let far = |more: &[&str]| place.run(&[&["check", "far.ndjson"], more, &BY].concat());
    far(&[]).ends_with(2).says("`--id-column NAME`").never_says("--map");
    let ran = far(&["--contacts", "email"]).ends_with(1).says("no input has shown the name \"user_id\"");
    assert!(ran.stderr.matches("\"user_id\", named in `--identify-by`").count() > 1, "the summary repeats it: {ran}");
    place.file("sparse.ndjson", "{\"email\":\"a@example.com\"}\n{\"user_id\":\"a\",\"email\":\"a@example.com\"}\n");
    place.run(&["check", "sparse.ndjson", BY[0], BY[1]]).ends_with(1).never_says("no input has shown");
}

#[test]
fn a_key_that_is_renamed_away_is_said_to_be_so() {
    let place = place("a-1,a@example.com\n");
    place.file("b.csv", "euid,email\n1,a@example.com\n");
    let ran = place.run(&["check", "a.csv", "--map", "user_id=euid", BY[0], BY[1]]).ends_with(2);
    ran.says("no column \"user_id\", which `--map` renames to \"euid\"")
        .says("`--id-column \"euid\"`")
        .says("leave out the `--map` of \"user_id\"");
    let ran = place.run(&["check", "b.csv", "--map", "euid=x"]).ends_with(2);
    ran.says("which `--map` renames to \"x\"").says("`--euid-column \"x\"`");
}

#[test]
fn who_has_ids_and_no_euids_is_told_of_the_option() {
    let place = place("a-1,a@example.com\n");
    place.file("a.ndjson", "{\"anonymous_id\":\"x\",\"email\":\"a@example.com\"}\n");
    place.file("b.ndjson", "{\"euid\":1,\"user_id\":\"x\",\"email\":\"a@example.com\"}\n");
    place.run(&["check", "a.csv"]).ends_with(2).says("has no column \"euid\"").says("`--identify-by user_id`");
    place.run(&["check", "a.ndjson"]).ends_with(2).says("`--identify-by anonymous_id`");
    place.run(&["check", "b.ndjson"]).ends_with(2).never_says("--identify-by");
}

#[test]
fn ids_are_checked_and_stand_in_the_report_and_nowhere_else() {
    let rows = [
        ("a-1", ""),
        ("NULL", "id_empty"),
        ("", "id_empty"),
        ("1.5E+7", "id_invalid"),
        ("4711.0", "id_invalid"),
        ("a\tb", "id_invalid"),
        (&*"x".repeat(257), "id_too_long"),
        (" n/a ", "id_empty"),
        ("None", "id_empty"),
        (" secret-7 ", ""),
    ];
    let lines: String = rows.iter().map(|(id, _)| format!("{id},a@example.com\n")).collect();
    let place = place(&(lines + "secret-8,\nsecret-9,a@example.com,too many\n"));
    let check =
        |more: &[&'static str]| place.run(&[&["check", "a.csv", "--report-all", "--force"], more, &BY].concat());
    check(&["--report", "r.ndjson"]).ends_with(1).never_says("secret").never_says("4711");
    let records = place.json_lines("r.ndjson");
    assert_eq!(records.len(), 12);
    for (record, (id, reason)) in records.iter().zip(rows) {
        assert_eq!((&record["id"], &record["reason"]), (&json!(id.trim()), &json!(reason)));
    }
    assert!(records.iter().all(|record| record["euid"] == ""));
    assert_eq!((&records[10]["id"], &records[10]["reason"]), (&json!("secret-8"), &json!("no_contacts")));
    assert_eq!((&records[11]["id"], &records[11]["reason"]), (&json!("secret-9"), &json!("malformed_row")));
    assert!(records[4]["message"].as_str().unwrap().starts_with("the id in \"user_id\" ends in .0, as dataframes"));
    assert!(place.read("r.ndjson").contains(r#","euid":"","id":"a-1","outcome":"valid""#), "id stands behind euid");

    check(&["--report", "r.csv", "--allow-id", "None"]).ends_with(1);
    let csv = place.read("r.csv");
    assert!(csv.starts_with("source,row,line,euid,id,outcome,"), "{csv}");
    assert!(csv.contains("\na.csv,9,10,,None,valid,"), "{csv}");

    // Without contacts, what was no id, or never looked at, may be anything.
    check(&["--report", "never.ndjson", "--report-contacts", "never"]).ends_with(1);
    let ids: Vec<_> = place.json_lines("never.ndjson").iter().map(|record| record["id"].clone()).collect();
    assert_eq!(ids, ["a-1", "", "", "", "", "", "", "", "", "secret-7", "secret-8", ""]);

    place.file("e.csv", "euid,email\n7,\n");
    place.run(&["check", "e.csv", "--report", "e.ndjson"]).ends_with(1);
    assert!(!place.read("e.ndjson").contains("\"id\""), "no other report has the field");
}

#[test]
fn what_is_shown_around_masks_ids_and_what_is_mended_holds_them() {
    let place = place("secret-7,\n+12015550199,a\tb\n");
    place.run(&["check", "a.csv", "--report", "r.ndjson", BY[0], BY[1]]).ends_with(1);
    for arguments in [&["report", "r.ndjson"][..], &["report", "r.ndjson", "--json"]] {
        place.run(arguments).ends_with(0).never_says("secret-7");
    }
    place.run(&["report", "r.ndjson", "--html", "r.html"]).ends_with(0);
    assert!(!place.read("r.html").contains("secret-7") && place.read("r.html").contains(">Id</th>"));
    place.run(&["report", "r.ndjson", "--html", "shown.html", "--show-values"]).ends_with(0);
    assert!(place.read("shown.html").contains("secret-7"));

    place.file("ids.csv", "Kunde,email\nsecret-7,\n=x,\n");
    place
        .run(&["push", "ids.csv", "--sandbox", "--report", "p.ndjson", BY[0], BY[1], "--id-column", "Kunde"])
        .ends_with(1);
    place.run(&["report", "p.ndjson", "--csv", "mend.csv"]).ends_with(0);
    let sheet = place.read("mend.csv");
    assert!(sheet.contains("source,row,line,euid,Kunde,outcome,"), "{sheet}");
    assert!(sheet.contains("ids.csv,2,3,,''=x,rejected,no_contacts"), "{sheet}");
    // Mended, it is an input under the same options.
    place.file("mend.csv", sheet.replace("raw\n", "email,raw\n").replace(",\n", ",a@example.com,\n"));
    let options = ["--contacts", "email", "--id-column", "Kunde", "--report-all", "--report", "m.ndjson", BY[0], BY[1]];
    place.run(&[&["check", "mend.csv"][..], &options].concat()).ends_with(0);
    let ids: Vec<_> = place.json_lines("m.ndjson").iter().map(|record| record["id"].clone()).collect();
    assert_eq!(ids, ["secret-7", "=x"]);
}

#[test]
fn an_id_in_very_many_rows_is_warned_of() {
    let rows: String = (0..2_100)
        .map(|row| if row % 2 == 0 { "guest,a@example.com\n".to_owned() } else { format!("a-{row},a@example.com\n") })
        .collect();
    let place = place(&rows);
    for command in [&["check"][..], &["push", "--dry-run"]] {
        let said = place.run(&[command, &["a.csv"], &BY].concat()).ends_with(0).never_says("guest");
        assert_eq!(said.stderr.matches("stands in over 1,000 rows").count(), 1, "{said}");
        said.says("a.csv row 2001 (line 2002)");
    }
}

#[test]
fn a_replay_asks_for_no_id_unasked_and_of_no_other_kind() {
    let place = Workplace::new();
    let record = |row: u64, euid: &str, id: &str, reason: &str| {
        format!(
            r#"{{"source":"a.csv","row":{row},"line":{},"euid":"{euid}","id":"{id}","outcome":"failed","reason":"{reason}","code":null,"message":null,"http_status":null,"attempts":1,"latency_ms":null,"at":"2026-01-31T09:08:07.006Z","contacts":{{"email":"a@example.com"}},"raw":null}}"#,
            row + 1
        ) + "\n"
    };
    place.file("r.ndjson", record(1, "7", "secret-1", "timeout") + &record(2, "", "secret-2", "network"));
    let replay = |more: &[&'static str]| place.run(&[&["replay", "r.ndjson", "--max-age", "365d"], more].concat());
    let refused = replay(&["--sandbox", "--report", "x.ndjson"]).ends_with(2);
    let refused = refused.says("1 of the rows failed before an EUID was obtained").says("`--identify-by KIND`");
    refused.never_says("secret");
    assert!(!place.exists("x.ndjson"), "nothing was begun");
    // A replay would send none, and its dry run lists none.
    let refused = replay(&["--dry-run"]).ends_with(2).says("before an EUID was obtained").never_says("secret");
    assert_eq!(refused.stdout, "", "{refused}");
    let listed = replay(&["--dry-run", BY[0], BY[1]]).ends_with(0).never_says("before an EUID was obtained");
    assert_eq!(listed.stdout.lines().count(), 2, "{listed}");

    // What lies beside a report says by what its rows are keyed.
    place.file("a.csv", "user_id,email\nsecret-1,a@example.com\n");
    let failing = ["--sandbox-fault", "status=502:1", "--retries", "0", "--outage-wait", "0", "--max-failures", "none"];
    let push = ["push", "a.csv", "--sandbox", "--id-column", "user_id", "--report", "p.ndjson", "--identify-by"];
    place.run(&[&push[..], &["anonymous_id"], &failing].concat()).ends_with(1).never_says("secret");
    assert_eq!(place.json_lines("p.ndjson")[0]["euid"], "");
    let replay = |more: &[&'static str]| {
        place.run(&[&["replay", "p.ndjson", "--sandbox", "--report", "x.ndjson"], more].concat())
    };
    let other = replay(&BY).ends_with(2).says("keyed by anonymous_id, not by user_id");
    other.says("`--identify-by anonymous_id`");
    replay(&[]).ends_with(2).says("`--identify-by anonymous_id`");
    assert!(!place.exists("x.ndjson"));
    place.file("p.ndjson.run", "{}");
    replay(&BY).ends_with(2).says("p.ndjson.run is damaged");
}
