use std::{
    collections::HashSet,
    hash::BuildHasherDefault,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dispatcher::{Asker, Batches, BoxFuture, Memory, Recall, StopCause, Turn};
use model::{Contact, Euid, NumberHasher, Outcome, Reason};
use report::{ReportError, SourceReport};

use super::{
    super::service_reading::{Comparer, Reading, read_users},
    memory::StateMemory,
    stop_cause,
};

/// Users whose later rows are sent without a look, of one run. More are as good as all.
const MOST_UNCERTAIN: usize = 1_000_000;
/// A read takes as long for one user as for a hundred: so long the first of them waits for others.
const LINGER: Duration = Duration::from_millis(20);

/// EUIDs by number.
pub(crate) type Uncertain = HashSet<u64, BuildHasherDefault<NumberHasher>>;

/// Users of whom a report has rows that ended otherwise than by a plain success.
pub(crate) fn uncertain_users(report: &SourceReport) -> Result<Uncertain, ReportError> {
    let mut uncertain = Uncertain::default();
    for record in report.records()? {
        let record = record?;
        let is_plain = record.outcome != Outcome::Failed && record.reason.is_none();
        if let (false, Ok(euid)) = (is_plain || record.attempts == 0, Euid::parse(&record.euid)) {
            uncertain.insert(euid.get());
            if uncertain.len() >= MOST_UNCERTAIN {
                break;
            }
        }
    }
    Ok(uncertain)
}

/// A state that asks the service about what it doesn't know. What it is told goes into the state, which then decides.
pub(super) struct ServiceMemory {
    known: StateMemory,
    comparer: Arc<Comparer>,
    /// EUIDs of which a row ended otherwise than by a plain success: a lost request may still land after a read.
    uncertain: Mutex<Uncertain>,
}

impl ServiceMemory {
    /// `uncertain`: users of whom an earlier try of the run had such a row.
    pub(super) fn new(known: StateMemory, comparer: Arc<Comparer>, uncertain: Uncertain) -> Self {
        Self { known, comparer, uncertain: Mutex::new(uncertain) }
    }

    fn is_uncertain(&self, euid: u64) -> bool {
        let uncertain = self.uncertain.lock().unwrap_or_else(PoisonError::into_inner);
        uncertain.len() >= MOST_UNCERTAIN || uncertain.contains(&euid)
    }

    /// Takes note of what was read of some rows.
    fn learn(&self, rows: &[&Contact], reading: Reading) -> Result<(), StopCause> {
        let told = match reading.told {
            Ok(told) => told,
            // What couldn't be read is sent.
            Err(reason) => {
                self.comparer.note_unread(reading.rows.len(), reason, &reading.answered);
                return Ok(());
            }
        };
        for row in &rows[reading.rows] {
            if let Some(found) = told.found_of(row, &self.comparer) {
                self.known.learn(row, &found.collect::<Vec<_>>()).map_err(|error| stop_cause(&error))?;
            }
        }
        Ok(())
    }
}

impl Memory for ServiceMemory {
    fn batches(&self) -> Batches {
        Batches { rows: 100, calls: 32, linger: LINGER }
    }

    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async move {
            let rows: Vec<&Contact> = turns.iter().map(|turn| turn.contact).collect();
            let mut to_read = self.known.not_known(&rows).map_err(|error| stop_cause(&error))?;
            to_read.retain(|row| !self.is_uncertain(row.euid.get()));
            if !to_read.is_empty() {
                let Some(readings) = read_users(asker, &to_read).await? else {
                    // The run has stopped: nothing of this is sent any more.
                    return Ok(vec![Recall::Send; rows.len()]);
                };
                for reading in readings {
                    self.learn(&to_read, reading)?;
                }
            }
            self.known.decide(&rows).await
        })
    }

    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, may_land: bool) {
        if may_land || outcome != Outcome::Synced || reason.is_some() {
            let mut uncertain = self.uncertain.lock().unwrap_or_else(PoisonError::into_inner);
            if uncertain.len() < MOST_UNCERTAIN {
                uncertain.insert(contact.euid.get());
            }
        }
        self.known.ended(contact, outcome, reason, may_land);
    }
}

#[cfg(test)]
#[path = "comparing_tests.rs"]
mod tests;
