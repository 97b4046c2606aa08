use std::{
    collections::HashMap,
    fs,
    io::ErrorKind,
    path::Path,
    sync::Arc,
};

use roaring::RoaringTreemap;

use crate::{
    decided::Decided,
    error::ReportError,
    file::{is_special, open_locked},
    format::{Compression, ReportFormat},
    journal::{ContactsPolicy, Journal, JournalOptions},
    read::{ReadError, ReportReader},
};

/// More than what a run decides between two syncs; what is torn from further up was not torn by a kill.
const LONGEST_TORN_END: u64 = 64 << 20;
/// The same for a gzip member or zstd frame: the journal packs some 256 KiB into each.
const LONGEST_TORN_PIECE: u64 = 4 << 20;

/// A report that is written on.
#[derive(Debug)]
pub struct Resumed {
    /// Its tally counts the rows taken over.
    pub journal: Journal,
    /// The rows taken over.
    pub decided: Decided,
}

impl Journal {
    /// Opens a report to write on in it, or creates it where there is none. It is locked, then a torn end is cut off:
    /// the last record, or anything after the first byte that belongs to no whole record; in a compressed report the
    /// gzip member or zstd frame in which that lies. A file that is no report, or is damaged long before its end, is left
    /// as it is.
    pub fn resume(path: &Path, contacts: ContactsPolicy) -> Result<Resumed, ReportError> {
        if is_special(path) {
            return Err(ReportError::NotResumable(path.to_owned()));
        }
        let file = match open_locked(path) {
            Err(ReportError::Open { cause, .. }) if cause.kind() == ErrorKind::NotFound => {
                let journal = Self::create(path, JournalOptions { force: false, contacts })?;
                return Ok(Resumed { journal, decided: Decided::new(path) });
            }
            opened => opened?,
        };
        let failed = |cause| ReportError::Open { path: path.to_owned(), cause };
        let scan = loop {
            let scan = Scan::of(path)?;
            let Some(whole_bytes) = scan.torn_after else { break scan };
            let size = file.metadata().map_err(failed)?.len();
            let longest = match ReportFormat::of(path).compression {
                Compression::None => LONGEST_TORN_END,
                Compression::Gzip | Compression::Zstd => LONGEST_TORN_PIECE,
            };
            if size.saturating_sub(whole_bytes) > longest {
                return Err(ReportError::Damaged { path: path.to_owned(), at: whole_bytes });
            }
            file.set_len(whole_bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        };
        let decided = scan.last_records(path)?;
        let mut journal = Self::over(path, file, contacts, decided.tally().clone());
        if scan.is_empty {
            journal.begin()?;
        }
        Ok(Resumed { journal, decided })
    }
}

/// A first look through a report.
struct Scan {
    /// Where it is to be cut.
    torn_after: Option<u64>,
    /// Not even a header.
    is_empty: bool,
    /// Rows with several records, and which record of the report is their last. Few: those that were sent again.
    repeated: HashMap<(Arc<str>, u64), u64>,
}

impl Scan {
    fn of(path: &Path) -> Result<Self, ReportError> {
        let mut seen: HashMap<Arc<str>, RoaringTreemap> = HashMap::new();
        let mut scan = Self { torn_after: None, is_empty: false, repeated: HashMap::new() };
        let mut report = ReportReader::open(path)?;
        for (index, record) in (0..).zip(&mut report) {
            let origin = match record {
                Ok(record) => record.origin,
                Err(ReadError::Torn { whole_bytes, .. }) => {
                    scan.torn_after = Some(whole_bytes);
                    return Ok(scan);
                }
                Err(error) => return Err(error.into()),
            };
            if !seen.entry(Arc::clone(&origin.source)).or_default().insert(origin.row) {
                scan.repeated.insert((origin.source, origin.row), index);
            }
        }
        let size = fs::metadata(path).map_err(|cause| ReportError::Open { path: path.to_owned(), cause })?.len();
        scan.is_empty = size == 0;
        // Appending to what is written otherwise would make it unreadable.
        if !scan.is_empty && report.format() != ReportFormat::of(path) {
            return Err(ReportError::OtherFormat(path.to_owned()));
        }
        Ok(scan)
    }

    /// A second look, at the last record of each row.
    fn last_records(&self, path: &Path) -> Result<Decided, ReportError> {
        let mut decided = Decided::new(path);
        for (index, record) in (0_u64..).zip(ReportReader::open(path)?) {
            let record = record?;
            let is_last = self.repeated.is_empty()
                || self
                    .repeated
                    .get(&(Arc::clone(&record.origin.source), record.origin.row))
                    .is_none_or(|last| *last == index);
            if is_last {
                decided.take_over(&record);
            }
        }
        decided.optimize();
        Ok(decided)
    }
}
