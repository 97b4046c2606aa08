use std::{io, path::PathBuf};

use crate::read::ReadError;

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
    /// A pipe or a device keeps nothing that could be resumed.
    #[error("a run can't be resumed from {}, which is a pipe or a device", .0.display())]
    NotResumable(PathBuf),
    /// It can't be read, or is no report.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its content isn't what its name says, so that nothing can be appended to it.
    #[error("the report {} is not written as its name says", .0.display())]
    OtherFormat(PathBuf),
    /// More of it is torn than a kill or a loss of power leaves: nothing is cut off.
    #[error("the report {} is damaged at byte {at}, long before its end", path.display())]
    Damaged {
        /// Where.
        path: PathBuf,
        /// The first byte that belongs to no whole record.
        at: u64,
    },
    /// The file beside a report is not what a run leaves there.
    #[error("{} is damaged, or was not written by this version", .0.display())]
    ForeignRun(PathBuf),
    /// Without it nobody knows what the report was made with.
    #[error("the report {} can't be resumed: {}.run is not there", .0.display(), .0.display())]
    WithoutRun(PathBuf),
    /// A check wrote it: it says which rows are valid, not which were sent.
    #[error("the report {} was written by `check` and can't be resumed: nothing in it was sent", .0.display())]
    OfCheck(PathBuf),
    /// A report that somebody writes can't be replayed: what fails now may be accepted in a moment.
    #[error("the report {} is being written", .0.display())]
    BeingWritten(PathBuf),
    /// A report to be replayed that holds no contacts.
    #[error("the report {} holds no contacts: record {record} is to be sent and has none", path.display())]
    WithoutContacts {
        /// Which report.
        path: PathBuf,
        /// Which record, from 1.
        record: u64,
    },
    /// A row is not the one that the report speaks of.
    #[error("row {row} of {origin} has the EUID {}, in the report {}; nothing was sent", quoted(here), quoted(there))]
    OtherEuid {
        /// The input as named.
        origin: String,
        /// The row.
        row: u64,
        /// The EUID in the input.
        here: String,
        /// The EUID in the report.
        there: String,
    },
    /// A row has another id than the report says. Ids are not shown: they are personal data.
    #[error("row {row} of {origin} has another id than in the report; nothing was sent")]
    OtherId {
        /// The input as named.
        origin: String,
        /// The row.
        row: u64,
    },
    /// The report has a row that the input doesn't have.
    #[error("the report has row {row} of {origin}, which the input doesn't have; nothing was sent")]
    MissingRow {
        /// The input as named.
        origin: String,
        /// The row.
        row: u64,
    },
}

fn quoted(euid: &str) -> String {
    model::excerpt(euid, model::limits::MAX_QUOTED_CHARS)
}

impl ReportError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::AlreadyExists(_) => {
                "go on with its run by `--resume`, choose another name with `--report`, or replace it with `--force`"
            }
            Self::Locked(_) => "wait for the other run, or choose another name with `--report`",
            Self::Open { .. } => "check that the folder exists and can be written to",
            Self::NotResumable(_) => "name a file with `--report`",
            Self::Read(error) => return error.hint(),
            Self::OtherFormat(_) => "give it back the ending it was written under, or choose another name",
            Self::Damaged { .. } => "restore the file, or begin another report under another name with `--report`",
            Self::ForeignRun(_) | Self::WithoutRun(_) => {
                "restore the file, or begin another report under another name with `--report`; what failed can be sent again with `contactsync replay`"
            }
            Self::OfCheck(_) => "choose another name with `--report`",
            Self::BeingWritten(_) => "wait for its run to end",
            Self::WithoutContacts { .. } => {
                "it was written with `--report-contacts never`: take the rows from the input instead"
            }
            Self::OtherEuid { .. } | Self::OtherId { .. } | Self::MissingRow { .. } => {
                "resume with the same input; for another one choose another name with `--report`"
            }
            Self::Write { .. } | Self::Replaced(_) => {
                "check the disk; rows after the last sync may have been sent without a record"
            }
        };
        Some(hint.to_owned())
    }
}
