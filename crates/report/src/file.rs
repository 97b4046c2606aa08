//! The file of a report: created or opened, locked, and never anybody else's.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::error::ReportError;

/// A pipe or a device, which is neither locked nor synced.
pub(crate) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Creates the file, or with `force` a new one in the place of an old one that nobody writes. A link is followed then:
/// what it points to is replaced.
pub(crate) fn create_locked(path: &Path, force: bool) -> Result<File, ReportError> {
    match create(path) {
        Ok(file) => {
            lock(&file, path)?;
            sync_folder(path).map_err(|cause| unopened(path, cause))?;
            Ok(file)
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(unopened(path, error)),
        Err(_) if force => replace(path),
        Err(_) => {
            let is_locked = File::open(path).is_ok_and(|old| matches!(old.try_lock(), Err(TryLockError::WouldBlock)));
            let path = path.to_owned();
            Err(if is_locked { ReportError::Locked(path) } else { ReportError::AlreadyExists(path) })
        }
    }
}

/// Opens a file that is there, to read it and to append to it.
pub(crate) fn open_locked(path: &Path) -> Result<File, ReportError> {
    let opened = OpenOptions::new().read(true).append(true).open(path);
    let file = opened.map_err(|cause| unopened(path, cause))?;
    lock_in_place(&file, path)?;
    Ok(file)
}

/// Whether the path still leads to this file.
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let mine = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (mine.dev(), mine.ino())))
}

/// A new name is on the disk only once its folder is.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

/// The folder in which a path lies.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Creates a file that only its owner can read; never follows a link, never takes one that is there.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// A name for a file that is to become `path`, in the same folder.
pub(crate) fn temporary_beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // In a container every process may have the same id, and a killed one leaves its file behind.
    let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    path.with_file_name(format!(".{name}.{}-{time}", std::process::id()))
}

fn replace(link: &Path) -> Result<File, ReportError> {
    let failed = |cause| unopened(link, cause);
    let path = fs::canonicalize(link).map_err(failed)?;
    let old = File::open(&path).map_err(failed)?;
    lock_in_place(&old, &path)?;
    let temporary = temporary_beside(&path);
    let file = create(&temporary).map_err(failed)?;
    // Locked before it can be found.
    let replaced = lock(&file, link).and_then(|()| fs::rename(&temporary, &path).map_err(failed));
    if let Err(error) = replaced {
        // What can't be removed either is an empty file.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_folder(&path).map_err(failed)?;
    Ok(file)
}

/// Locks the file, which must still be there: another run may have put a new one in its place before the lock.
fn lock_in_place(file: &File, path: &Path) -> Result<(), ReportError> {
    lock(file, path)?;
    if is_at(file, path).map_err(|cause| unopened(path, cause))? {
        Ok(())
    } else {
        Err(ReportError::Locked(path.to_owned()))
    }
}

fn lock(file: &File, path: &Path) -> Result<(), ReportError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(ReportError::Locked(path.to_owned())),
        Err(TryLockError::Error(cause)) => Err(unopened(path, cause)),
    }
}

pub(crate) fn unopened(path: &Path, cause: io::Error) -> ReportError {
    ReportError::Open { path: path.to_owned(), cause }
}
