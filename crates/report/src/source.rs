//! A report that is read: opened once, and read as often as need be through that one handle.

use std::{
    fs::{File, TryLockError},
    io::{self, Read},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::Decision;

use crate::{
    error::ReportError,
    file::unopened,
    gist::Gist,
    read::{ReadError, ReportReader},
    run_file::{Run, RunFile, RunInput},
};

/// A report of an earlier run. What was in it when it was opened counts: it may grow, or another may come to stand under
/// its path.
#[derive(Debug, Clone)]
pub struct SourceReport {
    path: PathBuf,
    file: Arc<File>,
    /// So many of its bytes are read.
    size: u64,
    /// A private copy of a pipe, beside which nothing lies.
    is_copy: bool,
    /// The digest of its bytes, once it was asked for, here or in a clone.
    digest: Arc<Mutex<Option<Digest>>>,
}

/// Of so many bytes.
#[derive(Debug, Clone, Copy)]
struct Digest {
    size: u64,
    bytes: u64,
    blake3: blake3::Hash,
}

/// When a record was written, to compare it with others: the time, never earlier than that of a record above it in its
/// report, since clocks are set back; then the number of the report, and the place in it.
pub(crate) type Moment = (i64, usize, u64);

impl SourceReport {
    /// Opens a report. A folder, a pipe or a device is refused.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |cause| ReadError::Read { path: path.to_owned(), cause };
        // A pipe would wait for somebody to write to it.
        let metadata = std::fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile { path: path.to_owned(), is_folder: metadata.is_dir() });
        }
        Self::over(path, File::open(path).map_err(failed)?, false)
    }

    /// A private copy of a report that can be read only once, under the name it was given by.
    pub fn copied(name: &Path, copy: File) -> Result<Self, ReadError> {
        Self::over(name, copy, true)
    }

    fn over(path: &Path, file: File, is_copy: bool) -> Result<Self, ReadError> {
        let metadata = file.metadata().map_err(|cause| ReadError::Read { path: path.to_owned(), cause })?;
        if !metadata.is_file() {
            return Err(ReadError::NotAFile { path: path.to_owned(), is_folder: metadata.is_dir() });
        }
        Ok(Self { path: path.to_owned(), file: Arc::new(file), size: metadata.len(), is_copy, digest: Arc::default() })
    }

    /// One that is open already, of which so many bytes are read.
    pub(crate) fn of_file(path: &Path, file: Arc<File>, size: u64) -> Self {
        Self { path: path.to_owned(), file, size, is_copy: false, digest: Arc::default() }
    }

    /// Keeps everybody from writing it for as long as this, or a clone of it, lives. An error where somebody does.
    pub fn hold(&mut self) -> Result<(), ReportError> {
        match self.file.try_lock_shared() {
            Ok(()) => {
                // Who wrote it until now may have ended meanwhile.
                self.size = self.file.metadata().map_err(|cause| unopened(&self.path, cause))?.len();
                Ok(())
            }
            Err(TryLockError::WouldBlock) => Err(ReportError::BeingWritten(self.path.clone())),
            Err(TryLockError::Error(cause)) => Err(unopened(&self.path, cause)),
        }
    }

    /// The path it was opened by, or the name it was given by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    pub fn file_id(&self) -> Result<(u64, u64), ReportError> {
        let metadata = self.file.metadata().map_err(|cause| unopened(&self.path, cause))?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// What its run left beside it; none where nothing lies there.
    pub(crate) fn run(&self) -> Result<Option<Run>, ReportError> {
        if self.is_copy { Ok(None) } else { RunFile::read(&self.path) }
    }

    /// Whether the run that wrote it is known not to have come to its end: rows that it didn't decide may be newer than
    /// those that failed in it.
    pub fn is_unfinished(&self) -> bool {
        matches!(self.run(), Ok(Some(run)) if run.finished.is_none())
    }

    /// Its size and digest. It is read for it once, by whoever asks first: others wait for that.
    pub fn as_input(&self) -> Result<RunInput, ReportError> {
        let mut known = self.digest.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match *known {
            Some(digest) if digest.size == self.size => digest,
            _ => {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(self.bytes()).map_err(|cause| unopened(&self.path, cause))?;
                Digest { size: self.size, bytes: hasher.count(), blake3: hasher.finalize() }
            }
        };
        *known = Some(digest);
        let source = self.path.display().to_string();
        let blake3 = digest.blake3.to_hex().to_string();
        Ok(RunInput { source, bytes: digest.bytes, blake3, ended: true, ..RunInput::default() })
    }

    /// Its records, from the first on.
    pub fn records(&self) -> Result<ReportReader, ReadError> {
        ReportReader::over(&self.path, self.bytes())
    }

    fn bytes(&self) -> Bytes {
        Bytes { file: Arc::clone(&self.file), at: 0, end: self.size }
    }

    /// The same report, read no further than this.
    pub(crate) fn up_to(&self, size: u64) -> Self {
        Self { size: size.min(self.size), ..self.clone() }
    }

    /// Shows the gist of each whole record, with the byte at which it begins (without the compression), and says behind
    /// which byte the report is torn, if it is. `number`: which of several reports it is.
    pub(crate) fn skim<E: From<ReadError>>(
        &self,
        number: usize,
        mut see: impl FnMut(Moment, u64, &Gist<'_>) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let (mut records, mut time, mut place) = (self.records()?, i64::MIN, 0);
        loop {
            match records.next_gist() {
                Ok(Some((began, gist))) => {
                    time = time.max(gist.at_ms);
                    see((time, number, place), began, &gist)?;
                }
                Ok(None) => return Ok(None),
                Err(ReadError::Torn { whole_bytes, .. }) => return Ok(Some(whole_bytes)),
                Err(error) => return Err(error.into()),
            }
            place += 1;
        }
    }

    /// Shows each whole record and says behind which byte the report is torn, if it is. `number`: which of several
    /// reports it is.
    pub(crate) fn scan<E: From<ReadError>>(
        &self,
        number: usize,
        mut see: impl FnMut(Moment, &Decision) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let mut time = i64::MIN;
        for (place, record) in (0..).zip(self.records()?) {
            match record {
                Ok(record) => {
                    time = time.max(record.at_ms);
                    see((time, number, place), &record)?;
                }
                Err(ReadError::Torn { whole_bytes, .. }) => return Ok(Some(whole_bytes)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }
}

/// Bytes of a file from its beginning, whoever else reads it or writes to it.
#[derive(Debug)]
pub(crate) struct Bytes {
    file: Arc<File>,
    at: u64,
    end: u64,
}

impl Bytes {
    /// Goes on at this byte.
    pub(crate) fn go_to(&mut self, at: u64) {
        self.at = at.min(self.end);
    }
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}
