use std::path::PathBuf;

use clap::Args;
use model::{Outcome, Reason};

use super::values;

/// `report`: what is looked at, and how it is shown.
#[derive(Debug, Args)]
pub(crate) struct SurveyArgs {
    /// Reports of earlier runs: NDJSON or CSV, compressed or not; - is standard input
    #[arg(value_name = "REPORT", required = true)]
    pub(crate) reports: Vec<PathBuf>,
    /// Write the figures as JSON to standard output, instead of a table [default: off]
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the rejected, failed and different rows to this CSV file, their contacts as columns, for a spreadsheet;
    /// - is standard output [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write one self-contained page to this file; - is standard output [default: none]
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show contact values, and messages as they are [default: off: they are masked]
    #[arg(long)]
    pub(crate) show_values: bool,
    /// Only rows with these reasons, as timeout,partial [default: all]
    #[arg(long, value_name = "REASONS", value_delimiter = ',', value_parser = values::reason)]
    pub(crate) reason: Vec<Reason>,
    /// Only rows whose last answer had one of these API codes, as -1,55014 [default: all]
    #[arg(long, value_name = "CODES", value_delimiter = ',', allow_hyphen_values = true)]
    pub(crate) code: Vec<i64>,
    /// Only rows of this source; repeatable [default: all]
    #[arg(long, value_name = "SOURCE")]
    pub(crate) source: Vec<String>,
    /// Only rows that ended so, as rejected,failed [default: all]
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',', value_parser = values::outcome)]
    pub(crate) outcome: Vec<Outcome>,
}
