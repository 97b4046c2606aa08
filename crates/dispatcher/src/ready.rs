//! What may start as soon as there is leave: questions before rows, further attempts before first ones; and what backs off
//! until then.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

use tokio::time::Instant;

use crate::job::{Job, Row, Task};

#[derive(Debug, Default)]
pub(crate) struct Ready {
    questions: VecDeque<Job>,
    retries: VecDeque<Job>,
    /// Rows that had no attempt yet.
    fresh: VecDeque<Row>,
    last_probe: Queue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Queue {
    Questions,
    Retries,
    #[default]
    Fresh,
}

impl Ready {
    pub(crate) fn len(&self) -> usize {
        self.questions.len() + self.retries.len() + self.fresh.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A row whose turn has come, for its first attempt.
    pub(crate) fn push_fresh(&mut self, row: Row) {
        self.fresh.push_back(row);
    }

    /// A question, or another attempt of anything.
    pub(crate) fn push(&mut self, job: Job) {
        match job.task {
            Task::Question(_) => self.questions.push_back(job),
            Task::Row(_) => self.retries.push_back(job),
        }
    }

    /// A row that goes before all others.
    pub(crate) fn push_ahead(&mut self, job: Job) {
        self.retries.push_front(job);
    }

    /// What starts next.
    pub(crate) fn pop(&mut self) -> Option<Job> {
        self.pop_from(Queue::Questions)
            .or_else(|| self.pop_from(Queue::Retries))
            .or_else(|| self.pop_from(Queue::Fresh))
    }

    /// What probes a held service next: of each kind in turn, or a few sick rows would speak for the service.
    pub(crate) fn pop_for_probe(&mut self) -> Option<Job> {
        let order = match self.last_probe {
            Queue::Questions => [Queue::Retries, Queue::Fresh, Queue::Questions],
            Queue::Retries => [Queue::Fresh, Queue::Questions, Queue::Retries],
            Queue::Fresh => [Queue::Questions, Queue::Retries, Queue::Fresh],
        };
        let (queue, job) = order.into_iter().find_map(|queue| Some((queue, self.pop_from(queue)?)))?;
        self.last_probe = queue;
        Some(job)
    }

    fn pop_from(&mut self, queue: Queue) -> Option<Job> {
        match queue {
            Queue::Questions => self.questions.pop_front(),
            Queue::Retries => self.retries.pop_front(),
            Queue::Fresh => self.fresh.pop_front().map(|row| Job::new(Task::Row(row))),
        }
    }
}

/// Jobs that wait for their time. They hold lane and room, and neither a worker nor a start.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    jobs: BinaryHeap<Until>,
    pushed: u64,
}

#[derive(Debug)]
struct Until {
    at: Instant,
    /// Of one time, who came first goes first.
    number: u64,
    job: Box<Job>,
}

impl Delayed {
    pub(crate) fn push(&mut self, at: Instant, job: Job) {
        self.pushed += 1;
        self.jobs.push(Until { at, number: self.pushed, job: Box::new(job) });
    }

    /// When the next one's time comes.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.jobs.peek().map(|until| until.at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Job> {
        if self.next_at()? > now {
            return None;
        }
        self.jobs.pop().map(|until| *until.job)
    }
}

impl Ord for Until {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: the earliest is to be that.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Until {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Until {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Until {}
