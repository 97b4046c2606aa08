use std::collections::{HashMap, HashSet};

/// How many requests of each user arrived, in a few bytes for each.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// Most users come once. Bytes, since numbers would be padded.
    once: HashSet<[u8; 8]>,
    more_often: HashMap<u64, u64>,
}

impl Arrivals {
    /// Notes one; says how-manieth of its user it is, from 1.
    pub(crate) fn note(&mut self, euid: u64) -> u64 {
        if let Some(arrivals) = self.more_often.get_mut(&euid) {
            *arrivals += 1;
            return *arrivals;
        }
        if self.once.insert(euid.to_ne_bytes()) {
            return 1;
        }
        self.once.remove(&euid.to_ne_bytes());
        self.more_often.insert(euid, 2);
        2
    }
}
