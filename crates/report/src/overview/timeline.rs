use model::{Decision, Outcome};
use serde::Serialize;

use crate::time::rfc3339;

/// More than a chart shows.
const MOST_BUCKETS: usize = 240;

/// Requests and rows over time, in equal steps that grow with the time they cover.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// Milliseconds that each bucket covers.
    step: i64,
    /// Where the first bucket begins: a multiple of the step, in milliseconds since 1970.
    start: i64,
    buckets: Vec<Counts>,
    first_at: Option<i64>,
    last_at: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    requests: u64,
    accepted: u64,
    landed: u64,
    different: u64,
    failed: u64,
    rejected: u64,
}

/// What happened in one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Bucket {
    /// When it begins.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub at: String,
    /// Requests made for the rows that were decided in it.
    pub requests: u64,
    /// Rows that were synced, unchanged or valid.
    pub accepted: u64,
    /// Of a verify: rows that landed or are superseded.
    pub landed: u64,
    /// Of a verify: rows that are different.
    pub different: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Rows that were rejected.
    pub rejected: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { step: 1_000, start: 0, buckets: Vec::new(), first_at: None, last_at: None }
    }
}

impl Timeline {
    pub(super) fn add(&mut self, record: &Decision) {
        let at = record.at_ms;
        self.first_at = Some(self.first_at.map_or(at, |first| first.min(at)));
        self.last_at = Some(self.last_at.map_or(at, |last| last.max(at)));
        if self.buckets.is_empty() {
            self.start = at.div_euclid(self.step) * self.step;
        }
        let index = self.make_room(at);
        let counts = &mut self.buckets[index];
        counts.requests += u64::from(record.attempts);
        match record.outcome {
            Outcome::Synced | Outcome::Unchanged | Outcome::Valid => counts.accepted += 1,
            Outcome::Landed | Outcome::Superseded => counts.landed += 1,
            Outcome::Different => counts.different += 1,
            Outcome::Failed => counts.failed += 1,
            Outcome::Rejected => counts.rejected += 1,
        }
    }

    /// Widens the steps until the time lies in one of as many buckets as there may be, and says in which.
    fn make_room(&mut self, at: i64) -> usize {
        loop {
            let slot = at.div_euclid(self.step);
            let first = self.start.div_euclid(self.step).min(slot);
            let last = (self.start.div_euclid(self.step) + self.buckets.len() as i64 - 1).max(slot);
            if (last - first) < MOST_BUCKETS as i64 {
                let before = (self.start.div_euclid(self.step) - first) as usize;
                self.buckets.splice(..0, std::iter::repeat_n(Counts::default(), before));
                self.start = first * self.step;
                self.buckets.resize((last - first + 1) as usize, Counts::default());
                return (slot - first) as usize;
            }
            self.double();
        }
    }

    fn double(&mut self) {
        let (old_step, old_start) = (self.step, self.start);
        self.step *= 2;
        self.start = old_start.div_euclid(self.step) * self.step;
        let mut merged: Vec<Counts> = Vec::with_capacity(self.buckets.len() / 2 + 1);
        for (index, counts) in (0..).zip(&self.buckets) {
            let place = ((old_start + index * old_step - self.start) / self.step) as usize;
            merged.resize(merged.len().max(place + 1), Counts::default());
            let sum = &mut merged[place];
            sum.requests += counts.requests;
            sum.accepted += counts.accepted;
            sum.landed += counts.landed;
            sum.different += counts.different;
            sum.failed += counts.failed;
            sum.rejected += counts.rejected;
        }
        self.buckets = merged;
    }

    /// When the first row was decided, in milliseconds since 1970.
    pub fn first_at(&self) -> Option<i64> {
        self.first_at
    }

    /// When the last row was decided.
    pub fn last_at(&self) -> Option<i64> {
        self.last_at
    }

    /// How many seconds each bucket covers.
    pub fn seconds(&self) -> u64 {
        (self.step / 1_000) as u64
    }

    /// All of them in order, also those in which nothing happened.
    pub fn buckets(&self) -> Vec<Bucket> {
        let times = (0..).map(|index| rfc3339(self.start + index * self.step));
        let bucket = |(at, counts): (String, &Counts)| {
            let Counts { requests, accepted, landed, different, failed, rejected } = *counts;
            Bucket { at, requests, accepted, landed, different, failed, rejected }
        };
        times.zip(&self.buckets).map(bucket).collect()
    }
}

#[cfg(test)]
mod tests {
    use model::{Answered, Origin};
    use proptest::prelude::*;

    use super::*;

    fn at(at_ms: i64) -> Decision {
        Decision {
            origin: Origin { source: "a".into(), row: 1, line: 2 },
            euid: "1".into(),
            id: None,
            outcome: Outcome::Synced,
            reason: None,
            answered: Answered::default(),
            attempts: 2,
            latency_ms: None,
            at_ms,
            contacts: None,
            raw: None,
        }
    }

    #[test]
    fn rows_are_called_as_they_ended() {
        let mut timeline = Timeline::default();
        for outcome in [
            Outcome::Synced,
            Outcome::Unchanged,
            Outcome::Landed,
            Outcome::Superseded,
            Outcome::Different,
            Outcome::Failed,
            Outcome::Rejected,
        ] {
            timeline.add(&Decision { outcome, ..at(0) });
        }
        // Two seconds each, from here on.
        timeline.add(&at(1_000 * MOST_BUCKETS as i64));
        let Bucket { accepted, landed, different, failed, rejected, .. } = timeline.buckets()[0];
        assert_eq!([accepted, landed, different, failed, rejected], [2, 2, 1, 1, 1]);
    }

    proptest! {
        /// In whatever order and over whatever time: nothing is lost, and there are never too many buckets.
        #[test]
        fn every_row_is_in_one_bucket(times in prop::collection::vec(-4_000_000_000_000_i64..4_000_000_000_000, 1..60)) {
            let mut timeline = Timeline::default();
            for time in &times {
                timeline.add(&at(*time));
            }
            let buckets = timeline.buckets();
            prop_assert!(buckets.len() <= MOST_BUCKETS);
            let (rows, requests) =
                buckets.iter().fold((0, 0), |(rows, requests), one| (rows + one.accepted, requests + one.requests));
            prop_assert_eq!((rows, requests), (times.len() as u64, 2 * times.len() as u64));
            let begin = |index: i64| timeline.start + index * timeline.step;
            for (index, counts) in (0..).zip(&timeline.buckets) {
                let within = times.iter().filter(|time| (begin(index)..begin(index + 1)).contains(*time)).count();
                prop_assert_eq!(counts.accepted, within as u64);
            }
        }
    }
}
