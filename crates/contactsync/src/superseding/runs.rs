//! Sorted runs, one behind the other in a file that only this process can open.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::sorting::Entry;
use crate::{exit::Exit, failure::Failure, spool::unnamed};

/// Bytes that are written at once.
const WRITTEN_BYTES: usize = 256 << 10;

/// What is sorted can't be kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SortError {
    /// No file can be made.
    #[error("no file can be made in the folder {}, where what later rows set is sorted: {cause}", folder.display())]
    NoFile {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// The file breaks off, most likely for want of room.
    #[error("what later rows set can't be sorted in the folder {}: {cause}", folder.display())]
    Broken {
        /// The folder.
        folder: PathBuf,
        /// What happened.
        cause: io::Error,
    },
}

impl From<SortError> for Failure {
    fn from(error: SortError) -> Self {
        let exit = match &error {
            SortError::NoFile { .. } => Exit::Usage,
            SortError::Broken { .. } => Exit::ReadOrWrite,
        };
        let hint = "name a folder with enough room with `--temp-dir`: it takes 24 bytes for each contact";
        Self::new(exit, error.to_string()).with_hint(hint.to_owned())
    }
}

/// The runs of a sort.
#[derive(Debug)]
pub(super) struct Runs {
    file: Arc<File>,
    folder: PathBuf,
    /// Where each run ends.
    ends: Vec<u64>,
    buffer: Vec<u8>,
}

impl Runs {
    /// None yet, in a file without a name.
    pub(super) fn begin(folder: &Path) -> Result<Self, SortError> {
        let file = unnamed(folder).map_err(|cause| SortError::NoFile { folder: folder.to_owned(), cause })?;
        Ok(Self::of(file, folder))
    }

    fn of(file: File, folder: &Path) -> Self {
        Self { file: Arc::new(file), folder: folder.to_owned(), ends: Vec::new(), buffer: Vec::new() }
    }

    /// Writes a further run: entries in their order.
    pub(super) fn append<T: Entry>(
        &mut self,
        entries: impl Iterator<Item = Result<T, SortError>>,
    ) -> Result<(), SortError> {
        let mut end = self.ends.last().copied().unwrap_or(0);
        let Self { file, folder, buffer, .. } = self;
        let mut write = |buffer: &mut Vec<u8>| {
            end += buffer.len() as u64;
            let written = file.as_ref().write_all(buffer);
            buffer.clear();
            written.map_err(|cause| SortError::Broken { folder: folder.clone(), cause })
        };
        for entry in entries {
            entry?.write(buffer);
            if buffer.len() >= WRITTEN_BYTES {
                write(buffer)?;
            }
        }
        write(buffer)?;
        self.ends.push(end);
        Ok(())
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.ends.len()
    }

    /// Reads one of them, so many bytes at once.
    pub(super) fn reader(&self, number: usize, bytes: usize) -> RunReader {
        let at = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        let (file, folder, end) = (Arc::clone(&self.file), self.folder.clone(), self.ends[number]);
        RunReader { file, folder, at, end, bytes, buffer: Vec::new(), taken: 0 }
    }
}

/// Reads a run.
#[derive(Debug)]
pub(super) struct RunReader {
    file: Arc<File>,
    folder: PathBuf,
    /// What is to be read next, and where the run ends.
    at: u64,
    end: u64,
    /// A whole number of entries.
    bytes: usize,
    buffer: Vec<u8>,
    taken: usize,
}

impl RunReader {
    /// The next entry.
    pub(super) fn next<T: Entry>(&mut self) -> Result<Option<T>, SortError> {
        if self.taken == self.buffer.len() {
            let count = (self.end - self.at).min(self.bytes as u64);
            self.buffer.resize(count as usize, 0);
            self.taken = 0;
            self.file
                .read_exact_at(&mut self.buffer, self.at)
                .map_err(|cause| SortError::Broken { folder: self.folder.clone(), cause })?;
            self.at += count;
        }
        let Some(bytes) = self.buffer.get(self.taken..self.taken + T::BYTES) else { return Ok(None) };
        self.taken += T::BYTES;
        Ok(Some(T::read(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::{super::sorting::SortLimits, *};
    use crate::superseding::{Superseding, sorting::Sorter};

    impl Entry for u64 {
        const BYTES: usize = 8;

        fn write(self, into: &mut Vec<u8>) {
            into.extend_from_slice(&self.to_le_bytes());
        }

        fn read(bytes: &[u8]) -> Self {
            Self::from_le_bytes(bytes.try_into().unwrap_or_default())
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_told_only_where_a_file_is_needed() {
        let absent = Path::new("/nowhere/at/all");
        let mut sorter = Sorter::new(absent, SortLimits { entries: 2, runs: 2 });
        sorter.push(2_u64).and_then(|()| sorter.push(1)).unwrap();
        let failure = Failure::from(sorter.push(3).unwrap_err());
        assert_eq!(failure.exit, Exit::Usage);
        assert!(failure.message.contains("/nowhere/at/all") && failure.hint.unwrap().contains("--temp-dir"));
        assert!(Superseding::new(absent).is_ok(), "a small input needs none");
    }

    #[test]
    fn a_full_disk_is_told_with_its_folder() {
        let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        let mut runs = Runs::of(full, Path::new("/some/folder"));
        let failure = Failure::from(runs.append([1_u64, 2].into_iter().map(Ok)).unwrap_err());
        assert_eq!(failure.exit, Exit::ReadOrWrite);
        assert!(failure.message.contains("/some/folder") && failure.hint.unwrap().contains("--temp-dir"));
    }

    #[test]
    fn a_run_that_is_cut_is_no_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut runs = Runs::begin(folder.path()).unwrap();
        runs.append((0..100_u64).map(Ok)).unwrap();
        runs.file.set_len(400).unwrap();
        let mut reader = runs.reader(0, 80);
        let read = std::iter::from_fn(|| reader.next::<u64>().transpose());
        let read: Vec<_> = read.take(60).map(Result::ok).collect();
        assert_eq!(read[..50], (0..50).map(Some).collect::<Vec<_>>());
        assert_eq!(read[50], None);
    }
}
