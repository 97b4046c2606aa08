use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use model::{Decision, Outcome, Reason};

use crate::{gist::Gist, summary::Latency};

/// Longest latency that is told apart, in milliseconds: an hour.
const LONGEST_LATENCY_MS: u64 = 3_600_000;

/// How many steps of latency are told apart.
const LATENCY_STEPS: u64 = 30;

/// What the records of a report add up to. Its size doesn't depend on their number.
#[derive(Debug, Clone)]
pub struct Tally {
    outcomes: [u64; Outcome::ALL.len()],
    /// Of these, those with a reason, by it.
    outcomes_by_reason: BTreeMap<(Outcome, Reason), u64>,
    /// Rows by reason.
    pub reasons: BTreeMap<String, u64>,
    /// Rows by the code of their last answer.
    pub codes: BTreeMap<String, u64>,
    /// Attempts of these rows.
    pub attempts: u64,
    /// Of these, those after the first.
    pub retries: u64,
    latency: Histogram<u64>,
}

/// What is counted of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    outcome: Outcome,
    reason: Option<Reason>,
    code: Option<i64>,
    attempts: u32,
    latency_ms: Option<u64>,
}

impl Figures {
    pub(crate) fn of(decision: &Decision) -> Self {
        let Decision { outcome, reason, attempts, latency_ms, .. } = *decision;
        Self { outcome, reason, code: decision.answered.code, attempts, latency_ms }
    }

    pub(crate) fn of_gist(record: &Gist<'_>) -> Self {
        let Gist { outcome, reason, code, attempts, latency_ms, .. } = *record;
        Self { outcome, reason, code, attempts, latency_ms }
    }
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST_LATENCY_MS, 3).expect("the bounds are in order");
        Self {
            outcomes: [0; Outcome::ALL.len()],
            outcomes_by_reason: BTreeMap::new(),
            reasons: BTreeMap::new(),
            codes: BTreeMap::new(),
            attempts: 0,
            retries: 0,
            latency,
        }
    }
}

impl Tally {
    /// Counts one decided row.
    pub fn add(&mut self, decision: &Decision) {
        self.add_figures(&Figures::of(decision));
    }

    /// Counts one row by what is counted of it.
    pub(crate) fn add_figures(&mut self, row: &Figures) {
        self.outcomes[row.outcome as usize] += 1;
        if let Some(reason) = row.reason {
            *self.outcomes_by_reason.entry((row.outcome, reason)).or_default() += 1;
            count(&mut self.reasons, reason.as_str());
        }
        match row.code {
            None => {}
            // Nearly always.
            Some(0) => count(&mut self.codes, "0"),
            Some(code) => count(&mut self.codes, &code.to_string()),
        }
        self.attempts += u64::from(row.attempts);
        self.retries += u64::from(row.attempts.saturating_sub(1));
        if let Some(latency) = row.latency_ms {
            self.latency.saturating_record(latency);
        }
    }

    /// Counts rows of which nothing is known but how they ended.
    pub fn add_rows(&mut self, outcome: Outcome, rows: u64) {
        self.outcomes[outcome as usize] += rows;
    }

    /// Takes back rows of an outcome that are told of by nothing else.
    pub(crate) fn take_back_rows(&mut self, outcome: Outcome, rows: u64) {
        let counted = &mut self.outcomes[outcome as usize];
        *counted = counted.saturating_sub(rows);
    }

    /// Counts all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        for (key, rows) in &other.outcomes_by_reason {
            *self.outcomes_by_reason.entry(*key).or_default() += rows;
        }
        for (mine, theirs) in [(&mut self.reasons, &other.reasons), (&mut self.codes, &other.codes)] {
            for (name, rows) in theirs {
                *mine.entry(name.clone()).or_default() += rows;
            }
        }
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.latency += &other.latency;
    }

    /// Rows that ended so.
    pub fn rows(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    /// Rows by how they ended and why; without a reason also where there are none.
    pub fn rows_by_reason(&self) -> impl Iterator<Item = (Outcome, Option<Reason>, u64)> + '_ {
        let with = self.outcomes_by_reason.iter().map(|((outcome, reason), rows)| (*outcome, Some(*reason), *rows));
        let without = Outcome::ALL.into_iter().map(|outcome| {
            let of_it = self.outcomes_by_reason.iter().filter(|((of, _), _)| *of == outcome);
            let with: u64 = of_it.map(|(_, rows)| rows).sum();
            (outcome, None, self.rows(outcome).saturating_sub(with))
        });
        without.chain(with)
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Rows by latency in equal steps: first millisecond, last millisecond, rows. They cover 999 of 1000 rows; the last
    /// one goes on to the longest latency.
    pub(crate) fn latency_buckets(&self) -> Vec<(u64, u64, u64)> {
        if self.latency.is_empty() {
            return Vec::new();
        }
        let (shortest, most) = (self.latency.min(), self.latency.value_at_quantile(0.999));
        let step = (most - shortest + 1).div_ceil(LATENCY_STEPS).max(1);
        let steps = (most - shortest + 1).div_ceil(step);
        let bucket = |index| {
            let from = shortest + index * step;
            let to = if index + 1 == steps { self.latency.max() } else { from + step - 1 };
            (from, to, self.latency.count_between(from, to))
        };
        (0..steps).map(bucket).collect()
    }

    /// How many rows had a last attempt that took at most so many milliseconds.
    pub fn latency_at_most(&self, ms: u64) -> u64 {
        self.latency.count_between(0, ms)
    }

    /// How many rows had an attempt whose latency is known.
    pub fn latency_count(&self) -> u64 {
        self.latency.len()
    }

    /// What the last attempts took together, in milliseconds: each is known to a thousandth.
    pub fn latency_sum_ms(&self) -> u64 {
        self.latency.iter_recorded().map(|step| step.value_iterated_to() * step.count_since_last_iteration()).sum()
    }

    /// Percentiles of the last attempts' latency.
    pub fn latency(&self) -> Latency {
        Latency {
            p50: self.latency.value_at_quantile(0.5),
            p90: self.latency.value_at_quantile(0.9),
            p99: self.latency.value_at_quantile(0.99),
            max: self.latency.max(),
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(rows) => *rows += 1,
        None => {
            counts.insert(name.to_owned(), 1);
        }
    }
}
