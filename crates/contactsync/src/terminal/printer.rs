use std::{
    io::{self, IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
};

use indicatif::{ProgressBar, ProgressDrawTarget};
use jiff::Timestamp;
use model::escape_controls;

use crate::{
    args::{ColorChoice, LogFormat, TerminalArgs},
    failure::Failure,
    layers::Environment,
};

/// How messages look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    /// Errors only.
    pub(crate) quiet: bool,
    /// With colour.
    pub(crate) color: bool,
    /// A JSON object a line.
    pub(crate) json: bool,
}

impl Style {
    /// What the options and the environment ask for.
    pub(crate) fn of(terminal: &TerminalArgs, environment: &Environment) -> Self {
        let json = terminal.log_format == Some(LogFormat::Json);
        let color = match terminal.color.unwrap_or(ColorChoice::Auto) {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto => {
                let dumb = environment.text("TERM").is_ok_and(|term| term.as_deref() == Some("dumb"));
                !environment.is_set("NO_COLOR") && !dumb && io::stderr().is_terminal()
            }
        };
        Self { quiet: terminal.quiet, color: color && !json, json }
    }
}

/// The only one who writes to standard error. What can't be written is dropped.
#[derive(Clone)]
pub(crate) struct Printer {
    style: Style,
    bar: Arc<Mutex<Option<ProgressBar>>>,
}

impl Printer {
    /// A printer without a bar.
    pub(crate) fn new(style: Style) -> Self {
        Self { style, bar: Arc::default() }
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
        if !self.style.quiet {
            self.message(Kind::Warning, text, hint);
        }
    }

    /// Something worth knowing; may have several lines.
    pub(crate) fn note(&self, text: &str) {
        if !self.style.quiet {
            self.message(Kind::Note, text, None);
        }
    }

    /// Bytes as they are, between messages and beside a bar.
    pub(crate) fn raw(&self, bytes: &[u8]) {
        let write = || {
            // Nobody is left to be told that standard error is closed.
            let _ = io::stderr().lock().write_all(bytes);
        };
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Draws messages beside this bar from now on; none: there is no bar any more.
    pub(super) fn set_bar(&self, bar: Option<ProgressBar>) {
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = bar;
    }

    /// Takes the bar off the terminal while something is asked there, or puts it back.
    pub(crate) fn hide_bar(&self, hidden: bool) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = &*bar {
            bar.set_draw_target(if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() });
        }
    }

    fn message(&self, kind: Kind, text: &str, hint: Option<&str>) {
        let rendered = if self.style.json { json(kind, text, hint) } else { self.lines(kind, text, hint) };
        self.raw(rendered.as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn printer(color: bool) -> Printer {
        Printer::new(Style { quiet: false, color, json: false })
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
