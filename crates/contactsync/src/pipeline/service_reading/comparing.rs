use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use model::{Answered, Reason, shown_name};

use super::loosely::is_loosely_equal;
use crate::args::CompareChoice;

/// Names whose differences are counted.
const MOST_NAMES: usize = 64;

/// How a contact of a row stands to what the service holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// It is there; or it is to be cleared, and isn't there.
    There,
    /// Nothing is there.
    Missing,
    /// Something else is there; or it is to be cleared, and is there.
    Differs,
}

/// Compares values, and counts by name how many differ only in how they are written.
#[derive(Debug)]
pub(crate) struct Comparer {
    compare: CompareChoice,
    different: Mutex<BTreeMap<Box<str>, Different>>,
    /// Rows whose users could not be read, and why it was so with the first.
    unread: AtomicU64,
    unread_for: OnceLock<String>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Different {
    values: u64,
    /// Of these, those that are equal loosely.
    loosely_equal: u64,
}

impl Comparer {
    pub(crate) fn new(compare: CompareChoice) -> Self {
        Self { compare, different: Mutex::default(), unread: AtomicU64::new(0), unread_for: OnceLock::new() }
    }

    /// Holds a row's value against what is there.
    pub(crate) fn compare(&self, name: &str, value: &str, there: Option<&str>) -> Compared {
        match there {
            None if value.is_empty() => Compared::There,
            None => Compared::Missing,
            Some(there) if there == value => Compared::There,
            Some(_) if value.is_empty() => Compared::Differs,
            Some(there) => match self.compare {
                CompareChoice::Loose if is_loosely_equal(name, value, there) => Compared::There,
                CompareChoice::Loose | CompareChoice::Exact => Compared::Differs,
            },
        }
    }

    /// Counts a value that was found different for good.
    pub(crate) fn note_different(&self, name: &str, value: &str, there: &str) {
        let mut different = self.different();
        if !different.contains_key(name) && different.len() >= MOST_NAMES {
            return;
        }
        let of_name = different.entry(name.into()).or_default();
        of_name.values += 1;
        of_name.loosely_equal += u64::from(is_loosely_equal(name, value, there));
    }

    /// Takes note of so many rows whose users could not be read, and that nothing is compared with.
    pub(crate) fn note_unread(&self, rows: usize, reason: Reason, answered: &Answered) {
        self.unread.fetch_add(rows as u64, Relaxed);
        self.unread_for.get_or_init(|| {
            let code = answered.code.map_or_else(String::new, |code| format!(", code {code}"));
            format!("{reason}{code}")
        });
    }

    /// What to warn of, with what to do: users that could not be read, and names of which most different values differ only
    /// in how they are written.
    pub(crate) fn warnings(&self) -> Vec<(String, &'static str)> {
        let unread = self.unread_for.get().map(|reason| {
            let rows = self.unread.load(Relaxed);
            (format!("users of {rows} rows could not be read (at first {reason}): nothing was compared"), NOT_READ)
        });
        unread.into_iter().chain(self.written_otherwise().into_iter().map(|text| (text, WRITTEN_OTHERWISE))).collect()
    }

    fn written_otherwise(&self) -> Vec<String> {
        let different = self.different();
        let mostly_written_otherwise = different.iter().filter(|(_, of)| of.loosely_equal * 2 > of.values);
        mostly_written_otherwise
            .map(|(name, Different { values, loosely_equal })| {
                format!(
                    "of {values} different values of {}, {loosely_equal} differ only in how they are written \
                     (letter case, or signs between digits)",
                    shown_name(name)
                )
            })
            .collect()
    }

    fn different(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Different>> {
        self.different.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What to do where users could not be read.
const NOT_READ: &str = "such rows count as changed; `contactsync doctor --euid N` shows whether a user can be read";
/// What to do where values are written otherwise.
const WRITTEN_OTHERWISE: &str =
    "the service seems to write them its own way: with `--compare loose` they count as equal";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_compared_exactly_or_loosely() {
        let of = |how, name, value, there| Comparer::new(how).compare(name, value, there);
        for how in [CompareChoice::Exact, CompareChoice::Loose] {
            assert_eq!(of(how, "email", "a@example.com", Some("a@example.com")), Compared::There);
            assert_eq!(of(how, "email", "a@example.com", Some("b@example.com")), Compared::Differs);
            assert_eq!(of(how, "email", "a@example.com", None), Compared::Missing);
            assert_eq!(of(how, "email", "", None), Compared::There, "it is cleared");
            assert_eq!(of(how, "email", "", Some("a@example.com")), Compared::Differs);
        }
        let written =
            [("email", "A@Example.com", "a@example.COM"), ("mobile_phone", "+1 (201) 555-0123", "12015550123")];
        for (name, value, there) in written {
            assert_eq!(of(CompareChoice::Exact, name, value, Some(there)), Compared::Differs);
            assert_eq!(of(CompareChoice::Loose, name, value, Some(there)), Compared::There);
        }
    }

    #[test]
    fn it_is_warned_of_what_mostly_differs_in_writing_only() {
        let comparer = Comparer::new(CompareChoice::Exact);
        let note = |name, value, there| comparer.note_different(name, value, there);
        note("mobile_phone", "+12015550123", "12015550123");
        note("mobile_phone", "+12015550124", "12015550124");
        note("mobile_phone", "+12015550125", "12015550126");
        note("email", "A@example.com", "a@example.com");
        note("email", "b@example.com", "c@example.com");
        note("nick", "A", "a");
        let warnings = comparer.warnings();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].0.starts_with("of 3 different values of \"mobile_phone\", 2 differ"), "{warnings:?}");
    }

    #[test]
    fn many_names_take_no_more_room() {
        let comparer = Comparer::new(CompareChoice::Exact);
        for number in 0..1_000 {
            comparer.note_different(&format!("{number}_phone"), "+1", "1");
        }
        assert_eq!(comparer.warnings().len(), MOST_NAMES);
    }
}
