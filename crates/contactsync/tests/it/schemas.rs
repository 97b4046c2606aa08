//! What is written for programs is what docs/schema says: the output of every kind of run is held against it.

use std::{collections::BTreeSet, path::Path};

use jsonschema::Validator;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Running, Workplace, fixture},
};

fn schema(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn validator(name: &str) -> Validator {
    jsonschema::options().should_validate_formats(true).build(&schema(name)).unwrap()
}

/// The schemas, and the words that what was held against them had.
struct Schemas {
    record: Validator,
    summary: Validator,
    overview: Validator,
    outcomes: BTreeSet<String>,
    reasons: BTreeSet<String>,
    stopped_by: BTreeSet<String>,
}

impl Schemas {
    fn new() -> Self {
        Self {
            record: validator("report-record.json"),
            summary: validator("summary.json"),
            overview: validator("report-overview.json"),
            outcomes: BTreeSet::new(),
            reasons: BTreeSet::new(),
            stopped_by: BTreeSet::new(),
        }
    }

    /// Runs a command, and holds its report, its summary and what `report --json` says of it against the schemas.
    fn run(&mut self, place: &Workplace, status: i32, command: &str) {
        for name in ["r.ndjson", "r.ndjson.run", "s.json"] {
            // It is there only where an earlier run of the place left one.
            let _ = std::fs::remove_file(place.path(name));
        }
        self.run_again(place, status, command);
    }

    /// The same on the report that is there.
    fn run_again(&mut self, place: &Workplace, status: i32, command: &str) {
        let mut arguments: Vec<String> = command.split(' ').map(|word| found(place, word)).collect();
        arguments.extend(["--summary", "s.json"].map(str::to_owned));
        if !command.contains("--dry-run") {
            arguments.extend(["--report", "r.ndjson"].map(str::to_owned));
        }
        place.run(&arguments).ends_with(status);
        self.look(place, command);
    }

    fn look(&mut self, place: &Workplace, command: &str) {
        let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
        conforms(&self.summary, &summary, command);
        self.stopped_by.extend(summary["stopped_by"].as_str().map(str::to_owned));
        if !place.exists("r.ndjson") {
            return;
        }
        for record in place.json_lines("r.ndjson") {
            conforms(&self.record, &record, command);
            self.outcomes.insert(record["outcome"].as_str().unwrap().to_owned());
            self.reasons.insert(record["reason"].as_str().unwrap().to_owned());
        }
        let overview = place.run(&["report", "r.ndjson", "--json"]).ends_with(0).json();
        conforms(&self.overview, &overview, command);
    }
}

/// A fixture where there is one of that name.
fn found(place: &Workplace, word: &str) -> String {
    let there = fixture(word);
    if there.is_file() && !place.exists(word) { there.to_str().unwrap().to_owned() } else { word.to_owned() }
}

#[track_caller]
fn conforms(validator: &Validator, value: &Value, of: &str) {
    let faults: Vec<String> = validator.iter_errors(value).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{of}: {}\n{value}", faults.join("\n"));
}

fn words<const N: usize>(words: [&str; N]) -> BTreeSet<String> {
    words.map(str::to_owned).into()
}

#[test]
fn what_pushes_and_checks_write_is_as_the_schemas_say() {
    let mut schemas = Schemas::new();
    let place = Workplace::new();
    for (status, command) in [
        (0, "check contacts.csv"),
        (0, "check contacts.csv --report-all --report-contacts always --shard 0/2"),
        (1, "check every-rejection.csv"),
        (1, "check every-rejection.ndjson --report-contacts never"),
        (1, "check --identify-by user_id --id-column crm_id own-ids.csv --report-all"),
        (0, "push --sandbox contacts.csv"),
        (0, "push --sandbox contacts.csv --shard 1/2 --report-contacts always"),
        (1, "push --sandbox every-rejection.csv"),
        (1, "push --sandbox every-rejection.ndjson --report-contacts never"),
        (1, "push --sandbox --sandbox-fault code=55004:0.4 --sandbox-fault code=-1:0.4 --retries 0 contacts.csv"),
        (1, "push --sandbox --sandbox-fault status=404:0.5 contacts.csv"),
        (0, "push --sandbox --sandbox-fault code=55014:0.5 --ok-code 55014 contacts.csv"),
        (1, "push --sandbox --sandbox-fault drop:0.5 --sandbox-fault garbage:0.5 --retries 0 contacts.csv"),
        (1, "push --sandbox --sandbox-fault status=502:1 --retries 0 --outage-wait 0 contacts.csv"),
        (3, "push --sandbox --sandbox-fault code=40050:1 contacts.csv"),
        (4, "push --sandbox --sandbox-fault code=55004:1 --max-failures 3 contacts.csv"),
        (6, "push --sandbox --sandbox-fault status=503:1 --retry-base 1ms --outage-wait 1ms contacts.csv"),
        (7, "push --sandbox --rate 1/s --max-duration 300ms contacts.csv"),
        (1, "push --sandbox --identify-by user_id --id-column crm_id own-ids.csv --state ids.state"),
        (1, "push --sandbox --identify-by user_id --id-column crm_id own-ids.csv --state ids.state --report-unchanged"),
        (1, "push --sandbox --identify-by user_id --id-column crm_id own-ids.csv --state ids.state --dry-run"),
        (0, "push --sandbox contacts.csv --dry-run --rate unlimited"),
        (0, "push --sandbox contacts.csv --state a.state --dry-run"),
        (0, "push --sandbox contacts.csv --state a.state"),
        (0, "push --sandbox contacts.csv --state a.state --report-unchanged --report-contacts always"),
        (2, "push --sandbox contacts.csv --state a.state --min-rows 100"),
        (0, "push --sandbox contacts.csv --state a.state --dry-run"),
        (0, "push --sandbox contacts.csv --compare-service"),
    ] {
        schemas.run(&place, status, command);
    }
    place.file("cut.csv.gz", &std::fs::read(fixture("contacts.csv.gz")).unwrap()[..150]);
    schemas.run(&place, 5, "push --sandbox cut.csv.gz");
    assert_eq!(schemas.stopped_by, words(["credentials", "input", "max_failures", "outage", "time"]));
    assert_eq!(schemas.outcomes, words(["failed", "rejected", "synced", "unchanged", "valid"]));
    assert!(schemas.reasons.len() > 18, "{:?}", schemas.reasons);
}

#[test]
fn what_is_stopped_resumed_replayed_and_verified_is_as_the_schemas_say() {
    let mut schemas = Schemas::new();
    let service = Service::with_faults(&["code=-1:0.5"]);
    let place = service.workplace();
    place.file("a.csv", users(60));
    let slowly = ["push", "a.csv", "--rate", "5/s", "--retries", "0", "--report", "r.ndjson", "--summary", "s.json"];
    let mut running = Running::start(&mut place.command(&slowly));
    running.until("a record", || !place.read_if_there("r.ndjson").is_empty());
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
    schemas.look(&place, "a push that was stopped");
    schemas.run_again(&place, 1, "push a.csv --rate unlimited --retries 0 --resume");
    std::fs::rename(place.path("r.ndjson"), place.path("night.ndjson")).unwrap();
    service.set_faults::<&str>(&[]);
    // Of what failed in the night some is there by now.
    schemas.run(&place, 1, "verify a.csv --settle 0s --shard 0/2");
    schemas.run(&place, 0, "replay night.ndjson --rate unlimited");
    place.file("b.csv", "euid,email\n1,later@example.com\n1,user1@example.com\n2,other@example.com\nx,\n");
    schemas.run(&place, 1, "verify b.csv --settle 0s --report-contacts always");
    assert_eq!(schemas.stopped_by, words(["signal"]));
    assert_eq!(schemas.outcomes, words(["different", "failed", "landed", "rejected", "superseded", "synced"]));
    let shards = ["push", "a.csv", "--shard", "0/2", "--rate", "unlimited", "--report", "shard.ndjson"];
    place.run(&shards).ends_with(0);
    let overview = place.run(&["report", "shard.ndjson", "r.ndjson", "night.ndjson", "--json"]).ends_with(0).json();
    conforms(&schemas.overview, &overview, "several reports");
    assert_eq!(overview["shards"].as_array().map(Vec::len), Some(1), "{overview}");
}

/// The object with a field taken away, for each of them.
fn each_without_a_field(whole: &Value) -> impl Iterator<Item = (String, Value)> {
    whole.as_object().unwrap().keys().map(|name| {
        let mut lacking = whole.clone();
        lacking.as_object_mut().unwrap().remove(name);
        (format!("without {name}"), lacking)
    })
}

fn with(whole: &Value, name: &str, value: Value) -> (String, Value) {
    let mut changed = whole.clone();
    let said = format!("{name} {value}");
    changed[name] = value;
    (said, changed)
}

#[test]
fn what_is_wrong_is_refused_by_the_schemas() {
    let place = Workplace::new();
    place
        .run(&[
            "push",
            "--sandbox",
            fixture("contacts.csv").to_str().unwrap(),
            "--report",
            "r.ndjson",
            "--summary",
            "s.json",
        ])
        .ends_with(0);
    let record = place.json_lines("r.ndjson").remove(0);
    let of_records = validator("report-record.json");
    conforms(&of_records, &record, "a record");
    let changed = [
        ("outcome", json!("sent")),
        ("reason", json!("Timeout")),
        ("row", json!(0)),
        ("line", json!(-1)),
        ("row", json!("1")),
        ("euid", json!(1)),
        ("http_status", json!(42)),
        ("code", json!("0")),
        ("at", json!("yesterday")),
        ("at", json!("2026-01-31T02:00:00+01:00")),
        ("attempts", Value::Null),
        ("contacts", json!({"email": 1})),
        ("outcome", json!("rejected")),
        ("sent", json!(true)),
    ];
    let changed = changed.map(|(name, value)| with(&record, name, value));
    for (what, wrong) in each_without_a_field(&record).chain(changed) {
        assert!(!of_records.is_valid(&wrong), "{what}: {wrong}");
    }
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    let of_summaries = validator("summary.json");
    conforms(&of_summaries, &summary, "a summary");
    let changed = [
        ("stopped_by", json!("boredom")),
        ("exit_code", json!(9)),
        ("rows_read", json!(-1)),
        ("elapsed_seconds", json!(-0.5)),
        ("reasons", json!({"Timeout": 1})),
        ("reasons", json!({"timeout": 0})),
        ("codes", json!({"none": 1})),
        ("started_at", json!("2026-01-31")),
        ("latency_ms", json!({"p50": 1})),
        ("inputs", json!([{"source": "a.csv", "rows": 1}])),
        ("shard", json!("1 of 2")),
        // Of a verify it has more.
        ("landed", json!(1)),
    ];
    let changed = changed.map(|(name, value)| with(&summary, name, value));
    for (what, wrong) in each_without_a_field(&summary).chain(changed) {
        assert!(!of_summaries.is_valid(&wrong), "{what}: {wrong}");
    }
}

#[test]
fn the_columns_of_csv_are_the_fields_of_the_schema() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas.md");
    let page = std::fs::read_to_string(page).unwrap();
    let place = Workplace::new();
    let contacts = fixture("contacts.csv");
    let ids = fixture("own-ids.csv");
    let plain = ["check", contacts.to_str().unwrap(), "--report", "a.csv"];
    let by_id =
        ["check", ids.to_str().unwrap(), "--report", "b.csv", "--identify-by", "user_id", "--id-column", "crm_id"];
    place.run(&plain).ends_with(0);
    place.run(&by_id).ends_with(1);
    let schema = schema("report-record.json");
    let fields: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut columns = BTreeSet::new();
    let headers = ["a.csv", "b.csv"].map(|report| place.read(report).lines().next().unwrap().to_owned());
    for header in &headers {
        assert!(page.contains(&format!("```text\n{header}\n```")), "docs/schemas.md lacks {header}");
        columns.extend(header.split(','));
    }
    assert_eq!(columns, fields);
}
