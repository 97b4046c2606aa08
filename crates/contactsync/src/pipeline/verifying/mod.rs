//! `verify` at work: a row answers for the contacts that no later row of its user sets ([`Answering`]); the dispatcher brings
//! rows to a memory that decides them all: it reads their users, a hundred at once, and judges ([`judging`]).

mod answering;
mod judging;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dispatcher::{Asker, Batches, BoxFuture, Memory, Recall, Recalled, StopCause, Turn};
use model::{Answered, Contact, Counters, Euid, Outcome, Reason, limits::MAX_PROFILE_EUIDS};
use report::ContactsPolicy;

pub(super) use answering::Answering;

use self::judging::Difference;
use super::{
    remembering::Doubts,
    service_reading::{Comparer, Reading, read_users},
};
use crate::{settings::Verifying, terminal::Printer};

/// How long is waited for further rows to read with one request.
const LINGER: Duration = Duration::from_millis(20);
/// Calls under way: as many requests as the service may be slow for.
const CALLS: usize = 32;

/// Decides rows by what the service holds.
pub(super) struct Verifier {
    settle: Duration,
    comparer: Comparer,
    contacts: ContactsPolicy,
    /// The state that hears of what differs.
    doubts: Option<Doubts>,
    /// Attempts after the first of a request.
    retries: Arc<AtomicU64>,
    /// Where it is counted how many rows wait for their second read.
    counters: Arc<Counters>,
}

impl Verifier {
    /// `retries`: where attempts after the first of a request are counted.
    pub(super) fn new(
        verifying: Verifying,
        contacts: ContactsPolicy,
        doubts: Option<Doubts>,
        retries: Arc<AtomicU64>,
        counters: Arc<Counters>,
    ) -> Self {
        let comparer = Comparer::new(verifying.service.compare);
        Self { settle: verifying.settle, comparer, contacts, doubts, retries, counters }
    }

    /// Says what the service seems to write its own way.
    pub(super) fn warn(&self, printer: &Printer) {
        for (warning, hint) in self.comparer.warnings() {
            printer.warning(&warning, Some(hint));
        }
    }

    /// Of a row that is different, the names that differ are added.
    fn judge<'a>(&self, turn: &Turn<'a>, reading: &Reading, different: &mut Vec<(Euid, Vec<&'a str>)>) -> Recall {
        let Turn { contact, times_asked } = *turn;
        if times_asked > 0 {
            Counters::sub(&self.counters.settling, 1);
        }
        let told = match &reading.told {
            Ok(told) => told,
            Err(reason) => {
                let failed = (Outcome::Failed, Some(*reason), reading.answered.clone());
                return self.decided(contact, reading, failed);
            }
        };
        let held = told.profiles.get(contact.euid);
        let difference = Difference::of(contact, held, &self.comparer);
        // Of an answer that isn't whole only what it says is so: not who is missing, nor that something was cleared.
        let is_proven = told.is_plain
            || (held.is_some()
                && (difference.is_some() || contact.contacts.iter().all(|(_, value)| !value.is_empty())));
        if difference.is_none() && is_proven {
            return self.decided(contact, reading, (Outcome::Landed, None, reading.answered.clone()));
        }
        // A read may lag behind a write.
        if times_asked == 0 {
            Counters::add(&self.counters.settling, 1);
            return Recall::AskAgain(self.settle);
        }
        let Some(difference) = difference.filter(|_| is_proven) else {
            let failed = (Outcome::Failed, Some(Reason::Partial), reading.answered.clone());
            return self.decided(contact, reading, failed);
        };
        difference.note(contact, held, &self.comparer);
        if self.doubts.is_some() {
            different.push((contact.euid, difference.names().collect()));
        }
        let answered = Answered { message: Some(difference.message()), ..reading.answered.clone() };
        self.decided(contact, reading, (Outcome::Different, Some(difference.reason()), answered))
    }

    fn decided(
        &self,
        contact: &Contact,
        reading: &Reading,
        (outcome, reason, answered): (Outcome, Option<Reason>, Answered),
    ) -> Recall {
        // A message is looked through for what may not be in a report, where it isn't ours to write.
        let is_needed = outcome != Outcome::Landed || self.contacts.shows(outcome);
        Recall::Decided(Box::new(Recalled {
            outcome,
            reason,
            answered,
            attempts: reading.attempts,
            latency_ms: reading.latency_ms,
            contacts: is_needed.then(|| contact.contacts.clone()),
        }))
    }
}

impl Memory for Verifier {
    fn batches(&self) -> Batches {
        Batches { rows: MAX_PROFILE_EUIDS, calls: CALLS, linger: LINGER }
    }

    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async move {
            let rows: Vec<&Contact> = turns.iter().map(|turn| turn.contact).collect();
            let Some(readings) = read_users(asker, &rows).await? else {
                // The run stops: nothing is asked again.
                return Ok(vec![Recall::AskAgain(self.settle); turns.len()]);
            };
            let (mut recalled, mut different) = (Vec::with_capacity(turns.len()), Vec::new());
            for reading in readings {
                self.retries.fetch_add(u64::from(reading.attempts.saturating_sub(1)), Relaxed);
                let turns = turns[reading.rows.clone()].iter();
                recalled.extend(turns.map(|turn| self.judge(turn, &reading, &mut different)));
            }
            if let Some(doubts) = &self.doubts {
                doubts.doubt(&different).await?;
            }
            Ok(recalled)
        })
    }

    fn ended(&self, _: &Contact, _: Outcome, _: Option<Reason>, _: bool) {
        // Nothing is sent.
    }
}
