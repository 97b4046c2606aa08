use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args, Subcommand};
use model::Euid;

use super::{config::LayerArgs, sending::SendingArgs, values};

/// `state`.
#[derive(Debug, Args)]
pub(crate) struct StateCommandArgs {
    #[command(subcommand)]
    pub(crate) command: StateCommand,
}

/// What to do with a state.
#[derive(Debug, Subcommand)]
pub(crate) enum StateCommand {
    /// Say what a state holds, what it is bound to, and which runs finished with it
    Info(StateInfoArgs),
    /// Forget users: the next run sends their rows; nothing of them stays in the file
    Forget(StateForgetArgs),
    /// Bind a state to the address and the API key that a push would use now, after a key was changed
    Rebind(Box<StateRebindArgs>),
}

/// The file, and how long it is waited for.
#[derive(Debug, Args)]
pub(crate) struct StateFileArgs {
    /// The state: the file of --state
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Wait so long for a state that a run holds, instead of ending with status 2 at once [default: 0]
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) lock_wait: Option<Duration>,
}

/// `state info`.
#[derive(Debug, Args)]
pub(crate) struct StateInfoArgs {
    #[command(flatten)]
    pub(crate) state: StateFileArgs,
    /// Print it as JSON [default: off]
    #[arg(long)]
    pub(crate) json: bool,
}

/// `state forget`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("whom").required(true).args(["euid", "all"]))]
pub(crate) struct StateForgetArgs {
    #[command(flatten)]
    pub(crate) state: StateFileArgs,
    /// Users to forget, as 10000000001,10000000002; repeatable
    #[arg(long, value_name = "EUIDS", value_delimiter = ',', value_parser = values::euid)]
    pub(crate) euid: Vec<Euid>,
    /// Forget all users; what the state is bound to stays
    #[arg(long)]
    pub(crate) all: bool,
}

/// `state rebind`.
#[derive(Debug, Args)]
pub(crate) struct StateRebindArgs {
    #[command(flatten)]
    pub(crate) state: StateFileArgs,
    #[command(flatten)]
    pub(crate) sending: SendingArgs,
    #[command(flatten)]
    pub(crate) layers: LayerArgs,
}
