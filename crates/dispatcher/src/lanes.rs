//! Order per EUID: rows of one EUID queue behind each other, others overtake. A lane exists only while it has rows, so
//! memory follows the rows admitted and not the file.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    sync::{Mutex, MutexGuard, PoisonError},
};

use model::Contact;
use tokio::sync::{Notify, OwnedSemaphorePermit};

/// A row that was let in: it holds its share of memory until its decision is handed on.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) contact: Contact,
    /// One row, and its bytes.
    pub(crate) permits: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// Which lane a row belongs to: its EUID by number.
pub(crate) type Key = u64;

/// What became of a row that was offered.
#[derive(Debug)]
pub(crate) enum Offered {
    /// Its lane was empty: the row starts, and whoever runs it asks [`Lanes::next`] afterwards.
    Starts(Row),
    /// It waits behind another row of its EUID.
    Queued,
    /// Its lane is full.
    Full(Row),
}

#[derive(Debug)]
pub(crate) struct Lanes {
    waiting: Mutex<HashMap<Key, VecDeque<Row>>>,
    most: usize,
    shrunk: Notify,
}

impl Lanes {
    /// Lanes that hold at most `most` waiting rows each.
    pub(crate) fn new(most: usize) -> Self {
        Self { waiting: Mutex::new(HashMap::new()), most, shrunk: Notify::new() }
    }

    pub(crate) fn offer(&self, row: Row) -> Offered {
        match self.lock().entry(row.contact.euid.get()) {
            Entry::Vacant(lane) => {
                // An empty queue allocates nothing: most lanes never hold a second row.
                lane.insert(VecDeque::new());
                Offered::Starts(row)
            }
            Entry::Occupied(lane) if lane.get().len() >= self.most => Offered::Full(row),
            Entry::Occupied(mut lane) => {
                lane.get_mut().push_back(row);
                Offered::Queued
            }
        }
    }

    /// The next row of a lane; where there is none the lane ends.
    pub(crate) fn next(&self, key: Key) -> Option<Row> {
        let mut lanes = self.lock();
        let next = lanes.get_mut(&key)?.pop_front();
        if next.is_none() {
            lanes.remove(&key);
        }
        drop(lanes);
        self.shrunk.notify_one();
        next
    }

    /// Ends a lane and says how many rows still waited in it.
    pub(crate) fn abandon(&self, key: Key) -> u64 {
        let left = self.lock().remove(&key).map_or(0, |lane| lane.len() as u64);
        self.shrunk.notify_one();
        left
    }

    /// Waits until some lane gave up a row.
    pub(crate) async fn shrunk(&self) {
        self.shrunk.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, VecDeque<Row>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
