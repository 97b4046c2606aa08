//! Which contacts of which rows a later row sets: what is there at the end is what the last row of an EUID says, contact by
//! contact. A first pass over the inputs takes note of every contact as a few numbers and sorts them ([`sorting`], in
//! memory as long as they fit, else by a private file), so that rows of one EUID may lie as far apart as they like; a second
//! pass goes along with what came out. Neither keeps a value or a name.

mod first_pass;
mod runs;
mod sorting;

use std::{hash::Hasher, path::Path};

use siphasher::sip::SipHasher13;

pub(crate) use first_pass::{FirstPass, UserOf, first_pass};
pub(crate) use runs::SortError;

use self::sorting::{Entry, SortLimits, Sorted, Sorter};

/// Memory for what is sorted: 16 MiB of contacts, and 4 of what came out.
const SET_LIMITS: SortLimits = SortLimits { entries: (16 << 20) / Set::BYTES, runs: 256 };
const PLACE_LIMITS: SortLimits = SortLimits { entries: (4 << 20) / Place::BYTES, runs: 256 };
/// Bits of a place that say which contact of its row it is: a row of a mebibyte has not as many.
const INDEX_BITS: u32 = 20;

/// A contact of a row: which row of all the input, counted from 1, and which of its contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u64);

/// That a row sets a contact of a user: sorted, those of one contact stand together, and that of the last row is the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Set {
    user: u64,
    name: u64,
    place: Place,
}

impl Place {
    fn new(row: u64, index: usize) -> Self {
        Self((row << INDEX_BITS) | index as u64)
    }

    fn row(self) -> u64 {
        self.0 >> INDEX_BITS
    }

    fn index(self) -> usize {
        (self.0 & ((1 << INDEX_BITS) - 1)) as usize
    }
}

impl Entry for Place {
    const BYTES: usize = 8;

    fn write(self, into: &mut Vec<u8>) {
        into.extend_from_slice(&self.0.to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Self {
        Self(number(bytes, 0))
    }
}

impl Entry for Set {
    const BYTES: usize = 24;

    fn write(self, into: &mut Vec<u8>) {
        for number in [self.user, self.name, self.place.0] {
            into.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Self {
        Self { user: number(bytes, 0), name: number(bytes, 8), place: Place(number(bytes, 16)) }
    }
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// Takes note of what rows set.
#[derive(Debug)]
pub(crate) struct Superseding {
    hasher: SipHasher13,
    sets: Sorter<Set>,
    places: Sorter<Place>,
}

/// Which contacts later rows set, to go along with the rows.
#[derive(Debug)]
pub(crate) struct Superseded {
    places: Sorted<Place>,
    next: Option<Place>,
}

impl Superseding {
    /// Nothing yet. What doesn't fit into memory goes into a file without a name in the folder. Fails where the system gives
    /// no random key.
    pub(crate) fn new(folder: &Path) -> Result<Self, getrandom::Error> {
        Self::within(folder, SET_LIMITS, PLACE_LIMITS)
    }

    fn within(folder: &Path, sets: SortLimits, places: SortLimits) -> Result<Self, getrandom::Error> {
        let mut key = [0; 16];
        getrandom::fill(&mut key)?;
        let hasher = SipHasher13::new_with_key(&key);
        Ok(Self { hasher, sets: Sorter::new(folder, sets), places: Sorter::new(folder, places) })
    }

    /// A row sets these contacts of a user, whose number is another for each user. `row`: counted over all inputs, from 1.
    pub(crate) fn see<'c>(
        &mut self,
        user: u64,
        row: u64,
        names: impl Iterator<Item = &'c str>,
    ) -> Result<(), SortError> {
        for (index, name) in names.enumerate() {
            let name = self.hash(name);
            self.sets.push(Set { user, name, place: Place::new(row, index) })?;
        }
        Ok(())
    }

    /// A number for an id whose user isn't known: no EUID's.
    pub(crate) fn number_of(&self, id: &str) -> u64 {
        self.hash(id) | 1 << 63
    }

    fn hash(&self, text: &str) -> u64 {
        let mut hasher = self.hasher;
        hasher.write(text.as_bytes());
        hasher.finish()
    }

    /// What came out, once all rows were seen.
    pub(crate) fn end(self) -> Result<Superseded, SortError> {
        let Self { sets, mut places, .. } = self;
        let mut before: Option<Set> = None;
        for set in sets.sorted()? {
            let set = set?;
            if let Some(before) = before.filter(|before| (before.user, before.name) == (set.user, set.name)) {
                places.push(before.place)?;
            }
            before = Some(set);
        }
        let mut places = places.sorted()?;
        let next = places.next().transpose()?;
        Ok(Superseded { places, next })
    }
}

impl Superseded {
    /// Which contacts of a row later rows set, in their order. Rows are asked for in the order of the inputs; some may be left
    /// out. Most often there is none.
    pub(crate) fn of_row(&mut self, row: u64, into: &mut Vec<usize>) -> Result<(), SortError> {
        into.clear();
        while let Some(place) = self.next.filter(|place| place.row() <= row) {
            if place.row() == row {
                into.push(place.index());
            }
            self.next = self.places.next().transpose()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 4] = ["email", "mobile_phone", "landline_phone", "whatsapp_phone"];

    /// The contacts of each row that a later one sets, found by looking.
    fn naively(rows: &[(u64, Vec<usize>)]) -> Vec<Vec<usize>> {
        let mut last = HashMap::new();
        for (row, (user, names)) in rows.iter().enumerate() {
            for name in names {
                last.insert((user, name), row);
            }
        }
        let replaced = |(row, (user, names)): (usize, &(u64, Vec<usize>))| {
            let is_replaced = |(_, name): &(usize, &usize)| last[&(user, *name)] != row;
            names.iter().enumerate().filter(is_replaced).map(|(index, _)| index).collect()
        };
        rows.iter().enumerate().map(replaced).collect()
    }

    fn rows() -> impl Strategy<Value = Vec<(u64, Vec<usize>)>> {
        let names = prop::sample::subsequence((0..NAMES.len()).collect::<Vec<_>>(), 0..=NAMES.len()).prop_shuffle();
        prop::collection::vec((1..9_u64, names), 0..200)
    }

    proptest! {
        /// However little fits into memory.
        #[test]
        fn later_rows_are_found_wherever_they_stand(
            rows in rows(),
            entries in 1..40_usize,
            runs in 2..5_usize,
            asked in prop::collection::vec(any::<bool>(), 200),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let limits = SortLimits { entries, runs };
            let mut superseding = Superseding::within(folder.path(), limits, limits).unwrap();
            for (row, (user, names)) in rows.iter().enumerate() {
                superseding.see(*user, row as u64 + 1, names.iter().map(|name| NAMES[*name])).unwrap();
            }
            let mut superseded = superseding.end().unwrap();
            prop_assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "what is written has no name");
            let mut found = Vec::new();
            for (row, expected) in naively(&rows).into_iter().enumerate().filter(|(row, _)| asked[*row]) {
                superseded.of_row(row as u64 + 1, &mut found).unwrap();
                prop_assert_eq!(&found, &expected, "row {}", row + 1);
            }
        }
    }

    #[test]
    fn places_keep_what_they_are_made_of() {
        for (row, index) in [(1, 0), (u64::from(u32::MAX) * 1_000, (1 << INDEX_BITS) - 1)] {
            let mut bytes = Vec::new();
            let set = Set { user: u64::MAX, name: 7, place: Place::new(row, index) };
            set.write(&mut bytes);
            assert_eq!((bytes.len(), Set::read(&bytes)), (Set::BYTES, set));
            assert_eq!((set.place.row(), set.place.index()), (row, index));
        }
    }
}
