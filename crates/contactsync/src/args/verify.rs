use std::time::Duration;

use clap::Args;

use super::{service::ServiceArgs, values};

/// How rows are verified.
#[derive(Debug, Args)]
#[command(next_help_heading = "What the service holds")]
pub(crate) struct VerifyingArgs {
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// How long after its first read a row that has not landed is read once more, before it is judged: a read may lag behind
    /// a write [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) settle: Option<Duration>,
}
