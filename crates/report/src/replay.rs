//! Which rows of earlier reports are sent again, and in which order.

use std::{
    collections::HashMap,
    fs::{File, TryLockError},
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::{Decision, Euid, Outcome, Reason};
use roaring::RoaringTreemap;

use crate::{
    error::ReportError,
    file::unopened,
    read::{ReadError, ReportReader},
    run_file::{RunFile, RunInput},
};

/// Which failed rows are sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// Those whose reason time can cure ([`Reason::curable`]).
    Curable,
    /// Those with one of these reasons, and those whose last answer had one of these codes.
    These {
        /// Reasons.
        reasons: Vec<Reason>,
        /// API codes.
        codes: Vec<i64>,
    },
    /// All.
    All,
}

/// What a replay is asked for.
#[derive(Debug, Clone)]
pub struct ReplayChoice {
    /// Which failed rows.
    pub chosen: Chosen,
    /// Also those behind which a row of the same EUID was accepted.
    pub include_superseded: bool,
    /// Rows decided longer ago are left alone.
    pub max_age: Duration,
}

impl Chosen {
    fn includes(&self, record: &Decision) -> bool {
        record.outcome == Outcome::Failed
            && match self {
                Self::All => true,
                Self::Curable => record.reason.is_some_and(Reason::curable),
                Self::These { reasons, codes } => {
                    record.reason.is_some_and(|reason| reasons.contains(&reason))
                        || record.answered.code.is_some_and(|code| codes.contains(&code))
                }
            }
    }
}

/// A report to be replayed. As long as it is held nobody can write it.
#[derive(Debug)]
pub struct SourceReport {
    path: PathBuf,
    file: File,
}

impl SourceReport {
    /// Opens a report that nobody is writing.
    pub fn open(path: &Path) -> Result<Self, ReportError> {
        let failed = |cause| ReportError::Read(ReadError::Read { path: path.to_owned(), cause });
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ReportError::NotResumable(path.to_owned()));
        }
        match file.try_lock_shared() {
            Ok(()) => Ok(Self { path: path.to_owned(), file }),
            Err(TryLockError::WouldBlock) => Err(ReportError::BeingWritten(path.to_owned())),
            Err(TryLockError::Error(cause)) => Err(failed(cause)),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Device and inode.
    pub fn file_id(&self) -> Result<(u64, u64), ReportError> {
        let metadata = self.file.metadata().map_err(|cause| unopened(&self.path, cause))?;
        Ok((metadata.dev(), metadata.ino()))
    }

    /// Whether the run that wrote it is known not to have come to its end: rows that it didn't decide may be newer than
    /// those that failed in it.
    pub fn is_unfinished(&self) -> bool {
        matches!(RunFile::read(&self.path), Ok(Some(run)) if run.finished.is_none())
    }

    /// Its size and digest.
    pub fn as_input(&self) -> Result<RunInput, ReportError> {
        let failed = |cause| unopened(&self.path, cause);
        let mut file = File::open(&self.path).map_err(failed)?;
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; 256 << 10];
        let mut bytes = 0;
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    bytes += count as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let source = self.path.display().to_string();
        Ok(RunInput { source, bytes, blake3: hasher.finalize().to_hex().to_string(), ended: true })
    }
}

/// The rows of reports that are sent again.
///
/// A row is a source, a row number and an EUID, so that nights whose exports bear one name are kept apart. Where the
/// reports decide it several times the latest record counts. Of two rows of one EUID the later is that with the later
/// record: in one report that which stands further down, in several that with the later time.
#[derive(Debug)]
pub struct ReplayPlan {
    reports: Vec<PathBuf>,
    /// The records to send, by their place in each report.
    records: Vec<RoaringTreemap>,
    /// Rows left alone because a later row of their EUID was accepted.
    pub superseded: u64,
    /// Rows left alone because they were decided too long ago.
    pub expired: u64,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
}

/// When a record was written, to compare it with others: the time, never earlier than that of a record above it in its
/// report, since clocks are set back; then the report and the place in it.
type Moment = (i64, usize, u64);

#[derive(Debug)]
struct Candidate {
    moment: Moment,
    at_ms: i64,
    /// A later record decides the row.
    overridden: bool,
    has_contacts: bool,
}

/// Source, row, EUID.
type Key = (u32, u64, u64);

impl ReplayPlan {
    /// Looks through the reports. `own`: the replay's report so far, where it is resumed: rows that it decides are not
    /// sent once more. `now_ms`: milliseconds since 1970.
    pub fn make(
        reports: &[SourceReport],
        own: Option<&Path>,
        choice: &ReplayChoice,
        now_ms: i64,
    ) -> Result<Self, ReportError> {
        let reports: Vec<PathBuf> = reports.iter().map(|report| report.path.clone()).collect();
        let mut plan = Self {
            records: vec![RoaringTreemap::new(); reports.len()],
            reports,
            superseded: 0,
            expired: 0,
            torn: Vec::new(),
        };
        let mut sources: HashMap<Arc<str>, u32> = HashMap::new();
        let mut candidates: HashMap<Key, Candidate> = HashMap::new();
        // The latest record that says that a row of an EUID was accepted; only of EUIDs with candidates.
        let mut accepted: HashMap<u64, Option<Moment>> = HashMap::new();
        for (number, path) in plan.reports.iter().enumerate() {
            let torn = each_record(path, number, |moment, record| {
                if !choice.chosen.includes(record) {
                    return Ok(());
                }
                let euid = Euid::parse(&record.euid).map(Euid::get).map_err(|_| foreign(path, moment.2))?;
                let next = u32::try_from(sources.len()).unwrap_or(u32::MAX);
                let source = *sources.entry(Arc::clone(&record.origin.source)).or_insert(next);
                accepted.insert(euid, None);
                let has_contacts = record.contacts.is_some();
                let candidate = Candidate { moment, at_ms: record.at_ms, overridden: false, has_contacts };
                let kept = candidates.entry((source, record.origin.row, euid)).or_insert(candidate);
                if kept.moment < moment {
                    *kept = Candidate { moment, at_ms: record.at_ms, overridden: false, has_contacts };
                }
                Ok(())
            })?;
            plan.torn.extend(torn.map(|bytes| (path.clone(), bytes)));
        }
        for (number, path) in plan.reports.iter().map(PathBuf::as_path).chain(own).enumerate() {
            let is_own = number == plan.reports.len();
            each_record(path, number, |moment, record| {
                let Ok(euid) = Euid::parse(&record.euid).map(Euid::get) else { return Ok(()) };
                let Some(latest) = accepted.get_mut(&euid) else { return Ok(()) };
                let source = sources.get(&record.origin.source).copied().unwrap_or(u32::MAX);
                let candidate = candidates.get_mut(&(source, record.origin.row, euid));
                if matches!(record.outcome, Outcome::Synced | Outcome::Unchanged) {
                    // What this replay sent is no newer for that.
                    let moment = candidate.as_ref().filter(|_| is_own).map_or(moment, |candidate| candidate.moment);
                    *latest = (*latest).max(Some(moment));
                }
                if let Some(candidate) = candidate {
                    candidate.overridden |= if is_own { decides(record) } else { moment > candidate.moment };
                }
                Ok(())
            })?;
        }
        for ((_, _, euid), candidate) in candidates {
            let (_, number, place) = candidate.moment;
            if candidate.overridden {
                continue;
            }
            if !choice.include_superseded && accepted.get(&euid).is_some_and(|moment| *moment > Some(candidate.moment))
            {
                plan.superseded += 1;
            } else if now_ms.saturating_sub(candidate.at_ms)
                > i64::try_from(choice.max_age.as_millis()).unwrap_or(i64::MAX)
            {
                plan.expired += 1;
            } else if !candidate.has_contacts {
                return Err(ReportError::WithoutContacts { path: plan.reports[number].clone(), record: place + 1 });
            } else {
                plan.records[number].insert(place);
            }
        }
        Ok(plan)
    }

    /// How many rows are sent.
    pub fn rows(&self) -> u64 {
        self.records.iter().map(RoaringTreemap::len).sum()
    }

    /// How many rows come from each report.
    pub fn rows_by_report(&self) -> Vec<u64> {
        self.records.iter().map(RoaringTreemap::len).collect()
    }

    /// Reads the rows again, in the order in which they were decided: so rows of one EUID keep theirs.
    pub fn into_rows(self) -> Result<ReplayRows, ReportError> {
        let mut reports = Vec::with_capacity(self.reports.len());
        for (path, places) in self.reports.iter().zip(self.records) {
            let mut records = ChosenRecords { reader: ReportReader::open(path)?, places, place: 0, time: i64::MIN };
            let head = records.next()?;
            reports.push((records, head));
        }
        Ok(ReplayRows { reports })
    }
}

/// Calls `see` for each whole record and returns behind which byte the report is torn, if it is.
fn each_record(
    path: &Path,
    number: usize,
    mut see: impl FnMut(Moment, &Decision) -> Result<(), ReportError>,
) -> Result<Option<u64>, ReportError> {
    let mut time = i64::MIN;
    for (place, record) in (0..).zip(ReportReader::open(path)?) {
        match record {
            Ok(record) => {
                time = time.max(record.at_ms);
                see((time, number, place), &record)?;
            }
            Err(ReadError::Torn { whole_bytes, .. }) => return Ok(Some(whole_bytes)),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Whether a record of the replay's own report says that its row is not to be sent again.
fn decides(record: &Decision) -> bool {
    record.outcome != Outcome::Failed || !matches!(record.reason, Some(Reason::Credentials | Reason::HttpStatus))
}

fn foreign(path: &Path, place: u64) -> ReportError {
    let what = "a row that was sent has no EUID".to_owned();
    ReportError::Read(ReadError::Foreign { path: path.to_owned(), record: place + 1, what })
}

/// Failed records, to be sent again.
#[derive(Debug)]
pub struct ReplayRows {
    reports: Vec<(ChosenRecords, Option<(i64, Decision)>)>,
}

#[derive(Debug)]
struct ChosenRecords {
    reader: ReportReader,
    places: RoaringTreemap,
    place: u64,
    time: i64,
}

impl ChosenRecords {
    /// The next chosen record with its time.
    fn next(&mut self) -> Result<Option<(i64, Decision)>, ReadError> {
        // Behind the last one there is nothing to look for.
        while self.places.max().is_some_and(|last| self.place <= last) {
            let Some(record) = self.reader.next().transpose()? else { break };
            self.time = self.time.max(record.at_ms);
            self.place += 1;
            if self.places.contains(self.place - 1) {
                return Ok(Some((self.time, record)));
            }
        }
        Ok(None)
    }
}

impl Iterator for ReplayRows {
    type Item = Result<Decision, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        let heads = self.reports.iter_mut().filter(|(_, head)| head.is_some());
        let (records, head) = heads.min_by_key(|(_, head)| head.as_ref().map(|(time, _)| *time))?;
        let (_, record) = head.take()?;
        match records.next() {
            Ok(next) => *head = next,
            Err(error) => return Some(Err(error.into())),
        }
        Some(Ok(record))
    }
}
