//! Order per EUID: rows of one EUID queue behind each other, others overtake. A lane exists only while it has rows, so
//! memory follows the rows let in and not the file.

use std::collections::{HashMap, VecDeque, hash_map::Entry};

use crate::job::{Key, Row};

/// What became of a row that came to its lane.
#[derive(Debug)]
pub(crate) enum Joined {
    /// It is the first of its lane: its turn has come.
    First(Row),
    /// It waits behind another row of its EUID.
    Waits,
}

/// What follows where rows moved to another lane.
#[derive(Debug)]
pub(crate) struct Moved {
    /// The row that moved, where its turn has come in its new lane.
    pub(crate) first: Option<Row>,
    /// The row whose turn has come in the old one.
    pub(crate) next: Option<Row>,
}

#[derive(Debug)]
pub(crate) struct Lanes {
    /// Those that wait behind the one whose turn it is.
    waiting: HashMap<Key, VecDeque<Row>>,
    most: usize,
}

impl Lanes {
    /// Lanes that hold at most `most` waiting rows each.
    pub(crate) fn new(most: usize) -> Self {
        Self { waiting: HashMap::new(), most }
    }

    /// Whether a lane takes no further row.
    pub(crate) fn is_full(&self, key: Key) -> bool {
        self.waiting.get(&key).is_some_and(|lane| lane.len() >= self.most)
    }

    /// Whether a lane that was full has so much room again that it is worth going on.
    pub(crate) fn is_ample(&self, key: Key) -> bool {
        self.waiting.get(&key).is_none_or(|lane| lane.len() <= self.most / 4 * 3)
    }

    pub(crate) fn join(&mut self, row: Row) -> Joined {
        match self.waiting.entry(row.key()) {
            Entry::Vacant(lane) => {
                // An empty queue allocates nothing: most lanes never hold a second row.
                lane.insert(VecDeque::new());
                Joined::First(row)
            }
            Entry::Occupied(mut lane) => {
                lane.get_mut().push_back(row);
                Joined::Waits
            }
        }
    }

    /// The row whose turn comes after the one that was decided; where there is none the lane ends.
    pub(crate) fn next(&mut self, key: Key) -> Option<Row> {
        match self.waiting.entry(key) {
            Entry::Vacant(_) => None,
            Entry::Occupied(mut lane) => lane.get_mut().pop_front().or_else(|| {
                lane.remove();
                None
            }),
        }
    }

    /// The first row of a lane turns out to be of another EUID, and with it those that wait there and are `like` it: they join
    /// the other's lane, in input order among those that wait in it.
    pub(crate) fn move_to(&mut self, first: Row, old: Key, like: impl Fn(&Row) -> bool) -> Moved {
        let key = first.key();
        let waiting = self.waiting.remove(&old).unwrap_or_default();
        let (mut moved, mut stays): (VecDeque<Row>, VecDeque<Row>) = waiting.into_iter().partition(like);
        for row in &mut moved {
            row.contact.euid = first.contact.euid;
            row.contact.euid_text.clone_from(&first.contact.euid_text);
        }
        let next = stays.pop_front();
        if next.is_some() {
            self.waiting.insert(old, stays);
        }
        let first = match self.waiting.entry(key) {
            Entry::Vacant(lane) => {
                lane.insert(moved);
                Some(first)
            }
            Entry::Occupied(mut lane) => {
                moved.push_front(first);
                let lane = lane.get_mut();
                lane.extend(moved);
                lane.make_contiguous().sort_by_key(|row| row.number);
                None
            }
        };
        Moved { first, next }
    }

    /// Gives up everything that waits.
    pub(crate) fn clear(&mut self) -> HashMap<Key, VecDeque<Row>> {
        std::mem::take(&mut self.waiting)
    }
}
