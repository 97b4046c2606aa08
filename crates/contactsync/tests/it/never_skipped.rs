//! Never a skipped change, case by case: what is lost, killed, left out and comes back.

use rustix::process::Signal;
use sandbox::SandboxOptions;
use serde_json::{Map, Value, json};

use crate::{
    service::Service,
    slow_disk::SlowDisk,
    support::{Ran, Running, Workplace},
};

const STATE: [&str; 6] = ["--state", "s.state", "--rate", "unlimited", "--progress=never", "--summary=s.json"];

/// A night's push into a report of its own.
fn night(place: &Workplace, text: &str, report: &str, arguments: &[&str]) -> Ran {
    place.file("a.csv", text);
    place.run(&[&["push", "a.csv", "--report", report, "--resume"], &STATE[..], arguments].concat())
}

fn start(place: &Workplace, text: &str, report: &str) -> Running {
    place.file("a.csv", text);
    // An answer that is lost is waited out until long after the test.
    let patient = ["--retry-base", "1h", "--retry-cap", "1h", "--outage-wait", "0"];
    Running::start(
        &mut place.command(&[&["push", "a.csv", "--report", report, "--resume"], &STATE[..], &patient[..]].concat()),
    )
}

/// The addresses that a user's requests bore, in order.
fn asked(service: &Service, euid: u64) -> Vec<String> {
    let requests = service.record().requests(euid);
    requests.iter().map(|request| request.contacts["email"].as_str().unwrap().to_owned()).collect()
}

fn held(service: &Service, euid: u64) -> Map<String, Value> {
    service.record().contacts()[&euid].clone()
}

fn counts(place: &Workplace) -> [Value; 3] {
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    ["synced", "unchanged", "failed"].map(|name| summary[name].clone())
}

fn email(value: &str) -> Map<String, Value> {
    [("email".to_owned(), json!(value))].into_iter().collect()
}

#[test]
fn a_value_that_comes_back_after_a_lost_answer_is_sent() {
    for retries in ["0", "2"] {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        let quick = ["--retries", retries, "--retry-base", "1ms", "--outage-wait", "0"];
        night(&place, "euid,email\n1,a@example.com\n", "1.ndjson", &quick).ends_with(0);
        service.set_faults(&["lost:1"]);
        night(&place, "euid,email\n1,b@example.com\n", "2.ndjson", &quick).ends_with(1);
        assert_eq!(counts(&place), [json!(0), json!(0), json!(1)]);
        assert_eq!(held(&service, 1), email("b@example.com"), "it was carried out");
        service.set_faults::<&str>(&[]);
        night(&place, "euid,email\n1,a@example.com\n", "3.ndjson", &quick).ends_with(0);
        assert_eq!(counts(&place), [json!(1), json!(0), json!(0)]);
        assert_eq!(held(&service, 1), email("a@example.com"));
        night(&place, "euid,email\n1,a@example.com\n", "4.ndjson", &quick).ends_with(0);
        assert_eq!(counts(&place), [json!(0), json!(1), json!(0)]);
    }
}

#[test]
fn what_was_stored_in_part_is_sent_again() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let row = |version: u64| format!("euid,email,mobile_phone\n1,{version}@example.com,+1202555010{version}\n");
    night(&place, &row(1), "1.ndjson", &[]).ends_with(0);
    service.set_faults(&["partial:1"]);
    night(&place, &row(2), "2.ndjson", &[]).ends_with(0);
    assert_eq!(held(&service, 1)["mobile_phone"], "+12025550101", "it wasn't stored");
    service.set_faults::<&str>(&[]);
    // The same again, and what was there before.
    for (report, version, sent) in [("3.ndjson", 2, 1), ("4.ndjson", 2, 0), ("5.ndjson", 1, 1)] {
        night(&place, &row(version), report, &[]).ends_with(0);
        assert_eq!(counts(&place)[0], sent, "{report}");
        assert_eq!(held(&service, 1)["mobile_phone"], format!("+1202555010{version}"));
    }
}

const A_THEN_B: &str = "euid,email\n1,a@example.com\n1,b@example.com\n2,c@example.com\n";

/// A state that knows `a`, and a run over [`A_THEN_B`] that has just begun. Each answer will be lost.
fn begun(place: &Workplace, service: &Service) -> Running {
    night(place, "euid,email\n1,a@example.com\n2,c@example.com\n", "1.ndjson", &[]).ends_with(0);
    service.set_faults(&["lost:1"]);
    start(place, A_THEN_B, "2.ndjson")
}

/// The resume of such a run.
fn resumed(place: &Workplace, service: &Service) {
    service.settle();
    service.set_faults::<&str>(&[]);
    let ran = night(place, A_THEN_B, "2.ndjson", &[]).ends_with(0);
    assert_eq!(held(service, 1), email("b@example.com"), "{ran}");
    let asked = asked(service, 1);
    let last = |value: &str| asked.iter().rposition(|asked| asked == value);
    let first_b = asked.iter().position(|asked| asked == "b@example.com");
    assert!(last("a@example.com") < first_b, "no old value behind the newer one: {asked:?}\n{ran}");
    // And what is remembered of it is true.
    night(place, "euid,email\n1,b@example.com\n2,c@example.com\n", "3.ndjson", &[]).ends_with(0);
    assert_eq!(counts(place)[1], 2);
    night(place, "euid,email\n1,a@example.com\n2,c@example.com\n", "4.ndjson", &[]).ends_with(0);
    assert_eq!(held(service, 1), email("a@example.com"));
}

#[test]
fn killed_behind_a_change_that_arrived_a_resume_sends_no_old_value() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let mut running = begun(&place, &service);
    running.until("the change arrives", || held(&service, 1) == email("b@example.com"));
    running.signal(Signal::KILL);
    running.finish();
    resumed(&place, &service);
}

/// It is killed once it is known which rows were unchanged, and each sync takes a fifth of a second: the mark waits for one.
#[test]
fn killed_before_a_mark_is_durable_a_resume_sends_no_old_value() {
    let Some(disk) = SlowDisk::build() else { return };
    let service = Service::with_faults(&[]);
    let place = disk.under(service.workplace());
    let mut running = begun(&place, &service);
    let report = report::RunFile::path_of(&place.path("2.ndjson"));
    let mut knows_unchanged = || {
        let run: Option<Value> = std::fs::read(&report).ok().and_then(|text| serde_json::from_slice(&text).ok());
        run.is_some_and(|run| run["comparison"]["unchanged"].as_u64() > Some(0))
    };
    running.until("it is known what is unchanged", &mut knows_unchanged);
    running.signal(Signal::KILL);
    running.finish();
    assert_eq!(asked(&service, 1), ["a@example.com"], "nothing is sent before the mark is durable");
    assert!(SlowDisk::was_waited_for(&place));
    resumed(&place, &service);
}

/// Killed at moments that lie close together, all the way to the change's arrival.
#[test]
fn killed_at_any_moment_up_to_a_change_a_resume_sends_no_old_value() {
    let mut arrived = 0;
    for moment in 0..12_u32 {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        let mut running = begun(&place, &service);
        let begun = std::time::Instant::now();
        let mut left = moment * 12;
        // By the clock, since there is nothing else to go by; whichever moment it is, the same must hold.
        running.until("its time", || {
            left = (moment * 12).saturating_sub(begun.elapsed().as_millis() as u32);
            left == 0
        });
        running.signal(Signal::KILL);
        running.finish();
        service.settle();
        arrived += asked(&service, 1).len() - 1;
        resumed(&place, &service);
    }
    assert!(arrived <= 12);
}

#[test]
fn killed_right_behind_its_first_request_nothing_is_taken_for_sent() {
    for is_resumed in [true, false] {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        let rows = |values: [&str; 3]| {
            let rows = (1..).zip(values).map(|(euid, value)| format!("{euid},{value}@example.com\n"));
            std::iter::once("euid,email\n".to_owned()).chain(rows).collect::<String>()
        };
        night(&place, &rows(["a", "a", "a"]), "1.ndjson", &[]).ends_with(0);
        service.set_faults(&["lost:1"]);
        let before = service.record().stats().requests;
        let mut running = start(&place, &rows(["b", "b", "b"]), "2.ndjson");
        running.until("its first request", || service.record().stats().requests > before);
        running.signal(Signal::KILL);
        running.finish();
        service.settle();
        service.set_faults::<&str>(&[]);
        let (values, report) = if is_resumed { (["b"; 3], "2.ndjson") } else { (["a"; 3], "3.ndjson") };
        let ran = night(&place, &rows(values), report, &[]).ends_with(0);
        for euid in 1..=3 {
            assert_eq!(held(&service, euid), email(&format!("{}@example.com", values[0])), "{ran}");
        }
    }
}

/// Whether the service keeps contacts that a request leaves out is stated nowhere: both ways nothing is skipped.
#[test]
fn contacts_that_are_left_out_and_come_back_are_sent() {
    let both = "euid,email,mobile_phone\n1,a@example.com,+12025550101\n";
    let one = "euid,email\n1,b@example.com\n";
    let back = "euid,email,mobile_phone\n1,b@example.com,+12025550101\n";
    for forget_omitted in [false, true] {
        for kept in [&[][..], &["--omitted-kept"]] {
            if forget_omitted && !kept.is_empty() {
                continue;
            }
            let service = Service::start(SandboxOptions { forget_omitted, ..SandboxOptions::default() });
            let place = service.workplace();
            for (text, report) in [(both, "1.ndjson"), (one, "2.ndjson")] {
                night(&place, text, report, kept).ends_with(0);
                assert_eq!(counts(&place)[0], 1);
            }
            assert_eq!(held(&service, 1).len(), if forget_omitted { 1 } else { 2 });
            night(&place, back, "3.ndjson", kept).ends_with(0);
            assert_eq!(counts(&place)[0], u64::from(kept.is_empty()), "only who was told takes it for kept");
            let expected = json!({"email": "b@example.com", "mobile_phone": "+12025550101"});
            assert_eq!(json!(held(&service, 1)), expected);
        }
    }
}

#[test]
fn what_was_cleared_and_comes_back_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let clear = ["--empty", "clear", "--max-clears", "none"];
    let row = |phone: &str| format!("euid,email,mobile_phone\n1,a@example.com,{phone}\n");
    for (report, phone, sent) in [
        ("1.ndjson", "+12025550101", 1),
        ("2.ndjson", "", 1),
        ("3.ndjson", "", 0),
        ("4.ndjson", "+12025550101", 1),
        ("5.ndjson", "+12025550101", 0),
    ] {
        night(&place, &row(phone), report, &clear).ends_with(0);
        assert_eq!(counts(&place)[0], sent, "{report}");
        assert_eq!(held(&service, 1).get("mobile_phone").and_then(Value::as_str).unwrap_or(""), phone, "{report}");
    }
}

#[test]
fn a_run_that_another_has_overtaken_is_not_resumed() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    service.set_faults(&["code=-1:1"]);
    let stopped = ["--max-failures=1", "--retries=0", "--in-flight=1"];
    night(&place, "euid,email\n2,x@example.com\n1,old@example.com\n", "1.ndjson", &stopped).ends_with(4);
    service.set_faults::<&str>(&[]);
    night(&place, "euid,email\n1,new@example.com\n", "2.ndjson", &[]).ends_with(0);
    let old = "euid,email\n2,x@example.com\n1,old@example.com\n";
    let refused = night(&place, old, "1.ndjson", &stopped).ends_with(2);
    assert!(refused.stderr.contains("nothing was sent"), "{}", refused.stderr);
    assert_eq!(held(&service, 1), email("new@example.com"));
    night(&place, "euid,email\n1,new@example.com\n", "2.ndjson", &[]).ends_with(0);
}

#[test]
fn what_is_replayed_is_told_to_the_state_that_knows_its_report() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    service.set_faults(&["code=-1:1"]);
    night(&place, "euid,email\n1,a@example.com\n", "1.ndjson", &["--retries=0", "--max-failures=none"]).ends_with(1);
    service.set_faults::<&str>(&[]);
    let refused = place.run(&["replay", "1.ndjson", "--report", "r.ndjson"]).ends_with(2);
    assert!(refused.stderr.contains("say `--state s.state`"), "{}", refused.stderr);
    assert!(!place.exists("r.ndjson"));
    place.run(&["replay", "1.ndjson", "--report", "r.ndjson", "--state", "s.state"]).ends_with(0);
    night(&place, "euid,email\n1,a@example.com\n", "2.ndjson", &[]).ends_with(0);
    assert_eq!(counts(&place), [json!(0), json!(1), json!(0)]);
}

/// The state is ahead of the report then: what it set must not look like somebody else's.
#[test]
fn a_replay_that_is_killed_goes_on_with_the_newer_rows_of_its_users() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let rows: String = (1..=30).map(|euid| format!("{euid},a@example.com\n{euid},b@example.com\n")).collect();
    service.set_faults(&["code=-1:1"]);
    let failing = ["--retries=0", "--max-failures=none", "--outage-wait=0"];
    night(&place, &format!("euid,email\n{rows}"), "1.ndjson", &failing).ends_with(1);
    service.set_faults::<&str>(&[]);
    let replay = [&["replay", "1.ndjson", "--report", "r.ndjson", "--resume", "--in-flight=2"], &STATE[..]].concat();
    let before = service.record().stats().requests;
    let mut running = Running::start(&mut place.command(&replay));
    running.until("some rows were set", || service.record().stats().requests > before + 30);
    running.signal(Signal::KILL);
    running.finish();
    place.run(&replay).ends_with(0);
    for euid in 1..=30 {
        assert_eq!(held(&service, euid), email("b@example.com"), "user {euid}");
    }
}

#[test]
fn reports_that_are_replayed_one_after_the_other_leave_the_newer_value() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let failing = ["--retries=0", "--max-failures=none", "--outage-wait=0"];
    service.set_faults(&["code=-1:1"]);
    night(&place, "euid,email\n1,a@example.com\n", "1.ndjson", &failing).ends_with(1);
    night(&place, "euid,email\n1,b@example.com\n", "2.ndjson", &failing).ends_with(1);
    service.set_faults::<&str>(&[]);
    for (report, replayed) in [("1.ndjson", "r1.ndjson"), ("2.ndjson", "r2.ndjson"), ("1.ndjson", "r3.ndjson")] {
        place.run(&[&["replay", report, "--report", replayed], &STATE[..]].concat()).ends_with(0);
    }
    assert_eq!(held(&service, 1), email("b@example.com"), "an older one is left alone");
    night(&place, "euid,email\n1,b@example.com\n", "3.ndjson", &[]).ends_with(0);
    assert_eq!(counts(&place), [json!(0), json!(1), json!(0)]);
}

#[test]
fn a_resume_is_not_overtaken_by_a_run_over_other_users() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let first = "euid,email\n1,a@example.com\n2,b@example.com\n";
    service.set_faults(&["code=-1:1"]);
    let stopped = ["--max-failures=1", "--retries=0", "--in-flight=1"];
    night(&place, first, "1.ndjson", &stopped).ends_with(4);
    service.set_faults::<&str>(&[]);
    night(&place, "euid,email\n7,c@example.com\n", "2.ndjson", &[]).ends_with(0);
    night(&place, first, "1.ndjson", &["--fail-on=none", "--max-failures=none"]).ends_with(0);
    assert_eq!(held(&service, 2), email("b@example.com"));
}

#[test]
fn a_replay_by_another_state_than_that_of_its_report_is_refused() {
    let service = Service::with_faults(&["code=-1:1"]);
    let place = service.workplace();
    night(&place, "euid,email\n1,a@example.com\n", "1.ndjson", &["--retries=0", "--max-failures=none"]).ends_with(1);
    let replay = |state| ["replay", "1.ndjson", "--report", "r.ndjson", "--state", state];
    place.run(&replay("other.state")).ends_with(2).says("say `--state s.state`");
    assert!(!place.exists("other.state") && !place.exists("r.ndjson"));
    place.run(&[&replay("./s.state")[..], &["--retries=0", "--max-failures=none"]].concat()).ends_with(1);
}

#[test]
fn a_state_of_which_nothing_is_known_belongs_to_no_service() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let row = "euid,email\n1,a@example.com\n";
    let nobody = ["--base-url=http://127.0.0.1:9", "--retries=0", "--outage-wait=0", "--max-failures=none"];
    night(&place, row, "1.ndjson", &nobody).ends_with(1);
    night(&place, row, "2.ndjson", &[]).ends_with(0);
    night(&place, row, "3.ndjson", &nobody).ends_with(2).says("belongs to");
}

/// A kill may take the record of a change with it, and leave beside the report that the row behind it was unchanged.
struct Killed<'s> {
    service: &'s Service,
    place: &'s Workplace,
    arguments: &'s [&'s str],
}

impl Killed<'_> {
    fn push(&self) -> Ran {
        let options = ["--compare-service", "--rate=unlimited", "--profile-rate=unlimited", "--retries=0"];
        let report = ["--report=r.ndjson", "--resume", "--summary=s.json"];
        self.place.run(&[&["push"], self.arguments, &report, &options].concat())
    }

    /// The run that has ended was killed instead, and of its records these are on the disk. Another has set user `euid` since.
    fn is_left_with(&self, records: &str, euid: u64) {
        self.place.file("r.ndjson", records);
        let mut run: Value = serde_json::from_str(&self.place.read("r.ndjson.run")).unwrap();
        run["finished"] = Value::Null;
        self.place.file("r.ndjson.run", run.to_string());
        self.place.file("other.csv", format!("euid,email\n{euid},z@example.com\n"));
        self.place.run(&["push", "other.csv", "--report", "o.ndjson", "--force"]).ends_with(0);
        assert_eq!(held(self.service, euid), email("z@example.com"));
    }

    /// Every row from here on is refused, and none can be read: none is unchanged.
    fn none_is_unchanged(&self, synced: u64, failed: u64) {
        self.service.set_faults(&["contact/code=55004:1", "profile/code=55004:1"]);
        for _ in 0..2 {
            self.push().ends_with(1);
            assert_eq!(counts(self.place), [json!(synced), json!(0), json!(failed)], "the service holds z");
            let run: Value = serde_json::from_str(&self.place.read("r.ndjson.run")).unwrap();
            for input in run["inputs"].as_array().unwrap() {
                assert!(input["unchanged"].as_str().is_none_or(str::is_empty), "{run}");
            }
        }
        self.service.set_faults::<&str>(&[]);
    }

    fn first_record(&self) -> String {
        let report = self.place.read("r.ndjson");
        report.lines().find(|line| line.contains("\"row\":1,")).unwrap().to_owned() + "\n"
    }
}

#[test]
fn what_was_unchanged_behind_a_change_that_a_resume_sends_again_is_decided_again() {
    for arguments in [&["a.csv"][..], &["b.csv", "c.csv"]] {
        let service = Service::with_faults(&[]);
        let place = service.workplace();
        place.file("a.csv", "euid,email\n1,a@example.com\n1,b@example.com\n1,b@example.com\n2,c@example.com\n");
        // The change is the last row of its input.
        place.file("b.csv", "euid,email\n1,a@example.com\n1,b@example.com\n");
        place.file("c.csv", "euid,email\n01,b@example.com\n2,c@example.com\n");
        let killed = Killed { service: &service, place: &place, arguments };
        killed.push().ends_with(0);
        assert_eq!(counts(&place), [json!(3), json!(1), json!(0)]);
        killed.is_left_with(&killed.first_record(), 1);
        killed.none_is_unchanged(1, 3);
        place.run(&["replay", "r.ndjson", "--report", "p.ndjson", "--all"]).ends_with(0);
        assert_eq!(held(&service, 1), email("b@example.com"));
    }
}

/// The report says nothing of the user of a row without a record.
#[test]
fn what_was_unchanged_behind_a_change_of_another_id_of_its_user_is_decided_again() {
    let service = Service::with_faults(&["twin:1"]);
    let place = service.workplace();
    let rows = "user_id,email\nu5,n@example.com\nu2,b@example.com\nu3,b@example.com\nu6,c@example.com\n";
    place.file("a.csv", rows);
    let killed = Killed { service: &service, place: &place, arguments: &["a.csv", "--identify-by", "user_id"] };
    killed.push().ends_with(0);
    assert_eq!(counts(&place), [json!(3), json!(1), json!(0)], "u2 and u3 are one user");
    let users = service.record().contacts();
    let (twin, _) = users.iter().find(|(_, contacts)| **contacts == email("b@example.com")).unwrap();
    killed.is_left_with(&killed.first_record(), *twin);
    killed.none_is_unchanged(1, 3);
}

/// A row that is tried again has a record; that it was unchanged then stands beside the report alone.
#[test]
fn what_failed_and_was_unchanged_behind_a_change_is_decided_again() {
    let service = Service::with_faults(&["contact/status=404:1"]);
    let place = service.workplace();
    place.file("a.csv", "euid,email\n1,b@example.com\n1,b@example.com\n");
    let killed = Killed { service: &service, place: &place, arguments: &["a.csv"] };
    killed.push().ends_with(1);
    assert_eq!(counts(&place), [json!(0), json!(0), json!(2)]);
    let failed = place.read("r.ndjson");
    service.set_faults::<&str>(&[]);
    killed.is_left_with(&failed, 1);
    killed.push().ends_with(0);
    killed.is_left_with(&failed, 2);
    place.run(&["push", "a.csv", "--report=r.ndjson", "--resume", "--compare-service"]);
    assert_eq!(held(&service, 1), email("b@example.com"));
    killed.is_left_with(&failed, 1);
    killed.none_is_unchanged(0, 2);
}
