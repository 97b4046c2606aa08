//! The report of a run: one record for each decided row, written as rows are decided and synced each second.
//!
//! In go [`model::Decision`]s, out comes a file (NDJSON or CSV, compressed or not) that says what became of every row,
//! a [`Tally`] of it, and a [`Summary`]. The file is read again by [`ReportReader`], written on after
//! [`Resumption`], and turned into rows to send again by [`ReplayPlan`]. A [`Survey`] adds reports up, for a
//! terminal, a [`page`] or a spreadsheet. Blocking; meant for a thread of its own.

mod blocks;
mod comparison;
mod decided;
mod error;
mod file;
mod format;
mod gist;
mod journal;
mod keys;
mod latest;
mod mask;
mod overview;
mod page;
mod parse;
mod read;
mod record;
mod replay;
mod resume;
mod row_set;
mod run_file;
#[cfg(feature = "schema")]
pub mod schema;
mod sheet;
mod skim;
mod source;
mod summary;
mod tally;
mod text;
mod time;
mod unpack;

pub use comparison::{Change, Comparison, ComparisonFigures, NameChanges};
pub use decided::Decided;
pub use error::ReportError;
pub use file::{Durability, destination, folder_of, is_special, refuse_existing, replace, replace_public};
pub use format::{Compression, Encoding, ReportFormat};
pub use journal::{ContactsPolicy, Journal, JournalOptions, LiveTally, Storage};
pub use keys::KeyComparison;
pub use overview::{
    Bucket, Filter, IdsOfRows, Night, Outcomes, Overview, ShardsOfInput, ShardsThere, Survey, Timeline, attempts_of,
    unfinished,
};
pub use page::{PageOptions, page};
pub use read::{ReadError, ReportReader};
pub use replay::{Chosen, KnownUsers, ReplayChoice, ReplayPlan, ReplayRows};
pub use resume::Resumption;
pub use row_set::RowSet;
pub use run_file::{Finished, Requests, Run, RunFile, RunInput};
pub use sheet::{Sheet, SheetError, write_sheet};
pub use source::SourceReport;
pub use summary::{
    CheckSummary, EXPIRED, InputSummary, Latency, STOPPED_BY, Summary, Verified, duration, listed_in, of_shard,
    share_line,
};
pub use tally::Tally;
pub use time::rfc3339;
