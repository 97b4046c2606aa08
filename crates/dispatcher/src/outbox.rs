//! Decisions on their way to the journal, by the handful: it is woken once for many of them.

use std::time::Duration;

use model::Decision;
use tokio::time::Instant;

/// So many are handed on together, or what there is after [`GATHERED`].
pub(crate) const HANDFUL: usize = 256;
/// A decision waits so long for others.
pub(crate) const GATHERED: Duration = Duration::from_millis(20);
/// Decisions that nobody takes: with so many nothing further is sent, so that a disk that stalls leaves little without a
/// record.
const MOST: usize = 4 * HANDFUL;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    decisions: Vec<Decision>,
    /// Since when the oldest waits.
    since: Option<Instant>,
    room: HeldRoom,
    closed: bool,
}

/// What decisions still hold of the room for rows.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct HeldRoom {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// What is to be done about the decisions that wait.
#[derive(Debug)]
pub(crate) enum Due {
    /// Hand these on.
    Now(Vec<Decision>, HeldRoom),
    /// Wait for others until then.
    At(Instant),
    /// There are none.
    Nothing,
    /// There are none, and none will come.
    Over,
}

impl Outbox {
    pub(crate) fn is_full(&self) -> bool {
        self.decisions.len() >= MOST
    }

    /// Takes a decision. Whether somebody has to look.
    pub(crate) fn push(&mut self, decision: Decision, room: HeldRoom, now: Instant) -> bool {
        self.room.rows += room.rows;
        self.room.bytes += room.bytes;
        self.since.get_or_insert(now);
        self.decisions.push(decision);
        matches!(self.decisions.len(), 1 | HANDFUL)
    }

    /// None will come any more.
    pub(crate) fn close(&mut self) {
        self.closed = true;
    }

    pub(crate) fn due(&mut self, now: Instant) -> Due {
        let Some(since) = self.since else { return if self.closed { Due::Over } else { Due::Nothing } };
        if self.decisions.len() < HANDFUL && !self.closed && now < since + GATHERED {
            return Due::At(since + GATHERED);
        }
        self.since = None;
        let next = Vec::with_capacity(HANDFUL);
        Due::Now(std::mem::replace(&mut self.decisions, next), std::mem::take(&mut self.room))
    }
}
