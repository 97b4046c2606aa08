//! The metrics file: written anew now and then by a thread of its own, and a last time as the program ends. A disk that
//! takes its time holds nobody up: who ends waits a moment, and says so.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use report::{Durability, is_special, replace_public};

use super::{
    Watched,
    figures::Figures,
    prometheus::{LAST_SUCCESS, Page},
};
use crate::{
    exit::Exit,
    failure::Failure,
    last_words::LastWords,
    settings::{MetricsFileSettings, Output},
    terminal::Printer,
};

/// How often it is written.
const EVERY: Duration = Duration::from_secs(15);
/// The end of the program waits at most so long for the last one, where it isn't told to hurry.
const LAST_WRITE: Duration = Duration::from_secs(2);
/// No file of ours is longer: of another one the beginning is looked at.
const MOST_BYTES: u64 = 1 << 20;

/// Writes the first one, and has the others written. Exit 2 where it can't be written.
pub(super) fn start(
    settings: &MetricsFileSettings,
    watched: Arc<Watched>,
    printer: &Printer,
    last_words: &LastWords,
) -> Result<(), Failure> {
    let mut file = MetricsFile {
        output: settings.output.clone(),
        sync: settings.sync.clone(),
        is_replaced: settings.is_replaced,
        every: EVERY,
        succeeded_before: None,
        last: None,
        printer: printer.clone(),
        has_told: false,
    };
    let (end, ends) = sync_channel(1);
    let (written, is_written) = sync_channel::<()>(1);
    let path = file.output.path().to_owned();
    let teller = printer.clone();
    // Before there is a file that says that the run goes on.
    if !last_words.add(move |exit, most| say_last(&end, &is_written, exit, most, &path, &teller)) {
        return Ok(());
    }
    if file.is_replaced {
        let now = watched.started_at_ms as f64 / 1_000.0;
        let before = last_success(file.output.path()).unwrap_or_default();
        file.succeeded_before = before.filter(|at| *at <= now);
        if before != file.succeeded_before {
            let path = file.output.path().display();
            let text = format!("the metrics file {path} tells of a success that is yet to come: it is left out");
            printer.warning(&text, Some("is this machine's clock right, or was it wrong then?"));
        }
        file.write(&watched.figures(None), Durability::Unsynced).map_err(|error| {
            let hint = "name a file in a folder that this user may write to".to_owned();
            Failure::usage(unwritten(file.output.path(), &error)).with_hint(hint)
        })?;
    }
    let write = move || {
        file.write_on(&watched, &ends);
        let _ = written.send(());
    };
    let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(write);
    thread.map_err(|error| Failure::new(Exit::ReadOrWrite, format!("the metrics file has no thread: {error}")))?;
    Ok(())
}

fn say_last(
    end: &SyncSender<Exit>,
    is_written: &Receiver<()>,
    exit: Exit,
    most: Duration,
    path: &Path,
    printer: &Printer,
) {
    // It may have ended by a panic, and then nobody takes this.
    let _ = end.try_send(exit);
    if is_written.recv_timeout(most.min(LAST_WRITE)) == Err(RecvTimeoutError::Timeout) {
        let text = format!("the metrics file {} could not be written in time: it doesn't show the end", path.display());
        printer.warning(&text, Some("is its disk full, or out of reach?"));
    }
}

/// A metrics file as it is written.
struct MetricsFile {
    output: Output,
    sync: String,
    /// It is a file, which is replaced; what a pipe or a device gets, it gets once, at the end.
    is_replaced: bool,
    every: Duration,
    succeeded_before: Option<f64>,
    /// When it was last written, and how many rows were decided by then.
    last: Option<(Instant, u64)>,
    printer: Printer,
    /// That it can't be written was told.
    has_told: bool,
}

impl MetricsFile {
    fn write_on(&mut self, watched: &Watched, ends: &Receiver<Exit>) {
        loop {
            match ends.recv_timeout(self.every) {
                Err(RecvTimeoutError::Timeout) if !self.is_replaced => {}
                Err(RecvTimeoutError::Timeout) => self.write_or_tell(&watched.figures(None), Durability::Unsynced),
                Ok(exit) => return self.write_or_tell(&watched.figures(Some(exit)), Durability::Synced),
                // Nobody will say how it ended.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn write_or_tell(&mut self, figures: &Figures, durability: Durability) {
        if let Err(error) = self.write(figures, durability)
            && !self.has_told
        {
            self.has_told = true;
            self.printer.warning(&unwritten(self.output.path(), &error), Some("the run goes on without it"));
        }
    }

    fn write(&mut self, figures: &Figures, durability: Durability) -> io::Result<()> {
        let now = Instant::now();
        let rows_per_second = match self.last {
            Some((then, rows)) if figures.ended.is_none() => {
                figures.decided_now.saturating_sub(rows) as f64 / now.duration_since(then).as_secs_f64().max(0.001)
            }
            _ => 0.0,
        };
        self.last = Some((now, figures.decided_now));
        let last_success = Page::last_success(figures, self.succeeded_before);
        let page = Page { figures: figures.clone(), rows_per_second, last_success };
        let text = page.text(&self.sync).map_err(|_| io::Error::other("the figures have no text"))?;
        if self.is_replaced {
            replace_public(self.output.path(), text.as_bytes(), durability)
        } else {
            self.output.write_bytes(text.as_bytes())
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> String {
    format!("the metrics file {} can't be written: {error}", path.display())
}

/// When a run last ended with 0, as the file that is there says; none where it isn't one of ours.
fn last_success(path: &Path) -> io::Result<Option<f64>> {
    if is_special(path) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().find_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let labels = series.strip_prefix(LAST_SUCCESS)?;
        let is_ours = labels.starts_with("{sync=\"") && labels.ends_with("\"}");
        value.parse().ok().filter(|at: &f64| is_ours && at.is_finite() && *at > 0.0)
    }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::{
        layers::Environment,
        monitor::About,
        terminal::{LateWriter, Style},
    };

    #[test]
    fn it_is_written_again_and_again_and_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.prom");
        let about =
            About { command: "push", target: "sandbox".to_owned(), sandbox: true, verifies: false, rate_limit: 1.0 };
        let style = Style::of(&crate::args::TerminalArgs::default(), &Environment::default());
        let mut file = MetricsFile {
            output: Output::new("metrics file", &path),
            sync: "a".to_owned(),
            is_replaced: true,
            every: Duration::from_millis(1),
            succeeded_before: None,
            last: None,
            printer: Printer::new(style, &LateWriter::stderr()),
            has_told: false,
        };
        let (end, ends) = sync_channel(1);
        let writing = std::thread::spawn(move || file.write_on(&Watched::new(about), &ends));
        let mut seen = std::collections::BTreeSet::new();
        while seen.len() < 3 {
            // A new file takes the place of the one before, so one is always there once there was one.
            match std::fs::metadata(&path) {
                Ok(metadata) => _ = seen.insert((metadata.ino(), metadata.mtime_nsec())),
                Err(_) => assert!(seen.is_empty()),
            }
        }
        assert!(std::fs::read_to_string(&path).unwrap().contains("contactsync_running{sync=\"a\"} 1"));
        end.send(Exit::MaxFailures).unwrap();
        writing.join().unwrap();
        let last = std::fs::read_to_string(&path).unwrap();
        assert!(last.contains("contactsync_run_exit_code{sync=\"a\"} 4"), "{last}");
        assert!(last.contains("contactsync_run_stopped{sync=\"a\",cause=\"max_failures\"} 1"), "{last}");
    }

    #[test]
    fn none_is_begun_once_the_program_ends() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.prom");
        let settings = || MetricsFileSettings {
            output: Output::new("metrics file", &path),
            sync: "a".to_owned(),
            is_replaced: true,
        };
        let style = Style::of(&crate::args::TerminalArgs::default(), &Environment::default());
        let printer = Printer::new(style, &LateWriter::stderr());
        let begin = |last_words: &LastWords| {
            let about =
                About { command: "push", target: "sg".to_owned(), sandbox: false, verifies: false, rate_limit: 1.0 };
            start(&settings(), Arc::new(Watched::new(about)), &printer, last_words)
        };
        let ended = LastWords::default();
        ended.say(Exit::Hangup, Duration::ZERO);
        begin(&ended).unwrap();
        assert!(!path.exists());
        let last_words = LastWords::default();
        begin(&last_words).unwrap();
        last_words.say(Exit::Hangup, Duration::from_secs(9));
        assert!(std::fs::read_to_string(&path).unwrap().contains("contactsync_running{sync=\"a\"} 0"));
    }

    #[test]
    fn what_is_no_metrics_file_says_nothing_of_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.prom");
        let says = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            last_success(&path).unwrap_or_default()
        };
        assert_eq!(
            says(b"contactsync_last_success_timestamp_seconds{sync=\"a\"} 1795961527.902\n"),
            Some(1_795_961_527.902)
        );
        for damaged in [
            &b""[..],
            b"\xff\xfe\0",
            b"contactsync_last_success_timestamp_seconds{sync=\"a\"} NaN\n",
            b"contactsync_last_success_timestamp_seconds{sync=\"a\"} 17x\n",
            b"contactsync_last_success_timestamp_seconds{sync=\"a\"}\n",
            b"contactsync_last_success_timestamp_seconds{sync=\"a\n",
            b"contactsync_last_success_timestamp_seconds 5\n",
            b"contactsync_last_success_timestamp_seconds{sync=\"a\"} -5\n",
            b"euid,email\n1,a@example.com\n",
        ] {
            assert_eq!(says(damaged), None, "{damaged:?}");
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(last_success(&path).unwrap_or_default(), None);
    }
}
