//! Which rows of earlier reports are sent again, and in which order.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::{Decision, Euid, Outcome, Reason};
use roaring::RoaringTreemap;

use crate::{
    decided::is_sent_again,
    error::ReportError,
    read::{ReadError, ReportReader},
    run_file::RunFile,
    source::{Moment, SourceReport},
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

/// The rows of reports that are sent again.
///
/// A row is a source, a row number and an EUID, so that nights whose exports bear one name are kept apart. Where the
/// reports decide it several times the latest record counts. Of two rows of one EUID the later is that with the later
/// first record: in one report that which stands further down, in several that with the later time. A row that was sent
/// again, by a resume or a replay, is no later for that: it keeps the place that it had.
#[derive(Debug)]
pub struct ReplayPlan {
    reports: Vec<SourceReport>,
    /// The records to send, by their place in each report.
    records: Vec<RoaringTreemap>,
    /// Rows left alone because a later row of their EUID was accepted.
    pub superseded: u64,
    /// Rows left alone because they were decided too long ago.
    pub expired: u64,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
}

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

/// The first record of a row in a report; of a replay's report, in the reports that it replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FirstRecord {
    moment: Moment,
    /// It holds what was to be sent.
    can_be_sent: bool,
}

impl ReplayPlan {
    /// Looks through the reports. `own`: the replay's report so far, where it is resumed: rows that it decides are not
    /// sent once more. `now_ms`: milliseconds since 1970.
    pub fn make(
        reports: &[SourceReport],
        own: Option<&SourceReport>,
        choice: &ReplayChoice,
        now_ms: i64,
    ) -> Result<Self, ReportError> {
        let mut plan = Self {
            records: vec![RoaringTreemap::new(); reports.len()],
            reports: reports.to_vec(),
            superseded: 0,
            expired: 0,
            torn: Vec::new(),
        };
        let mut sources: HashMap<Arc<str>, u32> = HashMap::new();
        let mut candidates: HashMap<Key, Candidate> = HashMap::new();
        // The latest record that says that a row of an EUID was accepted; only of EUIDs with candidates.
        let mut accepted: HashMap<u64, Option<Moment>> = HashMap::new();
        for (number, report) in reports.iter().enumerate() {
            let path = report.path();
            let torn = report.scan(number, |moment, record| {
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
                Ok::<_, ReportError>(())
            })?;
            plan.torn.extend(torn.map(|bytes| (path.to_owned(), bytes)));
        }
        let mut places: HashMap<(Key, usize), FirstRecord> = HashMap::new();
        let in_order = in_order(reports, own)?;
        for (number, replayed) in in_order {
            let is_own = number == reports.len();
            let Some(report) = reports.get(number).or(own) else { continue };
            report.scan(number, |moment, record| {
                let Ok(euid) = Euid::parse(&record.euid).map(Euid::get) else { return Ok(()) };
                let Some(latest) = accepted.get_mut(&euid) else { return Ok(()) };
                let next = u32::try_from(sources.len()).unwrap_or(u32::MAX);
                let source = *sources.entry(Arc::clone(&record.origin.source)).or_insert(next);
                let key = (source, record.origin.row, euid);
                let first = places.get(&(key, number)).copied().unwrap_or_else(|| {
                    let before = replayed.iter().filter_map(|report| places.get(&(key, *report))).max();
                    let can_be_sent = record.outcome == Outcome::Failed && record.contacts.is_some();
                    before.copied().unwrap_or(FirstRecord { moment, can_be_sent })
                });
                places.insert((key, number), first);
                if matches!(record.outcome, Outcome::Synced | Outcome::Unchanged) {
                    *latest = (*latest).max(Some(first.moment));
                }
                if let Some(candidate) = candidates.get_mut(&key) {
                    candidate.overridden |= if is_own { !is_sent_again(record) } else { moment > candidate.moment };
                }
                Ok::<_, ReportError>(())
            })?;
        }
        let mut rows_of_euid: HashMap<u64, u32> = HashMap::new();
        for (_, _, euid) in candidates.keys() {
            *rows_of_euid.entry(*euid).or_default() += 1;
        }
        for (key, candidate) in candidates {
            let (_, number, place) = candidate.moment;
            if candidate.overridden {
                continue;
            }
            let (_, _, euid) = key;
            let own_record = FirstRecord { moment: candidate.moment, can_be_sent: candidate.has_contacts };
            let first = places.get(&(key, number)).copied().unwrap_or(own_record);
            if !choice.include_superseded && accepted.get(&euid).is_some_and(|moment| *moment > Some(first.moment)) {
                plan.superseded += 1;
            } else if now_ms.saturating_sub(candidate.at_ms)
                > i64::try_from(choice.max_age.as_millis()).unwrap_or(i64::MAX)
            {
                plan.expired += 1;
            } else if first.can_be_sent && rows_of_euid.get(&euid).is_some_and(|rows| *rows > 1) {
                // Rows are sent in the order of their records: that of the first keeps it.
                let (_, number, place) = first.moment;
                plan.records[number].insert(place);
            } else if !candidate.has_contacts {
                return Err(ReportError::WithoutContacts {
                    path: reports[number].path().to_owned(),
                    record: place + 1,
                });
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
        for (report, places) in self.reports.iter().zip(self.records) {
            let mut records = ChosenRecords { reader: report.records()?, places, place: 0, time: i64::MIN };
            let head = records.next()?;
            reports.push((records, head));
        }
        Ok(ReplayRows { reports })
    }
}

/// The numbers of the reports, each behind those of the given ones that it is a replay of, and with their numbers; last that
/// of the replay's own report, where there is one.
fn in_order(given: &[SourceReport], own: Option<&SourceReport>) -> Result<Vec<(usize, Vec<usize>)>, ReportError> {
    let replay = |report: &SourceReport| match RunFile::read(report.path()) {
        Ok(Some(run)) if run.command == "replay" => run.inputs.into_iter().map(|input| input.blake3).collect(),
        _ => Vec::new(),
    };
    let replayed: Vec<Vec<String>> = given.iter().map(replay).collect();
    let mut digests = Vec::new();
    if replayed.iter().any(|digests| !digests.is_empty()) {
        for report in given {
            digests.push(report.as_input()?.blake3);
        }
    }
    let mut left: Vec<(usize, Vec<usize>)> = (0..given.len())
        .map(|number| {
            let before = (0..digests.len()).filter(|of| *of != number && replayed[number].contains(&digests[*of]));
            (number, before.collect())
        })
        .collect();
    let mut ordered: Vec<(usize, Vec<usize>)> = Vec::with_capacity(given.len() + 1);
    while !left.is_empty() {
        let is_next =
            |(_, before): &(usize, Vec<usize>)| before.iter().all(|of| ordered.iter().any(|(it, _)| it == of));
        // A report can't be a replay of its own replay; were one forged, it would stand for itself.
        let next = left.iter().position(is_next).unwrap_or(0);
        ordered.push(left.remove(next));
    }
    ordered.extend(own.map(|_| (given.len(), (0..given.len()).collect())));
    Ok(ordered)
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
