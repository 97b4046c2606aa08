//! Ids that stand in very many rows: a column that isn't the id's, or a placeholder that no rule knows.

use std::hash::{DefaultHasher, Hash, Hasher};

/// An id may stand in so many rows.
const MOST_ROWS: u16 = 1_000;
/// Ids that are warned of one by one.
const MOST_WARNED: usize = 20;
/// Counters of each kind: a power of two.
const COUNTERS: usize = 1 << 19;
/// Kinds of counters.
const KINDS: u32 = 4;

/// Counts the rows of each id in 4 MiB, however many ids there are: a count-min sketch with conservative update.
///
/// A count is never too small, so no such id is missed. It is too large by more than 2.72 rows in 524,288 of all rows (by 52
/// of 10 million, say) for at most one id in fifty, and by that much only where ids of many rows share all four of an id's
/// counters; so a warning that isn't due takes an input of some 100 million rows.
#[derive(Debug, Default)]
pub(crate) struct RepeatedIds {
    counters: Vec<u16>,
    /// Digests of the ids that were warned of.
    warned: Vec<u64>,
}

/// What is to be said of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeated {
    /// It has come to stand in too many rows.
    Often,
    /// So have others than were warned of; nothing more is said.
    AndOthers,
}

impl RepeatedIds {
    /// Counts a row of this id, and says if that is one too many: once of each id.
    pub(crate) fn see(&mut self, id: &str) -> Option<Repeated> {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        self.see_digest(hasher.finish())
    }

    fn see_digest(&mut self, digest: u64) -> Option<Repeated> {
        if self.warned.len() > MOST_WARNED {
            return None;
        }
        if self.counters.is_empty() {
            self.counters = vec![0; COUNTERS * KINDS as usize];
        }
        let places = places(digest);
        let least = places.iter().filter_map(|place| self.counters.get(*place)).min().copied().unwrap_or(0);
        let count = least.saturating_add(1);
        for place in places {
            if let Some(counter) = self.counters.get_mut(place) {
                *counter = (*counter).max(count);
            }
        }
        if count <= MOST_ROWS || self.warned.contains(&digest) {
            return None;
        }
        self.warned.push(digest);
        Some(if self.warned.len() > MOST_WARNED { Repeated::AndOthers } else { Repeated::Often })
    }
}

/// Where an id's counters stand, one of each kind.
fn places(digest: u64) -> [usize; KINDS as usize] {
    // Two halves of one digest make as many hashes as are needed (Kirsch and Mitzenmacher).
    let (low, high) = (digest & 0xffff_ffff, digest >> 32 | 1);
    std::array::from_fn(|kind| {
        let hash = low.wrapping_add(high.wrapping_mul(kind as u64));
        kind * COUNTERS + (model::mixed(hash, kind as u64) as usize & (COUNTERS - 1))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_in_too_many_rows_is_told_once_whatever_stands_between() {
        let mut ids = RepeatedIds::default();
        let mut told = Vec::new();
        for row in 1..=1_200 {
            for other in 0..50 {
                assert_eq!(ids.see(&format!("{row}-{other}")), None);
            }
            told.extend(ids.see("guest").map(|what| (row, what)));
            if row > 100 && row <= 1_100 {
                assert_eq!(ids.see("exactly a thousand"), None);
            }
        }
        assert_eq!(told, [(1_001, Repeated::Often)]);
    }

    #[test]
    fn of_very_many_ids_none_is_told_that_stands_in_few_rows() {
        let mut ids = RepeatedIds::default();
        let mut seen = 0_u64;
        for number in 0..2_000_000_u64 {
            assert_eq!(ids.see_digest(model::mixed(number, 7)), None);
            seen += 1;
        }
        assert_eq!(seen, 2_000_000);
        let most = ids.counters.iter().max().copied().unwrap();
        assert!(most < 30, "{most} rows are counted of ids that have one");
        assert_eq!(ids.counters.len() * 2, 4 << 20, "bytes");
    }

    #[test]
    fn only_so_many_are_told() {
        let mut ids = RepeatedIds::default();
        let mut told = Vec::new();
        for id in 0..40 {
            told.extend((0..1_100).filter_map(|_| ids.see(&format!("id {id}"))));
        }
        assert_eq!(told.len(), MOST_WARNED + 1);
        assert_eq!(told.last(), Some(&Repeated::AndOthers));
        assert_eq!(told.iter().filter(|what| **what == Repeated::Often).count(), MOST_WARNED);
    }
}
