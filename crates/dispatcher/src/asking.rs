//! One way to ask for every kind of request: an attempt is judged, its end is counted, and either it is made again or it
//! ended. What that means for a row or for who asked is theirs to say.

use std::time::Duration;

use model::{Answered, Reason};
use tokio::time::Instant;

use crate::{
    asked::Ended,
    backoff,
    effects::{Effects, Paused},
    failures,
    job::Progress,
    mint::Pause,
    outage::{AnsweredBy, Attempt, AttemptEnd, Charge, Health, Started},
    scheduler::Scheduler,
    stop::StopCause,
    transport::{Broken, Reply, RequestKind},
    verdict::{self, Codes, Denial, Verdict, Wait},
};

/// How an attempt ended, judged.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) verdict: Verdict,
    pub(crate) answered_by: AnsweredBy,
    pub(crate) stale_connection: bool,
    /// What the answer said, where there was one.
    pub(crate) answered: Option<Answered>,
}

impl Judged {
    /// Judges what came back. `accepted_before`: something was accepted in this run.
    pub(crate) fn of(sent: &Result<Reply, Broken>, codes: &Codes, accepted_before: bool) -> Self {
        match sent {
            Ok(reply) => {
                let (verdict, answered) = verdict::judge(reply, codes, accepted_before);
                let answered_by = if answered.code.is_some() { AnsweredBy::Api } else { AnsweredBy::NotApi };
                Self { verdict, answered_by, stale_connection: false, answered: Some(answered) }
            }
            Err(broken) => Self {
                verdict: verdict::judge_broken(broken),
                answered_by: AnsweredBy::NotApi,
                stale_connection: matches!(broken, Broken::Network { stale_connection: true, .. }),
                answered: None,
            },
        }
    }
}

/// What follows from an attempt.
#[derive(Debug)]
pub(crate) enum Follows {
    Ended(Ended),
    /// Another attempt: at once, or from a time on.
    Again(Option<Instant>),
}

impl Scheduler {
    /// Tells of a wait that is longer than what was known before by something that a person notices.
    pub(crate) fn tell_pause(&self, before: Duration, by_others: bool, now: Instant, effects: &mut Effects) {
        let time = self.pace.paused_for(now);
        if time > before + Duration::from_secs(1) {
            effects.paused = Some(Paused { time, by_others });
        }
    }

    /// Draws the consequences of an attempt's end for everybody, and says what follows for what was asked.
    pub(crate) fn settle(
        &mut self,
        kind: RequestKind,
        progress: &mut Progress,
        started: Started,
        judged: &Judged,
        now: Instant,
        effects: &mut Effects,
    ) -> Follows {
        let rules = self.rules;
        let bare = judged.verdict == Verdict::Refused(Reason::HttpStatus);
        let answer = if bare { failures::Answer::BareStatus } else { failures::Answer::Other };
        let portal = self.failures.attempt_ended(answer);
        self.stop(portal, effects);
        let attempt = match progress {
            Progress { attempts: 1, .. } => Attempt::First,
            Progress { spent, .. } if *spent >= rules.retries => Attempt::Last,
            Progress { .. } => Attempt::Later,
        };
        let health = match judged.verdict {
            Verdict::Accepted(_) | Verdict::Refused(_) | Verdict::Denied(_) => Health::Well,
            Verdict::NotTheService(_) | Verdict::Again(..) => Health::Bad,
        };
        let end = AttemptEnd { kind, attempt, health, answered_by: judged.answered_by };
        let untried = self.untried();
        let (settled, change) = self.pace.ended(started, end, untried, now);
        effects.change = change;
        match &judged.verdict {
            Verdict::Accepted(reason) => Follows::Ended(Ended::Accepted(*reason)),
            Verdict::Refused(reason) => Follows::Ended(Ended::Failed(*reason)),
            Verdict::Denied(denial) => {
                progress.denials += 1;
                if *denial == Denial::Certain || progress.denials > 1 {
                    self.stop(Some(StopCause::Credentials(status_and_code(&progress.answered))), effects);
                    return Follows::Ended(Ended::Failed(Reason::Credentials));
                }
                // Without jitter: of many rows that were denied in one moment, none may ask again in the next.
                Follows::Again(Some(now + backoff::ceiling(rules.base, rules.cap, progress.spent + 1)))
            }
            Verdict::NotTheService(fault) => {
                let what = format!("the server's certificate doesn't verify: {fault}");
                self.stop(Some(StopCause::Outage { what, advice: Some(fault.advice().to_owned()) }), effects);
                Follows::Again(Some(now + rules.cap))
            }
            Verdict::Again(reason, wait) => {
                let delay = backoff::backoff(rules.base, rules.cap, progress.spent + 1);
                let before = self.pace.paused_for(now);
                let pause = match wait {
                    Wait::ThisRow => None,
                    Wait::Everybody => self.pace.pause(kind.quota(), Pause::Backoff(delay), now),
                    Wait::EverybodyFor(wait) => self.pace.pause(kind.quota(), Pause::Asked(*wait), now),
                };
                self.tell_pause(before, false, now, effects);
                self.stop(pause, effects);
                if started.is_probe {
                    progress.probes.note(settled.recoveries);
                }
                if settled.charge == Charge::Counted {
                    progress.spent += 1;
                }
                if progress.spent > rules.retries || progress.probes.show_a_sick_row(rules.retries) {
                    return Follows::Ended(Ended::Failed(*reason));
                }
                let at_once = settled.held || (judged.stale_connection && !progress.tried_at_once);
                progress.tried_at_once |= judged.stale_connection && !settled.held;
                Follows::Again(if at_once { None } else { Some(now + delay) })
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
