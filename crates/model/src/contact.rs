use std::sync::Arc;

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{Euid, Origin};

/// Contact names and values, in input order; serialises as a JSON object. Names are distinct.
///
/// Values stand in one text, and names may be shared by rows: a row takes one allocation, whatever it holds.
///
/// `Debug` shows names only: contact values must not reach a log.
#[derive(Clone, Default)]
pub struct Contacts {
    names: Names,
    /// All values, one behind the other.
    text: String,
    ends: Ends,
}

#[derive(Clone)]
enum Names {
    Own(Vec<Arc<str>>),
    Shared(Arc<[Arc<str>]>),
}

/// Where in the text each value ends.
#[derive(Clone)]
enum Ends {
    Few { ends: [u32; FEW], count: u8 },
    Many(Vec<u32>),
}

/// Contacts whose ends take no memory of their own: those that EngageLab documents.
const FEW: usize = 4;

impl Contacts {
    /// Contacts of these names, each with the value that stands in its place.
    pub fn new<'v>(names: Arc<[Arc<str>]>, values: impl Iterator<Item = &'v str> + Clone) -> Self {
        let mut text = String::with_capacity(values.clone().map(str::len).sum());
        let mut ends = Ends::default();
        for value in values {
            text.push_str(value);
            ends.push(text.len() as u32);
        }
        debug_assert_eq!(names.len(), ends.as_slice().len());
        Self { names: Names::Shared(names), text, ends }
    }

    /// Adds a name with its value. The caller sees to it that names are distinct.
    pub fn push(&mut self, name: Arc<str>, value: &str) {
        match &mut self.names {
            Names::Own(names) => names.push(name),
            Names::Shared(names) => self.names = Names::Own(names.iter().cloned().chain([name]).collect()),
        }
        self.text.push_str(value);
        self.ends.push(self.text.len() as u32);
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        let ends = self.ends.as_slice();
        self.names.as_slice().iter().enumerate().map(move |(index, name)| {
            let start = index.checked_sub(1).map_or(0, |before| ends[before] as usize);
            (&**name, &self.text[start..ends[index] as usize])
        })
    }

    /// The name and value at a place, counted from 0.
    pub fn at(&self, place: usize) -> Option<(&str, &str)> {
        let name = self.names.as_slice().get(place)?;
        let ends = self.ends.as_slice();
        let start = place.checked_sub(1).map_or(0, |before| ends[before] as usize);
        Some((name, &self.text[start..ends[place] as usize]))
    }

    /// Names in order, shared.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &Arc<str>> {
        self.names.as_slice().iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.as_slice().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of names and values, for bounding what is held in memory.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.names().map(|name| name.len()).sum::<usize>()
    }
}

impl Names {
    fn as_slice(&self) -> &[Arc<str>] {
        match self {
            Self::Own(names) => names,
            Self::Shared(names) => names,
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::Own(Vec::new())
    }
}

impl Ends {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few { ends, count } => &ends[..usize::from(*count)],
            Self::Many(ends) => ends,
        }
    }

    fn push(&mut self, end: u32) {
        match self {
            Self::Few { ends, count } if usize::from(*count) < FEW => {
                ends[usize::from(*count)] = end;
                *count += 1;
            }
            Self::Few { ends, .. } => *self = Self::Many(ends.iter().copied().chain([end]).collect()),
            Self::Many(ends) => ends.push(end),
        }
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self::Few { ends: [0; FEW], count: 0 }
    }
}

impl PartialEq for Contacts {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Contacts {}

impl FromIterator<(Arc<str>, Box<str>)> for Contacts {
    fn from_iter<T: IntoIterator<Item = (Arc<str>, Box<str>)>>(pairs: T) -> Self {
        let mut contacts = Self::default();
        for (name, value) in pairs {
            contacts.push(name, &value);
        }
        contacts
    }
}

impl Serialize for Contacts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl std::fmt::Debug for Contacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// A row that passed validation and is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Where it came from.
    pub origin: Origin,
    /// The organisation's own id, where rows are keyed by one.
    pub id: Option<Box<str>>,
    /// The EUID as it stood in the input, or as it was obtained for the id.
    pub euid_text: Box<str>,
    /// The EUID by number: rows are ordered by this.
    pub euid: Euid,
    /// What is sent; never empty.
    pub contacts: Contacts,
}

impl Contact {
    /// Bytes held in memory for this row, roughly.
    pub fn bytes(&self) -> usize {
        self.euid_text.len()
            + self.id.as_ref().map_or(0, |id| id.len())
            + self.contacts.bytes()
            + self.contacts.len() * 32
            + 96
    }
}

/// A row that passed validation, and of whose id the EUID is still to be found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unresolved {
    /// Where it came from.
    pub origin: Origin,
    /// The organisation's own id.
    pub id: Box<str>,
    /// What is sent; never empty.
    pub contacts: Contacts,
}

impl Unresolved {
    /// The row, now that its EUID is known.
    pub fn resolved(self, euid: Euid) -> Contact {
        let Self { origin, id, contacts } = self;
        Contact { origin, id: Some(id), euid_text: euid.get().to_string().into(), euid, contacts }
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
    #[test]
    fn any_number_comes_out_as_it_went_in() {
        let pairs: Vec<(Arc<str>, String)> =
            (0..20).map(|number| (format!("name {number}").into(), "ü".repeat(number % 7))).collect();
        for count in 0..=pairs.len() {
            let pairs = &pairs[..count];
            let shown: Vec<(&str, &str)> = pairs.iter().map(|(name, value)| (&**name, &**value)).collect();
            let mut pushed = Contacts::default();
            for (name, value) in pairs {
                pushed.push(Arc::clone(name), value);
            }
            for shared in 0..=count {
                let names = pairs[..shared].iter().map(|(name, _)| Arc::clone(name)).collect();
                let mut contacts = Contacts::new(names, pairs[..shared].iter().map(|(_, value)| value.as_str()));
                for (name, value) in &pairs[shared..] {
                    contacts.push(Arc::clone(name), value);
                }
                assert_eq!(contacts.iter().collect::<Vec<_>>(), shown, "{shared} of {count} shared");
                assert_eq!((0..count).filter_map(|place| contacts.at(place)).collect::<Vec<_>>(), shown);
                assert_eq!(contacts.at(count), None);
                assert_eq!(contacts, pushed);
                assert_eq!((contacts.len(), contacts.is_empty()), (count, count == 0));
                let bytes: usize = shown.iter().map(|(name, value)| name.len() + value.len()).sum();
                assert_eq!(contacts.bytes(), bytes);
            }
        }
        let contacts = |value: &str| Contacts::new(["a".into(), "b".into()].into(), [value, "x"].into_iter());
        assert_ne!(contacts("y"), contacts("yx"));
        assert_ne!(contacts("y"), Contacts::default());
    }
}
