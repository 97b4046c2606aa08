use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};

/// What is shown while something runs.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Terminal")]
pub(crate) struct TerminalArgs {
    /// Errors only [default: off]
    #[arg(short, long, global = true, conflicts_with = "verbose", hide_short_help = true)]
    pub(crate) quiet: bool,
    /// Log more: once for what happens, twice for each decision, three times for everything [default: warnings]
    #[arg(short, long, global = true, action = ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
    /// How messages and log are written [default: text]
    #[arg(long, global = true, value_name = "FORMAT", hide_short_help = true)]
    pub(crate) log_format: Option<LogFormat>,
    /// Also write the log, and what is said, to this file, a JSON object a line: what is worth knowing and worse, with -vv and
    /// -vvv as much as is shown; what stands in it stays [default: none]
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub(crate) log_file: Option<PathBuf>,
    /// Whether to use colour [default: auto: on a terminal, unless NO_COLOR is set]
    #[arg(long, global = true, value_name = "WHEN", hide_short_help = true)]
    pub(crate) color: Option<ColorChoice>,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

/// `--color`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `--progress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressChoice {
    /// A bar on a terminal, else plain lines
    Auto,
    /// A bar
    Bar,
    /// A line every 10 seconds
    Plain,
    /// Nothing
    Never,
}
