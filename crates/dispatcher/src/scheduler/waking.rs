//! Who is to look again, and when: the timer for what time brings, workers for what they may start, admission for room.

use tokio::time::Instant;

use super::{Lacks, Scheduler};
use crate::{
    effects::{Effects, Part},
    mint::Minted,
    pace::Open,
};

/// When somebody has to look again, and how many starts are wanted of the mint before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Option<Instant>,
    pub(crate) want: u32,
}

impl Scheduler {
    /// What the timer has to do now, and when next.
    pub(crate) fn look(&mut self, now: Instant, effects: &mut Effects) -> Look {
        while let Some(job) = self.delayed.pop_due(now) {
            self.ready.push(job);
        }
        if self.pace.held_until().is_some_and(|until| now >= until) {
            let cause = self.pace.held_too_long();
            self.stop(Some(cause), effects);
        }
        let want = self.wanted(now);
        self.timer_at = self.next_look(now);
        Look { at: self.timer_at, want }
    }

    /// What the mint gave, and when to look again.
    pub(crate) fn minted(&mut self, minted: Minted, now: Instant) -> Option<Instant> {
        self.pace.minted(minted);
        self.timer_at = self.next_look(now);
        self.timer_at
    }

    /// How many starts the mint is asked for: for who could use one now, and has none.
    fn wanted(&self, now: Instant) -> u32 {
        if self.pace.mint_from().is_none_or(|from| from > now) {
            return 0;
        }
        let could = self.could_start(now);
        u32::try_from(could.saturating_sub(self.pace.leave_for())).unwrap_or(u32::MAX)
    }

    /// How many workers could start something now, if the rate allowed.
    fn could_start(&self, now: Instant) -> usize {
        if self.closed || self.outbox.is_full() {
            return 0;
        }
        let waiting = self.ready.len().min(self.idle.waiting() + self.idle.woken());
        match self.pace.open(now) {
            Open::All => waiting,
            Open::Probe => waiting.min(1),
            Open::From(_) | Open::AfterProbe => 0,
        }
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let opens = match self.pace.open(now) {
            Open::From(at) if !self.ready.is_empty() => Some(at),
            _ => None,
        };
        let mints = self.pace.mint_from().filter(|_| self.could_start(now) > self.pace.leave_for());
        [self.delayed.next_at(), self.pace.held_until(), opens, mints].into_iter().flatten().min()
    }

    /// Who is to be woken for what has changed.
    pub(crate) fn wake(&mut self, now: Instant, effects: &mut Effects) {
        if effects.closed {
            self.idle.wake(usize::MAX, &mut effects.workers);
        } else {
            let startable = self.could_start(now).min(self.pace.leave_for());
            let count = startable.saturating_sub(self.idle.woken());
            self.idle.wake(count, &mut effects.workers);
            if let Some(at) = self.next_look(now)
                && self.timer_at.is_none_or(|planned| at < planned)
            {
                self.timer_at = Some(at);
                effects.parts.push(Part::Timer);
            }
        }
        let goes_on = match self.admission_lacks {
            None => false,
            Some(_) if self.closed => true,
            Some(Lacks::Room) => self.room.is_ample(),
            Some(Lacks::Lane(key)) => self.lanes.is_ample(key),
            Some(Lacks::Outbox) => !self.outbox.is_full(),
            Some(Lacks::Canary) => self.canary != Some(0),
        };
        if goes_on {
            self.admission_lacks = None;
            effects.parts.push(Part::Admission);
        }
    }
}
