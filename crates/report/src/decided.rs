use std::{collections::BTreeMap, sync::Arc};

use model::{Euid, NumberMap, Outcome, Reason};

use crate::{
    blocks::{SourceRows, euid_digest},
    euids::EuidComparison,
    gist::Gist,
    row_set::RowSet,
    run_file::Run,
    source::SourceReport,
    tally::{Figures, Tally},
};

/// What a report to be resumed says: which rows are decided, and what they add up to.
///
/// The last record of a row counts. Bitmaps and a digest for each 64 rows are held, not the records.
///
/// | last record of the row | the row is |
/// |---|---|
/// | `synced`, `unchanged`, `rejected`, `valid` | decided |
/// | `failed`, reason `credentials` or `http_status` | sent again: the cause lay in the run, not in the row; but decided where a later row of the same EUID was accepted, since an old value must not be written over a new one |
/// | `failed`, any other reason | decided; a replay sends it, where time can cure it |
/// | none, or a torn one | sent; but decided where `.run` says that it was unchanged |
///
/// Of two rows of one EUID the later is that whose first record stands further down: each try decides them in the order of
/// the input, and a row that is sent again is no later for that.
#[derive(Debug, Default)]
pub struct Decided {
    /// The whole part of the report, as long as it is compared.
    report: Option<SourceReport>,
    /// In name order, so that what is said about them doesn't change from run to run.
    sources: BTreeMap<Arc<str>, SourceRows>,
    /// Rows that were unchanged, by source, also those with a record.
    unchanged: BTreeMap<Arc<str>, Unchanged>,
    tally: Tally,
    /// Rows to be sent again, and the last of them by EUID.
    again: Vec<SentAgain>,
    last_of_euid: NumberMap<usize>,
    superseded: u64,
    /// Rows to be sent again are sent whatever was accepted since.
    all_again: bool,
}

/// Rows of a source that were unchanged.
#[derive(Debug, Default)]
struct Unchanged {
    rows: RowSet,
    /// How many of them no record decides.
    without_record: u64,
}

/// A row to be sent again.
#[derive(Debug)]
struct SentAgain {
    source: Arc<str>,
    row: u64,
    figures: Figures,
    /// The place of its first record in the report.
    first: u64,
    /// Another one of the same EUID.
    before: Option<usize>,
}

impl Decided {
    /// Begins with no row. `all_again`: rows to be sent again are sent whatever was accepted since.
    pub(crate) fn new(report: SourceReport, all_again: bool) -> Self {
        Self { report: Some(report), all_again, ..Self::default() }
    }

    /// Lets go of the report, which is about to be written to.
    pub(crate) fn close(&mut self) {
        self.report = None;
    }

    /// The whole part turned out to be shorter.
    pub(crate) fn cut(&mut self, bytes: u64) {
        self.report = self.report.take().map(|report| report.up_to(bytes));
    }

    /// Takes over the last record of a row, and says whether nothing was known of the row before. `first`: the place of the
    /// row's first one in the report.
    pub(crate) fn take_over(&mut self, record: &Gist<'_>, first: u64) -> bool {
        let row = record.row;
        let rows = match self.sources.get_mut(record.source) {
            Some(rows) => rows,
            None => self.sources.entry(Arc::clone(record.source)).or_default(),
        };
        let euid = record.number.map(Euid::get);
        let sent_again = euid.filter(|_| is_sent_again(record));
        let is_first = rows.add(row, sent_again.is_none(), euid_digest(row, record.euid, record.number));
        if record.outcome == Outcome::Unchanged {
            let unchanged = match self.unchanged.get_mut(record.source) {
                Some(unchanged) => unchanged,
                None => self.unchanged.entry(Arc::clone(record.source)).or_default(),
            };
            unchanged.rows.insert(row..row.saturating_add(1));
        }
        if let Some(euid) = sent_again {
            let before = self.last_of_euid.insert(euid, self.again.len());
            let source = Arc::clone(record.source);
            self.again.push(SentAgain { source, row, figures: Figures::of_gist(record), first, before });
        } else {
            self.tally.add_figures(&Figures::of_gist(record));
        }
        if let (Some(euid), Outcome::Synced | Outcome::Unchanged, false) = (euid, record.outcome, self.all_again) {
            self.supersede(euid, first);
        }
        is_first
    }

    /// Takes over which rows were unchanged, once every record was taken over. A row that has a record and was unchanged
    /// afterwards is decided by that, and no row is counted twice.
    pub(crate) fn take_over_unchanged(&mut self, run: &Run) {
        for input in run.inputs.iter().filter(|input| !input.unchanged.is_empty()) {
            let source: Arc<str> = input.source.as_str().into();
            self.forget_again(&source, &input.unchanged);
            let mut without_record = input.unchanged.len();
            if let Some(records) = self.sources.get(&source).filter(|records| records.decided() > 0) {
                without_record = input.unchanged.iter().filter(|row| !records.is_decided(*row)).count() as u64;
            }
            self.tally.add_rows(Outcome::Unchanged, without_record);
            let unchanged = self.unchanged.entry(source).or_default();
            unchanged.rows.merge(&input.unchanged);
            unchanged.without_record += without_record;
        }
    }

    /// Rows that failed, and were compared again and found unchanged: they aren't sent again.
    fn forget_again(&mut self, source: &Arc<str>, unchanged: &RowSet) {
        let is_gone = |again: &SentAgain| again.source == *source && unchanged.contains(again.row);
        if !self.again.iter().any(is_gone) {
            return;
        }
        let euids: Vec<u64> = self.last_of_euid.keys().copied().collect();
        for euid in euids {
            let mut next = self.last_of_euid.remove(&euid);
            let mut left = None;
            while let Some(index) = next
                && let Some(again) = self.again.get_mut(index)
            {
                next = again.before;
                if !is_gone(again) {
                    again.before = left.replace(index);
                } else if let Some(rows) = self.sources.get_mut(&again.source) {
                    rows.decide(again.row);
                    self.tally.add_rows(Outcome::Unchanged, 1);
                }
            }
            self.last_of_euid.extend(left.map(|index| (euid, index)));
        }
    }

    /// A row of this EUID was accepted: earlier ones are not sent again.
    fn supersede(&mut self, euid: u64, accepted: u64) {
        if self.last_of_euid.is_empty() {
            return;
        }
        let mut next = self.last_of_euid.remove(&euid);
        let mut later = None;
        while let Some(index) = next
            && let Some(again) = self.again.get_mut(index)
        {
            next = again.before;
            if again.first > accepted {
                again.before = later.replace(index);
            } else if let Some(rows) = self.sources.get_mut(&again.source) {
                rows.decide(again.row);
                self.tally.add_figures(&again.figures);
                self.superseded += 1;
            }
        }
        self.last_of_euid.extend(later.map(|index| (euid, index)));
    }

    /// Whether the row is decided, so that it isn't sent again.
    pub fn contains(&self, source: &str, row: u64) -> bool {
        self.sources.get(source).is_some_and(|rows| rows.is_decided(row)) || self.was_unchanged(source, row)
    }

    /// Whether the row was unchanged.
    pub(crate) fn was_unchanged(&self, source: &str, row: u64) -> bool {
        self.unchanged.get(source).is_some_and(|unchanged| unchanged.rows.contains(row))
    }

    /// Which rows of a source were unchanged, with a record or without.
    pub fn unchanged(&self, source: &str) -> RowSet {
        self.unchanged.get(source).map(|unchanged| unchanged.rows.clone()).unwrap_or_default()
    }

    /// How many rows are decided.
    pub fn rows(&self) -> u64 {
        self.tally.total()
    }

    /// How many rows of a source are decided.
    pub fn rows_of(&self, source: &str) -> u64 {
        let without_record = self.unchanged.get(source).map_or(0, |unchanged| unchanged.without_record);
        self.sources.get(source).map_or(0, SourceRows::decided) + without_record
    }

    /// Rows that would be sent again, but for a later row of the same EUID that was accepted.
    pub fn superseded(&self) -> u64 {
        self.superseded
    }

    /// Whether the report has no record, and no row was unchanged.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty() && self.unchanged.is_empty()
    }

    /// What all rows add up to that are decided or have a record, also those to be sent again.
    pub fn whole_tally(&self) -> Tally {
        let mut tally = self.tally.clone();
        for last in self.last_of_euid.values() {
            let mut next = Some(*last);
            while let Some(row) = next.and_then(|index| self.again.get(index)) {
                tally.add_figures(&row.figures);
                next = row.before;
            }
        }
        tally
    }

    /// The sources that the report names. One that is not among the inputs means that it is the report of another run.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.keys().map(AsRef::as_ref)
    }

    /// The last row of a source that the report names or that was unchanged.
    pub fn last_row(&self, source: &str) -> Option<u64> {
        let unchanged = self.unchanged.get(source).and_then(|unchanged| unchanged.rows.last());
        self.sources.get(source).and_then(SourceRows::last).max(unchanged)
    }

    /// What the decided rows add up to.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins to compare the EUIDs of the inputs with those of the report.
    pub fn compare_euids(&self) -> EuidComparison<'_> {
        EuidComparison::new(self)
    }

    pub(crate) fn rows_by_name(&self, source: &str) -> Option<(&Arc<str>, &SourceRows)> {
        self.sources.get_key_value(source)
    }

    pub(crate) fn rows_by_source(&self) -> impl Iterator<Item = (&Arc<str>, &SourceRows)> {
        self.sources.iter()
    }

    /// The report, to be looked at once more.
    pub(crate) fn report(&self) -> Option<&SourceReport> {
        self.report.as_ref()
    }
}

/// Whether a failed row is sent again by a resume: the cause lay in the run, not in the row.
pub(crate) fn is_sent_again(record: &Gist<'_>) -> bool {
    record.outcome == Outcome::Failed && matches!(record.reason, Some(Reason::Credentials | Reason::HttpStatus))
}
