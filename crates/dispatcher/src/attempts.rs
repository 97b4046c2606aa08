//! The attempt loop: one row from its first attempt to its one outcome, or undecided where the run stops.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use model::{Answered, Contact, Counters, Decision, Outcome, Reason, wire};
use tokio::time::Instant;

use crate::{
    backoff::backoff,
    failures::Failures,
    pace::{End, Hold, Pace, Queue, Slot},
    settings::Settings,
    stop::{Stop, StopCause},
    transport::{Broken, Request, Transport},
    verdict::{self, Codes, Slow, Verdict},
};

/// What all attempt loops of a run share.
#[derive(Debug)]
pub(crate) struct Attempts<T> {
    pub(crate) transport: T,
    pub(crate) pace: Arc<Pace>,
    pub(crate) failures: Failures,
    pub(crate) stop: Stop,
    pub(crate) counters: Arc<Counters>,
    pub(crate) codes: Codes,
    pub(crate) retries: u32,
    pub(crate) retry_base: Duration,
    pub(crate) retry_cap: Duration,
}

/// What is known of a row while it is tried.
#[derive(Debug, Default)]
struct Course {
    attempts: u32,
    /// Bad ends that used up one of the row's attempts; those while sending was held don't.
    spent: u32,
    /// Attempts that were probes and ended badly, how many holds had ended at the first of them, and whether another row
    /// was answered between the first and the last.
    probes: u32,
    recoveries_at_first_probe: u64,
    others_answered: bool,
    denials: u32,
    tried_at_once: bool,
    answered: Answered,
    latency_ms: Option<u64>,
}

/// What to do after an attempt.
enum Next {
    Decided(Outcome, Option<Reason>),
    Again { after: Duration, reason: Reason },
}

impl<T: Transport> Attempts<T> {
    pub(crate) fn new(transport: T, settings: &Settings, counters: Arc<Counters>, stop: Stop) -> Self {
        Self {
            transport,
            pace: Pace::new(settings, Arc::clone(&counters), stop.clone()),
            failures: Failures::new(settings.max_failures, stop.clone()),
            stop,
            counters,
            codes: Codes { retry: settings.retry_codes.clone(), ok: settings.ok_codes.clone() },
            retries: settings.retries,
            retry_base: settings.retry_base,
            retry_cap: settings.retry_cap,
        }
    }

    /// Tries a row until it is decided; none where the run stopped before.
    pub(crate) async fn decide(&self, contact: Contact) -> Option<Decision> {
        let mut course = Course::default();
        let mut queue = Queue::Fresh;
        let mut last_reason = None;
        let (outcome, reason) = loop {
            let slot = self.pace.acquire(queue).await?;
            queue = Queue::Retry;
            // Probe after probe while another row was answered: it is the row that is sick. What is answered only after
            // its last probe ended an outage, and says nothing against it.
            if course.probes > self.retries && course.others_answered {
                self.failures.failed();
                break (Outcome::Failed, last_reason);
            }
            // Boxed: thousands of rows may wait here, and only those under way need room for a request.
            match Box::pin(self.attempt(&contact, slot, &mut course)).await? {
                Next::Decided(outcome, reason) => break (outcome, reason),
                Next::Again { after, reason } => {
                    last_reason = Some(reason);
                    if !after.is_zero() {
                        tokio::select! {
                            biased;
                            () = self.stop.stopping() => return None,
                            () = tokio::time::sleep(after) => {}
                        }
                    }
                }
            }
        };
        Some(decision(contact, outcome, reason, course))
    }

    /// Makes one attempt. None where it was cut off.
    async fn attempt(&self, contact: &Contact, slot: Slot, course: &mut Course) -> Option<Next> {
        let request = Request {
            path: wire::CONTACT_PATH,
            body: serde_json::to_vec(&wire::SetContact { euid: contact.euid, contacts: &contact.contacts })
                .expect("a number and strings always serialise"),
            fresh_connection: slot.is_probe(),
        };
        Counters::add(&self.counters.attempts, 1);
        course.attempts += 1;
        let started = Instant::now();
        let end = tokio::select! {
            biased;
            end = self.transport.send(request) => end,
            () = self.stop.grace_over() => return None,
        };
        course.latency_ms = Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let mut stale_connection = false;
        let verdict = match end {
            Ok(reply) => {
                let (verdict, answered) = verdict::judge(&reply, &self.codes, self.failures.any_accepted());
                course.answered =
                    Answered { message: answered.message.map(|text| self.transport.scrub(text)), ..answered };
                verdict
            }
            Err(broken) => {
                tracing::debug!(row = contact.origin.row, line = contact.origin.line, "no answer: {broken}");
                stale_connection = matches!(broken, Broken::Network { stale_connection: true, .. });
                verdict::judge_broken(&broken)
            }
        };
        self.failures.attempt_ended(verdict == Verdict::Refused(Reason::HttpStatus));
        Some(self.settle(slot, verdict, stale_connection, course))
    }

    /// Draws the consequences of an attempt's end, for its row and for everybody.
    fn settle(&self, slot: Slot, verdict: Verdict, stale_connection: bool, course: &mut Course) -> Next {
        let probe = slot.is_probe();
        let first_attempt = course.attempts == 1;
        let good = End { bad: false, first_attempt, hold: None };
        match verdict {
            // What may stop the run is said before the slot is given back, or somebody would still start in it.
            Verdict::Accepted(reason) => {
                self.failures.accepted();
                self.pace.settle(slot, good);
                Next::Decided(Outcome::Synced, reason)
            }
            Verdict::Refused(reason) => {
                self.failures.failed();
                self.pace.settle(slot, good);
                Next::Decided(Outcome::Failed, Some(reason))
            }
            Verdict::Denied { certain } => {
                course.denials += 1;
                if certain || course.denials > 1 {
                    self.stop.because(StopCause::Credentials(said(&course.answered)));
                    self.failures.failed();
                    self.pace.settle(slot, good);
                    return Next::Decided(Outcome::Failed, Some(Reason::Credentials));
                }
                self.pace.settle(slot, good);
                Next::Again { after: self.backoff(course.denials), reason: Reason::Credentials }
            }
            Verdict::NotTheService(what) => {
                self.stop.because(StopCause::Outage(what));
                self.pace.settle(slot, End { bad: true, first_attempt, hold: None });
                Next::Again { after: self.retry_cap, reason: Reason::Network }
            }
            Verdict::Again(reason, who_waits) => {
                let delay = self.backoff(course.spent + 1);
                let hold = match who_waits {
                    Slow::ThisRow => None,
                    Slow::Everybody => Some(Hold::Backoff(delay)),
                    Slow::EverybodyFor(wait) => Some(Hold::Asked(wait)),
                };
                if probe {
                    let recoveries = self.pace.recoveries();
                    if course.probes == 0 {
                        course.recoveries_at_first_probe = recoveries;
                    }
                    course.probes += 1;
                    course.others_answered = recoveries > course.recoveries_at_first_probe;
                }
                if self.pace.settle(slot, End { bad: true, first_attempt, hold }) {
                    // Held: the gate decides when this row's turn comes.
                    return Next::Again { after: Duration::ZERO, reason };
                }
                course.spent += 1;
                if course.spent > self.retries {
                    self.failures.failed();
                    return Next::Decided(Outcome::Failed, Some(reason));
                }
                if stale_connection && !course.tried_at_once {
                    course.tried_at_once = true;
                    return Next::Again { after: Duration::ZERO, reason };
                }
                Next::Again { after: delay, reason }
            }
        }
    }

    fn backoff(&self, failures: u32) -> Duration {
        backoff(self.retry_base, self.retry_cap, failures)
    }
}

fn said(answered: &Answered) -> String {
    let status = answered.http_status.map_or_else(String::new, |status| format!("HTTP {status}"));
    let code = answered.code.map_or_else(String::new, |code| format!(", code {code}"));
    let message = answered.message.as_deref().map_or_else(String::new, |message| format!(": {message}"));
    format!("{status}{code}{message}")
}

fn decision(contact: Contact, outcome: Outcome, reason: Option<Reason>, course: Course) -> Decision {
    Decision {
        origin: contact.origin,
        euid: contact.euid_text,
        outcome,
        reason,
        answered: course.answered,
        attempts: course.attempts,
        latency_ms: course.latency_ms,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contact.contacts),
        raw: None,
    }
}
