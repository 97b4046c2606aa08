use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};

use crate::{
    settings::MaxFailures,
    stop::{Stop, StopCause},
};

/// A share of failures is looked at only after so many rows.
const ROWS_BEFORE_A_SHARE_COUNTS: u64 = 100;
/// So many answers in a row that are no answers of the API mean that it isn't the API.
const WALL: u32 = 100;

/// What the rows of this run tell about the run as a whole.
#[derive(Debug)]
pub(crate) struct Failures {
    most: MaxFailures,
    answered: AtomicU64,
    failed: AtomicU64,
    accepted: AtomicBool,
    http_statuses_in_a_row: AtomicU32,
    stop: Stop,
}

impl Failures {
    pub(crate) fn new(most: MaxFailures, stop: Stop) -> Self {
        Self {
            most,
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            accepted: AtomicBool::new(false),
            http_statuses_in_a_row: AtomicU32::new(0),
            stop,
        }
    }

    /// Whether a row of this run was accepted.
    pub(crate) fn any_accepted(&self) -> bool {
        self.accepted.load(SeqCst)
    }

    /// A row was accepted.
    pub(crate) fn accepted(&self) {
        self.accepted.store(true, SeqCst);
        self.answered.fetch_add(1, SeqCst);
    }

    /// A row failed; stops the run where that is one too many.
    pub(crate) fn failed(&self) {
        let failed = self.failed.fetch_add(1, SeqCst) + 1;
        let answered = self.answered.fetch_add(1, SeqCst) + 1;
        let too_many = match self.most {
            MaxFailures::None => false,
            MaxFailures::Rows(most) => failed >= most,
            MaxFailures::Percent(most) => {
                answered >= ROWS_BEFORE_A_SHARE_COUNTS && failed as f64 * 100.0 >= most * answered as f64
            }
        };
        if too_many {
            self.stop.because(StopCause::MaxFailures(format!("{failed} of {answered} rows answered have failed")));
        }
    }

    /// An attempt ended; `wall`: with an HTTP status that is no answer of the API.
    pub(crate) fn attempt_ended(&self, wall: bool) {
        if !wall {
            self.http_statuses_in_a_row.store(0, SeqCst);
        } else if self.http_statuses_in_a_row.fetch_add(1, SeqCst) + 1 >= WALL {
            self.stop.because(StopCause::Outage(format!(
                "{WALL} answers in a row bore an HTTP status and no code of the API: a wrong path or a portal"
            )));
        }
    }
}
