use model::{Answered, Decision, Outcome, Record, Rejection};
use report::ContactsPolicy;
use validator::{Rules, trimmed_id};

use crate::terminal::Printer;

/// Rejected rows that are shown as they come; the report holds them all.
pub(crate) const SHOWN: u64 = 10;

/// Shows the `nth` rejected row, from 1, if it is one of the first. What stands in the row is left out: standard error
/// often ends up in a log.
pub(crate) fn show(nth: u64, record: &Record<'_>, rejection: &Rejection, printer: &Printer) {
    if nth <= SHOWN {
        printer.note(&format!("{}: {}: {}", record.origin(), rejection.reason, rejection.text(false)));
    }
}

/// The EUID of a row as it stands in the input, and its id, where rows are keyed by ids: then no EUID is known.
pub(crate) fn keyed_by(record: &Record<'_>, rules: &Rules) -> (Box<str>, Option<Box<str>>) {
    match rules.ids {
        None => (record.euid_text().into(), None),
        Some(_) => ("".into(), Some(trimmed_id(record.euid_text()).into())),
    }
}

/// The decision on a row that validation refused. Under a policy without contacts it quotes no value.
pub(crate) fn rejected(
    record: &Record<'_>,
    rejection: &Rejection,
    rules: &Rules,
    contacts: ContactsPolicy,
    at_ms: i64,
) -> Decision {
    let quote = contacts != ContactsPolicy::Never;
    let (euid, id) = keyed_by(record, rules);
    Decision {
        origin: record.origin(),
        euid,
        id,
        outcome: Outcome::Rejected,
        reason: Some(rejection.reason),
        answered: Answered { message: Some(rejection.text(quote)), ..Answered::default() },
        attempts: 0,
        latency_ms: None,
        at_ms,
        contacts: if quote { validator::would_send(record, rules) } else { None },
        raw: record.raw().filter(|_| quote).map(Into::into),
    }
}
