use std::{
    fmt,
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use model::{Decision, Outcome};

use crate::{
    error::ReportError,
    file::{create_locked, is_at, is_special, unopened},
    format::{Compression, ReportFormat},
    mask::without_values,
    record::{self, Shown},
    tally::Tally,
    time::Times,
};

/// So many bytes of records may wait.
const FULL_BYTES: usize = 1 << 20;

/// How a report is created.
#[derive(Debug, Clone, Copy)]
pub struct JournalOptions {
    /// Replace a file that exists by a new one.
    pub force: bool,
    /// Which records hold the contacts.
    pub contacts: ContactsPolicy,
    /// Rows are keyed by ids of the organisation's own: each record has the field `id`, empty where there is none.
    pub ids: bool,
}

impl From<ContactsPolicy> for JournalOptions {
    /// Rows are keyed by EUIDs, and no file is replaced.
    fn from(contacts: ContactsPolicy) -> Self {
        Self { force: false, contacts, ids: false }
    }
}

/// Which records hold the contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactsPolicy {
    /// Those of rows that were rejected, failed, or are different: what is needed to send them again.
    Failed,
    /// All.
    Always,
    /// None.
    Never,
}

impl ContactsPolicy {
    /// Whether the record of a row that ended so holds its contacts.
    pub fn shows(self, outcome: Outcome) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Failed => matches!(outcome, Outcome::Failed | Outcome::Rejected | Outcome::Different),
        }
    }
}

/// What records are written to.
pub trait Storage: Write + Send + fmt::Debug {
    /// Comes back once everything written is on the disk.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether a reader would still find it where it is meant to be.
    fn is_in_place(&self) -> io::Result<bool>;
}

/// A file, found by its path.
#[derive(Debug)]
struct StoredFile {
    file: Arc<File>,
    path: PathBuf,
}

impl Write for StoredFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.file).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Storage for StoredFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_in_place(&self) -> io::Result<bool> {
        is_at(&self.file, &self.path)
    }
}

/// A pipe, a device or standard output, which keeps nothing.
#[derive(Debug)]
struct Stream(File);

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Storage for Stream {
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn is_in_place(&self) -> io::Result<bool> {
        Ok(true)
    }
}

/// What the records that were handed to a file add up to, as they become more. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LiveTally(Arc<Mutex<Tally>>);

impl LiveTally {
    /// One that begins with what this one counted.
    pub fn new(tally: Tally) -> Self {
        Self(Arc::new(Mutex::new(tally)))
    }

    /// What it is by now.
    pub fn look(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn merge(&self, further: &Tally) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).merge(further);
    }
}

/// A report that is being written. Records wait in memory until [`Journal::write`] or [`Journal::sync`]; after an error
/// nothing more is written, since nobody can know what is on the disk.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    storage: Box<dyn Storage>,
    format: ReportFormat,
    options: JournalOptions,
    /// Records that no `write` took yet, and what they add up to.
    buffer: Vec<u8>,
    times: Times,
    pending: Tally,
    written: LiveTally,
    unsynced: bool,
    is_resumable: bool,
    /// After an error.
    is_broken: bool,
}

impl Journal {
    /// Creates a report, mode 0600 and locked. A pipe or a device is opened and written to as it is.
    pub fn create(path: &Path, options: JournalOptions) -> Result<Self, ReportError> {
        if is_special(path) {
            let stream = OpenOptions::new().write(true).open(path).map_err(|cause| unopened(path, cause))?;
            return Self::to_stream(path, stream, options);
        }
        let file = Arc::new(create_locked(path, options.force)?);
        let mut journal = Self::in_file(path, file, options, Tally::default());
        journal.begin()?;
        Ok(journal)
    }

    /// A report that goes to a pipe, a device or standard output: without sync, and nothing that could be resumed.
    pub fn to_stream(name: &Path, stream: File, options: impl Into<JournalOptions>) -> Result<Self, ReportError> {
        let mut journal = Self::new(name, Box::new(Stream(stream)), options.into(), Tally::default());
        journal.is_resumable = false;
        journal.begin()?;
        Ok(journal)
    }

    /// A report in any storage, in the format that the name says.
    pub fn in_storage(
        name: &Path,
        storage: Box<dyn Storage>,
        options: impl Into<JournalOptions>,
    ) -> Result<Self, ReportError> {
        let mut journal = Self::new(name, storage, options.into(), Tally::default());
        journal.begin()?;
        Ok(journal)
    }

    /// Writes on in a file that holds only whole records, which add up to the tally.
    pub(crate) fn in_file(path: &Path, file: Arc<File>, options: JournalOptions, tally: Tally) -> Self {
        Self::new(path, Box::new(StoredFile { file, path: path.to_owned() }), options, tally)
    }

    fn new(path: &Path, storage: Box<dyn Storage>, options: JournalOptions, tally: Tally) -> Self {
        Self {
            path: path.to_owned(),
            storage,
            format: ReportFormat::of(path),
            options,
            buffer: Vec::new(),
            times: Times::default(),
            pending: Tally::default(),
            written: LiveTally::new(tally),
            unsynced: true,
            is_resumable: true,
            is_broken: false,
        }
    }

    /// Writes what stands at the beginning of an empty report.
    pub(crate) fn begin(&mut self) -> Result<(), ReportError> {
        record::write_header(self.format.encoding, self.options.ids, &mut self.buffer);
        self.sync()
    }

    /// Adds a record, which waits in memory. It is on the disk after the next [`Journal::sync`]; call that, or
    /// [`Journal::write`], as soon as [`Journal::is_full`].
    pub fn append(&mut self, decision: &Decision) {
        let JournalOptions { contacts, ids, force: _ } = self.options;
        let bare = if contacts == ContactsPolicy::Never { without_values(decision) } else { None };
        let shown = Shown { contacts: contacts.shows(decision.outcome), id: ids };
        record::write(
            self.format.encoding,
            bare.as_ref().unwrap_or(decision),
            shown,
            &mut self.times,
            &mut self.buffer,
        );
        self.pending.add(decision);
    }

    /// Whether enough records wait to be worth a write.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES
    }

    /// Whether it is a file, which can be resumed; not a pipe or a device.
    pub fn is_resumable(&self) -> bool {
        self.is_resumable
    }

    /// Hands waiting records to the file.
    pub fn write(&mut self) -> Result<(), ReportError> {
        let written = self.try_write();
        self.broken_by(written)
    }

    /// Hands waiting records to the file and the file to the disk, and makes sure that the path still is this file.
    pub fn sync(&mut self) -> Result<(), ReportError> {
        let synced = self.try_write().and_then(|()| self.try_sync());
        self.broken_by(synced)?;
        let is_here = self.storage.is_in_place();
        if self.broken_by(is_here)? {
            return Ok(());
        }
        self.is_broken = true;
        Err(ReportError::Replaced(self.path.clone()))
    }

    fn try_write(&mut self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("it could not be written before"));
        }
        if self.buffer.is_empty() {
            return Ok(());
        }
        let packed = compressed(self.format.compression, &self.buffer)?;
        self.storage.write_all(packed.as_deref().unwrap_or(&self.buffer))?;
        self.buffer.clear();
        self.written.merge(&mem::take(&mut self.pending));
        self.unsynced = true;
        Ok(())
    }

    fn try_sync(&mut self) -> io::Result<()> {
        if mem::take(&mut self.unsynced) {
            self.storage.sync()?;
        }
        Ok(())
    }

    fn broken_by<T>(&mut self, result: io::Result<T>) -> Result<T, ReportError> {
        result.map_err(|cause| {
            self.is_broken = true;
            ReportError::Write { path: self.path.clone(), cause }
        })
    }

    /// Ends the report: everything is on the disk.
    pub fn finish(mut self) -> Result<(), ReportError> {
        self.sync()
    }

    /// What the records that were handed to the file add up to.
    pub fn tally(&self) -> Tally {
        self.written.look()
    }

    /// The same as it grows, for whoever looks from elsewhere.
    pub fn live_tally(&self) -> LiveTally {
        self.written.clone()
    }

    /// Records that wait, or that an error kept from the file.
    pub fn unwritten(&self) -> u64 {
        self.pending.total()
    }
}

/// A whole gzip member or zstd frame, so that a cut costs no more than what was not synced; none where nothing is
/// compressed.
fn compressed(compression: Compression, bytes: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match compression {
        Compression::None => Ok(None),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes)?;
            encoder.finish().map(Some)
        }
        Compression::Zstd => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 0)?;
            // Without it a frame that was never filled could pass for whole.
            encoder.include_checksum(true)?;
            encoder.write_all(bytes)?;
            encoder.finish().map(Some)
        }
    }
}
