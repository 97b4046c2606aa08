//! The commands, a file each. A command takes its checked arguments, says what it does through the printer, and
//! returns the status to end with.

mod check;
mod completions;
mod config;
mod doctor;
mod dry_run;
mod explain;
mod manual;
mod push;
mod replay;
mod report;
mod sandbox;
mod state;
mod verify;

pub(crate) use check::check;
pub(crate) use completions::completions;
pub(crate) use config::{config_init, config_show};
pub(crate) use doctor::doctor;
pub(crate) use dry_run::dry_run;
pub(crate) use explain::explain;
pub(crate) use manual::manual;
pub(crate) use push::push;
pub(crate) use replay::replay;
pub(crate) use report::report;
pub(crate) use sandbox::serve_sandbox;
pub(crate) use state::{state_forget, state_info, state_rebind};
pub(crate) use verify::verify;
