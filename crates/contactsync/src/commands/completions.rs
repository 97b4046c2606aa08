use clap::CommandFactory;
use clap_complete::Shell;

use crate::{args::Cli, failure::Failure, terminal::write_stdout};

/// `completions`: a shell's completions.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "contactsync", &mut script);
    write_stdout(&script)
}
