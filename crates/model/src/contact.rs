use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Euid, Origin};

/// Contact names and values, in input order; serialises as a JSON object. Names are distinct.
///
/// `Debug` shows names only: contact values must not reach a log.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Contacts(Vec<(Arc<str>, Box<str>)>);

impl Contacts {
    /// Adds a name with its value. The caller sees to it that names are distinct.
    pub fn push(&mut self, name: Arc<str>, value: &str) {
        self.0.push((name, value.into()));
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Names in order, shared.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.0.iter().map(|(name, _)| name)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of names and values, for bounding what is held in memory.
    pub fn bytes(&self) -> usize {
        self.iter().map(|(name, value)| name.len() + value.len()).sum()
    }
}

impl FromIterator<(Arc<str>, Box<str>)> for Contacts {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Box<str>)>>(pairs: T) -> Self {
        Self(pairs.into_iter().collect())
    }
}

impl Serialize for Contacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(&**name, &**value)?;
        }
        map.end()
    }
}

impl std::fmt::Debug for Contacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// A row that passed validation and is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Where it came from.
    pub origin: Origin,
    /// The EUID as it stood in the input.
    pub euid_text: Box<str>,
    /// The EUID by number: rows are ordered by this.
    pub euid: Euid,
    /// What is sent; never empty.
    pub contacts: Contacts,
}

impl Contact {
    /// Bytes held in memory for this row, roughly.
    pub fn bytes(&self) -> usize {
        self.euid_text.len() + self.contacts.bytes() + self.contacts.len() * 32 + 96
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_value() {
        let mut contacts = Contacts::default();
        contacts.push("email".into(), "secret@example.com");
        assert_eq!(format!("{contacts:?}"), r#"["email"]"#);
        assert_eq!(serde_json::to_string(&contacts).expect("plain strings"), r#"{"email":"secret@example.com"}"#);
    }
}
