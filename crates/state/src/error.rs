use std::{io, path::PathBuf};

/// Why a state can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There is no such file.
    #[error("there is no state {}", .0.display())]
    Missing(PathBuf),
    /// Another process uses it.
    #[error("the state {} is being used by another run", .0.display())]
    Locked(PathBuf),
    /// It can't be created or opened.
    #[error("the state {} can't be opened: {cause}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It can't be read.
    #[error("the state {} can't be read: {cause}", path.display())]
    Read {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It can't be written.
    #[error("the state {} can't be written: {cause}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file was removed or replaced under the run.
    #[error("the state {} was removed or replaced while it was used", .0.display())]
    Replaced(PathBuf),
    /// It is no state, or one of a later version.
    #[error("{} is no state of this version: {what}", path.display())]
    Foreign {
        /// Where.
        path: PathBuf,
        /// What it is instead.
        what: &'static str,
    },
    /// Part of it is missing, or not what was written.
    #[error("the state {} is damaged: {what}", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// What of it.
        what: &'static str,
    },
}

impl StateError {
    /// What can be done about it, where that isn't plain.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing(_) => "check the name; `push --state FILE` makes it",
            Self::Locked(_) => {
                "wait until the run ends, here with `--lock-wait 1h`; the lock goes with it, also where it is killed"
            }
            Self::Damaged { .. } => {
                "move it away: the next run then sends every row once and makes a new one. Don't put an older copy in its \
                 place: it takes old values for those that the service holds"
            }
            Self::Foreign { .. } => {
                "name the file of `--state`; where it is one of another version, move it away: the next run then sends \
                 every row once and makes a new one"
            }
            Self::Write { .. } => {
                "see that there is room for a second file of its size: a new one is written beside it and takes its place"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
