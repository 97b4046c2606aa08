//! contactsync: bulk synchronisation of contact files with EngageLab Marketing Automation.
//!
//! The binary joins the crates, each of which knows one thing: command line and configuration go in ([`args`],
//! [`layers`]), become checked settings ([`settings`]), a command obeys them ([`commands`]) and says what it does
//! ([`terminal`]); out comes an exit status ([`exit`]).

mod app;
mod args;
mod books;
mod commands;
mod exit;
mod failure;
mod last_words;
mod layers;
mod lock;
mod monitor;
mod opening;
mod pipeline;
mod plan;
mod reading;
mod rejected;
mod reports;
#[cfg(test)]
mod schemas;
mod settings;
mod signals;
mod spool;
mod superseding;
mod terminal;
mod vanished;

use std::process::ExitCode;

use layers::Environment;

fn main() -> ExitCode {
    keep_memory_private();
    app::run(std::env::args_os().collect(), Environment::of_process(), end).into()
}

/// Credentials and contacts must not end up in a core dump, nor be read by other processes of the same user. Where the
/// system refuses this, nothing is lost but the precaution.
fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[expect(clippy::exit, reason = "a signal ends the process from the thread that hears it")]
fn end(exit: exit::Exit) {
    std::process::exit(exit.code().into());
}
