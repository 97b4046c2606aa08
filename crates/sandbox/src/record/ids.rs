use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use serde::Serialize;

use super::lock;
use crate::euids::{GENERATIONS, euid_of};

/// An id that was asked for.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AskedId {
    /// In how many valid requests.
    pub asked: u64,
    /// In how many of these it got an EUID, whether or not the answer arrived.
    pub answered: u64,
    /// The last one that it got.
    pub euid: Option<u64>,
}

/// Ids and their EUIDs.
#[derive(Debug)]
pub(super) struct Ids {
    /// By identity name and value; none where figures are all that is kept.
    asked: Option<Mutex<HashMap<(String, String), AskedId>>>,
    /// EUIDs whose users are gone.
    retired: Mutex<HashSet<u64>>,
    any_retired: AtomicBool,
}

impl Ids {
    pub(super) fn new(keeps_all: bool) -> Self {
        let asked = keeps_all.then(Mutex::default);
        Self { asked, retired: Mutex::default(), any_retired: AtomicBool::new(false) }
    }

    pub(super) fn ask(&self, identity_name: &str, values: &[String]) {
        let Some(asked) = &self.asked else { return };
        let mut asked = lock(asked);
        for value in values {
            asked.entry((identity_name.to_owned(), value.clone())).or_default().asked += 1;
        }
    }

    /// The EUID that an id gets: the first of `owner`'s that isn't retired.
    pub(super) fn give(&self, identity_name: &str, value: &str, owner: &str) -> u64 {
        let number = |generation| euid_of(identity_name, owner, generation);
        // Whoever used them up keeps the last.
        let euid = (0..GENERATIONS - 1).map(number).find(|euid| !self.is_retired(*euid));
        let euid = euid.unwrap_or_else(|| number(GENERATIONS - 1));
        if let Some(asked) = &self.asked {
            let mut asked = lock(asked);
            let id = asked.entry((identity_name.to_owned(), value.to_owned())).or_default();
            id.answered += 1;
            id.euid = Some(euid);
        }
        euid
    }

    pub(super) fn retire(&self, euid: u64) {
        lock(&self.retired).insert(euid);
        self.any_retired.store(true, Relaxed);
    }

    pub(super) fn is_retired(&self, euid: u64) -> bool {
        self.any_retired.load(Relaxed) && lock(&self.retired).contains(&euid)
    }

    pub(super) fn get(&self, identity_name: &str, value: &str) -> Option<AskedId> {
        lock(self.asked.as_ref()?).get(&(identity_name.to_owned(), value.to_owned())).cloned()
    }

    pub(super) fn all(&self) -> BTreeMap<(String, String), AskedId> {
        let asked = self.asked.as_ref().map(lock);
        asked.iter().flat_map(|asked| asked.iter()).map(|(id, asked)| (id.clone(), asked.clone())).collect()
    }
}
