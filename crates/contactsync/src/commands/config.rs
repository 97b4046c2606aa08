use std::{
    fmt::Write as _,
    fs::OpenOptions,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, CommandFactory};

use crate::{
    args::Cli,
    exit::Exit,
    failure::Failure,
    layers::{Keys, Layers, Setting, default_of, long_help},
    settings::Credentials,
    terminal::{Printer, write_stdout},
};

const MASK: &str = "********";
/// Sources are set under each other up to here.
const WIDEST_VALUE: usize = 40;
const HEAD: &str = "\
# Configuration of contactsync. Flags beat the environment, which beats a file named by --config or contactsync.toml in
# the current folder, which beats ~/.config/contactsync/config.toml, which beats the defaults.
#
# contactsync.toml in the current folder may not set credentials, base_url, region, proxy, ca_cert, allow_insecure_http,
# profile, state, report, report_vanished, summary, notify, lock or share_rate; a file named by --config may.

# Credentials of the API data source. A file that holds them must be readable by you alone. Better: let a program tell
# them, which is run without a shell and writes the secret to its standard output.
# api_key = \"\"
# api_secret = \"\"
# api_key_command = [\"pass\", \"show\", \"engagelab/key\"]
# api_secret_command = [\"pass\", \"show\", \"engagelab/secret\"]
# Or, in a build with the feature `keyring`, take them from the system's keyring: service contactsync, this user name.
# api_key_keyring = \"key\"
# api_secret_keyring = \"secret\"
";
const TAIL: &str = "
# Settings that hold with --profile NAME only, and then beat those above.
# [profile.NAME]
# rate = \"20/s\"
";

/// `config show`: each setting with its value and where it comes from.
pub(crate) fn config_show(settings: &[Setting], layers: &Layers) -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut lines: Vec<(&str, String, String)> = Vec::new();
    for (key, source) in Credentials::sources(layers)? {
        lines.push(match source {
            Some(source) => (key, MASK.to_owned(), source.to_string()),
            None => (key, "none".to_owned(), "default".to_owned()),
        });
    }
    let keys = Keys::of(&command);
    for (key, arg) in keys.iter() {
        lines.push(match settings.iter().find(|setting| setting.key == key) {
            Some(Setting { value, source, .. }) => {
                let value = value.as_deref().unwrap_or(MASK);
                (key, model::escape_controls(value).into_owned(), source.to_string())
            }
            None => (key, default_of(arg), "default".to_owned()),
        });
    }
    let width = |texts: &mut dyn Iterator<Item = &str>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let keys = width(&mut lines.iter().map(|(key, ..)| *key));
    let values = width(&mut lines.iter().map(|(_, value, _)| value.as_str())).min(WIDEST_VALUE);
    let mut text = String::new();
    for (key, value, source) in &lines {
        // Writing to a text can't fail.
        let _ = writeln!(text, "{key:<keys$}  {value:<values$}  {source}");
    }
    write_stdout(text.as_bytes())
}

/// `config init`: writes a file in which every setting is explained and commented out; never over one that exists.
pub(crate) fn config_init(file: Option<PathBuf>, own: Option<&Path>, printer: &Printer) -> Result<(), Failure> {
    let Some(path) = file.or_else(|| own.map(Path::to_owned)) else {
        return Err(Failure::usage("neither HOME nor XDG_CONFIG_HOME is set").with_hint("name a file".to_owned()));
    };
    if own == Some(&path)
        && let Some(folder) = path.parent()
    {
        std::fs::create_dir_all(folder).map_err(|error| unwritable(&path, &error))?;
    }
    let created = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = created.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => {
            let hint = "it stays as it is; name another one: `contactsync config init FILE`".to_owned();
            Failure::usage(format!("{} exists", path.display())).with_hint(hint)
        }
        _ => unwritable(&path, &error),
    })?;
    file.write_all(template().as_bytes()).map_err(|error| unwritable(&path, &error))?;
    printer.note(&format!("wrote {}", path.display()));
    Ok(())
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::ReadOrWrite, format!("{} can't be written: {error}", path.display()))
}

fn template() -> String {
    let mut command = Cli::command();
    command.build();
    let keys = Keys::of(&command);
    let mut text = HEAD.to_owned();
    for (key, arg) in keys.iter() {
        let _ = write!(text, "\n# {}\n# {key} = {}\n", long_help(arg), sample(arg));
    }
    text + TAIL
}

/// The default as TOML, or an empty value where it can't be written as one.
fn sample(arg: &Arg) -> String {
    let default = default_of(arg);
    let word = default.split(": ").next().unwrap_or_default();
    match arg.get_action() {
        ArgAction::SetTrue => "false".to_owned(),
        ArgAction::Count => "0".to_owned(),
        ArgAction::Append => "[]".to_owned(),
        _ if word.parse::<u64>().is_ok() => word.to_owned(),
        _ if word.contains(' ') || word == "none" => "\"\"".to_owned(),
        _ => format!("\"{word}\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_valid_once_uncommented() {
        let mut command = Cli::command();
        command.build();
        let keys = Keys::of(&command);
        let assignment = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = ");
        let text = template();
        let lines: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).filter(assignment).collect();
        let last = lines.len() - 1;
        let table: toml::Table = toml::from_str(&lines[..last].join("\n")).unwrap();
        assert!(keys.iter().all(|(key, _)| table.contains_key(key)));
        assert!(table.keys().all(|key| keys.knows(key)));
    }
}
