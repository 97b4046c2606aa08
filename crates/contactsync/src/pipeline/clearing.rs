//! What the API says to an empty value. That it clears the contact is documented for the SDKs only: a project may refuse it.

use model::{Contacts, Decision, Outcome, Reason};

use crate::terminal::Printer;

/// Tells once where a row was refused for an empty value that was sent to clear a contact.
pub(super) struct RefusedClears(Option<Printer>);

impl RefusedClears {
    /// Nothing is told yet.
    pub(super) fn new(printer: Printer) -> Self {
        Self(Some(printer))
    }

    /// Looks at what was decided.
    pub(super) fn look(&mut self, decisions: &[Decision]) {
        if self.0.is_some()
            && decisions.iter().any(is_refused_clear)
            && let Some(printer) = self.0.take()
        {
            let text = "this project's API doesn't clear by an empty value (code 55103): rows with one are refused";
            let hint = "with `--empty skip` such rows are sent without their empty values, and clear nothing";
            printer.warning(text, Some(hint));
        }
    }
}

fn is_refused_clear(decision: &Decision) -> bool {
    let mut contacts = decision.contacts.iter().flat_map(Contacts::iter);
    decision.outcome == Outcome::Failed
        && decision.reason == Some(Reason::ValueEmpty)
        && contacts.any(|(_, value)| value.is_empty())
}
