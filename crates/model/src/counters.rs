use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Live figures of a run, for whoever draws progress. The books of a run are kept by the report's tally, not here.
#[derive(Debug, Default)]
pub struct Counters {
    /// Bytes of input read so far, as they lie in the files.
    pub bytes_read: AtomicU64,
    /// Records that the reader has come to so far: those that lie within the bytes read.
    pub rows_seen: AtomicU64,
    /// Of these, left out because they lie before the range that is taken.
    pub rows_skipped: AtomicU64,
    /// Of these, left out because they are of other shards.
    pub rows_elsewhere: AtomicU64,
    /// Of these, left out because an earlier try decided them.
    pub rows_decided_before: AtomicU64,
    /// Of these, taken in.
    pub rows_read: AtomicU64,
    /// Requests started that set contacts.
    pub attempts: AtomicU64,
    /// Requests started that obtain EUIDs by ids.
    pub register_requests: AtomicU64,
    /// Requests started that read users.
    pub profile_requests: AtomicU64,
    /// Requests under way.
    pub in_flight: AtomicU64,
    /// 1 while sending is held because the service, or a shared rate, is out of reach.
    pub held: AtomicU64,
    /// Rows synced, in the report.
    pub synced: AtomicU64,
    /// Rows that equal what the API holds.
    pub unchanged: AtomicU64,
    /// Rows rejected, in the report.
    pub rejected: AtomicU64,
    /// Rows failed, in the report.
    pub failed: AtomicU64,
    /// Of a verify: rows that the service holds, in the report.
    pub landed: AtomicU64,
    /// Of a verify: rows of which it holds something else, in the report.
    pub different: AtomicU64,
    /// Of a verify: rows that later ones replace, in the report.
    pub superseded: AtomicU64,
    /// Of a verify: rows that wait to be read once more.
    pub settling: AtomicU64,
}

impl Counters {
    /// Adds to one of the figures.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Relaxed);
    }

    /// Takes from one of the figures.
    pub fn sub(counter: &AtomicU64, n: u64) {
        counter.fetch_sub(n, Relaxed);
    }

    /// Reads one of the figures.
    pub fn get(counter: &AtomicU64) -> u64 {
        counter.load(Relaxed)
    }
}
