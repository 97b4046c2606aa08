use std::{fmt::Write, io};

use model::{escape_controls, limits::KNOWN_CONTACTS};

use crate::naming::near_miss;

/// Why inputs can't be used: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It can't be opened, or its beginning can't be read.
    #[error("{input}: {cause}")]
    Unreadable {
        /// As given.
        input: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder.
    #[error("{0}: is a folder, not a file")]
    Folder(String),
    /// The same file twice.
    #[error("{0}: is given twice, so its rows would be sent twice")]
    Twice(String),
    /// A format that is not read.
    #[error("{input}: is {format}, which can't be read")]
    Format {
        /// As given.
        input: String,
        /// In words.
        format: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// No column for the EUID.
    #[error("{input}: has no column {wanted:?}; its columns are: {}", list(columns))]
    NoEuid {
        /// As given.
        input: String,
        /// The column looked for.
        wanted: String,
        /// Those there are.
        columns: Vec<String>,
    },
    /// A CSV without even a header.
    #[error("{0}: is empty: not even a header")]
    Empty(String),
    /// Two columns of one name.
    #[error("{input}: columns {} and {} are both {name:?}, and only one can be sent; its columns are: {}", numbers.0, numbers.1, list(columns))]
    TwoColumns {
        /// As given.
        input: String,
        /// The name both have.
        name: String,
        /// Their positions.
        numbers: (usize, usize),
        /// Those there are.
        columns: Vec<String>,
    },
    /// Names given with `--contacts` that are in no column.
    #[error("{input}: has no column {}; its columns are: {}", list(missing), list(columns))]
    NoSuchColumns {
        /// As given.
        input: String,
        /// Names asked for.
        missing: Vec<String>,
        /// Those there are.
        columns: Vec<String>,
    },
    /// Columns or keys of which nobody said whether they are to be sent.
    #[error("{}", unknown(.0))]
    Unknown(Vec<UnknownColumns>),
    /// Reading broke off before the first record.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The header is no header.
    #[error("{input}: the header can't be read: {fault}")]
    Header {
        /// As given.
        input: String,
        /// What is wrong with it.
        fault: String,
    },
}

/// The unknown columns or keys of one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownColumns {
    /// As given.
    pub input: String,
    /// In order of appearance.
    pub names: Vec<String>,
}

impl OpenError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { .. } | Self::Folder(_) | Self::Twice(_) => None,
            Self::Format { hint, .. } => Some((*hint).to_owned()),
            Self::NoEuid { columns, wanted, .. } => Some(match near_miss(wanted, columns.iter().cloned()) {
                Some(near) => format!("name the column with the EUID: `--euid-column {near:?}`"),
                None => "name the column with the EUID: `--euid-column NAME`; for a file without a header: `--no-header --columns euid,…`; for another delimiter: `--delimiter`".to_owned(),
            }),
            Self::Empty(_) => Some("where an export may be empty, let it write its header".to_owned()),
            Self::TwoColumns { .. } => Some("rename one of them in the export".to_owned()),
            Self::NoSuchColumns { .. } => Some("check the names given with `--contacts`; `--map 'Column=name'` renames a column".to_owned()),
            Self::Unknown(inputs) => {
                let name = inputs.first().and_then(|input| input.names.first()).map_or("NAME", String::as_str);
                Some(format!(
                    "say what is sent: `--contacts mobile_phone,email` sends exactly these and ignores the rest, `--all-columns` sends all but the EUID; `--map {:?}` renames a column",
                    format!("{}=email", escape_controls(name))
                ))
            }
            Self::Read(error) => error.hint(),
            Self::Header { .. } => Some("check `--encoding` and `--delimiter`".to_owned()),
        }
    }
}

/// Why an input could not be read to its end. What was whole before was delivered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system, or the decompressor.
    #[error("{input}: could not be read to its end, from line {line} on: {cause}")]
    Broken {
        /// As given.
        input: String,
        /// The line at which the first record is missing.
        line: u64,
        /// What was said.
        cause: io::Error,
    },
    /// It changed while it was read.
    #[error("{input}: {what} while it was read, so it is most likely still being written; line {line} is not sent")]
    Changed {
        /// As given.
        input: String,
        /// The line of the unterminated last record, or of the end.
        line: u64,
        /// What changed.
        what: &'static str,
    },
    /// A JSON array stops being JSON, or text in its encoding, and what follows can't be told apart.
    #[error("{input}: is not JSON on line {line}: {fault}")]
    NotJson {
        /// As given.
        input: String,
        /// Where.
        line: u64,
        /// What is wrong.
        fault: String,
    },
}

impl ReadError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Broken { cause, .. } if cause.to_string().contains("too much memory") => {
                "part of it needs a window of more than 128 MiB; decompress it on the way: `zstd -dc --long=31 FILE | contactsync … -`".to_owned()
            }
            Self::Broken { .. } => "the file is damaged or was cut short: export or copy it again".to_owned(),
            Self::NotJson { .. } => "mend the export (`jq empty FILE` says where it is wrong); what follows such a place can't be told apart, so it is not sent".to_owned(),
            Self::Changed { .. } => "let the export write to another name and rename it when it is done".to_owned(),
        })
    }
}

fn list(names: &[String]) -> String {
    let mut text = String::new();
    for name in names.iter().take(50) {
        let separator = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{separator}{:?}", escape_controls(name));
    }
    if names.len() > 50 {
        let _ = write!(text, " and {} more", names.len() - 50);
    }
    text
}

fn unknown(inputs: &[UnknownColumns]) -> String {
    let mut text = String::new();
    for input in inputs {
        if !text.is_empty() {
            text.push('\n');
        }
        let plural = if input.names.len() == 1 { "a column that is" } else { "columns that are" };
        let _ = write!(text, "{}: has {plural} no known contact: {}", input.input, list(&input.names));
        for name in &input.names {
            if let Some(near) = near_miss(name, KNOWN_CONTACTS.map(str::to_owned)) {
                let _ = write!(text, " (did you mean {near:?} by {:?}?)", escape_controls(name));
            }
        }
    }
    text
}
