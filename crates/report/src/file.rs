//! The file of a report: created or opened, locked, and never anybody else's.

use std::{
    fs::{self, File, OpenOptions, Permissions, TryLockError},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::error::ReportError;

/// Links that are followed one after the other: more lead in a circle.
const MOST_LINKS: usize = 40;

/// A pipe or a device, which is written to as it is, neither locked nor synced nor replaced. So are the program's own open
/// files by their names, whatever they are.
pub fn is_special(path: &Path) -> bool {
    let is_open_file = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"].iter().any(|place| path.starts_with(place));
    is_open_file || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// Where a file of this name is or would be created: links are followed, also one to a file that isn't there.
pub fn destination(path: &Path) -> PathBuf {
    let mut at = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(link) = fs::read_link(&at) else { break };
        at = at.parent().map_or_else(|| link.clone(), |folder| folder.join(&link));
    }
    at
}

/// Writes a file that only its owner can read and puts it in the place of what was there: a reader never sees a half. A
/// link stays a link. A pipe or a device is written to.
pub fn replace<T, E: From<io::Error>>(path: &Path, write: impl FnOnce(&mut File) -> Result<T, E>) -> Result<T, E> {
    if is_special(path) {
        return write(&mut OpenOptions::new().write(true).open(path)?);
    }
    let path = destination(path);
    let (temporary, file) = create_beside(&path)?;
    put_in_place(file, &temporary, &path, write)
}

/// Whether to wait for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// What is written is on the disk.
    Synced,
    /// It is on its way there: a reader finds it whole all the same.
    Unsynced,
}

/// The same by a file that everybody may read, whatever the umask. Not for pipes and devices.
pub fn replace_public(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let path = destination(path);
    let (temporary, mut file) = create_beside(&path)?;
    let written = (|| {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, &path)
    })();
    if written.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The same by a file that is to become the other one.
pub(crate) fn replace_through<T, E: From<io::Error>>(
    temporary: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    put_in_place(create(temporary)?, temporary, path, write)
}

fn put_in_place<T, E: From<io::Error>>(
    mut file: File,
    temporary: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> Result<T, E>,
) -> Result<T, E> {
    let rename = |file: &File| -> io::Result<()> {
        file.sync_all()?;
        fs::rename(temporary, path)?;
        sync_folder(path)
    };
    let written = write(&mut file).and_then(|written| Ok(rename(&file).map(|()| written)?));
    if written.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(temporary);
    }
    written
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
        Err(_) if force => replace_locked(path),
        Err(_) => Err(already_there(path)),
    }
}

/// An error where a file is there that a report may not replace, also by `force` where another run writes it: it is found
/// before anything is read for the report.
pub fn refuse_existing(path: &Path, force: bool) -> Result<(), ReportError> {
    if is_special(path) || fs::symlink_metadata(path).is_err() {
        return Ok(());
    }
    match already_there(path) {
        ReportError::AlreadyExists(_) if force => Ok(()),
        error => Err(error),
    }
}

fn already_there(path: &Path) -> ReportError {
    let is_locked = File::open(path).is_ok_and(|old| matches!(old.try_lock(), Err(TryLockError::WouldBlock)));
    let path = path.to_owned();
    if is_locked { ReportError::Locked(path) } else { ReportError::AlreadyExists(path) }
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
fn sync_folder(path: &Path) -> io::Result<()> {
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
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)
}

/// Creates a file that is to become `path`, in the same folder. In a container every process may have the same number,
/// and one that was killed leaves its file behind: then the next name is taken.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let temporary = path.with_file_name(format!(".contactsync.{}-{number}", std::process::id()));
        match create(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            created => return Ok((temporary, created?)),
        }
    }
}

fn replace_locked(link: &Path) -> Result<File, ReportError> {
    let failed = |cause| unopened(link, cause);
    let path = fs::canonicalize(link).map_err(failed)?;
    let old = File::open(&path).map_err(failed)?;
    lock_in_place(&old, &path)?;
    let (temporary, file) = create_beside(&path).map_err(failed)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_not_in_the_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.json");
        for expected in ["0", "1"] {
            let (left, _) = create_beside(&path).unwrap();
            assert!(left.to_string_lossy().ends_with(&format!("-{expected}")), "{}", left.display());
        }
        replace(&path, |file| file.write_all(b"{}")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the two that were left, and the file");
    }
}
