use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

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
    /// The bytes of the organisation's own id, where rows are keyed by one; empty where the row has none that is known.
    pub(crate) id: Option<&'a [u8]>,
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
            id: record.id.as_ref().map(|id| id.as_bytes()),
            outcome: record.outcome,
            reason: record.reason,
            code: record.answered.code,
            attempts: record.attempts,
            latency_ms: record.latency_ms,
            at_ms: record.at_ms,
            has_contacts: record.contacts.is_some(),
        }
    }

    /// The id that is known.
    pub(crate) fn known_id(&self) -> Option<&'a [u8]> {
        self.id.filter(|id| !id.is_empty())
    }

    /// What the row is keyed by: the id, else the EUID's text. It tells the row from others of its number in reports of other
    /// nights. A row of which no EUID was obtained at first may have one in a later record.
    pub(crate) fn key(&self) -> &'a [u8] {
        self.known_id().unwrap_or(self.euid)
    }

    /// The same as a number, where the row is of some user.
    pub(crate) fn key_number(&self) -> Option<u64> {
        self.known_id().map(id_number).or(self.number.map(Euid::get))
    }

    /// The numbers of its user: rows that have one of them in common are of one user.
    pub(crate) fn users(&self) -> impl Iterator<Item = u64> + use<> {
        let (euid, id) = (self.number.map(Euid::get), self.known_id().map(id_number));
        euid.into_iter().chain(id)
    }
}

/// A number for an id, which no EUID has: compared only within one process, so that any good hash will do.
fn id_number(id: &[u8]) -> u64 {
    id_digest(id) | 1 << 63
}

/// A digest of an id, for comparisons within one process.
pub(crate) fn id_digest(id: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}
