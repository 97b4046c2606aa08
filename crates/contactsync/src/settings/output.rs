use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use report::{folder_of, replace};

use crate::{exit::Exit, failure::Failure};

/// What stands for standard input and standard output where a file is asked for.
pub(crate) const STANDARD_STREAM: &str = "-";

/// Where something goes that is written once and whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// What it is, for messages.
    what: &'static str,
    path: PathBuf,
}

impl Output {
    /// What messages call `what` goes to this path.
    pub(crate) fn new(what: &'static str, path: &Path) -> Self {
        Self { what, path: path.to_owned() }
    }

    /// The same; exit 2 where no file can lie there.
    pub(super) fn of(what: &'static str, path: &Path) -> Result<Self, Failure> {
        let output = Self::new(what, path);
        if output.is_stdout() {
            return Ok(output);
        }
        let folder_is_there = folder_of(path).is_dir();
        if path.is_dir() || path.file_name().is_none() || !folder_is_there {
            let fault = if folder_is_there { "is a folder" } else { "lies in a folder that isn't there" };
            return Err(Failure::usage(format!("the {what} can't be written: {} {fault}", path.display())));
        }
        Ok(output)
    }

    /// As it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_stdout(&self) -> bool {
        self.path == Path::new(STANDARD_STREAM)
    }

    /// Writes bytes to standard output, a pipe or a device.
    pub(crate) fn write_bytes(&self, bytes: &[u8]) -> io::Result<()> {
        let written = if self.is_stdout() {
            let mut stdout = io::stdout().lock();
            stdout.write_all(bytes).and_then(|()| stdout.flush())
        } else {
            replace(&self.path, |file| file.write_all(bytes))
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// Writes it. A file is replaced whole, a pipe or a device is written to; a reader that went away is no fault: it had
    /// enough.
    pub(crate) fn write<T: Default>(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> Result<T, Failure> {
        let failed = |error| {
            let message = format!("the {} {} can't be written: {error}", self.what, self.path.display());
            Failure::new(Exit::ReadOrWrite, message)
        };
        let written = if self.is_stdout() {
            let mut stdout = io::stdout().lock();
            write(&mut stdout).and_then(|written| stdout.flush().map(|()| written))
        } else {
            replace(&self.path, |file| write(file))
        };
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(T::default()),
            written => written.map_err(failed),
        }
    }
}
