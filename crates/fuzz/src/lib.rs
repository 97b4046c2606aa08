//! What a fuzzer may throw anything at: the readers of CSV, dumps, NDJSON, JSON arrays and reports, and the parser of answers.
//!
//! In go bytes, nothing comes out: each entry panics where something that must hold for all bytes doesn't. The targets in
//! `fuzz_targets` call them under libFuzzer, the tests of this crate over the corpora and random mutations of them.

mod answer;
mod inputs;
mod report_file;
mod rows;
mod setup;
mod stretch;

pub use answer::answer;
pub use inputs::{csv, dump, json, ndjson};
pub use report_file::{is_resumed as report_is_resumed, report};
