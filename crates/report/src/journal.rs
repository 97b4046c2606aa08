use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    mem,
    path::{Path, PathBuf},
};

use model::{Decision, Outcome};

use crate::{
    error::ReportError,
    file::{create_locked, is_at, is_special, unopened},
    format::{Compression, ReportFormat},
    record,
    tally::Tally,
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
}

/// Which records hold the contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContactsPolicy {
    /// Those of rows that were rejected or failed: what is needed to send them again.
    Failed,
    /// All.
    Always,
    /// None.
    Never,
}

/// A report that is being written. Records wait in memory until [`Journal::write`] or [`Journal::sync`]; after an error
/// nothing more is written, since nobody can know what is on the disk.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    format: ReportFormat,
    contacts: ContactsPolicy,
    /// Records that no `write` took yet, and what they add up to.
    buffer: Vec<u8>,
    pending: Tally,
    tally: Tally,
    unsynced: bool,
    is_regular: bool,
    /// After an error.
    is_broken: bool,
}

impl Journal {
    /// Creates a report, mode 0600 and locked. A pipe or a device is opened and written to as it is.
    pub fn create(path: &Path, options: JournalOptions) -> Result<Self, ReportError> {
        let is_special = is_special(path);
        let file = if is_special {
            OpenOptions::new().write(true).open(path).map_err(|cause| unopened(path, cause))?
        } else {
            create_locked(path, options.force)?
        };
        let mut journal = Self::over(path, file, options.contacts, Tally::default());
        journal.is_regular = !is_special;
        journal.begin()?;
        Ok(journal)
    }

    /// Writes on in a file that holds only whole records, which add up to the tally.
    pub(crate) fn over(path: &Path, file: File, contacts: ContactsPolicy, tally: Tally) -> Self {
        Self {
            path: path.to_owned(),
            file,
            format: ReportFormat::of(path),
            contacts,
            buffer: Vec::new(),
            pending: Tally::default(),
            tally,
            unsynced: true,
            is_regular: true,
            is_broken: false,
        }
    }

    /// Writes what stands at the beginning of an empty report.
    pub(crate) fn begin(&mut self) -> Result<(), ReportError> {
        record::write_header(self.format.encoding, &mut self.buffer);
        self.sync()
    }

    /// Adds a record, which waits in memory. It is on the disk after the next [`Journal::sync`]; call that, or
    /// [`Journal::write`], as soon as [`Journal::is_full`].
    pub fn append(&mut self, decision: &Decision) {
        let contacts = match self.contacts {
            ContactsPolicy::Always => true,
            ContactsPolicy::Never => false,
            ContactsPolicy::Failed => matches!(decision.outcome, Outcome::Failed | Outcome::Rejected),
        };
        let quoteless = if self.contacts == ContactsPolicy::Never { without_values(decision) } else { None };
        record::write(self.format.encoding, quoteless.as_ref().unwrap_or(decision), contacts, &mut self.buffer);
        self.pending.add(decision);
    }

    /// Whether enough records wait to be worth a write.
    pub fn is_full(&self) -> bool {
        self.buffer.len() >= FULL_BYTES
    }

    /// Whether a row was accepted, be its record in the file or still waiting.
    pub fn has_accepted(&self) -> bool {
        self.tally.rows(Outcome::Synced) + self.pending.rows(Outcome::Synced) > 0
    }

    /// Whether it is a file, which can be resumed; not a pipe or a device.
    pub fn is_resumable(&self) -> bool {
        self.is_regular
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
        let is_here = is_at(&self.file, &self.path);
        if !self.is_regular || self.broken_by(is_here)? {
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
        self.file.write_all(packed.as_deref().unwrap_or(&self.buffer))?;
        self.buffer.clear();
        self.tally.merge(&mem::take(&mut self.pending));
        self.unsynced = true;
        Ok(())
    }

    fn try_sync(&mut self) -> io::Result<()> {
        if self.is_regular && mem::take(&mut self.unsynced) {
            self.file.sync_data()?;
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
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Records that wait, or that an error kept from the file.
    pub fn unwritten(&self) -> u64 {
        self.pending.total()
    }
}

/// The same decision where the other side's message repeats a contact value, without that value.
fn without_values(decision: &Decision) -> Option<Decision> {
    let (message, contacts) = (decision.answered.message.as_ref()?, decision.contacts.as_ref()?);
    let repeated = |value: &str| !value.trim().is_empty() && message.contains(value);
    if !contacts.iter().any(|(_, value)| repeated(value)) {
        return None;
    }
    let mut quoteless = decision.clone();
    let message = contacts.iter().filter(|(_, value)| repeated(value));
    quoteless.answered.message =
        Some(message.fold(decision.answered.message.clone()?, |message, (_, value)| message.replace(value, "[value]")));
    Some(quoteless)
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
