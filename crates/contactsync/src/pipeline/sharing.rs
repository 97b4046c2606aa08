use std::time::Duration;

use dispatcher::{BoxFuture, Dispatcher, Lease, Lines, Mint, MintAsk, MintError, Minted, Pause};
use quota::{Granted, Quota, QuotaError, Wait, Which};
use tokio::{runtime::Builder, time::Instant};

use crate::{exit::Exit, failure::Failure, settings::SharedRate, terminal::Printer};

/// What is planned ahead at once lasts 50 ms at most: an answer that takes longer than this is late for it now and then.
const SLOW: Duration = Duration::from_millis(20);

/// Looks whether the rates that a command uses can be shared, before it makes, locks or asks anything. Exit 2 where they
/// can't; what is only out of reach now is told, and waited for once it is needed.
pub(crate) fn look_at_shared_rate(shared: Option<&SharedRate>, printer: &Printer) -> Result<(), Failure> {
    let Some(shared) = shared else { return Ok(()) };
    let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("the shared rate can't be asked: {error}"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    for (which, _) in &shared.rates {
        match runtime.block_on(timed_look(&mut shared.quota(*which)?)) {
            Ok((wait, took)) => {
                for what in [told_to_wait(wait), slow_answer(took)].into_iter().flatten() {
                    printer.warning(&format!("{}: {what}", shared.place), None);
                }
            }
            Err(QuotaError::Unreachable(why)) => {
                let seconds = shared.patience.as_secs_f64();
                let text = format!("the shared rate is out of reach: {why}");
                let hint = format!("nothing starts until it answers; after {seconds} s the run stops (--outage-wait)");
                printer.warning(&text, Some(&hint));
                // The other one lies in the same place.
                return Ok(());
            }
            Err(error) => {
                let failure = shared.refused(*which, &error);
                return Err(Failure { message: format!("{}; nothing was sent", failure.message), ..failure });
            }
        }
    }
    Ok(())
}

/// For how long nobody is to start, and how long an answer takes over a connection that is there.
pub(crate) async fn timed_look(quota: &mut Quota) -> Result<(Wait, Duration), QuotaError> {
    // The first makes the connection, which a run makes once.
    quota.look().await?;
    let asked = Instant::now();
    let wait = quota.look().await?;
    Ok((wait, asked.elapsed()))
}

/// What those who share a rate were told, in words, if anything.
pub(crate) fn told_to_wait(wait: Wait) -> Option<String> {
    let seconds = Duration::from_nanos(wait.nanos).as_secs() + 1;
    let who = if wait.asked { "the service has asked" } else { "after a 429 of the service another process tells" };
    (wait.nanos > 0).then(|| format!("nothing starts for another {seconds} s: {who} all who share the rate to wait"))
}

/// What an answer that took so long means for the rate, if anything.
pub(crate) fn slow_answer(took: Duration) -> Option<String> {
    let (took, slow) = (took.as_millis(), SLOW.as_millis());
    (took > slow).then(|| {
        format!(
            "an answer takes {took} ms; above {slow} ms the whole rate may not be reached, since starts are planned at most \
             50 ms ahead"
        )
    })
}

/// Takes starts from the rates that are shared, where they are, in place of those of this process alone.
pub(super) fn with_shared_rate<L: Lines>(
    dispatcher: Dispatcher<L>,
    shared: Option<&SharedRate>,
) -> Result<Dispatcher<L>, Failure> {
    let mut dispatcher = dispatcher;
    for (shared, (which, _)) in shared.iter().flat_map(|shared| shared.rates.iter().map(move |rate| (shared, rate))) {
        let mint = Box::new(SharedMint::new(shared.quota(*which)?));
        dispatcher = match which {
            Which::Sending => dispatcher.with_mint(mint),
            Which::Reading => dispatcher.with_reading_mint(mint),
        };
    }
    Ok(dispatcher)
}

/// A part in a rate that other processes share, as a source of starts.
struct SharedMint {
    quota: Quota,
    /// Time between two starts.
    interval: Duration,
    /// A start is of no use once so much time is over since it was planned.
    life: Duration,
}

impl SharedMint {
    /// Nothing is asked yet.
    fn new(quota: Quota) -> Self {
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
        let pause = if granted.wait.asked { Pause::Asked(wait) } else { Pause::Backoff(wait) };
        let pause = (!wait.is_zero()).then_some(pause);
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
