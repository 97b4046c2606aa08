//! A few rows first: no more are let in until somebody has looked at what came back from them.

use std::sync::Arc;

use model::Decision;
use tokio::sync::{mpsc, oneshot};

use crate::{shared::Shared, stop::StopCause};

/// Decisions that may wait for who looks; a canary of more rows than that is none.
const MOST_NOTED: usize = 1 << 32;

/// A limit to how many rows are let in to be sent.
#[derive(Debug)]
pub struct Canary {
    pub(crate) rows: u64,
    pub(crate) decided: mpsc::Sender<Decision>,
    lifted: oneshot::Receiver<()>,
}

/// The other end: for who looks. Where it is dropped without being lifted, the run stops.
#[derive(Debug)]
pub struct CanaryWatch {
    /// The decisions of the first rows that were sent, without their contacts: as many as were let in.
    pub decided: mpsc::Receiver<Decision>,
    lift: oneshot::Sender<()>,
}

impl Canary {
    /// Lets in so many rows at first, at least 1.
    pub fn new(rows: u64) -> (Self, CanaryWatch) {
        let (note, decided) = mpsc::channel(usize::try_from(rows).unwrap_or(usize::MAX).clamp(1, MOST_NOTED));
        let (lift, lifted) = oneshot::channel();
        (Self { rows: rows.max(1), decided: note, lifted }, CanaryWatch { decided, lift })
    }

    /// Lets the others in once it was said so.
    pub(crate) async fn lift(self, shared: Arc<Shared>) {
        let lifted = tokio::select! {
            biased;
            lifted = self.lifted => lifted,
            () = shared.closed.cancelled() => return,
        };
        match lifted {
            Ok(()) => shared.with(|scheduler, _, _| scheduler.lift_canary()),
            Err(_) => shared.stop.because(StopCause::Declined("nobody decided on the canary".to_owned())),
        }
    }
}

impl CanaryWatch {
    /// Lets all others in.
    pub fn lift(self) {
        // Nobody listens where the run stops meanwhile.
        let _ = self.lift.send(());
    }
}
