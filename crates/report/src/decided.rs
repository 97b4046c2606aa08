use std::{collections::BTreeMap, sync::Arc};

use model::{NumberMap, Outcome, Reason};

use crate::{
    blocks::{SourceRows, record_digest},
    gist::Gist,
    keys::KeyComparison,
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
/// | `failed`, reason `credentials` or `http_status` | sent again: the cause lay in the run, not in the row; but decided where a later row of the same user was accepted, since an old value must not be written over a new one |
/// | `failed`, any other reason | decided; a replay sends it, where time can cure it |
/// | none, or a torn one | sent; but decided where `.run` says that it was unchanged |
///
/// Rows of one user have the EUID in common, or the organisation's own id. Of two of them the later is that whose first record stands further down: each try decides them in the order of
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
    /// Rows to be sent again.
    again: Vec<SentAgain>,
    /// These by the numbers of their users: a row may have two.
    links: Vec<Link>,
    last_of_user: NumberMap<usize>,
    superseded: u64,
    /// Rows to be sent again are sent whatever was accepted since.
    all_again: bool,
}

/// Rows of a source that were unchanged.
#[derive(Debug, Default)]
struct Unchanged {
    rows: RowSet,
    /// Those of them that only what lies beside the report decides.
    beside: RowSet,
    /// How many of them have no record.
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
    /// It is decided after all.
    is_over: bool,
}

/// A row to be sent again, among those of a user.
#[derive(Debug, Clone, Copy)]
struct Link {
    again: usize,
    /// Another one of the same user.
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
        let is_again = is_sent_again(record) && record.key_number().is_some();
        let is_first = rows.add(row, !is_again, record_digest(record));
        if record.outcome == Outcome::Unchanged {
            let unchanged = match self.unchanged.get_mut(record.source) {
                Some(unchanged) => unchanged,
                None => self.unchanged.entry(Arc::clone(record.source)).or_default(),
            };
            unchanged.rows.insert(row..row.saturating_add(1));
        }
        if is_again {
            for user in record.users() {
                let before = self.last_of_user.insert(user, self.links.len());
                self.links.push(Link { again: self.again.len(), before });
            }
            let source = Arc::clone(record.source);
            self.again.push(SentAgain { source, row, figures: Figures::of_gist(record), first, is_over: false });
        } else {
            self.tally.add_figures(&Figures::of_gist(record));
        }
        if matches!(record.outcome, Outcome::Synced | Outcome::Unchanged) && !self.all_again {
            for user in record.users() {
                self.supersede(user, first);
            }
        }
        is_first
    }

    /// Takes over which rows were unchanged, once every record was taken over. A row that has a record and was unchanged
    /// afterwards is decided by that, and no row is counted twice.
    pub(crate) fn take_over_unchanged(&mut self, run: &Run) {
        for input in run.inputs.iter().filter(|input| !input.unchanged.is_empty()) {
            let source: Arc<str> = input.source.as_str().into();
            let mut beside = input.unchanged.clone();
            if let Some(records) = self.sources.get(&source).filter(|records| records.decided() > 0) {
                input.unchanged.iter().filter(|row| records.is_decided(*row)).for_each(|row| beside.remove(row));
            }
            let without_record = beside.len() - self.forget_again(&source, &input.unchanged);
            self.tally.add_rows(Outcome::Unchanged, without_record);
            let unchanged = self.unchanged.entry(source).or_default();
            unchanged.rows.merge(&input.unchanged);
            unchanged.beside.merge(&beside);
            unchanged.without_record += without_record;
        }
    }

    /// Rows that failed, and were compared again and found unchanged: they aren't sent again. Returns how many.
    fn forget_again(&mut self, source: &Arc<str>, unchanged: &RowSet) -> u64 {
        let mut forgotten = 0;
        for again in &mut self.again {
            if again.is_over || again.source != *source || !unchanged.contains(again.row) {
                continue;
            }
            again.is_over = true;
            if let Some(rows) = self.sources.get_mut(&again.source) {
                rows.decide(again.row);
                self.tally.add_rows(Outcome::Unchanged, 1);
                forgotten += 1;
            }
        }
        forgotten
    }

    /// A row of this user was accepted: earlier ones are not sent again.
    fn supersede(&mut self, user: u64, accepted: u64) {
        if self.last_of_user.is_empty() {
            return;
        }
        let mut next = self.last_of_user.remove(&user);
        let mut later = None;
        while let Some(index) = next
            && let Some(link) = self.links.get_mut(index)
            && let Some(again) = self.again.get_mut(link.again)
        {
            next = link.before;
            if again.is_over {
                continue;
            }
            if again.first > accepted {
                link.before = later.replace(index);
            } else if let Some(rows) = self.sources.get_mut(&again.source) {
                again.is_over = true;
                rows.decide(again.row);
                self.tally.add_figures(&again.figures);
                self.superseded += 1;
            }
        }
        self.last_of_user.extend(later.map(|index| (user, index)));
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

    /// Whether the row was unchanged, and no record says so.
    pub fn is_decided_beside(&self, source: &str, row: u64) -> bool {
        self.unchanged.get(source).is_some_and(|unchanged| unchanged.beside.contains(row))
    }

    /// Such a row is undecided from now on.
    pub fn undecide(&mut self, source: &str, row: u64) {
        let Some(unchanged) = self.unchanged.get_mut(source).filter(|unchanged| unchanged.beside.contains(row)) else {
            return;
        };
        unchanged.beside.remove(row);
        unchanged.rows.remove(row);
        self.tally.take_back_rows(Outcome::Unchanged, 1);
        let again = self.again.iter_mut().find(|again| again.row == row && *again.source == *source);
        match (again, self.sources.get_mut(source)) {
            (Some(again), Some(rows)) => {
                again.is_over = false;
                rows.undecide(row);
            }
            _ => unchanged.without_record -= 1,
        }
    }

    /// The last row of a source that has a record.
    pub fn last_record(&self, source: &str) -> Option<u64> {
        self.sources.get(source).and_then(SourceRows::last)
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

    /// Rows that would be sent again, but for a later row of the same user that was accepted.
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
        for row in self.again.iter().filter(|row| !row.is_over) {
            tally.add_figures(&row.figures);
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

    /// Begins to compare what the rows of the inputs are keyed by, EUIDs or `by_id` ids, with the report.
    pub fn compare_keys(&self, by_id: bool) -> KeyComparison<'_> {
        KeyComparison::new(self, by_id)
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
