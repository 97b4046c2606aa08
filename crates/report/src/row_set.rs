//! Rows of one source as a compressed bitmap, and as a text that can't be mistaken for another.

use std::{ops::Range, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use roaring::RoaringTreemap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// So many bytes of a digest stand behind the bitmap: one bit that flips must not make a row what it isn't.
const CHECK_BYTES: usize = 16;

/// Which rows of a source: row numbers from 1. At most a bit a row; a few bytes where they stand together. A clone costs
/// nothing until one of the two grows.
///
/// As text, and in JSON: base64 of the bitmap in roaring's portable form and of a digest of it. A text that was changed
/// in any way is refused.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RowSet(Arc<RoaringTreemap>);

impl Eq for RowSet {}

impl RowSet {
    /// Adds rows, and says how many were not in it.
    pub fn insert(&mut self, rows: Range<u64>) -> u64 {
        if rows.is_empty() { 0 } else { Arc::make_mut(&mut self.0).insert_range(rows) }
    }

    /// Adds all rows of another one.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.is_empty() {
            self.clone_from(other);
        } else if !other.is_empty() {
            *Arc::make_mut(&mut self.0) |= &*other.0;
        }
    }

    /// Takes a row out.
    pub fn remove(&mut self, row: u64) {
        if self.contains(row) {
            Arc::make_mut(&mut self.0).remove(row);
        }
    }

    /// Whether the row is in it.
    pub fn contains(&self, row: u64) -> bool {
        self.0.contains(row)
    }

    /// How many rows are in it.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether no row is in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last row.
    pub fn last(&self) -> Option<u64> {
        self.0.max()
    }

    /// All rows in order.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter()
    }

    fn to_text(&self) -> std::io::Result<String> {
        // A clone of its own: optimised for writing, it would be slow to add to.
        let mut packed = RoaringTreemap::clone(&self.0);
        packed.optimize();
        let mut bytes = Vec::with_capacity(packed.serialized_size() + CHECK_BYTES);
        packed.serialize_into(&mut bytes)?;
        let check = blake3::hash(&bytes);
        bytes.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
        Ok(BASE64_STANDARD.encode(bytes))
    }

    fn of_text(text: &str) -> Option<Self> {
        let bytes = BASE64_STANDARD.decode(text).ok()?;
        let (bitmap, check) = bytes.split_at_checked(bytes.len().checked_sub(CHECK_BYTES)?)?;
        if blake3::hash(bitmap).as_bytes()[..CHECK_BYTES] != *check {
            return None;
        }
        let mut rest = bitmap;
        let rows = RoaringTreemap::deserialize_from(&mut rest).ok()?;
        rest.is_empty().then(|| Self(Arc::new(rows)))
    }
}

impl Serialize for RowSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text().map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for RowSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_text(&text).ok_or_else(|| D::Error::custom("damaged rows"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Vec<Range<u64>>> {
        let start = prop_oneof![1_u64..200, 65_000..66_000_u64, (1_u64 << 32) - 40..(1 << 32) + 40, u64::MAX - 300..];
        prop::collection::vec((start, 0_u64..300), 0..40)
            .prop_map(|all| all.into_iter().map(|(start, rows)| start..start.saturating_add(rows)).collect())
    }

    fn of(rows: &[Range<u64>]) -> RowSet {
        let mut set = RowSet::default();
        for rows in rows {
            set.insert(rows.clone());
        }
        set
    }

    proptest! {
        #[test]
        fn it_holds_what_was_added_and_its_text_the_same(ranges in rows()) {
            let (mut set, mut expected) = (RowSet::default(), BTreeSet::new());
            for rows in &ranges {
                let before = expected.len() as u64;
                expected.extend(rows.clone());
                prop_assert_eq!(set.insert(rows.clone()), expected.len() as u64 - before);
            }
            let json = serde_json::to_string(&set).unwrap();
            let again: RowSet = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(&again, &set);
            prop_assert_eq!((again.len(), again.last()), (expected.len() as u64, expected.last().copied()));
            prop_assert!(again.iter().eq(expected));
        }

        #[test]
        fn a_text_that_was_changed_is_refused(ranges in rows(), at in any::<prop::sample::Index>(), by in any::<u8>()) {
            let text = of(&ranges).to_text().unwrap();
            let at = at.index(text.len());
            let mut changed = text.clone().into_bytes();
            changed[at] = by & 0x7f;
            let changed = String::from_utf8(changed).unwrap();
            prop_assert!(changed == text || RowSet::of_text(&changed).is_none());
            prop_assert!(RowSet::of_text(&text[..at]).is_none());
        }

        /// Also what has the right digest may be anything.
        #[test]
        fn no_bytes_break_it(mut bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(59), Just(58), any::<u8>()], 0..60)) {
            let check = blake3::hash(&bytes);
            bytes.extend_from_slice(&check.as_bytes()[..CHECK_BYTES]);
            if let Some(set) = RowSet::of_text(&BASE64_STANDARD.encode(bytes)) {
                prop_assert_eq!(set.iter().count() as u64, set.len());
            }
        }
    }

    #[test]
    fn rows_that_stand_together_take_no_room() {
        let mut all = RowSet::default();
        all.insert(1..10_000_001);
        let text = all.to_text().unwrap();
        assert!(text.len() < 4_000, "{}", text.len());
        let every_second = RowSet(Arc::new((1..=100_000).map(|row| row * 2).collect()));
        let bytes = every_second.to_text().unwrap().len();
        assert!(bytes < 38_000, "{bytes}");
    }

    #[test]
    fn a_clone_stays_as_it_was() {
        let mut set = RowSet::default();
        set.insert(1..10);
        let before = set.clone();
        set.insert(10..20);
        set.remove(3);
        assert_eq!((before.len(), set.len(), set.contains(3), before.contains(3)), (9, 18, false, true));
        let mut merged = RowSet::default();
        merged.merge(&before);
        merged.merge(&set);
        assert!(merged.iter().eq(1..20));
    }
}
