//! Where the starts of a rate come from. A mint plans one start after the other, each at its time; what is used of it is
//! used from then on, and dies a little later, so that nothing piles up behind a stall and a timer that wakes late costs
//! nothing.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::time::Instant;

use crate::settings::Rate;

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
    /// Up to `want` starts, at least 1.
    fn mint(&mut self, want: u32) -> Pin<Box<dyn Future<Output = Minted> + Send + '_>>;
}

/// What a mint gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// None where no start is due.
    pub lease: Option<Lease>,
    /// Before this it is of no use to ask again.
    pub not_before: Instant,
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
    /// Takes one start, where one is left that is still of use.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        if now > self.until {
            self.starts = 0;
        }
        while self.starts > 0 {
            let planned = self.planned;
            self.starts -= 1;
            self.planned += self.interval;
            if now <= planned + self.life {
                return true;
            }
        }
        false
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
        let Rate::Limited { count, per } = rate else { return None };
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
        Minted { lease, not_before: self.next.max(crowded).max(now + Duration::from_nanos(1)) }
    }
}

impl Mint for LocalMint {
    fn mint(&mut self, want: u32) -> Pin<Box<dyn Future<Output = Minted> + Send + '_>> {
        let minted = self.mint_at(want, Instant::now());
        Box::pin(std::future::ready(minted))
    }
}

#[cfg(test)]
#[path = "mint_tests.rs"]
mod tests;
