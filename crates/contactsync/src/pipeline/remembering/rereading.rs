use std::sync::Arc;

use jiff::Timestamp;
use model::{Euid, IdentityKind, RecordBatch};
use report::Run;
use state::{KnownId, Looker, Meta, State};
use validator::trimmed_id;

use super::opening::usage_of;
use crate::failure::Failure;

/// Rows that are read again before a resume sends any: their users were seen, and those that another run has set since are
/// not to be set to older values.
pub(crate) struct Rereading {
    looker: Looker,
    meta: Meta,
    /// The run that is to go on, and when it began; none where that isn't known.
    run: Option<(String, u64)>,
    /// By which ids rows are keyed, where not by EUIDs.
    identity: Option<IdentityKind>,
    overtaken: u64,
}

impl Rereading {
    pub(super) fn new(state: &Arc<State>, then: &Run, identity: Option<IdentityKind>) -> Self {
        let begun = |text: &String| {
            let time: Timestamp = text.parse().ok()?;
            Some((text.clone(), u64::try_from(time.as_millisecond()).ok()?))
        };
        let run = then.begun.as_ref().and_then(begun);
        Self { looker: state.looker(), meta: state.meta(), run, identity, overtaken: 0 }
    }

    /// Takes note of the users of these rows. `is_wanted`: of each row, in order, whether it is still to be sent.
    pub(crate) fn see(&mut self, batch: &RecordBatch, is_wanted: &[bool]) -> Result<(), Failure> {
        let Self { looker, meta, run, identity, overtaken } = self;
        let mut looking = looker.look();
        for (record, is_wanted) in batch.iter().zip(is_wanted) {
            let euid = match identity {
                None => Euid::parse(record.euid_text()).ok(),
                Some(kind) => {
                    let known = looking.id(*kind, trimmed_id(record.euid_text())).map_err(usage_of)?;
                    known.and_then(KnownId::user)
                }
            };
            let Some(euid) = euid else { continue };
            looking.see(euid).map_err(usage_of)?;
            if let (true, Some((run, begun_ms))) = (*is_wanted, &run) {
                let set_at = looking.set_at(euid).map_err(usage_of)?.filter(|at| at > begun_ms);
                *overtaken += u64::from(set_at.is_some_and(|at| meta.opened_by(at) != Some(run)));
            }
        }
        Ok(())
    }

    /// Whether another run has had the state open since this one began: any of its rows may be older than what is there. What
    /// the run's tries have in common, and when it began.
    pub(crate) fn may_be_overtaken(&self) -> Option<(String, u64)> {
        let (run, begun_ms) = self.run.as_ref()?;
        let is_other = self.meta.openings.iter().any(|opening| opening.at_ms > *begun_ms && opening.run != *run);
        is_other.then(|| (run.clone(), *begun_ms))
    }

    /// Exit 2 where an older value would be sent over one that another run has set.
    pub(crate) fn refuse_overtaken(&self) -> Result<(), Failure> {
        if self.overtaken == 0 {
            return Ok(());
        }
        let message = format!(
            "another run over the same state has since set the users of {} rows that this one hadn't sent: its values are \
             newer; nothing was sent",
            self.overtaken
        );
        let hint = "the run of the next export sends what differs; to send this one all the same, begin another report";
        Err(Failure::usage(message).with_hint(hint.to_owned()))
    }
}
