use model::{Counters, Outcome, Reason};

use super::{About, Sources};
use crate::{exit::Exit, pipeline::UnchangedRows};

/// Up to which latencies answers are counted together, in milliseconds.
pub(crate) const LATENCY_BOUNDS_MS: [u64; 14] =
    [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 20_000, 30_000, 60_000];

/// All that is shown of a run, at one moment. It holds no contact value and no EUID.
#[derive(Debug, Clone)]
pub(crate) struct Figures {
    pub(crate) about: About,
    /// Rows by how they ended and why; without a reason also where there are none yet.
    pub(crate) rows: Vec<(Outcome, Option<Reason>, u64)>,
    pub(crate) rows_read: u64,
    pub(crate) attempts: [(&'static str, u64); 3],
    pub(crate) retries: u64,
    pub(crate) latency: Latencies,
    pub(crate) in_flight: u64,
    pub(crate) held: bool,
    pub(crate) started_at_ms: i64,
    /// Now.
    #[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "only what is delivered bears its time"))]
    pub(crate) at_ms: i64,
    pub(crate) ended: Option<Ended>,
    pub(crate) stopped_by: Option<&'static str>,
    /// Rows that this try has decided.
    pub(crate) decided_now: u64,
}

/// Of which moment figures are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) started_at_ms: i64,
    pub(super) at_ms: i64,
    pub(super) ended: Option<Ended>,
}

/// The end of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) at_ms: i64,
    pub(crate) exit: Exit,
    /// When it succeeded, if it did: a run that had finished before did so then.
    pub(crate) succeeded_at_ms: i64,
}

/// What the last attempts of rows took.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Latencies {
    /// Rows by [`LATENCY_BOUNDS_MS`], not those below, and those beyond all of them.
    pub(crate) rows: Vec<u64>,
    pub(crate) count: u64,
    pub(crate) sum_seconds: f64,
}

impl Figures {
    pub(super) fn of(
        about: &About,
        sources: &Sources,
        Times { started_at_ms, at_ms, ended }: Times,
        stopped_by: Option<&'static str>,
    ) -> Self {
        let Sources { counters, tally, unchanged, writes_unchanged, requests, before } = sources;
        let tally = tally.look();
        let passed_over = unchanged.as_ref().map_or(0, UnchangedRows::passed_over);
        // The others have a record, or a decision that got none.
        let without_record = if *writes_unchanged { passed_over } else { Counters::get(&counters.unchanged) };
        let mut rows = Vec::new();
        for (outcome, reason, counted) in tally.rows_by_reason() {
            let further = match (outcome, reason) {
                (Outcome::Unchanged, None) => without_record,
                (Outcome::Superseded, None) => before.superseded,
                _ => 0,
            };
            let counted = counted + further;
            if counted > 0 || (reason.is_none() && about.can_end(outcome)) {
                rows.push((outcome, reason, counted));
            }
        }
        let requests = requests.with(before.requests);
        // What is read back has no attempt of its own.
        let attempts = if about.verifies { 0 } else { before.attempts + Counters::get(&counters.attempts) };
        let decided = tally.total() + without_record;
        Self {
            about: about.clone(),
            rows,
            rows_read: before.rows + Counters::get(&counters.rows_read),
            attempts: [("contact", attempts), ("register", requests.register), ("profile", requests.profile)],
            retries: if about.verifies { requests.retries } else { tally.retries },
            latency: Latencies::of(&tally),
            in_flight: Counters::get(&counters.in_flight),
            held: ended.is_none() && Counters::get(&counters.held) > 0,
            started_at_ms,
            at_ms,
            ended,
            stopped_by,
            decided_now: decided.saturating_sub(before.rows),
        }
    }
}

#[cfg(feature = "otel")]
impl Figures {
    /// Rows by how they ended.
    pub(crate) fn rows_by_outcome(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        let of = |outcome| self.rows.iter().filter(move |(of, ..)| *of == outcome).map(|(.., rows)| rows).sum();
        Outcome::ALL
            .into_iter()
            .filter(|outcome| self.about.can_end(*outcome))
            .map(move |outcome| (outcome, of(outcome)))
    }
}

impl About {
    /// Whether rows of such a run can end so.
    fn can_end(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Rejected | Outcome::Failed => true,
            Outcome::Synced | Outcome::Unchanged => !self.verifies,
            Outcome::Landed | Outcome::Different => self.verifies,
            Outcome::Superseded => self.verifies || self.command == "replay",
            Outcome::Valid => false,
        }
    }
}

impl Latencies {
    fn of(tally: &report::Tally) -> Self {
        let count = tally.latency_count();
        let mut rows = Vec::with_capacity(LATENCY_BOUNDS_MS.len() + 1);
        let mut below = 0;
        for at_most in LATENCY_BOUNDS_MS.map(|bound| tally.latency_at_most(bound)).into_iter().chain([count]) {
            rows.push(at_most.saturating_sub(below));
            below = at_most;
        }
        Self { rows, count, sum_seconds: tally.latency_sum_ms() as f64 / 1_000.0 }
    }
}
