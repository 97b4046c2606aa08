/// An answer whose shape isn't understood: nothing may be concluded from it. Says what was met in names and types, never
/// in values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownShape(String);

impl UnknownShape {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
