use std::path::PathBuf;

use clap::Args;

/// Which configuration holds.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct LayerArgs {
    /// Configuration file [default: contactsync.toml in the current folder, where there is one]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
    /// The part [profile.NAME] of the configuration files holds too [default: none]
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    pub(crate) profile: Option<String>,
}
