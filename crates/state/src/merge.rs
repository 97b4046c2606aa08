//! Makes a new file of a base and what is newer, and puts it in the place of the old one.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{Base, BaseError, BaseWriter},
    fingerprint::Key,
    flags::Flags,
    log::{Changes, Log},
    meta::Meta,
    overlay::Overlay,
    tables::merged,
};

/// Why a new file can't be made.
#[derive(Debug)]
pub(crate) enum MergeError {
    /// Of the old one.
    Old(BaseError),
    /// Of the new one.
    New(io::Error),
    /// Another file lies where the old one did.
    Replaced,
}

impl From<BaseError> for MergeError {
    fn from(error: BaseError) -> Self {
        Self::Old(error)
    }
}

impl From<io::Error> for MergeError {
    fn from(error: io::Error) -> Self {
        Self::New(error)
    }
}

/// A file that was written and synced, and has no place yet.
pub(crate) struct Written {
    pub(crate) base: Base,
    pub(crate) log: Log,
}

/// Where a new file is written before it has its place: a name that nobody else gives a file. Whoever writes there holds the
/// lock of the state, so what lies there is what a kill left.
pub(crate) fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".contactsync-new");
    path.with_file_name(name)
}

/// A new file that only its owner can read; one that a kill left behind is taken away.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// Writes a file that holds nothing.
pub(crate) fn write_empty(file: File, meta: &Meta) -> Result<Written, MergeError> {
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let (key, salt) = random.split_at(16);
    let writer = BaseWriter::new(file, Key::try_from(key).unwrap_or_default(), word(salt))?;
    finish(writer, meta, true)
}

/// Writes the entries of a base and what is newer. Where it needn't be durable, nothing is synced.
pub(crate) fn write(
    file: File,
    base: &Base,
    newer: &Overlay,
    meta: &Meta,
    durable: bool,
) -> Result<Written, MergeError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(io::Error::from)?;
    let mut writer = BaseWriter::new(file, base.key, word(&random))?;
    merged(base, &Flags::default(), newer, &mut |euid, entry, _| -> Result<(), MergeError> {
        Ok(writer.push(euid, entry.bytes())?)
    })?;
    finish(writer, meta, durable)
}

fn word(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

fn finish(writer: BaseWriter, meta: &Meta, durable: bool) -> Result<Written, MergeError> {
    let file = Arc::new(writer.finish()?);
    // It is read as whoever opens it will: what can't be read must not take the place of what can.
    let base = Base::open(Arc::clone(&file))?;
    let mut log = Log::begin(Arc::clone(&file), base.salt, base.log_at);
    let mut changes = Changes::default();
    changes.meta(meta)?;
    if durable {
        log.commit(&changes)?;
        file.sync_all()?;
    }
    Ok(Written { base, log })
}

/// What was renamed stays so.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

pub(crate) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
