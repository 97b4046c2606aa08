use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use model::{Decision, Origin};

/// By source and row, in milliseconds since 1970.
type Rows = HashMap<(Arc<str>, u64), u64>;

/// How new the values of rows are that are sent once more: since when each was decided, while it is under way. A user that is
/// set by an old row isn't newer for it than one that was decided since.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Ages(Arc<Mutex<Rows>>);

impl Ages {
    /// A row that failed then is sent once more.
    pub(in super::super) fn note(&self, record: &Decision) {
        let Origin { source, row, .. } = &record.origin;
        self.rows().insert((Arc::clone(source), *row), u64::try_from(record.at_ms).unwrap_or_default());
    }

    /// When it was decided, in milliseconds since 1970, where it is such a row.
    pub(super) fn take(&self, origin: &Origin) -> Option<u64> {
        let mut rows = self.rows();
        if rows.is_empty() { None } else { rows.remove(&(Arc::clone(&origin.source), origin.row)) }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
