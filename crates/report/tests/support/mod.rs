//! Decisions to write, shared by the tests of this crate.

use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};

/// A decision on a row, whose EUID is its number.
pub(crate) fn decision(row: u64, outcome: Outcome, reason: Option<Reason>) -> Decision {
    let mut contacts = Contacts::default();
    contacts.push("email".into(), "a,\"b\"\n@example.com");
    contacts.push("eigener Name".into(), "ü'");
    Decision {
        origin: Origin { source: "Kunden, alle.csv".into(), row, line: row + 1 },
        euid: row.to_string().into(),
        id: None,
        outcome,
        reason,
        answered: Answered { code: Some(-1), message: Some("a \"b\"\nc".to_owned()), http_status: Some(200) },
        attempts: 3,
        latency_ms: Some(row),
        at_ms: 1_769_850_487_006 + row as i64,
        contacts: matches!(outcome, Outcome::Failed | Outcome::Different).then_some(contacts),
        raw: None,
    }
}
