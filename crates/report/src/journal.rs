use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    mem,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use model::{Decision, Outcome};

use crate::{
    error::ReportError,
    format::{Compression, ReportFormat},
    record,
    tally::Tally,
};

/// Records are handed to the file when so many bytes of them wait.
const WRITE_BYTES: usize = 256 << 10;

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
}

impl Journal {
    /// Creates a report, mode 0600 and locked. A pipe or a device is opened and written to as it is.
    pub fn create(path: &Path, options: JournalOptions) -> Result<Self, ReportError> {
        let failed = |cause| ReportError::Open { path: path.to_owned(), cause };
        let is_special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir());
        let file = if is_special {
            OpenOptions::new().write(true).open(path).map_err(failed)?
        } else {
            create_locked(path, options.force)?
        };
        let format = ReportFormat::of(path);
        let mut journal = Self {
            path: path.to_owned(),
            file,
            format,
            contacts: options.contacts,
            buffer: Vec::with_capacity(WRITE_BYTES + (64 << 10)),
            pending: Tally::default(),
            tally: Tally::default(),
            unsynced: true,
            is_regular: !is_special,
        };
        record::write_header(format.encoding, &mut journal.buffer);
        journal.sync()?;
        Ok(journal)
    }

    /// Adds a record. It is on the disk after the next [`Journal::sync`].
    pub fn append(&mut self, decision: &Decision) -> Result<(), ReportError> {
        let contacts = match self.contacts {
            ContactsPolicy::Always => true,
            ContactsPolicy::Never => false,
            ContactsPolicy::Failed => matches!(decision.outcome, Outcome::Failed | Outcome::Rejected),
        };
        let quoteless = if self.contacts == ContactsPolicy::Never { without_values(decision) } else { None };
        record::write(self.format.encoding, quoteless.as_ref().unwrap_or(decision), contacts, &mut self.buffer);
        self.pending.add(decision);
        if self.buffer.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    /// Hands waiting records to the file.
    pub fn write(&mut self) -> Result<(), ReportError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let written = compressed(self.format.compression, &self.buffer)
            .and_then(|packed| self.file.write_all(packed.as_deref().unwrap_or(&self.buffer)));
        written.map_err(|cause| ReportError::Write { path: self.path.clone(), cause })?;
        self.buffer.clear();
        self.tally.merge(&mem::take(&mut self.pending));
        self.unsynced = true;
        Ok(())
    }

    /// Hands waiting records to the file and the file to the disk, and makes sure that the path still is this file.
    pub fn sync(&mut self) -> Result<(), ReportError> {
        self.write()?;
        if !self.is_regular {
            return Ok(());
        }
        if mem::take(&mut self.unsynced) {
            self.file.sync_data().map_err(|cause| ReportError::Write { path: self.path.clone(), cause })?;
        }
        let mine = self.file.metadata().map_err(|cause| ReportError::Write { path: self.path.clone(), cause })?;
        match fs::metadata(&self.path) {
            Ok(there) if (there.dev(), there.ino()) == (mine.dev(), mine.ino()) => Ok(()),
            _ => Err(ReportError::Replaced(self.path.clone())),
        }
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

/// Creates the file, or with `force` a new one in the place of an old one that nobody writes.
fn create_locked(path: &Path, force: bool) -> Result<File, ReportError> {
    let failed = |cause| ReportError::Open { path: path.to_owned(), cause };
    let create = |path: &Path| OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    let file = match create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && force => {
            let old = File::open(path).map_err(failed)?;
            lock(&old, path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
            let file = create(&temporary).map_err(failed)?;
            lock(&file, path)?;
            fs::rename(&temporary, path).map_err(failed)?;
            file
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let is_locked = File::open(path).is_ok_and(|old| matches!(old.try_lock(), Err(TryLockError::WouldBlock)));
            let path = path.to_owned();
            return Err(if is_locked { ReportError::Locked(path) } else { ReportError::AlreadyExists(path) });
        }
        created => {
            let file = created.map_err(failed)?;
            lock(&file, path)?;
            file
        }
    };
    sync_folder(path).map_err(failed)?;
    Ok(file)
}

fn lock(file: &File, path: &Path) -> Result<(), ReportError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ReportError::Locked(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(ReportError::Open { path: path.to_owned(), cause }),
    }
}

/// A new name is on the disk only once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
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
        Compression::Zstd => zstd::encode_all(bytes, 0).map(Some),
    }
}
