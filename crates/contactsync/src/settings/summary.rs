use std::{
    fs::{self, OpenOptions},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use report::folder_of;
use serde::Serialize;

use super::outputs::ReportSettings;
use crate::{
    exit::Exit,
    failure::Failure,
    terminal::{Printer, write_stdout},
};

impl ReportSettings {
    /// Writes the summary of a run that ends so, where one is asked for, and gives the status to end with. That it can't
    /// be written is told; it says something about a run only where nothing else was wrong with it.
    pub(crate) fn write_summary(&self, summary: &impl Serialize, exit: Exit, printer: &Printer) -> Exit {
        let Some(target) = &self.summary else { return exit };
        let text = serde_json::to_string(summary).map_err(|error| Failure::new(Exit::Bug, error));
        let Err(failure) = text.and_then(|text| target.write(&format!("{text}\n"))) else { return exit };
        printer.failure(&failure);
        if matches!(exit, Exit::Success | Exit::RowsFailed) { failure.exit } else { exit }
    }
}

/// Where the summary goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SummaryTarget {
    /// To standard output.
    Stdout,
    /// Into this file, which it replaces.
    File(PathBuf),
}

impl SummaryTarget {
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        let folder_is_there = folder_of(path).is_dir();
        if path.is_dir() || path.file_name().is_none() || !folder_is_there {
            let fault = if folder_is_there { "is a folder" } else { "lies in a folder that isn't there" };
            return Err(Failure::usage(format!("the summary can't be written: {} {fault}", path.display())));
        }
        Ok(Self::File(path.to_owned()))
    }

    /// Writes it. A file is replaced whole: a reader never sees a half.
    fn write(&self, summary: &str) -> Result<(), Failure> {
        match self {
            Self::Stdout => write_stdout(summary.as_bytes()),
            Self::File(path) => replace(path, summary.as_bytes()).map_err(|error| {
                let message = format!("the summary {} can't be written: {error}", path.display());
                Failure::new(Exit::ReadOrWrite, message)
            }),
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if special {
        return OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (temporary, mut file) = create_beside(&path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    let replaced = written.and_then(|()| fs::rename(&temporary, &path));
    if replaced.is_err() {
        // What is left of a failed attempt may not be there at all.
        let _ = fs::remove_file(&temporary);
    }
    replaced
}

/// Creates a file in the same folder. In a container every process may have the same number, and one that was killed
/// leaves its file behind: then the next name is taken.
fn create_beside(path: &Path) -> io::Result<(PathBuf, fs::File)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut number = 0_u32;
    loop {
        let temporary = path.with_file_name(format!(".{name}.{}-{number}", std::process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&temporary) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => number += 1,
            opened => return Ok((temporary, opened?)),
        }
    }
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
        replace(&path, b"{}").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "the two that were left, and the summary");
    }
}
