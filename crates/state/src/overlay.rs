//! Entries that are newer than those of the base.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use crate::entry::Entry;

/// What an entry takes in memory beside its bytes, roughly.
const BESIDE: usize = 72;

/// Entries by EUID.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    entries: HashMap<u64, Newer>,
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
        if self.entries.is_empty() { None } else { self.entries.get(&euid) }
    }

    pub(crate) fn insert(&mut self, euid: u64, entry: Option<Box<[u8]>>, flags: u8) {
        let bytes = |entry: &Option<Box<[u8]>>| BESIDE + entry.as_ref().map_or(0, |entry| entry.len());
        self.bytes += bytes(&entry);
        if let Some(before) = self.entries.insert(euid, Newer { entry, flags: AtomicU8::new(flags) }) {
            self.bytes -= bytes(&before.entry);
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
        Self { entries, bytes: self.bytes }
    }
}
