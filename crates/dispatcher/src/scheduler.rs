//! What everybody shares: which rows are in, which may start, what their ends mean. Pure state under one lock, with time as
//! an argument. Nothing is woken, logged or waited for here: that is left in [`Effects`], for after the lock.

mod waking;

pub(crate) use waking::MintLook;

use std::collections::VecDeque;

use model::{Decision, Outcome};
use tokio::time::Instant;

use crate::{
    backoff::RetryRules,
    effects::{Effects, Part},
    failures::Failures,
    idle::{Home, Idle, WorkerId},
    intake::Intake,
    job::{Job, Key, Place, Row, Task},
    lanes::{Joined, Lanes, Moved},
    leave::Supplier,
    memory::Batches,
    outage::{Started, Untried},
    outbox::{Due, HeldRoom, Outbox},
    pace::{Open, Pace},
    ready::{Delayed, Ready},
    renamed::Renamed,
    resolver::Resolver,
    room::Room,
    settings::Settings,
    stop::StopCause,
    transport::{ByQuota, Quota},
};

/// Something that starts now.
#[derive(Debug)]
pub(crate) struct Start {
    pub(crate) job: Job,
    pub(crate) started: Started,
}

/// What a worker is to do.
#[derive(Debug)]
pub(crate) enum Next {
    Start(Box<Start>),
    /// Wait until it is woken.
    Wait,
    /// There will be nothing any more.
    End,
}

/// What the memory is to be asked about now.
#[derive(Debug)]
pub(crate) enum ToRecall {
    Rows(Vec<Row>),
    /// More may come until then.
    Later(Instant),
    Nothing,
}

/// Where there is no room for rows that want to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lacks {
    Room,
    /// In this lane.
    Lane(Key),
    /// In the outbox, for decisions.
    Outbox,
    /// Of the canary.
    Canary,
}

#[derive(Debug)]
pub(crate) struct Scheduler {
    pub(crate) ready: Ready,
    pub(crate) delayed: Delayed<Job>,
    pub(crate) pace: Pace,
    pub(crate) failures: Failures,
    lanes: Lanes,
    room: Room,
    outbox: Outbox,
    idle: Idle,
    pub(crate) rules: RetryRules,
    /// Rows whose turn has come, and of which the memory wasn't asked yet.
    to_recall: VecDeque<Row>,
    /// Since when the first of them waits.
    to_recall_since: Option<Instant>,
    /// Rows of which it is to be asked once more, later.
    recalled_later: Delayed<Row>,
    has_memory: bool,
    /// Rows of which the resolver is to be asked a second time.
    to_resolve_again: VecDeque<Row>,
    pub(crate) renamed: Renamed,
    admission_lacks: Option<Lacks>,
    /// How many rows may still be let in to be sent, until more is known of the first.
    canary: Option<u64>,
    /// Rows let in so far.
    let_in: u64,
    /// Of these, not decided.
    undecided: u64,
    /// Of these, without an attempt.
    untried: u64,
    more_may_come: bool,
    closed: bool,
    /// When the timer looks next, without being told.
    timer_at: Option<Instant>,
    /// The same of those who ask the mints.
    mint_at: ByQuota<Option<Instant>>,
}

impl Scheduler {
    pub(crate) fn new(
        settings: &Settings,
        homes: Vec<Home>,
        suppliers: ByQuota<Supplier>,
        has_memory: bool,
        canary: Option<u64>,
        now: Instant,
    ) -> Self {
        let most_rows = settings.most_rows.unwrap_or(4_096 + 16 * settings.in_flight);
        Self {
            ready: Ready::default(),
            delayed: Delayed::default(),
            pace: Pace::new(settings, suppliers, now),
            failures: Failures::new(settings.max_failures),
            lanes: Lanes::new(most_rows / 4),
            room: Room::new(most_rows),
            outbox: Outbox::default(),
            idle: Idle::new(homes),
            rules: RetryRules::of(settings),
            to_recall: VecDeque::new(),
            to_recall_since: None,
            recalled_later: Delayed::default(),
            has_memory,
            to_resolve_again: VecDeque::new(),
            renamed: Renamed::default(),
            admission_lacks: None,
            canary,
            let_in: 0,
            undecided: 0,
            untried: 0,
            more_may_come: true,
            closed: false,
            timer_at: None,
            mint_at: ByQuota::default(),
        }
    }

    /// Lets in what there is room for. Whether all of it is in, or needs no room; else it is tried again with the rest.
    pub(crate) fn admit(
        &mut self,
        rows: &mut VecDeque<Intake>,
        resolver: Option<&dyn Resolver>,
        now: Instant,
        effects: &mut Effects,
    ) -> bool {
        while let Some(intake) = rows.pop_front() {
            let lacks = match intake {
                Intake::Decided(_) if self.outbox.is_full() => Some((Lacks::Outbox, intake)),
                Intake::Decided(decision) => {
                    if decision.outcome == Outcome::Failed {
                        self.count(Outcome::Failed, effects);
                    }
                    self.hand_on(decision, HeldRoom::default(), now, effects);
                    None
                }
                // Counted as not sent.
                Intake::Send(_) | Intake::Resolve(_) if self.closed => None,
                Intake::Resolve(_) => {
                    self.stop(Some(StopCause::Bug("a row was let in without an EUID".to_owned())), effects);
                    None
                }
                Intake::Send(_) if self.canary == Some(0) => Some((Lacks::Canary, intake)),
                Intake::Send(mut contact) => {
                    if let Some(resolver) = resolver {
                        self.renamed.apply(&mut contact, resolver);
                    }
                    let row = Row::new(contact, self.let_in);
                    if self.lanes.is_full(row.key()) {
                        Some((Lacks::Lane(row.key()), Intake::Send(row.contact)))
                    } else if !self.room.take(row.bytes) {
                        Some((Lacks::Room, Intake::Send(row.contact)))
                    } else {
                        self.let_in(row, effects);
                        None
                    }
                }
            };
            if let Some((lacks, intake)) = lacks {
                rows.push_front(intake);
                self.admission_lacks = Some(lacks);
                // What waits for more to be asked about with it waits for nothing.
                self.look_at_recalls(effects);
                return false;
            }
        }
        true
    }

    fn let_in(&mut self, row: Row, effects: &mut Effects) {
        self.canary = self.canary.map(|left| left - 1);
        self.let_in += 1;
        self.undecided += 1;
        self.untried += 1;
        if let Joined::First(row) = self.lanes.join(row) {
            self.turn_has_come(row, effects);
        }
    }

    fn turn_has_come(&mut self, row: Row, effects: &mut Effects) {
        if self.has_memory {
            self.to_recall.push_back(row);
            effects.parts.push(Part::Recall);
        } else {
            self.ready.push_fresh(row);
        }
    }

    fn look_at_recalls(&self, effects: &mut Effects) {
        if !self.to_recall.is_empty() {
            effects.parts.push(Part::Recall);
        }
    }

    /// Whether it isn't known yet what becomes of the first rows; whoever asks is told.
    pub(crate) fn waits_for_canary(&mut self) -> bool {
        let waits = self.canary == Some(0) && !self.closed;
        self.admission_lacks = waits.then_some(Lacks::Canary);
        waits
    }

    /// How many of the first rows may still be let in; none where all may.
    pub(crate) fn canary_left(&self) -> Option<u64> {
        self.canary.filter(|_| !self.closed)
    }

    /// More may be let in than the first rows.
    pub(crate) fn lift_canary(&mut self) {
        self.canary = None;
    }

    /// No more rows will come in.
    pub(crate) fn no_more_rows(&mut self, effects: &mut Effects) {
        self.more_may_come = false;
        self.look_at_recalls(effects);
        self.close_where_done(effects);
    }

    /// Gives a worker something to start, where something may start.
    pub(crate) fn take(&mut self, worker: WorkerId, now: Instant) -> Next {
        self.idle.looks(worker);
        if self.closed {
            return Next::End;
        }
        let open = self.pace.open(now);
        let Self { ready, pace, .. } = self;
        let job = match open {
            _ if self.outbox.is_full() => None,
            Open::All => Quota::ALL.into_iter().find_map(|quota| {
                let may_start = ready.len(quota) > 0 && pace.take_leave(quota, now);
                if may_start { ready.pop(quota) } else { None }
            }),
            Open::Probe => ready.pop_for_probe(|quota| pace.take_leave(quota, now)),
            Open::From(_) | Open::AfterProbe => None,
        };
        let Some(mut job) = job else {
            self.idle.waits(worker);
            return Next::Wait;
        };
        if let Task::Row(row) = &mut job.task
            && !std::mem::replace(&mut row.tried, true)
        {
            self.untried -= 1;
        }
        job.progress.attempts += 1;
        Next::Start(Box::new(Start { job, started: self.pace.start() }))
    }

    /// A row is decided: its decision is handed on, and the next row of its EUID has its turn.
    pub(crate) fn decided(&mut self, place: Place, decision: Decision, now: Instant, effects: &mut Effects) {
        self.undecided -= 1;
        if !place.tried {
            self.untried -= 1;
        }
        // The canary counts what was sent: who wasn't gives its place back.
        if let Some(left) = self.canary.as_mut().filter(|_| decision.attempts == 0) {
            *left += 1;
        }
        if self.canary.is_some() && decision.attempts > 0 {
            effects.canary.push(Decision { contacts: None, ..decision.clone() });
        }
        self.hand_on(decision, HeldRoom { rows: 1, bytes: place.bytes }, now, effects);
        if let Some(next) = self.lanes.next(place.key) {
            self.turn_has_come(next, effects);
        }
        self.close_where_done(effects);
    }

    fn hand_on(&mut self, decision: Decision, room: HeldRoom, now: Instant, effects: &mut Effects) {
        if self.outbox.push(decision, room, now) {
            effects.parts.push(Part::Outbox);
        }
    }

    fn close_where_done(&mut self, effects: &mut Effects) {
        if !self.more_may_come && self.undecided == 0 {
            self.close(effects);
        }
    }

    /// Nothing starts any more. What waits is dropped, after the lock: it is not sent.
    pub(crate) fn close(&mut self, effects: &mut Effects) {
        self.closed = true;
        effects.closed = true;
        effects.dropped.push((
            std::mem::take(&mut self.ready),
            std::mem::take(&mut self.delayed),
            self.lanes.clear(),
            std::mem::take(&mut self.to_recall),
            std::mem::take(&mut self.recalled_later),
            std::mem::take(&mut self.to_resolve_again),
        ));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Asks the run to stop: from here on nothing starts.
    pub(crate) fn stop(&mut self, cause: Option<StopCause>, effects: &mut Effects) {
        if let Some(cause) = cause
            && effects.stop.is_none()
        {
            effects.stop = Some(cause);
            self.close(effects);
        }
    }

    /// Something that is to be tried again: at once, or from a time on.
    pub(crate) fn again(&mut self, job: Job, from: Option<Instant>, effects: &mut Effects) {
        match from {
            // Nobody would ever take it.
            _ if self.closed => effects.given_up.push(job),
            None => self.ready.push(job),
            Some(at) => self.delayed.push(at, job),
        }
    }

    pub(crate) fn untried(&self) -> Untried {
        if self.more_may_come || self.untried > 0 { Untried::Some } else { Untried::None }
    }

    /// Rows of which the memory is to be asked, as many as it takes at once; fewer where no more will come soon, or have not
    /// come within the time that is waited for them.
    pub(crate) fn take_to_recall(&mut self, batches: Batches, now: Instant) -> ToRecall {
        let Batches { rows: most, linger, .. } = batches;
        let waits_for_more = self.more_may_come && self.admission_lacks.is_none() && !self.closed;
        if self.to_recall.len() < most && waits_for_more && !self.to_recall.is_empty() {
            let until = *self.to_recall_since.get_or_insert(now) + linger;
            if now < until {
                return ToRecall::Later(until);
            }
        }
        self.to_recall_since = None;
        let count = self.to_recall.len().min(most);
        if count == 0 { ToRecall::Nothing } else { ToRecall::Rows(self.to_recall.drain(..count).collect()) }
    }

    /// A row of which the memory is to be asked once more.
    pub(crate) fn recall_later(&mut self, row: Row, at: Instant) {
        if !self.closed {
            self.recalled_later.push(at, row);
        }
    }

    /// Rows that the memory wants to be sent.
    pub(crate) fn recalled(&mut self, row: Row) {
        if !self.closed {
            self.ready.push_fresh(row);
        }
    }

    /// A row whose EUID the service refused: the resolver is to be asked once more. It keeps room and lane.
    pub(crate) fn take_back(&mut self, row: Row, effects: &mut Effects) {
        if !self.closed {
            self.to_resolve_again.push_back(row);
            effects.parts.push(Part::Resolve);
        }
    }

    pub(crate) fn next_to_resolve_again(&mut self) -> Option<Row> {
        self.to_resolve_again.pop_front()
    }

    /// The resolver has spoken: the row goes on, ahead of others, where its turn has come under its new EUID. Rows that
    /// wait behind it and are `like` it go along.
    pub(crate) fn resolved_again(&mut self, row: Row, old: Key, like: impl Fn(&Row) -> bool, effects: &mut Effects) {
        if self.closed {
            return;
        }
        self.untried += 1;
        let Moved { first, next } =
            if row.key() == old { Moved { first: Some(row), next: None } } else { self.lanes.move_to(row, old, like) };
        match first {
            Some(row) if self.has_memory => {
                self.to_recall.push_front(row);
                effects.parts.push(Part::Recall);
            }
            Some(row) => self.ready.push_ahead(Job::new(Task::Row(row))),
            None => {}
        }
        if let Some(row) = next {
            self.turn_has_come(row, effects);
        }
    }

    /// What is to be done about decisions that wait.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        self.outbox.due(now)
    }

    /// Decisions were handed on: their room is free again.
    pub(crate) fn handed_on(&mut self, room: HeldRoom) {
        self.room.give_back(room.rows, room.bytes);
    }

    /// No further decisions will come.
    pub(crate) fn close_outbox(&mut self, effects: &mut Effects) {
        self.outbox.close();
        effects.parts.push(Part::Outbox);
    }

    /// What the end of a row means for the run, where it was sent or read.
    pub(crate) fn count(&mut self, outcome: Outcome, effects: &mut Effects) {
        let cause = match outcome {
            Outcome::Failed => self.failures.failed(),
            Outcome::Synced | Outcome::Landed | Outcome::Different => self.failures.accepted(),
            Outcome::Unchanged | Outcome::Rejected | Outcome::Valid | Outcome::Superseded => None,
        };
        self.stop(cause, effects);
    }
}
