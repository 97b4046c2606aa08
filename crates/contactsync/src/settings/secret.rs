use std::{fs::File, io::Read, os::unix::fs::PermissionsExt, path::Path};

use zeroize::Zeroizing;

use crate::{
    failure::Failure,
    layers::{Environment, Source},
};

/// A key, secret or password is never longer.
const MOST_BYTES: u64 = 64 << 10;

/// Where container runtimes and systemd put secrets for a process.
const HANDED_OVER: [&str; 2] = ["/run/secrets", "/run/credentials"];

/// Where the environment holds a secret.
#[derive(Debug, Clone, Copy)]
pub(super) struct SecretVariables {
    /// The variable that holds it.
    pub(super) variable: &'static str,
    /// The variable that names a file which holds it.
    pub(super) file_variable: &'static str,
}

impl SecretVariables {
    /// Which of the two is set; exit 2 where both are.
    pub(super) fn source(&self, environment: &Environment) -> Result<Option<Source>, Failure> {
        let name = match (environment.is_set(self.variable), environment.is_set(self.file_variable)) {
            (true, true) => {
                let message = format!("{} and {} are both set", self.variable, self.file_variable);
                return Err(Failure::usage(message).with_hint("unset the one that doesn't hold".to_owned()));
            }
            (true, false) => self.variable,
            (false, true) => self.file_variable,
            (false, false) => return Ok(None),
        };
        Ok(Some(Source::Environment(name.to_owned())))
    }

    /// What the one that is set holds, without the end of its line. Warnings are added to `warnings`.
    pub(super) fn read(
        &self,
        environment: &Environment,
        warnings: &mut Vec<String>,
    ) -> Result<Zeroizing<String>, Failure> {
        if let Some(text) = environment.text(self.variable)? {
            return Ok(Zeroizing::new(text));
        }
        let path = environment.path(self.file_variable).unwrap_or_default();
        let (text, mode) = read_file(&path).map_err(|error| {
            Failure::usage(format!("{} names {}, which can't be read: {error}", self.file_variable, path.display()))
        })?;
        // Secrets that a container's runtime mounts are often readable by all who are in there, so this is no error; what systemd
        // hands to a unit is nobody else's, though the mode of its file shows the unit's own leave as that of a group.
        let is_handed_over = HANDED_OVER.iter().any(|folder| path.starts_with(folder));
        if mode & 0o077 != 0 && !is_handed_over {
            warnings.push(format!("{} holds a secret and can be read by others: `chmod 600` it", path.display()));
        }
        Ok(without_line_end(&text))
    }
}

/// What somebody wrote as a line of its own.
pub(super) fn without_line_end(text: &str) -> Zeroizing<String> {
    Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_file(path: &Path) -> std::io::Result<(Zeroizing<String>, u32)> {
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = Zeroizing::new(String::new());
    file.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok((text, mode))
}
