//! How large a batch becomes.

/// Most records of a batch.
pub(crate) const BATCH_RECORDS: usize = 1_024;
/// A batch with so much text is handed on.
pub(crate) const BATCH_BYTES: usize = 256 << 10;
/// Or so many fields: thousands of columns may all be empty.
pub(crate) const BATCH_FIELDS: usize = 32 << 10;
