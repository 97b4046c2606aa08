//! What the rows of a run tell about the run as a whole. Pure.

use crate::{settings::MaxFailures, stop::StopCause};

/// A share of failures is looked at only after so many rows.
const ROWS_BEFORE_A_SHARE_COUNTS: u64 = 100;
/// So many answers in a row that are no answers of the API mean that it isn't the API.
const BARE_STATUSES: u32 = 100;

#[derive(Debug)]
pub(crate) struct Failures {
    most: MaxFailures,
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
    pub(crate) fn new(most: MaxFailures) -> Self {
        Self { most, accepted: 0, failed: 0, bare_statuses_in_a_row: 0 }
    }

    /// A row was accepted. With it a hundred may be answered, of which too many have failed.
    pub(crate) fn accepted(&mut self) -> Option<StopCause> {
        self.accepted += 1;
        if matches!(self.most, MaxFailures::Percent(_)) { self.too_many() } else { None }
    }

    /// A row failed.
    pub(crate) fn failed(&mut self) -> Option<StopCause> {
        self.failed += 1;
        self.too_many()
    }

    /// An attempt ended.
    pub(crate) fn attempt_ended(&mut self, answer: Answer) -> Option<StopCause> {
        if answer == Answer::Other {
            self.bare_statuses_in_a_row = 0;
            return None;
        }
        self.bare_statuses_in_a_row += 1;
        (self.bare_statuses_in_a_row >= BARE_STATUSES).then(|| {
            StopCause::outage(format!(
                "{BARE_STATUSES} answers in a row bore an HTTP status and no code of the API: a wrong path or a portal"
            ))
        })
    }

    fn too_many(&self) -> Option<StopCause> {
        let (failed, answered) = (self.failed, self.accepted + self.failed);
        let too_many = match self.most {
            MaxFailures::None => false,
            MaxFailures::Rows(most) => failed >= most,
            MaxFailures::Percent(most) => {
                failed > 0 && answered >= ROWS_BEFORE_A_SHARE_COUNTS && failed as f64 * 100.0 >= most * answered as f64
            }
        };
        too_many.then(|| StopCause::MaxFailures(format!("{failed} of {answered} rows answered have failed")))
    }
}
