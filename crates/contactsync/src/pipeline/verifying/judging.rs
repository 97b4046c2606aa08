use model::{Contact, Reason, profile::Profile, shown_names};

use super::super::service_reading::{Compared, Comparer};

/// How the contacts that a row answers for stand to what the service holds, where that is something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference<'a> {
    has_entry: bool,
    missing: Vec<&'a str>,
    others: Vec<&'a str>,
    uncleared: Vec<&'a str>,
}

impl<'a> Difference<'a> {
    /// Of a user of whom the service has this, or no entry. None where everything is as the row says.
    pub(super) fn of(contact: &'a Contact, held: Option<&Profile>, comparer: &Comparer) -> Option<Self> {
        let mut difference =
            Self { has_entry: held.is_some(), missing: Vec::new(), others: Vec::new(), uncleared: Vec::new() };
        for (name, value) in contact.contacts.iter() {
            match comparer.compare(name, value, held.and_then(|held| held.get(name))) {
                Compared::There => {}
                Compared::Missing => difference.missing.push(name),
                Compared::Differs if value.is_empty() => difference.uncleared.push(name),
                Compared::Differs => difference.others.push(name),
            }
        }
        // Of somebody without an entry nothing is there: what is to be cleared is as the row says.
        let is_one = difference.names().next().is_some();
        is_one.then_some(difference)
    }

    /// The names of the contacts that differ.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        [&self.missing, &self.others, &self.uncleared].into_iter().flatten().copied()
    }

    /// The first that holds.
    pub(super) fn reason(&self) -> Reason {
        if !self.has_entry {
            Reason::UserMissing
        } else if self.missing.is_empty() {
            Reason::ValueDiffers
        } else {
            Reason::ValueMissing
        }
    }

    /// The names, and no value.
    pub(super) fn message(&self) -> String {
        if !self.has_entry {
            return "the service has no entry for this user".to_owned();
        }
        let parts = [("not there", &self.missing), ("another value", &self.others), ("not cleared", &self.uncleared)];
        let parts = parts.into_iter().filter(|(_, names)| !names.is_empty());
        parts.map(|(what, names)| format!("{what}: {}", shown_names(names))).collect::<Vec<_>>().join("; ")
    }

    /// Counts values that are others.
    pub(super) fn note(&self, contact: &Contact, held: Option<&Profile>, comparer: &Comparer) {
        for name in &self.others {
            let value = contact.contacts.iter().find(|(known, _)| known == name).map(|(_, value)| value);
            if let (Some(value), Some(there)) = (value, held.and_then(|held| held.get(name))) {
                comparer.note_different(name, value, there);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Contacts, Euid, Origin, profile};

    use super::*;
    use crate::args::CompareChoice;

    /// What is said of a row of these contacts by an answer with this entry.
    fn judged(contacts: &[(&str, &str)], entry: &str) -> Option<(Reason, String)> {
        let origin = Origin { source: "a.csv".into(), row: 1, line: 2 };
        let mut row = Contacts::default();
        for (name, value) in contacts {
            row.push((*name).into(), value);
        }
        let euid = Euid::new(1).unwrap();
        let contact = Contact { origin, id: None, euid_text: "1".into(), euid, contacts: row };
        let names: Vec<&str> = contacts.iter().map(|(name, _)| *name).collect();
        let body = format!(r#"{{"code":0,"message":"success","data":[{entry}]}}"#);
        let profiles = profile::read(body.as_bytes(), &names).unwrap();
        let difference = Difference::of(&contact, profiles.get(euid), &Comparer::new(CompareChoice::Exact))?;
        Some((difference.reason(), difference.message()))
    }

    #[test]
    fn the_first_reason_that_holds_is_told_and_every_name() {
        let there = r#"{"euid":1,"contacts":{"email":"a@example.com","fax":"1"}}"#;
        let of = |contacts: &[(&str, &str)]| judged(contacts, there);
        assert_eq!(of(&[("email", "a@example.com")]), None);
        assert_eq!(of(&[("email", "a@example.com"), ("mobile_phone", "")]), None, "what is to be cleared isn't there");
        let (reason, message) = of(&[("email", "b@example.com"), ("fax", ""), ("mobile_phone", "2")]).unwrap();
        assert_eq!(reason, Reason::ValueMissing);
        assert_eq!(message, "not there: \"mobile_phone\"; another value: \"email\"; not cleared: \"fax\"");
        assert_eq!(of(&[("fax", "2")]).unwrap().0, Reason::ValueDiffers);
        assert_eq!(of(&[("fax", "")]).unwrap().0, Reason::ValueDiffers);
        let nobody = r#"{"euid":2}"#;
        assert_eq!(judged(&[("email", "a@example.com"), ("fax", "")], nobody).unwrap().0, Reason::UserMissing);
        assert_eq!(judged(&[("fax", "")], nobody), None);
    }
}
