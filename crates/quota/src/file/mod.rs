//! The ledger in a small file on a local disk. A lock, a read, a write: a few microseconds, on a thread that may wait.

mod clock;
mod format;

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::JoinHandle};

use crate::{error::QuotaError, ledger::Ask, place::Which, quota::Answer};
use clock::{clock_id, monotonic};
use format::{Contents, Unreadable};

/// Others hold the lock for microseconds: who holds it longer was stopped in between.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at a lock that another holds.
const LOOK_EVERY: Duration = Duration::from_micros(200);
/// Who shares the file writes to it twice a second, at least.
const IN_USE: Duration = Duration::from_secs(5);
/// The file is some hundred bytes, with a line for each process.
const LARGEST: u64 = 1024 * 1024;

/// A rate in a file.
#[derive(Debug)]
pub(crate) struct SharedFile {
    path: PathBuf,
    which: Which,
    open: Option<File>,
    /// What was begun and not waited for: it comes to its end before anything else is begun.
    under_way: Option<JoinHandle<()>>,
}

impl SharedFile {
    pub(crate) fn new(path: PathBuf, which: Which) -> Self {
        Self { path, which, open: None, under_way: None }
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<Answer, QuotaError> {
        let which = self.which;
        self.work(move |open| {
            open.change(!ask.peek, |contents| {
                let sent = Instant::now();
                let reply = contents.ledger(which).answer(&ask, monotonic())?;
                Ok(Answer { reply, sent, got: Instant::now() })
            })
        })
        .await
    }

    pub(crate) async fn leave(&mut self, member: &str) -> Result<(), QuotaError> {
        let (which, member) = (self.which, member.to_owned());
        self.work(move |open| {
            open.change(true, |contents| {
                contents.ledger(which).leave(&member);
                Ok(())
            })
        })
        .await
    }

    /// Does something with the locked file, where waiting holds up nobody.
    async fn work<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Locked) -> Result<T, QuotaError> + Send + 'static,
    ) -> Result<T, QuotaError> {
        self.settle().await;
        let (path, open) = (self.path.clone(), self.open.take());
        let (done, result) = oneshot::channel();
        let on_it = move || {
            let mut locked = Locked::take(&path, open)?;
            let result = work(&mut locked);
            let file = locked.release();
            result.map(|result| (result, file))
        };
        // Nobody may wait for it any more.
        self.under_way = Some(tokio::task::spawn_blocking(move || _ = done.send(on_it())));
        let result = result.await;
        self.settle().await;
        let broke_off = |_| QuotaError::Unreachable(format!("asking {} broke off", self.path.display()));
        let (result, file) = result.map_err(broke_off)??;
        self.open = Some(file);
        Ok(result)
    }

    async fn settle(&mut self) {
        if let Some(task) = &mut self.under_way {
            let _ = task.await;
            self.under_way = None;
        }
    }
}

/// The file while nobody else reads or writes it.
struct Locked {
    path: PathBuf,
    file: File,
}

impl Locked {
    fn take(path: &Path, mut open: Option<File>) -> Result<Self, QuotaError> {
        let since = Instant::now();
        loop {
            let file = match open.take() {
                Some(file) => file,
                None => open_regular(path)?,
            };
            match file.try_lock() {
                // Who removed or replaced it shares no longer with who still has the old one.
                Ok(()) if !is_same(&file, path) => continue,
                Ok(()) => return Ok(Self { path: path.to_owned(), file }),
                Err(TryLockError::WouldBlock) if since.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
                Err(TryLockError::WouldBlock) => {
                    let shown = path.display();
                    return Err(QuotaError::Unreachable(format!("{shown} is locked by a process that doesn't go on")));
                }
                Err(TryLockError::Error(error)) => return Err(unreachable(path, "locked", &error)),
            }
            open = Some(file);
        }
    }

    /// Reads what is there, lets it be changed, and writes it back.
    fn change<T>(
        &mut self,
        writes: bool,
        change: impl FnOnce(&mut Contents) -> Result<T, QuotaError>,
    ) -> Result<T, QuotaError> {
        let mut bytes = Vec::new();
        let metadata = self.file.metadata().map_err(|error| unreachable(&self.path, "read", &error))?;
        if metadata.len() > LARGEST {
            return Err(foreign(&self.path));
        }
        bytes.resize(metadata.len() as usize, 0);
        self.file.read_exact_at(&mut bytes, 0).map_err(|error| unreachable(&self.path, "read", &error))?;
        let mut contents = match Contents::read(&bytes, &clock_id()) {
            Ok(contents) => contents,
            Err(Unreadable::Foreign) => return Err(foreign(&self.path)),
            Err(Unreadable::OtherVersion) => {
                let shown = self.path.display();
                return Err(QuotaError::Refused(format!(
                    "{shown} is the shared rate of another version of contactsync: let all who share it be of one, and delete \
                     it while none of them runs"
                )));
            }
            Err(Unreadable::OtherClock) if was_just_written(&metadata) => {
                let shown = self.path.display();
                return Err(QuotaError::Refused(format!(
                    "{shown} is in use on another machine, or in a container with a clock of its own: a file is for the \
                     processes of one machine"
                )));
            }
            // It is from before the machine was started.
            Err(Unreadable::OtherClock) => Contents::empty(&clock_id()),
        };
        let result = change(&mut contents)?;
        if writes {
            self.file.write_all_at(&contents.bytes(), 0).map_err(|error| unreachable(&self.path, "written", &error))?;
        }
        Ok(result)
    }

    fn release(self) -> File {
        // Where it fails the lock goes with the file.
        let _ = self.file.unlock();
        self.file
    }
}

fn open_regular(path: &Path) -> Result<File, QuotaError> {
    let refused = |why: &str| QuotaError::Refused(format!("{} {why}", path.display()));
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Err(refused("is a folder: name a file in it")),
        Ok(metadata) if !metadata.is_file() => return Err(refused("is no regular file")),
        _ => {}
    }
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => refused("can't be made: its folder isn't there"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            refused(&format!("can't be opened: {error}"))
        }
        _ => unreachable(path, "opened", &error),
    })
}

fn is_same(file: &File, path: &Path) -> bool {
    let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
    let (Ok(held), Ok(there)) = (file.metadata(), std::fs::metadata(path)) else { return false };
    identity(held) == identity(there)
}

fn was_just_written(metadata: &Metadata) -> bool {
    let age = metadata.modified().ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age < IN_USE)
}

fn unreachable(path: &Path, what: &str, error: &io::Error) -> QuotaError {
    QuotaError::Unreachable(format!("{} can't be {what}: {error}", path.display()))
}

fn foreign(path: &Path) -> QuotaError {
    QuotaError::Refused(format!("{} is no file of a shared rate: nothing was changed in it", path.display()))
}

#[cfg(test)]
mod tests;
