//! One task for each quota asks its mint: when starts are lacking, when the mint wants to hear of the run, when it has to know
//! that nobody is to start. A mint that takes its time holds up nothing else.

use std::{sync::Arc, time::Duration};

use tokio::time::{sleep_until, timeout};

use crate::{
    mint::{Mint, MintAsk},
    scheduler::MintLook,
    shared::Shared,
    transport::{ByQuota, Quota},
};

/// A source of starts for each quota that has a rate.
pub(crate) type Mints = ByQuota<Option<Box<dyn Mint>>>;

/// The last words to a mint may take so long.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Asks until nothing starts any more.
pub(crate) async fn keep_minting(shared: Arc<Shared>, quota: Quota, mut mint: Box<dyn Mint>) {
    let asking = async {
        loop {
            let ask = next_ask(&shared, quota).await;
            let minted = mint.ask(ask).await;
            shared.with(|scheduler, now, effects| scheduler.minted(quota, minted, now, effects));
        }
    };
    tokio::select! {
        biased;
        () = shared.closed.cancelled() => {}
        () = asking => {}
    }
    let Some(last) = shared.with(|scheduler, now, _| scheduler.last_ask(quota, now)) else { return };
    // A wait that the server asked for holds for the others, also where it was too long for this run.
    if last.pause.is_some() {
        let _ = timeout(LAST_WORDS, mint.ask(last)).await;
    }
    let _ = timeout(LAST_WORDS, mint.leave()).await;
}

async fn next_ask(shared: &Shared, quota: Quota) -> MintAsk {
    let told = shared.minting.get(quota);
    loop {
        match shared.with(|scheduler, now, _| scheduler.look_at_mint(quota, now)) {
            MintLook::Ask(ask) => return ask,
            MintLook::At(Some(at)) => tokio::select! {
                () = sleep_until(at) => {}
                () = told.notified() => {}
            },
            MintLook::At(None) => told.notified().await,
        }
    }
}
