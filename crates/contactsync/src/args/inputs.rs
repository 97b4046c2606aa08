use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{identity::IdentityArgs, values};
use crate::failure::Failure;

/// What is read, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Files or pipes to read, in this order; - is standard input
    #[arg(value_name = "INPUT", required_unless_present = "files_from", help_heading = None)]
    pub(crate) inputs: Vec<PathBuf>,
    /// Read the inputs that this list names, one a line, behind those given; - is standard input. Names go from the current
    /// folder on; blank lines and lines that begin with # are skipped; with a NUL in it, as of find -print0, names end with
    /// that alone [default: none]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) files_from: Option<PathBuf>,
    // What it names, where it was read already: it may be a pipe.
    #[arg(skip)]
    pub(crate) listed: Option<Result<Vec<reader::InputName>, Failure>>,
    /// Format [default: auto: by extension, else by the first byte]
    #[arg(long, value_name = "FORMAT", hide_short_help = true)]
    pub(crate) format: Option<FormatChoice>,
    /// What separates the fields of a CSV: , ; | tab or ^A [default: found in the header line; of a dump without one: tab]
    #[arg(long, value_name = "CHARACTER", value_parser = values::delimiter, hide_short_help = true)]
    pub(crate) delimiter: Option<u8>,
    /// What a backslash is in a CSV: backslash for dumps of MySQL, MariaDB, PostgreSQL and Hive, in which \t, \n and \\ stand
    /// for what they escape, and \N for no value [default: none, and what looks like an escape is warned of]
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    pub(crate) escape: Option<EscapeChoice>,
    /// What a quote is in a CSV [default: double; with --escape backslash: none]
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    pub(crate) quote: Option<QuoteChoice>,
    /// The first record of a CSV is data; name the columns with --columns [default: off]
    #[arg(long, requires = "columns", hide_short_help = true)]
    pub(crate) no_header: bool,
    /// Columns of a CSV without a header, as euid,mobile_phone,email [default: the header]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', requires = "no_header", hide_short_help = true)]
    pub(crate) columns: Vec<String>,
    /// Encoding of the inputs, as windows-1252; a byte order mark beats it [default: utf-8]
    #[arg(long, value_name = "LABEL", value_parser = values::encoding)]
    pub(crate) encoding: Option<reader::Encoding>,
    /// Column or key that holds the EUID [default: euid]
    #[arg(long, value_name = "NAME")]
    pub(crate) euid_column: Option<String>,
    /// Rename a column before anything else looks at it, as 'E-mail Address=email'; repeatable [default: none]
    #[arg(long, value_name = "COLUMN=NAME", value_parser = values::mapping)]
    pub(crate) map: Vec<values::Mapping>,
    /// Take exactly these columns as contacts, as mobile_phone,email,my_name [default: the known contacts, and no other
    /// columns may be there]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "all_columns")]
    pub(crate) contacts: Vec<String>,
    /// Take every column but the EUID, or the id, as a contact [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) all_columns: bool,
    /// Trim blanks around values [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) trim: bool,
    /// A text that counts as empty, as NULL; repeatable [default: none]
    #[arg(long, value_name = "TEXT", hide_short_help = true)]
    pub(crate) null: Vec<String>,
    /// Leave out the first rows of all the input [default: 0]
    #[arg(long, value_name = "ROWS", hide_short_help = true)]
    pub(crate) skip: Option<u64>,
    /// Take at most so many rows of all the input [default: all]
    #[arg(long, value_name = "ROWS")]
    pub(crate) limit: Option<u64>,
    /// Take only the rows of this shard, as 0/4: the first of four equal parts, which several runs take at once or one after
    /// the other. All rows of an EUID, or of an id, are in one of them. A file of --state belongs to one shard [default: all
    /// rows]
    #[arg(long, value_name = "K/N", value_parser = values::shard, hide_short_help = true)]
    pub(crate) shard: Option<model::Shard>,
    #[command(flatten)]
    pub(crate) spool: SpoolArgs,
    #[command(flatten)]
    pub(crate) identity: IdentityArgs,
}

/// What becomes of inputs that can be read only once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct SpoolArgs {
    /// Copy standard input and pipes to a private file first, so that whatever needs a second look at the input works as
    /// with a file [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) spool: bool,
    /// Folder for the file of --spool; it has no name there, and is gone with the run [default: the report's folder]
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) temp_dir: Option<PathBuf>,
}

/// What is let through.
#[derive(Debug, Args)]
#[command(next_help_heading = "Validation")]
pub(crate) struct RuleArgs {
    /// Take missing trailing fields as empty and drop empty extra ones [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) flexible: bool,
    /// What becomes of empty values [default: skip: they are left out of the request]
    #[arg(long, value_name = "WHAT", hide_short_help = true)]
    pub(crate) empty: Option<EmptyChoice>,
    /// Longest value, in characters [default: 256]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive, hide_short_help = true)]
    pub(crate) max_value_chars: Option<usize>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatChoice {
    /// By extension, else by the first byte
    Auto,
    /// Fields between commas, or what --delimiter says
    Csv,
    /// Fields between tabs
    Tsv,
    /// A JSON object a line
    Ndjson,
    /// A JSON array of objects
    Json,
}

/// `--escape`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EscapeChoice {
    /// Data, as all else
    None,
    /// It escapes, and a field that is \N has no value
    Backslash,
}

/// `--quote`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum QuoteChoice {
    /// Data, as all else
    None,
    /// A field may stand in double quotes, and two within stand for one
    Double,
}

/// `--empty`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EmptyChoice {
    /// Leave them out of the request
    Skip,
    /// Reject the row
    Reject,
    /// Send them as "", which clears the contact; what is missing is left out
    Clear,
}
