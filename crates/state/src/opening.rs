//! Opening a state, or creating it: locked, whole, and one.

use std::{
    fs::{self, OpenOptions, TryLockError},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{Base, BaseError},
    error::StateError,
    log::{Change, Log},
    merge::{self, MergeError, beside},
    meta::Meta,
    overlay::Overlay,
    state::State,
};

impl State {
    /// Opens the state, or creates one where there is none.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        match Self::open_existing(path) {
            Err(StateError::Missing(_)) => {}
            opened => return opened,
        }
        match Self::create(path) {
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => return Err(StateError::Open { path: path.to_owned(), cause }),
            Ok(()) => {}
        }
        Self::open_existing(path)
    }

    fn create(path: &Path) -> io::Result<()> {
        let path = destination(path);
        let temporary = beside(&path).with_added_extension(std::process::id().to_string());
        let placed = merge::create(&temporary)
            .map_err(MergeError::New)
            .and_then(|file| {
                // Nobody may take it while it has two names.
                file.lock()?;
                merge::write_empty(file, &Meta::default())
            })
            .map_err(|error| match error {
                MergeError::New(error) | MergeError::Old(BaseError::Io(error)) => error,
                MergeError::Replaced => io::ErrorKind::NotFound.into(),
                MergeError::Old(BaseError::Foreign(what) | BaseError::Damaged(what)) => io::Error::other(what),
            })
            // Unlike a rename it never takes the place of what another process has just put there.
            .and_then(|_written| match fs::hard_link(&temporary, &path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(&temporary, &path),
                placed => placed.and_then(|()| fs::remove_file(&temporary)),
            });
        if placed.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&temporary);
        }
        placed?;
        merge::sync_folder(&path)
    }

    /// Opens a state that is there.
    pub fn open_existing(path: &Path) -> Result<Self, StateError> {
        let path = destination(path);
        let failed = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => StateError::Missing(path.clone()),
            _ => StateError::Open { path: path.clone(), cause },
        };
        let file = loop {
            let metadata = fs::metadata(&path).map_err(failed)?;
            if !metadata.is_file() {
                return Err(StateError::Foreign { path, what: "it is no regular file" });
            }
            let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(StateError::Locked(path)),
                Err(TryLockError::Error(cause)) => return Err(StateError::Open { path, cause }),
            }
            // Whoever held the lock may have put another file in its place.
            let (locked, named) = (file.metadata().map_err(failed)?, fs::metadata(&path).map_err(failed)?);
            if (locked.dev(), locked.ino()) != (named.dev(), named.ino()) {
                continue;
            }
            if locked.nlink() > 1 {
                // A new file would take the place of one of them, and the other be an old copy.
                return Err(StateError::Foreign { path, what: "it has several names (hard links); leave it one" });
            }
            break Arc::new(file);
        };
        let base = Base::open(Arc::clone(&file)).map_err(|error| of_base(&path, error))?;
        let (mut newest, mut meta) = (Overlay::default(), None);
        let log = Log::open(file, base.salt, base.log_at, |change| match change {
            Change::Meta(read) => meta = Some(*read),
            Change::Entry(euid, entry) => newest.insert(euid, Some(entry.bytes().into()), 0),
            Change::Gone(euid) => newest.insert(euid, None, 0),
        });
        let log = log.map_err(|error| of_base(&path, error))?;
        let Some(meta) = meta else {
            return Err(StateError::Damaged { path, what: "nothing says what it belongs to" });
        };
        Ok(Self::of_file(path, base, newest, log, meta))
    }
}

/// An error of a base, with where that is.
pub(crate) fn of_base(path: &Path, error: BaseError) -> StateError {
    let path = path.to_owned();
    match error {
        BaseError::Io(cause) => StateError::Read { path, cause },
        BaseError::Foreign(what) => StateError::Foreign { path, what },
        BaseError::Damaged(what) => StateError::Damaged { path, what },
    }
}

/// Links are followed, so that a new file takes the place of the old one and not of a link to it.
fn destination(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
