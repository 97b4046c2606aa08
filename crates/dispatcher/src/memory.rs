//! Who knows what the service holds. A memory is asked when a row's turn has come, before anything is sent, and told what
//! became of what was sent, before the next row of that EUID has its turn.

use std::{future::Future, pin::Pin, time::Duration};

use model::{Answered, Contact, Contacts, Outcome, Reason};

use crate::{asker::Asker, stop::StopCause};

/// A future in a box: what is asked for many rows at once need not be spared an allocation.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether rows need to be sent.
pub trait Memory: Send + Sync + 'static {
    /// How rows are brought to it.
    fn batches(&self) -> Batches {
        Batches::default()
    }

    /// Asked for rows whose turn has come: of each EUID one at most. One answer for each, in order. Several calls may be
    /// under way at once; while they wait, no worker does, and what they ask of the service by `asker` goes before rows.
    /// An error stops the run.
    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>>;

    /// Told how a row ended that was sent; also where the service refused an EUID that is then resolved again, and asked about
    /// under the new one. `may_land`: the API itself didn't answer some attempt of it, which may still be carried out, also
    /// behind later rows of its EUID. Doesn't wait: nothing of that EUID goes on meanwhile.
    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, may_land: bool);
}

/// How rows are brought to a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batches {
    /// Most rows that it is asked about together.
    pub rows: usize,
    /// Most calls at the same time.
    pub calls: usize,
    /// How long is waited for further rows, where there are fewer.
    pub linger: Duration,
}

impl Default for Batches {
    fn default() -> Self {
        Self { rows: 100, calls: 8, linger: Duration::ZERO }
    }
}

/// A row whose turn has come.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The row.
    pub contact: &'a Contact,
    /// How often the memory wanted to be asked again about it.
    pub times_asked: u32,
}

/// What a memory says of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recall {
    /// It is to be sent.
    Send,
    /// It equals what the service holds.
    Unchanged,
    /// It isn't known yet: the memory is to be asked again after this time.
    AskAgain(Duration),
    /// It is decided, and not sent.
    Decided(Box<Recalled>),
}

/// How a row is decided that isn't sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recalled {
    /// How it ended.
    pub outcome: Outcome,
    /// Why, where that is to be said.
    pub reason: Option<Reason>,
    /// The last answer about it.
    pub answered: Answered,
    /// Attempts made to ask about it.
    pub attempts: u32,
    /// Milliseconds the last of them took.
    pub latency_ms: Option<u64>,
    /// Its contacts, for the record.
    pub contacts: Option<Contacts>,
}
