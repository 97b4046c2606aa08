//! The only place where time is waited for before an attempt: outage gate, in-flight limit, rate.
//!
//! Who wants to start an attempt queues; [`State::start_waiting`] lets the next ones go as far as gate, limit and rate
//! allow. The rate token is the last thing taken, and only for somebody who starts at that moment: tokens never pile up
//! behind a stalled server. Retries go before fresh rows. One task ([`Pace::run`]) sleeps until the next moment at which
//! somebody could start, so a limit that binds wakes one timer and not every waiter.

use std::{
    collections::VecDeque,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use model::Counters;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use crate::{
    outage::{AttemptEnd, Change, Charge, Gate, OutageRule, OutageSettings, Started, Untried},
    settings::{DEFAULT_OUTAGE_WAIT, Rate, Settings},
    stop::{Stop, StopCause},
};

/// A hundredth less than the rate asked for: the network delays one request more than the next, so what leaves here at
/// the very rate could arrive above it.
const MARGIN: (u32, u32) = (100, 101);

/// Who waits for a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// A row's first attempt.
    Fresh,
    /// A further attempt; goes first.
    Retry,
}

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

/// Paces all attempts of a run.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<State>,
    timer: Notify,
    counters: Arc<Counters>,
}

/// Leave to make one attempt; given back by [`Permit::settle`], or by dropping it where the attempt was abandoned.
#[derive(Debug)]
pub(crate) struct Permit {
    pace: Arc<Pace>,
    started: Started,
    settled: bool,
}

impl Permit {
    /// Whether this attempt probes a held service, on a fresh connection.
    pub(crate) fn is_probe(&self) -> bool {
        self.started.is_probe
    }

    /// Gives it back with how its attempt ended.
    pub(crate) fn settle(mut self, end: AttemptEnd, pause: Option<Pause>) -> Settled {
        self.settled = true;
        self.pace.settle(self.started, end, pause)
    }
}

impl Pace {
    pub(crate) fn new(settings: &Settings, counters: Arc<Counters>, stop: Stop) -> Arc<Self> {
        let enabled = !settings.outage_wait.is_zero();
        let state = State {
            retries: VecDeque::new(),
            fresh: VecDeque::new(),
            in_flight: 0,
            limit: settings.in_flight.max(1),
            limiter: limiter(settings),
            outage: OutageRule::new(OutageSettings {
                enabled,
                retries: settings.retries,
                base: settings.retry_base,
                cap: settings.retry_cap,
            }),
            untried: 0,
            more_may_come: true,
            outage_wait: if enabled { settings.outage_wait } else { DEFAULT_OUTAGE_WAIT },
            paused_until: None,
            wake_at: None,
            last_probe: Queue::Fresh,
            stop,
            closed: false,
        };
        Arc::new(Self { state: Mutex::new(state), timer: Notify::new(), counters })
    }

    /// A row came in that will want its first attempt.
    pub(crate) fn row_came_in(&self) {
        self.lock().untried += 1;
    }

    /// No more rows will come in.
    pub(crate) fn no_more_rows(&self) {
        self.lock().more_may_come = false;
    }

    /// Waits for leave to make an attempt; none once the run stops.
    pub(crate) async fn acquire(self: &Arc<Self>, queue: Queue) -> Option<Permit> {
        let granted = {
            let (grant, granted) = oneshot::channel();
            let mut state = self.lock();
            if state.closed {
                return None;
            }
            state.queue(queue).push_back(grant);
            self.advance(state);
            granted
        };
        let started = granted.await.ok()?;
        Counters::add(&self.counters.in_flight, 1);
        Some(Permit { pace: Arc::clone(self), started, settled: false })
    }

    fn settle(&self, started: Started, end: AttemptEnd, pause: Option<Pause>) -> Settled {
        Counters::sub(&self.counters.in_flight, 1);
        let now = Instant::now();
        let mut state = self.lock();
        state.in_flight -= 1;
        let untried = state.untried_rows();
        let (charge, event) = state.outage.ended(started, end, untried, now);
        if let Some(pause) = pause {
            state.pause(pause, now);
        }
        let (held, recoveries) = (state.outage.held_since().is_some(), state.outage.recoveries());
        self.advance(state);
        match event {
            None => {}
            Some(Change::HeldAtStart) => {
                tracing::warn!("the service hasn't answered yet: sending is held, probing until it does");
            }
            Some(Change::Held) => {
                tracing::warn!("the last 50 attempts all failed: sending is held, probing until the service answers");
            }
            Some(Change::Recovered) => tracing::warn!("the service answers again: sending goes on"),
            Some(Change::OnlySickRowsLeft) => {
                tracing::warn!("the service answers, and fails each row that is left: they use up their retries");
            }
        }
        Settled { charge, held, recoveries }
    }

    /// Sends everybody away who waits, and lets nobody in any more.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.retries.clear();
        state.fresh.clear();
        drop(state);
        self.timer.notify_one();
    }

    /// Starts those whose time has come, until the pace is closed.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let wake_at = {
                let mut state = self.lock();
                if state.closed {
                    return;
                }
                state.start_waiting(Instant::now());
                state.wake_at
            };
            match wake_at {
                Some(at) => tokio::select! {
                    () = tokio::time::sleep_until(at) => {}
                    () = self.timer.notified() => {}
                },
                None => self.timer.notified().await,
            }
        }
    }

    fn advance(&self, mut state: MutexGuard<'_, State>) {
        let planned = state.wake_at;
        state.start_waiting(Instant::now());
        let earlier = match (planned, state.wake_at) {
            (None, Some(_)) => true,
            (Some(planned), Some(at)) => at < planned,
            (_, None) => false,
        };
        drop(state);
        if earlier {
            self.timer.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics under this lock; were it so, the figures in it would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        Counters::sub(&self.pace.counters.in_flight, 1);
        let mut state = self.pace.lock();
        state.in_flight -= 1;
        state.outage.abandoned(self.started);
        self.pace.advance(state);
    }
}

#[derive(Debug)]
struct State {
    retries: VecDeque<oneshot::Sender<Started>>,
    fresh: VecDeque<oneshot::Sender<Started>>,
    in_flight: usize,
    limit: usize,
    limiter: Option<Limiter>,
    outage: OutageRule,
    /// Rows that came in and had no attempt yet.
    untried: u64,
    more_may_come: bool,
    outage_wait: Duration,
    paused_until: Option<Instant>,
    /// When [`Pace::run`] has to look again.
    wake_at: Option<Instant>,
    last_probe: Queue,
    stop: Stop,
    closed: bool,
}

impl State {
    /// Lets go whoever may start at `now`, and notes when to look again.
    fn start_waiting(&mut self, now: Instant) {
        self.wake_at = None;
        if self.stop.is_stopping() {
            return;
        }
        if let Some(deadline) = self.outage.held_since().map(|since| since + self.outage_wait) {
            if now >= deadline {
                let waited = self.outage_wait.as_secs();
                self.stop.because(StopCause::outage(format!("the service stayed out of reach for {waited} s")));
                return;
            }
            self.wake_at = Some(deadline);
        }
        while self.in_flight < self.limit && !(self.retries.is_empty() && self.fresh.is_empty()) {
            if let Some(until) = self.paused_until.filter(|until| *until > now) {
                return self.wake_by(until);
            }
            let gate = self.outage.gate(now);
            match gate {
                Gate::Open | Gate::Probe => {}
                Gate::ClosedUntil(at) => return self.wake_by(at),
                Gate::ClosedByProbe => return,
            }
            if let Some(wait) = self.limiter.as_ref().and_then(Limiter::take) {
                return self.wake_by(now + wait);
            }
            let queue = self.next_queue(gate);
            let Some(waiting) = self.queue(queue).pop_front() else { return };
            // Who no longer waits costs its token and nothing else.
            let started = self.outage.start();
            if waiting.send(started).is_err() {
                self.outage.abandoned(started);
                continue;
            }
            self.in_flight += 1;
            if queue == Queue::Fresh {
                self.untried = self.untried.saturating_sub(1);
            }
            if gate == Gate::Probe {
                self.last_probe = queue;
            }
        }
    }

    fn untried_rows(&self) -> Untried {
        if self.more_may_come || self.untried > 0 { Untried::Some } else { Untried::None }
    }

    /// Retries first; but probes take held rows of both kinds in turn, or a few sick rows would speak for the service.
    fn next_queue(&self, gate: Gate) -> Queue {
        let fresh_turn = gate == Gate::Probe && self.last_probe == Queue::Retry && !self.fresh.is_empty();
        if self.retries.is_empty() || fresh_turn { Queue::Fresh } else { Queue::Retry }
    }

    fn queue(&mut self, queue: Queue) -> &mut VecDeque<oneshot::Sender<Started>> {
        match queue {
            Queue::Fresh => &mut self.fresh,
            Queue::Retry => &mut self.retries,
        }
    }

    fn pause(&mut self, pause: Pause, now: Instant) {
        let spent = self.outage.held_since().map_or(Duration::ZERO, |since| now - since);
        let (Pause::Backoff(wait) | Pause::Asked(wait)) = pause;
        if matches!(pause, Pause::Asked(_)) && wait > self.outage_wait.saturating_sub(spent) {
            let asked = wait.as_secs();
            self.stop.because(StopCause::outage(format!(
                "the server asked to wait {asked} s, which is longer than --outage-wait leaves"
            )));
            return;
        }
        self.paused_until = self.paused_until.max(Some(now + wait));
    }

    fn wake_by(&mut self, at: Instant) {
        self.wake_at = Some(self.wake_at.map_or(at, |planned| planned.min(at)));
    }
}

/// The rate: a token bucket (GCRA) on the runtime's clock, which stands still where tests pause it.
#[derive(Debug)]
struct Limiter {
    bucket: RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Nanos>>,
    clock: RuntimeClock,
}

impl Limiter {
    /// Takes a token; else says after which time there is one.
    fn take(&self) -> Option<Duration> {
        match self.bucket.check() {
            Ok(()) => None,
            // At least a nanosecond, so that nobody looks again without time having passed.
            Err(not_until) => Some(not_until.wait_time_from(self.clock.now()).max(Duration::from_nanos(1))),
        }
    }
}

fn limiter(settings: &Settings) -> Option<Limiter> {
    let Rate::Limited { count, per } = settings.rate else { return None };
    let nanos = per.as_nanos() * u128::from(MARGIN.1) / u128::from(MARGIN.0) / u128::from(count.get());
    // None where the rate is above one in a nanosecond: no limit that could bind.
    let quota = Quota::with_period(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))?;
    // Timers wake up to a millisecond late: with less at once than two of them let through, the rate isn't reached.
    let two_milliseconds =
        Duration::from_millis(2).as_nanos() / u128::from(quota.replenish_interval().as_nanos().max(1) as u64);
    let burst = settings.burst.max(u32::try_from(two_milliseconds).unwrap_or(u32::MAX));
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let clock = RuntimeClock { start: Instant::now() };
    Some(Limiter { bucket: RateLimiter::direct_with_clock(quota.allow_burst(burst), clock), clock })
}

#[derive(Debug, Clone, Copy)]
struct RuntimeClock {
    start: Instant,
}

impl Clock for RuntimeClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.start.elapsed())
    }
}
