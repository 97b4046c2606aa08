use std::sync::Arc;

use model::{Decision, Euid, Outcome, Reason};

/// What of a record decides which rows are sent again: all but the texts that only people and the service read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gist<'a> {
    pub(crate) source: &'a Arc<str>,
    pub(crate) row: u64,
    /// The bytes of the EUID's text, as it stood in the input.
    pub(crate) euid: &'a [u8],
    /// The EUID by number, where it is one.
    pub(crate) number: Option<Euid>,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<Reason>,
    /// The last answer's.
    pub(crate) code: Option<i64>,
    pub(crate) attempts: u32,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) at_ms: i64,
    /// Whether it holds the contacts, be there any or not.
    pub(crate) has_contacts: bool,
}

impl<'a> Gist<'a> {
    pub(crate) fn of(record: &'a Decision) -> Self {
        Self {
            source: &record.origin.source,
            row: record.origin.row,
            euid: record.euid.as_bytes(),
            number: Euid::parse(&record.euid).ok(),
            outcome: record.outcome,
            reason: record.reason,
            code: record.answered.code,
            attempts: record.attempts,
            latency_ms: record.latency_ms,
            at_ms: record.at_ms,
            has_contacts: record.contacts.is_some(),
        }
    }
}
