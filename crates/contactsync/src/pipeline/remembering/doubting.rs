use std::sync::{Arc, Mutex, PoisonError};

use dispatcher::StopCause;
use model::Euid;
use state::{Ended, Looker, State};

use super::{committing::CommitHandle, stop_cause};

/// Takes back what a state knows of users of whom the service holds something else.
pub(in super::super) struct Doubts {
    state: Arc<State>,
    looker: Mutex<Looker>,
    committer: CommitHandle,
}

impl Doubts {
    pub(super) fn new(state: &Arc<State>, committer: CommitHandle) -> Self {
        Self { state: Arc::clone(state), looker: Mutex::new(state.looker()), committer }
    }

    /// Comes back once nothing of these users counts as known on the disk. A row of theirs is sent whole anyway as soon as one
    /// of its contacts isn't known.
    pub(in super::super) async fn doubt(&self, euids: impl Iterator<Item = Euid>) -> Result<(), StopCause> {
        let mut marked = false;
        for euid in euids {
            let mut looker = self.looker.lock().unwrap_or_else(PoisonError::into_inner);
            let known = looker.look().to_send(euid).map_err(|error| stop_cause(&error))?;
            marked |= known.needs_mark();
            self.state.mark([known]);
            // Nothing is sent, so nothing has to be waited for.
            self.state.ended(euid, Ended::<std::iter::Empty<_>>::Failed, 0, true);
        }
        if marked { self.committer.commit(false).await } else { Ok(()) }
    }
}
