use std::{io, path::PathBuf};

/// Why a report can't be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// There is a file of that name already.
    #[error("the report {} exists already", .0.display())]
    AlreadyExists(PathBuf),
    /// Another process writes it.
    #[error("the report {} is being written by another run", .0.display())]
    Locked(PathBuf),
    /// It can't be created or opened.
    #[error("the report {} can't be opened: {cause}", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It can't be written or synced any more.
    #[error("the report {} can't be written: {cause}", path.display())]
    Write {
        /// Where.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file was removed or replaced under the run.
    #[error("the report {} was removed or replaced while it was written", .0.display())]
    Replaced(PathBuf),
}

impl ReportError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::AlreadyExists(_) => "choose another name with `--report`, or replace it with `--force`",
            Self::Locked(_) => "wait for the other run, or choose another name with `--report`",
            Self::Open { .. } => "check that the folder exists and can be written to",
            Self::Write { .. } | Self::Replaced(_) => {
                "check the disk; rows after the last sync may have been sent without a record"
            }
        };
        Some(hint.to_owned())
    }
}
