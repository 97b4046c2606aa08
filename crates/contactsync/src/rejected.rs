use model::{Answered, Decision, Outcome, Record, Rejection};
use report::ContactsPolicy;
use validator::Rules;

/// The decision on a row that validation refused. Under a policy without contacts it quotes no value.
pub(crate) fn rejected(
    record: &Record<'_>,
    rejection: &Rejection,
    rules: &Rules,
    contacts: ContactsPolicy,
    at_ms: i64,
) -> Decision {
    let quote = contacts != ContactsPolicy::Never;
    Decision {
        origin: record.origin(),
        euid: record.euid_text().into(),
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
