use crate::ledger::OtherRate;

/// Why a shared rate gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaError {
    /// It can't be reached now; later it may be. What happened, without a secret.
    #[error("{0}")]
    Unreachable(String),
    /// Others share it at another rate.
    #[error(transparent)]
    OtherRate(#[from] OtherRate),
    /// Asking again won't help: the place is none, or it refuses who asks. What happened, without a secret.
    #[error("{0}")]
    Refused(String),
}
