//! What a column or key is called, and what becomes of it.

use std::{borrow::Cow, sync::Arc};

use model::{Column, limits::KNOWN_CONTACTS};

use crate::{
    asked::{AskedName, AskedNames, near_miss},
    error::MissingName,
    options::{ReaderOptions, RowKey, Selection},
};

const CONTACTS: &str = "--contacts";
const MAP: &str = "--map";
pub(crate) const IDENTIFY_BY: &str = "--identify-by";

/// What a column or flat key is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role<'a> {
    /// The key: the EUID, or an id.
    Key,
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
    key: RowKey,
    key_column: String,
    /// The option that names it.
    key_option: &'static str,
    map: Vec<(String, String)>,
    selection: Selection,
    /// The names above, and which of them came up.
    asked: AskedNames,
}

impl Naming {
    pub(crate) fn new(options: &ReaderOptions) -> Self {
        let mut asked: Vec<AskedName> = Vec::new();
        let mut ask = |option, name: &str| {
            let name = AskedName { option, name: name.to_owned() };
            if !asked.contains(&name) {
                asked.push(name);
            }
        };
        let selection = match &options.selection {
            Selection::Exactly(names) => {
                Selection::Exactly(names.iter().map(|name| documented(name.trim()).into_owned()).collect())
            }
            other => other.clone(),
        };
        if let Selection::Exactly(names) = &selection {
            for name in names {
                ask(CONTACTS, name);
            }
        }
        let map: Vec<(String, String)> =
            options.map.iter().map(|(from, to)| (from.trim().to_owned(), to.trim().to_owned())).collect();
        for (from, _) in &map {
            ask(MAP, from);
        }
        let key_column = options.key_column.trim().to_owned();
        let is_named = options.key_column != options.key.usual_column();
        let key_option = if is_named { options.key.option() } else { IDENTIFY_BY };
        // An id is looked for under the name of its kind by who says the kind.
        if is_named || options.key != RowKey::Euid {
            ask(key_option, &key_column);
        }
        Self { key: options.key, key_column, key_option, map, selection, asked: AskedNames::new(asked) }
    }

    /// The names that the user gave, and which of them came up.
    pub(crate) fn asked(&self) -> &AskedNames {
        &self.asked
    }

    /// Whether the user named this header or key, so that it is no misspelling of another.
    pub(crate) fn is_asked(&self, header: &str) -> bool {
        let header = header.trim();
        let name = documented(header);
        self.mapping(header).is_some()
            || self.wanted().iter().any(|wanted| **wanted == *name)
            || name.eq_ignore_ascii_case(&self.key_column)
    }

    /// The name of a header or key: trimmed, renamed, known contacts in their documented spelling.
    pub(crate) fn name<'a>(&'a self, header: &'a str) -> Cow<'a, str> {
        documented(self.renamed(header.trim()))
    }

    /// The name of a key inside `contacts`: such keys stand as they are, but for renaming and known names.
    pub(crate) fn nested_name<'a>(&'a self, key: &'a str) -> Cow<'a, str> {
        let name = documented(self.renamed(key));
        self.asked.saw(CONTACTS, &name);
        name
    }

    /// The names that came up nowhere until now and that one of these headers or keys is a near miss of; but for what an id is
    /// called where nothing is said of that.
    pub(crate) fn misspelt(&self, headers: &[String]) -> Vec<MissingName> {
        let named = self.asked.unseen().into_iter().filter(|asked| asked.option != IDENTIFY_BY);
        let missing = named.map(|asked| self.missing(asked, headers));
        missing.filter(|missing| missing.near.is_some()).collect()
    }

    /// A name that came up nowhere, with the header or key that was most likely meant: none that the user named too.
    pub(crate) fn missing(&self, asked: &AskedName, headers: &[String]) -> MissingName {
        let others = headers.iter().filter(|header| !self.is_asked(header));
        MissingName { asked: asked.clone(), near: near_miss(&asked.name, others).cloned() }
    }

    /// The header that is called as the key was to be, and the name that `--map` gives it instead.
    pub(crate) fn renamed_away<'a>(&'a self, headers: &'a [String]) -> Option<(&'a str, &'a str)> {
        let header = headers.iter().find(|header| header.eq_ignore_ascii_case(&self.key_column))?;
        self.mapping(header).map(|(_, to)| (header.as_str(), to.as_str()))
    }

    /// Whether this is the header or key of what rows are keyed by. What is looked at in this way counts as nothing that came up.
    pub(crate) fn is_key(&self, header: &str) -> bool {
        let header = header.trim();
        self.mapping(header).map_or(header, |(_, to)| to).eq_ignore_ascii_case(&self.key_column)
    }

    /// What a header or key is for.
    pub(crate) fn role<'a>(&'a self, header: &'a str) -> Role<'a> {
        let name = self.name(header);
        if name.eq_ignore_ascii_case(&self.key_column) {
            self.asked.saw(self.key_option, &self.key_column);
            // Who lists all columns with `--contacts` lists this one too.
            for wanted in self.wanted().iter().filter(|wanted| wanted.eq_ignore_ascii_case(&name)) {
                self.asked.saw(CONTACTS, wanted);
            }
            return Role::Key;
        }
        self.asked.saw(CONTACTS, &name);
        match &self.selection {
            // Beside an id, too, it is whom a row is of, and no contact.
            Selection::All if name.eq_ignore_ascii_case(RowKey::Euid.usual_column()) => Role::Ignored,
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

    /// What rows are keyed by.
    pub(crate) fn key(&self) -> RowKey {
        self.key
    }

    /// Its column.
    pub(crate) fn key_column(&self) -> &str {
        &self.key_column
    }

    /// Columns for keys that come up often, so that their names are shared.
    pub(crate) fn usual_columns(&self) -> Arc<[Column]> {
        let wanted = self.wanted().iter().map(String::as_str);
        let others = KNOWN_CONTACTS.into_iter().filter(|name| !self.wanted().iter().any(|wanted| wanted == name));
        let column = |name: &str| Column { name: name.into(), header: name.into(), number: None };
        wanted.chain(others).map(column).collect()
    }

    fn renamed<'a>(&'a self, header: &'a str) -> &'a str {
        let Some((from, to)) = self.mapping(header) else { return header };
        self.asked.saw(MAP, from);
        to
    }

    fn mapping(&self, header: &str) -> Option<&(String, String)> {
        if self.map.is_empty() {
            return None;
        }
        let exact = self.map.iter().find(|(from, _)| from == header);
        exact.or_else(|| self.only_one_without_regard_to_case(header))
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
        assert_eq!(naming.role(" EUID "), Role::Key);
        assert_eq!(naming.role("ID"), Role::Key);
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
    fn an_euid_beside_an_id_is_no_contact() {
        let key = RowKey::Id(model::IdentityKind::UserId);
        let of = |selection| {
            let key_column = key.usual_column().to_owned();
            Naming::new(&ReaderOptions { key, key_column, selection, ..ReaderOptions::default() })
        };
        for header in ["euid", " EUID "] {
            assert_eq!(of(Selection::All).role(header), Role::Ignored);
            assert_eq!(of(Selection::Known).role(header), Role::Unknown);
        }
        assert_eq!(of(Selection::All).role("User_ID"), Role::Key);
    }
}
