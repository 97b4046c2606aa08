use std::{io::Write, time::Duration};

use fastrand::Rng;

use super::{Moment, kill, start};
use crate::{
    service::Service,
    support::{Ran, Workplace},
};

const REPORT: &str = "r.ndjson";

/// A run that is killed up to four times, resumed, and at last let go to its end.
pub(super) struct Tries<'t> {
    pub(super) seed: u64,
    pub(super) service: &'t Service,
    pub(super) place: &'t Workplace,
    pub(super) command: &'t str,
    /// Its only input.
    pub(super) input: &'t str,
    pub(super) options: &'t [&'t str],
    /// Attempts of each request after the first.
    pub(super) retries: &'t str,
    /// About as long as it takes.
    pub(super) takes: Duration,
}

impl Tries<'_> {
    /// How many tries were killed, and what came of the last one.
    pub(super) fn run(&self, dice: &mut Rng) -> (u64, Ran) {
        let fixed = ["--report", REPORT, "--resume", "--progress", "never", "--in-flight", "16"];
        let patient = ["--retries", self.retries, "--retry-base", "1ms", "--retry-cap", "5ms"];
        let arguments = [&[self.command, self.input], &fixed[..], &patient[..], self.options].concat();
        let micros = self.takes.as_micros() as u64;
        let mut killed = 0;
        for attempt in 0..4 {
            let moment = match dice.u8(..4) {
                0 => Moment::Syncing,
                1 if attempt > 0 => Moment::Resuming(Duration::from_micros(dice.u64(..60_000))),
                _ => Moment::After(Duration::from_micros(dice.u64(..micros))),
            };
            let mut running = start(self.place, &arguments, self.input, "");
            let was_killed = kill(&mut running, self.place, REPORT, moment);
            running.finish();
            // What the service had taken in is carried out.
            self.service.settle();
            if !was_killed {
                break;
            }
            killed += 1;
        }
        (killed, start(self.place, &arguments, self.input, "").finish())
    }

    /// The outcomes of the rows by number, each of which has one record; but for those `unchanged` ones that only stand
    /// beside the report, where a kill came before their record. Each with its reason and EUID.
    pub(super) fn ends(&self, rows: u64) -> Vec<End> {
        let path = self.place.path(REPORT);
        let mut ends: Vec<Option<End>> = vec![None; rows as usize];
        for record in report::ReportReader::open(&path).unwrap() {
            let record = record.unwrap();
            let row = record.origin.row;
            let end = End { outcome: record.outcome, reason: record.reason, euid: record.euid.parse().unwrap_or(0) };
            let before = ends[row as usize - 1].replace(end);
            assert!(before.is_none(), "seed {}: row {row} has two records", self.seed);
        }
        let unchanged = &report::RunFile::read(&path).unwrap().unwrap().inputs[0].unchanged;
        let ended = ends.into_iter().zip(1..).map(|(end, row)| {
            let beside = End { outcome: model::Outcome::Unchanged, reason: None, euid: 0 };
            end.or_else(|| unchanged.contains(row).then_some(beside))
                .unwrap_or_else(|| panic!("seed {}: row {row} has no record", self.seed))
        });
        ended.collect()
    }
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) outcome: model::Outcome,
    pub(super) reason: Option<model::Reason>,
    /// 0: none.
    pub(super) euid: u64,
}

/// Says on standard output what a campaign came across.
pub(super) fn tell(what: &str) {
    std::io::stdout().write_all(format!("{what}\n").as_bytes()).unwrap();
}
