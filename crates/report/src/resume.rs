use std::{
    fs::File,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::Outcome;

use crate::{
    decided::Decided,
    error::ReportError,
    file::{is_special, open_locked},
    format::{Compression, ReportFormat},
    journal::{Journal, JournalOptions},
    latest::LatestRecords,
    read::ReadError,
    run_file::{Run, RunFile},
    source::SourceReport,
};

/// More than what a run decides between two syncs; what is torn from further up was not torn by a kill.
const LONGEST_TORN_END: u64 = 64 << 20;

/// A run writes its `.run` file before the first record; until then its report is no longer than a header.
const LONGEST_BEGINNING: u64 = 4 << 10;

/// A report that is there and may be written on. It is locked, and not changed before [`Resumption::into_journal`].
#[derive(Debug)]
pub struct Resumption {
    path: PathBuf,
    file: Arc<File>,
    size: u64,
    /// So many of its bytes are whole.
    whole: u64,
    /// These have a header, or any record.
    has_header: bool,
    /// Whether this header has the column of ids, if it is one of CSV.
    has_id_column: Option<bool>,
    /// What its run was about. None only where no row is decided and the report has no record: then it was killed as it
    /// began.
    pub run: Option<Run>,
    /// The same of a run of which no row is decided: it may be begun anew with whatever input.
    pub undecided: Option<Run>,
    /// The command that wrote it, also where it has no record.
    pub command: Option<String>,
    /// The rows that it decides.
    pub decided: Decided,
}

impl Resumption {
    /// Looks at a report; none where there is none. A torn end doesn't count: the last record, or anything after the
    /// first byte that belongs to no whole record; in a compressed report the gzip member or zstd frame in which that
    /// lies. An error means that it is no report, has no `.run` file, or is damaged long before its end.
    pub fn open(path: &Path) -> Result<Option<Self>, ReportError> {
        Self::open_with(path, false)
    }

    /// The same, but rows to be sent again are sent also where a later row of their EUID was accepted.
    pub fn open_for_all(path: &Path) -> Result<Option<Self>, ReportError> {
        Self::open_with(path, true)
    }

    fn open_with(path: &Path, all_again: bool) -> Result<Option<Self>, ReportError> {
        // `-` is standard output.
        if is_special(path) || path == Path::new("-") {
            return Err(ReportError::NotResumable(path.to_owned()));
        }
        let file = match open_locked(path) {
            Err(ReportError::Open { cause, .. }) if cause.kind() == ErrorKind::NotFound => return Ok(None),
            opened => Arc::new(opened?),
        };
        let metadata = file.metadata().map_err(|cause| ReportError::Open { path: path.to_owned(), cause })?;
        let size = metadata.len();
        let report = SourceReport::of_file(path, Arc::clone(&file), size);
        let Whole { bytes: whole, is_begun: has_header, has_id_column, mut decided } =
            whole_part(report, size, all_again)?;
        if size - whole > LONGEST_TORN_END {
            return Err(ReportError::Damaged { path: path.to_owned(), at: whole });
        }
        let run = RunFile::read(path)?;
        match &run {
            Some(run) => decided.take_over_unchanged(run),
            None if decided.is_empty() && size <= LONGEST_BEGINNING => {}
            None => return Err(ReportError::WithoutRun(path.to_owned())),
        }
        let command = run.as_ref().map(|run| run.command.clone());
        let (run, undecided) = if decided.is_empty() { (None, run) } else { (run, None) };
        let path = path.to_owned();
        Ok(Some(Self { path, file, size, whole, has_header, has_id_column, run, undecided, command, decided }))
    }

    /// How many bytes of its end are torn.
    pub fn torn_bytes(&self) -> u64 {
        self.size - self.whole
    }

    /// Its whole part, to be read.
    pub fn report(&self) -> SourceReport {
        SourceReport::of_file(&self.path, Arc::clone(&self.file), self.whole)
    }

    /// Cuts off a torn end and writes on behind it. The journal's tally counts the decided rows.
    pub fn into_journal(self, options: impl Into<JournalOptions>) -> Result<(Journal, Decided), ReportError> {
        let Self { path, file, size, whole, has_header, has_id_column, mut decided, .. } = self;
        let options = options.into();
        let options = JournalOptions { ids: has_id_column.unwrap_or(options.ids), ..options };
        decided.close();
        if whole < size {
            let cut = file.set_len(whole).and_then(|()| file.sync_all());
            cut.map_err(|cause| ReportError::Open { path: path.clone(), cause })?;
        }
        let mut journal = Journal::in_file(&path, file, options, decided.tally().clone());
        if !has_header {
            journal.begin()?;
        }
        Ok((journal, decided))
    }
}

/// What of a report is whole.
struct Whole {
    bytes: u64,
    /// Its header, or any record.
    is_begun: bool,
    /// Whether a header of CSV has the column of ids.
    has_id_column: Option<bool>,
    decided: Decided,
}

/// How many of its bytes are whole, and what these decide.
fn whole_part(mut report: SourceReport, size: u64, all_again: bool) -> Result<Whole, ReportError> {
    let path = report.path().to_owned();
    let mut bytes = size;
    loop {
        let mut repeated = LatestRecords::default();
        let mut decided = Decided::new(report.clone(), all_again);
        let (mut records, mut place) = (report.records()?, 0);
        let torn = loop {
            let record = match records.next_gist() {
                Ok(Some((_, record))) => record,
                Ok(None) => break false,
                Err(ReadError::Torn { whole_bytes, .. }) if whole_bytes < bytes => {
                    bytes = whole_bytes;
                    break true;
                }
                Err(error) => return Err(error.into()),
            };
            if record.outcome == Outcome::Valid {
                return Err(ReportError::OfCheck(path));
            }
            if !decided.take_over(&record, place) {
                repeated.note_repeated(&record);
            }
            place += 1;
        };
        if torn {
            report = report.up_to(bytes);
            decided.cut(bytes);
            // Records within a torn member or frame are lost with it, so what is left is looked at anew. What was read of
            // a plain file is what is whole.
            if records.format().compression != Compression::None {
                continue;
            }
        }
        // Appending to what is written otherwise would make it unreadable.
        if bytes > 0 && (records.format() != ReportFormat::of(&path) || !records.can_be_continued()) {
            return Err(ReportError::OtherFormat(path));
        }
        if !repeated.is_empty() {
            drop(decided);
            decided = last_records(&report, repeated, all_again)?;
        }
        let (is_begun, has_id_column) = (records.is_begun(), records.has_id_column());
        return Ok(Whole { bytes, is_begun, has_id_column, decided });
    }
}

/// A further look, at the last record of each row and the place of its first.
fn last_records(report: &SourceReport, mut latest: LatestRecords, all_again: bool) -> Result<Decided, ReportError> {
    let mut decided = Decided::new(report.clone(), all_again);
    report.skim(0, |moment, _, record| {
        latest.see(moment, record);
        Ok::<_, ReportError>(())
    })?;
    report.skim(0, |moment, _, record| {
        if latest.counts(moment, record) {
            let (_, _, place) = latest.first(moment, record);
            decided.take_over(record, place);
        }
        Ok::<_, ReportError>(())
    })?;
    Ok(decided)
}
