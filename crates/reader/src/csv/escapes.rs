//! Backslashes that look like a dump's escapes, where nobody said what they are.

use model::{Record, RecordBatch, RecordHead, ValueRef};

/// What is known of backslashes that nobody said to be escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaped {
    /// Somebody said what they are.
    Settled,
    /// One looked like one, and that was told.
    Told,
    /// None looked like one.
    Watched,
    /// One did, on this line.
    Seen(u64),
}

/// The line of the first record with a backslash that looks like a dump's escape.
pub(super) fn first_escape(batch: &RecordBatch) -> Option<u64> {
    let has_none =
        memchr::memchr(b'\\', batch.text.as_bytes()).is_none() && batch.records.iter().all(|it| it.raw.is_none());
    if has_none {
        return None;
    }
    let looks = |(record, head): &(Record<'_>, &RecordHead)| match &head.raw {
        Some(raw) => looks_escaped(raw),
        None => record.fields().any(|(_, value)| matches!(value, ValueRef::Text(text) if looks_escaped(text))),
    };
    batch.iter().zip(&batch.records).find(looks).map(|(_, head)| head.line)
}

/// Whether a text has what a dump would have, and a plain file rarely has: `\n`, `\t`, `\\`, a backslash at its end.
fn looks_escaped(text: &str) -> bool {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'\\', bytes).any(|at| match bytes.get(at + 1) {
        None => true,
        Some(next) => {
            matches!(next, b'n' | b't' | b'r' | b'0' | b'\\' | b'"' | b'\t' | b'\n') || bytes.ends_with(b"\"")
        }
    })
}
