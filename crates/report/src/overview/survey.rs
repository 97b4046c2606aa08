use std::path::PathBuf;

use model::{Decision, Outcome, Reason};

use super::{
    IdsOfRows, Overview,
    nights::Night,
    shards::{ShardsOfInput, shards_of, warnings},
    unrecorded::Unrecorded,
};
use crate::{
    error::ReportError,
    gist::Gist,
    latest::{LatestRecords, Repeats},
    read::ReadError,
    run_file::Run,
    source::SourceReport,
    tally::{Figures, Tally},
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
    fn takes(&self, record: &Gist<'_>) -> bool {
        (self.reasons.is_empty() || record.reason.is_some_and(|reason| self.reasons.contains(&reason)))
            && (self.codes.is_empty() || record.code.is_some_and(|code| self.codes.contains(&code)))
            && self.takes_source(record.source)
            && (self.outcomes.is_empty() || self.outcomes.contains(&record.outcome))
    }

    /// Whether rows of this source are looked at that were unchanged and have no record.
    pub(super) fn takes_unchanged(&self, source: &str) -> bool {
        self.reasons.is_empty()
            && self.codes.is_empty()
            && self.takes_source(source)
            && (self.outcomes.is_empty() || self.outcomes.contains(&Outcome::Unchanged))
    }

    fn takes_source(&self, source: &str) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|name| **name == *source)
    }

    fn takes_all(&self) -> bool {
        self.reasons.is_empty() && self.codes.is_empty() && self.sources.is_empty() && self.outcomes.is_empty()
    }
}

/// Reports that were looked through. A row is a source, a row number and an id of the organisation's own, or where it has
/// none an EUID; its latest record counts.
#[derive(Debug)]
pub struct Survey {
    reports: Vec<SourceReport>,
    filter: Filter,
    latest: LatestRecords,
    /// What they add up to; rows that were unchanged also where only a `.run` names them.
    pub overview: Overview,
    /// Each report by itself, in the order of time.
    pub nights: Vec<Night>,
    /// The shards of inputs that were divided, one for each input.
    pub shards: Vec<ShardsOfInput>,
    /// Where rows are keyed by ids, at least some: what is known of these.
    pub ids: Option<IdsOfRows>,
    /// Reports that are torn, with the byte behind which they are.
    pub torn: Vec<(PathBuf, u64)>,
    /// Reports beside which something lies that can't be read: what was unchanged there is in no figure.
    pub unread: Vec<ReportError>,
}

impl Survey {
    /// Looks through the reports, once where no row has two records.
    pub fn of(reports: Vec<SourceReport>, filter: Filter) -> Result<Self, ReadError> {
        let mut gathered = Gathered::default();
        // First: a row has a record in whichever of the reports that stands.
        let runs: Vec<Option<Run>> = reports.iter().map(|report| gathered.look_beside(report, &filter)).collect();
        gathered.several = reports.len() > 1;
        for (number, (report, run)) in reports.iter().zip(&runs).enumerate() {
            gathered.look_through(number, report, run.as_ref(), &filter)?;
        }
        let Gathered { overview, repeats, unrecorded, mut nights, has_ids, torn, unread, .. } = gathered;
        let ids = has_ids.then(|| IdsOfRows::of(&runs));
        let shards = shards_of(&runs);
        // Stable: those of which no time is known stay where they were.
        nights.sort_by_key(|night| night.began_at().unwrap_or(i64::MAX));
        let latest = repeats.into_latest();
        let mut survey = Self { reports, filter, latest, overview, nights, shards, ids, torn, unread };
        if !survey.latest.is_empty() {
            for (number, report) in survey.reports.iter().enumerate() {
                report.skim(number, |moment, _, record| {
                    survey.latest.see(moment, record);
                    Ok::<_, ReadError>(())
                })?;
            }
            let mut overview = Overview { comparison: survey.overview.comparison.take(), ..Overview::default() };
            survey.records(|record| {
                overview.add(record);
                Ok::<_, ReadError>(())
            })?;
            survey.overview = overview;
        }
        for (source, rows) in unrecorded.by_source() {
            survey.overview.add_unchanged(source, rows);
        }
        if let [night] = &mut survey.nights[..] {
            night.count(&survey.overview.tally);
        }
        Ok(survey)
    }

    /// What is to be warned of where inputs were divided into shards.
    pub fn shard_warnings(&self) -> Vec<String> {
        warnings(&self.shards)
    }

    /// Shows the records that count, in the order in which they stand in the reports, until there is an error.
    pub fn records<E: From<ReadError>>(&self, mut see: impl FnMut(&Decision) -> Result<(), E>) -> Result<(), E> {
        for (number, report) in self.reports.iter().enumerate() {
            report.scan(number, |moment, record| {
                let gist = Gist::of(record);
                let counts = self.latest.counts(moment, &gist) && self.filter.takes(&gist);
                if counts { see(record) } else { Ok(()) }
            })?;
        }
        Ok(())
    }
}

/// What is found out while each report is looked through once.
#[derive(Debug, Default)]
struct Gathered {
    /// Each report is added up by itself, too: one alone is what all are.
    several: bool,
    overview: Overview,
    repeats: Repeats,
    unrecorded: Unrecorded,
    nights: Vec<Night>,
    has_ids: bool,
    torn: Vec<(PathBuf, u64)>,
    unread: Vec<ReportError>,
}

impl Gathered {
    fn look_beside(&mut self, report: &SourceReport, filter: &Filter) -> Option<Run> {
        let run = report.run().unwrap_or_else(|error| {
            self.unread.push(error);
            None
        })?;
        self.unrecorded.take_over(&run, filter);
        if let Some(comparison) = run.comparison.as_ref().filter(|_| filter.takes_all()) {
            self.overview.comparison.get_or_insert_default().merge(comparison);
        }
        Some(run)
    }

    fn look_through(
        &mut self,
        number: usize,
        report: &SourceReport,
        run: Option<&Run>,
        filter: &Filter,
    ) -> Result<(), ReadError> {
        let mut night = Night::of(report, run);
        let (mut unrecorded, mut repeats, mut tally) = (Unrecorded::default(), Repeats::default(), Tally::default());
        if let Some(run) = run {
            unrecorded.take_over(run, filter);
        }
        let bytes = report.scan(number, |_, record| {
            let gist = Gist::of(record);
            self.has_ids |= gist.id.is_some();
            self.repeats.see(&gist);
            if self.several {
                repeats.see(&gist);
                unrecorded.see(&gist);
            }
            self.unrecorded.see(&gist);
            if filter.takes(&gist) {
                self.overview.add(record);
                night.see(&gist);
                if self.several {
                    tally.add(record);
                }
            }
            Ok::<_, ReadError>(())
        })?;
        self.torn.extend(bytes.map(|bytes| (report.path().to_owned(), bytes)));
        let mut latest = repeats.into_latest();
        if !latest.is_empty() {
            tally = tally_of_latest(report, &mut latest, filter)?;
        }
        tally.add_rows(Outcome::Unchanged, unrecorded.rows());
        night.count(&tally);
        self.nights.push(night);
        Ok(())
    }
}

/// Adds up one report in which rows have several records.
fn tally_of_latest(report: &SourceReport, latest: &mut LatestRecords, filter: &Filter) -> Result<Tally, ReadError> {
    let mut tally = Tally::default();
    report.skim(0, |moment, _, record| {
        latest.see(moment, record);
        Ok::<_, ReadError>(())
    })?;
    report.skim(0, |moment, _, record| {
        if latest.counts(moment, record) && filter.takes(record) {
            tally.add_figures(&Figures::of_gist(record));
        }
        Ok::<_, ReadError>(())
    })?;
    Ok(tally)
}
