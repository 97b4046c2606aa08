//! The names that options give, and whether any input has them: a typo must not drop a contact.

use std::{
    collections::HashSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
};

use model::shown_name;

/// Keys of an NDJSON input that are kept to find near misses among.
const MOST_KEYS: usize = 4_096;
/// Keys that are longer are no contact's name, and nobody mistypes them.
const LONGEST_KEY: usize = 512;

/// The names that `--contacts`, `--map` and `--euid-column` or `--id-column` give. Clones share what was seen.
#[derive(Debug, Clone, Default)]
pub struct AskedNames(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    names: Vec<(AskedName, AtomicBool)>,
    /// How many were not seen. While reading goes on, zero spares the rest.
    unseen: AtomicUsize,
}

/// A name that an option gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedName {
    /// The option.
    pub option: &'static str,
    /// The name of a column or key.
    pub name: String,
}

impl fmt::Display for AskedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, named in `{}`", shown_name(&self.name), self.option)
    }
}

impl AskedNames {
    pub(crate) fn new(names: Vec<AskedName>) -> Self {
        let unseen = AtomicUsize::new(names.len());
        Self(Arc::new(Asked { names: names.into_iter().map(|name| (name, AtomicBool::new(false))).collect(), unseen }))
    }

    /// Notes that an input has the name.
    pub(crate) fn saw(&self, option: &str, name: &str) {
        if self.all_seen() {
            return;
        }
        for (asked, seen) in &self.0.names {
            if asked.option == option && asked.name == name && !seen.swap(true, Relaxed) {
                self.0.unseen.fetch_sub(1, Relaxed);
            }
        }
    }

    /// Whether some input has each of them.
    pub(crate) fn all_seen(&self) -> bool {
        self.0.unseen.load(Relaxed) == 0
    }

    /// Those that no input had until now.
    pub fn unseen(&self) -> Vec<&AskedName> {
        self.0.names.iter().filter(|(_, seen)| !seen.load(Relaxed)).map(|(name, _)| name).collect()
    }
}

/// Names of columns and keys, in order of appearance, as far as there is room.
#[derive(Debug, Default)]
pub(crate) struct SeenKeys {
    names: Vec<String>,
    seen: HashSet<String>,
}

impl SeenKeys {
    pub(crate) fn see(&mut self, key: &str) {
        if self.names.len() < MOST_KEYS && key.len() <= LONGEST_KEY && !self.seen.contains(key) {
            self.seen.insert(key.to_owned());
            self.names.push(key.to_owned());
        }
    }

    pub(crate) fn into_names(self) -> Vec<String> {
        self.names
    }
}

/// The candidate that a name was most likely meant to be. Case, blanks and punctuation count for nothing; of what
/// remains about one character in six may differ, and never most of them.
pub(crate) fn near_miss<C: AsRef<str>>(name: &str, candidates: impl IntoIterator<Item = C>) -> Option<C> {
    let plain = |text: &str| -> String { text.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect() };
    let name = plain(name);
    let length = name.chars().count();
    let near = |candidate: &C| {
        let candidate = candidate.as_ref();
        if length == 0 || candidate.len() > LONGEST_KEY {
            return None;
        }
        let plain = plain(candidate);
        let (other, most) = (plain.chars().count(), 1 + candidate.len() / 6);
        // What differs more in length than it may in all isn't compared: a header can be very long.
        if other == 0 || length.abs_diff(other) > most {
            return None;
        }
        let distance = strsim::damerau_levenshtein(&name, &plain);
        (distance <= most && distance * 2 < length.max(other)).then_some(distance)
    };
    let candidates = candidates.into_iter().filter_map(|candidate| Some((near(&candidate)?, candidate)));
    candidates.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use model::limits::KNOWN_CONTACTS;

    use super::*;

    #[test]
    fn near_misses() {
        let known = |name| near_miss(name, KNOWN_CONTACTS);
        assert_eq!(known("emial"), Some("email"));
        assert_eq!(known("E-Mail"), Some("email"));
        assert_eq!(known("mobilephone"), Some("mobile_phone"));
        assert_eq!(known("name"), None);
        assert_eq!(known(""), None);
        assert_eq!(near_miss("x", ["y", "X "]), Some("X "));
        assert_eq!(near_miss("id", ["ip", "--"]), None);
        assert_eq!(near_miss("email", ["e".repeat(1 << 20)]), None);
    }

    #[test]
    fn what_was_seen_is_shared() {
        let name = |option, name: &str| AskedName { option, name: name.to_owned() };
        let asked = AskedNames::new(vec![name("--contacts", "a"), name("--map", "a")]);
        let shared = asked.clone();
        shared.saw("--map", "a");
        shared.saw("--map", "b");
        assert_eq!(asked.unseen(), [&name("--contacts", "a")]);
        asked.saw("--contacts", "a");
        assert!(asked.all_seen() && asked.unseen().is_empty());
    }
}
