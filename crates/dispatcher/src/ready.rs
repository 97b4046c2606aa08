//! What may start as soon as there is leave: questions before rows, further attempts before first ones; and what backs off
//! until then.

use std::{
    cmp::Ordering,
    collections::{BinaryHeap, VecDeque},
};

use tokio::time::Instant;

use crate::{
    job::{Job, Row, Task},
    transport::Quota,
};

#[derive(Debug, Default)]
pub(crate) struct Ready {
    /// Those that read users: they have a quota of their own.
    reads: VecDeque<Job>,
    questions: VecDeque<Job>,
    retries: VecDeque<Job>,
    /// Rows that had no attempt yet.
    fresh: VecDeque<Row>,
    last_probe: Queue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Queue {
    Reads,
    Questions,
    Retries,
    #[default]
    Fresh,
}

impl Queue {
    /// What goes first stands first.
    const ALL: [Self; 4] = [Self::Reads, Self::Questions, Self::Retries, Self::Fresh];

    fn quota(self) -> Quota {
        if self == Self::Reads { Quota::Reading } else { Quota::Sending }
    }
}

impl Ready {
    pub(crate) fn len(&self, quota: Quota) -> usize {
        match quota {
            Quota::Sending => self.questions.len() + self.retries.len() + self.fresh.len(),
            Quota::Reading => self.reads.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        Quota::ALL.into_iter().all(|quota| self.len(quota) == 0)
    }

    /// A row whose turn has come, for its first attempt.
    pub(crate) fn push_fresh(&mut self, row: Row) {
        self.fresh.push_back(row);
    }

    /// A question, or another attempt of anything.
    pub(crate) fn push(&mut self, job: Job) {
        match job.task {
            Task::Question(_) if job.kind().quota() == Quota::Reading => self.reads.push_back(job),
            Task::Question(_) => self.questions.push_back(job),
            Task::Row(_) => self.retries.push_back(job),
        }
    }

    /// A row that goes before all others.
    pub(crate) fn push_ahead(&mut self, job: Job) {
        self.retries.push_front(job);
    }

    /// What starts next of what one quota has leave for.
    pub(crate) fn pop(&mut self, quota: Quota) -> Option<Job> {
        Queue::ALL.into_iter().filter(|queue| queue.quota() == quota).find_map(|queue| self.pop_from(queue))
    }

    /// What probes a held service next, of the quotas that have `leave`: of each kind in turn, or a few sick rows would
    /// speak for the service.
    pub(crate) fn pop_for_probe(&mut self, mut leave: impl FnMut(Quota) -> bool) -> Option<Job> {
        let last = Queue::ALL.into_iter().position(|queue| queue == self.last_probe).unwrap_or_default();
        let mut order = Queue::ALL;
        order.rotate_left(last + 1);
        let next = order.into_iter().find(|queue| !self.is_queue_empty(*queue) && leave(queue.quota()))?;
        self.last_probe = next;
        self.pop_from(next)
    }

    fn is_queue_empty(&self, queue: Queue) -> bool {
        match queue {
            Queue::Reads => self.reads.is_empty(),
            Queue::Questions => self.questions.is_empty(),
            Queue::Retries => self.retries.is_empty(),
            Queue::Fresh => self.fresh.is_empty(),
        }
    }

    fn pop_from(&mut self, queue: Queue) -> Option<Job> {
        match queue {
            Queue::Reads => self.reads.pop_front(),
            Queue::Questions => self.questions.pop_front(),
            Queue::Retries => self.retries.pop_front(),
            Queue::Fresh => self.fresh.pop_front().map(|row| Job::new(Task::Row(row))),
        }
    }
}

/// What waits for its time. Rows hold lane and room meanwhile, and neither a worker nor a start.
#[derive(Debug)]
pub(crate) struct Delayed<T> {
    waiting: BinaryHeap<Until<T>>,
    pushed: u64,
}

#[derive(Debug)]
struct Until<T> {
    at: Instant,
    /// Of one time, who came first goes first.
    number: u64,
    what: Box<T>,
}

impl<T> Default for Delayed<T> {
    fn default() -> Self {
        Self { waiting: BinaryHeap::new(), pushed: 0 }
    }
}

impl<T> Delayed<T> {
    pub(crate) fn push(&mut self, at: Instant, what: T) {
        self.pushed += 1;
        self.waiting.push(Until { at, number: self.pushed, what: Box::new(what) });
    }

    /// When the next one's time comes.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.waiting.peek().map(|until| until.at)
    }

    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        if self.next_at()? > now {
            return None;
        }
        self.waiting.pop().map(|until| *until.what)
    }
}

impl<T> Ord for Until<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives the greatest: the earliest is to be that.
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl<T> PartialOrd for Until<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Until<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<T> Eq for Until<T> {}
