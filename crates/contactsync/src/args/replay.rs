use std::time::Duration;

use clap::Args;
use model::Reason;

use super::{identity::IdentityChoice, values};

/// Which rows of earlier reports are sent again.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rows")]
pub(crate) struct ReplayChoiceArgs {
    /// Rows that failed or differ for these reasons, as timeout,partial [default: reasons that time can cure; of a verify,
    /// what differs]
    #[arg(long, value_name = "REASONS", value_delimiter = ',', value_parser = values::reason, conflicts_with = "all")]
    pub(crate) reason: Vec<Reason>,
    /// Rows whose last answer had one of these API codes, as -1,55014; with --reason too, rows of either kind
    /// [default: none]
    #[arg(long, value_name = "CODES", value_delimiter = ',', allow_hyphen_values = true, conflicts_with = "all")]
    pub(crate) code: Vec<i64>,
    /// All rows that failed or differ, for whatever reason [default: off]
    #[arg(long)]
    pub(crate) all: bool,
    /// List the rows on standard output, and send nothing [default: off]
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Leave alone rows that were decided longer ago [default: 24h]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) max_age: Option<Duration>,
    /// Ask again for the EUIDs of rows of which none was obtained, by ids of this kind: that of the run that wrote the
    /// reports [default: such rows are not sent, and the replay says so]
    #[arg(long, value_name = "KIND", help_heading = "Own ids")]
    pub(crate) identify_by: Option<IdentityChoice>,
    /// Send also rows behind which a later row of the same EUID was accepted: an old value over a newer one [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) include_superseded: bool,
}
