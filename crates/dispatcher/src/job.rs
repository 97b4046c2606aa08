//! What a worker does next: a row to send, or a question of somebody who needs an answer before rows go on.

use model::{Answered, Contact, limits::MAX_RECORD_BYTES, wire};
use tokio::sync::oneshot;

use crate::{
    asked::Asked,
    transport::{Request, RequestKind},
};

/// Which lane a row belongs to: its EUID by number.
pub(crate) type Key = u64;

/// A row that was let in. It holds its room until its decision is handed on.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) contact: Contact,
    /// The room that it takes.
    pub(crate) bytes: usize,
    /// The how-manieth row that was let in: the order of the input.
    pub(crate) number: u64,
    /// Whether an attempt of it was begun since its turn came.
    pub(crate) tried: bool,
    /// Attempts made before its EUID was looked up a second time, which is done once; else 0.
    pub(crate) attempts_before: u32,
    /// How often the memory wanted to be asked again about it.
    pub(crate) times_asked: u32,
}

impl Row {
    pub(crate) fn new(contact: Contact, number: u64) -> Self {
        let bytes = contact.bytes().min(16 * MAX_RECORD_BYTES);
        Self { contact, bytes, number, tried: false, attempts_before: 0, times_asked: 0 }
    }

    /// What is to be known of it once it is decided.
    pub(crate) fn place(&self) -> Place {
        Place { key: self.key(), bytes: self.bytes, tried: self.tried }
    }

    /// Its lane.
    pub(crate) fn key(&self) -> Key {
        self.contact.euid.get()
    }
}

/// What a row holds until it is decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its lane.
    pub(crate) key: Key,
    /// Its room.
    pub(crate) bytes: usize,
    /// Whether an attempt of it was begun since its turn came.
    pub(crate) tried: bool,
}

/// A request that isn't a row's.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) kind: RequestKind,
    pub(crate) path: &'static str,
    pub(crate) body: Vec<u8>,
    /// Who waits for the answer.
    pub(crate) asked_by: oneshot::Sender<Asked>,
}

#[derive(Debug)]
pub(crate) enum Task {
    Row(Row),
    Question(Question),
}

/// A task with what is known of it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) task: Task,
    pub(crate) progress: Progress,
}

impl Job {
    pub(crate) fn new(task: Task) -> Self {
        Self { task, progress: Progress::default() }
    }

    pub(crate) fn kind(&self) -> RequestKind {
        match &self.task {
            Task::Row(_) => RequestKind::Contact,
            Task::Question(question) => question.kind,
        }
    }

    pub(crate) fn request(&self, fresh_connection: bool) -> Request {
        match &self.task {
            Task::Row(Row { contact, .. }) => {
                let body = serde_json::to_vec(&wire::SetContact { euid: contact.euid, contacts: &contact.contacts })
                    .expect("a number and strings always serialise");
                Request { path: wire::CONTACT_PATH, body, fresh_connection }
            }
            Task::Question(Question { path, body, .. }) => Request { path, body: body.clone(), fresh_connection },
        }
    }
}

/// What is known of a task while it is tried.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) attempts: u32,
    /// Bad ends that used up one of the attempts; those that an outage explains don't.
    pub(crate) spent: u32,
    pub(crate) probes: BadProbes,
    pub(crate) denials: u32,
    pub(crate) tried_at_once: bool,
    /// Some attempt was not answered by the API itself: it may still be carried out.
    pub(crate) may_land: bool,
    pub(crate) answered: Answered,
    pub(crate) latency_ms: Option<u64>,
}

/// A task's attempts that were probes and ended badly.
#[derive(Debug, Default)]
pub(crate) struct BadProbes {
    count: u32,
    /// How many holds had ended by an answer at the first of them.
    recoveries_at_first: u64,
    /// Whether another task was answered between the first and the last.
    others_answered: bool,
}

impl BadProbes {
    pub(crate) fn note(&mut self, recoveries: u64) {
        if self.count == 0 {
            self.recoveries_at_first = recoveries;
        }
        self.count += 1;
        self.others_answered = recoveries > self.recoveries_at_first;
    }

    /// Probe after probe while another was answered: it is the row that is sick. What is answered only after its last
    /// probe ended an outage, and says nothing against it.
    pub(crate) fn show_a_sick_row(&self, retries: u32) -> bool {
        self.count > retries && self.others_answered
    }
}
