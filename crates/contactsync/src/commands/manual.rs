use std::io;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;

use crate::{
    args::{Cli, VARIABLES},
    exit::Exit,
    failure::Failure,
    terminal::write_stdout,
};

/// `man`: the whole manual as one page, a part for each command.
pub(crate) fn manual() -> Result<(), Failure> {
    let page = page().map_err(|error| Failure::new(Exit::Bug, format!("the manual can't be written: {error}")))?;
    write_stdout(&page)
}

fn page() -> io::Result<Vec<u8>> {
    // The manual has the text of every option, also of those that a short help leaves out.
    let mut command = Cli::command().mut_args(in_full).mut_subcommands(|below| below.mut_args(in_full));
    command.build();
    let mut page = Vec::new();
    let whole = Man::new(command.clone()).manual("contactsync manual");
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    whole.render_options_section(&mut page)?;
    commands(&mut page, &command);
    for subcommand in command.get_subcommands() {
        chapter(&mut page, subcommand)?;
        for below in subcommand.get_subcommands() {
            chapter(&mut page, below)?;
        }
    }
    exit_status(&mut page);
    environment(&mut page);
    whole.render_version_section(&mut page)?;
    Ok(page)
}

fn in_full(arg: Arg) -> Arg {
    arg.hide_short_help(false)
}

fn commands(page: &mut Vec<u8>, command: &Command) {
    page.extend_from_slice(b".SH COMMANDS\n");
    for subcommand in command.get_subcommands() {
        let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
        entry(page, subcommand.get_name(), &about);
    }
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
        entry(page, &exit.code().to_string(), exit.description());
    }
}

fn environment(page: &mut Vec<u8>) {
    page.extend_from_slice(b".SH ENVIRONMENT\n");
    for (names, meaning) in VARIABLES {
        entry(page, names, meaning);
    }
}

/// A name and what it means. `-` stands for itself, not for a hyphen.
fn entry(page: &mut Vec<u8>, name: &str, meaning: &str) {
    let text = format!(".TP\n\\fB{name}\\fR\n{meaning}\n").replace('-', "\\-");
    page.extend_from_slice(text.as_bytes());
}
