use model::{Answered, Reason};

/// How a request ended that was tried as often as it may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Accepted; the reason is kept where it isn't a plain success.
    Accepted(Option<Reason>),
    /// Refused, or given up; why.
    Failed(Reason),
}

/// What came of a question.
#[derive(Debug, Clone)]
pub struct Asked {
    /// How it ended.
    pub ended: Ended,
    /// What the last answer said.
    pub answered: Answered,
    /// Attempts made.
    pub attempts: u32,
    /// Milliseconds the last of them took.
    pub latency_ms: Option<u64>,
    /// Body of the last answer.
    pub body: Vec<u8>,
}
