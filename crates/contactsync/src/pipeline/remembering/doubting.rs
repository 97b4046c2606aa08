use std::sync::Arc;

use dispatcher::StopCause;
use model::Euid;
use state::State;

use super::{committing::CommitHandle, stop_cause};

/// Takes back what a state knows of contacts of which the service holds something else.
pub(in super::super) struct Doubts {
    state: Arc<State>,
    committer: CommitHandle,
}

impl Doubts {
    pub(super) fn new(state: &Arc<State>, committer: CommitHandle) -> Self {
        Self { state: Arc::clone(state), committer }
    }

    /// Comes back once none of these contacts counts as known on the disk.
    pub(in super::super) async fn doubt(&self, contacts: &[(Euid, Vec<&str>)]) -> Result<(), StopCause> {
        if contacts.is_empty() {
            return Ok(());
        }
        for (euid, names) in contacts {
            self.state.doubt(*euid, names.iter().copied()).map_err(|error| stop_cause(&error))?;
        }
        self.committer.commit(false).await
    }
}
