use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use report::is_special;

use super::{
    late_writer::{Importance, LateWriter},
    printer::{Printer, dropped_from_file},
};
use crate::{failure::Failure, last_words::LastWords};

/// How lines of ours begin: events, and messages.
const BEGINNINGS: [&[u8]; 2] = [b"{\"timestamp\":\"", b"{\"fields\":{"];

/// A file that takes the log and what is said, a JSON object a line, behind what stands in it. A disk that is full or takes
/// its time holds nobody up; that lines are missing is told once.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    path: PathBuf,
    writer: LateWriter,
}

impl LogFile {
    /// Opens it; exit 2 where that can't be, or where what stands in it is no log of ours: an input that is named by mistake
    /// must not get lines. `printer` tells of what can't be written later. What is left is written as the program ends.
    pub(crate) fn open(path: &Path, printer: &Printer, last_words: &LastWords) -> Result<Self, Failure> {
        let shown = path.display();
        if path == Path::new("-") {
            let hint =
                "`--log-format json` writes it to standard error; /dev/stdout is a name for standard output".to_owned();
            return Err(Failure::usage("`--log-file` is the name of a file").with_hint(hint));
        }
        let unopened = |error: io::Error| {
            let hint = "name a file in a folder that is there and that this user may write to".to_owned();
            Failure::usage(format!("the log file {shown} can't be opened: {error}")).with_hint(hint)
        };
        let mut options = OpenOptions::new();
        let is_file = !is_special(path);
        options.append(true).read(is_file).create(is_file).mode(0o600);
        let mut is_torn = false;
        // Who opens a pipe waits for its reader: that is left to the thread that writes.
        let file = if fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo()) {
            None
        } else {
            let mut file = options.open(path).map_err(unopened)?;
            if is_file && !is_log(&mut file).map_err(unopened)? {
                let hint = "name another file, or move this one away".to_owned();
                let message = format!("the log file {shown} holds something else than a log");
                return Err(Failure::usage(message).with_hint(hint));
            }
            is_torn = is_file && ends_torn(&file).map_err(unopened)?;
            Some(file)
        };
        let sink = Sink { file, path: path.to_owned(), printer: printer.clone(), is_torn, has_told: false };
        let writer = LateWriter::start("log", Box::new(sink)).map_err(unopened)?;
        writer.tell_dropped_as(dropped_from_file);
        let (last, printer, path) = (writer.clone(), printer.clone(), path.to_owned());
        let log_file = Self { path: path.clone(), writer };
        last_words.add(move |_, most| {
            if !last.flush(most.min(LAST_WRITE)) {
                printer.warning(&format!("the log file {} lacks the end of the log", path.display()), Some(ADVICE));
            }
        });
        Ok(log_file)
    }

    /// As it was given.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Takes a line; never waits.
    pub(super) fn write(&self, line: &[u8]) {
        self.writer.write(line, Importance::Log);
    }
}

/// The end of the program waits at most so long for the disk.
const LAST_WRITE: Duration = Duration::from_secs(2);

const ADVICE: &str = "is its disk full, or out of reach?";

/// Whether it is empty, or begins as our lines do.
fn is_log(file: &mut File) -> io::Result<bool> {
    let mut beginning = Vec::new();
    file.take(BEGINNINGS[0].len() as u64).read_to_end(&mut beginning)?;
    Ok(beginning.is_empty() || BEGINNINGS.iter().any(|ours| beginning.starts_with(ours)))
}

/// Whether the last line has no end: the disk was full, or the program killed.
fn ends_torn(file: &File) -> io::Result<bool> {
    let Some(last) = file.metadata()?.len().checked_sub(1) else { return Ok(false) };
    let mut end = [0];
    Ok(file.read_at(&mut end, last)? == 1 && end != *b"\n")
}

/// Writes lines whole, or says once that it can't.
struct Sink {
    /// None until a pipe is opened.
    file: Option<File>,
    path: PathBuf,
    printer: Printer,
    /// The last line may have been cut off.
    is_torn: bool,
    has_told: bool,
}

impl Sink {
    fn try_write(&mut self, line: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(OpenOptions::new().append(true).open(&self.path)?),
        };
        if self.is_torn {
            file.write_all(b"\n")?;
            self.is_torn = false;
        }
        file.write_all(line)
    }
}

impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(error) = self.try_write(line) {
            self.is_torn = true;
            if !self.has_told {
                self.has_told = true;
                let text = format!("the log file {} can't be written: {error}", self.path.display());
                self.printer.warning(&text, Some("the run goes on; lines are missing there"));
            }
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
