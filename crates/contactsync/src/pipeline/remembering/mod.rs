//! `--state` at work: rows that the service is known to hold are not sent. [`opening`] takes the file, the intake has a
//! [`glancing`] look at rows as they are read, the dispatcher asks the [`memory`] about all others, and what must be durable
//! before a row is sent is made so by [`committing`]. Under `--compare-service` what isn't known is read from the service
//! ([`comparing`]); without `--state` that goes into a state that ends with the run. [`Remembering`] joins them, and ends the state with its run.

mod ages;
mod committing;
mod comparing;
mod doubting;
mod ending;
mod glancing;
mod memory;
mod opening;
mod rereading;
mod whose;

use std::{io, sync::Arc};

use dispatcher::{Memory, Stop, StopCause};
use report::ComparisonFigures;
use state::{State, StateError};

pub(super) use ages::Ages;
pub(super) use doubting::Doubts;
pub(super) use ending::WhatWasRead;
pub(super) use glancing::{Glance, Glancing, Undecided};

use self::{committing::Committer, comparing::ServiceMemory, memory::StateMemory};
use super::{journaling::RunRecord, service_reading::Comparer, unchanged::UnchangedRows};
use crate::settings::{ServiceSettings, StateSettings};

pub(crate) use comparing::{Uncertain, uncertain_users};
pub(crate) use opening::usage_of;
pub(crate) use rereading::Rereading;
pub(crate) use whose::{EACH_ITS_OWN, Whose};

/// A state that was opened for a run.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) state: Arc<State>,
    pub(crate) settings: StateSettings,
    /// Fingerprint of the API key, to which the first accepted row binds it.
    pub(crate) api_key: String,
    /// When this try opened it, in milliseconds since 1970.
    pub(crate) opened_ms: u64,
    /// Rows are only marked and set, and never found unchanged.
    pub(crate) only_sets: bool,
    /// It is a file of the user's, and not only of this run.
    pub(crate) is_kept: bool,
    /// How what isn't known is read from the service, where it is.
    pub(crate) compares: Option<ServiceSettings>,
    /// Of a run that goes on, and may have been overtaken by another: what its tries have in common, and when it began.
    pub(crate) resumed: Option<(String, u64)>,
    /// Users whose lost requests of earlier tries may still land.
    pub(crate) uncertain: Uncertain,
}

/// A state in a run.
pub(super) struct Remembering {
    remembered: Remembered,
    undecided: Arc<Undecided>,
    ages: Ages,
    unchanged: UnchangedRows,
    committer: Option<Committer>,
    /// Compares with what the service holds.
    comparer: Option<Arc<Comparer>>,
}

impl Remembering {
    pub(super) fn new(remembered: Remembered, unchanged: UnchangedRows) -> Self {
        let comparer = remembered.compares.map(|compares| Arc::new(Comparer::new(compares.compare)));
        Self { remembered, undecided: Arc::default(), ages: Ages::default(), unchanged, committer: None, comparer }
    }

    /// For whoever reads rows.
    pub(super) fn glancing(&self, writes_unchanged: bool) -> Glancing {
        Glancing {
            looker: self.remembered.state.looker(),
            undecided: Arc::clone(&self.undecided),
            unchanged: self.unchanged.clone(),
            compares: !self.remembered.settings.refresh,
            writes_unchanged,
        }
    }

    /// For whoever finds out EUIDs.
    pub(super) fn undecided(&self) -> Arc<Undecided> {
        Arc::clone(&self.undecided)
    }

    /// For whoever sends rows once more.
    pub(super) fn ages(&self) -> Ages {
        self.ages.clone()
    }

    /// For whoever finds that the service holds something else than is known.
    pub(super) fn doubts(&mut self, stop: Stop) -> io::Result<Doubts> {
        let state = &self.remembered.state;
        let committer = Committer::start(Arc::clone(state), None, stop)?;
        let doubts = Doubts::new(state, committer.handle());
        self.committer = Some(committer);
        Ok(doubts)
    }

    /// For the dispatcher. What lies beside the report is saved where that must come before a mark.
    pub(super) fn memory(
        &mut self,
        run: Option<RunRecord>,
        figures: ComparisonFigures,
        stop: Stop,
    ) -> io::Result<Arc<dyn Memory>> {
        let state = &self.remembered.state;
        let committer = Committer::start(Arc::clone(state), run, stop)?;
        let memory = StateMemory::new(
            &self.remembered,
            &self.undecided,
            self.ages(),
            &self.unchanged,
            figures,
            committer.handle(),
        );
        self.committer = Some(committer);
        Ok(match &self.comparer {
            Some(comparer) => {
                let uncertain = std::mem::take(&mut self.remembered.uncertain);
                Arc::new(ServiceMemory::new(memory, Arc::clone(comparer), uncertain))
            }
            None => Arc::new(memory),
        })
    }
}

/// What stops a run that can't go on without its state.
fn stop_cause(error: &StateError) -> StopCause {
    StopCause::Report(error.to_string())
}
