//! What a state is bound to, and the runs that finished with it.

use serde::{Deserialize, Serialize};

/// Runs that are remembered.
const MOST_RUNS: usize = 20;

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
    /// Whether it took all rows of them: neither `--skip` nor `--limit`.
    pub whole: bool,
    /// Rows of all inputs.
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
    /// Remembers a run; the oldest are forgotten, but for the latest over each list of inputs.
    pub fn add_run(&mut self, run: FinishedRun) {
        self.runs.push(run);
        while self.runs.len() > MOST_RUNS {
            let is_replaced = |at: usize| {
                let run = &self.runs[at];
                self.runs[at + 1..].iter().any(|later| (later.whole || !run.whole) && later.names().eq(run.names()))
            };
            let oldest = (0..self.runs.len() - 1).find(|at| is_replaced(*at)).unwrap_or(0);
            self.runs.remove(oldest);
        }
    }

    /// The last finished run over inputs of these names that took all their rows.
    pub fn last_run_over<'a>(&self, names: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&FinishedRun> {
        self.runs.iter().rev().find(|run| run.whole && run.names().eq(names.clone()))
    }
}

impl FinishedRun {
    fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.inputs.iter().map(|input| input.source.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(names: &[&str], rows: u64) -> FinishedRun {
        let inputs = names.iter().map(|name| RunInput { source: (*name).to_owned(), ..RunInput::default() });
        FinishedRun { inputs: inputs.collect(), whole: true, rows, ..FinishedRun::default() }
    }

    #[test]
    fn the_last_run_over_the_same_inputs_is_found_however_many_others_there_were() {
        let mut meta = Meta::default();
        meta.add_run(run(&["weekly.csv"], 7));
        for night in 0..100 {
            meta.add_run(run(&["a.csv", "b.csv"], night));
        }
        meta.add_run(FinishedRun { whole: false, ..run(&["a.csv", "b.csv"], 1) });
        assert_eq!(meta.runs.len(), MOST_RUNS);
        let rows = |names: &[&str]| meta.last_run_over(&names.iter().copied()).map(|run| run.rows);
        assert_eq!(rows(&["a.csv", "b.csv"]), Some(99));
        assert_eq!(rows(&["weekly.csv"]), Some(7));
        assert_eq!((rows(&["b.csv", "a.csv"]), rows(&["a.csv"])), (None, None));
    }
}
