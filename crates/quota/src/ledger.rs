//! What lies at the place that a rate is shared by, and what comes of an ask. Pure; the script for Redis does the same, step
//! by step (a test holds one against the other).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::terms::Wait;

/// A millisecond in the ledger's time.
const MILLISECOND: i64 = 1_000_000;
/// What a process has planned ahead is this much of the rate at most, or one start.
pub const LONGEST_LEASE: i64 = 50 * MILLISECOND;
/// A ledger that knows nothing of what was planned before plans nothing before this: by then it was used, or is dead.
pub const FRESH: i64 = 100 * MILLISECOND;
/// Whoever wasn't heard of for so long is gone.
const GONE: i64 = 10_000 * MILLISECOND;
/// An ask may have been on its way for so much longer than the one before: what has passed beyond that is a jump of the clock.
const SLACK: i64 = 100 * MILLISECOND;
/// So far back the clock of an ask may be that was read before it was on its way; further back it has jumped.
const STALE: i64 = 1_000 * MILLISECOND;
/// Who had to wait counts as wanting more for so long after its turn.
const HUNGRY: i64 = 100 * MILLISECOND;
/// A wait that is told counts for so long at most: a slip of the service (a date in the far future) must not outlive who saw it.
/// Who asks after it is told again, where it was none.
const LONGEST_WAIT: u64 = 3_600_000 * MILLISECOND as u64;
/// A wait that is longer than the known one by less is the same one, told by somebody else.
const SAME_WAIT: i64 = 100 * MILLISECOND;

/// What is known of a shared rate. Times are nanoseconds on its own clock, which begins at 0.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Tells it from one that was here before; 0 where nothing is here yet.
    generation: u64,
    /// How often it was changed: who knows of more has seen changes that are lost.
    sequence: u64,
    /// The machine's or server's clock when it was last asked.
    seen: i64,
    /// Its own clock then.
    now: i64,
    /// When the next start is planned.
    next: i64,
    /// Nanoseconds between two starts, and the rate in words.
    interval: u64,
    label: String,
    /// Until when nobody starts, and whether the service asked for that.
    hold: i64,
    asked: bool,
    members: BTreeMap<String, Sharer>,
}

/// A process that shares it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sharer {
    /// When it was last heard of.
    renewed: i64,
    /// Until when it counts as wanting more than it has.
    hungry: i64,
}

/// Which ledger a process knows, and up to which change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Identity {
    /// 0 where it knows none.
    pub generation: u64,
    /// The last change that it saw.
    pub sequence: u64,
}

/// What a process asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Who asks: a name that no other process has, letters and digits.
    pub member: String,
    /// The rate that it names: nanoseconds between two starts, and in words.
    pub interval: u64,
    /// The rate in words.
    pub label: String,
    /// How many starts it could use; 0 only says that it is still there.
    pub want: u32,
    /// It takes no more than are planned within so many nanoseconds.
    pub span: i64,
    /// The first of them may be planned so many nanoseconds from now; below 0, ago.
    pub earliest: i64,
    /// For how long nobody is to start, as far as it knows.
    pub wait: Wait,
    /// Nanoseconds that are surely over since it last asked, by its own monotonic clock; none where it never did.
    pub quiet: Option<i64>,
    /// What it knows of the ledger.
    pub known: Identity,
    /// Becomes the generation where nothing is there yet, or something older than is known; at least 1, below 2^53.
    pub nonce: u64,
    /// Only whether it could share the rate: nothing is changed.
    pub peek: bool,
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply {
    /// The ledger that answers.
    pub known: Identity,
    /// Its clock.
    pub now: i64,
    /// When the first start is planned.
    pub planned: i64,
    /// How many there are, an interval apart.
    pub starts: u32,
    /// How many processes want starts, the asking one included.
    pub sharers: u32,
    /// For how long nobody is to start.
    pub wait: Wait,
}

/// Others share the place by another rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{members} other process{} share{} it at the rate {label}", if *.members == 1 { "" } else { "es" }, if *.members == 1 { "s" } else { "" })]
pub struct OtherRate {
    /// The rate that they named.
    pub label: String,
    /// How many they are.
    pub members: u32,
}

impl Ledger {
    /// Answers an ask at a time of the machine's or server's clock, in nanoseconds.
    pub fn answer(&mut self, ask: &Ask, clock: i64) -> Result<Reply, OtherRate> {
        if self.generation == 0 {
            *self = Self { generation: ask.nonce, seen: clock, next: FRESH, ..Self::default() };
        }
        self.go_forward(clock, ask.quiet);
        if ask.known.generation == self.generation && ask.known.sequence > self.sequence {
            // It is an older one of what was here: what was planned since is unknown, and all have to hear of that.
            self.generation = ask.nonce;
            self.next = self.next.max(self.now + FRESH);
        }
        let now = self.now;
        self.members.retain(|_, member| now - member.renewed < GONE);
        // No more is planned ahead than those who are there may have at hand: what others left behind is nobody's.
        let one = (self.interval as i64).max(LONGEST_LEASE);
        let at_hand = one.saturating_mul(self.members.len() as i64 + 1).saturating_add(FRESH);
        self.next = self.next.min(now.saturating_add(at_hand));
        self.hold = self.hold.min(now.saturating_add(LONGEST_WAIT as i64));
        if self.interval != ask.interval {
            let others = self.members.keys().filter(|member| **member != ask.member).count();
            if others > 0 {
                return Err(OtherRate { label: self.label.clone(), members: others as u32 });
            }
            if !ask.peek {
                (self.interval, self.label, self.next) = (ask.interval, ask.label.clone(), now + FRESH);
            }
        }
        let told = now.saturating_add(ask.wait.nanos.min(LONGEST_WAIT) as i64);
        if told > self.hold.max(now) + SAME_WAIT {
            (self.hold, self.asked) = (told, ask.wait.asked);
        }
        let hungry = |(name, member): &(&String, &Sharer)| **name != ask.member && member.hungry > now;
        let sharers = 1 + self.members.iter().filter(hungry).count() as i64;
        let mut reply = Reply {
            known: Identity::default(),
            now,
            planned: now,
            starts: 0,
            sharers: sharers as u32,
            wait: Wait { nanos: (self.hold - now).max(0) as u64, asked: self.asked },
        };
        if !ask.peek {
            let mut member = Sharer { renewed: now, hungry: 0 };
            if ask.want > 0 && reply.wait.nanos == 0 {
                let interval = ask.interval as i64;
                let most = (LONGEST_LEASE / sharers).min(ask.span) / interval;
                reply.starts = most.clamp(1, i64::from(ask.want)) as u32;
                reply.planned = self.next.max(now + ask.earliest);
                self.next = reply.planned + i64::from(reply.starts) * interval;
                if ask.want > reply.starts || reply.planned > now {
                    member.hungry = self.next.max(now) + HUNGRY;
                }
            }
            self.members.insert(ask.member.clone(), member);
            self.sequence += 1;
        }
        reply.known = Identity { generation: self.generation, sequence: self.sequence };
        Ok(reply)
    }

    /// A process is gone.
    pub fn leave(&mut self, member: &str) {
        self.members.remove(member);
    }

    /// Its clock goes on with the one that was read, as far as what has passed can be time: where it is more than the asking
    /// process knows to be over, the clock has jumped. Who asks for the first time can't tell a pause from a jump, and takes
    /// it for a pause; what was planned ahead still is.
    fn go_forward(&mut self, clock: i64, quiet: Option<i64>) {
        let passed = clock.saturating_sub(self.seen);
        if !(-STALE..=0).contains(&passed) {
            self.seen = clock;
        }
        let most = quiet.map_or(i64::MAX, |quiet| quiet.max(0).saturating_add(SLACK));
        if !(0..=most).contains(&passed) {
            return;
        }
        let ahead = (self.next - self.now).clamp(0, FRESH);
        self.now = self.now.saturating_add(passed);
        if quiet.is_none() && passed > SLACK {
            self.next = self.next.max(self.now + ahead);
        }
    }
}

#[cfg(test)]
impl Ask {
    /// Of a newcomer that wants a start at 100/s.
    pub(crate) fn of(member: &str, nonce: u64) -> Self {
        Self {
            member: member.to_owned(),
            interval: 10_000_000,
            label: "100/s".to_owned(),
            want: 1,
            span: 1,
            earliest: 0,
            wait: Wait::default(),
            quiet: None,
            known: Identity::default(),
            nonce,
            peek: false,
        }
    }
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "jump_tests.rs"]
mod jump_tests;
