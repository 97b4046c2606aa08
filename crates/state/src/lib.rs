//! What the API last accepted, per EUID and contact name, so that only what changed is sent; and which EUIDs belong to an
//! organisation's own ids.
//!
//! In go rows (an EUID, contact names and values), out comes whether the service is known to hold all of a row; in go ids
//! ([`State::learn_ids`]), out come EUIDs ([`Looking::id`]). In between
//! lies a file that holds fingerprints, not values. Its promise: it never says *unchanged* of what isn't. So what is about to
//! be sent is durably marked *unknown* first ([`State::mark`], [`State::commit`]), only a plain success makes it known again
//! ([`State::ended`]), and whatever is read from the file is checked before it is believed.
//!
//! ```text
//! header | 2 pages: how far the log is durable | blocks, sorted by EUID | index of the blocks | log: frames of changes
//! ```
//!
//! The base (up to the index) is never changed. Changes go to the log and, in memory, before the base; when they have become
//! many, a new file is made of both and takes the place of the old one. Memory holds the index (24 bytes for each four
//! kilobytes of file), the changes since (at most 64 MiB) and two bits for each EUID.

mod base;
mod block;
mod entry;
mod error;
mod fingerprint;
mod flags;
mod ids;
mod log;
mod look;
mod merge;
mod merging;
mod meta;
mod opening;
mod overlay;
mod state;
mod tables;

pub use error::StateError;
pub use ids::{IdUser, KnownId};
pub use look::{Kept, Looker, Looking};
pub use meta::{FinishedRun, Meta, Opening, RunInput};
pub use state::{Ended, Figures, State, ToSend};
