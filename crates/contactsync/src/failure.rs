use std::fmt::Display;

use crate::exit::Exit;

/// Why the program ends early: what to tell and with which status to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The status.
    pub(crate) exit: Exit,
    /// What went wrong; may have several lines.
    pub(crate) message: String,
    /// The next step, where there is one.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// A failure with this status.
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self { exit, message: message.to_string(), hint: None }
    }

    /// The user asked for something that can't be done.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// The same with a next step.
    pub(crate) fn with_hint(mut self, hint: impl Into<Option<String>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl From<report::ReportError> for Failure {
    fn from(error: report::ReportError) -> Self {
        let exit = match error {
            report::ReportError::Write { .. } | report::ReportError::Replaced(_) => Exit::ReadOrWrite,
            // Nothing was begun yet.
            _ => Exit::Usage,
        };
        let hint = error.hint();
        Self::new(exit, error).with_hint(hint)
    }
}

impl From<reader::OpenError> for Failure {
    fn from(error: reader::OpenError) -> Self {
        match error {
            reader::OpenError::Read(error) => error.into(),
            error => {
                let hint = error.hint();
                Self::usage(error).with_hint(hint)
            }
        }
    }
}

impl From<reader::ReadError> for Failure {
    fn from(error: reader::ReadError) -> Self {
        let hint = error.hint();
        Self::new(Exit::ReadOrWrite, error).with_hint(hint)
    }
}
