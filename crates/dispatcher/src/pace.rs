//! Whether somebody may start: outage gate, holds that the server asked for, rate. Pure; time comes in as an argument.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    leave::{Leave, Supplier},
    mint::{MintAsk, Minted, Pause},
    outage::{AttemptEnd, Change, Charge, Gate, OutageRule, OutageSettings, Started, Untried},
    settings::{DEFAULT_OUTAGE_WAIT, Settings},
    stop::StopCause,
    transport::{ByQuota, Quota},
};

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

impl Pace {
    /// Of a run that begins now, under rates or without.
    pub(crate) fn new(settings: &Settings, suppliers: ByQuota<Supplier>, now: Instant) -> Self {
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
            leave: ByQuota { sending: Leave::new(suppliers.sending, now), reading: Leave::new(suppliers.reading, now) },
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
        self.leave.get_mut(quota).take(now)
    }

    /// What a quota's rate allows.
    pub(crate) fn leave(&self, quota: Quota) -> &Leave {
        self.leave.get(quota)
    }

    /// A request of a quota has ended, and took so long.
    pub(crate) fn took(&mut self, quota: Quota, time: Duration, now: Instant) {
        self.leave.get_mut(quota).took(time, now);
    }

    /// What the mint of a quota is asked, for so many starts.
    pub(crate) fn ask_mint(&mut self, quota: Quota, want: usize, now: Instant) -> MintAsk {
        self.leave.get_mut(quota).ask(want, now)
    }

    /// What the mint gave. Whether it had been out of reach before; and why the run stops, where others were told to wait for
    /// longer than it may.
    pub(crate) fn minted(&mut self, quota: Quota, minted: Minted, now: Instant) -> (bool, Option<StopCause>) {
        let pause = minted.pause;
        let was_lost = self.leave.get_mut(quota).minted(minted);
        (was_lost, pause.and_then(|pause| self.hold_all(quota, pause, Told::ByMint, now)))
    }

    /// The mint is out of reach. Whether it was not before.
    pub(crate) fn lost_mint(&mut self, quota: Quota, what: String, now: Instant) -> bool {
        self.leave.get_mut(quota).lost(what, now)
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

    /// Nobody starts for a time, since an answer to a request of this quota says so; or the run stops, where that is too long.
    pub(crate) fn pause(&mut self, quota: Quota, pause: Pause, now: Instant) -> Option<StopCause> {
        self.hold_all(quota, pause, Told::ByAnswer, now)
    }

    fn hold_all(&mut self, quota: Quota, pause: Pause, told: Told, now: Instant) -> Option<StopCause> {
        let spent = self.outage.held_since().map_or(Duration::ZERO, |since| now - since);
        let (Pause::Backoff(wait) | Pause::Asked(wait)) = pause;
        let asked = matches!(pause, Pause::Asked(_));
        let until = now + wait;
        // Also where this run doesn't wait for it: others are to know.
        self.leave.get_mut(quota).pause(until, asked, told == Told::ByAnswer);
        if asked && wait > self.outage_wait.saturating_sub(spent) {
            let seconds = wait.as_secs();
            let (whom, advice) = match told {
                Told::ByAnswer => ("", None),
                Told::ByMint => (
                    " all who share the rate",
                    Some(
                        "another process was told so: resume when that time is over (`doctor --share-rate` says how much is left)",
                    ),
                ),
            };
            return Some(StopCause::Outage {
                what: format!("the server asked{whom} to wait {seconds} s, which is longer than --outage-wait leaves"),
                advice: advice.map(str::to_owned),
            });
        }
        self.paused_until = self.paused_until.max(Some(until));
        None
    }

    /// For how long nobody starts since somebody was told to wait.
    pub(crate) fn paused_for(&self, now: Instant) -> Duration {
        self.paused_until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    /// When the run has waited long enough for a service, or a mint, that is out of reach.
    pub(crate) fn held_until(&self) -> Option<Instant> {
        let lost = Quota::ALL.into_iter().filter_map(|quota| self.leave(quota).lost_since()).map(|lost| lost.since);
        self.outage.held_since().into_iter().chain(lost).min().map(|since| since + self.outage_wait)
    }

    /// Why it stops then.
    pub(crate) fn held_too_long(&self, now: Instant) -> StopCause {
        let waited = self.outage_wait.as_secs();
        let lost = Quota::ALL.into_iter().filter_map(|quota| self.leave(quota).lost_since());
        match lost.into_iter().find(|lost| lost.since + self.outage_wait <= now) {
            Some(lost) => StopCause::Outage {
                what: format!("the shared rate stayed out of reach for {waited} s: {}", lost.what),
                advice: Some("check that what `--share-rate` names can be reached from here, then resume".to_owned()),
            },
            None => StopCause::outage(format!("the service stayed out of reach for {waited} s")),
        }
    }
}

/// Who says that nobody is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    ByAnswer,
    ByMint,
}
