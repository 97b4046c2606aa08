//! Who is to look again, and when: the timer for what time brings, workers for what they may start, admission for room.

use tokio::time::Instant;

use super::{Lacks, Scheduler};
use crate::{
    effects::{Effects, MintChange, Part},
    mint::{MintAsk, MintError, Minted},
    pace::Open,
    stop::StopCause,
    transport::Quota,
};

/// What is to be done about a mint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MintLook {
    /// It is to be asked now.
    Ask(MintAsk),
    /// It is to be looked at again then; none: when told.
    At(Option<Instant>),
}

impl Scheduler {
    /// Does what time has brought, and says when to look next.
    pub(crate) fn look(&mut self, now: Instant, effects: &mut Effects) -> Option<Instant> {
        while let Some(job) = self.delayed.pop_due(now) {
            self.ready.push(job);
        }
        while let Some(row) = self.recalled_later.pop_due(now) {
            self.turn_has_come(row, effects);
        }
        if self.pace.held_until().is_some_and(|until| now >= until) {
            let cause = self.pace.held_too_long(now);
            self.stop(Some(cause), effects);
        }
        self.timer_at = self.next_look(now);
        self.timer_at
    }

    /// Whether a mint is to be asked now, or when.
    pub(crate) fn look_at_mint(&mut self, quota: Quota, now: Instant) -> MintLook {
        let at = self.ask_mint_at(quota, now);
        *self.mint_at.get_mut(quota) = at;
        if at.is_none_or(|at| at > now) {
            return MintLook::At(at);
        }
        let want = self.lacks_leave(quota, now);
        MintLook::Ask(self.pace.ask_mint(quota, want, now))
    }

    /// What a mint gave.
    pub(crate) fn minted(
        &mut self,
        quota: Quota,
        minted: Result<Minted, MintError>,
        now: Instant,
        effects: &mut Effects,
    ) {
        match minted {
            Ok(minted) => {
                let before = self.pace.paused_for(now);
                let (was_lost, cause) = self.pace.minted(quota, minted, now);
                self.tell_pause(before, true, now, effects);
                effects.mint = was_lost.then_some(MintChange::Back);
                self.stop(cause, effects);
            }
            Err(MintError::Unreachable(what)) => {
                let is_new = self.pace.lost_mint(quota, what.clone(), now);
                effects.mint = is_new.then_some(MintChange::Lost(what));
            }
            Err(MintError::Refused(why)) => self.stop(Some(StopCause::RateRefused(why)), effects),
        }
    }

    /// The last that a mint is asked; none where it is out of reach.
    pub(crate) fn last_ask(&mut self, quota: Quota, now: Instant) -> Option<MintAsk> {
        let is_lost = self.pace.leave(quota).lost_since().is_some();
        (!is_lost).then(|| self.pace.ask_mint(quota, 0, now))
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

    /// How many starts are lacking: for who could use one now, or soon where others share the rate, and has none.
    fn lacks_leave(&self, quota: Quota, now: Instant) -> usize {
        let could_start = self.startable(now, |other| if other == quota { self.ready.len(quota) } else { 0 });
        let soon = self.pace.leave(quota).soon(self.idle.workers(), now).min(self.ready.len(quota));
        let soon =
            if soon > could_start && self.pace.open(now) == Open::All && !self.outbox.is_full() { soon } else { 0 };
        could_start.max(soon).saturating_sub(self.pace.leave(quota).held(now))
    }

    fn ask_mint_at(&self, quota: Quota, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        self.pace.leave(quota).ask_at(self.lacks_leave(quota, now) > 0, now)
    }

    fn next_look(&self, now: Instant) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let opens = match self.pace.open(now) {
            Open::From(at) if !self.ready.is_empty() => Some(at),
            _ => None,
        };
        let planned = Quota::ALL.into_iter().filter(|quota| {
            let could_start = self.startable(now, |other| if other == *quota { self.ready.len(other) } else { 0 });
            could_start > self.pace.leave(*quota).due(now)
        });
        let planned = planned.filter_map(|quota| self.pace.leave(quota).next_due(now)).min();
        let delayed = [self.delayed.next_at(), self.recalled_later.next_at()];
        delayed.into_iter().chain([self.pace.held_until(), opens, planned]).flatten().min()
    }

    /// Who is to be woken for what has changed.
    pub(crate) fn wake(&mut self, now: Instant, effects: &mut Effects) {
        if effects.closed {
            self.idle.wake(usize::MAX, &mut effects.workers);
        } else {
            let startable = self.startable(now, |quota| self.ready.len(quota).min(self.pace.leave(quota).due(now)));
            let count = startable.saturating_sub(self.idle.woken());
            self.idle.wake(count, &mut effects.workers);
            if let Some(at) = self.next_look(now)
                && self.timer_at.is_none_or(|planned| at < planned)
            {
                self.timer_at = Some(at);
                effects.parts.push(Part::Timer);
            }
            for quota in Quota::ALL {
                let planned = *self.mint_at.get(quota);
                if let Some(at) = self.ask_mint_at(quota, now)
                    && planned.is_none_or(|planned| at < planned)
                {
                    *self.mint_at.get_mut(quota) = Some(at);
                    effects.parts.push(Part::Mint(quota));
                }
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
