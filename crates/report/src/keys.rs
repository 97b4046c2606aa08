//! Whether the rows of the inputs are those of the report.

use std::{collections::HashMap, ops::Range, sync::Arc};

use crate::{
    blocks::{BLOCK_ROWS, Block, row_digest},
    decided::Decided,
    error::ReportError,
    mask::is_number,
};

/// Compares rows that are read again with those of the report. Show it every row of each input in order, up to
/// [`Decided::last_row`], before anything is sent.
#[derive(Debug)]
pub struct KeyComparison<'a> {
    decided: &'a Decided,
    /// Rows are keyed by ids, not by EUIDs.
    by_id: bool,
    /// The block that is being read.
    open: Option<OpenBlock<'a>>,
    /// Its rows that are compared, and where their keys stand in `text`.
    seen: Vec<(u64, Range<usize>)>,
    text: String,
    /// Blocks that agreed, by source.
    agreed: HashMap<Arc<str>, usize>,
}

#[derive(Debug)]
struct OpenBlock<'a> {
    source: &'a Arc<str>,
    number: u64,
    /// None where none of its rows has a record.
    recorded: Option<&'a Block>,
    /// The sum of the digests of rows that are compared.
    keys: u64,
}

impl<'a> KeyComparison<'a> {
    pub(crate) fn new(decided: &'a Decided, by_id: bool) -> Self {
        Self { decided, by_id, open: None, seen: Vec::new(), text: String::new(), agreed: HashMap::new() }
    }

    /// Takes the next row with its EUID as it stands in the input, or its id without the blanks around it, and says whether the report decides it
    /// ([`Decided::contains`]). An error names a row that differs, at the latest 63 rows behind it.
    pub fn see(&mut self, source: &str, row: u64, key: &str) -> Result<bool, ReportError> {
        let was_unchanged = self.decided.was_unchanged(source, row);
        let number = row / BLOCK_ROWS;
        if !self.open.as_ref().is_some_and(|open| open.number == number && **open.source == *source) {
            let Some((source, rows)) = self.decided.rows_by_name(source) else {
                return Ok(was_unchanged);
            };
            self.close_block()?;
            self.open = Some(OpenBlock { source, number, recorded: rows.block(number), keys: 0 });
        }
        let Some(OpenBlock { recorded: Some(block), keys, .. }) = &mut self.open else {
            return Ok(was_unchanged);
        };
        if block.has_key(row) {
            *keys = keys.wrapping_add(row_digest(row, key, self.by_id));
            let start = self.text.len();
            self.text.push_str(key);
            self.seen.push((row, start..self.text.len()));
        }
        Ok(was_unchanged || block.is_decided(row))
    }

    /// Compares what was seen last without waiting for the rest of its 64 rows.
    pub fn compare_now(&mut self) -> Result<(), ReportError> {
        self.close_block()
    }

    /// Ends: every row of the report was seen.
    pub fn finish(mut self) -> Result<(), ReportError> {
        self.close_block()?;
        for (source, rows) in self.decided.rows_by_source() {
            if self.agreed.get(source).copied().unwrap_or_default() != rows.blocks() {
                return Err(missing(source, rows.last().unwrap_or_default()));
            }
        }
        Ok(())
    }

    fn close_block(&mut self) -> Result<(), ReportError> {
        let Some(OpenBlock { source, number, recorded, keys }) = self.open.take() else { return Ok(()) };
        if let Some(recorded) = recorded {
            if keys != recorded.keys {
                return Err(self.difference(source, number)?);
            }
            match self.agreed.get_mut(source) {
                Some(blocks) => *blocks += 1,
                None => _ = self.agreed.insert(Arc::clone(source), 1),
            }
        }
        self.seen.clear();
        self.text.clear();
        Ok(())
    }

    /// Looks the block up in the report, which only now is worth reading once more.
    fn difference(&self, source: &Arc<str>, number: u64) -> Result<ReportError, ReportError> {
        let mut first: Option<(u64, ReportError)> = None;
        if let Some(report) = self.decided.report() {
            let mut records = report.records()?;
            while let Some((_, there)) = records.next_gist()? {
                if there.source != source || there.row / BLOCK_ROWS != number {
                    continue;
                }
                let here =
                    self.seen.iter().find(|(row, _)| *row == there.row).map(|(_, text)| &self.text[text.clone()]);
                if there.id.is_some_and(<[u8]>::is_empty) {
                    continue;
                }
                let text = String::from_utf8_lossy(there.key());
                let difference = match here {
                    None => missing(source, there.row),
                    Some(here) if self.by_id && *here == *text => continue,
                    Some(_) if self.by_id => ReportError::OtherId { origin: source.to_string(), row: there.row },
                    Some(here) if comparable(here) == comparable(&text) => continue,
                    Some(here) => ReportError::OtherEuid {
                        origin: source.to_string(),
                        row: there.row,
                        here: here.to_owned(),
                        there: text.into_owned(),
                    },
                };
                if first.as_ref().is_none_or(|(row, _)| there.row < *row) {
                    first = Some((there.row, difference));
                }
            }
        }
        // The only other cause is a row that was shown twice.
        Ok(first.map_or_else(|| missing(source, number * BLOCK_ROWS), |(_, difference)| difference))
    }
}

/// The EUID as it can be compared: a report without contacts holds only those that are numbers.
fn comparable(euid: &str) -> &str {
    if is_number(euid) { euid } else { "" }
}

fn missing(source: &str, row: u64) -> ReportError {
    ReportError::MissingRow { origin: source.to_owned(), row }
}
