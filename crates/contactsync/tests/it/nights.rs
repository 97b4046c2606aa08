//! Nights side by side: rows that were unchanged, and what changed.

use report::RowSet;
use serde_json::{Value, json};

use crate::support::Workplace;

fn record(row: u64, outcome: &str, reason: &str, at: &str) -> Value {
    json!({
        "source": "export.csv", "row": row, "line": row + 1, "euid": row.to_string(), "outcome": outcome,
        "reason": reason, "code": null, "message": null, "http_status": null,
        "attempts": i32::from(outcome == "synced" || outcome == "failed"), "latency_ms": null, "at": at,
        "contacts": null, "raw": null,
    })
}

fn run_file(unchanged: u64, names: &Value, finished: Option<&str>) -> String {
    let mut rows = RowSet::default();
    rows.insert(1..unchanged + 1);
    json!({
        "format": 1, "command": "push", "target": "sandbox", "api_key": null, "options": {},
        "inputs": [{"source": "export.csv", "bytes": 0, "blake3": "", "ended": true, "unchanged": rows}],
        "comparison": {"unchanged": unchanged, "names": names},
        "finished": finished.map(|at| json!({"at": at, "rows": unchanged})),
    })
    .to_string()
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// Three nights of a thousand rows and more; in the second nothing changed.
fn nights(place: &Workplace) {
    let at = |day: u64, second: u64| format!("2026-01-{day:02}T02:00:{second:02}.000Z");
    place.file(
        "mon.ndjson",
        lines(&[
            record(1_001, "synced", "", &at(5, 1)),
            record(1_002, "failed", "credentials", &at(5, 2)),
            record(1_003, "rejected", "euid_invalid", &at(5, 3)),
            record(1_002, "synced", "", &at(5, 4)),
            // It has a record as well.
            record(7, "unchanged", "", &at(5, 5)),
        ]),
    );
    let names = json!({"email": {"changed": 1}, "mobile_phone": {"new": 2, "cleared": 1}});
    place.file("mon.ndjson.run", run_file(1_000, &names, Some(&at(5, 31))));
    place.file("tue.ndjson", "");
    place.file("tue.ndjson.run", run_file(1_003, &json!({}), Some(&at(6, 4))));
    place.file(
        "wed.ndjson",
        lines(&[record(5, "synced", "", &at(7, 0)), record(1_005, "failed", "timeout", &at(7, 1))]),
    );
    let names = json!({"email": {"changed": 1, "new": 1}, "hidden-word@example.com": {"new": 1}});
    place.file("wed.ndjson.run", run_file(4, &names, None));
}

#[test]
fn unchanged_rows_count_also_where_only_the_run_names_them() {
    let place = Workplace::new();
    nights(&place);
    let figures = place.run(&["report", "mon.ndjson", "--json"]).ends_with(0).json();
    assert_eq!(
        (&figures["rows"], &figures["unchanged"], &figures["synced"]),
        (&json!(1_003), &json!(1_000), &json!(2))
    );
    assert_eq!(figures["sources"]["export.csv"]["unchanged"], 1_000);
    let alone = &figures["reports"][0];
    assert_eq!((&alone["rows"], &alone["unchanged"], &alone["seconds"]), (&json!(1_003), &json!(1_000), &json!(30.0)));
    assert_eq!(figures["changes"]["mobile_phone"], json!({"new": 2, "changed": 0, "cleared": 1}));
    let table = place.run(&["report", "mon.ndjson"]).ends_with(0).stdout;
    for line in
        ["1003 rows\n", "  unchanged          1000   99.7 %", "           2            0            1  mobile_phone\n"]
    {
        assert!(table.contains(line), "{line}\n{table}");
    }
    assert!(!table.contains("began"), "one night has none beside it");
    for (filter, rows) in [
        (["--outcome", "unchanged"], 1_000),
        (["--outcome", "synced"], 2),
        (["--reason", "euid_invalid"], 1),
        (["--source", "export.csv"], 1_003),
        (["--source", "other.csv"], 0),
    ] {
        let figures = place.run(&[&["report", "mon.ndjson", "--json"], &filter[..]].concat()).ends_with(0).json();
        assert_eq!(figures["rows"], rows, "{filter:?}");
        assert_eq!(figures["changes"], json!({}), "of a part it isn't known: {filter:?}");
    }
    // Read from a pipe nothing lies beside it.
    let piped =
        place.run_with_stdin(&["report", "-", "--json"], place.read("mon.ndjson").as_bytes()).ends_with(0).json();
    assert_eq!(piped["rows"], 4);
}

#[test]
fn nights_stand_side_by_side_in_the_order_of_time() {
    let place = Workplace::new();
    nights(&place);
    let report = ["report", "wed.ndjson", "tue.ndjson", "mon.ndjson"];
    let figures = place.run(&[&report[..], &["--json"]].concat()).ends_with(0).never_says("hidden-word").json();
    let reports: Vec<Value> = figures["reports"].as_array().unwrap().clone();
    let figure = |name: &str| reports.iter().map(|report| report[name].clone()).collect::<Vec<_>>();
    assert_eq!(figure("report"), ["mon.ndjson", "tue.ndjson", "wed.ndjson"]);
    assert_eq!(figure("rows"), [1_003, 1_003, 6]);
    assert_eq!(figure("unchanged"), [1_000, 1_003, 4]);
    assert_eq!(
        (figure("synced"), figure("failed"), figure("attempts")),
        (vec![json!(2), json!(0), json!(1)], vec![json!(0), json!(0), json!(1)], vec![json!(2), json!(0), json!(2)])
    );
    assert_eq!(figure("seconds"), [json!(30.0), Value::Null, json!(1.0)]);
    assert_eq!(
        figures["changes"],
        json!({"email": {"new": 1, "changed": 2, "cleared": 0}, "mobile_phone": {"new": 2, "changed": 0, "cleared": 1}, "•••": {"new": 1, "changed": 0, "cleared": 0}})
    );
    // Together: what has a record somewhere is what that says.
    assert_eq!((&figures["rows"], &figures["unchanged"], &figures["synced"]), (&json!(1_004), &json!(999), &json!(3)));
    let table = place.run(&report).ends_with(0).never_says("hidden-word").stdout;
    assert!(table.contains("2026-01-06 02:00:04        1003        1003           0         0         0          0               tue.ndjson\n"), "{table}");
    place.run(&[&report[..], &["--html", "page.html"]].concat()).ends_with(0);
    let page = place.read("page.html");
    assert!(page.contains("Reports side by side") && page.contains("What changed") && !page.contains("hidden-word"));
    assert_eq!((page.matches("data-label=\"Took\"").count(), page.matches("not finished").count()), (3, 1));
    assert!(table.contains("  wed.ndjson (not finished)\n") && table.matches("not finished").count() == 1, "{table}");
}

#[test]
fn a_night_that_did_not_come_to_its_end_says_so_alone_too() {
    let place = Workplace::new();
    nights(&place);
    place.file("wed.ndjson", lines(&[record(5, "synced", "", "2026-01-07T02:00:00.000Z")]));
    let said = "the run did not come to its end";
    place.run(&["report", "wed.ndjson", "--html", "page.html"]).ends_with(0);
    let page = place.read("page.html");
    assert!(page.to_lowercase().contains(said) && !page.contains("All is well"));
    let table = place.run(&["report", "wed.ndjson"]).ends_with(0).stdout.to_lowercase();
    assert!(table.contains(said), "{table}");
    place.run(&["report", "tue.ndjson", "--html", "page.html"]).ends_with(0).never_says(said);
    assert!(place.read("page.html").contains("All is well: 1\u{202f}003 rows unchanged."));
    place.run(&["report", "tue.ndjson", "wed.ndjson", "--html", "page.html"]).ends_with(0);
    assert!(place.read("page.html").contains("1 of 2 runs did not come to their end. Until then: "));
}

#[test]
fn a_run_file_that_is_damaged_is_told_and_left_out() {
    let place = Workplace::new();
    nights(&place);
    let run = place.read("mon.ndjson.run");
    place.file("mon.ndjson.run", run.replacen("\"unchanged\":\"", "\"unchanged\":\"A", 1));
    let ran = place.run(&["report", "mon.ndjson", "--json"]).ends_with(0).says("mon.ndjson.run is damaged");
    assert_eq!(ran.says("are in no figure").json()["rows"], 4);
}
