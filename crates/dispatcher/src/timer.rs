//! The one task that waits for time to pass: for backoffs, holds and planned starts. Who could start then is woken, and nobody
//! else.

use std::sync::Arc;

use crate::{scheduler::Scheduler, shared::Shared};

/// Keeps time until nothing starts any more.
pub(crate) async fn keep_time(shared: Arc<Shared>) {
    loop {
        let at = shared.with(Scheduler::look);
        let woken = async {
            match at {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = shared.timer.notified() => {}
                },
                None => shared.timer.notified().await,
            }
        };
        tokio::select! {
            biased;
            () = shared.closed.cancelled() => return,
            () = woken => {}
        }
    }
}
