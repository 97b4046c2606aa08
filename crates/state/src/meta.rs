//! What a state is bound to, and the runs that finished with it.

use serde::{Deserialize, Serialize};

/// Runs that are remembered, whatever they read.
const MOST_RUNS: usize = 20;
/// Older ones, each the last over its inputs.
const MOST_OLDER: usize = 80;
/// Tries that are remembered.
const MOST_OPENINGS: usize = 200;

/// What the file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The base URL that it belongs to, or `sandbox`; none before the first run.
    pub target: Option<String>,
    /// Fingerprint of the API key under which a row was first accepted; none before that.
    pub api_key: Option<String>,
    /// The shard that it belongs to, as `K/N`.
    pub shard: Option<String>,
    /// Runs that finished, the latest last.
    pub runs: Vec<FinishedRun>,
    /// Tries that opened it, the latest last: one at a time, so what was set was set by the last one before.
    #[serde(default)]
    pub openings: Vec<Opening>,
}

/// A try of a run that opened a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// What all tries of that run have in common, and no other's.
    pub run: String,
}

/// A run that came to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedRun {
    /// When its first try began, as RFC 3339 UTC time; none where it couldn't be resumed.
    #[serde(default)]
    pub begun: Option<String>,
    /// When it came to its end, likewise.
    pub at: String,
    /// What it read.
    pub inputs: Vec<RunInput>,
    /// Whether it took all rows of them, or all of a shard: neither `--skip` nor `--limit`.
    pub whole: bool,
    /// Rows of all inputs that it took.
    pub rows: u64,
    /// Of these, not sent since they were known.
    pub unchanged: u64,
    /// Of these, accepted.
    pub synced: u64,
    /// Of these, refused by validation.
    pub rejected: u64,
    /// Of these, refused by the API or given up.
    pub failed: u64,
}

/// An input of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// As given.
    pub source: String,
    /// Rows that were read.
    pub rows: u64,
    /// Bytes, as they lie in the file.
    pub bytes: u64,
    /// BLAKE3 of these, in hexadecimal digits; empty where it isn't known.
    pub blake3: String,
}

impl Meta {
    /// Remembers a run. Of older ones than the last 20 the latest whole one over each set of inputs stays.
    pub fn add_run(&mut self, run: FinishedRun) {
        self.runs.push(run);
        let older = self.runs.len().saturating_sub(MOST_RUNS);
        let stays = |at: usize| {
            let run = &self.runs[at];
            let is_replaced = || self.runs[at + 1..].iter().any(|later| later.whole && later.names() == run.names());
            at >= older || (run.whole && !is_replaced())
        };
        let mut stay = (0..self.runs.len()).map(stays).collect::<Vec<_>>().into_iter();
        self.runs.retain(|_| stay.next().unwrap_or(true));
        let too_many = self.runs.len().saturating_sub(MOST_RUNS + MOST_OLDER);
        self.runs.drain(..too_many);
    }

    /// Remembers a try; the oldest are forgotten.
    pub fn add_opening(&mut self, opening: Opening) {
        self.openings.push(opening);
        let too_many = self.openings.len().saturating_sub(MOST_OPENINGS);
        self.openings.drain(..too_many);
    }

    /// The run that had it open at a time, where that is remembered.
    pub fn opened_by(&self, at_ms: u64) -> Option<&str> {
        self.openings.iter().rev().find(|opening| opening.at_ms <= at_ms).map(|opening| opening.run.as_str())
    }

    /// The last finished run over inputs of these names, in whatever order, that took all their rows.
    pub fn last_run_over<'a>(&self, names: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&FinishedRun> {
        let names = sorted(names.clone());
        self.runs.iter().rev().find(|run| run.whole && run.names() == names)
    }
}

impl FinishedRun {
    /// Rows of its inputs, those of other shards among them. Of a run that took all rows.
    pub fn rows_of_inputs(&self) -> u64 {
        self.inputs.iter().map(|input| input.rows).sum()
    }

    fn names(&self) -> Vec<&str> {
        sorted(self.inputs.iter().map(|input| input.source.as_str()))
    }
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: &[&str], rows: u64) -> FinishedRun {
        let inputs = names.iter().map(|name| RunInput { source: (*name).to_owned(), ..RunInput::default() });
        FinishedRun { inputs: inputs.collect(), whole: true, rows, ..FinishedRun::default() }
    }

    #[test]
    fn what_was_set_at_a_time_was_set_by_who_had_it_open() {
        let mut meta = Meta::default();
        for (at_ms, run) in [(10, "a"), (20, "b"), (30, "a")] {
            meta.add_opening(Opening { at_ms, run: run.to_owned() });
        }
        let by = [9, 10, 19, 20, 29, 30, 99].map(|at_ms| meta.opened_by(at_ms));
        assert_eq!(by, [None, Some("a"), Some("a"), Some("b"), Some("b"), Some("a"), Some("a")]);
        (0..1_000).for_each(|at_ms| meta.add_opening(Opening { at_ms, run: String::new() }));
        assert_eq!(meta.openings.len(), MOST_OPENINGS);
    }

    #[test]
    fn the_last_run_over_the_same_inputs_is_found_however_many_others_there_were() {
        let mut meta = Meta::default();
        meta.add_run(run(&["weekly.csv"], 7));
        for night in 0..100 {
            meta.add_run(run(&["a.csv", "b.csv"], night));
        }
        meta.add_run(FinishedRun { whole: false, ..run(&["a.csv", "b.csv"], 1) });
        assert_eq!(meta.runs.len(), MOST_RUNS + 1, "and the weekly one");
        let rows = |names: &[&str]| meta.last_run_over(&names.iter().copied()).map(|run| run.rows);
        assert_eq!(rows(&["a.csv", "b.csv"]), Some(99));
        assert_eq!(rows(&["weekly.csv"]), Some(7));
        assert_eq!((rows(&["b.csv", "a.csv"]), rows(&["a.csv"])), (Some(99), None));
    }

    #[test]
    fn many_runs_over_other_inputs_push_none_out_that_is_needed() {
        let mut meta = Meta::default();
        meta.add_run(run(&["whole.csv"], 1_000));
        for delta in 0..MOST_OLDER {
            meta.add_run(run(&[&format!("delta{delta}.csv")], 1));
            meta.add_run(FinishedRun { whole: false, ..run(&["whole.csv"], 5) });
        }
        let rows = |meta: &Meta| meta.last_run_over(&["whole.csv"].into_iter()).map(|run| run.rows);
        assert_eq!(rows(&meta), Some(1_000));
        assert!(!meta.runs.last().unwrap().whole, "the latest are all there");
        for delta in 0..2 * MOST_OLDER {
            meta.add_run(run(&[&format!("other{delta}.csv")], 1));
        }
        assert_eq!((meta.runs.len(), rows(&meta)), (MOST_RUNS + MOST_OLDER, None), "but not for ever");
    }
}
