use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    settings::MaxFailures,
    stop::{Stop, StopCause},
};

/// A share of failures is looked at only after so many rows.
const ROWS_BEFORE_A_SHARE_COUNTS: u64 = 100;
/// So many answers in a row that are no answers of the API mean that it isn't the API.
const BARE_STATUSES: u32 = 100;

/// What the rows of this run tell about the run as a whole.
#[derive(Debug)]
pub(crate) struct Failures {
    most: MaxFailures,
    counts: Mutex<Counts>,
    stop: Stop,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: u64,
    failed: u64,
    bare_statuses_in_a_row: u32,
}

/// What answered an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An HTTP status that fails the row, and no code of the API.
    BareStatus,
    /// Anything else, or nothing.
    Other,
}

impl Failures {
    pub(crate) fn new(most: MaxFailures, stop: Stop) -> Self {
        Self { most, counts: Mutex::default(), stop }
    }

    /// Whether a row of this run was accepted.
    pub(crate) fn any_accepted(&self) -> bool {
        self.counts().accepted > 0
    }

    /// A row was accepted. With it a hundred may be answered, of which too many have failed.
    pub(crate) fn accepted(&self) {
        let mut counts = self.counts();
        counts.accepted += 1;
        if matches!(self.most, MaxFailures::Percent(_)) {
            self.stop_where_too_many(&counts);
        }
    }

    /// A row failed.
    pub(crate) fn failed(&self) {
        let mut counts = self.counts();
        counts.failed += 1;
        self.stop_where_too_many(&counts);
    }

    /// An attempt ended.
    pub(crate) fn attempt_ended(&self, answer: Answer) {
        let mut counts = self.counts();
        if answer == Answer::Other {
            counts.bare_statuses_in_a_row = 0;
            return;
        }
        counts.bare_statuses_in_a_row += 1;
        if counts.bare_statuses_in_a_row >= BARE_STATUSES {
            self.stop.because(StopCause::outage(format!(
                "{BARE_STATUSES} answers in a row bore an HTTP status and no code of the API: a wrong path or a portal"
            )));
        }
    }

    fn stop_where_too_many(&self, counts: &Counts) {
        let (failed, answered) = (counts.failed, counts.accepted + counts.failed);
        let too_many = match self.most {
            MaxFailures::None => false,
            MaxFailures::Rows(most) => failed >= most,
            MaxFailures::Percent(most) => {
                failed > 0 && answered >= ROWS_BEFORE_A_SHARE_COUNTS && failed as f64 * 100.0 >= most * answered as f64
            }
        };
        if too_many {
            self.stop.because(StopCause::MaxFailures(format!("{failed} of {answered} rows answered have failed")));
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // Nothing panics under this lock; were it so, the figures in it would still be whole.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
