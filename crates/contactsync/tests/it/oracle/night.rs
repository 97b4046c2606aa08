//! One night after the other, and the oracle's judgement of each that came to its end.

use std::{
    collections::BTreeMap,
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};

use fastrand::Rng;
use model::{Outcome, Reason};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    Happened,
    export::{Asked, Contacts, Export, Exporter, NAMES},
};
use crate::{
    service::Service,
    support::{Ran, Running, Workplace},
};

const KINDS: [&str; 7] = ["code=-1", "status=502", "drop", "lost", "partial", "garbage", "hang"];
const REPORTS: [&str; 4] = ["ndjson", "csv", "ndjson.gz", "csv.zst"];
/// Times that a run is killed and goes on, at most.
const MOST_KILLS: u32 = 3;

pub(super) struct World<'h> {
    pub(super) seed: u64,
    pub(super) night: u64,
    pub(super) dice: Rng,
    pub(super) service: Service,
    pub(super) place: Workplace,
    pub(super) exporter: Exporter,
    pub(super) forget_omitted: bool,
    pub(super) happened: &'h Happened,
}

/// How rows ended, by source and row; one without a record was unchanged.
type Ended = BTreeMap<(String, u64), (Outcome, Option<Reason>)>;

impl World<'_> {
    /// Faults for the next run, with timeouts that fit, and how often it tries.
    fn set_faults(&mut self) -> Vec<String> {
        let dice = &mut self.dice;
        let worst = [0.0, 0.02, 0.08, 0.2][dice.usize(..4)];
        let fault = |kind: &str| format!("{kind}:{}", if kind == "hang" { worst / 20.0 } else { worst * 0.7 });
        let kinds: Vec<&str> = KINDS.into_iter().filter(|_| dice.bool()).collect();
        let faults: Vec<String> = kinds.iter().map(|kind| fault(kind)).collect();
        self.service.set_faults(&faults);
        let timeout = if kinds.contains(&"hang") && worst > 0.0 { "400ms" } else { "20s" };
        let retries = ["0", "1", "3", "8"][dice.usize(..4)];
        let in_flight = ["1", "4", "32"][dice.usize(..3)];
        let settings = [
            ("--timeout", timeout),
            ("--retries", retries),
            ("--in-flight", in_flight),
            ("--retry-base", "1ms"),
            ("--retry-cap", "4ms"),
            ("--rate", "unlimited"),
            ("--progress", "never"),
            ("--state", "s.state"),
            ("--summary", "s.json"),
        ];
        settings.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]).collect()
    }

    /// A night, whatever happens in it.
    pub(super) fn night(&mut self) {
        self.night += 1;
        if self.night > 1 && self.dice.u8(..8) > 0 {
            self.exporter.change(&mut self.dice);
        }
        if self.dice.u8(..30) == 0 && self.place.exists("s.state") {
            std::fs::remove_file(self.place.path("s.state")).unwrap();
        }
        let clears = self.dice.bool();
        let export = self.export(clears);
        let report = format!("{}.{}", self.night, REPORTS[self.dice.usize(..REPORTS.len())]);
        let mut arguments = push(&export, &report, clears);
        arguments.extend(self.set_faults());
        for (option, sides) in [("--refresh", 8), ("--report-unchanged", 2)] {
            if self.dice.u8(..sides) == 0 {
                arguments.push(option.to_owned());
            }
        }
        if !self.forget_omitted && self.dice.bool() {
            arguments.push("--omitted-kept".to_owned());
        }
        let Some(ran) = self.run(&arguments) else { return };
        let refreshes = arguments.iter().any(|argument| argument == "--refresh");
        let mut ended = self.judge(&ran, &export, &report);
        let summary = self.summary();
        assert!(!refreshes || summary["unchanged"] == 0, "{}\n{ran}", self.named());
        if summary["failed"] != 0 && self.dice.bool() {
            self.replay(&export, &report, &mut ended);
        }
    }

    /// The failed rows of a night are sent again.
    fn replay(&mut self, export: &Export, report: &str, ended: &mut Ended) {
        let again = format!("{}.again.ndjson", self.night);
        let mut arguments: Vec<String> =
            ["replay", report, "--report", &again, "--resume"].map(ToOwned::to_owned).to_vec();
        arguments.extend(self.set_faults());
        let Some(ran) = self.run(&arguments) else { return };
        assert!(matches!(ran.status, Some(0 | 1)), "{}\n{ran}", self.named());
        let replayed = self.records(&again);
        self.happened.replayed.fetch_add(replayed.len() as u64, Relaxed);
        ended.extend(replayed);
        self.compare(export, ended, &ran);
    }

    /// The last night's export twice more, with nothing that goes wrong: all of it is there then, and nothing is sent
    /// without need.
    pub(super) fn quiet_nights(&mut self) {
        let clears = self.dice.bool();
        let export = self.export(clears);
        self.service.set_faults::<&str>(&[]);
        for report in ["quiet.ndjson", "again.ndjson"] {
            let mut arguments = push(&export, report, clears);
            arguments.extend(["--rate", "unlimited", "--state", "s.state", "--summary", "s.json"].map(String::from));
            let before = self.service.record().stats().requests;
            let ran = self.place.run(&arguments);
            let ended = self.judge(&ran, &export, report);
            let summary = self.summary();
            assert_eq!(summary["failed"], 0, "{}\n{ran}", self.named());
            let sent = self.service.record().stats().requests - before;
            assert_eq!(summary["synced"], sent, "{}: each row once\n{ran}", self.named());
            assert!(
                ended.values().all(|(outcome, reason)| *outcome != Outcome::Synced || reason.is_none()),
                "{}\n{ran}",
                self.named()
            );
        }
        let mut rows: BTreeMap<u64, Vec<&Asked>> = BTreeMap::new();
        for asked in export.asked.iter().filter(|asked| asked.contacts.is_some()) {
            rows.entry(asked.euid).or_default().push(asked);
        }
        let ended = self.records("again.ndjson");
        for asked in rows.values().filter(|rows| rows.len() == 1).flatten() {
            let record = ended.get(&(asked.source.to_owned(), asked.row));
            assert!(record.is_none(), "{}: sent without need: {asked:?}, {record:?}", self.named());
        }
        let stats = self.service.record().stats();
        for (count, fault) in [(&self.happened.lost, "lost"), (&self.happened.partial, "partial")] {
            count.fetch_add(stats.by_fault.get(fault).copied().unwrap_or(0), Relaxed);
        }
    }

    fn export(&mut self, clears: bool) -> Export {
        let export = self.exporter.export(clears, &mut self.dice);
        for (name, text) in &export.files {
            self.place.file(name, text);
        }
        export
    }

    /// Runs until it ends, killed and resumed a few times. None where nobody resumes it.
    fn run(&mut self, arguments: &[String]) -> Option<Ran> {
        for _ in 0..MOST_KILLS {
            if self.dice.bool() {
                break;
            }
            let mut running = Running::start(&mut self.place.command(arguments));
            let killed = self.kill(&mut running);
            let ran = running.finish();
            if !killed {
                return Some(ran);
            }
            self.service.settle();
            self.happened.kills.fetch_add(1, Relaxed);
            if self.dice.u8(..3) == 0 {
                return None;
            }
            self.happened.resumed.fetch_add(1, Relaxed);
        }
        Some(self.place.run(arguments))
    }

    /// Kills at some moment: by the clock, or when so many requests arrived. False where it ended before.
    fn kill(&mut self, running: &mut Running) -> bool {
        let record = self.service.record();
        let (started, before) = (Instant::now(), record.stats().requests);
        let after = Duration::from_micros(self.dice.u64(..200_000));
        let requests = self.dice.u64(1..=USERS_ASKED);
        let by_clock = self.dice.u8(..3) == 0;
        loop {
            let is_time =
                if by_clock { started.elapsed() >= after } else { record.stats().requests >= before + requests };
            if is_time {
                running.signal(Signal::KILL);
                return true;
            }
            if running.child().try_wait().unwrap().is_some() {
                return false;
            }
            std::thread::yield_now();
        }
    }

    /// Judges a night that came to its end.
    fn judge(&self, ran: &Ran, export: &Export, report: &str) -> Ended {
        let named = self.named();
        assert!(matches!(ran.status, Some(0 | 1)), "{named}\n{ran}");
        let ended = self.records(report);
        let summary = self.summary();
        let figure = |name: &str| summary[name].as_u64().unwrap();
        assert_eq!(figure("rows_read"), export.asked.len() as u64, "{named}\n{ran}");
        let sum: u64 = ["synced", "unchanged", "rejected", "failed", "not_sent"].map(figure).iter().sum();
        assert_eq!((sum, figure("not_sent")), (figure("rows_read"), 0), "{named}\n{ran}");
        let key = |asked: &Asked| (asked.source.to_owned(), asked.row);
        let unchanged =
            export.asked.iter().filter(|asked| ended.get(&key(asked)).is_none_or(|(it, _)| *it == Outcome::Unchanged));
        assert_eq!(figure("unchanged"), unchanged.count() as u64, "{named}\n{ran}");
        for asked in &export.asked {
            let is_rejected = ended.get(&key(asked)).is_some_and(|(it, _)| *it == Outcome::Rejected);
            assert_eq!(is_rejected, asked.contacts.is_none(), "{named}: {asked:?}\n{ran}");
        }
        self.happened.nights.fetch_add(1, Relaxed);
        self.happened.unchanged.fetch_add(figure("unchanged"), Relaxed);
        self.compare(export, &ended, ran);
        ended
    }

    /// What rows ended plainly or were unchanged is what the service holds.
    fn compare(&self, export: &Export, ended: &Ended, ran: &Ran) {
        let mut rows: BTreeMap<u64, Vec<(&Contacts, bool)>> = BTreeMap::new();
        for asked in &export.asked {
            let Some(contacts) = &asked.contacts else { continue };
            let end = ended.get(&(asked.source.to_owned(), asked.row));
            let is_there = end.is_none_or(|(outcome, reason)| {
                *outcome == Outcome::Unchanged || (*outcome == Outcome::Synced && reason.is_none())
            });
            rows.entry(asked.euid).or_default().push((contacts, is_there));
        }
        assert!(!rows.is_empty(), "{}", self.named());
        let held = self.service.record().contacts();
        for (euid, rows) in rows {
            let mut expected = Contacts::new();
            match rows.last() {
                // Each row was stored, and the service keeps what a request leaves out.
                _ if !self.forget_omitted && rows.iter().all(|(_, is_there)| *is_there) => {
                    expected.extend(rows.iter().flat_map(|(contacts, _)| (*contacts).clone()));
                }
                Some((contacts, true)) => expected.extend((*contacts).clone()),
                _ => {}
            }
            for name in NAMES {
                let there = held.get(&euid).and_then(|held| held.get(name)).and_then(Value::as_str).unwrap_or("");
                if let Some(value) = expected.get(name) {
                    assert_eq!(
                        there,
                        value,
                        "{}, user {euid}, {name}: {rows:?}\n{:#?}\n{ran}",
                        self.named(),
                        self.service.record().requests(euid)
                    );
                }
            }
        }
    }

    fn records(&self, report: &str) -> Ended {
        let records = report::ReportReader::open(&self.place.path(report)).unwrap();
        records
            .map(|record| record.unwrap())
            .map(|record| ((record.origin.source.to_string(), record.origin.row), (record.outcome, record.reason)))
            .collect()
    }

    fn summary(&self) -> Value {
        serde_json::from_str(&self.place.read("s.json")).unwrap()
    }

    fn named(&self) -> String {
        format!("seed {}, night {}", self.seed, self.night)
    }
}

/// About as many requests as a night of much change makes.
const USERS_ASKED: u64 = 50;

fn push(export: &Export, report: &str, clears: bool) -> Vec<String> {
    let mut arguments = vec!["push".to_owned()];
    arguments.extend(export.files.iter().map(|(name, _)| (*name).to_owned()));
    arguments.extend(["--report", report, "--resume"].map(ToOwned::to_owned));
    if clears {
        arguments.extend(["--empty", "clear", "--max-clears", "none"].map(ToOwned::to_owned));
    }
    arguments
}
