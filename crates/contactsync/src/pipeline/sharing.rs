use std::time::Duration;

use dispatcher::{BoxFuture, Lease, Mint, MintAsk, MintError, Minted, Pause};
use quota::{Granted, Quota, QuotaError, Wait};
use tokio::time::Instant;

/// A part in a rate that other processes share, as a source of starts.
pub(crate) struct SharedMint {
    quota: Quota,
    /// Time between two starts.
    interval: Duration,
    /// A start is of no use once so much time is over since it was planned.
    life: Duration,
}

impl SharedMint {
    /// Nothing is asked yet.
    pub(crate) fn new(quota: Quota) -> Self {
        let (interval, life) = (quota.terms().interval, quota.terms().life);
        Self { quota, interval: Duration::from_nanos(interval), life: Duration::from_nanos(life) }
    }

    fn minted(&self, granted: Granted) -> Minted {
        let instant = |local| Instant::from_std(self.quota.instant(local));
        let lease = granted.starts.map(|starts| {
            let planned = instant(starts.planned);
            let last = planned + self.interval.saturating_mul(starts.count.saturating_sub(1));
            let (interval, life) = (self.interval, self.life);
            Lease { starts: starts.count, planned, interval, life, until: last + life }
        });
        let wait = Duration::from_nanos(granted.wait.nanos);
        let pause =
            (!wait.is_zero()).then(|| if granted.wait.asked { Pause::Asked(wait) } else { Pause::Backoff(wait) });
        let (not_before, ask_by) = (instant(granted.more_from), Some(instant(granted.renew_at)));
        Minted { lease, not_before, ask_by, pause, voids_earlier: granted.began_anew }
    }
}

impl Mint for SharedMint {
    fn ask(&mut self, ask: MintAsk) -> BoxFuture<'_, Result<Minted, MintError>> {
        let nanos = |wait: Duration| u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let wait = match ask.pause {
            None => Wait::default(),
            Some(Pause::Asked(wait)) => Wait { nanos: nanos(wait), asked: true },
            Some(Pause::Backoff(wait)) => Wait { nanos: nanos(wait), asked: false },
        };
        Box::pin(async move {
            match self.quota.ask(ask.want, wait).await {
                Ok(granted) => Ok(self.minted(granted)),
                Err(QuotaError::Unreachable(what)) => Err(MintError::Unreachable(what)),
                Err(refused) => Err(MintError::Refused(refused.to_string())),
            }
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn leave(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // Who can't be told finds out by itself, soon.
            let _ = self.quota.leave().await;
        })
    }
}
