use std::path::PathBuf;

use clap::Args;

/// What the API last accepted, kept from night to night.
#[derive(Debug, Args)]
#[command(next_help_heading = "Nightly runs")]
pub(crate) struct StateArgs {
    /// Keep what the API last accepted in this file, and send only what differs from it; it is made where there is none
    /// [default: every row is sent]
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,
    /// Contacts that a row leaves out stay known as they were: where the service is known to keep them [default: off]
    #[arg(long, requires = "state", hide_short_help = true)]
    pub(crate) omitted_kept: bool,
}

/// What a push does with it beside.
#[derive(Debug, Args)]
#[command(next_help_heading = "Nightly runs")]
pub(crate) struct PushStateArgs {
    /// Send all rows, also those that are known to be there, and remember them anew [default: off]
    #[arg(long, requires = "state", hide_short_help = true)]
    pub(crate) refresh: bool,
    /// Write the EUIDs that the state knows and no row had into this file, one a line; - is standard output
    /// [default: they are only counted]
    #[arg(long, value_name = "FILE", requires = "state", hide_short_help = true)]
    pub(crate) report_vanished: Option<PathBuf>,
}
