//! What a process knows of the rate that it shares: when it is of use to ask, and what its starts are on its own clock. Pure;
//! times are nanoseconds of its own monotonic clock.

use crate::{
    ledger::{Ask, Identity, LONGEST_LEASE, Reply},
    terms::{Terms, Wait},
};

const MILLISECOND: i64 = 1_000_000;
/// So much is planned ahead by all who want starts together, at least: threads of a busy machine wake some milliseconds late. And
/// no more, where answers come soon: who has few requests under way waits for its turn behind it, as far as it didn't ask before.
const AHEAD: i64 = 20 * MILLISECOND;
/// Starts that are planned further from now than this, and than two more asks take, are looked at once more before they are
/// used: by then everybody may have been asked to wait.
const FAR: i64 = 50 * MILLISECOND;
/// So long before their time, at least.
const LOOK_BEFORE: i64 = 10 * MILLISECOND;
/// The place hears at least so often that a process is there.
const RENEW_EVERY: i64 = 500 * MILLISECOND;

/// A process that shares a rate.
#[derive(Debug, Clone)]
pub struct Member {
    name: String,
    terms: Terms,
    known: Identity,
    /// What is to be added to the ledger's clock for this process's own.
    offset: i64,
    /// When it last asked.
    asked_at: Option<i64>,
    /// How long an answer takes.
    round_trip: i64,
    sharers: u32,
    /// Up to when it has planned starts.
    planned_until: i64,
    /// Starts whose time is far.
    far: Option<Starts>,
}

/// Starts that are planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starts {
    /// How many.
    pub count: u32,
    /// When the first of them is, on the process's clock; each further one an interval later.
    pub planned: i64,
}

/// What a process has to do who wants starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask this.
    Ask(Ask),
    /// Ask again at this time.
    WaitUntil(i64),
}

/// What came of it, on the process's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Granted {
    /// Starts that may be used, each from its time on.
    pub starts: Option<Starts>,
    /// Before this no more can be had.
    pub more_from: i64,
    /// Then it is to be asked whatever is wanted.
    pub renew_at: i64,
    /// For how long nobody is to start.
    pub wait: Wait,
    /// The ledger is another than before, or an older one: what was planned by the old one is void.
    pub began_anew: bool,
}

impl Member {
    /// Of a name that no other process has, letters and digits.
    pub fn new(name: String, terms: Terms) -> Self {
        let known = Identity::default();
        Self {
            name,
            terms,
            known,
            offset: 0,
            asked_at: None,
            round_trip: 0,
            sharers: 1,
            planned_until: i64::MIN / 4,
            far: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The rate that it names.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Whether it is of use to ask now, for `want` starts beside those that it has, and where nobody is to
    /// start for so long. `nonce`: see [`Ask::nonce`].
    pub fn step(&self, want: u32, hold: Wait, now: i64, nonce: u64) -> Step {
        let interval = self.terms.interval as i64;
        let ahead = (2 * self.round_trip).clamp(AHEAD, LONGEST_LEASE);
        let mine = ahead / i64::from(self.sharers);
        let most = (mine / interval).max(1);
        // Where an answer takes long, what is asked for now is used when what is at hand has long been.
        let most_held = if ahead > AHEAD { LONGEST_LEASE } else { mine };
        let outstanding = div_ceil((self.planned_until - interval - now).max(0), interval);
        let is_due = self.asked_at.is_none_or(|at| now - at >= RENEW_EVERY);
        let (mut want, mut not_before) = (want, i64::MIN);
        if let Some(far) = self.far {
            (want, not_before) = (0, self.look_at(far));
        } else if outstanding > most / 2 {
            (want, not_before) = (0, self.planned_until - interval - most / 2 * interval);
        }
        if now < not_before && !is_due && hold.nanos == 0 {
            return Step::WaitUntil(not_before);
        }
        Step::Ask(Ask {
            member: self.name.clone(),
            interval: self.terms.interval,
            label: self.terms.label.clone(),
            want,
            span: (most_held - outstanding * interval).clamp(interval, mine.max(interval)),
            // It hears of them half a round trip later.
            earliest: self.round_trip / 2 - self.terms.lag as i64,
            wait: hold,
            quiet: self.asked_at.map(|at| now - at),
            known: self.known,
            nonce,
            peek: false,
        })
    }

    /// Takes note of an answer to something that was asked at `sent`.
    pub fn answered(&mut self, reply: &Reply, sent: i64, got: i64) -> Granted {
        let is_another = reply.known.generation != self.known.generation;
        let began_anew = self.known.generation != 0 && is_another;
        if began_anew {
            self.forget();
        }
        if is_another {
            self.offset = i64::midpoint(sent, got) - reply.now;
        }
        // The ledger's clock stood there at some moment in between: it is moved no further than that proves.
        self.offset = self.offset.clamp(sent - reply.now, got - reply.now);
        let took = got - sent;
        self.round_trip = if self.asked_at.is_none() { took } else { (3 * self.round_trip + took) / 4 };
        (self.known, self.asked_at, self.sharers) = (reply.known, Some(sent), reply.sharers.max(1));
        let mut granted =
            Granted { starts: None, more_from: got, renew_at: got + RENEW_EVERY, wait: reply.wait, began_anew };
        if reply.wait.nanos > 0 {
            self.far = None;
            granted.more_from = got.saturating_add(i64::try_from(reply.wait.nanos).unwrap_or(i64::MAX));
            return granted;
        }
        if let Some(far) = self.far.filter(|far| got >= self.look_at(*far) - MILLISECOND) {
            (self.far, granted.starts) = (None, Some(far));
        }
        if reply.starts > 0 {
            let starts = Starts { count: reply.starts, planned: reply.planned.saturating_add(self.offset) };
            let they_take = i64::from(starts.count).saturating_mul(self.terms.interval as i64);
            self.planned_until = starts.planned.saturating_add(they_take);
            if starts.planned - got > FAR + 2 * self.round_trip {
                self.far = Some(starts);
            } else {
                granted.starts = Some(starts);
            }
        }
        if let Some(far) = self.far {
            granted.more_from = self.look_at(far);
        }
        granted
    }

    /// Nothing is known any more of what was planned.
    pub fn forget(&mut self) {
        (self.far, self.planned_until) = (None, i64::MIN / 4);
    }

    fn look_at(&self, far: Starts) -> i64 {
        far.planned - LOOK_BEFORE.max(2 * self.round_trip)
    }
}

impl Granted {
    /// Nothing was asked.
    pub(crate) fn nothing_before(more_from: i64, now: i64) -> Self {
        Self { starts: None, more_from, renew_at: now + RENEW_EVERY, wait: Wait::default(), began_anew: false }
    }
}

fn div_ceil(number: i64, by: i64) -> i64 {
    (number + by - 1) / by
}

#[cfg(test)]
#[path = "member_tests.rs"]
mod tests;
