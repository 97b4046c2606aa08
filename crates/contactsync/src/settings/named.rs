//! The files that a command line names. The log file is opened before they are looked at, and must be none of them: not even
//! where nothing stands in one yet.

use std::path::{Path, PathBuf};

use clap::ArgMatches;
use quota::Place;
use reader::InputName;
use report::RunFile;
use secrecy::{ExposeSecret, SecretString};

use super::{files_from, output::STANDARD_STREAM, outputs::Identity};
use crate::{
    args::{Cli, Command},
    failure::Failure,
    layers::Layers,
};

/// A file, by the option that names it; without one it is an input.
#[derive(Debug)]
pub(crate) struct NamedFile {
    option: Option<String>,
    path: PathBuf,
}

impl NamedFile {
    /// All that a command was given, but the log file.
    pub(crate) fn all(command: &clap::Command, matches: &ArgMatches) -> Vec<Self> {
        let mut all = Vec::new();
        for arg in command.get_arguments().filter(|arg| arg.get_id() != "log_file") {
            let id = arg.get_id().as_str();
            let option = arg.get_long().map(|long| format!("--{long}"));
            // An argument that is no path has none.
            for path in matches.try_get_many::<PathBuf>(id).ok().flatten().into_iter().flatten() {
                if id == "report" && path != Path::new(STANDARD_STREAM) {
                    all.push(Self { option: option.clone(), path: RunFile::path_of(path) });
                }
                all.push(Self { option: option.clone(), path: path.clone() });
            }
        }
        let shared = matches.try_get_one::<SecretString>("share_rate").ok().flatten();
        if let Some(Ok(Place::File(path))) = shared.map(|place| place.expose_secret().parse()) {
            all.push(Self { option: Some("--share-rate".to_owned()), path });
        }
        all
    }
}

/// Options whose file is replaced, or written from its beginning.
const REPLACED: [&str; 6] = ["--summary", "--metrics-file", "--report", "--report-vanished", "--csv", "--html"];
/// Options whose file every run reads.
const READ: [&str; 2] = ["--config", "--ca-cert"];
/// Variables that name a file with a secret.
const SECRETS: [&str; 3] =
    ["ENGAGELAB_MA_API_KEY_FILE", "ENGAGELAB_MA_API_SECRET_FILE", "CONTACTSYNC_REDIS_PASSWORD_FILE"];

/// Exit 2 where an output would replace a configuration or a secret that this very run reads.
pub(crate) fn refuse_replacing_what_is_read(named: &[NamedFile], layers: &Layers) -> Result<(), Failure> {
    let option_is = |file: &&NamedFile, of: &[&str]| file.option.as_deref().is_some_and(|option| of.contains(&option));
    let typed = named.iter().filter(|file| option_is(file, &READ)).map(|file| file.path.clone());
    let secrets = SECRETS.iter().filter_map(|variable| layers.environment().path(variable));
    let read: Vec<(PathBuf, Identity)> = typed
        .chain(layers.config_files().map(Path::to_owned))
        .chain(secrets)
        .filter_map(|path| Identity::of(&path).map(|identity| (path, identity)))
        .collect();
    for NamedFile { option, path } in named.iter().filter(|file| option_is(file, &REPLACED)) {
        let Some(identity) = Identity::of(path).filter(|_| path != Path::new(STANDARD_STREAM)) else { continue };
        if let Some((read, _)) = read.iter().find(|(_, read)| read.lies_at(&identity)) {
            let option = option.as_deref().unwrap_or_default();
            let message =
                format!("{option} {} would overwrite {}, which this command reads", path.display(), read.display());
            return Err(Failure::usage(message).with_hint("name another file".to_owned()));
        }
    }
    Ok(())
}

/// Exit 2 where the log would be written into one of the named files, or into an input of a list. The list is read for it,
/// once: it may be a pipe.
pub(crate) fn refuse_shared_log(log: &Path, named: &[NamedFile], cli: &mut Cli) -> Result<(), Failure> {
    let Some(identity) = Identity::of(log) else { return Ok(()) };
    let shown = log.display();
    for NamedFile { option, path } in named {
        match option {
            None => refuse_input(log, &identity, &InputName::new(path))?,
            Some(option) if Identity::of(path).as_ref() == Some(&identity) => {
                return Err(Failure::usage(format!("{option} and --log-file name the same file, {shown}")));
            }
            Some(_) => {}
        }
    }
    let inputs = match &mut cli.command {
        Command::Push(args) => &mut args.inputs,
        Command::Verify(args) => &mut args.inputs,
        Command::Check(args) => &mut args.inputs,
        _ => return Ok(()),
    };
    // What is wrong with the list is told by whoever opens the inputs, and stands in the log.
    inputs.listed = inputs.files_from.as_deref().map(files_from::names_in);
    let listed = inputs.listed.iter().flatten().flatten();
    listed.into_iter().try_for_each(|name| refuse_input(log, &identity, name))
}

fn refuse_input(log: &Path, identity: &Identity, name: &InputName) -> Result<(), Failure> {
    if !Identity::of_input(name).is_some_and(|input| input.lies_at(identity)) {
        return Ok(());
    }
    let message = format!("--log-file {} would write into the input {}", log.display(), name.source());
    Err(Failure::usage(message).with_hint("name another file".to_owned()))
}
