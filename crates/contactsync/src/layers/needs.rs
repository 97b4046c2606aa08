//! Options that mean something beside another one only. Typed without it they are refused; one that a layer sets for all
//! commands and all jobs is left out where the other one isn't set.

use clap::Command;

use super::source::{Setting, Source};

/// Options, with those of which they need one. An option whose other ones conflict with further options comes first.
///
/// Not among them, since a job without them would do something else than was asked for: `resume` and `report`, `columns` and
/// `no_header`.
const NEEDS: [(&str, &[&str]); 12] = [
    ("refresh", &["state"]),
    ("omitted_kept", &["state"]),
    ("report_vanished", &["state"]),
    ("accept_new_key", &["resume", "state"]),
    ("id_column", &["identify_by"]),
    ("allow_id", &["identify_by"]),
    ("max_new_ids", &["identify_by"]),
    ("profile_rate", &["compare_service"]),
    ("compare", &["compare_service"]),
    ("yes", &["canary"]),
    ("notify_format", &["notify"]),
    ("report_all", &["report"]),
];

/// The first of the settings that comes from a layer and needs one that nobody set. What a command doesn't have it can't need:
/// reading users back is all that a verify does.
pub(super) fn unmet(command: &Command, settings: &[Setting]) -> Option<&'static str> {
    let has = |key: &&str| command.get_arguments().any(|arg| arg.get_id() == *key);
    let is_set = |key: &&str| settings.iter().any(|setting| setting.key == *key);
    let from_layer = |key: &str| settings.iter().any(|it| it.key == key && it.source != Source::Flag);
    let unmet = NEEDS
        .iter()
        .find(|(option, needed)| from_layer(option) && needed.iter().any(has) && !needed.iter().any(is_set));
    unmet.map(|(option, _)| *option)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn no_option_that_needs_another_is_forgotten() {
        let mut command = Cli::command();
        command.build();
        let refused_all_the_same = ["resume", "columns", "no_header"];
        let mut seen = 0;
        for name in ["push", "replay", "verify", "check"] {
            let command = command.find_subcommand(name).unwrap();
            for arg in command.get_arguments() {
                // Nothing else shows what an option requires.
                let needs_none = format!("{arg:?}").contains("requires: []");
                let key = arg.get_id().as_str();
                if needs_none || key.starts_with("sandbox_") || refused_all_the_same.contains(&key) {
                    continue;
                }
                assert!(NEEDS.iter().any(|(option, _)| *option == key), "{name}: {key}");
                seen += 1;
            }
        }
        assert!(seen > 8, "nothing was looked at");
    }

    #[test]
    fn every_entry_is_of_options_that_there_are() {
        let mut command = Cli::command();
        command.build();
        let has = |key: &str| command.get_subcommands().any(|sub| sub.get_arguments().any(|arg| arg.get_id() == key));
        for (option, needed) in NEEDS {
            assert!(has(option) && needed.iter().all(|key| has(key)), "{option}");
        }
    }
}
