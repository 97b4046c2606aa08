use std::process::{Command, Stdio};

use secrecy::SecretString;
use toml::{Table, Value};
use zeroize::Zeroizing;

use super::secret::{SecretVariables, without_line_end};
use crate::{
    failure::Failure,
    layers::{Layers, Source},
};

/// The pair that belongs to an API data source.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// API key.
    pub(crate) key: SecretString,
    /// API secret.
    pub(crate) secret: SecretString,
    /// Things to warn of.
    pub(crate) warnings: Vec<String>,
}

impl Credentials {
    /// Looks them up in the environment, then in the files.
    pub(crate) fn look_up(layers: &Layers) -> Result<Self, Failure> {
        let mut warnings = Vec::new();
        let key = Credential::KEY.look_up(layers, &mut warnings)?;
        let secret = Credential::SECRET.look_up(layers, &mut warnings)?;
        match (key, secret) {
            (Some((key, _)), Some((secret, _))) => Ok(Self { key, secret, warnings }),
            (key, secret) => {
                let missing = [(key.is_none(), &Credential::KEY), (secret.is_none(), &Credential::SECRET)];
                let missing: Vec<&str> =
                    missing.iter().filter(|(is, _)| *is).map(|(_, it)| it.variables.variable).collect();
                let verb = if missing.len() == 1 { "is" } else { "are" };
                let message = format!("no credentials: {} {verb} not set", missing.join(" and "));
                let hint = "set them to the key and the secret of the API data source, or name files that hold them in \
                            ENGAGELAB_MA_API_KEY_FILE and ENGAGELAB_MA_API_SECRET_FILE\n\
                            to try without credentials: `--sandbox`";
                Err(Failure::usage(message).with_hint(hint.to_owned()))
            }
        }
    }

    /// The key where it is at hand: in the environment, a file or the configuration. No command is run for it and no keyring
    /// asked, and what is wrong with it is said once it is needed.
    pub(crate) fn key_at_hand(layers: &Layers) -> Option<SecretString> {
        let key = Credential::KEY;
        let must_be_asked_for =
            |table: &Table| [key.command_key, key.keyring_key].iter().any(|it| table.contains_key(*it));
        match key.source(layers).ok()?? {
            Source::Environment(_) => {}
            _ if key.section(layers).is_none_or(|(_, table)| must_be_asked_for(table)) => return None,
            _ => {}
        }
        let (key, _) = key.look_up(layers, &mut Vec::new()).ok()??;
        Some(key)
    }

    /// Where they are set, without looking at them: for showing.
    pub(crate) fn sources(layers: &Layers) -> Result<[(&'static str, Option<Source>); 2], Failure> {
        let [key, secret] = [Credential::KEY, Credential::SECRET];
        Ok([(key.config_key, key.source(layers)?), (secret.config_key, secret.source(layers)?)])
    }
}

/// One of the two, by its names.
struct Credential {
    variables: SecretVariables,
    config_key: &'static str,
    command_key: &'static str,
    keyring_key: &'static str,
}

impl Credential {
    const KEY: Self = Self {
        variables: SecretVariables { variable: "ENGAGELAB_MA_API_KEY", file_variable: "ENGAGELAB_MA_API_KEY_FILE" },
        config_key: "api_key",
        command_key: "api_key_command",
        keyring_key: "api_key_keyring",
    };
    const SECRET: Self = Self {
        variables: SecretVariables {
            variable: "ENGAGELAB_MA_API_SECRET",
            file_variable: "ENGAGELAB_MA_API_SECRET_FILE",
        },
        config_key: "api_secret",
        command_key: "api_secret_command",
        keyring_key: "api_secret_keyring",
    };

    fn look_up(&self, layers: &Layers, warnings: &mut Vec<String>) -> Result<Option<(SecretString, Source)>, Failure> {
        let Some(source) = self.source(layers)? else { return Ok(None) };
        let secret = match &source {
            Source::Environment(_) => self.variables.read(layers.environment(), warnings)?,
            _ => match self.section(layers) {
                Some((_, table)) => self.read_section(table, &source)?,
                None => return Ok(None),
            },
        };
        if secret.is_empty() {
            return Err(Failure::usage(format!("`{}` is empty, as {source} has it", self.config_key)));
        }
        Ok(Some((SecretString::from(secret.as_str()), source)))
    }

    fn source(&self, layers: &Layers) -> Result<Option<Source>, Failure> {
        let set = self.variables.source(layers.environment())?;
        Ok(set.or_else(|| self.section(layers).map(|(source, _)| source)))
    }

    fn section<'a>(&self, layers: &'a Layers) -> Option<(Source, &'a Table)> {
        let keys = [self.config_key, self.command_key, self.keyring_key];
        layers.sections().find(|(_, table)| keys.iter().any(|key| table.contains_key(*key)))
    }

    fn read_section(&self, table: &Table, source: &Source) -> Result<Zeroizing<String>, Failure> {
        let given =
            [self.config_key, self.command_key, self.keyring_key].map(|key| table.get(key).map(|value| (key, value)));
        let mut given = given.into_iter().flatten();
        let (Some((key, value)), second) = (given.next(), given.next()) else { return Ok(Zeroizing::default()) };
        if let Some((second, _)) = second {
            return Err(Failure::usage(format!("{source} has both `{key}` and `{second}`")));
        }
        match value {
            value if key == self.command_key => self.read_command(value, source),
            Value::String(entry) if key == self.keyring_key => keyring::read(key, entry),
            Value::String(text) => Ok(Zeroizing::new(text.clone())),
            _ => Err(Failure::usage(format!("`{key}` in {source} is not a text"))),
        }
    }

    fn read_command(&self, command: &Value, source: &Source) -> Result<Zeroizing<String>, Failure> {
        let key = self.command_key;
        let words: Option<Vec<&str>> = command.as_array().and_then(|words| words.iter().map(Value::as_str).collect());
        let Some([program, arguments @ ..]) = words.as_deref() else {
            let hint = format!("write it as {key} = [\"pass\", \"show\", \"engagelab\"]");
            return Err(Failure::usage(format!("`{key}` in {source} is not a list of words")).with_hint(hint));
        };
        // Standard input may be the data.
        let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| Failure::usage(format!("`{key}`: {program} can't be run: {error}")))?;
        let told = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(Failure::usage(format!("`{key}`: {program} ended with {}", output.status)));
        }
        let text = std::str::from_utf8(&told)
            .map_err(|_| Failure::usage(format!("`{key}`: {program} wrote something that is not UTF-8")))?;
        Ok(without_line_end(text))
    }
}

#[cfg(feature = "keyring")]
mod keyring {
    use zeroize::Zeroizing;

    use crate::failure::Failure;

    /// Under which name entries are kept.
    const SERVICE: &str = "contactsync";

    /// Reads an entry of the system's keyring.
    pub(super) fn read(key: &str, entry: &str) -> Result<Zeroizing<String>, Failure> {
        let read = ::keyring::v1::Entry::new(SERVICE, entry).and_then(|entry| entry.get_password());
        read.map(Zeroizing::new).map_err(|error| {
            let hint = format!("the entry has the service `{SERVICE}` and the user name `{entry}`");
            Failure::usage(format!("`{key}`: the keyring doesn't tell it: {error}")).with_hint(hint)
        })
    }
}

#[cfg(not(feature = "keyring"))]
mod keyring {
    use zeroize::Zeroizing;

    use crate::failure::Failure;

    /// This build knows no keyring.
    pub(super) fn read(key: &str, _: &str) -> Result<Zeroizing<String>, Failure> {
        let hint = "build it with `--features keyring`, or name a command that tells the secret".to_owned();
        Err(Failure::usage(format!("`{key}` needs the feature `keyring`, which this build lacks")).with_hint(hint))
    }
}
