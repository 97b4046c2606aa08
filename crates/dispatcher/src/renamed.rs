//! EUIDs that were resolved again, for rows that were resolved before and are let in after: under the old EUID they would go
//! beside the rows of their id, and not behind them.

use std::collections::HashMap;

use model::{Contact, Euid};

use crate::{job::Key, resolver::Resolver};

#[derive(Debug, Default)]
pub(crate) struct Renamed {
    by_old: HashMap<Key, Vec<Entry>>,
    /// Batches that were given to the resolver so far.
    begun: u64,
}

#[derive(Debug)]
struct Entry {
    /// A row with the id that it is about.
    row: Contact,
    euid: Euid,
    /// Batches before this one may hold the old EUID; none while the resolver doesn't know better yet.
    until: Option<u64>,
}

impl Renamed {
    /// A batch is given to the resolver: its number.
    pub(crate) fn begin_batch(&mut self) -> u64 {
        self.begun += 1;
        self.begun - 1
    }

    /// From now on rows with the id of `row` go under this EUID.
    pub(crate) fn note(&mut self, row: Contact, euid: Euid) {
        self.by_old.entry(row.euid.get()).or_default().push(Entry { row, euid, until: None });
    }

    /// The resolver has learnt all that was noted: batches that begin now hold it.
    pub(crate) fn learnt(&mut self) {
        for entry in self.by_old.values_mut().flatten() {
            entry.until.get_or_insert(self.begun);
        }
    }

    /// The EUID that holds for a row.
    pub(crate) fn apply(&self, contact: &mut Contact, resolver: &dyn Resolver) {
        let of_key = self.by_old.get(&contact.euid.get());
        let renamed = of_key.into_iter().flatten().find(|entry| resolver.same_id(&entry.row, contact));
        if let Some(Entry { euid, .. }) = renamed {
            contact.euid = *euid;
            contact.euid_text = euid.get().to_string().into();
        }
    }

    /// A batch is let in, and all before it are.
    pub(crate) fn batch_is_in(&mut self, number: u64) {
        for entries in self.by_old.values_mut() {
            entries.retain(|entry| entry.until.is_none_or(|until| until > number + 1));
        }
        self.by_old.retain(|_, entries| !entries.is_empty());
    }
}
