use std::{
    io::{BufWriter, Write},
    path::Path,
};

use dispatcher::StopCause;
use jiff::Timestamp;
use model::{Outcome, escape_controls};
use report::{replace, rfc3339};
use state::{FinishedRun, RunInput, State, StateError};

use super::{super::outcome::RunOutcome, Remembering};
use crate::{reading::Positions, terminal::Printer};

/// What a run read.
pub(in super::super) struct WhatWasRead {
    /// It was to take all rows of its inputs, and these are not reports.
    pub(in super::super) takes_all: bool,
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
        let inputs = inputs(outcome, &read.positions);
        let is_over = outcome.is_finished();
        let is_whole = is_over && read.takes_all;
        let state = &self.remembered.state;
        let mut vanished = None;
        let ended = (|| {
            if self.remembered.only_sets {
                return finish(state, printer);
            }
            for same in same_inputs(state, &inputs) {
                printer.warning(&same, Some("did the export run?"));
            }
            if is_whole {
                vanished = Some(self.vanished()?);
            } else if self.remembered.settings.report_vanished.is_some() {
                let text = "--report-vanished: not every row of the inputs was read, so nothing is said about users without one";
                printer.warning(text, None);
            }
            if is_over {
                let tally = &outcome.journaled.tally;
                let run = FinishedRun {
                    at: rfc3339(Timestamp::now().as_millisecond()),
                    inputs,
                    whole: read.takes_all,
                    rows: tally.total(),
                    unchanged: tally.rows(Outcome::Unchanged),
                    synced: tally.rows(Outcome::Synced),
                    rejected: tally.rows(Outcome::Rejected),
                    failed: tally.rows(Outcome::Failed),
                };
                state.set_meta(|meta| meta.add_run(run))?;
            }
            finish(state, printer)
        })();
        if let Err(error) = ended {
            outcome.cause.get_or_insert(StopCause::Report(error.to_string()));
        }
        vanished
    }

    /// How many users the state knows of whom no row was read. Lists them where that was asked for.
    fn vanished(&self) -> Result<u64, StateError> {
        let state = &self.remembered.state;
        match &self.remembered.settings.report_vanished {
            Some(path) => list_vanished(state, path),
            None => state.vanished(),
        }
    }
}

fn list_vanished(state: &State, path: &Path) -> Result<u64, StateError> {
    let unwritten = |cause| StateError::Listing { path: path.to_owned(), cause };
    let mut count = 0;
    let mut failed = None;
    let listed = replace(path, |file| {
        let mut lines = BufWriter::new(file);
        let all = state.for_each_vanished(|euid| {
            count += 1;
            writeln!(lines, "{}", euid.get())
        });
        if let Err(error) = all {
            failed = Some(error);
            return Err(std::io::Error::other("the state can't be read"));
        }
        lines.flush()
    });
    match (listed, failed) {
        (Ok(()), _) => Ok(count),
        (Err(_), Some(error @ StateError::Read { .. })) => Err(error),
        (Err(cause), _) => Err(unwritten(cause)),
    }
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
