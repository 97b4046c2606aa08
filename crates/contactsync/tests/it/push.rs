//! The main job: what arrives at the service, and what the report says of it.

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use proptest::prelude::*;
use sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::Workplace,
};

const FAST: [&str; 5] = ["push", "--rate", "unlimited", "--report", "report.ndjson"];

fn push<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&FAST, more].concat()
}

/// Rows of a report by outcome.
fn outcomes(report: &[Value]) -> BTreeMap<String, usize> {
    let mut outcomes = BTreeMap::new();
    for record in report {
        *outcomes.entry(record["outcome"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    outcomes
}

#[test]
fn every_row_arrives_and_is_in_the_report() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email,mobile_phone\n1,a@example.com,\n2,,+12025550101\n");
    place.file("b.ndjson", "{\"euid\":3,\"contacts\":{\"email\":\"c@example.com\",\"x\":\"y\"}}\n");
    place.run(&push(&["a.csv", "b.ndjson", "--summary", "summary.json"])).ends_with(0).says("3 rows read");
    let stored = serde_json::to_value(service.record().contacts()).unwrap();
    assert_eq!(
        stored,
        json!({"1": {"email": "a@example.com"}, "2": {"mobile_phone": "+12025550101"}, "3": {"email": "c@example.com", "x": "y"}})
    );
    let report = place.json_lines("report.ndjson");
    assert_eq!(outcomes(&report), BTreeMap::from([("synced".to_owned(), 3)]));
    assert!(report.iter().all(|record| record["contacts"].is_null() && record["code"] == 0));
    let mode = std::fs::metadata(place.path("report.ndjson")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let summary: Value = serde_json::from_str(&place.read("summary.json")).unwrap();
    assert_eq!(
        summary["inputs"],
        json!([{"source": "a.csv", "rows": 2, "bytes": 57}, {"source": "b.ndjson", "rows": 1, "bytes": 56}])
    );
    assert_eq!(
        (&summary["exit_code"], &summary["stopped_by"], &summary["sandbox"]),
        (&json!(0), &json!(null), &json!(false))
    );
}

#[test]
fn a_hundred_thousand_rows_under_faults_are_each_decided_once() {
    let service = Service::with_faults(&["code=-1:0.05", "drop:0.01", "status=502:0.01"]);
    let place = service.workplace();
    place.file("users.csv", users(100_000));
    let ran = place.run(&push(&["users.csv", "--summary", "-", "--retry-base", "1ms"]));
    let summary = ran.json();
    let report = place.json_lines("report.ndjson");
    assert_eq!(report.len(), 100_000);
    let mut rows: Vec<u64> = report.iter().map(|record| record["row"].as_u64().unwrap()).collect();
    rows.sort_unstable();
    assert!(rows.iter().copied().eq(1..=100_000), "each row once");
    let record = service.record();
    let (stats, stored) = (record.stats(), record.contacts());
    for row in &report {
        let euid: u64 = row["euid"].as_str().unwrap().parse().unwrap();
        let answers = record.requests(euid);
        assert_eq!(row["attempts"], json!(answers.len()), "EUID {euid}");
        let landed = answers.last().is_some_and(|answer| answer.answered == 0);
        assert_eq!(row["outcome"] == "synced", landed, "EUID {euid}");
        assert!(landed || ["server_error", "network", "http_5xx"].contains(&row["reason"].as_str().unwrap()));
        assert_eq!(
            landed,
            stored.get(&euid).is_some_and(|contacts| contacts["email"] == format!("user{euid}@example.com"))
        );
    }
    assert_eq!((&summary["rows_read"], &summary["attempts"]), (&json!(100_000), &json!(stats.requests)));
    assert!(!record.any_overlap() && stats.in_flight_peak <= 64);
    let synced = summary["synced"].as_u64().unwrap();
    assert_eq!((synced + summary["failed"].as_u64().unwrap(), stats.by_code["0"]), (100_000, synced));
}

#[test]
fn a_limit_of_the_service_is_waited_out() {
    let limit = Some(sandbox::Limit { count: 20, per: std::time::Duration::from_millis(300) });
    let service = Service::start(SandboxOptions { limit, ..SandboxOptions::default() });
    let place = service.workplace();
    place.file("users.csv", users(45));
    place.run(&push(&["users.csv", "--in-flight", "4"])).ends_with(0);
    assert!(service.record().stats().by_status[&429] > 0);
}

#[test]
fn a_report_in_csv_has_every_field() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\nx,\"a,b\"\n");
    place.run(&["push", "a.csv", "--report", "r.csv"]).ends_with(1);
    let report = place.read("r.csv");
    let (header, row) = report.split_once('\n').unwrap();
    assert_eq!(
        header,
        "source,row,line,euid,outcome,reason,code,message,http_status,attempts,latency_ms,at,contacts,raw"
    );
    assert!(row.starts_with("a.csv,1,2,x,rejected,euid_invalid,,\"the EUID is not a whole number"), "{row}");
    assert!(row.contains(r#","{""email"":""a,b""}","#), "{row}");
}

#[test]
fn contacts_are_shown_as_the_policy_says() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,a@example.com\n1.0,b@example.com\n2,c@example.com,x\n");
    for (policy, shown) in [("failed", [false, true, true]), ("always", [true, true, true]), ("never", [false; 3])] {
        let report = format!("{policy}.ndjson");
        place.run(&["push", "a.csv", "--report", &report, "--report-contacts", policy]).ends_with(1);
        let report = place.read(&report);
        for (value, shown) in ["a@example.com", "b@example.com", "c@example.com"].iter().zip(shown) {
            assert_eq!(report.contains(value), shown, "{policy} {value}: {report}");
        }
        assert_eq!(report.contains("found \\\"1.0"), policy != "never", "{report}");
    }
}

#[test]
fn skip_and_limit_count_rows_of_all_the_input() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.file("a.csv", users(5));
    place.file("b.csv", "euid,email\n11,a\n12,b\n13,c\n");
    place.run(&push(&["a.csv", "b.csv", "--skip", "3", "--limit", "4"])).ends_with(0).says("4 rows read");
    assert_eq!(service.record().contacts().into_keys().collect::<Vec<_>>(), [4, 5, 11, 12]);
}

#[test]
fn standard_input_is_an_input() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    place.run_with_stdin(&push(&["-"]), b"{\"euid\":7,\"email\":\"a\"}").ends_with(0);
    assert_eq!(place.json_lines("report.ndjson")[0]["source"], "-");
}

#[test]
fn the_sandbox_needs_no_credentials_and_says_that_nothing_left() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    place.run(&push(&["a.csv", "--sandbox"])).ends_with(0).says("nothing left this machine");
}

#[test]
fn a_code_can_be_called_accepted() {
    let service = Service::with_faults(&["code=55014:1"]);
    let place = service.workplace();
    place.file("a.csv", users(1));
    place.run(&push(&["a.csv", "--ok-code", "55014"])).ends_with(0);
    let record = &place.json_lines("report.ndjson")[0];
    assert_eq!(
        (&record["outcome"], &record["reason"], &record["code"]),
        (&json!("synced"), &json!("contact_exists"), &json!(55014))
    );
}

#[test]
fn verbose_twice_logs_each_decision() {
    let service = Service::with_faults(&["code=55004:1"]);
    let place = service.workplace();
    place.file("a.csv", users(2));
    let ran = place.run(&["-vv", "push", "a.csv", "--report", "report.ndjson", "--color", "never"]).ends_with(1);
    ran.says("row=1 line=2").says("row=2 line=3").says("parameters_invalid").never_says("@example.com");
}

#[test]
fn no_secret_and_no_value_reaches_a_message() {
    let service = Service::with_faults(&["status=500:0.5", "garbage:0.2"]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,secret-value@example.com\nx,secret-value@example.com\n");
    let ran = place.run(&["-vvv", "push", "a.csv", "--retry-base", "1ms", "--summary", "-"]);
    let encoded = "c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ=";
    ran.never_says("sandbox-secret").never_says("sandbox-key").never_says(encoded).never_says("secret-value");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    /// Whatever the rows and the faults: per EUID the service sees them in input order, one at a time, and the books
    /// agree with what it saw.
    #[test]
    fn per_euid_the_service_sees_input_order(
        euids in prop::collection::vec(1_u64..12, 1..150), seed in any::<u64>(), bad in 0.0_f64..0.4
    ) {
        let faults = [format!("code=-1:{bad}"), "drop:0.1".to_owned(), "garbage:0.1".to_owned()];
        let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        let service = Service::start(SandboxOptions { seed, faults, ..SandboxOptions::default() });
        let place = service.workplace();
        let rows: String = euids.iter().enumerate().map(|(index, euid)| format!("{euid},{index}\n")).collect();
        place.file("a.csv", format!("euid,email\n{rows}"));
        let ran = place.run(&push(&["a.csv", "--retry-base", "1ms", "--max-failures", "none"]));
        prop_assert!(matches!(ran.status, Some(0 | 1)), "{}", ran);
        let report = place.json_lines("report.ndjson");
        prop_assert_eq!(report.len(), euids.len());
        prop_assert!(!service.record().any_overlap());
        for euid in 1..12 {
            let arrived: Vec<usize> = service.record().requests(euid).iter()
                .map(|request| request.contacts["email"].as_str().unwrap().parse().unwrap()).collect();
            prop_assert!(arrived.is_sorted(), "{:?}", arrived);
            let mut distinct = arrived.clone();
            distinct.dedup();
            let rows: Vec<usize> = (0..euids.len()).filter(|index| euids[*index] == euid).collect();
            prop_assert_eq!(distinct, rows);
            let attempts: u64 = report.iter().filter(|record| record["euid"].as_str().unwrap().parse() == Ok(euid))
                .map(|record| record["attempts"].as_u64().unwrap()).sum();
            prop_assert_eq!(attempts, arrived.len() as u64);
        }
    }
}

/// Each kind of fault together with each other one: every row gets there, in order, and no row fails for it.
#[test]
fn any_two_faults_of_the_sandbox_together_cost_no_row() {
    let kinds = ["code=-1:0.15", "status=502:0.15", "drop:0.15", "garbage:0.15", "hang:0.02"];
    let rows: String = (1..=240).map(|row| format!("{},{row}@example.com\n", 1 + row % 60)).collect();
    for (index, one) in kinds.iter().enumerate() {
        for other in &kinds[index..] {
            let service = Service::with_faults(&[one, other]);
            let place = service.workplace();
            place.file("a.csv", format!("euid,email\n{rows}"));
            let push = ["push", "a.csv", "--rate", "unlimited", "--report", "r.ndjson", "--timeout", "200ms"];
            let patient = ["--retries", "30", "--retry-base", "1ms", "--retry-cap", "5ms"];
            place.run(&[&push[..], &patient].concat()).ends_with(0);
            assert_eq!(place.json_lines("r.ndjson").len(), 240, "{one} and {other}");
            let record = service.record();
            assert!(!record.any_overlap() || one.starts_with("hang") || other.starts_with("hang"), "{one} and {other}");
            for (euid, contacts) in record.contacts() {
                let last = (1..=240).rev().find(|row| 1 + row % 60 == euid).unwrap();
                assert_eq!(contacts["email"], format!("{last}@example.com"), "{one} and {other}");
            }
        }
    }
}
