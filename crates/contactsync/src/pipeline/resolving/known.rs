use std::sync::Arc;

use model::{Euid, IdentityKind};
use state::{IdUser, KnownId, Looker, State, StateError};

/// Looks ids up in the state, for whoever reads rows: who is known goes on with an EUID.
pub(crate) struct KnownIds {
    kind: IdentityKind,
    state: Arc<State>,
    looker: Looker,
    opened_ms: u64,
    trusts_reports: bool,
}

impl KnownIds {
    pub(super) fn new(kind: IdentityKind, state: Arc<State>, opened_ms: u64, trusts_reports: bool) -> Self {
        let looker = state.looker();
        Self { kind, state, looker, opened_ms, trusts_reports }
    }

    /// What kind of ids they are.
    pub(crate) fn kind(&self) -> IdentityKind {
        self.kind
    }

    /// The user of an id, where one is known.
    pub(crate) fn user(&mut self, id: &str) -> Result<Option<Euid>, StateError> {
        Ok(self.looker.look().id(self.kind, id)?.and_then(KnownId::user))
    }

    /// The same for a row of a report, which says an EUID that was obtained for the id then. It is remembered, so that all
    /// rows of the id go the same way; what the state knows is newer.
    pub(crate) fn user_or(&mut self, id: &str, then: Option<Euid>) -> Result<Option<Euid>, StateError> {
        let then = then.filter(|_| self.trusts_reports);
        let known = self.user(id)?;
        if let (None, Some(euid)) = (known, then) {
            let before_this_run = self.opened_ms.saturating_sub(1);
            self.state.learn_ids(self.kind, [(id, IdUser::Known(euid))], before_this_run)?;
        }
        Ok(known.or(then))
    }
}
