//! Sorting more than fits into memory: a buffer is filled and sorted, and what doesn't fit becomes runs in one file, which
//! are merged as they are read.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, binary_heap::PeekMut},
    path::{Path, PathBuf},
    vec,
};

use super::runs::{RunReader, Runs, SortError};

/// What is sorted: of one size on the disk.
pub(super) trait Entry: Copy + Ord {
    /// That size.
    const BYTES: usize;

    /// Writes it at the end.
    fn write(self, into: &mut Vec<u8>);

    /// Reads it from exactly so many bytes as were written.
    fn read(bytes: &[u8]) -> Self;
}

/// How much of what is sorted is in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct SortLimits {
    /// Entries that wait in memory, at least one. The readers of a merge hold as many together.
    pub(super) entries: usize,
    /// Runs that are merged at once, at least two.
    pub(super) runs: usize,
}

/// Takes entries in any order.
#[derive(Debug)]
pub(super) struct Sorter<T> {
    folder: PathBuf,
    limits: SortLimits,
    waiting: Vec<T>,
    runs: Option<Runs>,
}

/// Entries in their order.
#[derive(Debug)]
pub(super) enum Sorted<T> {
    /// All were in memory.
    Held(vec::IntoIter<T>),
    /// Runs of a file.
    Merged(Merge<T>),
}

impl<T: Entry> Sorter<T> {
    /// Its file, if it comes to that, has no name and lies in the folder.
    pub(super) fn new(folder: &Path, limits: SortLimits) -> Self {
        Self { folder: folder.to_owned(), limits, waiting: Vec::new(), runs: None }
    }

    /// Takes one.
    pub(super) fn push(&mut self, entry: T) -> Result<(), SortError> {
        if self.waiting.len() >= self.limits.entries {
            self.spill()?;
        }
        self.waiting.push(entry);
        Ok(())
    }

    fn spill(&mut self) -> Result<(), SortError> {
        self.waiting.sort_unstable();
        let runs = match &mut self.runs {
            Some(runs) => runs,
            None => self.runs.insert(Runs::begin(&self.folder)?),
        };
        runs.append(self.waiting.drain(..).map(Ok))
    }

    /// All that were taken, in their order.
    pub(super) fn sorted(mut self) -> Result<Sorted<T>, SortError> {
        if self.runs.is_none() {
            self.waiting.sort_unstable();
            return Ok(Sorted::Held(self.waiting.into_iter()));
        }
        self.spill()?;
        let Self { folder, limits, waiting, runs } = self;
        drop(waiting);
        let Some(mut runs) = runs else { return Ok(Sorted::Held(Vec::new().into_iter())) };
        while runs.count() > limits.runs {
            // The file of the round before is gone with it.
            let mut merged = Runs::begin(&folder)?;
            for some in (0..runs.count()).step_by(limits.runs) {
                merged.append(Merge::<T>::of(&runs, some..(some + limits.runs).min(runs.count()), limits)?)?;
            }
            runs = merged;
        }
        Merge::of(&runs, 0..runs.count(), limits).map(Sorted::Merged)
    }
}

impl<T: Entry> Iterator for Sorted<T> {
    type Item = Result<T, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Held(entries) => entries.next().map(Ok),
            Self::Merged(merge) => merge.next(),
        }
    }
}

/// Runs as one.
#[derive(Debug)]
pub(super) struct Merge<T> {
    readers: Vec<RunReader>,
    /// The next entry of each run that has one, with the number of its reader.
    heads: BinaryHeap<Reverse<(T, usize)>>,
}

impl<T: Entry> Merge<T> {
    fn of(runs: &Runs, numbers: std::ops::Range<usize>, limits: SortLimits) -> Result<Self, SortError> {
        let bytes = (limits.entries / numbers.len().max(1)).max(1) * T::BYTES;
        let mut readers: Vec<RunReader> = numbers.map(|number| runs.reader(number, bytes)).collect();
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (number, reader) in readers.iter_mut().enumerate() {
            heads.extend(reader.next::<T>()?.map(|entry| Reverse((entry, number))));
        }
        Ok(Self { readers, heads })
    }
}

impl<T: Entry> Iterator for Merge<T> {
    type Item = Result<T, SortError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut head = self.heads.peek_mut()?;
        let Reverse((entry, number)) = *head;
        match self.readers[number].next() {
            Ok(Some(next)) => head.0.0 = next,
            Ok(None) => _ = PeekMut::pop(head),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(entry))
    }
}
