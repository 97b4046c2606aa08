//! A worker: it takes what is ready, sends it over its own line, judges what comes back, hands the decision on, and takes
//! the next. There are as many as requests may be in flight, so whoever works is in flight.

use std::{
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use jiff::Timestamp;
use model::{Counters, Decision, Outcome, Reason};
use tokio::time::Instant;

use crate::{
    asked::{Asked, Ended},
    asking::{Follows, Judged},
    effects::Effects,
    idle::WorkerId,
    job::{Job, Place, Progress, Question, Row, Task},
    memory::Memory,
    outage::{AnsweredBy, Started},
    resolver::Resolver,
    scheduler::{Scheduler, Start},
    shared::Shared,
    transport::{Broken, Line, Reply, RequestKind},
    verdict::Verdict,
};

/// Whom workers tell or ask what became of rows.
#[derive(Clone, Default)]
pub(crate) struct Partners {
    pub(crate) memory: Option<Arc<dyn Memory>>,
    pub(crate) resolver: Option<Arc<dyn Resolver>>,
}

/// What a worker leaves behind of a job, for when it takes the next.
enum Left {
    Nothing,
    Again(Job, Option<Instant>),
    Decided(Place, Decision),
    TakenBack(Row),
}

/// Works until nothing starts any more, or the grace is over.
pub(crate) async fn work<L: Line>(shared: Arc<Shared>, worker: WorkerId, mut line: L, partners: Partners) {
    let stop = shared.stop.clone();
    let mut grace_over = pin!(stop.grace_over());
    let mut left = Left::Nothing;
    loop {
        let settle_up = |scheduler: &mut Scheduler, now, effects: &mut Effects| left.settle_up(scheduler, now, effects);
        let Some(Start { mut job, started }) = shared.next(worker, settle_up).await else { return };
        let request = job.request(started.is_probe);
        let counters = &shared.counters;
        let requests = match job.kind() {
            RequestKind::Contact => &counters.attempts,
            RequestKind::Register => &counters.register_requests,
            RequestKind::Profile => &counters.profile_requests,
        };
        Counters::add(requests, 1);
        Counters::add(&shared.counters.in_flight, 1);
        let began = Instant::now();
        let sent = tokio::select! {
            biased;
            sent = line.send(request) => Some(sent),
            () = &mut grace_over => None,
        };
        Counters::sub(&shared.counters.in_flight, 1);
        // Cut off: it is not decided.
        let Some(sent) = sent else { return };
        let took = began.elapsed();
        job.progress.latency_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        left = settle(&shared, &partners, job, started, (sent, took));
    }
}

fn settle(
    shared: &Shared,
    partners: &Partners,
    mut job: Job,
    started: Started,
    (sent, took): (Result<Reply, Broken>, Duration),
) -> Left {
    if let (Err(broken), Task::Row(Row { contact, .. })) = (&sent, &job.task) {
        tracing::debug!(row = contact.origin.row, line = contact.origin.line, "no answer: {broken}");
    }
    let codes = match job.task {
        Task::Row(_) => &shared.codes,
        Task::Question(_) => &shared.codes_of_questions,
    };
    let mut judged = Judged::of(&sent, codes, shared.any_accepted());
    job.progress.may_land |= judged.answered_by == AnsweredBy::NotApi;
    if let Some(answered) = judged.answered.take() {
        job.progress.answered = answered;
    }
    if matches!(judged.verdict, Verdict::Accepted(_)) && !shared.any_accepted() {
        shared.any_accepted.store(true, Relaxed);
    }
    let is_taken_back = is_taken_back(partners, &job, &judged.verdict);
    let kind = job.kind();
    let follows = shared.with(|scheduler, now, effects| {
        scheduler.pace.took(kind.quota(), took, now);
        let follows = scheduler.settle(kind, &mut job.progress, started, &judged, now, effects);
        if let (Follows::Ended(ended), Task::Row(_), false) = (&follows, &job.task, is_taken_back) {
            scheduler.count(outcome(*ended).0, effects);
        }
        follows
    });
    let ended = match follows {
        Follows::Again(from) => return Left::Again(job, from),
        Follows::Ended(ended) => ended,
    };
    let Job { task, progress } = job;
    match task {
        Task::Question(Question { asked_by, .. }) => {
            let body = sent.map(|reply| reply.body).unwrap_or_default();
            let Progress { attempts, latency_ms, answered, .. } = progress;
            let asked = Asked { ended, answered, attempts, latency_ms, body };
            // Who asked may have stopped waiting.
            let _ = asked_by.send(asked);
            Left::Nothing
        }
        Task::Row(mut row) if is_taken_back => {
            // It may go on under another EUID: of this one all is said.
            if let (Some(memory), (outcome, reason)) = (&partners.memory, outcome(ended)) {
                memory.ended(&row.contact, outcome, reason, progress.may_land);
            }
            row.attempts_before = progress.attempts;
            Left::TakenBack(row)
        }
        Task::Row(row) => {
            let (outcome, reason) = outcome(ended);
            if let Some(memory) = &partners.memory {
                memory.ended(&row.contact, outcome, reason, progress.may_land);
            }
            let (place, mut decision) = decision(row, outcome, reason, progress);
            if outcome == Outcome::Synced && !shared.accepted_contacts {
                decision.contacts = None;
            }
            log(&decision);
            Left::Decided(place, decision)
        }
    }
}

/// Without the answer's words, which may repeat what was sent.
fn log(Decision { origin, outcome, reason, answered, attempts, .. }: &Decision) {
    let reason = reason.map_or("", Reason::as_str);
    let (status, code) = (answered.http_status, answered.code);
    tracing::debug!(row = origin.row, line = origin.line, attempts, reason, status, code, "{}", outcome.as_str());
}

/// Whether the service refused an EUID that somebody only remembered.
fn is_taken_back(partners: &Partners, job: &Job, verdict: &Verdict) -> bool {
    let Task::Row(row) = &job.task else { return false };
    matches!(verdict, Verdict::Refused(Reason::EuidEmpty | Reason::EuidInvalid))
        && row.attempts_before == 0
        && partners.resolver.as_ref().is_some_and(|resolver| resolver.doubts(&row.contact))
}

fn outcome(ended: Ended) -> (Outcome, Option<Reason>) {
    match ended {
        Ended::Accepted(reason) => (Outcome::Synced, reason),
        Ended::Failed(reason) => (Outcome::Failed, Some(reason)),
    }
}

/// What becomes a record of the report, and what the row held until then.
pub(crate) fn decision(row: Row, outcome: Outcome, reason: Option<Reason>, progress: Progress) -> (Place, Decision) {
    let (place, Row { contact, attempts_before, .. }) = (row.place(), row);
    let decision = Decision {
        origin: contact.origin,
        euid: contact.euid_text,
        id: contact.id,
        outcome,
        reason,
        answered: progress.answered,
        attempts: attempts_before + progress.attempts,
        latency_ms: progress.latency_ms,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contact.contacts),
        raw: None,
    };
    (place, decision)
}

impl Left {
    fn settle_up(self, scheduler: &mut Scheduler, now: Instant, effects: &mut Effects) {
        match self {
            Self::Nothing => {}
            Self::Again(job, from) => scheduler.again(job, from, effects),
            Self::Decided(place, decision) => scheduler.decided(place, decision, now, effects),
            Self::TakenBack(row) => scheduler.take_back(row, effects),
        }
    }
}
