use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use dispatcher::{Asker, BoxFuture, Memory, Recall, StopCause};
use jiff::Timestamp;
use model::{Contact, Outcome, Reason};
use report::{Change, ComparisonFigures};
use state::{Ended, Kept, Looker, State, StateError};

use super::{super::unchanged::UnchangedRows, Remembered, committing::CommitHandle, glancing::Undecided, stop_cause};

/// A state as the dispatcher's memory.
pub(super) struct StateMemory {
    state: Arc<State>,
    /// One for each call that may be under way at once; more are made as they are needed.
    lookers: Mutex<Vec<Looker>>,
    undecided: Arc<Undecided>,
    unchanged: UnchangedRows,
    figures: ComparisonFigures,
    committer: CommitHandle,
    compares: bool,
    omitted_kept: bool,
    api_key: String,
    /// Whether a row was accepted under that key, so that the state belongs to it.
    is_bound: AtomicBool,
}

impl StateMemory {
    pub(super) fn new(
        remembered: &Remembered,
        undecided: &Arc<Undecided>,
        unchanged: &UnchangedRows,
        figures: ComparisonFigures,
        committer: CommitHandle,
    ) -> Self {
        let Remembered { state, settings, api_key, only_sets } = remembered;
        Self {
            state: Arc::clone(state),
            lookers: Mutex::default(),
            undecided: Arc::clone(undecided),
            unchanged: unchanged.clone(),
            figures,
            committer,
            compares: !settings.refresh && !only_sets,
            omitted_kept: settings.omitted_kept,
            api_key: api_key.clone(),
            is_bound: AtomicBool::new(state.meta().api_key.as_ref() == Some(api_key)),
        }
    }

    /// What is to become of the rows, and what must be durable before any of them is sent.
    fn compare(&self, rows: &[&Contact]) -> Result<(Vec<Recall>, Option<Needs>), StateError> {
        let mut lookers = self.lookers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut looker = lookers.pop().unwrap_or_else(|| self.state.looker());
        drop(lookers);
        let (mut recalled, mut to_send) = (Vec::with_capacity(rows.len()), Vec::new());
        let (mut unchanged, mut changes) = (Vec::new(), Vec::new());
        {
            let mut looking = looker.look();
            for row in rows {
                if self.compares && looking.is_unchanged(row.euid, row.contacts.iter())? {
                    // Known to be so before anything that is sent later of this EUID.
                    self.unchanged.note(&row.origin.source, row.origin.row);
                    unchanged.push(row.euid);
                    recalled.push(Recall::Unchanged);
                    continue;
                }
                let note = |name, value, kept| changes.extend(change(value, kept).map(|change| (name, change)));
                looking.compare(row.euid, row.contacts.iter(), note)?;
                to_send.push(looking.to_send(row.euid)?);
                recalled.push(Recall::Send);
            }
        }
        self.lookers.lock().unwrap_or_else(PoisonError::into_inner).push(looker);
        self.figures.count(changes);
        self.undecided.decided(unchanged);
        let saves_run = to_send.iter().any(|row| row.needs_mark() && row.was_unchanged());
        let needs = to_send.iter().any(state::ToSend::needs_mark).then_some(Needs { saves_run });
        self.state.mark(to_send);
        Ok((recalled, needs))
    }
}

/// What must be durable before rows are sent: their marks.
struct Needs {
    /// And before these, which rows were unchanged.
    saves_run: bool,
}

impl Memory for StateMemory {
    fn recall<'a>(
        &'a self,
        rows: &'a [&'a Contact],
        _asker: &'a Asker,
    ) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async {
            let (recalled, needs) = self.compare(rows).map_err(|error| stop_cause(&error))?;
            if let Some(Needs { saves_run }) = needs {
                self.committer.commit(saves_run).await?;
            }
            Ok(recalled)
        })
    }

    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>) {
        let is_accepted = outcome == Outcome::Synced;
        let ended = match reason {
            _ if !is_accepted => Ended::Failed,
            None => Ended::Accepted(contact.contacts.iter()),
            Some(_) => Ended::InPart(contact.contacts.iter()),
        };
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        // Before it is set: what is known never belongs to nobody.
        if is_accepted && !self.is_bound.swap(true, SeqCst) {
            // Plain text: it can always be written down.
            let _ = self.state.set_meta(|meta| meta.api_key = Some(self.api_key.clone()));
        }
        self.state.ended(contact.euid, ended, now, self.omitted_kept);
        self.undecided.decided([contact.euid]);
    }
}

/// What a contact that is to be sent changes, as far as it is known.
pub(crate) fn change(value: &str, kept: Kept) -> Option<Change> {
    match kept {
        Kept::Same | Kept::Unknown => None,
        Kept::Nothing if value.is_empty() => None,
        Kept::Nothing => Some(Change::New),
        Kept::Different if value.is_empty() => Some(Change::Cleared),
        Kept::Different => Some(Change::Changed),
    }
}
