//! Answers of "query user information": what the service holds of the users that were asked for.
//!
//! Their shape could not be read in any copy of the documentation. So they are read tolerantly, and concluded from
//! strictly: a body that isn't one of the shapes below as a whole is an [`UnknownShape`], and proves nothing of anybody.
//!
//! `data` is an array of entries that bear their `euid` (an integer or its digits), or an object whose keys are EUIDs.
//! An entry has its contacts as `contacts`, an object of names and values or an array of objects that bear a name
//! (`name`, `key` or `contact_name`) and a value (`value` or `contact_value`), or as plain members. Null, missing and ""
//! mean that there is none. An entry of nothing but its `euid` has no contacts.

mod describe;
mod entry;

use std::{collections::HashMap, sync::Arc};

pub use self::describe::describe;
use self::entry::EntryReader;
use crate::{
    Contacts, Euid, UnknownShape,
    json::{Json, euid_of},
};

/// So many contacts are found by looking at each.
const FEW_CONTACTS: usize = 16;

/// The users of an answer, with those of their contacts that were asked for.
#[derive(Debug)]
pub struct Profiles {
    /// By EUID, each once.
    users: Vec<(Euid, Profile)>,
}

/// What the service holds of one user. `Debug` shows names only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    contacts: Contacts,
    /// The contacts by name, where they are many.
    places: HashMap<Arc<str>, usize>,
}

/// Reads an answer's body: `names` are the contacts that were asked for. The answer's `code` is the caller's: what is
/// read here was a success.
///
/// The error is an answer in another shape. One user whose entry isn't understood makes the whole unknown: what is known
/// of the others rests on the same guess.
pub fn read(body: &[u8], names: &[&str]) -> Result<Profiles, UnknownShape> {
    let data = Json::data_of(body)?.ok_or_else(|| UnknownShape::new("the answer has no \"data\""))?;
    let reader = EntryReader::new(names);
    let mut users = match &data {
        Json::Array(entries) => {
            entries.iter().map(|entry| reader.read(entry, None)).collect::<Result<Vec<_>, UnknownShape>>()
        }
        Json::Object(members) => {
            let keyed = members.iter().map(|(key, entry)| {
                let euid = euid_of(key)
                    .ok_or_else(|| UnknownShape::new("\"data\" is an object, and not all of its keys are EUIDs"))?;
                reader.read(entry, Some(euid))
            });
            keyed.collect()
        }
        other => Err(UnknownShape::new(format!("\"data\" is {}, neither an array nor an object", other.kind()))),
    }?;
    users.sort_by_key(|(euid, _)| *euid);
    if users.windows(2).any(|pair| pair[0].0 == pair[1].0 && pair[0].1 != pair[1].1) {
        return Err(UnknownShape::new("two entries of \"data\" bear one EUID and differ"));
    }
    users.dedup_by_key(|(euid, _)| *euid);
    Ok(Profiles { users })
}

impl Profiles {
    /// What is held of a user. None: the answer has no entry for it.
    pub fn get(&self, euid: Euid) -> Option<&Profile> {
        let at = self.users.binary_search_by_key(&euid, |(euid, _)| *euid).ok()?;
        self.users.get(at).map(|(_, profile)| profile)
    }
}

impl Profile {
    /// The value of a contact that was asked for. None: the service holds none.
    pub fn get(&self, name: &str) -> Option<&str> {
        if self.places.is_empty() {
            return self.contacts.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        }
        self.places.get(name).and_then(|place| self.contacts.at(*place)).map(|(_, value)| value)
    }

    /// From values in the order of their names.
    fn new<'v>(pairs: impl Iterator<Item = (&'v Arc<str>, &'v str)>) -> Self {
        let mut contacts = Contacts::default();
        for (name, value) in pairs {
            contacts.push(Arc::clone(name), value);
        }
        let mut places = HashMap::new();
        if contacts.len() > FEW_CONTACTS {
            places.extend(contacts.names().cloned().zip(0..));
        }
        Self { contacts, places }
    }
}
