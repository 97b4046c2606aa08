//! What came of comparing rows with what is known of the service's side, in figures.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};

/// Names of contacts that are told apart: an input may have a million of them.
const MOST_NAMES: usize = 500;

/// What the rows of a run came to when they were compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Rows that were unchanged.
    pub unchanged: u64,
    /// Contacts of the rows that were to be sent, by name. Contacts that are the same, or not known, are in no figure.
    pub names: BTreeMap<String, NameChanges>,
    /// Those of further names.
    #[serde(skip_serializing_if = "NameChanges::is_empty")]
    pub others: NameChanges,
}

/// Contacts of one name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct NameChanges {
    /// Nothing was known of them.
    pub new: u64,
    /// They had another value.
    pub changed: u64,
    /// They had a value, and are to have none.
    pub cleared: u64,
}

/// What becomes of a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing was known of it.
    New,
    /// It had another value.
    Changed,
    /// It had a value, and is to have none.
    Cleared,
}

impl NameChanges {
    /// Counts one.
    pub fn count(&mut self, change: Change) {
        *match change {
            Change::New => &mut self.new,
            Change::Changed => &mut self.changed,
            Change::Cleared => &mut self.cleared,
        } += 1;
    }

    /// Counts all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.new += other.new;
        self.changed += other.changed;
        self.cleared += other.cleared;
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Comparison {
    /// Counts a contact of a row that is to be sent.
    pub fn count(&mut self, name: &str, change: Change) {
        self.of_name(name).count(change);
    }

    /// Counts all that another one counted.
    pub fn merge(&mut self, other: &Self) {
        self.unchanged += other.unchanged;
        for (name, changes) in &other.names {
            self.of_name(name).merge(changes);
        }
        self.others.merge(&other.others);
    }

    fn of_name(&mut self, name: &str) -> &mut NameChanges {
        if self.names.contains_key(name) || self.names.len() < MOST_NAMES {
            return self.names.entry(name.to_owned()).or_default();
        }
        &mut self.others
    }
}

/// A [`Comparison`] that many count into. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct ComparisonFigures(Arc<Mutex<Comparison>>);

impl ComparisonFigures {
    /// Goes on from what an earlier try counted.
    pub fn from(earlier: Comparison) -> Self {
        Self(Arc::new(Mutex::new(earlier)))
    }

    /// Counts the contacts of rows that are to be sent: together, where there are several.
    pub fn count<'a>(&self, changes: impl IntoIterator<Item = (&'a str, Change)>) {
        let mut figures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, change) in changes {
            figures.count(name, change);
        }
    }

    /// What was counted until now.
    pub fn figures(&self) -> Comparison {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_take_no_more_room_and_nothing_is_lost() {
        let figures = ComparisonFigures::default();
        let names: Vec<String> = (0..2_000).map(|number| format!("name{number}")).collect();
        figures.count(names.iter().map(|name| (name.as_str(), Change::New)));
        figures.count([("name0", Change::Changed), ("name1999", Change::Cleared)]);
        let seen = figures.figures();
        assert_eq!(seen.names.len(), MOST_NAMES);
        assert_eq!(seen.names["name0"], NameChanges { new: 1, changed: 1, cleared: 0 });
        assert_eq!(seen.others, NameChanges { new: 1_500, changed: 0, cleared: 1 });
        let mut twice = seen.clone();
        twice.merge(&seen);
        assert_eq!((twice.names["name0"].new, twice.others.new), (2, 3_000));
    }
}
