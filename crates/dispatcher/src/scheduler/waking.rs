//! Who is to look again, and when: the timer for what time brings, workers for what they may start, admission for room.

use tokio::time::Instant;

use super::{Lacks, Scheduler};
use crate::{
    effects::{Effects, Part},
    mint::Minted,
    pace::Open,
    transport::{ByQuota, Quota},
};

/// When somebody has to look again, and how many starts are wanted of the mint before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) at: Option<Instant>,
    pub(crate) want: ByQuota<u32>,
}

impl Scheduler {
    /// What the timer has to do now, and when next.
    pub(crate) fn look(&mut self, now: Instant, effects: &mut Effects) -> Look {
        while let Some(job) = self.delayed.pop_due(now) {
            self.ready.push(job);
        }
        while let Some(row) = self.recalled_later.pop_due(now) {
            self.turn_has_come(row, effects);
        }
        if self.pace.held_until().is_some_and(|until| now >= until) {
            let cause = self.pace.held_too_long();
            self.stop(Some(cause), effects);
        }
        let wanted = |quota| {
            let is_due = self.pace.mint_from(quota).is_some_and(|from| from <= now);
            if is_due { u32::try_from(self.lacks_leave(quota, now)).unwrap_or(u32::MAX) } else { 0 }
        };
        let want = ByQuota { sending: wanted(Quota::Sending), reading: wanted(Quota::Reading) };
        self.timer_at = self.next_look(now);
        Look { at: self.timer_at, want }
    }

    /// What a mint gave, and when to look again.
    pub(crate) fn minted(&mut self, quota: Quota, minted: Minted, now: Instant) -> Option<Instant> {
        self.pace.minted(quota, minted);
        self.timer_at = self.next_look(now);
        self.timer_at
    }

    /// How many workers there are to start something, of which `most` could.
    fn startable(&self, now: Instant, most: impl Fn(Quota) -> usize) -> usize {
        if self.closed || self.outbox.is_full() {
            return 0;
        }
        let workers = self.idle.waiting() + self.idle.woken();
        let waiting = Quota::ALL.into_iter().map(most).fold(0, usize::saturating_add).min(workers);
        match self.pace.open(now) {
            Open::All => waiting,
            Open::Probe => waiting.min(1),
            Open::From(_) | Open::AfterProbe => 0,
        }
    }

    /// How many starts the mint of a quota is asked for: for who could use one now, and has none.
    fn lacks_leave(&self, quota: Quota, now: Instant) -> usize {
        let could_start = self.startable(now, |other| if other == quota { self.ready.len(quota) } else { 0 });
        could_start.saturating_sub(self.pace.leave_for(quota))
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let opens = match self.pace.open(now) {
            Open::From(at) if !self.ready.is_empty() => Some(at),
            _ => None,
        };
        let mints = Quota::ALL.into_iter().filter(|quota| self.lacks_leave(*quota, now) > 0);
        let mints = mints.filter_map(|quota| self.pace.mint_from(quota)).min();
        let delayed = [self.delayed.next_at(), self.recalled_later.next_at()];
        delayed.into_iter().chain([self.pace.held_until(), opens, mints]).flatten().min()
    }

    /// Who is to be woken for what has changed.
    pub(crate) fn wake(&mut self, now: Instant, effects: &mut Effects) {
        if effects.closed {
            self.idle.wake(usize::MAX, &mut effects.workers);
        } else {
            let startable = self.startable(now, |quota| self.ready.len(quota).min(self.pace.leave_for(quota)));
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
            // What is decided needs room there however the run stands: who makes it must come to it.
            Some(Lacks::Outbox) => !self.outbox.is_full(),
            Some(_) if self.closed => true,
            Some(Lacks::Room) => self.room.is_ample(),
            Some(Lacks::Lane(key)) => self.lanes.is_ample(key),
            Some(Lacks::Canary) => self.canary != Some(0),
        };
        if goes_on {
            self.admission_lacks = None;
            effects.parts.push(Part::Admission);
        }
    }
}
