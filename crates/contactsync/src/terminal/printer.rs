use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;
use model::escape_controls;

use super::{
    bar::BarTerminal,
    late_writer::{Importance, LateWriter},
    log_file::LogFile,
};
use crate::{
    args::{ColorChoice, LogFormat, TerminalArgs},
    failure::Failure,
    layers::Environment,
};

/// How messages look.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Errors only.
    pub(crate) quiet: bool,
    /// With colour.
    pub(crate) color: bool,
    /// A JSON object a line.
    pub(crate) json: bool,
    /// On a terminal that can be drawn on.
    pub(crate) draws: bool,
}

impl Style {
    /// What the options and the environment ask for.
    pub(crate) fn of(terminal: &TerminalArgs, environment: &Environment) -> Self {
        let json = terminal.log_format == Some(LogFormat::Json);
        let is_able = environment.text("TERM").is_ok_and(|term| term.is_some_and(|term| term != "dumb"));
        let draws = is_able && io::stderr().is_terminal();
        let color = match terminal.color.unwrap_or(ColorChoice::Auto) {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => !environment.is_set("NO_COLOR") && draws,
        };
        Self { quiet: terminal.quiet, color: color && !json, json, draws }
    }
}

/// How long what is asked on the terminal waits for what was said before.
const BEFORE_A_QUESTION: Duration = Duration::from_secs(1);

/// The only one who writes to standard error; never waits for it. What can't be written is dropped.
#[derive(Clone)]
pub(crate) struct Printer {
    style: Style,
    stderr: LateWriter,
    bar: Arc<Mutex<Option<ProgressBar>>>,
    bar_hidden: Arc<AtomicBool>,
    /// What is said is written down there too, whatever is shown.
    log_file: Option<LogFile>,
}

impl Printer {
    /// A printer without a bar.
    pub(crate) fn new(style: Style, stderr: &LateWriter) -> Self {
        stderr.tell_dropped_as(if style.json { dropped_json } else { dropped_text });
        Self { style, stderr: stderr.clone(), bar: Arc::default(), bar_hidden: Arc::default(), log_file: None }
    }

    /// The same, which also writes down what it says.
    pub(crate) fn with_log_file(self, log_file: LogFile) -> Self {
        Self { log_file: Some(log_file), ..self }
    }

    /// What it writes beside standard error, with the option that asks for it.
    pub(crate) fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        self.log_file.iter().map(|file| ("--log-file", file.path().to_owned())).collect()
    }

    /// Where it writes down what it says.
    pub(super) fn log_file(&self) -> Option<&LogFile> {
        self.log_file.as_ref()
    }

    /// How it writes.
    pub(crate) fn style(&self) -> Style {
        self.style
    }

    /// An error and its next step; shown even to those who want quiet.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.message(Kind::Error, &failure.message, failure.hint.as_deref());
    }

    /// Something that may not be as the user thinks.
    pub(crate) fn warning(&self, text: &str, hint: Option<&str>) {
        self.message(Kind::Warning, text, hint);
    }

    /// Something worth knowing; may have several lines.
    pub(crate) fn note(&self, text: &str) {
        self.message(Kind::Note, text, None);
    }

    /// A line of progress: like one of the log, it is the first to be dropped.
    pub(super) fn progress(&self, text: &str) {
        self.write_down(Kind::Note, text, None);
        self.write(self.rendered(Kind::Note, text, None).as_bytes(), Importance::Log);
    }

    /// An event of the log.
    pub(super) fn log(&self, line: &[u8]) {
        self.write(line, Importance::Log);
    }

    /// Bytes as they are, between messages.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.write(bytes, Importance::Message);
    }

    fn write(&self, bytes: &[u8], importance: Importance) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        let write = || self.stderr.write(bytes, importance);
        match &*bar {
            Some(bar) if self.stderr.has_room(bytes.len(), importance) => bar.suspend(write),
            _ => write(),
        }
    }

    /// Where a bar is drawn.
    pub(super) fn bar_target(&self) -> ProgressDrawTarget {
        ProgressDrawTarget::term_like(Box::new(BarTerminal::new(&self.stderr, &self.bar_hidden)))
    }

    /// Draws a bar anew, unless what was said before is still to be written.
    pub(super) fn draw(&self, draw: impl FnOnce()) {
        if self.stderr.is_idle() {
            draw();
        }
    }

    /// Draws messages beside this bar from now on; none: there is no bar any more.
    pub(super) fn set_bar(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// Takes the bar off the terminal while something is asked there, or puts it back.
    pub(crate) fn hide_bar(&self, hidden: bool) {
        let hide = || self.bar_hidden.store(hidden, Relaxed);
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bar {
            // Between what takes it off and what would draw it again.
            Some(bar) if hidden => bar.suspend(hide),
            _ => hide(),
        }
        if hidden {
            self.stderr.flush(BEFORE_A_QUESTION);
        }
    }

    fn message(&self, kind: Kind, text: &str, hint: Option<&str>) {
        self.write_down(kind, text, hint);
        if kind == Kind::Error || !self.style.quiet {
            self.raw(self.rendered(kind, text, hint).as_bytes());
        }
    }

    fn write_down(&self, kind: Kind, text: &str, hint: Option<&str>) {
        if let Some(file) = &self.log_file {
            file.write(json(kind, text, hint).as_bytes());
        }
    }

    fn rendered(&self, kind: Kind, text: &str, hint: Option<&str>) -> String {
        if self.style.json { json(kind, text, hint) } else { self.lines(kind, text, hint) }
    }

    fn lines(&self, kind: Kind, text: &str, hint: Option<&str>) -> String {
        let mut rendered = String::new();
        let mut lines = text.lines();
        let first = escape_controls(lines.next().unwrap_or_default());
        match (kind.label(), self.style.color) {
            (None, _) => {}
            (Some(label), false) => rendered.extend([label, ": "]),
            (Some(label), true) => rendered.extend([kind.color(), label, "\x1b[0m: "]),
        }
        rendered.extend([&*first, "\n"]);
        for line in lines {
            rendered.extend([&*escape_controls(line), "\n"]);
        }
        if let Some(hint) = hint {
            let label = if self.style.color { "\x1b[1;36mhint\x1b[0m: " } else { "hint: " };
            for line in hint.lines() {
                rendered.extend([label, &*escape_controls(line), "\n"]);
            }
        }
        rendered
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Error,
    Warning,
    Note,
}

impl Kind {
    fn label(self) -> Option<&'static str> {
        match self {
            Self::Error => Some("error"),
            Self::Warning => Some("warning"),
            Self::Note => None,
        }
    }

    fn color(self) -> &'static str {
        match self {
            Self::Error => "\x1b[1;31m",
            Self::Warning | Self::Note => "\x1b[1;33m",
        }
    }

    fn level(self) -> &'static str {
        match self {
            Self::Error => "ERROR",
            Self::Warning => "WARN",
            Self::Note => "INFO",
        }
    }
}

/// The same shape as a line of the log, so that one reader can take both.
fn json(kind: Kind, text: &str, hint: Option<&str>) -> String {
    let mut fields = serde_json::json!({ "message": text });
    if let Some(hint) = hint {
        fields["hint"] = hint.into();
    }
    let line = serde_json::json!({
        "timestamp": Timestamp::now().to_string(),
        "level": kind.level(),
        "fields": fields,
        "target": "contactsync",
    });
    format!("{line}\n")
}

fn dropped(lines: usize) -> String {
    format!("{lines} lines were dropped here: nobody read standard error")
}

/// The same where a log file couldn't keep up.
pub(super) fn dropped_from_file(lines: usize) -> Vec<u8> {
    let text = format!("{lines} lines were dropped here: the log file could not be written as quickly as they came");
    json(Kind::Warning, &text, None).into_bytes()
}

fn dropped_text(lines: usize) -> Vec<u8> {
    format!("warning: {}\n", dropped(lines)).into_bytes()
}

fn dropped_json(lines: usize) -> Vec<u8> {
    json(Kind::Warning, &dropped(lines), None).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(color: bool) -> Printer {
        Printer::new(Style { quiet: false, color, json: false, draws: false }, &LateWriter::stderr())
    }

    #[test]
    fn control_characters_reach_no_terminal() {
        let text = printer(false).lines(Kind::Error, "column \u{1b}[31m\nsecond", Some("look\u{7}"));
        assert_eq!(text, "error: column \\u{1b}[31m\nsecond\nhint: look\\u{7}\n");
    }

    #[test]
    fn colour_marks_the_labels_only() {
        let text = printer(true).lines(Kind::Warning, "text", Some("step"));
        assert_eq!(text, "\u{1b}[1;33mwarning\u{1b}[0m: text\n\u{1b}[1;36mhint\u{1b}[0m: step\n");
    }

    #[test]
    fn json_lines_bear_level_and_hint() {
        let line: serde_json::Value = serde_json::from_str(&json(Kind::Warning, "text", Some("step"))).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["fields"], serde_json::json!({"message": "text", "hint": "step"}));
    }
}
