//! What the columns of a CSV are for.

use std::{collections::HashMap, sync::Arc};

use model::{Column, excerpt, limits::MAX_QUOTED_CHARS};

use crate::{
    error::{OpenError, UnknownColumns},
    naming::{Naming, Role},
};

/// The columns of a CSV, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// How many fields a record has.
    pub(crate) width: usize,
    /// Fields from here on have no name and must be blank.
    pub(crate) unnamed_from: usize,
    /// The EUID's field.
    pub(crate) euid: usize,
    /// Fields that are sent, each with its index in `columns`.
    pub(crate) sent: Vec<(usize, u32)>,
    /// The columns that are sent.
    pub(crate) columns: Arc<[Column]>,
    /// All headers, trimmed, for messages.
    pub(crate) headers: Vec<String>,
    /// Columns of which nobody said what they are for.
    pub(crate) unknown: Option<UnknownColumns>,
    /// Contacts that the user asked for and that are in no column.
    pub(crate) missing: Vec<String>,
}

impl Layout {
    pub(crate) fn new(input: &str, headers: Vec<String>, naming: &Naming) -> Result<Self, OpenError> {
        let width = headers.len();
        let unnamed_from = headers.iter().rposition(|header| !header.is_empty()).map_or(0, |last| last + 1);
        let mut euid = None;
        let mut sent = Vec::new();
        let mut columns = Vec::new();
        let mut unknown = Vec::new();
        let mut seen: HashMap<String, usize> = HashMap::new();
        for (index, header) in headers[..unnamed_from].iter().enumerate() {
            let mut sends = |name: &str| match seen.insert(name.to_owned(), index + 1) {
                None => Ok(()),
                Some(earlier) => Err(OpenError::TwoColumns {
                    input: input.to_owned(),
                    name: name.to_owned(),
                    numbers: (earlier, index + 1),
                    columns: headers.clone(),
                }),
            };
            match naming.role(header) {
                Role::Euid => {
                    sends(naming.euid_column())?;
                    euid = Some(index);
                }
                Role::Contact(name) => {
                    sends(&name)?;
                    sent.push((index, columns.len() as u32));
                    columns.push(Column {
                        name: (*name).into(),
                        header: header.as_str().into(),
                        number: Some(index as u32 + 1),
                    });
                }
                Role::Ignored => {}
                Role::Unknown if header.is_empty() => unknown.push(format!("(column {} has no name)", index + 1)),
                Role::Unknown => unknown.push(header.clone()),
            }
        }
        let Some(euid) = euid else {
            let wanted = naming.euid_column().to_owned();
            return Err(OpenError::NoEuid { input: input.to_owned(), wanted, columns: headers });
        };
        let missing: Vec<String> = naming
            .wanted()
            .iter()
            .filter(|name| !columns.iter().any(|column| *column.name == **name))
            .cloned()
            .collect();
        if !missing.is_empty() && sent.is_empty() {
            return Err(OpenError::NoSuchColumns { input: input.to_owned(), missing, columns: headers });
        }
        let unknown = (!unknown.is_empty()).then(|| UnknownColumns { input: input.to_owned(), names: unknown });
        Ok(Self { width, unnamed_from, euid, sent, columns: columns.into(), headers, unknown, missing })
    }

    /// What to tell of contacts that were asked for and are not there.
    pub(crate) fn missing_notice(&self, input: &str) -> Option<String> {
        let missing: Vec<String> = self.missing.iter().map(|name| format!("{name:?}")).collect();
        (!missing.is_empty()).then(|| format!("{input}: has no column {}, named in `--contacts`", missing.join(", ")))
    }

    /// A column in words, by its index.
    pub(crate) fn describe(&self, index: usize) -> String {
        match self.headers.get(index) {
            Some(header) if !header.is_empty() => {
                format!("column {} (column {})", excerpt(header, MAX_QUOTED_CHARS), index + 1)
            }
            _ => format!("column {}", index + 1),
        }
    }
}
