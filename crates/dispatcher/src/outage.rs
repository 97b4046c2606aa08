//! The outage rule: tells a service that is down from rows that are sick. Pure; time comes in as an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{backoff, transport::RequestKind};

/// At the start of a run so many bad ends in a row hold the sending.
const BAD_AT_THE_START: usize = 10;
/// Later it takes so many.
const WINDOW: usize = 50;
/// Of these, so many must have been first attempts of their row: a few sick rows at the end of a run are no outage.
const FIRST_ATTEMPTS: usize = 5;
/// And of the latest of these at least one: a dozen rows that are tried again and again are no outage either.
const LATEST: usize = 25;
/// So many probes in a row must be answered by the API itself, with an error, before rows are blamed and not the service.
const PROBES_ANSWERED: u32 = 3;

/// Holds sending while the service seems to be down, over the attempts of all rows.
#[derive(Debug)]
pub(crate) struct OutageRule {
    settings: OutageSettings,
    /// Whether any attempt of this run was answered with a `code`: from then on it is known that there is an API.
    api_answered: bool,
    /// By [`RequestKind`].
    bad_ends: [BadEnds; RequestKind::ALL.len()],
    hold: Option<Hold>,
    holds_begun: u64,
    recoveries: u64,
}

/// What the rule goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutageSettings {
    /// The rule is on.
    pub(crate) enabled: bool,
    /// Attempts after the first. Where there are none, nothing is held at the start.
    pub(crate) retries: u32,
    /// Backoff between probes.
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

/// The latest ends, as long as they were all bad: which attempt of its row each was.
#[derive(Debug, Default)]
struct BadEnds(VecDeque<Attempt>);

#[derive(Debug)]
struct Hold {
    since: Instant,
    probes: u32,
    /// How many of the latest probes in a row were answered by the API, badly.
    answered_by_api: u32,
    probe_under_way: bool,
    next_probe: Instant,
}

/// What may start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Anything.
    Open,
    /// One probe, on a fresh connection.
    Probe,
    /// Nothing before this time.
    ClosedUntil(Instant),
    /// Nothing before the probe under way has ended.
    ClosedByProbe,
}

/// An attempt as it started: what was held then decides what its end says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Started {
    /// It probes a held service, on a fresh connection.
    pub(crate) is_probe: bool,
    holds_begun: u64,
}

/// Which attempt of its row it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    First,
    Later,
    /// The row has none left after it.
    Last,
}

/// How an attempt ended, as far as it says something about the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// In a way that an outage doesn't explain.
    Well,
    /// In a way that an outage would explain.
    Bad,
}

/// Who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AnsweredBy {
    /// The API itself: the body had a `code`.
    Api,
    /// A gateway, or nobody.
    NotApi,
}

/// The end of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttemptEnd {
    pub(crate) kind: RequestKind,
    pub(crate) attempt: Attempt,
    pub(crate) health: Health,
    pub(crate) answered_by: AnsweredBy,
}

/// Whether rows are left that had no attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Untried {
    None,
    /// Some wait, or may still come.
    Some,
}

/// Whether a bad end uses up one of its row's attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charge {
    Counted,
    Forgiven,
}

/// What an end changed for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Sending is held since nobody has answered yet.
    HeldAtStart,
    /// Sending is held.
    Held,
    /// The service answers again.
    Recovered,
    /// The service answers, and only rows are left that it can't take.
    OnlySickRowsLeft,
}

impl OutageRule {
    pub(crate) fn new(settings: OutageSettings) -> Self {
        Self {
            settings,
            api_answered: false,
            bad_ends: std::array::from_fn(|_| BadEnds::default()),
            hold: None,
            holds_begun: 0,
            recoveries: 0,
        }
    }

    /// What may start at `now`.
    pub(crate) fn gate(&self, now: Instant) -> Gate {
        match &self.hold {
            None => Gate::Open,
            Some(hold) if hold.probe_under_way => Gate::ClosedByProbe,
            Some(hold) if hold.next_probe > now => Gate::ClosedUntil(hold.next_probe),
            Some(_) => Gate::Probe,
        }
    }

    /// An attempt starts, as [`OutageRule::gate`] allowed.
    pub(crate) fn start(&mut self) -> Started {
        if let Some(hold) = &mut self.hold {
            hold.probe_under_way = true;
        }
        Started { is_probe: self.hold.is_some(), holds_begun: self.holds_begun }
    }

    /// Notes the end of an attempt. `untried`: whether there are, or may come, rows that had no attempt yet.
    pub(crate) fn ended(
        &mut self,
        started: Started,
        end: AttemptEnd,
        untried: Untried,
        now: Instant,
    ) -> (Charge, Option<Change>) {
        self.api_answered |= end.answered_by == AnsweredBy::Api;
        if end.health == Health::Well {
            self.bad_ends[end.kind as usize].0.clear();
            let recovered = self.hold.is_some().then(|| self.end_hold(Change::Recovered));
            return (Charge::Counted, recovered);
        }
        // One of an earlier hold says nothing about whether this hold's probe is still under way.
        let is_probe = self.is_probe_of_this_hold(started);
        if let Some(hold) = &mut self.hold {
            if is_probe {
                hold.probes += 1;
                hold.answered_by_api = if end.answered_by == AnsweredBy::Api { hold.answered_by_api + 1 } else { 0 };
                hold.probe_under_way = false;
                hold.next_probe = now + backoff::backoff(self.settings.base, self.settings.cap, hold.probes);
            }
            let rows_are_sick = untried == Untried::None && hold.answered_by_api >= PROBES_ANSWERED;
            return (Charge::Forgiven, rows_are_sick.then(|| self.end_hold(Change::OnlySickRowsLeft)));
        }
        if started.is_probe || started.holds_begun < self.holds_begun {
            // It was under way while sending was held, and speaks of that outage.
            return (Charge::Forgiven, None);
        }
        let bad_ends = &mut self.bad_ends[end.kind as usize];
        bad_ends.note(end.attempt);
        let change = if !self.settings.enabled {
            None
        } else if bad_ends.make_an_outage() {
            Some(Change::Held)
        } else {
            let at_start = !self.api_answered && self.settings.retries > 0;
            let begins = bad_ends.0.len() >= BAD_AT_THE_START || end.attempt == Attempt::Last;
            (at_start && begins).then_some(Change::HeldAtStart)
        };
        if change.is_none() {
            return (Charge::Counted, None);
        }
        self.holds_begun += 1;
        self.hold = Some(Hold {
            since: now,
            probes: 0,
            answered_by_api: 0,
            probe_under_way: false,
            next_probe: now + backoff::backoff(self.settings.base, self.settings.cap, 1),
        });
        (Charge::Forgiven, change)
    }

    /// Since when sending is held.
    pub(crate) fn held_since(&self) -> Option<Instant> {
        self.hold.as_ref().map(|hold| hold.since)
    }

    /// How many holds ended because somebody was answered.
    pub(crate) fn recoveries(&self) -> u64 {
        self.recoveries
    }

    fn is_probe_of_this_hold(&self, started: Started) -> bool {
        started.is_probe && started.holds_begun == self.holds_begun
    }

    fn end_hold(&mut self, change: Change) -> Change {
        self.hold = None;
        self.recoveries += u64::from(change == Change::Recovered);
        self.bad_ends.iter_mut().for_each(|bad_ends| bad_ends.0.clear());
        change
    }
}

impl BadEnds {
    fn note(&mut self, attempt: Attempt) {
        if self.0.len() == WINDOW {
            self.0.pop_front();
        }
        self.0.push_back(attempt);
    }

    /// Whether so many bad ends are the service's fault and not that of a few rows.
    fn make_an_outage(&self) -> bool {
        let is_first = |attempt: &&Attempt| **attempt == Attempt::First;
        self.0.len() == WINDOW
            && self.0.iter().filter(is_first).count() >= FIRST_ATTEMPTS
            && self.0.iter().rev().take(LATEST).any(|attempt| *attempt == Attempt::First)
    }
}

#[cfg(test)]
#[path = "outage_tests.rs"]
mod tests;
