use std::io;

use clap::{Command, CommandFactory};
use clap_mangen::Man;

use crate::{args::Cli, exit::Exit, failure::Failure, terminal::write_stdout};

/// `man`: the whole manual as one page, a part for each command.
pub(crate) fn manual() -> Result<(), Failure> {
    let page = page().map_err(|error| Failure::new(Exit::Bug, format!("the manual can't be written: {error}")))?;
    write_stdout(&page)
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let whole = Man::new(command.clone()).manual("contactsync manual");
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    whole.render_subcommands_section(&mut page)?;
    for subcommand in command.get_subcommands() {
        chapter(&mut page, subcommand)?;
        for below in subcommand.get_subcommands() {
            chapter(&mut page, below)?;
        }
    }
    exit_status(&mut page);
    whole.render_extra_section(&mut page)?;
    whole.render_version_section(&mut page)?;
    Ok(page)
}

/// A command's own page, its sections one level down.
fn chapter(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let name = command.get_bin_name().unwrap_or(command.get_name()).to_uppercase();
    // `-` would be typeset as a hyphen, and a blank ends the heading.
    page.extend_from_slice(format!(".SH \"{}\"\n", name.replace('-', "\\-")).as_bytes());
    let own = Man::new(command.clone());
    let mut sections = Vec::new();
    own.render_synopsis_section(&mut sections)?;
    own.render_description_section(&mut sections)?;
    own.render_options_section(&mut sections)?;
    let sections = String::from_utf8_lossy(&sections);
    for line in sections.lines() {
        let line = line.strip_prefix(".SH").map_or_else(|| line.to_owned(), |title| format!(".SS{title}"));
        page.extend_from_slice(line.as_bytes());
        page.push(b'\n');
    }
    Ok(())
}

fn exit_status(page: &mut Vec<u8>) {
    page.extend_from_slice(b".SH \"EXIT STATUS\"\n");
    for exit in Exit::ALL {
        let description = exit.description().replace('-', "\\-");
        page.extend_from_slice(format!(".TP\n\\fB{}\\fR\n{description}\n", exit.code()).as_bytes());
    }
}
