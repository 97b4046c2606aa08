use std::{
    collections::HashMap,
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{Decision, Origin};
use roaring::RoaringTreemap;

use crate::{
    decided::Decided,
    error::ReportError,
    file::{is_special, open_locked},
    format::ReportFormat,
    journal::{ContactsPolicy, Journal},
    read::ReadError,
    run_file::{Run, RunFile},
};

/// More than what a run decides between two syncs; what is torn from further up was not torn by a kill.
const LONGEST_TORN_END: u64 = 64 << 20;

/// A run writes its `.run` file before the first record; until then its report is no longer than a header.
const LONGEST_BEGINNING: u64 = 4 << 10;

/// A report that is there and may be written on. It is locked, and not changed before [`Resumption::into_journal`].
#[derive(Debug)]
pub struct Resumption {
    path: PathBuf,
    file: File,
    size: u64,
    /// So many of its bytes are whole.
    whole: u64,
    /// These have a header, or any record.
    has_header: bool,
    /// What its run was about. None only where the report has no record: then it was killed as it began.
    pub run: Option<Run>,
    /// The rows that it decides.
    pub decided: Decided,
}

impl Resumption {
    /// Looks at a report; none where there is none. A torn end doesn't count: the last record, or anything after the
    /// first byte that belongs to no whole record; in a compressed report the gzip member or zstd frame in which that
    /// lies. An error means that it is no report, has no `.run` file, or is damaged long before its end.
    pub fn open(path: &Path) -> Result<Option<Self>, ReportError> {
        Self::open_with(path, Decided::new)
    }

    /// The same, but rows to be sent again are sent also where a later row of their EUID was accepted.
    pub fn open_for_all(path: &Path) -> Result<Option<Self>, ReportError> {
        Self::open_with(path, Decided::without_superseding)
    }

    fn open_with(path: &Path, decided: fn(&Path, u64) -> Decided) -> Result<Option<Self>, ReportError> {
        if is_special(path) {
            return Err(ReportError::NotResumable(path.to_owned()));
        }
        let file = match open_locked(path) {
            Err(ReportError::Open { cause, .. }) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let metadata = file.metadata().map_err(|cause| ReportError::Open { path: path.to_owned(), cause })?;
        let size = metadata.len();
        let Whole { bytes: whole, is_begun: has_header, decided } = whole_part(path, size, decided)?;
        if size - whole > LONGEST_TORN_END {
            return Err(ReportError::Damaged { path: path.to_owned(), at: whole });
        }
        let run = RunFile::read(path)?;
        let is_begun = !decided.is_empty();
        if run.is_none() && (is_begun || size > LONGEST_BEGINNING) {
            return Err(ReportError::WithoutRun(path.to_owned()));
        }
        let run = run.filter(|_| is_begun);
        Ok(Some(Self { path: path.to_owned(), file, size, whole, has_header, run, decided }))
    }

    /// How many bytes of its end are torn.
    pub fn torn_bytes(&self) -> u64 {
        self.size - self.whole
    }

    /// Cuts off a torn end and writes on behind it. The journal's tally counts the decided rows.
    pub fn into_journal(self, contacts: ContactsPolicy) -> Result<(Journal, Decided), ReportError> {
        let Self { path, file, size, whole, has_header, decided, .. } = self;
        if whole < size {
            let cut = file.set_len(whole).and_then(|()| file.sync_all());
            cut.map_err(|cause| ReportError::Open { path: path.clone(), cause })?;
        }
        let mut journal = Journal::over(&path, file, contacts, decided.tally().clone());
        if !has_header {
            journal.begin()?;
        }
        Ok((journal, decided))
    }
}

/// Rows with several records, and which record of the report is their last. Few: those that were sent again. In the
/// report of a replay rows of several nights may bear one number; their EUIDs tell them apart.
type Repeated = HashMap<(Arc<str>, u64), HashMap<Box<str>, u64>>;

/// What of a report is whole.
struct Whole {
    bytes: u64,
    /// Its header, or any record.
    is_begun: bool,
    decided: Decided,
}

/// How many bytes of a report are whole, and what these decide.
fn whole_part(path: &Path, size: u64, begin: fn(&Path, u64) -> Decided) -> Result<Whole, ReportError> {
    let mut bytes = size;
    'scan: loop {
        let mut seen: HashMap<Arc<str>, RoaringTreemap> = HashMap::new();
        let mut repeated = Repeated::new();
        let mut decided = begin(path, bytes);
        let mut report = decided.records()?;
        for record in &mut report {
            let record = match record {
                Ok(record) => record,
                Err(ReadError::Torn { whole_bytes, .. }) if whole_bytes < bytes => {
                    // Records within a torn member or frame are lost with it, so what is left is looked at anew.
                    bytes = whole_bytes;
                    continue 'scan;
                }
                Err(error) => return Err(error.into()),
            };
            let Origin { source, row, .. } = &record.origin;
            if !seen.entry(Arc::clone(source)).or_default().insert(*row) {
                repeated.entry((Arc::clone(source), *row)).or_default();
            } else if repeated.is_empty() {
                decided.take_over(&record);
            }
        }
        // Appending to what is written otherwise would make it unreadable.
        if bytes > 0 && (report.format() != ReportFormat::of(path) || !report.can_be_continued()) {
            return Err(ReportError::OtherFormat(path.to_owned()));
        }
        if !repeated.is_empty() {
            decided = last_records(begin(path, bytes), repeated)?;
        }
        decided.optimize();
        return Ok(Whole { bytes, is_begun: report.is_begun(), decided });
    }
}

/// A further look, at the last record of each row.
fn last_records(mut decided: Decided, mut repeated: Repeated) -> Result<Decided, ReportError> {
    for (index, record) in (0..).zip(decided.records()?) {
        let Decision { origin, euid, .. } = record?;
        if let Some(last) = repeated.get_mut(&(origin.source, origin.row)) {
            last.insert(euid, index);
        }
    }
    for (index, record) in (0_u64..).zip(decided.records()?) {
        let record = record?;
        let last = repeated.get(&(Arc::clone(&record.origin.source), record.origin.row));
        if last.is_none_or(|last| last.get(&record.euid) == Some(&index)) {
            decided.take_over(&record);
        }
    }
    Ok(decided)
}
