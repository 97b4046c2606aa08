//! Opening a state, or creating it: locked, whole, and one.

use std::{
    ffi::OsStr,
    fs::{self, OpenOptions, TryLockError},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    base::{Base, BaseError},
    error::StateError,
    log::{Change, Log},
    merge::{self, MergeError, beside, folder_of},
    meta::Meta,
    overlay::Overlay,
    state::State,
};

/// How often is tried to make a state that others make too.
const TRIES: usize = 5;

impl State {
    /// Opens the state, or creates one where there is none.
    pub fn open(path: &Path) -> Result<Self, StateError> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::open_existing(path) {
                Err(StateError::Missing(_)) => {}
                opened => return opened,
            }
            match Self::create(path) {
                // Another process was quicker, or took what was being made for what a kill had left.
                Err(cause) if matches!(cause.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
                    last = Some(cause);
                }
                Err(cause) => return Err(StateError::Open { path: path.to_owned(), cause }),
                Ok(()) => {}
            }
        }
        let cause = last.unwrap_or_else(|| io::ErrorKind::NotFound.into());
        Err(StateError::Open { path: path.to_owned(), cause })
    }

    fn create(path: &Path) -> io::Result<()> {
        let path = destination(path);
        sweep(&path)?;
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
            .and_then(|written| {
                match fs::hard_link(&temporary, &path) {
                    Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(&temporary, &path),
                    placed => placed.and_then(|()| fs::remove_file(&temporary)),
                }?;
                // A process that was just started may hold it open for a moment.
                written.base.file().unlock()
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
            let links = if locked.nlink() == 1 {
                1
            } else {
                // Whoever made it may have been killed before it took the other one away.
                sweep(&path).and_then(|()| file.metadata()).map_err(failed)?.nlink()
            };
            if links > 1 {
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

/// Takes away what was left beside a state by those who were killed while they made it. Who is still at it has locked it; the
/// state itself, under that name, is locked by the caller.
fn sweep(path: &Path) -> io::Result<()> {
    let (folder, Some(name)) = (folder_of(path), beside(path).file_name().map(OsStr::to_owned)) else { return Ok(()) };
    let state = fs::metadata(path).map(|state| (state.dev(), state.ino())).ok();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let other = entry.file_name();
        let is_ours = other.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"."));
        if !is_ours {
            continue;
        }
        // It may be gone by now, or never have been ours to open.
        let Ok(file) = OpenOptions::new().read(true).write(true).open(entry.path()) else { continue };
        let left = file.metadata()?;
        if state == Some((left.dev(), left.ino())) || file.try_lock().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
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
