//! Own ids become EUIDs on the way to the dispatcher. What the state knows isn't asked for ([`known`]); the rest is gathered
//! to batches over all rows that are under way ([`gathering`]), which are asked for side by side and split where the API
//! refuses one for a value in it ([`asking`]). Whoever is said to be nobody's stays so for the run.

mod ahead;
mod asking;
mod gathering;
mod known;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use dispatcher::{Asker, BoxFuture, Intake, Resolver, Stop, StopCause, Unresolvable};
use jiff::Timestamp;
use model::{Contact, Decision, Euid, IdentityKind, Outcome, Unresolved};
use state::{IdUser, KnownId, Looker, State, StateError};

pub(crate) use ahead::ask_ahead;
pub(crate) use known::KnownIds;

use self::{
    asking::{Answer, Refusal},
    gathering::Gathering,
};
use super::remembering::{Remembered, Undecided};
use crate::{failure::Failure, settings::SendingSettings};

/// Finds out the EUIDs of rows that come with ids. Clones share what they know.
#[derive(Clone)]
pub(super) struct IdResolver(Arc<Ids>);

/// What is known of ids, and what is being asked.
struct Ids {
    kind: IdentityKind,
    state: Arc<State>,
    /// When this run opened the state: what was learnt before is only remembered.
    opened_ms: u64,
    api_key: String,
    is_bound: AtomicBool,
    /// Rows that the memory has to know of once their EUID is known.
    undecided: Option<Arc<Undecided>>,
    gathering: Gathering,
    /// How many ids turned out to have another EUID than was remembered.
    relearnt: AtomicU64,
    /// Ids that failed by an HTTP status alone, one after the other.
    bare_statuses: AtomicUsize,
    stop: Stop,
}

/// Where what is known of ids is kept.
#[derive(Debug, Clone)]
pub(crate) struct OwnIds {
    kind: IdentityKind,
    state: Arc<State>,
    opened_ms: u64,
    /// Fingerprint of the API key to which the state belongs from the first id on.
    api_key: String,
    /// EUIDs that reports say are believed.
    trusts_reports: bool,
}

impl OwnIds {
    /// What kind of ids they are.
    pub(crate) fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// The kind of ids, and where they are kept.
    pub(crate) fn place(&self) -> (IdentityKind, &Arc<State>) {
        (self.kind, &self.state)
    }

    /// The same, where EUIDs that reports say may be those of others.
    pub(crate) fn mistrusting(self) -> Self {
        Self { trusts_reports: false, ..self }
    }

    /// Looks ids up.
    pub(crate) fn known(&self) -> KnownIds {
        KnownIds::new(self.kind, Arc::clone(&self.state), self.opened_ms, self.trusts_reports)
    }

    /// In the state of the run, or in one of its own in `folder`, which ends with the run.
    pub(crate) fn new(
        kind: IdentityKind,
        remembered: Option<&Remembered>,
        sending: &SendingSettings,
        folder: &Path,
    ) -> Result<Self, Failure> {
        let of_run;
        let remembered = if let Some(remembered) = remembered {
            remembered
        } else {
            of_run = Remembered::of_run(sending, folder)?;
            &of_run
        };
        let Remembered { state, opened_ms, api_key, .. } = remembered;
        let (state, api_key) = (Arc::clone(state), api_key.clone());
        Ok(Self { kind, state, opened_ms: *opened_ms, api_key, trusts_reports: true })
    }
}

impl IdResolver {
    pub(super) fn new(own: OwnIds, undecided: Option<Arc<Undecided>>, stop: Stop) -> Self {
        let OwnIds { kind, state, opened_ms, api_key, trusts_reports: _ } = own;
        let is_bound = AtomicBool::new(state.meta().api_key.as_ref() == Some(&api_key));
        Self(Arc::new(Ids {
            kind,
            state,
            opened_ms,
            api_key,
            is_bound,
            undecided,
            gathering: Gathering::default(),
            relearnt: AtomicU64::new(0),
            bare_statuses: AtomicUsize::new(0),
            stop,
        }))
    }
}

impl Ids {
    /// Keeps whose ids are, for that project: ids of another are of other users.
    fn learn<'a>(&self, ids: impl IntoIterator<Item = (&'a str, IdUser)>) -> Result<(), StateError> {
        if !self.is_bound.swap(true, SeqCst) {
            self.state.set_meta(|meta| meta.api_key = Some(self.api_key.clone()))?;
        }
        // All at one time: that of this try and of no other.
        self.state.learn_ids(self.kind, ids, self.opened_ms)
    }

    fn looker(&self) -> Looker {
        self.state.looker()
    }

    /// What was said of an id in this run, or is remembered of its user.
    fn known(&self, looker: &mut Looker, id: &str) -> Result<Option<Answer>, StateError> {
        Ok(match looker.look().id(self.kind, id)? {
            Some(KnownId { user: IdUser::Known(euid), .. }) => Some(Ok(euid)),
            Some(KnownId { user: IdUser::Nobody(code), at_ms }) if at_ms >= self.opened_ms => {
                Some(Err(Arc::new(Refusal::said_before(code))))
            }
            Some(_) | None => None,
        })
    }

    /// Rows whose EUID was looked up before it turned out to be another.
    fn look_again(&self, rows: &mut [Intake]) -> Result<(), StateError> {
        if self.relearnt.load(SeqCst) == 0 {
            return Ok(());
        }
        let mut looker = self.looker();
        for row in rows {
            let Intake::Send(contact) = row else { continue };
            let Some(id) = contact.id.as_deref() else { continue };
            if let Some(Ok(euid)) = self.known(&mut looker, id)? {
                contact.euid = euid;
                contact.euid_text = euid.get().to_string().into();
            }
        }
        Ok(())
    }

    /// A row whose id was asked for.
    fn settled(&self, row: Unresolved, answer: &Answer) -> Intake {
        if let Some(undecided) = &self.undecided {
            undecided.resolved(answer.as_ref().ok().copied());
        }
        match answer {
            Ok(euid) => Intake::Send(row.resolved(*euid)),
            Err(refusal) => Intake::Decided(failed(row, refusal)),
        }
    }
}

/// A row for whose id there is no EUID.
fn failed(row: Unresolved, refusal: &Refusal) -> Decision {
    let Unresolved { origin, id, contacts } = row;
    Decision {
        origin,
        euid: "".into(),
        id: Some(id),
        outcome: Outcome::Failed,
        reason: Some(refusal.reason),
        answered: refusal.answered.clone(),
        attempts: refusal.attempts,
        latency_ms: refusal.latency_ms,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contacts),
        raw: None,
    }
}

impl Resolver for IdResolver {
    fn resolve<'a>(&'a self, mut rows: Vec<Intake>, asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Intake>, StopCause>> {
        Box::pin(async move {
            let ids = &self.0;
            let unreadable = |error: StateError| StopCause::Report(error.to_string());
            ids.look_again(&mut rows).map_err(unreadable)?;
            let asked_for: Vec<&str> = rows
                .iter()
                .filter_map(|row| match row {
                    Intake::Resolve(row) => Some(&*row.id),
                    Intake::Send(_) | Intake::Decided(_) => None,
                })
                .collect();
            if asked_for.is_empty() {
                return Ok(rows);
            }
            let waiting = gathering::ask_for(ids, &asked_for, asker).map_err(unreadable)?;
            let mut answers = Vec::with_capacity(waiting.len());
            for waiting in waiting {
                match waiting.answer().await {
                    Ok(Some(answer)) => answers.push(answer),
                    // The run has stopped, or does so now: what is decided goes on, and the rest is not sent.
                    Ok(None) => return Ok(rows),
                    Err(cause) => {
                        ids.stop.because(cause);
                        return Ok(rows);
                    }
                }
            }
            let mut answers = answers.into_iter();
            let settled = |row| match row {
                Intake::Resolve(row) => match answers.next() {
                    Some(answer) => ids.settled(row, &answer),
                    None => Intake::Resolve(row),
                },
                other => other,
            };
            Ok(rows.into_iter().map(settled).collect())
        })
    }

    fn doubts(&self, contact: &Contact) -> bool {
        let ids = &self.0;
        let Some(id) = contact.id.as_deref() else { return false };
        match ids.looker().look().id(ids.kind, id) {
            Ok(known) => known.is_none_or(|known| known.at_ms < ids.opened_ms),
            Err(error) => {
                ids.stop.because(StopCause::Report(error.to_string()));
                false
            }
        }
    }

    fn same_id(&self, one: &Contact, other: &Contact) -> bool {
        one.id.is_some() && one.id == other.id
    }

    fn resolve_again<'a>(
        &'a self,
        contact: &'a Contact,
        asker: &'a Asker,
    ) -> BoxFuture<'a, Result<Result<Euid, Unresolvable>, StopCause>> {
        Box::pin(async move {
            let id = contact.id.as_deref().unwrap_or_default();
            match gathering::ask_again(&self.0, id, asker).answer().await? {
                Some(Ok(euid)) => Ok(Ok(euid)),
                Some(Err(refusal)) => {
                    let Refusal { reason, answered, attempts, .. } = (*refusal).clone();
                    Ok(Err(Unresolvable { reason, answered, attempts }))
                }
                // Nothing goes on any more: the row is not decided.
                None => std::future::pending().await,
            }
        })
    }

    fn learn(&self, contact: &Contact, euid: Euid) {
        let ids = &self.0;
        let Some(id) = contact.id.as_deref() else { return };
        if let Err(error) = ids.learn([(id, IdUser::Known(euid))]) {
            ids.stop.because(StopCause::Report(error.to_string()));
        }
        ids.relearnt.fetch_add(1, SeqCst);
    }
}
