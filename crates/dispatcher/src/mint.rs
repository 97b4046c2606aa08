//! Where the starts of a rate come from. A mint plans one start after the other, each at its time; what is used of it is
//! used from then on, and dies a little later, so that nothing piles up behind a stall and a timer that wakes late costs
//! nothing.

use std::{future::ready, time::Duration};

use tokio::time::Instant;

use crate::{memory::BoxFuture, settings::Rate};

/// A hundredth less than the rate asked for: the network delays one request more than the next, so what leaves here at
/// the very rate could arrive above it.
const MARGIN: (u32, u32) = (100, 101);
/// So much later than a burst allows a planned start may still be used: timers wake a millisecond late, and threads that
/// share a core with others later than that. With the margin, any second still holds rate and burst at most.
const LATENESS: Duration = Duration::from_millis(6);
/// What was leased is valid for so long at most: a process that dies has lost no more of the rate.
const LONGEST_LEASE: Duration = Duration::from_millis(50);

/// A source of starts. One that asks a file or a server may take its time: nobody holds anything meanwhile.
pub trait Mint: Send + 'static {
    /// Asks for starts. Dropping the future gives up what it would have brought.
    fn ask(&mut self, ask: MintAsk) -> BoxFuture<'_, Result<Minted, MintError>>;

    /// Whether it is to be asked at once and from then on, whether starts are wanted or not: others are to know of this run.
    fn is_shared(&self) -> bool {
        false
    }

    /// Nothing will be asked any more.
    fn leave(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(ready(()))
    }
}

/// What a mint is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MintAsk {
    /// So many starts could be used; none where it is only to be heard of.
    pub want: u32,
    /// Nobody is to start for so long, as far as this run knows.
    pub pause: Option<Pause>,
}

/// Why nobody is to start for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The row's backoff, which all wait out.
    Backoff(Duration),
    /// The server asked for it; more than may be waited stops the run.
    Asked(Duration),
}

/// What a mint gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// None where no start can be had yet.
    pub lease: Option<Lease>,
    /// Before this it is of no use to ask again.
    pub not_before: Instant,
    /// By then it wants to be asked whatever is wanted; none where it doesn't care.
    pub ask_by: Option<Instant>,
    /// Others were told that nobody is to start for so long.
    pub pause: Option<Pause>,
    /// What it gave before is void.
    pub voids_earlier: bool,
}

/// Why a mint gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// It is out of reach: what happened. It is asked again until that counts as an outage.
    #[error("{0}")]
    Unreachable(String),
    /// It won't give any to this run: why.
    #[error("{0}")]
    Refused(String),
}

/// Leave for so many starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// How many.
    pub starts: u32,
    /// When the first of them was planned; each further one an `interval` later.
    pub planned: Instant,
    /// Time between two planned starts.
    pub interval: Duration,
    /// A start is of no use once so much time is over since it was planned.
    pub life: Duration,
    /// None of them is of use after this.
    pub until: Instant,
}

impl Lease {
    /// Takes one start, where the time of one has come that is still of use.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        self.drop_dead(now);
        let takes = self.starts > 0 && self.planned <= now;
        if takes {
            self.drop_first(1);
        }
        takes
    }

    /// How many are, or may become, of use.
    pub(crate) fn alive(&self, now: Instant) -> u32 {
        self.starts - self.dead(now)
    }

    /// Of how many the time has come.
    pub(crate) fn due(&self, now: Instant) -> u32 {
        self.planned_by(now).saturating_sub(self.dead(now))
    }

    /// When the time of the next one comes, where one is still to come.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        let planned_by = self.planned_by(now);
        (planned_by < self.starts && self.until > now).then(|| self.planned + self.interval.saturating_mul(planned_by))
    }

    /// Drops those that are of no use any more.
    pub(crate) fn drop_dead(&mut self, now: Instant) {
        self.drop_first(self.dead(now));
    }

    fn drop_first(&mut self, count: u32) {
        self.starts -= count;
        if self.starts > 0 {
            self.planned += self.interval.saturating_mul(count);
        }
    }

    fn dead(&self, now: Instant) -> u32 {
        if now > self.until {
            return self.starts;
        }
        now.checked_duration_since(self.planned + self.life + Duration::from_nanos(1))
            .map_or(0, |late| self.count(late))
    }

    fn planned_by(&self, now: Instant) -> u32 {
        now.checked_duration_since(self.planned).map_or(0, |late| self.count(late))
    }

    /// How many are planned within so long from the first on.
    fn count(&self, time: Duration) -> u32 {
        let count = time.as_nanos() / self.interval.as_nanos().max(1) + 1;
        u32::try_from(count).unwrap_or(u32::MAX).min(self.starts)
    }
}

/// A rate as starts are planned by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Time between two starts: a hundredth longer than the rate has it.
    pub interval: Duration,
    /// How many may start at once.
    pub at_once: u32,
    /// So long do the starts take that may be at once.
    pub burst_time: Duration,
}

impl Rate {
    /// None where there is no limit that could bind.
    pub fn plan(self, burst: u32) -> Option<Plan> {
        let Self::Limited { count, per } = self else { return None };
        let nanos = per.as_nanos() * u128::from(MARGIN.1) / u128::from(MARGIN.0) / u128::from(count.get());
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        if nanos == 0 {
            return None;
        }
        // Timers wake up to a millisecond late: with less at once than two of them let through, the rate isn't reached.
        let two_milliseconds = 2_000_000 * u128::from(count.get()) / per.as_nanos().max(1);
        let two_milliseconds = u32::try_from(two_milliseconds).unwrap_or(u32::MAX);
        let at_once = burst.max(two_milliseconds).max(1);
        let interval = Duration::from_nanos(nanos);
        // Bounded, so that no time lies beyond what can be counted.
        let burst_time = interval.saturating_mul(at_once - 1).min(Duration::from_hours(24));
        Some(Plan { interval, at_once, burst_time })
    }
}

/// The rate of one process.
#[derive(Debug)]
pub(crate) struct LocalMint {
    interval: Duration,
    /// How many may start at once.
    at_once: u32,
    life: Duration,
    /// When the next start is planned.
    next: Instant,
    /// Starts that are late are made up for, at four times the rate: up to here that is used up.
    made_up: Instant,
}

impl LocalMint {
    /// None where there is no limit that could bind.
    pub(crate) fn new(rate: Rate, burst: u32) -> Option<Self> {
        let Plan { interval, at_once, burst_time } = rate.plan(burst)?;
        let now = Instant::now();
        // All that may start at once may do so at the beginning.
        let next = now.checked_sub(burst_time).unwrap_or(now);
        Some(Self { interval, at_once, life: burst_time + LATENESS, next, made_up: now })
    }

    fn mint_at(&mut self, want: u32, now: Instant) -> Minted {
        if let Some(alive) = now.checked_sub(self.life) {
            self.next = self.next.max(alive);
        }
        let gap = self.interval / 4;
        let allowed = (now + gap.saturating_mul(self.at_once)).saturating_duration_since(self.made_up.max(now));
        let allowed = u32::try_from(allowed.as_nanos() / gap.as_nanos().max(1)).unwrap_or(u32::MAX);
        let due = match now.checked_duration_since(self.next) {
            Some(late) => {
                u32::try_from(late.as_nanos() / self.interval.as_nanos()).unwrap_or(u32::MAX).saturating_add(1)
            }
            None => 0,
        };
        let starts = want.min(due).min(allowed);
        let lease = (starts > 0).then(|| Lease {
            starts,
            planned: self.next,
            interval: self.interval,
            life: self.life,
            until: now + self.life.min(LONGEST_LEASE),
        });
        self.next += self.interval.saturating_mul(starts);
        self.made_up = self.made_up.max(now) + gap.saturating_mul(starts);
        let crowded = self.made_up.checked_sub(gap.saturating_mul(self.at_once - 1)).unwrap_or(now);
        // At least a nanosecond on, so that nobody asks again without time having passed.
        let not_before = self.next.max(crowded).max(now + Duration::from_nanos(1));
        Minted { lease, not_before, ask_by: None, pause: None, voids_earlier: false }
    }
}

impl Mint for LocalMint {
    fn ask(&mut self, ask: MintAsk) -> BoxFuture<'_, Result<Minted, MintError>> {
        let minted = self.mint_at(ask.want, Instant::now());
        Box::pin(ready(Ok(minted)))
    }
}

#[cfg(test)]
#[path = "mint_tests.rs"]
mod tests;
