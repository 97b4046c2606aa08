//! The attempt loop: one row from its first attempt to its one outcome, or undecided where the run stops.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use model::{Answered, Contact, Counters, Decision, Outcome, Reason, wire};
use tokio::time::Instant;

use crate::{
    backoff,
    failures::{Answer, Failures},
    outage::{AnsweredBy, Attempt, AttemptEnd, Charge, Health},
    pace::{Pace, Pause, Permit, Queue, Settled},
    settings::Settings,
    stop::{Stop, StopCause},
    transport::{Broken, Line, Lines, Request, RequestKind},
    verdict::{self, Codes, Denial, Verdict, Wait},
};

/// What all attempt loops of a run share.
#[derive(Debug)]
pub(crate) struct Attempts<L> {
    pub(crate) lines: L,
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
struct Progress {
    attempts: u32,
    /// Bad ends that used up one of the row's attempts; those that an outage explains don't.
    spent: u32,
    probes: BadProbes,
    denials: u32,
    tried_at_once: bool,
    answered: Answered,
    latency_ms: Option<u64>,
}

/// A row's attempts that were probes and ended badly.
#[derive(Debug, Default)]
struct BadProbes {
    count: u32,
    /// How many holds had ended by an answer at the first of them.
    recoveries_at_first: u64,
    /// Whether another row was answered between the first and the last.
    others_answered: bool,
}

impl BadProbes {
    fn note(&mut self, recoveries: u64) {
        if self.count == 0 {
            self.recoveries_at_first = recoveries;
        }
        self.count += 1;
        self.others_answered = recoveries > self.recoveries_at_first;
    }

    /// Probe after probe while another row was answered: it is the row that is sick. What is answered only after its last
    /// probe ended an outage, and says nothing against it.
    fn show_a_sick_row(&self, retries: u32) -> bool {
        self.count > retries && self.others_answered
    }
}

/// What to do after an attempt.
enum Next {
    Decided(Outcome, Option<Reason>),
    /// Another attempt, after so much time.
    Again(Duration),
}

impl<L: Lines> Attempts<L> {
    pub(crate) fn new(lines: L, settings: &Settings, counters: Arc<Counters>, stop: Stop) -> Self {
        Self {
            lines,
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
        let mut progress = Progress::default();
        let mut queue = Queue::Fresh;
        let (outcome, reason) = loop {
            let permit = self.pace.acquire(queue).await?;
            queue = Queue::Retry;
            // Boxed: thousands of rows may wait here, and only those under way need room for a request.
            match Box::pin(self.attempt(&contact, permit, &mut progress)).await? {
                Next::Decided(outcome, reason) => break (outcome, reason),
                Next::Again(Duration::ZERO) => {}
                Next::Again(after) => tokio::select! {
                    biased;
                    () = self.stop.stopping() => return None,
                    () = tokio::time::sleep(after) => {}
                },
            }
        };
        Some(decision(contact, outcome, reason, progress))
    }

    /// Makes one attempt. None where it was cut off.
    async fn attempt(&self, contact: &Contact, permit: Permit, progress: &mut Progress) -> Option<Next> {
        let request = Request {
            path: wire::CONTACT_PATH,
            body: serde_json::to_vec(&wire::SetContact { euid: contact.euid, contacts: &contact.contacts })
                .expect("a number and strings always serialise"),
            fresh_connection: permit.is_probe(),
        };
        Counters::add(&self.counters.attempts, 1);
        progress.attempts += 1;
        let started = Instant::now();
        let mut line = self.lines.line();
        let end = tokio::select! {
            biased;
            end = line.send(request) => end,
            () = self.stop.grace_over() => return None,
        };
        progress.latency_ms = Some(u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        let (mut answered_by, mut stale_connection) = (AnsweredBy::NotApi, false);
        let verdict = match end {
            Ok(reply) => {
                let (verdict, answered) = verdict::judge(&reply, &self.codes, self.failures.any_accepted());
                if answered.code.is_some() {
                    answered_by = AnsweredBy::Api;
                }
                progress.answered = answered;
                verdict
            }
            Err(broken) => {
                tracing::debug!(row = contact.origin.row, line = contact.origin.line, "no answer: {broken}");
                stale_connection = matches!(broken, Broken::Network { stale_connection: true, .. });
                verdict::judge_broken(&broken)
            }
        };
        let bare = verdict == Verdict::Refused(Reason::HttpStatus);
        self.failures.attempt_ended(if bare { Answer::BareStatus } else { Answer::Other });
        Some(self.settle(permit, verdict, answered_by, stale_connection, progress))
    }

    /// Draws the consequences of an attempt's end, for its row and for everybody.
    fn settle(
        &self,
        permit: Permit,
        verdict: Verdict,
        answered_by: AnsweredBy,
        stale_connection: bool,
        progress: &mut Progress,
    ) -> Next {
        let attempt = match progress {
            Progress { attempts: 1, .. } => Attempt::First,
            Progress { spent, .. } if *spent >= self.retries => Attempt::Last,
            Progress { .. } => Attempt::Later,
        };
        let end = |health| AttemptEnd { kind: RequestKind::Contact, attempt, health, answered_by };
        match verdict {
            // What may stop the run is said before the permit is given back, or somebody would still start with it.
            Verdict::Accepted(reason) => {
                self.failures.accepted();
                permit.settle(end(Health::Well), None);
                Next::Decided(Outcome::Synced, reason)
            }
            Verdict::Refused(reason) => {
                self.failures.failed();
                permit.settle(end(Health::Well), None);
                Next::Decided(Outcome::Failed, Some(reason))
            }
            Verdict::Denied(denial) => {
                progress.denials += 1;
                if denial == Denial::Certain || progress.denials > 1 {
                    self.stop.because(StopCause::Credentials(status_and_code(&progress.answered)));
                    self.failures.failed();
                    permit.settle(end(Health::Well), None);
                    return Next::Decided(Outcome::Failed, Some(Reason::Credentials));
                }
                permit.settle(end(Health::Well), None);
                // Without jitter: of many rows that were denied in one moment, none may ask again in the next.
                Next::Again(backoff::ceiling(self.retry_base, self.retry_cap, progress.spent + 1))
            }
            Verdict::NotTheService(fault) => {
                let what = format!("the server's certificate doesn't verify: {fault}");
                self.stop.because(StopCause::Outage { what, advice: Some(fault.advice().to_owned()) });
                permit.settle(end(Health::Bad), None);
                Next::Again(self.retry_cap)
            }
            Verdict::Again(reason, wait) => {
                let delay = backoff::backoff(self.retry_base, self.retry_cap, progress.spent + 1);
                let pause = match wait {
                    Wait::ThisRow => None,
                    Wait::Everybody => Some(Pause::Backoff(delay)),
                    Wait::EverybodyFor(wait) => Some(Pause::Asked(wait)),
                };
                let is_probe = permit.is_probe();
                let Settled { charge, held, recoveries } = permit.settle(end(Health::Bad), pause);
                if is_probe {
                    progress.probes.note(recoveries);
                }
                if charge == Charge::Counted {
                    progress.spent += 1;
                }
                if progress.spent > self.retries || progress.probes.show_a_sick_row(self.retries) {
                    self.failures.failed();
                    return Next::Decided(Outcome::Failed, Some(reason));
                }
                let at_once = held || (stale_connection && !progress.tried_at_once);
                progress.tried_at_once |= stale_connection && !held;
                Next::Again(if at_once { Duration::ZERO } else { delay })
            }
        }
    }
}

/// What an answer says without its words, which may repeat what was asked.
fn status_and_code(answered: &Answered) -> String {
    let status = answered.http_status.map(|status| format!("HTTP {status}"));
    let code = answered.code.map(|code| format!("code {code}"));
    status.into_iter().chain(code).collect::<Vec<_>>().join(", ")
}

fn decision(contact: Contact, outcome: Outcome, reason: Option<Reason>, progress: Progress) -> Decision {
    Decision {
        origin: contact.origin,
        euid: contact.euid_text,
        outcome,
        reason,
        answered: progress.answered,
        attempts: progress.attempts,
        latency_ms: progress.latency_ms,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contact.contacts),
        raw: None,
    }
}
