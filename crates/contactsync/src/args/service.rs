use clap::{Args, ValueEnum};

use super::values;

/// How users are read back from the service, and compared.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the service holds")]
pub(crate) struct ServiceArgs {
    /// Requests that read users: N/s, N/m, N/h or unlimited; they don't count against --rate [default: 900/m]
    #[arg(long, value_name = "RATE", value_parser = values::rate, hide_short_help = true)]
    pub(crate) profile_rate: Option<dispatcher::Rate>,
    /// When a value that is there counts as the row's: loose takes phones as equal whose digits are, and e-mail addresses
    /// whatever their case [default: exact]
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    pub(crate) compare: Option<CompareChoice>,
}

/// The same for a push, which may go without.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "What the service holds")]
pub(crate) struct CompareServiceArgs {
    /// Read each user back before a row of it is sent, 100 at once, and send only rows of which something isn't there; with
    /// --state only those users of whom the state doesn't know it. A read may lag behind a write: without a state, what
    /// another run has just replaced may be taken for there [default: off]
    #[arg(long, conflicts_with = "refresh")]
    pub(crate) compare_service: bool,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
}

/// `--compare`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CompareChoice {
    /// Byte for byte
    Exact,
    /// Phones by their digits, e-mail addresses without regard to case
    Loose,
}
