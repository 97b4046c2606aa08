use crate::{Contacts, Origin, Reason};

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Accepted by the API.
    Synced,
    /// Equal to what the API last accepted; not sent.
    Unchanged,
    /// Refused by validation; never sent.
    Rejected,
    /// Refused by the API, or given up.
    Failed,
    /// `check` only: nothing is wrong with it.
    Valid,
    /// `verify` only: the service holds all contacts that the row answers for.
    Landed,
    /// `verify` only: the service holds something else.
    Different,
    /// `verify` only: later rows of its EUID set all of its contacts.
    Superseded,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Synced,
        Self::Unchanged,
        Self::Rejected,
        Self::Failed,
        Self::Valid,
        Self::Landed,
        Self::Different,
        Self::Superseded,
    ];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "synced",
            Self::Unchanged => "unchanged",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Valid => "valid",
            Self::Landed => "landed",
            Self::Different => "different",
            Self::Superseded => "superseded",
        }
    }

    /// The outcome a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == word)
    }
}

/// What the last answer said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answered {
    /// The body's `code`.
    pub code: Option<i64>,
    /// The body's `message`, or what stood in its place: cut and free of credentials.
    pub message: Option<String>,
    /// The HTTP status.
    pub http_status: Option<u16>,
}

/// One row, decided: what becomes a record of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Where the row came from.
    pub origin: Origin,
    /// The EUID as it stood in the input, or as it was obtained for an id; empty where it is missing.
    pub euid: Box<str>,
    /// The organisation's own id, where rows are keyed by one; empty where it is missing.
    pub id: Option<Box<str>>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why; none for a plain success.
    pub reason: Option<Reason>,
    /// The last answer, or the validator's message.
    pub answered: Answered,
    /// Attempts made; 0 means never sent.
    pub attempts: u32,
    /// Milliseconds the last attempt took.
    pub latency_ms: Option<u64>,
    /// When it was decided, in milliseconds since 1970-01-01T00:00:00Z.
    pub at_ms: i64,
    /// What was sent or would have been, where the row could be read.
    pub contacts: Option<Contacts>,
    /// The text of a row that could not be read, at most [`crate::limits::MAX_RAW_BYTES`].
    pub raw: Option<Box<str>>,
}
