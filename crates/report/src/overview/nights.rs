use std::path::PathBuf;

use model::Shard;

use super::Outcomes;
use crate::{gist::Gist, run_file::Run, source::SourceReport, summary::duration, tally::Tally};

/// One of several reports by itself: a night beside others.
#[derive(Debug, Clone)]
pub struct Night {
    /// The report, as it was given.
    pub report: PathBuf,
    /// The shard whose rows it holds; none where those of all, or nobody knows.
    pub shard: Option<Shard>,
    /// Its rows by outcome; those that were unchanged also where they have no record.
    pub outcomes: Outcomes,
    /// Requests made for these rows.
    pub attempts: u64,
    /// Of these, those after the first of a row.
    pub retries: u64,
    /// When the first and the last row with a record were decided, in milliseconds since 1970.
    first_at: Option<i64>,
    last_at: Option<i64>,
    /// When its run came to its end, where that is known.
    finished_at: Option<i64>,
    /// Whether its run is known not to have come to its end.
    pub is_unfinished: bool,
}

/// That runs did not come to their end, where some are known not to have.
pub fn unfinished(nights: &[Night]) -> Option<String> {
    let unfinished = nights.iter().filter(|night| night.is_unfinished).count();
    match (unfinished, nights.len()) {
        (0, _) => None,
        (_, 1) => Some("The run did not come to its end".to_owned()),
        (_, all) => Some(format!("{unfinished} of {all} runs did not come to their end")),
    }
}

/// What the attempts of reports are: a verify reads many rows with one request, and each has its attempts.
pub fn attempts_of(nights: &[Night]) -> &'static str {
    match nights.iter().filter(|night| night.outcomes.is_of_verify()).count() {
        0 => "requests",
        verified if verified == nights.len() => "reads of rows",
        _ => "requests and reads of rows",
    }
}

impl Night {
    pub(super) fn of(report: &SourceReport, run: Option<&Run>) -> Self {
        let finished = run.and_then(|run| run.finished.as_ref());
        let finished_at = finished.and_then(|finished| finished.at.parse::<jiff::Timestamp>().ok());
        Self {
            report: report.path().to_owned(),
            shard: run.and_then(Run::shard),
            outcomes: Outcomes::default(),
            attempts: 0,
            retries: 0,
            first_at: None,
            last_at: None,
            finished_at: finished_at.map(jiff::Timestamp::as_millisecond),
            is_unfinished: run.is_some_and(|run| run.finished.is_none()),
        }
    }

    /// Takes note of when a row was decided.
    pub(super) fn see(&mut self, record: &Gist<'_>) {
        let at = record.at_ms;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
    }

    /// What its rows add up to.
    pub(super) fn count(&mut self, tally: &Tally) {
        (self.outcomes, self.attempts, self.retries) = (Outcomes::of(tally), tally.attempts, tally.retries);
    }

    /// What is to be said of it beside its report; empty where nothing is.
    pub fn remark(&self) -> String {
        let shard = self.shard.map(|shard| format!("shard {shard}"));
        let unfinished = self.is_unfinished.then(|| "not finished".to_owned());
        shard.into_iter().chain(unfinished).collect::<Vec<_>>().join(", ")
    }

    /// When it began, as far as that is known: with its first record, or where it has none, when it came to its end.
    pub fn began_at(&self) -> Option<i64> {
        self.first_at.or(self.finished_at)
    }

    /// When its run came to its end, in milliseconds since 1970. None where it didn't, or nobody knows.
    pub fn finished_at(&self) -> Option<i64> {
        self.finished_at
    }

    /// How long it took from the first record on, in seconds.
    pub fn seconds(&self) -> Option<f64> {
        let (first, last) = (self.first_at?, self.last_at.max(self.finished_at)?);
        Some((last - first) as f64 / 1_000.0)
    }

    /// The same as people say it; empty where it isn't known.
    pub fn took(&self) -> String {
        self.seconds().map(duration).unwrap_or_default()
    }
}
