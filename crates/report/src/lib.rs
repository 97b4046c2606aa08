//! The report of a run: one record for each decided row, written as rows are decided and synced each second.
//!
//! In go [`model::Decision`]s, out comes a file (NDJSON or CSV, compressed or not) that says what became of every row,
//! a [`Tally`] of it, and a [`Summary`]. Blocking; meant for a thread of its own.

mod error;
mod format;
mod journal;
mod record;
mod summary;
mod tally;
mod time;

pub use error::ReportError;
pub use format::{Compression, Encoding, ReportFormat};
pub use journal::{ContactsPolicy, Journal, JournalOptions};
pub use summary::{CheckSummary, InputSummary, Latency, Summary};
pub use tally::Tally;
pub use time::rfc3339;
