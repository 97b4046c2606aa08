use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::{Decision, Outcome, Reason};
use roaring::RoaringTreemap;

use super::Overview;
use crate::read::{ReadError, ReportReader};

/// Which records are looked at; empty lists take all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// With one of these reasons.
    pub reasons: Vec<Reason>,
    /// Whose last answer had one of these codes.
    pub codes: Vec<i64>,
    /// From one of these sources.
    pub sources: Vec<String>,
    /// That ended so.
    pub outcomes: Vec<Outcome>,
}

impl Filter {
    fn takes(&self, record: &Decision) -> bool {
        (self.reasons.is_empty() || record.reason.is_some_and(|reason| self.reasons.contains(&reason)))
            && (self.codes.is_empty() || record.answered.code.is_some_and(|code| self.codes.contains(&code)))
            && (self.sources.is_empty() || self.sources.iter().any(|source| **source == *record.origin.source))
            && (self.outcomes.is_empty() || self.outcomes.contains(&record.outcome))
    }
}

/// When a record was written, then in which report and where in it: see the replay.
type Moment = (i64, usize, u64);

/// Reports that were looked through. A row is a source, a row number and an EUID; its latest record counts.
#[derive(Debug)]
pub struct Survey {
    reports: Vec<PathBuf>,
    filter: Filter,
    /// The latest record of each row that has several.
    latest: HashMap<(Arc<str>, u64), HashMap<Box<str>, Moment>>,
    /// What they add up to.
    pub overview: Overview,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
}

impl Survey {
    /// Looks through the reports, once where no row has two records.
    pub fn of(reports: &[PathBuf], filter: Filter) -> Result<Self, ReadError> {
        let latest = HashMap::new();
        let mut survey =
            Self { reports: reports.to_vec(), filter, latest, overview: Overview::default(), torn: Vec::new() };
        let mut seen: HashMap<Arc<str>, RoaringTreemap> = HashMap::new();
        let (mut overview, mut repeated, mut torn) = (Overview::default(), HashMap::new(), Vec::new());
        for (number, path) in survey.reports.iter().enumerate() {
            let bytes = each_record(path, number, |_, record| {
                let source = &record.origin.source;
                let is_new = match seen.get_mut(source) {
                    Some(rows) => rows.insert(record.origin.row),
                    None => seen.entry(Arc::clone(source)).or_default().insert(record.origin.row),
                };
                if !is_new {
                    repeated.entry((Arc::clone(source), record.origin.row)).or_insert_with(HashMap::new);
                }
                if survey.filter.takes(record) {
                    overview.add(record);
                }
            })?;
            torn.extend(bytes.map(|bytes| (path.clone(), bytes)));
        }
        drop(seen);
        (survey.overview, survey.latest, survey.torn) = (overview, repeated, torn);
        if !survey.latest.is_empty() {
            survey.find_latest()?;
            let mut overview = Overview::default();
            survey.each(|record| overview.add(record))?;
            survey.overview = overview;
        }
        Ok(survey)
    }

    fn find_latest(&mut self) -> Result<(), ReadError> {
        for (number, path) in self.reports.iter().enumerate() {
            each_record(path, number, |moment, record| {
                if let Some(rows) = self.latest.get_mut(&(Arc::clone(&record.origin.source), record.origin.row)) {
                    let latest = rows.entry(record.euid.clone()).or_insert(moment);
                    *latest = moment.max(*latest);
                }
            })?;
        }
        Ok(())
    }

    /// Shows the records that count, in the order in which they stand in the reports.
    pub fn each(&self, mut see: impl FnMut(&Decision)) -> Result<(), ReadError> {
        for (number, path) in self.reports.iter().enumerate() {
            each_record(path, number, |moment, record| {
                let latest = if self.latest.is_empty() {
                    None
                } else {
                    self.latest.get(&(Arc::clone(&record.origin.source), record.origin.row))
                };
                let counts = latest.is_none_or(|rows| rows.get(&record.euid) == Some(&moment));
                if counts && self.filter.takes(record) {
                    see(record);
                }
            })?;
        }
        Ok(())
    }
}

/// Shows each whole record and says behind which byte the report is torn, if it is.
fn each_record(path: &Path, number: usize, mut see: impl FnMut(Moment, &Decision)) -> Result<Option<u64>, ReadError> {
    let mut time = i64::MIN;
    for (place, record) in (0..).zip(ReportReader::open(path)?) {
        match record {
            Ok(record) => {
                time = time.max(record.at_ms);
                see((time, number, place), &record);
            }
            Err(ReadError::Torn { whole_bytes, .. }) => return Ok(Some(whole_bytes)),
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
