use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Profile;
use crate::{
    Euid, UnknownShape,
    json::{Json, Member, is_name},
    limits::KNOWN_CONTACTS,
    shown_name,
};

const NAME_KEYS: [&str; 3] = ["name", "key", "contact_name"];
const VALUE_KEYS: [&str; 2] = ["value", "contact_value"];
/// So many names are found by looking at each.
const FEW_NAMES: usize = 16;
/// Names of an entry that a message tells.
const NAMES_TOLD: usize = 6;

/// Reads entries of `data`, one after the other.
pub(super) struct EntryReader {
    /// Those that were asked for, each once.
    names: Vec<Arc<str>>,
    /// Their places, where they are many.
    places: HashMap<Arc<str>, usize>,
}

impl EntryReader {
    pub(super) fn new(names: &[&str]) -> Self {
        let mut met = HashSet::with_capacity(names.len());
        let names: Vec<Arc<str>> =
            names.iter().copied().filter(|name| met.insert(*name)).map(Arc::<str>::from).collect();
        let mut places = HashMap::new();
        if names.len() > FEW_NAMES {
            places.extend(names.iter().cloned().zip(0..));
        }
        Self { names, places }
    }

    /// Reads an entry; one that is the value of a key need not bear its EUID itself.
    pub(super) fn read(&self, entry: &Json<'_>, key: Option<Euid>) -> Result<(Euid, Profile), UnknownShape> {
        let Json::Object(members) = entry else {
            return Err(UnknownShape::new(format!("an entry of \"data\" is {}, not an object", entry.kind())));
        };
        let euid = euid_of_entry(members, key)?;
        let contacts = members.iter().find(|(name, _)| name == "contacts").map(|(_, contacts)| contacts);
        let others = || members.iter().filter(|(name, _)| name != "euid" && name != "contacts");
        let are_plain = others().any(|(name, _)| self.place(name).is_some());
        let mut found = Found { reader: self, values: vec![Met::Not; self.names.len()] };
        match contacts {
            Some(_) if are_plain => {
                return Err(UnknownShape::new("an entry of \"data\" has \"contacts\" and contacts beside them"));
            }
            Some(contacts) => found.note_all(contacts)?,
            None if others().next().is_none() => {}
            // Whether its member of that name is the user's number or a contact can't be told.
            None if are_plain && self.place("euid").is_none() => {
                for (name, value) in others() {
                    found.note_plain(name, value)?;
                }
            }
            None => {
                return Err(UnknownShape::new(format!(
                    "an entry of \"data\" has neither \"contacts\" nor a contact that was asked for, but {}",
                    told(members)
                )));
            }
        }
        Ok((euid, found.profile()))
    }

    fn place(&self, name: &str) -> Option<usize> {
        if self.places.is_empty() {
            return self.names.iter().position(|known| **known == *name);
        }
        self.places.get(name).copied()
    }
}

fn euid_of_entry(members: &[Member<'_>], key: Option<Euid>) -> Result<Euid, UnknownShape> {
    let Some((_, written)) = members.iter().find(|(name, _)| name == "euid") else {
        let missing = || UnknownShape::new(format!("an entry of \"data\" has no \"euid\", but {}", told(members)));
        return key.ok_or_else(missing);
    };
    let euid = written.euid().ok_or_else(|| {
        UnknownShape::new(format!("the \"euid\" of an entry of \"data\" is {}, and no EUID", written.kind()))
    })?;
    match key {
        Some(key) if key != euid => Err(UnknownShape::new("an entry of \"data\" bears another \"euid\" than its key")),
        _ => Ok(euid),
    }
}

/// Whether a contact was met.
#[derive(Clone, Copy, PartialEq)]
enum Met<'a> {
    Not,
    WithoutValue,
    WithValue(&'a str),
}

/// The contacts of an entry.
struct Found<'r, 'a> {
    reader: &'r EntryReader,
    /// By the places of the names that were asked for.
    values: Vec<Met<'a>>,
}

impl<'a> Found<'_, 'a> {
    fn note_all(&mut self, contacts: &'a Json<'a>) -> Result<(), UnknownShape> {
        match contacts {
            Json::Null => Ok(()),
            Json::Object(members) => members.iter().try_for_each(|(name, value)| self.note(name, value)),
            Json::Array(items) => items.iter().try_for_each(|item| self.note_item(item)),
            other => {
                Err(UnknownShape::new(format!("\"contacts\" is {}, neither an object nor an array", other.kind())))
            }
        }
    }

    /// An object that bears a name and a value.
    fn note_item(&mut self, item: &'a Json<'a>) -> Result<(), UnknownShape> {
        let Json::Object(members) = item else {
            return Err(UnknownShape::new(format!("an item of \"contacts\" is {}, not an object", item.kind())));
        };
        let unknown = || {
            UnknownShape::new(format!("an item of \"contacts\" bears no single name and value, but {}", told(members)))
        };
        let (Ok(Some(name)), Ok(value)) = (one_of(members, &NAME_KEYS), one_of(members, &VALUE_KEYS)) else {
            return Err(unknown());
        };
        let Json::Text(name) = name else { return Err(unknown()) };
        match value {
            Some(value) => self.note(name, value),
            None if members.len() == 1 => self.note(name, &Json::Null),
            None => Err(unknown()),
        }
    }

    fn note_plain(&mut self, name: &'a str, value: &'a Json<'a>) -> Result<(), UnknownShape> {
        let is_contact = self.reader.place(name).is_some() || KNOWN_CONTACTS.contains(&name);
        if is_contact { self.note(name, value) } else { Ok(()) }
    }

    fn note(&mut self, name: &'a str, value: &'a Json<'a>) -> Result<(), UnknownShape> {
        let value = match value {
            Json::Null => None,
            Json::Text(text) => Some(&**text).filter(|text| !text.is_empty()),
            other => {
                let which = if is_name(name) { shown_name(name) } else { "of some name".to_owned() };
                return Err(UnknownShape::new(format!("a contact, {which}, is {}, not text", other.kind())));
            }
        };
        let Some(place) = self.reader.place(name) else { return Ok(()) };
        let met = value.map_or(Met::WithoutValue, Met::WithValue);
        match std::mem::replace(&mut self.values[place], met) {
            before if before == Met::Not || before == met => Ok(()),
            _ => Err(UnknownShape::new(format!("an entry of \"data\" has two contacts {}", shown_name(name)))),
        }
    }

    /// What the entry says of those that were asked for.
    fn profile(self) -> Profile {
        let pairs = self.reader.names.iter().zip(&self.values);
        Profile::new(pairs.filter_map(|(name, met)| match met {
            Met::WithValue(value) => Some((name, *value)),
            Met::Not | Met::WithoutValue => None,
        }))
    }
}

/// The member that bears one of these names; more than one is too many.
fn one_of<'m, 'a>(members: &'m [Member<'a>], names: &[&str]) -> Result<Option<&'m Json<'a>>, ()> {
    let mut found = members.iter().filter(|(name, _)| names.contains(&&**name));
    match (found.next(), found.next()) {
        (first, None) => Ok(first.map(|(_, value)| value)),
        _ => Err(()),
    }
}

/// The names of members, the first few of them, without those that may be values.
fn told(members: &[Member<'_>]) -> String {
    let names = members.iter().filter(|(name, _)| is_name(name));
    let mut shown: Vec<String> =
        names.take(NAMES_TOLD).map(|(name, value)| format!("{} ({})", shown_name(name), value.kind())).collect();
    let more = members.len() - shown.len();
    match (shown.is_empty(), more) {
        (true, 0) => return "nothing".to_owned(),
        (true, _) => return format!("{more} other members"),
        (false, 0) => {}
        (false, _) => shown.push(format!("{more} more")),
    }
    shown.join(", ")
}
