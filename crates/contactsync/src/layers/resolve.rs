use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, CommandFactory, FromArgMatches, error::ContextKind, error::ContextValue, error::ErrorKind};
use model::Shard;
use toml::Table;

use super::{
    environment::Environment,
    file::{ConfigFile, FileRole},
    keys::{CREDENTIAL_KEYS, Keys, closest, is_flag_only},
    merge::{Layer, Merged, merge, variables},
    source::{Setting, Source},
};
use crate::{args::Cli, failure::Failure, settings::NamedFile};

/// Commands that take settings from the environment and from files.
const LAYERED: [&str; 6] = ["doctor", "push", "replay", "verify", "check", "sandbox"];
/// Variables that begin as ours do and are read elsewhere.
const READ_ELSEWHERE: [&str; 4] =
    ["CONTACTSYNC_CONFIG", "CONTACTSYNC_PROFILE", "CONTACTSYNC_REDIS_PASSWORD", "CONTACTSYNC_REDIS_PASSWORD_FILE"];

/// The layers below the command line.
pub(crate) struct Layers {
    environment: Environment,
    files: Vec<ConfigFile>,
    profile: Option<String>,
    /// Things to warn of.
    pub(crate) warnings: Vec<String>,
}

/// What holds, and where it comes from.
pub(crate) struct Resolved {
    /// The command line, completed.
    pub(crate) cli: Cli,
    /// What was set, and where.
    pub(crate) settings: Vec<Setting>,
    /// The layers it was completed from; credentials are looked up there.
    pub(crate) layers: Layers,
    /// The files that it names.
    pub(crate) files: Vec<NamedFile>,
}

/// A command line with what the layers add to it.
struct Completed {
    cli: Cli,
    /// The files that it names.
    files: Vec<NamedFile>,
    /// What was set, and where.
    settings: Vec<Setting>,
    /// What a layer sets and this command line has no use for.
    left_out: Vec<Setting>,
}

/// Why there is no command line to obey.
pub(crate) enum Unresolved {
    /// clap's word: an error of usage, or the text of `--help` or `--version`.
    Clap(Box<clap::Error>),
    /// A layer's fault.
    Failure(Failure),
}

impl From<clap::Error> for Unresolved {
    fn from(error: clap::Error) -> Self {
        Self::Clap(Box::new(error))
    }
}

impl From<Failure> for Unresolved {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

/// Reads the command line and completes it from the layers.
pub(crate) fn resolve(arguments: Vec<OsString>, environment: Environment) -> Result<Resolved, Unresolved> {
    let mut command = Cli::command();
    command.build();
    let matches = parse_typed(&command, &arguments)?;
    match matches.subcommand() {
        Some((name, typed)) if LAYERED.contains(&name) => {
            let layers = Layers::read(typed, environment, &Keys::of(&command))?;
            let Completed { cli, files, settings, .. } = complete(&command, arguments, &layers)?;
            Ok(Resolved { cli, settings, layers, files })
        }
        Some(("state", typed)) if let Some(("rebind", typed)) = typed.subcommand() => {
            let layers = Layers::read(typed, environment, &Keys::of(&command))?;
            let Completed { cli, files, settings, .. } = complete(&command, arguments, &layers)?;
            Ok(Resolved { cli, settings, layers, files })
        }
        Some(("config", typed)) if let Some(("show", typed)) = typed.subcommand() => {
            let layers = Layers::read(typed, environment, &Keys::of(&command))?;
            let settings = settings_of_all(&command, &layers)?;
            let files = named_files(&command, &matches);
            Ok(Resolved { cli: Cli::from_arg_matches(&matches)?, settings, layers, files })
        }
        _ => {
            let layers = Layers { environment, files: Vec::new(), profile: None, warnings: Vec::new() };
            let files = named_files(&command, &matches);
            Ok(Resolved { cli: Cli::from_arg_matches(&matches)?, settings: Vec::new(), layers, files })
        }
    }
}

/// Reads what was typed. What a layered command lacks may be set in a layer, so nothing is missed here.
fn parse_typed(command: &clap::Command, arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let strict = command.clone().try_get_matches_from(arguments);
    match strict {
        Err(missing) if missing.kind() == ErrorKind::MissingRequiredArgument => {
            let lenient = command.clone().ignore_errors(true).try_get_matches_from(arguments)?;
            if lenient.subcommand_name().is_some_and(|name| LAYERED.contains(&name)) {
                Ok(lenient)
            } else {
                Err(missing)
            }
        }
        parsed => parsed,
    }
}

/// Completes what was typed for one of the layered commands, and checks the whole.
fn complete(command: &clap::Command, arguments: Vec<OsString>, layers: &Layers) -> Result<Completed, Unresolved> {
    let matches = parse_typed(command, &arguments)?;
    let (subcommand, typed) = innermost(command, &matches);
    let Merged { arguments: further, settings, left_out } = merge(subcommand, typed, &layers.in_order())?;
    let parsed = command
        .clone()
        .try_get_matches_from(insert(arguments, further))
        .and_then(|matches: ArgMatches| Ok((Cli::from_arg_matches(&matches)?, named_files(command, &matches))));
    match parsed {
        Ok((cli, files)) => Ok(Completed { cli, files, settings, left_out }),
        Err(error) => Err(blame(error, subcommand, &settings)),
    }
}

fn named_files(command: &clap::Command, matches: &ArgMatches) -> Vec<NamedFile> {
    let (subcommand, matches) = innermost(command, matches);
    NamedFile::all(subcommand, matches)
}

/// The command that was typed, of those that have commands of their own the one within.
fn innermost<'c>(command: &'c clap::Command, matches: &'c ArgMatches) -> (&'c clap::Command, &'c ArgMatches) {
    match matches.subcommand().and_then(|(name, typed)| Some((command.find_subcommand(name)?, typed))) {
        Some((subcommand, typed)) => innermost(subcommand, typed),
        None => (command, matches),
    }
}

/// What the layers set for any command. `push` comes twice: some options hold without `--sandbox` only, others with it.
fn settings_of_all(command: &clap::Command, layers: &Layers) -> Result<Vec<Setting>, Unresolved> {
    let mut settings: Vec<Setting> = Vec::new();
    let commands = ["push", "replay", "verify", "check"].map(|command| [command, "-"]);
    let all = commands.iter().map(|typed| &typed[..]).chain([&["sandbox"][..], &["push", "--sandbox", "-"]]);
    for typed in all {
        let arguments = std::iter::once("contactsync").chain(typed.iter().copied()).map(OsString::from).collect();
        let Completed { settings: further, left_out, .. } = complete(command, arguments, layers)?;
        for setting in further.into_iter().chain(left_out).filter(|setting| setting.source != Source::Flag) {
            if !settings.iter().any(|known| known.key == setting.key) {
                settings.push(setting);
            }
        }
    }
    Ok(settings)
}

impl Layers {
    /// Reads the files there are.
    fn read(typed: &ArgMatches, environment: Environment, keys: &Keys) -> Result<Self, Failure> {
        let (config, profile) = (typed.get_one::<PathBuf>("config"), typed.get_one::<String>("profile"));
        let named = config.cloned().or_else(|| environment.path("CONTACTSYNC_CONFIG"));
        let first = match named {
            Some(path) => ConfigFile::read(&path, FileRole::Named, keys)?,
            None => ConfigFile::read(Path::new("contactsync.toml"), FileRole::CurrentFolder, keys)?,
        };
        let own = match user_file(&environment) {
            Some(path) => ConfigFile::read(&path, FileRole::User, keys)?,
            None => None,
        };
        let files: Vec<ConfigFile> = first.into_iter().chain(own).collect();
        let profile = match profile {
            Some(name) => Some(name.clone()),
            None => environment.text("CONTACTSYNC_PROFILE")?,
        };
        let profile = match profile {
            Some(name) => Some(name),
            None => files.iter().find_map(|file| file.profile().transpose()).transpose()?.map(str::to_owned),
        };
        check_profile(profile.as_deref(), &files)?;
        let warnings = check_variables(&environment, keys)?;
        let mut layers = Self { environment, files, profile, warnings };
        layers.warnings.extend(layers.empty_shard(typed));
        Ok(layers)
    }

    /// A warning where what starts the runs of a job has left the shard empty, so that each of them takes all rows.
    fn empty_shard(&self, typed: &ArgMatches) -> Option<String> {
        let name = "CONTACTSYNC_SHARD";
        let takes_all = matches!(typed.try_get_one::<Shard>("shard"), Ok(None))
            && !self.sections().any(|(_, section)| section.contains_key("shard"));
        (takes_all && self.environment.is_empty(name))
            .then(|| format!("the environment variable {name} is empty and counts as not set: all rows are taken"))
    }

    /// The environment.
    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The sections of the files, the one that beats the others first.
    pub(crate) fn sections(&self) -> impl Iterator<Item = (Source, &Table)> {
        self.files.iter().flat_map(|file| file.sections(self.profile.as_deref()))
    }

    /// The configuration files that were read.
    pub(crate) fn config_files(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(ConfigFile::path)
    }

    /// All layers, the one that beats the others first.
    pub(crate) fn in_order(&self) -> Vec<Layer<'_>> {
        let sections = self.sections().map(|(source, table)| Layer::Section(source, table));
        std::iter::once(Layer::Environment(&self.environment)).chain(sections).collect()
    }
}

/// Further options go before `--`, behind which everything is an input.
fn insert(mut arguments: Vec<OsString>, further: Vec<OsString>) -> Vec<OsString> {
    let end_of_options = arguments.iter().position(|argument| argument == "--").unwrap_or(arguments.len());
    arguments.splice(end_of_options..end_of_options, further);
    arguments
}

/// Says where a bad value comes from, where it was not typed.
fn blame(error: clap::Error, subcommand: &clap::Command, settings: &[Setting]) -> Unresolved {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return error.into() };
    let long = option.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default();
    let arg = subcommand.get_arguments().find(|arg| arg.get_long() == Some(long));
    let setting = arg.and_then(|arg| settings.iter().find(|setting| setting.key == arg.get_id().as_str()));
    match setting {
        Some(Setting { source: Source::Flag, .. }) | None => error.into(),
        Some(Setting { key, source, .. }) => {
            let text = error.render().to_string();
            let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let hint = format!("`{key}` is set in {source}");
            Failure::usage(message).with_hint(hint).into()
        }
    }
}

/// `$XDG_CONFIG_HOME/contactsync/config.toml`; a relative folder counts as unset, as the XDG specification has it.
pub(crate) fn user_file(environment: &Environment) -> Option<PathBuf> {
    let folder = environment.path("XDG_CONFIG_HOME").filter(|folder| folder.is_absolute());
    let folder = folder.or_else(|| Some(environment.path("HOME")?.join(".config")))?;
    Some(folder.join("contactsync").join("config.toml"))
}

fn check_profile(profile: Option<&str>, files: &[ConfigFile]) -> Result<(), Failure> {
    let Some(name) = profile else { return Ok(()) };
    let known: Vec<&str> = files.iter().flat_map(ConfigFile::profiles).collect();
    if known.contains(&name) {
        return Ok(());
    }
    let hint = if known.is_empty() {
        "a profile is a part [profile.NAME] of a configuration file".to_owned()
    } else {
        format!("there are: {}", known.join(", "))
    };
    Err(Failure::usage(format!("no configuration file has the profile `{name}`")).with_hint(hint))
}

/// A misspelt variable would be ignored in silence, and one of an option that must be typed obeyed by nobody.
fn check_variables(environment: &Environment, keys: &Keys) -> Result<Vec<String>, Failure> {
    let cases = [
        ("CONTACTSYNC_SANDBOX", "--sandbox", "the sandbox can't be chosen by the environment"),
        ("CONTACTSYNC_DRY_RUN", "--dry-run", "the environment can't ask for a dry run"),
    ];
    if let Some((name, option, what)) = cases.into_iter().find(|(name, ..)| environment.is_set(name)) {
        let hint = format!(
            "type `{option}` where you want it, and unset the variable: left in a crontab it would send nothing, every night"
        );
        return Err(Failure::usage(format!("{name} is set, but {what}")).with_hint(hint));
    }
    let known: Vec<String> =
        keys.iter().filter(|(_, arg)| !is_flag_only(arg)).flat_map(|(_, arg)| variables(arg)).collect();
    let ours = environment.names_with_prefix("CONTACTSYNC_");
    let unknown = ours.filter(|name| !known.iter().any(|known| known == name) && !READ_ELSEWHERE.contains(name));
    let unknown = unknown.map(|name| {
        let key = name.trim_start_matches("CONTACTSYNC_").to_ascii_lowercase();
        let meant = if CREDENTIAL_KEYS.contains(&key.as_str()) {
            format!("; did you mean ENGAGELAB_MA_{}?", key.to_ascii_uppercase())
        } else {
            closest(name, known.iter().map(String::as_str).chain(READ_ELSEWHERE))
                .map(|known| format!("; did you mean {known}?"))
                .unwrap_or_default()
        };
        format!("the environment variable {name} is not known and not obeyed{meant}")
    });
    Ok(unknown.collect())
}
