use dispatcher::StopCause;
use jiff::Timestamp;
use model::{Outcome, Reason, Shard, escape_controls};
use report::rfc3339;
use state::{FinishedRun, RunInput, State, StateError};

use super::{super::outcome::RunOutcome, Remembered, Remembering};
use crate::{
    exit::Exit,
    failure::Failure,
    reading::Positions,
    terminal::Printer,
    vanished::{NOT_ALL_READ, list_vanished, warn_of_nobody, warn_of_other_ids, warn_of_unreadable},
};

/// What a run read.
pub(in super::super) struct WhatWasRead {
    /// It was to take all rows of its inputs, and these are not reports.
    pub(in super::super) takes_all: bool,
    /// Of these, only those of a shard.
    pub(in super::super) shard: Option<Shard>,
    /// Rows are keyed by ids.
    pub(in super::super) by_ids: bool,
    /// When its first try began.
    pub(in super::super) begun: Option<String>,
    pub(in super::super) positions: Positions,
}

impl Remembering {
    /// Ends the state with its run, once nothing is sent any more. Returns how many users the state knows of whom no row was
    /// read, where all rows were. What can't be written goes into the outcome.
    pub(in super::super) fn end(
        mut self,
        outcome: &mut RunOutcome,
        read: &WhatWasRead,
        printer: &Printer,
    ) -> Option<u64> {
        // What it is at comes first.
        drop(self.committer.take());
        for (warning, hint) in self.comparer.iter().flat_map(|comparer| comparer.warnings()) {
            printer.warning(&warning, Some(hint));
        }
        if !self.remembered.is_kept {
            return None;
        }
        let inputs = inputs(outcome, &read.positions);
        let is_over = outcome.is_finished();
        let is_whole = is_over && read.takes_all;
        let state = &self.remembered.state;
        let mut vanished = None;
        let ended = (|| {
            if self.remembered.only_sets {
                return finish(state, printer).map_err(unwritten);
            }
            for same in same_inputs(state, &inputs) {
                printer.warning(&same, Some("did the export run?"));
            }
            if is_whole {
                let users = self.vanished()?;
                let reasons = &outcome.journaled.tally.reasons;
                let elsewhere = outcome.intake.of_nobody_elsewhere;
                if read.by_ids {
                    warn_of_nobody(users, self.undecided.of_nobody() + elsewhere, printer);
                    warn_of_other_ids(users, read.shard, printer);
                } else {
                    let rows_of = |reason: Reason| reasons.get(reason.as_str()).copied().unwrap_or(0);
                    warn_of_unreadable(users, rows_of, elsewhere, printer);
                }
                vanished = Some(users);
            } else if self.remembered.settings.report_vanished.is_some() {
                printer.warning(NOT_ALL_READ, None);
            }
            if is_over {
                let tally = &outcome.journaled.tally;
                let run = FinishedRun {
                    begun: read.begun.clone(),
                    at: rfc3339(Timestamp::now().as_millisecond()),
                    inputs,
                    whole: read.takes_all,
                    rows: tally.total(),
                    unchanged: tally.rows(Outcome::Unchanged),
                    synced: tally.rows(Outcome::Synced),
                    rejected: tally.rows(Outcome::Rejected),
                    failed: tally.rows(Outcome::Failed),
                };
                state.set_meta(|meta| meta.add_run(run)).map_err(unwritten)?;
            }
            finish(state, printer).map_err(unwritten)
        })();
        if let Err(failure) = ended {
            outcome.cause.get_or_insert(StopCause::Report(failure.message));
        }
        vanished
    }

    /// How many users the state knows of whom no row was read. Lists them where that was asked for.
    fn vanished(&self) -> Result<u64, Failure> {
        let Remembered { state, settings, .. } = &self.remembered;
        if let Some(list) = &settings.report_vanished {
            list_vanished(state, list)?;
        }
        state.vanished().map_err(unwritten)
    }
}

fn unwritten(error: StateError) -> Failure {
    Failure::new(Exit::ReadOrWrite, error)
}

fn finish(state: &State, printer: &Printer) -> Result<(), StateError> {
    if let Some(error) = state.finish()? {
        let hint =
            "everything is remembered, but the file grows with each run until a new one can be written beside it";
        printer.warning(&error.to_string(), Some(hint));
    }
    Ok(())
}

fn inputs(outcome: &RunOutcome, positions: &Positions) -> Vec<RunInput> {
    let read = outcome.intake.inputs.iter().zip(positions.iter());
    read.map(|(input, position)| RunInput {
        source: input.source.clone(),
        rows: position.rows,
        bytes: position.bytes,
        blake3: position
            .blake3
            .filter(|_| position.ended)
            .map_or_else(String::new, |digest| blake3::Hash::from_bytes(digest).to_hex().to_string()),
    })
    .collect()
}

/// Inputs that are byte for byte what the last finished run read.
fn same_inputs(state: &State, inputs: &[RunInput]) -> Vec<String> {
    let meta = state.meta();
    let Some(last) = meta.runs.last() else { return Vec::new() };
    let is_same = |input: &&RunInput| {
        !input.blake3.is_empty() && input.rows > 0 && last.inputs.iter().any(|before| before.blake3 == input.blake3)
    };
    let same = inputs.iter().filter(is_same);
    same.map(|input| {
        format!(
            "{} is byte for byte what the run of {} read",
            escape_controls(&input.source),
            escape_controls(&last.at)
        )
    })
    .collect()
}
