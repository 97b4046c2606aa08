use std::collections::BTreeMap;

use clap::{Arg, ArgAction, Command};

use crate::failure::Failure;

/// Keys that hold a secret, or say which command tells it or where in the keyring it is.
pub(crate) const CREDENTIAL_KEYS: [&str; 6] =
    ["api_key", "api_secret", "api_key_command", "api_secret_command", "api_key_keyring", "api_secret_keyring"];
/// Options that choose the configuration, and those that must be typed each time.
const FLAGS_ONLY: [&str; 4] = ["config", "sandbox", "dry_run", "euid"];
/// Commands whose options can be set in the environment and in files.
/// What several have is shown as the last one says it.
const CONFIGURABLE: [&str; 5] = ["verify", "push", "replay", "check", "sandbox"];

/// Every setting there is, by key.
pub(crate) struct Keys(BTreeMap<String, Arg>);

impl Keys {
    /// Those of a built command line.
    pub(crate) fn of(command: &Command) -> Self {
        let commands = CONFIGURABLE.iter().filter_map(|name| command.find_subcommand(name));
        let arguments = commands.flat_map(options).filter(|arg| !is_flag_only(arg));
        Self(arguments.map(|arg| (arg.get_id().to_string(), arg.clone())).collect())
    }

    /// The options with their keys, in alphabetical order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Arg)> {
        self.0.iter().map(|(key, arg)| (key.as_str(), arg))
    }

    /// Whether a file may hold this key.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.0.contains_key(key) || CREDENTIAL_KEYS.contains(&key)
    }

    /// What was likely meant by an unknown key.
    pub(crate) fn suggestion(&self, key: &str) -> Option<&str> {
        let written = key.to_ascii_lowercase().replace('-', "_");
        let known = self.0.keys().map(String::as_str).chain(CREDENTIAL_KEYS);
        closest(&written, known)
    }

    /// The failure for an unknown key.
    pub(crate) fn unknown(&self, key: &str, place: &str) -> Failure {
        let hint = match (key, self.suggestion(key)) {
            ("sandbox", _) => {
                Some("`--sandbox` is typed each time: left in a configuration it would send nothing".into())
            }
            ("dry_run", _) => {
                Some("`--dry-run` is typed each time: left in a configuration it would send nothing".into())
            }
            ("config", _) => Some("one configuration file can't name another".into()),
            (_, Some(known)) => Some(format!("did you mean `{known}`?")),
            (_, None) => Some("`contactsync config show` lists the keys there are".into()),
        };
        Failure::usage(format!("{place}: unknown key `{key}`")).with_hint(hint)
    }
}

/// The word that is nearly the one written.
pub(crate) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.map(|word| (strsim::normalized_damerau_levenshtein(written, word), word));
    let best = near.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (best.0 >= 0.6).then_some(best.1)
}

/// The options of a command, without its positional arguments, `--help` and `--version`.
pub(crate) fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let asks_for_help = matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        );
        arg.get_long().is_some() && !asks_for_help
    })
}

/// Whether neither a file nor, but for `--config`, the environment may set it.
pub(crate) fn is_flag_only(arg: &Arg) -> bool {
    FLAGS_ONLY.contains(&arg.get_id().as_str())
}

/// The default that an option's help states.
pub(crate) fn default_of(arg: &Arg) -> String {
    let help = help(arg);
    help.rsplit_once("[default: ").map_or("none", |(_, default)| default.trim_end_matches(']')).to_owned()
}

/// An option's help without its default.
pub(crate) fn long_help(arg: &Arg) -> String {
    let help = help(arg);
    help.rsplit_once(" [default: ").map_or(help.as_str(), |(text, _)| text).to_owned()
}

fn help(arg: &Arg) -> String {
    arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default()
}
