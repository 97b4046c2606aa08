//! Which rows of a source have a record, and what they were keyed by: some bytes for each 64 rows, not the records.

use model::{Euid, NumberMap, mixed};

use crate::gist::{Gist, id_digest};

/// Rows that are kept together.
pub(crate) const BLOCK_ROWS: u64 = 64;

/// The rows of one source.
#[derive(Debug, Default)]
pub(crate) struct SourceRows {
    blocks: NumberMap<Block>,
    last: Option<u64>,
    /// How many are decided.
    decided: u64,
}

/// So many rows in a row, a bit for each.
#[derive(Debug, Default)]
pub(crate) struct Block {
    decided: u64,
    /// Rows that have a record and are sent all the same.
    again: u64,
    /// Rows that have a record, but none that says what they were keyed by: it can't be compared.
    keyless: u64,
    /// The sum of the digests of the other rows and their keys.
    pub(crate) keys: u64,
}

impl Block {
    /// Whether a row of this block has a record.
    pub(crate) fn has_record(&self, row: u64) -> bool {
        (self.decided | self.again) & bit(row) != 0
    }

    /// Whether a record says what a row of this block was keyed by.
    pub(crate) fn has_key(&self, row: u64) -> bool {
        self.has_record(row) && self.keyless & bit(row) == 0
    }

    /// Whether a row of this block is decided.
    pub(crate) fn is_decided(&self, row: u64) -> bool {
        self.decided & bit(row) != 0
    }
}

impl SourceRows {
    /// Takes note of a record of a row, which decides it or says that it is sent again, and whether it is the row's first.
    /// `digest`: that of its key, if it is known.
    pub(crate) fn add(&mut self, row: u64, is_decided: bool, digest: Option<u64>) -> bool {
        let block = self.blocks.entry(row / BLOCK_ROWS).or_default();
        let is_first = !block.has_record(row);
        match digest {
            Some(digest) => block.keys = block.keys.wrapping_add(digest),
            None => block.keyless |= bit(row),
        }
        if is_decided {
            self.decided += u64::from(block.decided & bit(row) == 0);
            block.decided |= bit(row);
        } else {
            block.again |= bit(row);
        }
        self.last = self.last.max(Some(row));
        is_first
    }

    /// A row that was to be sent again is decided after all.
    pub(crate) fn decide(&mut self, row: u64) {
        if let Some(block) = self.blocks.get_mut(&(row / BLOCK_ROWS)) {
            self.decided += u64::from(block.decided & bit(row) == 0);
            block.again &= !bit(row);
            block.decided |= bit(row);
        }
    }

    /// A row that was to be sent again, and then decided after all, is to be sent again.
    pub(crate) fn undecide(&mut self, row: u64) {
        if let Some(block) = self.blocks.get_mut(&(row / BLOCK_ROWS)) {
            self.decided -= u64::from(block.is_decided(row));
            block.decided &= !bit(row);
            block.again |= bit(row);
        }
    }

    pub(crate) fn is_decided(&self, row: u64) -> bool {
        self.block(row / BLOCK_ROWS).is_some_and(|block| block.is_decided(row))
    }

    /// How many rows are decided.
    pub(crate) fn decided(&self) -> u64 {
        self.decided
    }

    /// The last row with a record.
    pub(crate) fn last(&self) -> Option<u64> {
        self.last
    }

    pub(crate) fn block(&self, number: u64) -> Option<&Block> {
        self.blocks.get(&number)
    }

    /// How many blocks have a record.
    pub(crate) fn blocks(&self) -> usize {
        self.blocks.len()
    }
}

fn bit(row: u64) -> u64 {
    1 << (row % BLOCK_ROWS)
}

/// A digest of a record's row and what it is keyed by; none where that isn't known. A report without contacts has no id of
/// a row that was refused before its id was looked at, or for it.
pub(crate) fn record_digest(record: &Gist<'_>) -> Option<u64> {
    match record.id {
        None => Some(euid_digest(record.row, record.euid, record.number)),
        Some(b"") => None,
        Some(id) => Some(mixed(record.row, id_digest(id))),
    }
}

/// A digest of a row of an input and its key's text, for comparisons within one process.
pub(crate) fn row_digest(row: u64, key: &str, is_id: bool) -> u64 {
    if is_id { mixed(row, id_digest(key.as_bytes())) } else { euid_digest(row, key.as_bytes(), Euid::parse(key).ok()) }
}

/// What is no number is all the same: a report without contacts holds only EUIDs that are.
fn euid_digest(row: u64, euid: &[u8], number: Option<Euid>) -> u64 {
    // Zeros in front are a matter of its length.
    let text = number.map_or(0, |number| mixed(number.get(), euid.len() as u64));
    mixed(row, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_counted_once_however_many_records_it_has() {
        let mut rows = SourceRows::default();
        let add = |rows: &mut SourceRows, row, is_decided| rows.add(row, is_decided, Some(row));
        assert!(add(&mut rows, 63, true) && add(&mut rows, 64, false) && add(&mut rows, u64::MAX, true));
        assert!(!add(&mut rows, 63, true) && !add(&mut rows, 64, false));
        assert_eq!((rows.decided(), rows.blocks(), rows.last()), (2, 3, Some(u64::MAX)));
        assert!(rows.is_decided(63) && !rows.is_decided(64) && !rows.is_decided(62) && !rows.is_decided(127));
        for _ in 0..2 {
            rows.decide(64);
            assert!(rows.is_decided(64) && rows.decided() == 3);
        }
        assert!(!rows.block(1).is_none_or(|block| block.has_record(65)));
    }
}
