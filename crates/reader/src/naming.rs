//! What a column or key is called, and what becomes of it.

use std::{borrow::Cow, sync::Arc};

use model::{Column, limits::KNOWN_CONTACTS};

use crate::options::{ReaderOptions, Selection};

/// What a column or flat key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// The EUID.
    Euid,
    /// A contact, sent under this name.
    Contact(Cow<'a, str>),
    /// Nothing: the user said which ones are sent.
    Ignored,
    /// Nobody said.
    Unknown,
}

/// The rules that name columns, from the options.
#[derive(Debug, Clone)]
pub(crate) struct Naming {
    euid_column: String,
    map: Vec<(String, String)>,
    selection: Selection,
}

impl Naming {
    pub(crate) fn new(options: &ReaderOptions) -> Self {
        let selection = match &options.selection {
            Selection::Exactly(names) => {
                Selection::Exactly(names.iter().map(|name| documented(name.trim()).into_owned()).collect())
            }
            other => other.clone(),
        };
        let map = options.map.iter().map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned())).collect();
        Self { euid_column: options.euid_column.trim().to_owned(), map, selection }
    }

    /// The name of a header or key: trimmed, renamed, known contacts in their documented spelling.
    pub(crate) fn name<'a>(&'a self, header: &'a str) -> Cow<'a, str> {
        documented(self.renamed(header.trim()))
    }

    /// The name of a key inside `contacts`: such keys stand as they are, but for renaming and known names.
    pub(crate) fn nested_name<'a>(&'a self, key: &'a str) -> Cow<'a, str> {
        documented(self.renamed(key))
    }

    /// What a header or key is for.
    pub(crate) fn role<'a>(&'a self, header: &'a str) -> Role<'a> {
        let name = self.name(header);
        if name.eq_ignore_ascii_case(&self.euid_column) {
            return Role::Euid;
        }
        match &self.selection {
            Selection::Known if KNOWN_CONTACTS.contains(&&*name) => Role::Contact(name),
            Selection::Known => Role::Unknown,
            Selection::Exactly(names) if names.iter().any(|wanted| *wanted == name) => Role::Contact(name),
            Selection::Exactly(_) => Role::Ignored,
            Selection::All => Role::Contact(name),
        }
    }

    /// Names that the user asked for one by one.
    pub(crate) fn wanted(&self) -> &[String] {
        match &self.selection {
            Selection::Exactly(names) => names,
            _ => &[],
        }
    }

    /// The EUID's column.
    pub(crate) fn euid_column(&self) -> &str {
        &self.euid_column
    }

    /// Columns for keys that come up often, so that their names are shared.
    pub(crate) fn usual_columns(&self) -> Arc<[Column]> {
        let wanted = self.wanted().iter().map(String::as_str);
        let others = KNOWN_CONTACTS.into_iter().filter(|name| !self.wanted().iter().any(|wanted| wanted == name));
        let column = |name: &str| Column { name: name.into(), header: name.into(), number: None };
        wanted.chain(others).map(column).collect()
    }

    fn renamed<'a>(&'a self, header: &'a str) -> &'a str {
        if self.map.is_empty() {
            return header;
        }
        let exact = self.map.iter().find(|(from, _)| from == header);
        exact.or_else(|| self.only_one_without_regard_to_case(header)).map_or(header, |(_, to)| to)
    }

    fn only_one_without_regard_to_case(&self, header: &str) -> Option<&(String, String)> {
        let mut found = self.map.iter().filter(|(from, _)| from.eq_ignore_ascii_case(header));
        let first = found.next();
        if found.next().is_some() { None } else { first }
    }
}

fn documented(name: &str) -> Cow<'_, str> {
    KNOWN_CONTACTS.into_iter().find(|known| known.eq_ignore_ascii_case(name)).map_or(Cow::Borrowed(name), Cow::Borrowed)
}

/// The known name that an unknown one was most likely meant to be.
pub(crate) fn near_miss(name: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    let plain = |text: &str| -> String { text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect() };
    let name = plain(name);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&name, &plain(&candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 6)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(selection: Selection, map: &[(&str, &str)]) -> Naming {
        let map = map.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Naming::new(&ReaderOptions { map, selection, ..ReaderOptions::default() })
    }

    #[test]
    fn known_names_are_found_without_regard_to_case() {
        let naming = naming(Selection::Known, &[("E-mail Address", "email"), ("Id", "euid")]);
        assert_eq!(naming.role(" EUID "), Role::Euid);
        assert_eq!(naming.role("ID"), Role::Euid);
        assert_eq!(naming.role("Mobile_Phone"), Role::Contact("mobile_phone".into()));
        assert_eq!(naming.role("e-mail address"), Role::Contact("email".into()));
        assert_eq!(naming.role("name"), Role::Unknown);
    }

    #[test]
    fn the_user_decides_what_is_sent() {
        let exactly = naming(Selection::Exactly(vec!["EMAIL".into(), "my_name".into()]), &[]);
        assert_eq!(exactly.role("email"), Role::Contact("email".into()));
        assert_eq!(exactly.role("my_name"), Role::Contact("my_name".into()));
        assert_eq!(exactly.role("mobile_phone"), Role::Ignored);
        assert_eq!(naming(Selection::All, &[]).role("x"), Role::Contact("x".into()));
    }

    #[test]
    fn near_misses() {
        let known = || KNOWN_CONTACTS.map(str::to_owned);
        assert_eq!(near_miss("emial", known()).as_deref(), Some("email"));
        assert_eq!(near_miss("E-Mail", known()).as_deref(), Some("email"));
        assert_eq!(near_miss("mobilephone", known()).as_deref(), Some("mobile_phone"));
        assert_eq!(near_miss("name", known()), None);
    }
}
