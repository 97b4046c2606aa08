//! The one task that waits for time to pass: for backoffs, holds and the rate. Who could start then is woken, and nobody
//! else.

use std::sync::Arc;

use crate::{
    mint::{Mint, Minted},
    scheduler::Scheduler,
    shared::Shared,
    transport::{ByQuota, Quota},
};

/// A source of starts for each quota that has a rate.
pub(crate) type Mints = ByQuota<Option<Box<dyn Mint>>>;

/// Keeps time until nothing starts any more.
pub(crate) async fn keep_time(shared: Arc<Shared>, mut mints: Mints) {
    loop {
        let mut look = shared.with(Scheduler::look);
        for quota in Quota::ALL {
            let Some(minted) = mint(&shared, mints.get_mut(quota), *look.want.get(quota)).await else { continue };
            look.at = shared.with(|scheduler, now, _| scheduler.minted(quota, minted, now));
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

/// A mint may have to ask somebody: a run that ends doesn't wait for it.
async fn mint(shared: &Shared, mint: &mut Option<Box<dyn Mint>>, want: u32) -> Option<Minted> {
    let mint = mint.as_mut().filter(|_| want > 0)?;
    tokio::select! {
        biased;
        () = shared.closed.cancelled() => None,
        minted = mint.mint(want) => Some(minted),
    }
}
