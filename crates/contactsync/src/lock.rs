use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::failure::Failure;

/// A lock that is held as long as it lives, and gone with the process whatever ends it: `--lock`. The file stays.
#[derive(Debug)]
pub(crate) struct RunLock(#[expect(dead_code, reason = "held, not read")] File);

impl RunLock {
    /// Takes it, or says that another run has it.
    pub(crate) fn take(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(|error| Failure::usage(format!("the lock {shown} can't be opened: {error}")))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                let hint = "wait until it ends; the lock goes with it, also where it is killed".to_owned();
                Err(Failure::usage(format!("another run holds the lock {shown}; nothing was sent")).with_hint(hint))
            }
            Err(TryLockError::Error(error)) => Err(Failure::usage(format!("the lock {shown} can't be taken: {error}"))),
        }
    }
}
