//! The table of docs/design/0005-what-becomes-of-a-row.md, cell by cell: a report is made with this last record for the
//! row of EUID 1, the command is run, and what the service received is looked at.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{service::Service, support::Workplace};

const INPUT: &str = "euid,email\n1,new@example.com\n2,other@example.com\n";

/// Rows of the table: the last record, and a cell for each column.
fn table() -> (Vec<String>, Vec<Vec<String>>) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/design/0005-what-becomes-of-a-row.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|--"))
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<String>>());
    let head = rows.next().unwrap();
    (head, rows.collect())
}

fn record(row: u64, euid: u64, outcome: &str, reason: &str, minutes_ago: i64) -> Value {
    let at = Timestamp::from_millisecond(Timestamp::now().as_millisecond() - minutes_ago * 60_000).unwrap();
    let contacts = if outcome == "failed" { json!({"email": format!("row{row}@example.com")}) } else { Value::Null };
    json!({
        "source": "a.csv", "row": row, "line": row + 1, "euid": euid.to_string(), "outcome": outcome, "reason": reason,
        "code": null, "message": null, "http_status": null, "attempts": 1, "latency_ms": 1, "at": at.to_string(),
        "contacts": contacts, "raw": null,
    })
}

fn lines(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// The report of a run over two rows, of which the second was accepted and the first has this last record.
fn report(last: &str) -> String {
    let other = record(2, 2, "synced", "", 90);
    let mut words = last.split(' ');
    match (words.next().unwrap(), words.next().unwrap_or("")) {
        ("none", _) => lines(&[other]),
        ("torn", _) => {
            let whole = lines(&[other, record(1, 1, "failed", "timeout", 89)]);
            whole[..whole.len() - 20].to_owned()
        }
        (outcome, reason) => lines(&[other, record(1, 1, outcome, reason, 89)]),
    }
}

/// What happens to the row of EUID 1.
fn happens(last: &str, column: &str) -> &'static str {
    let service = Service::with_faults(&[]);
    let elsewhere = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", INPUT);
    let push = ["push", "a.csv", "--rate", "unlimited", "--report", "r.ndjson", "--resume"];
    place.run(&push).ends_with(0);
    let before = service.record().requests(1).len();
    let report = report(last);
    place.file("r.ndjson", &report);
    let mut run: Value = serde_json::from_str(&place.read("r.ndjson.run")).unwrap();
    if column != "resume of a finished run" {
        run["finished"] = Value::Null;
    }
    place.file("r.ndjson.run", run.to_string());
    place.file("failed.ndjson", lines(&[record(1, 1, "failed", "timeout", 10)]));
    place.file("accepted.ndjson", lines(&[record(7, 1, "synced", "", 10)]));
    let replay = |more: &[&'static str]| {
        [&["replay", "r.ndjson", "--rate", "unlimited", "--report", "again.ndjson"], more].concat()
    };
    let url = elsewhere.url();
    let arguments = match column {
        "resume" | "resume of a finished run" | "other key" => push.to_vec(),
        "changed input" => {
            place.file("a.csv", INPUT.replace("other", "changed"));
            push.to_vec()
        }
        "other target" => [&push[..], &["--base-url", &url]].concat(),
        "replay" => replay(&[]),
        "replay --all" => replay(&["--all"]),
        "replay, row failed in a later night" => replay(&["failed.ndjson"]),
        "replay, EUID accepted in a later night" => replay(&["accepted.ndjson"]),
        other => panic!("a column without a test: {other}"),
    };
    let place = if column == "other key" { place.variable("ENGAGELAB_MA_API_KEY", "another") } else { place };
    let ran = place.run(&arguments);
    let sent = service.record().requests(1).len() - before + elsewhere.record().requests(1).len();
    match (ran.status, sent) {
        (Some(2), 0) => {
            assert_eq!(place.read("r.ndjson"), report, "exit 2 changes nothing");
            "exit 2"
        }
        (Some(0 | 1), 0) => "kept",
        (Some(0 | 1), 1) => "sent",
        _ => panic!("{last}, {column}: {sent} requests\n{ran}"),
    }
}

#[test]
fn every_cell_of_the_table_holds() {
    let (head, rows) = table();
    assert!(head.len() >= 9 && rows.len() >= 10, "the table was not found");
    let cells = rows.iter().flat_map(|row| row.iter().zip(&head).skip(1).map(|(cell, column)| (&row[0], column, cell)));
    let wrong: Vec<String> = cells
        .filter_map(|(last, column, expected)| {
            let seen = happens(last, column);
            (seen != expected).then(|| format!("{last}, {column}: {seen}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_key_is_bound_by_the_first_accepted_row_only() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", INPUT);
    let push = ["push", "a.csv", "--report", "r.ndjson", "--resume"];
    let place = place.variable("ENGAGELAB_MA_API_KEY", "wrong");
    place.run(&push).ends_with(3).says("then resume").says("push a.csv --report r.ndjson --resume");
    let place = place.variable("ENGAGELAB_MA_API_KEY", "sandbox-key");
    place.run(&push).ends_with(0);
    assert_eq!(
        (service.record().contacts().len(), place.json_lines("r.ndjson.run")[0]["finished"]["rows"] == 2),
        (2, true)
    );
    let run = place.read("r.ndjson.run");
    assert!(!run.contains("sandbox-key") && !run.contains("example.com"), "{run}");
}

#[test]
fn a_new_key_of_the_same_project_can_be_accepted() {
    let options = sandbox::SandboxOptions { api_key: "renewed".to_owned(), ..sandbox::SandboxOptions::default() };
    let renewed = Service::start(options);
    let place = renewed.workplace();
    place.file("a.csv", INPUT);
    place.file("r.ndjson", lines(&[record(2, 2, "synced", "", 90)]));
    let blake3 = blake3::hash(INPUT.as_bytes()).to_hex().to_string();
    let run = json!({
        "format": 1, "command": "push", "target": renewed.url(), "api_key": "0123", "options": {}, "finished": null,
        "inputs": [{"source": "a.csv", "bytes": INPUT.len(), "blake3": blake3, "ended": true}],
    });
    place.file("r.ndjson.run", run.to_string());
    let place: Workplace = place.variable("ENGAGELAB_MA_API_KEY", "renewed");
    let push = ["push", "a.csv", "--report", "r.ndjson", "--resume"];
    place.run(&push).ends_with(2).says("another API key").says("--accept-new-key");
    place.run(&[&push[..], &["--accept-new-key"]].concat()).ends_with(0);
    place.run(&push).ends_with(0).says("this run finished at");
    assert_eq!(renewed.record().requests(1).len(), 1);
}
