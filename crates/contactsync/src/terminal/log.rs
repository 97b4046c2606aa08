use std::io::{self, Write};

use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, registry::Registry, util::SubscriberInitExt,
};

use super::printer::Printer;

/// Whose events are logged. What HTTP and TLS crates say is never among them: it can hold headers, and so credentials.
const OURS: [&str; 7] = ["contactsync", "reader", "validator", "dispatcher", "report", "sandbox", "model"];

/// Starts the log: warnings, or as many levels more as `verbose` says. A log file has what is worth knowing in any case.
pub(crate) fn start_log(printer: &Printer, verbose: u8) {
    let style = printer.style();
    let asked = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let shown = if style.quiet { Level::ERROR } else { asked };
    let lines = tracing_subscriber::fmt::layer().with_ansi(style.color);
    let lines = lines.with_writer(Lines { printer: printer.clone(), to: To::StandardError });
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    layers.push(if style.json {
        Box::new(lines.json().with_filter(ours(shown)))
    } else {
        Box::new(lines.with_filter(ours(shown)))
    });
    if printer.log_file().is_some() {
        let lines = Lines { printer: printer.clone(), to: To::LogFile };
        let lines = tracing_subscriber::fmt::layer().json().with_writer(lines);
        layers.push(Box::new(lines.with_filter(ours(asked.max(Level::INFO)))));
    }
    // It fails only where a log was started before, and then that one goes on.
    let _ = tracing_subscriber::registry().with(layers).try_init();
}

fn ours(level: Level) -> Targets {
    Targets::new().with_targets(OURS.map(|target| (target, level)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    StandardError,
    LogFile,
}

#[derive(Clone)]
struct Lines {
    printer: Printer,
    to: To,
}

/// One event, printed as a whole.
struct Line {
    lines: Lines,
    bytes: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { lines: self.clone(), bytes: Vec::new() }
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
        match (self.lines.to, self.lines.printer.log_file()) {
            (To::LogFile, Some(file)) => file.write(&self.bytes),
            _ => self.lines.printer.log(&self.bytes),
        }
    }
}
