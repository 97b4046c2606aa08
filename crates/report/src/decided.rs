use std::{
    collections::{BTreeMap, HashMap},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use model::{Decision, Euid, Outcome, Reason};
use roaring::RoaringTreemap;

use crate::{
    error::ReportError,
    mask::is_number,
    source::SourceReport,
    tally::{Figures, Tally},
};

/// Rows whose EUIDs share a digest.
const BLOCK_ROWS: u64 = 64;

/// What a report to be resumed says: which rows are decided, and what they add up to.
///
/// The last record of a row counts. A bitmap and a digest for each 64 rows are held, not the records.
///
/// | last record of the row | the row is |
/// |---|---|
/// | `synced`, `unchanged`, `rejected`, `valid` | decided |
/// | `failed`, reason `credentials` or `http_status` | sent again: the cause lay in the run, not in the row; but decided where a later row of the same EUID was accepted, since an old value must not be written over a new one |
/// | `failed`, any other reason | decided; a replay sends it, where time can cure it |
/// | none, or a torn one | sent |
///
/// Of two rows of one EUID the later is that whose first record stands further down: each try decides them in the order of
/// the input, and a row that is sent again is no later for that.
#[derive(Debug, Default)]
pub struct Decided {
    /// The whole part of the report, as long as it is compared.
    report: Option<SourceReport>,
    /// In name order, so that what is said about them doesn't change from run to run.
    sources: BTreeMap<Arc<str>, SourceRows>,
    tally: Tally,
    /// Rows to be sent again, and the last of them by EUID.
    again: Vec<SentAgain>,
    last_of_euid: HashMap<u64, usize>,
    superseded: u64,
    /// Rows to be sent again are sent whatever was accepted since.
    all_again: bool,
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

#[derive(Debug, Default)]
struct SourceRows {
    decided: RoaringTreemap,
    /// Rows that have a record and are sent all the same.
    again: RoaringTreemap,
    /// The sum of the digests of each block's rows and EUIDs.
    euids: HashMap<u64, u64>,
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

    /// Takes over the last record of a row. `first`: the place of the row's first one in the report.
    pub(crate) fn take_over(&mut self, record: &Decision, first: u64) {
        let row = record.origin.row;
        let rows = self.sources.entry(Arc::clone(&record.origin.source)).or_default();
        let digest = rows.euids.entry(row / BLOCK_ROWS).or_default();
        *digest = digest.wrapping_add(euid_digest(row, &record.euid));
        let euid = Euid::parse(&record.euid).map(Euid::get);
        match euid {
            Ok(euid) if is_sent_again(record) => {
                rows.again.insert(row);
                let before = self.last_of_euid.insert(euid, self.again.len());
                let source = Arc::clone(&record.origin.source);
                self.again.push(SentAgain { source, row, figures: Figures::of(record), first, before });
            }
            _ => {
                rows.decided.insert(row);
                self.tally.add(record);
            }
        }
        if let (Ok(euid), Outcome::Synced | Outcome::Unchanged, false) = (euid, record.outcome, self.all_again) {
            self.supersede(euid, first);
        }
    }

    /// A row of this EUID was accepted: earlier ones are not sent again.
    fn supersede(&mut self, euid: u64, accepted: u64) {
        let mut next = self.last_of_euid.remove(&euid);
        let mut later = None;
        while let Some(index) = next
            && let Some(again) = self.again.get_mut(index)
        {
            next = again.before;
            if again.first > accepted {
                again.before = later.replace(index);
            } else if let Some(rows) = self.sources.get_mut(&again.source) {
                rows.again.remove(again.row);
                rows.decided.insert(again.row);
                self.tally.add_figures(&again.figures);
                self.superseded += 1;
            }
        }
        self.last_of_euid.extend(later.map(|index| (euid, index)));
    }

    pub(crate) fn optimize(&mut self) {
        for rows in self.sources.values_mut() {
            rows.decided.optimize();
            rows.again.optimize();
        }
    }

    /// Whether the row is decided, so that it isn't sent again.
    pub fn contains(&self, source: &str, row: u64) -> bool {
        self.sources.get(source).is_some_and(|rows| rows.decided.contains(row))
    }

    /// How many rows are decided.
    pub fn rows(&self) -> u64 {
        self.tally.total()
    }

    /// How many rows of a source are decided.
    pub fn rows_of(&self, source: &str) -> u64 {
        self.sources.get(source).map_or(0, |rows| rows.decided.len())
    }

    /// Rows that would be sent again, but for a later row of the same EUID that was accepted.
    pub fn superseded(&self) -> u64 {
        self.superseded
    }

    /// Whether the report has no record.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// What all rows with a record add up to, also those to be sent again.
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

    /// The last row of a source that the report names.
    pub fn last_row(&self, source: &str) -> Option<u64> {
        self.sources.get(source).and_then(SourceRows::last)
    }

    /// What the decided rows add up to.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins to compare the EUIDs of the inputs with those of the report.
    pub fn compare_euids(&self) -> EuidComparison<'_> {
        EuidComparison { decided: self, block: None, seen: Vec::new(), blocks: HashMap::new() }
    }
}

impl SourceRows {
    fn has_record(&self, row: u64) -> bool {
        self.decided.contains(row) || self.again.contains(row)
    }

    fn last(&self) -> Option<u64> {
        self.decided.max().max(self.again.max())
    }
}

/// Compares rows that are read again with those of the report. Show it every row of each input in order, up to
/// [`Decided::last_row`], before anything is sent.
#[derive(Debug)]
pub struct EuidComparison<'a> {
    decided: &'a Decided,
    /// The block that is being read.
    block: Option<(Arc<str>, u64)>,
    /// Its rows that have a record.
    seen: Vec<(u64, Box<str>)>,
    /// Blocks that agreed, by source.
    blocks: HashMap<Arc<str>, usize>,
}

impl EuidComparison<'_> {
    /// Takes the next row with its EUID as it stands in the input. An error names a row that differs, at the latest
    /// 63 rows behind it.
    pub fn see(&mut self, source: &str, row: u64, euid: &str) -> Result<(), ReportError> {
        let Some((source, rows)) = self.decided.sources.get_key_value(source) else { return Ok(()) };
        let number = row / BLOCK_ROWS;
        let is_same = self.block.as_ref().is_some_and(|(current, block)| current == source && *block == number);
        if !is_same {
            self.close_block()?;
            self.block = Some((Arc::clone(source), number));
        }
        if rows.has_record(row) {
            self.seen.push((row, euid.into()));
        }
        Ok(())
    }

    /// Compares what was seen last without waiting for the rest of its 64 rows.
    pub fn compare_now(&mut self) -> Result<(), ReportError> {
        self.close_block()
    }

    /// Ends: every row of the report was seen.
    pub fn finish(mut self) -> Result<(), ReportError> {
        self.close_block()?;
        for (source, rows) in &self.decided.sources {
            if self.blocks.get(source).copied().unwrap_or_default() != rows.euids.len() {
                return Err(missing(source, rows.last().unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), ReportError> {
        let Some((source, number)) = self.block.take() else { return Ok(()) };
        let recorded = self.decided.sources.get(&source).and_then(|rows| rows.euids.get(&number));
        if let Some(recorded) = recorded {
            let digests = self.seen.iter().map(|(row, euid)| euid_digest(*row, euid));
            if digests.fold(0, u64::wrapping_add) != *recorded {
                return Err(self.difference(&source, number)?);
            }
            *self.blocks.entry(source).or_default() += 1;
        }
        self.seen.clear();
        Ok(())
    }

    /// Looks the block up in the report, which only now is worth reading once more.
    fn difference(&self, source: &Arc<str>, number: u64) -> Result<ReportError, ReportError> {
        let mut first: Option<(u64, ReportError)> = None;
        let records = self.decided.report.as_ref().map(SourceReport::records).transpose()?;
        for record in records.into_iter().flatten() {
            let Decision { origin, euid, .. } = record?;
            if origin.source != *source || origin.row / BLOCK_ROWS != number {
                continue;
            }
            let difference = match self.seen.iter().find(|(row, _)| *row == origin.row) {
                None => missing(source, origin.row),
                Some((_, here)) if comparable(here) == comparable(&euid) => continue,
                Some((row, here)) => ReportError::OtherEuid {
                    origin: source.to_string(),
                    row: *row,
                    here: here.to_string(),
                    there: euid.into(),
                },
            };
            if first.as_ref().is_none_or(|(row, _)| origin.row < *row) {
                first = Some((origin.row, difference));
            }
        }
        // The only other cause is a row that was shown twice.
        Ok(first.map_or_else(|| missing(source, number * BLOCK_ROWS), |(_, difference)| difference))
    }
}

fn missing(source: &str, row: u64) -> ReportError {
    ReportError::MissingRow { origin: source.to_owned(), row }
}

/// Whether a failed row is sent again by a resume: the cause lay in the run, not in the row.
pub(crate) fn is_sent_again(record: &Decision) -> bool {
    record.outcome == Outcome::Failed && matches!(record.reason, Some(Reason::Credentials | Reason::HttpStatus))
}

/// The EUID as it can be compared: a report without contacts holds only those that are numbers.
fn comparable(euid: &str) -> &str {
    if is_number(euid) { euid } else { "" }
}

/// Compared only within one process, so that any good hash will do.
fn euid_digest(row: u64, euid: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (row, comparable(euid)).hash(&mut hasher);
    hasher.finish()
}
