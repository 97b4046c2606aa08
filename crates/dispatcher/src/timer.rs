//! The one task that waits for time to pass: for backoffs, holds and the rate. Who could start then is woken, and nobody
//! else.

use std::sync::Arc;

use crate::{mint::Mint, scheduler::Scheduler, shared::Shared};

/// Keeps time until nothing starts any more.
pub(crate) async fn keep_time(shared: Arc<Shared>, mut mint: Option<Box<dyn Mint>>) {
    loop {
        let mut look = shared.with(Scheduler::look);
        if let Some(mint) = mint.as_mut().filter(|_| look.want > 0) {
            // A mint may have to ask somebody: a run that ends doesn't wait for it.
            let minted = tokio::select! {
                biased;
                () = shared.closed.cancelled() => return,
                minted = mint.mint(look.want) => minted,
            };
            look.at = shared.with(|scheduler, now, _| scheduler.minted(minted, now));
        }
        let woken = async {
            match look.at {
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
