use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use report::ReportError;

use crate::{failure::Failure, terminal::Printer};

/// How often is looked whether what another run holds is free.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A lock that is held as long as it lives, and gone with the process whatever ends it: `--lock`. The file stays.
#[derive(Debug)]
pub(crate) struct RunLock(#[expect(dead_code, reason = "held, not read")] File);

impl RunLock {
    /// Takes it, or says that another run has it.
    pub(crate) fn take(path: &Path, patience: &mut Patience<'_>) -> Result<Self, Failure> {
        let shown = path.display();
        let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        let file = opened.map_err(|error| Failure::usage(format!("the lock {shown} can't be opened: {error}")))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if patience.waits_for("the lock", path) => {}
                Err(TryLockError::WouldBlock) => {
                    let hint =
                        "wait until it ends, here with `--lock-wait 1h`; the lock goes with it, also where it is \
                                killed"
                            .to_owned();
                    return Err(
                        Failure::usage(format!("another run holds the lock {shown}; nothing was sent")).with_hint(hint)
                    );
                }
                Err(TryLockError::Error(error)) => {
                    return Err(Failure::usage(format!("the lock {shown} can't be taken: {error}")));
                }
            }
        }
    }
}

/// How long is waited, all in all, for what another run holds: `--lock-wait`. A signal ends the program meanwhile.
pub(crate) struct Patience<'a> {
    until: Instant,
    told: bool,
    printer: &'a Printer,
}

impl<'a> Patience<'a> {
    /// It begins to run out now.
    pub(crate) fn new(wait: Duration, printer: &'a Printer) -> Self {
        Self { until: Instant::now() + wait, told: false, printer }
    }

    /// Where it tells that it waits.
    pub(crate) fn printer(&self) -> &'a Printer {
        self.printer
    }

    /// Opens a report, or whatever can be locked by another run.
    pub(crate) fn open<T>(&mut self, mut open: impl FnMut() -> Result<T, ReportError>) -> Result<T, ReportError> {
        loop {
            match open() {
                Err(ReportError::Locked(path) | ReportError::BeingWritten(path))
                    if self.waits_for("the report", &path) => {}
                opened => return opened,
            }
        }
    }

    /// Waits a little, or says that there is no time left. That it waits, and for whom, is told once.
    pub(crate) fn waits_for(&mut self, what: &str, path: &Path) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        if !self.told {
            self.told = true;
            let process = holder(path).map(|process| format!(", process {process},")).unwrap_or_default();
            let text = format!("waiting for another run{process} that holds {what} {} (--lock-wait)", path.display());
            self.printer.note(&text);
        }
        std::thread::sleep(LOOK_EVERY.min(left));
        true
    }
}

/// The process that holds a lock on this file, where the system tells.
fn holder(path: &Path) -> Option<u32> {
    let inode = std::fs::metadata(path).ok()?.ino().to_string();
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        // `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`
        let mut words = line.split_whitespace().skip(4);
        let (process, file) = (words.next()?, words.next()?);
        (file.rsplit(':').next() == Some(inode.as_str())).then(|| process.parse().ok())?
    })
}
