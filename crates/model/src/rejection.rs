use crate::{Reason, escape_controls, excerpt, limits::MAX_QUOTED_CHARS};

/// Why a row never leaves the machine. What was found is kept apart from the words, so that a report without contact
/// values can leave it out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Which rule it broke.
    pub reason: Reason,
    /// What is wrong and what to do, without any value from the row.
    pub message: String,
    /// The text that broke the rule.
    pub found: Option<String>,
}

impl Rejection {
    /// A rejection that quotes nothing.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), found: None }
    }

    /// A rejection that quotes what was found.
    pub fn found(reason: Reason, message: impl Into<String>, found: &str) -> Self {
        // More than can be quoted is not kept: a value may be a megabyte.
        let kept = found.chars().take(MAX_QUOTED_CHARS + 1).collect();
        Self { reason, message: message.into(), found: Some(kept) }
    }

    /// The message for a report or a person; with `quote`, at most 40 characters of what was found, escaped.
    pub fn text(&self, quote: bool) -> String {
        let message = escape_controls(&self.message);
        match &self.found {
            Some(found) if quote => format!("{message}; found {}", excerpt(found, MAX_QUOTED_CHARS)),
            _ => message.into_owned(),
        }
    }
}
