use std::sync::{Arc, OnceLock};

use tokio_util::sync::CancellationToken;

/// Why a run stops before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopCause {
    /// A signal, by number.
    Signal(i32),
    /// The API refuses the credentials or the project; with which status and code.
    Credentials(String),
    /// Too many rows failed; how many.
    MaxFailures(String),
    /// The service stayed out of reach, or isn't the service.
    Outage {
        /// What was seen.
        what: String,
        /// What to do, where it is known better than in general.
        advice: Option<String>,
    },
    /// Who plans the starts of several processes won't plan any for this one; why.
    RateRefused(String),
    /// The time for it is over; what ended it.
    TimeWindow(String),
    /// Whoever was asked doesn't want it to go on; what was asked.
    Declined(String),
    /// The report could not be written; what happened.
    Report(String),
    /// A part of the program broke off; which.
    Bug(String),
}

impl StopCause {
    /// The service stayed out of reach, or isn't the service.
    pub(crate) fn outage(what: impl Into<String>) -> Self {
        Self::Outage { what: what.into(), advice: None }
    }
}

/// The one stopping path of a run, shared by all its steps. The first cause wins and stays.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    cause: OnceLock<StopCause>,
    stopping: CancellationToken,
    grace_over: CancellationToken,
}

impl Stop {
    /// Asks the run to stop. Only the first cause is kept.
    pub fn because(&self, cause: StopCause) {
        if self.0.cause.set(cause).is_ok() {
            self.0.stopping.cancel();
        }
    }

    /// Why the run stops, where it does.
    pub fn cause(&self) -> Option<&StopCause> {
        self.0.cause.get()
    }

    /// Whether nothing new may start.
    pub fn is_stopping(&self) -> bool {
        self.0.stopping.is_cancelled()
    }

    /// Waits until the run is asked to stop.
    pub async fn stopping(&self) {
        self.0.stopping.cancelled().await;
    }

    /// Cuts off what is still under way.
    pub fn end_grace(&self) {
        self.0.grace_over.cancel();
    }

    /// Waits until attempts under way are cut off.
    pub async fn grace_over(&self) {
        self.0.grace_over.cancelled().await;
    }
}
