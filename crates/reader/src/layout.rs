//! What the columns of a CSV are for.

use std::{collections::HashMap, sync::Arc};

use model::{Column, shown_name};

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
    /// The key's field: the EUID's, or an id's.
    pub(crate) key: usize,
    /// Fields that are sent, each with its index in `columns`.
    pub(crate) sent: Vec<(usize, u32)>,
    /// The columns that are sent.
    pub(crate) columns: Arc<[Column]>,
    /// All headers, trimmed, for messages.
    pub(crate) headers: Vec<String>,
    /// Columns of which nobody said what they are for.
    pub(crate) unknown: Option<UnknownColumns>,
}

impl Layout {
    pub(crate) fn new(input: &str, headers: Vec<String>, naming: &Naming) -> Result<Self, OpenError> {
        let width = headers.len();
        let unnamed_from = headers.iter().rposition(|header| !header.is_empty()).map_or(0, |last| last + 1);
        let mut key = None;
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
                Role::Key => {
                    sends(naming.key_column())?;
                    key = Some(index);
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
                Role::Unknown => unknown.push(index),
            }
        }
        let Some(key) = key else {
            return Err(OpenError::NoKey {
                input: input.to_owned(),
                key: naming.key(),
                wanted: naming.key_column().to_owned(),
                misspelt: naming.misspelt(&headers),
                renamed: naming.renamed_away(&headers).map(|(from, to)| Box::new((from.to_owned(), to.to_owned()))),
                columns: headers,
            });
        };
        let name = |index: usize| match headers[index].as_str() {
            "" => format!("(column {} has no name)", index + 1),
            name => name.to_owned(),
        };
        let unknown = (!unknown.is_empty())
            .then(|| UnknownColumns::new(input, unknown.into_iter().map(name).collect(), true, naming));
        Ok(Self { width, unnamed_from, key, sent, columns: columns.into(), headers, unknown })
    }

    /// A column in words, by its index.
    pub(crate) fn describe(&self, index: usize) -> String {
        match self.headers.get(index) {
            Some(header) if !header.is_empty() => format!("column {} (column {})", shown_name(header), index + 1),
            _ => format!("column {}", index + 1),
        }
    }
}
