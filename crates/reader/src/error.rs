mod words;

use std::io;

use model::{IdentityKind, shown_name, shown_names};

use self::words::{
    by_near_miss, by_renaming, identify_by, identity_among, ids_of_sheet, list_missing, no_key, not_sent, same_name,
    twice, unknown,
};
use crate::{
    asked::AskedName,
    naming::{IDENTIFY_BY, Naming},
    options::RowKey,
};

/// Why inputs can't be used: nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It can't be opened, or its beginning can't be read.
    #[error("{input}: can't be read: {cause}")]
    Unreadable {
        /// As given.
        input: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It is not there.
    #[error("{0}: there is no such file")]
    Missing(String),
    /// A link to something that is not there.
    #[error("{input}: is a link to {target}, which is not there")]
    DanglingLink {
        /// As given.
        input: String,
        /// Where the link points to.
        target: String,
    },
    /// A folder.
    #[error("{0}: is a folder, not a file")]
    Folder(String),
    /// A socket.
    #[error("{0}: is a socket, which can't be read as a file")]
    Socket(String),
    /// The same file or pipe twice, perhaps under two names.
    #[error("{}", twice(.input, .earlier))]
    Twice {
        /// As given.
        input: String,
        /// As given before.
        earlier: String,
    },
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
    /// No column for what rows are keyed by.
    #[error(
        "{input}: has no column {}{}; its columns are: {}{}",
        shown_name(wanted),
        by_renaming(renamed.as_deref()),
        shown_names(columns),
        by_near_miss(misspelt)
    )]
    NoKey {
        /// As given.
        input: String,
        /// The EUID, or an id.
        key: RowKey,
        /// The column looked for.
        wanted: String,
        /// Names given in options that a column is a near miss of.
        misspelt: Vec<MissingName>,
        /// The column of that name, where `--map` gives it another, and that.
        renamed: Option<Box<(String, String)>>,
        /// Those there are.
        columns: Vec<String>,
    },
    /// A sheet of rows to be mended whose own column, of another meaning, is named as the key.
    #[error("{input}: is a sheet of `report --csv`, whose column {} is its own and holds no {}", shown_name(column), key.word())]
    KeyOfSheet {
        /// As given.
        input: String,
        /// The EUID, or an id.
        key: RowKey,
        /// The column.
        column: String,
        /// Those there are.
        columns: Vec<String>,
    },
    /// A CSV without even a header.
    #[error("{0}: is empty: not even a header")]
    Empty(String),
    /// One of these, of an input that a list names.
    #[error("{list}, line {place}: {error}")]
    Listed {
        /// The list.
        list: String,
        /// The line.
        place: u64,
        /// What is wrong.
        error: Box<OpenError>,
    },
    /// Two columns of one name.
    #[error("{input}: columns {} and {} are both {}, and only one can be sent; its columns are: {}", numbers.0, numbers.1, same_name(name, columns), shown_names(columns))]
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
    /// Names given in options that no input has.
    #[error("{}; the columns and keys there are: {}", list_missing(missing), shown_names(columns))]
    NoSuchNames {
        /// The names.
        missing: Vec<MissingName>,
        /// Columns and keys that were looked at.
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
    /// What rows are keyed by.
    key: RowKey,
    /// The column that holds it, which one of them may be a misspelling of.
    key_column: String,
    /// Whether it is there.
    has_key: bool,
}

impl UnknownColumns {
    pub(crate) fn new(input: &str, names: Vec<String>, has_key: bool, naming: &Naming) -> Self {
        let (key, key_column) = (naming.key(), naming.key_column().to_owned());
        Self { input: input.to_owned(), names, key, key_column, has_key }
    }
}

impl UnknownColumns {
    /// The kind of ids that one of them is named as, where nothing else says whom a row is of.
    fn identity(&self) -> Option<IdentityKind> {
        if self.has_key || self.key != RowKey::Euid { None } else { identity_among(&self.names) }
    }
}

/// A name that an option gives and no input has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingName {
    /// The name and its option.
    pub asked: AskedName,
    /// The column or key that was most likely meant.
    pub near: Option<String>,
}

impl OpenError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unreadable { cause, .. } if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some("let the user that runs this read it, and enter the folders above it".to_owned())
            }
            Self::Unreadable { .. } | Self::Socket(_) => None,
            Self::Missing(input) if input.contains(['*', '?']) => {
                Some("no file's name is like this pattern, so the shell left it as it is".to_owned())
            }
            Self::Missing(_) => Some(
                "check the spelling; a name without a leading / is looked for from the current folder on".to_owned(),
            ),
            Self::Listed { error, .. } => match &**error {
                Self::Missing(input) if input.contains(['*', '?']) || input.starts_with('~') => {
                    Some("a list holds names as they are: no pattern and no ~ is replaced in it".to_owned())
                }
                Self::Missing(_) => Some(
                    "a list holds names of inputs, one a line; an input itself is named without `--files-from`"
                        .to_owned(),
                ),
                error => error.hint(),
            },
            Self::DanglingLink { .. } => Some("check whether what it points to was moved or removed".to_owned()),
            Self::Folder(folder) => {
                let folder = folder.trim_end_matches('/');
                Some(format!(
                    "name the files in it, for example all CSVs: {}/*.csv",
                    if folder.is_empty() { "" } else { folder }
                ))
            }
            Self::Twice { .. } => Some("its rows would be sent twice: name it once".to_owned()),
            Self::Format { hint, .. } => Some((*hint).to_owned()),
            Self::NoKey { key, renamed: Some(renamed), .. } => Some(format!(
                "leave out the `--map` of {}, or name the column with the {} as it is called then: `{} {}`",
                shown_name(&renamed.0),
                key.word(),
                key.option(),
                shown_name(&renamed.1)
            )),
            Self::NoKey { columns, key, wanted, .. } => Some(no_key(*key, wanted, columns)),
            Self::KeyOfSheet { key: RowKey::Euid, .. } => {
                Some("the EUIDs stand in its column `euid`: leave out `--euid-column`".to_owned())
            }
            Self::KeyOfSheet { columns, .. } => Some(
                ids_of_sheet(columns)
                    .unwrap_or_else(|| "it holds no ids: push it by its EUIDs, without `--identify-by`".to_owned()),
            ),
            Self::Empty(_) => Some("where an export may be empty, let it write its header".to_owned()),
            Self::TwoColumns { .. } => Some("rename one of them in the export".to_owned()),
            Self::NoSuchNames { missing, .. } => {
                let is_id = |missing: &&MissingName| missing.asked.option == IDENTIFY_BY;
                if let Some(near) = missing.iter().find(is_id).and_then(|missing| missing.near.as_ref()) {
                    return Some(format!("name the key with the id: `--id-column {}`", shown_name(near)));
                }
                Some("a mistyped name would leave contacts out: correct it, or leave out what no input has".to_owned())
            }
            Self::Unknown(inputs) => {
                let key = inputs.first().map_or(RowKey::Euid, |input| input.key);
                let by_id = inputs.iter().find_map(UnknownColumns::identity);
                let lacks_id = key != RowKey::Euid && inputs.iter().any(|input| !input.has_key);
                let first = match by_id {
                    Some(kind) => format!("{}; or ", identify_by(kind)),
                    None if lacks_id => "where another key holds the id: `--id-column NAME`; or ".to_owned(),
                    None => String::new(),
                };
                // What may be whom a row is of is never proposed as a contact.
                let is_euid = |name: &&String| name.eq_ignore_ascii_case(RowKey::Euid.usual_column());
                let name = inputs.iter().flat_map(|input| &input.names).find(|name| !is_euid(name));
                let map = name.filter(|_| !lacks_id).map_or_else(String::new, |name| {
                    let name = shown_name(name);
                    format!("; `--map {}=email\"` renames a column", name.strip_suffix('"').unwrap_or(&name))
                });
                let rest = if key == RowKey::Euid { "EUID" } else { "id and an EUID beside it" };
                Some(format!(
                    "{first}say what is sent: `--contacts mobile_phone,email` sends exactly these and ignores the rest, `--all-columns` sends all but the {rest}{map}"
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
    #[error("{input}: {what} while it was read, so it is most likely still being written; {}", not_sent(*.line))]
    Changed {
        /// As given.
        input: String,
        /// The line of the unterminated last record, or of the end; none where nothing was sent.
        line: Option<u64>,
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
