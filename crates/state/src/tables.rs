//! What is known of each EUID, from the newest to the oldest place where it may stand.

use std::sync::Arc;

use crate::{
    base::{Base, BaseError, Cursor},
    entry::Entry,
    flags::{Flags, SEEN},
    ids::FIRST_ID,
    overlay::{Newer, Overlay},
};

/// An overlay over the one that is being merged, over the base.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) base: Arc<Base>,
    pub(crate) flags: Flags,
    pub(crate) merging: Option<Arc<Overlay>>,
    pub(crate) newest: Overlay,
    /// Counts the bases that there were, so that a cursor knows whether it is this one's.
    pub(crate) generation: u64,
}

/// An entry, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found<'a> {
    pub(crate) entry: Entry<'a>,
    pub(crate) place: FoundIn<'a>,
}

/// Where flags of an entry are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum FoundIn<'a> {
    Newer(&'a Newer),
    /// By its place in the base.
    Base(u64),
}

impl Tables {
    pub(crate) fn new(base: Base, newest: Overlay) -> Self {
        let flags = Flags::new(base.entries);
        Self { base: Arc::new(base), flags, merging: None, newest, generation: 0 }
    }

    /// The entry of an EUID.
    pub(crate) fn find<'a>(&'a self, cursor: &'a mut Cursor, euid: u64) -> Result<Option<Found<'a>>, BaseError> {
        let newer = self.newest.get(euid).or_else(|| self.merging.as_ref().and_then(|merging| merging.get(euid)));
        if let Some(newer) = newer {
            return Ok(newer.entry().map(|entry| Found { entry, place: FoundIn::Newer(newer) }));
        }
        let found = cursor.find(&self.base, euid)?;
        Ok(found.map(|(position, entry)| Found { entry, place: FoundIn::Base(position) }))
    }

    /// Adds flags to an entry, and returns those that it had before.
    pub(crate) fn add_flags(&self, place: FoundIn<'_>, flags: u8) -> u8 {
        match place {
            FoundIn::Newer(newer) => newer.add_flags(flags),
            FoundIn::Base(position) => self.flags.add(position, flags),
        }
    }

    /// All entries, with their flags, in the order of their EUIDs.
    pub(crate) fn for_each<E: From<BaseError>>(
        &self,
        mut take: impl FnMut(u64, Entry<'_>, u8) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut all = self.merging.as_ref().map_or_else(Overlay::default, |merging| merging.copy());
        all.update(self.newest.copy());
        merged(&self.base, &self.flags, &all, &mut take)
    }

    /// How many EUIDs no row of this run had. Reads of the base only what is newer elsewhere.
    pub(crate) fn unseen(&self) -> Result<u64, BaseError> {
        let mut count = self.base.entries - self.base.ids - self.flags.seen();
        let mut cursor = Cursor::new();
        let merging = self.merging.iter().flat_map(|merging| merging.iter());
        let merging = merging.filter(|(euid, _)| self.newest.get(*euid).is_none());
        for (euid, newer) in self.newest.iter().chain(merging).filter(|(key, _)| *key < FIRST_ID) {
            let replaced = cursor.find(&self.base, euid)?;
            count -= u64::from(replaced.is_some_and(|(position, _)| self.flags.get(position) & SEEN == 0));
            count += u64::from(newer.entry().is_some() && newer.flags() & SEEN == 0);
        }
        Ok(count)
    }

    /// EUIDs that no row of this run had.
    pub(crate) fn for_each_unseen<E: From<BaseError>>(
        &self,
        mut take: impl FnMut(u64) -> Result<(), E>,
    ) -> Result<(), E> {
        self.for_each(|euid, _, flags| if flags & SEEN == 0 && euid < FIRST_ID { take(euid) } else { Ok(()) })
    }
}

/// All entries of a base and what is newer, with their flags, in the order of their EUIDs.
pub(crate) fn merged<E: From<BaseError>>(
    base: &Base,
    flags: &Flags,
    newer: &Overlay,
    take: &mut impl FnMut(u64, Entry<'_>, u8) -> Result<(), E>,
) -> Result<(), E> {
    let mut newer = newer.sorted().into_iter().peekable();
    let mut scan = base.scan();
    while let Some((euid, position, entry)) = scan.next()? {
        let mut is_replaced = false;
        while let Some((euid, newer)) = newer.next_if(|(newer, _)| *newer <= euid).inspect(|(newer, _)| {
            is_replaced |= *newer == euid;
        }) {
            if let Some(entry) = newer.entry() {
                take(euid, entry, newer.flags())?;
            }
        }
        if !is_replaced {
            take(euid, entry, flags.get(position))?;
        }
    }
    for (euid, newer) in newer {
        if let Some(entry) = newer.entry() {
            take(euid, entry, newer.flags())?;
        }
    }
    Ok(())
}
