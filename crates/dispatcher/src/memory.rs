//! Who knows what the service holds. A memory is asked when a row's turn has come, before anything is sent, and told what
//! became of what was sent, before the next row of that EUID has its turn.

use std::{future::Future, pin::Pin};

use model::{Contact, Outcome, Reason};

use crate::{asker::Asker, stop::StopCause};

/// A future in a box: what is asked for many rows at once need not be spared an allocation.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Whether rows need to be sent.
pub trait Memory: Send + Sync + 'static {
    /// Asked for rows whose turn has come: of each EUID one at most. One answer for each, in order. Several calls may be
    /// under way at once; while they wait, no worker does, and what they ask of the service by `asker` goes before rows.
    /// An error stops the run.
    fn recall<'a>(&'a self, rows: &'a [&'a Contact], asker: &'a Asker)
    -> BoxFuture<'a, Result<Vec<Recall>, StopCause>>;

    /// Told how a row ended that was sent; also where the service refused an EUID that is then resolved again, and asked about
    /// under the new one. `may_land`: the API itself didn't answer some attempt of it, which may still be carried out, also
    /// behind later rows of its EUID. Doesn't wait: nothing of that EUID goes on meanwhile.
    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, may_land: bool);
}

/// What a memory says of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recall {
    /// It is to be sent.
    Send,
    /// It equals what the service holds.
    Unchanged,
}
