//! Streams contact records from CSV, TSV, NDJSON and JSON arrays.
//!
//! In go paths (or `-`), out come [`model::RecordBatch`]es: one batch holds records of one input, in order, with all
//! text in one buffer. Blocking, meant for a thread of its own; memory depends on the longest record and not on the
//! input. The layers, from the file up: metered bytes, decompression, decoding, a window, a parser.
//!
//! What is wrong with an input as a whole is an [`OpenError`] (before any record) or a [`ReadError`] (reading broke
//! off). What is wrong with one record stands in that record, and reading goes on.

mod asked;
mod batch;
mod compression;
mod csv;
mod csv_parser;
mod delimiter;
mod dump;
mod encoding;
mod error;
mod input;
mod json;
mod json_array;
mod json_scan;
mod layout;
mod naming;
mod ndjson;
mod objects;
mod opening;
mod options;
mod parser;
mod plain;
mod plain_objects;
mod quotes;
mod raw;
mod records;
mod text;
mod window;

#[cfg(test)]
#[path = "../tests/pieces/mod.rs"]
mod pieces;

pub use asked::{AskedName, AskedNames};
pub use encoding::{Encoding, encoding_for_label};
pub use error::{MissingName, OpenError, ReadError, UnknownColumns};
pub use input::{Input, LookedAt, look_at_all, open_all};
pub use opening::{FileId, InputName, OpenInput, identify};
pub use options::{Escapes, Format, Header, Quotes, ReaderOptions, RowKey, Selection};
pub use records::{Notice, Position, Records};
