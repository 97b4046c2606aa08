//! Whether somebody may start: outage gate, holds that the server asked for, rate. Pure; time comes in as an argument.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

use crate::{
    mint::{Lease, Minted},
    outage::{AttemptEnd, Change, Charge, Gate, OutageRule, OutageSettings, Started, Untried},
    settings::{DEFAULT_OUTAGE_WAIT, Settings},
    stop::StopCause,
    transport::{ByQuota, Quota},
};

/// Why nobody is to start for a time.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Pause {
    /// The row's backoff, which all wait out.
    Backoff(Duration),
    /// The server asked for it; more than may be waited stops the run.
    Asked(Duration),
}

/// What an attempt's end meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Settled {
    pub(crate) charge: Charge,
    /// Sending is held, so that the gate decides when the row's turn comes.
    pub(crate) held: bool,
    /// How many holds ended because somebody was answered.
    pub(crate) recoveries: u64,
}

/// What may start now, as far as gate and holds go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// Anything that the rate allows.
    All,
    /// One probe, on a fresh connection.
    Probe,
    /// Nothing before this.
    From(Instant),
    /// Nothing before the probe under way has ended.
    AfterProbe,
}

#[derive(Debug)]
pub(crate) struct Pace {
    outage: OutageRule,
    outage_wait: Duration,
    paused_until: Option<Instant>,
    leave: ByQuota<Leave>,
}

/// What the rate allows.
#[derive(Debug)]
enum Leave {
    Unlimited,
    Leased { leases: VecDeque<Lease>, not_before: Instant },
}

impl Pace {
    /// Of a run that begins now, under rates or without.
    pub(crate) fn new(settings: &Settings, has_mint: ByQuota<bool>, now: Instant) -> Self {
        let leave = |has_mint| {
            if has_mint { Leave::Leased { leases: VecDeque::new(), not_before: now } } else { Leave::Unlimited }
        };
        let enabled = !settings.outage_wait.is_zero();
        Self {
            outage: OutageRule::new(OutageSettings {
                enabled,
                retries: settings.retries,
                base: settings.retry_base,
                cap: settings.retry_cap,
            }),
            outage_wait: if enabled { settings.outage_wait } else { DEFAULT_OUTAGE_WAIT },
            paused_until: None,
            leave: ByQuota { sending: leave(has_mint.sending), reading: leave(has_mint.reading) },
        }
    }

    pub(crate) fn open(&self, now: Instant) -> Open {
        if let Some(until) = self.paused_until.filter(|until| *until > now) {
            return Open::From(until);
        }
        match self.outage.gate(now) {
            Gate::Open => Open::All,
            Gate::Probe => Open::Probe,
            Gate::ClosedUntil(at) => Open::From(at),
            Gate::ClosedByProbe => Open::AfterProbe,
        }
    }

    /// Takes one start of what a quota's rate allows now.
    pub(crate) fn take_leave(&mut self, quota: Quota, now: Instant) -> bool {
        match self.leave.get_mut(quota) {
            Leave::Unlimited => true,
            Leave::Leased { leases, .. } => loop {
                let Some(lease) = leases.front_mut() else { return false };
                let taken = lease.take(now);
                if lease.starts == 0 {
                    leases.pop_front();
                }
                if taken {
                    return true;
                }
            },
        }
    }

    /// How many may start now by the rate; what has died meanwhile is found when it is taken.
    pub(crate) fn leave_for(&self, quota: Quota) -> usize {
        match self.leave.get(quota) {
            Leave::Unlimited => usize::MAX,
            Leave::Leased { leases, .. } => leases.iter().map(|lease| lease.starts as usize).sum(),
        }
    }

    /// When it is of use to ask the mint again; none where the rate doesn't bind.
    pub(crate) fn mint_from(&self, quota: Quota) -> Option<Instant> {
        match self.leave.get(quota) {
            Leave::Unlimited => None,
            Leave::Leased { not_before, .. } => Some(*not_before),
        }
    }

    /// What the mint gave.
    pub(crate) fn minted(&mut self, quota: Quota, minted: Minted) {
        if let Leave::Leased { leases, not_before } = self.leave.get_mut(quota) {
            *not_before = minted.not_before;
            leases.extend(minted.lease);
        }
    }

    /// Somebody starts, as [`Pace::open`] and [`Pace::take_leave`] allowed.
    pub(crate) fn start(&mut self) -> Started {
        self.outage.start()
    }

    /// An attempt ended.
    pub(crate) fn ended(
        &mut self,
        started: Started,
        end: AttemptEnd,
        untried: Untried,
        now: Instant,
    ) -> (Settled, Option<Change>) {
        let (charge, changed) = self.outage.ended(started, end, untried, now);
        let settled =
            Settled { charge, held: self.outage.held_since().is_some(), recoveries: self.outage.recoveries() };
        (settled, changed)
    }

    /// Nobody starts for a time; or the run stops, where that is too long.
    pub(crate) fn pause(&mut self, pause: Pause, now: Instant) -> Option<StopCause> {
        let spent = self.outage.held_since().map_or(Duration::ZERO, |since| now - since);
        let (Pause::Backoff(wait) | Pause::Asked(wait)) = pause;
        if matches!(pause, Pause::Asked(_)) && wait > self.outage_wait.saturating_sub(spent) {
            let asked = wait.as_secs();
            return Some(StopCause::outage(format!(
                "the server asked to wait {asked} s, which is longer than --outage-wait leaves"
            )));
        }
        self.paused_until = self.paused_until.max(Some(now + wait));
        None
    }

    /// When the run has waited long enough for a service that is out of reach.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        self.outage.held_since().map(|since| since + self.outage_wait)
    }

    /// Why it stops then.
    pub(crate) fn held_too_long(&self) -> StopCause {
        StopCause::outage(format!("the service stayed out of reach for {} s", self.outage_wait.as_secs()))
    }
}
