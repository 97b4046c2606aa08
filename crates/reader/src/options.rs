use std::{collections::BTreeMap, sync::Arc};

use model::IdentityKind;

use crate::{encoding::Encoding, raw::Meter};

/// How inputs are read.
#[derive(Debug, Clone)]
pub struct ReaderOptions {
    /// The format; none: by extension, else by the first byte.
    pub format: Option<Format>,
    /// The CSV delimiter; none: a tab for TSV, else told from the header line.
    pub delimiter: Option<u8>,
    /// What a backslash is in CSV; none: data, and what looks like an escape is told.
    pub escapes: Option<Escapes>,
    /// What a quote is in CSV; none: as [`ReaderOptions::quotes`] says.
    pub quotes: Option<Quotes>,
    /// Whether CSV has a header.
    pub header: Header,
    /// The encoding where no byte order mark tells it; none: UTF-8.
    pub encoding: Option<Encoding>,
    /// What rows are keyed by.
    pub key: RowKey,
    /// The column or key that holds it, found without regard to case.
    pub key_column: String,
    /// Columns that are renamed before anything else looks at them: header, name.
    pub map: Vec<(String, String)>,
    /// Which columns are contacts.
    pub selection: Selection,
    /// Missing fields are empty, and empty extra ones are dropped.
    pub flexible: bool,
    /// Keep a BLAKE3 of the bytes read.
    pub digest: bool,
    /// By input: of how many bytes at its beginning a further digest is kept ([`crate::Position::at_mark`]).
    pub marks: Arc<BTreeMap<String, u64>>,
}

impl ReaderOptions {
    /// What a quote is: databases that escape with backslashes put nothing in quotes unless they are told to.
    pub fn quotes(&self) -> Quotes {
        let usual = if self.escapes == Some(Escapes::Backslash) { Quotes::None } else { Quotes::Double };
        self.quotes.unwrap_or(usual)
    }

    /// The options among them that nothing but delimited text obeys, as they are given.
    pub(crate) fn of_delimited_text(&self) -> impl Iterator<Item = &'static str> {
        [
            (self.delimiter.is_some(), "`--delimiter`"),
            (self.escapes.is_some(), "`--escape`"),
            (self.quotes.is_some(), "`--quote`"),
            (self.header != Header::Present, "`--no-header`"),
        ]
        .into_iter()
        .filter_map(|(is_given, option)| is_given.then_some(option))
    }

    pub(crate) fn meter(&self, input: &str) -> Arc<Meter> {
        Meter::new(self.digest, self.marks.get(input).copied().unwrap_or(0))
    }
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            format: None,
            delimiter: None,
            escapes: None,
            quotes: None,
            header: Header::Present,
            encoding: None,
            key: RowKey::Euid,
            key_column: RowKey::Euid.usual_column().to_owned(),
            map: Vec::new(),
            selection: Selection::Known,
            flexible: false,
            digest: false,
            marks: Arc::default(),
        }
    }
}

/// What says whom a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKey {
    /// The EUID.
    Euid,
    /// An id of the organisation's own.
    Id(IdentityKind),
}

impl RowKey {
    /// The column that holds it, where nothing else is said.
    pub fn usual_column(self) -> &'static str {
        match self {
            Self::Euid => "euid",
            Self::Id(kind) => kind.as_str(),
        }
    }

    /// The option that names another column.
    pub(crate) fn option(self) -> &'static str {
        match self {
            Self::Euid => "--euid-column",
            Self::Id(_) => "--id-column",
        }
    }

    /// What people call it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Euid => "EUID",
            Self::Id(_) => "id",
        }
    }
}

/// A format of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Delimited text.
    Csv,
    /// Delimited by tabs.
    Tsv,
    /// A JSON object a line.
    Ndjson,
    /// A JSON array of objects.
    Json,
}

/// What a backslash is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// Data.
    None,
    /// What it stands before is part of a value, or with it stands for something else: `\t`, `\n`, `\\`; a field `\N` is null.
    Backslash,
}

/// What a quote is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quotes {
    /// Data.
    None,
    /// A field that begins with one goes on to the next, and two stand for one.
    Double,
}

/// Where the names of CSV columns come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Header {
    /// The first record.
    Present,
    /// The user.
    Absent {
        /// Their names, in order.
        columns: Vec<String>,
    },
}

/// Which columns and flat keys are contacts. Keys inside `contacts` always are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// The four known ones; any other must be decided on by the user.
    Known,
    /// Exactly these; others are ignored.
    Exactly(Vec<String>),
    /// All but that of the key.
    All,
}
