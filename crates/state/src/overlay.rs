//! Entries that are newer than those of the base.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use model::{NumberMap, mixed};

use crate::entry::Entry;

/// What an entry takes in memory beside its bytes, roughly.
const BESIDE: usize = 72;

/// Bits of the filter for each entry, at least.
const FILTER_BITS: usize = 8;
/// Words that neighbours share: 512 bits.
const LINE_WORDS: usize = 8;

/// Entries by EUID.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    entries: NumberMap<Newer>,
    /// A bit for each entry, by a part of its hash. Most EUIDs have no entry here: that is told by what fits into a cache.
    filter: Vec<u64>,
    bytes: usize,
}

/// An entry, or that there is none any more.
#[derive(Debug)]
pub(crate) struct Newer {
    entry: Option<Box<[u8]>>,
    flags: AtomicU8,
}

impl Newer {
    pub(crate) fn entry(&self) -> Option<Entry<'_>> {
        self.entry.as_deref().and_then(Entry::at_start_of)
    }

    /// Adds flags, and returns those that were there before.
    pub(crate) fn add_flags(&self, flags: u8) -> u8 {
        self.flags.fetch_or(flags, Relaxed)
    }

    pub(crate) fn flags(&self) -> u8 {
        self.flags.load(Relaxed)
    }
}

impl Clone for Newer {
    fn clone(&self) -> Self {
        Self { entry: self.entry.clone(), flags: AtomicU8::new(self.flags()) }
    }
}

impl Overlay {
    pub(crate) fn get(&self, euid: u64) -> Option<&Newer> {
        // Nothing is newer on most nights' first rows.
        let (word, bit) = self.place(euid);
        if self.filter.get(word)? & bit == 0 { None } else { self.entries.get(&euid) }
    }

    /// An EUID's bit in the filter, which has a power of two of words. Neighbours stand in one line of a cache: exports are
    /// mostly in order.
    fn place(&self, euid: u64) -> (usize, u64) {
        let lines = self.filter.len() / LINE_WORDS;
        let line = mixed(euid >> 9, 0) as usize & lines.wrapping_sub(1);
        (line.wrapping_mul(LINE_WORDS) + (euid >> 6 & 7) as usize, 1 << (euid & 63))
    }

    fn note(&mut self, euid: u64) {
        let bits = self.filter.len() * 64;
        if self.entries.len() * FILTER_BITS > bits {
            self.filter = vec![0; (self.entries.len() * FILTER_BITS / 32).next_power_of_two().max(LINE_WORDS)];
            let places: Vec<_> = self.entries.keys().map(|euid| self.place(*euid)).collect();
            for (word, bit) in places {
                self.filter[word] |= bit;
            }
        } else {
            let (word, bit) = self.place(euid);
            self.filter[word] |= bit;
        }
    }

    pub(crate) fn insert(&mut self, euid: u64, entry: Option<Box<[u8]>>, flags: u8) {
        let bytes = |entry: &Option<Box<[u8]>>| BESIDE + entry.as_ref().map_or(0, |entry| entry.len());
        self.bytes += bytes(&entry);
        if let Some(before) = self.entries.insert(euid, Newer { entry, flags: AtomicU8::new(flags) }) {
            self.bytes -= bytes(&before.entry);
        } else {
            self.note(euid);
        }
    }

    /// Takes over what is newer than this.
    pub(crate) fn update(&mut self, newer: Self) {
        for (euid, entry) in newer.entries {
            let flags = entry.flags();
            self.insert(euid, entry.entry, flags);
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Newer)> {
        self.entries.iter().map(|(euid, newer)| (*euid, newer))
    }

    /// All in the order of their EUIDs.
    pub(crate) fn sorted(&self) -> Vec<(u64, &Newer)> {
        let mut all: Vec<_> = self.iter().collect();
        all.sort_unstable_by_key(|(euid, _)| *euid);
        all
    }

    /// What it takes in memory, roughly.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn copy(&self) -> Self {
        let entries = self.iter().map(|(euid, newer)| (euid, newer.clone())).collect();
        Self { entries, filter: self.filter.clone(), bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_at_every_size() {
        let mut overlay = Overlay::default();
        assert!(overlay.get(1).is_none());
        for count in 1..=3_000_u64 {
            overlay.insert(count * 977, Some(Box::default()), 0);
            overlay.insert(count * 977, None, 3);
            for number in (1..=count).step_by(1 + count as usize / 7) {
                assert_eq!(overlay.get(number * 977).map(Newer::flags), Some(3), "{number} of {count}");
            }
            assert!(overlay.get(count * 977 + 1).is_none());
        }
        assert_eq!((overlay.iter().count(), overlay.bytes()), (3_000, 3_000 * BESIDE));
        let copy = overlay.copy();
        assert!((1..=3_000).all(|number| copy.get(number * 977).is_some()));
    }
}
