use std::{io::Write, process::Stdio};

use rustix::process::Signal;
use serde_json::json;

use crate::{
    service::Service,
    support::{Running, Workplace, finish, fixture},
};

const GOOD: &str = "euid,email\n1,a@example.com\n2,b@example.com\n";
const MIXED: &str = "euid,email\n1,a@example.com\nx,b@example.com\n3,\n4,d@example.com,extra\n";

fn check(place: &Workplace, arguments: &[&str]) -> crate::support::Ran {
    let arguments: Vec<&str> = ["check", "--summary", "-"].iter().chain(arguments).copied().collect();
    place.run(&arguments)
}

#[test]
fn good_rows_end_with_0() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    let ran = check(&place, &["a.csv"]).ends_with(0);
    let summary = ran.json();
    assert_eq!((&summary["rows_read"], &summary["valid"], &summary["rejected"]), (&2.into(), &2.into(), &0.into()));
    assert_eq!(summary["reasons"], serde_json::json!({}));
    assert_eq!(summary["exit_code"], 0);
    let keys: Vec<&str> = summary.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected =
        ["rows_read", "valid", "rejected", "elapsed_seconds", "rows_per_second", "reasons", "exit_code"].to_vec();
    expected.sort_unstable();
    let mut keys = keys;
    keys.sort_unstable();
    assert_eq!(keys, expected);
    assert!(!place.exists("contactsync-report"), "{ran}");
    assert_eq!(std::fs::read_dir(place.path("")).unwrap().count(), 1, "nothing is written unasked");
}

#[test]
fn rejected_rows_end_with_1_and_are_named_without_their_values() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    let ran = check(&place, &["a.csv"]).ends_with(1);
    assert_eq!(ran.json()["reasons"], serde_json::json!({"euid_invalid": 1, "no_contacts": 1, "malformed_row": 1}));
    ran.says("a.csv row 2 (line 3): euid_invalid: ")
        .says("a.csv row 4 (line 5): malformed_row: ")
        .says("4 rows read in ")
        .says("  rejected              3   75.0 %\n")
        .never_says("@example.com");
}

#[test]
fn fail_on_decides_what_counts() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    for (which, status) in [("any", 1), ("failed", 0), ("none", 0)] {
        let ran = check(&place, &["a.csv", "--fail-on", which]).ends_with(status);
        assert_eq!(ran.json()["exit_code"], status);
    }
}

#[test]
fn the_report_holds_rejected_rows_or_all() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    check(&place, &["a.csv", "--report", "rejected.ndjson"]).ends_with(1);
    let records = place.json_lines("rejected.ndjson");
    assert_eq!(records.len(), 3);
    assert_eq!((&records[0]["row"], &records[0]["line"], &records[0]["euid"]), (&2.into(), &3.into(), &"x".into()));
    assert_eq!((&records[0]["outcome"], &records[0]["attempts"]), (&"rejected".into(), &0.into()));
    assert_eq!(records[0]["contacts"], serde_json::json!({"email": "b@example.com"}));
    assert_eq!(records[2]["raw"], "4,d@example.com,extra");
    check(&place, &["a.csv", "--report", "all.ndjson", "--report-all"]).ends_with(1);
    let outcomes: Vec<_> = place.json_lines("all.ndjson").iter().map(|record| record["outcome"].clone()).collect();
    assert_eq!(outcomes, ["valid", "rejected", "rejected", "rejected"]);
}

#[test]
fn a_report_without_contacts_quotes_nothing() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    check(&place, &["a.csv", "--report", "r.ndjson", "--report-all", "--report-contacts", "never"]).ends_with(1);
    let written = place.read("r.ndjson");
    assert!(!written.contains("example.com"), "{written}");
    check(&place, &["a.csv", "--report", "s.ndjson", "--report-all", "--report-contacts", "always"]).ends_with(1);
    assert!(place.read("s.ndjson").contains("a@example.com"));
}

#[test]
fn an_existing_report_stays_unless_forced() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    place.file("r.ndjson", "mine");
    check(&place, &["a.csv", "--report", "r.ndjson"]).ends_with(2).says("r.ndjson").says("--force");
    assert_eq!(place.read("r.ndjson"), "mine");
    check(&place, &["a.csv", "--report", "r.ndjson", "--force"]).ends_with(1);
    assert_eq!(place.json_lines("r.ndjson").len(), 3);
}

#[test]
fn skip_and_limit_count_rows_of_all_the_input() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    place.file("b.csv", MIXED);
    let rows =
        |arguments: &[&str]| check(&place, &[&["a.csv", "b.csv"], arguments].concat()).json()["rows_read"].clone();
    assert_eq!(rows(&[]), 6);
    assert_eq!(rows(&["--skip", "3"]), 3);
    assert_eq!(rows(&["--limit", "3"]), 3);
    assert_eq!(rows(&["--skip", "1", "--limit", "2"]), 2);
    assert_eq!(rows(&["--skip", "9"]), 0);
    assert_eq!(rows(&["--limit", "0"]), 0);
    let ran = check(&place, &["a.csv", "b.csv", "--skip", "3", "--limit", "1", "--report", "r.ndjson"]).ends_with(1);
    assert_eq!(place.json_lines("r.ndjson")[0]["row"], 2, "{ran}");
}

#[test]
fn standard_input_is_read_once() {
    let place = Workplace::new();
    let ran = place.run_with_stdin(&["check", "-", "--summary", "-"], GOOD.as_bytes()).ends_with(0);
    assert_eq!(ran.json()["rows_read"], 2);
    place.run_with_stdin(&["check", "-", "-"], GOOD.as_bytes()).ends_with(2);
}

#[test]
fn inputs_that_can_t_be_used_end_with_2() {
    let place = Workplace::new();
    place.file("a.csv", GOOD);
    place.file("odd.csv", "euid,emial\n1,a@example.com\n");
    place.file("no-euid.csv", "id,email\n1,a@example.com\n");
    check(&place, &["absent.csv"]).ends_with(2).says("absent.csv");
    check(&place, &["a.csv", "a.csv"]).ends_with(2).says("a.csv");
    check(&place, &["a.csv", "odd.csv"]).ends_with(2).says("emial").says("--contacts").says("--all-columns");
    check(&place, &["no-euid.csv"]).ends_with(2).says("email");
    check(&place, &["no-euid.csv", "--euid-column", "id"]).ends_with(0);
    check(&place, &["no-euid.csv", "--map", "id=euid"]).ends_with(0);
    check(&place, &["odd.csv", "--map", "emial=email"]).ends_with(0);
}

#[test]
fn an_input_that_ends_early_is_5_and_the_later_ones_are_not_read() {
    use flate2::{Compression, write::GzEncoder};
    let place = Workplace::new();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all("euid,email\n".as_bytes()).unwrap();
    for euid in 1..5_000 {
        writeln!(gzip, "{euid},user{euid}@example.com").unwrap();
    }
    let whole = gzip.finish().unwrap();
    place.file("cut.csv.gz", &whole[..whole.len() / 2]);
    place.file("b.csv", GOOD);
    let ran = check(&place, &["cut.csv.gz", "b.csv", "--report", "r.ndjson", "--report-all"]).ends_with(5);
    let summary = ran.json();
    assert_eq!(summary["exit_code"], 5, "{ran}");
    let rows = summary["rows_read"].as_u64().unwrap();
    assert!(rows > 100, "{ran}");
    let records = place.json_lines("r.ndjson");
    assert_eq!(records.len() as u64, rows, "every row that is counted has its record\n{ran}");
    for (row, record) in (1..).zip(&records) {
        assert_eq!((&record["source"], &record["row"]), (&"cut.csv.gz".into(), &row.into()), "{record}");
    }
}

#[test]
fn stopped_by_a_signal_every_row_that_is_counted_has_its_record() {
    let place = Workplace::new();
    let mut command = place.command(&["check", "-", "--report", "r.ndjson", "--report-all", "--summary", "-"]);
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let mut pipe = running.child().stdin.take().unwrap();
    pipe.write_all(GOOD.as_bytes()).unwrap();
    for row in 0..20_000 {
        writeln!(pipe, "{},x@example.com", row + 1).unwrap();
    }
    // The first records are there: it reads, and waits for more.
    while place.read_if_there("r.ndjson").is_empty() {
        std::thread::yield_now();
    }
    running.signal(Signal::TERM);
    let ran = running.finish().ends_with(143);
    let rows = ran.json()["rows_read"].as_u64().unwrap();
    assert!(rows > 0, "{ran}");
    assert_eq!(place.json_lines("r.ndjson").len() as u64, rows, "{ran}");
}

#[test]
fn a_check_report_is_no_journal() {
    const USERS: &str = "euid,email\n1,a@example.com\nx,b@example.com\n";
    let service = Service::with_faults(&[]);
    for arguments in [&["--report-all"][..], &[]] {
        let place = service.workplace();
        place.file("a.csv", USERS);
        let push = ["push", "a.csv", "--report", "r.ndjson", "--resume"];
        place.run(&push).ends_with(1);
        assert!(place.exists("r.ndjson.run"));
        check(&place, &["a.csv", "--report", "r.ndjson"]).ends_with(2).says("exists already");
        check(&place, &[&["a.csv", "--report", "r.ndjson", "--force"], arguments].concat()).ends_with(1);
        assert!(!place.exists("r.ndjson.run"), "what lies beside it was of another run");
        place.run(&push).ends_with(2).says("can't be resumed");
        // Neither does one that comes to lie beside it make it a journal.
        place.run(&["push", "a.csv", "--report", "s.ndjson"]).ends_with(1);
        std::fs::copy(place.path("s.ndjson.run"), place.path("r.ndjson.run")).unwrap();
        if !arguments.is_empty() {
            place.run(&push).ends_with(2).says("was written by `check`");
        }
    }
}

#[test]
fn a_report_that_can_t_be_written_is_5() {
    let place = Workplace::new();
    place.file("a.csv", format!("euid,email\n{}", "x,a@example.com\n".repeat(20_000)));
    check(&place, &["a.csv", "--report", "/dev/full"]).ends_with(5);
    check(&place, &["a.csv", "--report", "no/such/folder.ndjson"]).ends_with(2).says("no/such/folder.ndjson");
}

#[test]
fn every_reason_is_counted() {
    for (name, reasons) in [
        (
            "every-rejection.csv",
            serde_json::json!({
                "malformed_row": 2, "encoding_invalid": 1, "euid_empty": 1, "euid_invalid": 5, "value_too_long": 1,
                "value_invalid": 2, "no_contacts": 1
            }),
        ),
        (
            "every-rejection.ndjson",
            serde_json::json!({
                "malformed_row": 4, "euid_empty": 1, "euid_invalid": 1, "name_invalid": 1, "value_too_long": 1,
                "value_invalid": 2, "no_contacts": 1
            }),
        ),
    ] {
        let ran = check(&Workplace::new(), &[&fixture(name).display().to_string()]).ends_with(1);
        assert_eq!(ran.json()["reasons"], reasons, "{name}\n{ran}");
    }
}

#[test]
fn good_fixtures_are_good() {
    let place = Workplace::new();
    for name in
        ["contacts.csv", "contacts.csv.gz", "contacts.csv.zst", "contacts-nested.ndjson", "contacts-flat.ndjson"]
    {
        check(&place, &[&fixture(name).display().to_string()]).ends_with(0);
    }
}

#[test]
fn quiet_means_errors_only_and_a_closed_standard_error_stops_nothing() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    assert_eq!(check(&place, &["a.csv", "-q"]).ends_with(1).stderr, "");
    let mut child = place.command(&["check", "a.csv", "--summary", "-", "--progress", "bar"]).spawn().unwrap();
    drop(child.stderr.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.starts_with(b"{"));
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = place.command(&["check", "a.csv", "--progress", "bar", "-vvv"]).stderr(full).spawn().unwrap();
    finish(child).ends_with(1);
}

#[test]
fn messages_can_be_json() {
    let place = Workplace::new();
    place.file("a.csv", MIXED);
    let ran = place.run(&["check", "a.csv", "--log-format", "json", "-v"]).ends_with(1);
    for line in ran.stderr.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(line["level"].is_string() && line["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn control_characters_from_inputs_are_escaped() {
    let place = Workplace::new();
    place.file("a.csv", "euid,\u{1b}[31mred\n1,a@example.com\n");
    check(&place, &["a.csv"]).ends_with(2).never_says("\u{1b}");
    check(&place, &["a.csv", "--color", "always", "--all-columns", "-q"]).never_says("\u{1b}[31mred");
}

#[test]
fn a_null_text_is_warned_of() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,NULL\n2,NULL\n");
    let ran = check(&place, &["a.csv"]).ends_with(0);
    assert_eq!(ran.stderr.matches("warning: ").count(), 1, "{ran}");
    check(&place, &["a.csv", "--null", "NULL"]).ends_with(1).never_says("warning");
}

/// Two stray quotes make one record in form: with the rows in between in its value.
#[test]
fn rows_that_two_stray_quotes_join_are_not_sent_as_one() {
    let place = Workplace::new();
    place.file(
        "a.csv",
        "euid,email\n1,a@example.com\n2,\"b@example.com\n3,c@example.com\n4,\"d@example.com\"\n5,e@example.com\n",
    );
    place.run(&["check", "a.csv", "--report", "rejected.ndjson"]).ends_with(1).says("stray quote");
    let records = place.json_lines("rejected.ndjson");
    assert_eq!(records.len(), 1, "{records:?}");
    assert_eq!(
        (&records[0]["row"], &records[0]["line"], &records[0]["reason"]),
        (&json!(2), &json!(3), &json!("value_invalid"))
    );
}
