use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use toml::{Table, Value};
use url::Url;
use zeroize::Zeroizing;

use super::{
    keys::{CREDENTIAL_KEYS, Keys},
    source::Source,
};
use crate::failure::Failure;

/// What the current folder's file must not hold: whoever wrote that folder, an archive or a checkout say, could else
/// read credentials, run commands, choose where contacts and passwords go, or which files are read and written.
const NOT_IN_THE_CURRENT_FOLDER: [&str; 17] = [
    "base_url",
    "region",
    "proxy",
    "ca_cert",
    "allow_insecure_http",
    "profile",
    "state",
    "report",
    "report_vanished",
    "summary",
    "notify",
    "lock",
    "log_file",
    "metrics_file",
    "otlp_endpoint",
    "share_rate",
    "files_from",
];
/// No configuration is longer.
const MOST_BYTES: u64 = 1 << 20;

/// How a file came to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileRole {
    /// Named by `--config`.
    Named,
    /// `contactsync.toml` of the current folder; not trusted.
    CurrentFolder,
    /// The user's own.
    User,
}

/// A configuration file, checked for unknown and forbidden keys.
pub(crate) struct ConfigFile {
    path: PathBuf,
    settings: Table,
    profiles: BTreeMap<String, Table>,
}

impl ConfigFile {
    /// Reads a file; none where it isn't there and need not be.
    pub(crate) fn read(path: &Path, role: FileRole, keys: &Keys) -> Result<Option<Self>, Failure> {
        let failed = |error: &io::Error| {
            Failure::usage(format!("the configuration file {} can't be read: {error}", path.display()))
        };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound && role != FileRole::Named => return Ok(None),
            Err(error) => return Err(failed(&error)),
        };
        let metadata = file.metadata().map_err(|error| failed(&error))?;
        let mut text = Zeroizing::new(String::new());
        file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(|error| failed(&error))?;
        if text.len() as u64 > MOST_BYTES {
            return Err(Failure::usage(format!("the configuration file {} is over 1 MiB", path.display())));
        }
        let file = Self::parse(path, &text)?;
        file.check_keys(keys)?;
        if role == FileRole::CurrentFolder {
            file.check_trust()?;
        }
        file.check_mode(metadata.permissions().mode())?;
        Ok(Some(file))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The profiles it has.
    pub(crate) fn profiles(&self) -> impl Iterator<Item = &str> {
        self.profiles.keys().map(String::as_str)
    }

    /// The profile that it asks for itself.
    pub(crate) fn profile(&self) -> Result<Option<&str>, Failure> {
        match self.settings.get("profile") {
            None => Ok(None),
            Some(Value::String(name)) => Ok(Some(name)),
            Some(_) => Err(Failure::usage(format!("{}: `profile` is the name of a profile", self.path.display()))),
        }
    }

    /// Its settings, those of the profile first: they beat the others of the file.
    pub(crate) fn sections(&self, profile: Option<&str>) -> Vec<(Source, &Table)> {
        let chosen = profile.and_then(|name| {
            let source = Source::Profile(self.path.clone(), name.to_owned());
            self.profiles.get(name).map(|table| (source, table))
        });
        chosen.into_iter().chain([(Source::File(self.path.clone()), &self.settings)]).collect()
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Failure> {
        // The parser's own rendering would quote the line, and with it a secret.
        let mut settings: Table = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count());
            let message = error.message().lines().next().unwrap_or("not valid TOML");
            Failure::usage(format!("{}, line {line}: {message}", path.display()))
        })?;
        let profiles = match settings.remove("profile") {
            Some(Value::Table(profiles)) => profiles,
            Some(other) => {
                settings.insert("profile".to_owned(), other);
                Table::new()
            }
            None => Table::new(),
        };
        let profiles = profiles.into_iter().map(|(name, value)| match value {
            Value::Table(table) => Ok((name, table)),
            _ => Err(Failure::usage(format!("{}: `profile.{name}` is a table of settings", path.display()))),
        });
        Ok(Self { path: path.to_owned(), settings, profiles: profiles.collect::<Result<_, _>>()? })
    }

    fn check_keys(&self, keys: &Keys) -> Result<(), Failure> {
        let path = self.path.display();
        if let Some(key) = self.settings.keys().find(|key| !keys.knows(key)) {
            return Err(keys.unknown(key, &path.to_string()));
        }
        for (name, table) in &self.profiles {
            let mut unknown = table.keys().filter(|key| !keys.knows(key) || *key == "profile");
            if let Some(key) = unknown.next() {
                return Err(keys.unknown(key, &format!("{path}, [profile.{name}]")));
            }
        }
        Ok(())
    }

    fn check_trust(&self) -> Result<(), Failure> {
        let forbidden = |key: &&String| {
            NOT_IN_THE_CURRENT_FOLDER.contains(&key.as_str()) || CREDENTIAL_KEYS.contains(&key.as_str())
        };
        match self.tables().flat_map(Table::keys).find(forbidden) {
            None => Ok(()),
            Some(key) => {
                let path = self.path.display();
                let message =
                    format!("{path} is read because it lies in the current folder, so it may not set `{key}`");
                let hint = format!(
                    "if the file is yours, name it: `--config {path}`; or move `{key}` to your own \
                     configuration (~/.config/contactsync/config.toml)"
                );
                Err(Failure::usage(message).with_hint(hint))
            }
        }
    }

    fn check_mode(&self, mode: u32) -> Result<(), Failure> {
        match self.tables().find_map(secret_in) {
            Some(key) if mode & 0o077 != 0 => {
                let path = self.path.display();
                let message = format!("{path} holds a secret (`{key}`), and others can read or write it");
                Err(Failure::usage(message).with_hint(format!("`chmod 600 {path}`")))
            }
            _ => Ok(()),
        }
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        std::iter::once(&self.settings).chain(self.profiles.values())
    }
}

/// The key under which a table holds a secret.
fn secret_in(table: &Table) -> Option<&str> {
    let holds_password = |value: &Value| {
        let password = |url: Url| url.password().is_some_and(|password| !password.is_empty());
        value.as_str().is_some_and(|text| Url::parse(text).is_ok_and(password) || text.contains('@'))
    };
    table.iter().find_map(|(key, value)| {
        let secret = match key.as_str() {
            "api_key" | "api_secret" | "sandbox_api_key" | "sandbox_api_secret" => true,
            "proxy" | "base_url" | "otlp_endpoint" => holds_password(value),
            _ => false,
        };
        secret.then_some(key.as_str())
    })
}
