use std::path::PathBuf;

use model::{Decision, Outcome, Reason};

use super::Overview;
use crate::{
    gist::Gist,
    latest::{LatestRecords, Repeats},
    read::ReadError,
    source::SourceReport,
};

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

/// Reports that were looked through. A row is a source, a row number and an EUID; its latest record counts.
#[derive(Debug)]
pub struct Survey {
    reports: Vec<SourceReport>,
    filter: Filter,
    latest: LatestRecords,
    /// What they add up to.
    pub overview: Overview,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
}

impl Survey {
    /// Looks through the reports, once where no row has two records.
    pub fn of(reports: Vec<SourceReport>, filter: Filter) -> Result<Self, ReadError> {
        let (mut overview, mut repeats, mut torn) = (Overview::default(), Repeats::default(), Vec::new());
        for (number, report) in reports.iter().enumerate() {
            let bytes = report.scan(number, |_, record| {
                repeats.see(&Gist::of(record));
                if filter.takes(record) {
                    overview.add(record);
                }
                Ok::<_, ReadError>(())
            })?;
            torn.extend(bytes.map(|bytes| (report.path().to_owned(), bytes)));
        }
        let mut survey = Self { reports, filter, latest: repeats.into_latest(), overview, torn };
        if !survey.latest.is_empty() {
            for (number, report) in survey.reports.iter().enumerate() {
                report.skim(number, |moment, _, record| {
                    survey.latest.see(moment, record);
                    Ok::<_, ReadError>(())
                })?;
            }
            let mut overview = Overview::default();
            survey.records(|record| {
                overview.add(record);
                Ok::<_, ReadError>(())
            })?;
            survey.overview = overview;
        }
        Ok(survey)
    }

    /// Shows the records that count, in the order in which they stand in the reports, until there is an error.
    pub fn records<E: From<ReadError>>(&self, mut see: impl FnMut(&Decision) -> Result<(), E>) -> Result<(), E> {
        for (number, report) in self.reports.iter().enumerate() {
            report.scan(number, |moment, record| {
                let counts = self.latest.counts(moment, &Gist::of(record)) && self.filter.takes(record);
                if counts { see(record) } else { Ok(()) }
            })?;
        }
        Ok(())
    }
}
