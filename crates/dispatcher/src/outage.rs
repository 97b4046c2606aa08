//! The breaker: tells a service that is down from rows that are sick. Pure; time comes in as an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::backoff;

/// So many attempts in a row must have ended badly before sending is held.
const WINDOW: usize = 50;
/// Of these, so many must have been first attempts of their row: a few sick rows at the end of a run are no outage.
const FIRST_ATTEMPTS: usize = 5;
/// And of the latest of these at least one: a dozen rows that are tried again and again are no outage either.
const LATEST: usize = 25;

/// A breaker over the attempts of all rows.
#[derive(Debug)]
pub(crate) struct Breaker {
    enabled: bool,
    base: Duration,
    cap: Duration,
    /// The latest attempts, as long as they all ended badly: whether each was its row's first.
    bad: VecDeque<bool>,
    held: Option<Held>,
    recoveries: u64,
}

#[derive(Debug)]
struct Held {
    since: Instant,
    probes: u32,
    probing: bool,
    next_probe: Instant,
}

/// What may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// Anything.
    Any,
    /// One probe, on a fresh connection; with it the hold that it belongs to, by how many had ended before.
    Probe(u64),
    /// Nothing before this time.
    At(Instant),
    /// Nothing before the probe under way has ended.
    AfterProbe,
}

impl Breaker {
    /// A breaker that is closed; one that is not `enabled` stays so.
    pub(crate) fn new(enabled: bool, base: Duration, cap: Duration) -> Self {
        Self { enabled, base, cap, bad: VecDeque::with_capacity(WINDOW), held: None, recoveries: 0 }
    }

    /// Notes the end of an attempt; `probe` as in [`Leave::Probe`]. Returns true where this end began a hold.
    pub(crate) fn ended(&mut self, bad: bool, first_attempt: bool, probe: Option<u64>, now: Instant) -> bool {
        if !bad {
            self.bad.clear();
            self.recoveries += u64::from(self.held.take().is_some());
            return false;
        }
        if let Some(held) = &mut self.held {
            // One of an earlier hold says nothing about whether this hold's probe is still under way.
            if probe == Some(self.recoveries) {
                held.probes += 1;
                held.probing = false;
                held.next_probe = now + backoff::backoff(self.base, self.cap, held.probes);
            }
            return false;
        }
        if self.bad.len() == WINDOW {
            self.bad.pop_front();
        }
        self.bad.push_back(first_attempt);
        let firsts = self.bad.iter().filter(|first| **first).count();
        let any_of_late = self.bad.iter().rev().take(LATEST).any(|first| *first);
        if !self.enabled || self.bad.len() < WINDOW || firsts < FIRST_ATTEMPTS || !any_of_late {
            return false;
        }
        let next_probe = now + backoff::backoff(self.base, self.cap, 1);
        self.held = Some(Held { since: now, probes: 0, probing: false, next_probe });
        true
    }

    /// What may start at `now`.
    pub(crate) fn leave(&self, now: Instant) -> Leave {
        match &self.held {
            None => Leave::Any,
            Some(held) if held.probing => Leave::AfterProbe,
            Some(held) if held.next_probe > now => Leave::At(held.next_probe),
            Some(_) => Leave::Probe(self.recoveries),
        }
    }

    /// A probe was started.
    pub(crate) fn probing(&mut self) {
        if let Some(held) = &mut self.held {
            held.probing = true;
        }
    }

    /// A probe was abandoned without an end.
    pub(crate) fn probe_abandoned(&mut self, probe: u64) {
        if let Some(held) = self.held.as_mut().filter(|_| probe == self.recoveries) {
            held.probing = false;
        }
    }

    /// Since when sending is held.
    pub(crate) fn held_since(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.since)
    }

    /// How often a hold ended because an attempt was answered.
    pub(crate) fn recoveries(&self) -> u64 {
        self.recoveries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(true, Duration::from_millis(500), Duration::from_secs(30))
    }

    #[test]
    fn fifty_bad_ends_with_five_first_attempts_hold() {
        let now = Instant::now();
        let mut breaker = breaker();
        for n in 0..49 {
            assert!(!breaker.ended(true, n < 4, None, now), "{n}");
        }
        assert_eq!(breaker.leave(now), Leave::Any);
        assert!(breaker.ended(true, true, None, now));
        assert!(breaker.held_since().is_some());
    }

    #[test]
    fn sick_rows_alone_do_not_hold() {
        let now = Instant::now();
        let mut breaker = breaker();
        for n in 0..500 {
            assert!(!breaker.ended(true, n < 4, None, now));
        }
        // First attempts that lie further back than the window don't count.
        let mut breaker = self::breaker();
        for n in 0..54 {
            assert!(!breaker.ended(true, n < 4 || n == 53, None, now));
        }
        // Nor do a dozen rows that are tried again and again.
        let mut breaker = self::breaker();
        for n in 0..72 {
            assert!(!breaker.ended(true, n < 12, None, now));
        }
    }

    #[test]
    fn one_answer_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = breaker();
        for n in 0..500 {
            assert!(!breaker.ended(n % 50 != 49, true, None, now));
        }
    }

    #[test]
    fn one_probe_at_a_time_until_one_is_answered() {
        let now = Instant::now();
        let mut breaker = breaker();
        for _ in 0..50 {
            breaker.ended(true, true, None, now);
        }
        let later = now + Duration::from_mins(1);
        assert_eq!(breaker.leave(later), Leave::Probe(0));
        breaker.probing();
        assert_eq!(breaker.leave(later), Leave::AfterProbe);
        // Attempts that were under way when the hold began change nothing by ending badly.
        breaker.ended(true, true, None, later);
        assert_eq!(breaker.leave(later), Leave::AfterProbe);
        breaker.ended(true, true, Some(0), later);
        assert!(matches!(breaker.leave(later), Leave::At(_) | Leave::Probe(0)));
        breaker.ended(false, true, Some(0), later);
        assert_eq!((breaker.leave(later), breaker.recoveries()), (Leave::Any, 1));
    }

    #[test]
    fn the_rule_can_be_off() {
        let mut breaker = Breaker::new(false, Duration::ZERO, Duration::ZERO);
        for _ in 0..500 {
            assert!(!breaker.ended(true, true, None, Instant::now()));
        }
    }
}
