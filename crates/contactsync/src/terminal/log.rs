use std::io::{self, Write};

use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt};

use super::printer::Printer;

/// Whose events are logged. What HTTP and TLS crates say is never among them: it can hold headers, and so credentials.
const OURS: [&str; 7] = ["contactsync", "reader", "validator", "dispatcher", "report", "sandbox", "model"];

/// Starts the log: warnings, or as many levels more as `verbose` says.
pub(crate) fn start_log(printer: &Printer, verbose: u8) {
    let style = printer.style();
    let level = match (style.quiet, verbose) {
        (true, _) => Level::ERROR,
        (false, 0) => Level::WARN,
        (false, 1) => Level::INFO,
        (false, 2) => Level::DEBUG,
        (false, _) => Level::TRACE,
    };
    let targets = Targets::new().with_targets(OURS.map(|target| (target, level)));
    let lines = tracing_subscriber::fmt::layer().with_ansi(style.color).with_writer(Lines(printer.clone()));
    let registry = tracing_subscriber::registry().with(targets);
    // It fails only where a log was started before, and then that one goes on.
    let _ = if style.json { registry.with(lines.json()).try_init() } else { registry.with(lines).try_init() };
}

struct Lines(Printer);

/// One event, printed as a whole.
struct Line {
    printer: Printer,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { printer: self.0.clone(), bytes: Vec::new() }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.printer.log(&self.bytes);
    }
}
