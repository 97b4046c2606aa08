//! What this run has seen of the entries of a base: two bits for each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A row of this EUID was read in this run.
pub(crate) const SEEN: u8 = 1;
/// One was found unchanged.
pub(crate) const UNCHANGED: u8 = 2;

const FLAGS_A_WORD: u64 = 32;

/// Flags by an entry's place in the base.
#[derive(Debug, Default)]
pub(crate) struct Flags(Vec<AtomicU64>);

impl Flags {
    pub(crate) fn new(entries: u64) -> Self {
        Self((0..entries.div_ceil(FLAGS_A_WORD)).map(|_| AtomicU64::new(0)).collect())
    }

    /// Adds flags, and returns those that were there before.
    pub(crate) fn add(&self, position: u64, flags: u8) -> u8 {
        let Some(word) = self.0.get((position / FLAGS_A_WORD) as usize) else { return 0 };
        let shift = position % FLAGS_A_WORD * 2;
        let before = word.load(Relaxed) >> shift & 3;
        if before as u8 & flags != flags {
            word.fetch_or(u64::from(flags) << shift, Relaxed);
        }
        before as u8
    }

    pub(crate) fn get(&self, position: u64) -> u8 {
        self.add(position, 0)
    }

    /// How many entries were seen.
    pub(crate) fn seen(&self) -> u64 {
        self.0.iter().map(|word| u64::from((word.load(Relaxed) & 0x5555_5555_5555_5555).count_ones())).sum()
    }
}
