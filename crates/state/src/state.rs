use std::{
    collections::HashSet,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use model::{Euid, NumberMap};

use crate::{
    base::{Base, BaseError, Cursor},
    entry::{self, Entry},
    error::StateError,
    fingerprint::{Fingerprints, Print},
    flags::{Flags, SEEN},
    ids::{self, FIRST_ID},
    log::{Changes, Log},
    look::Looker,
    merge,
    meta::Meta,
    opening::of_base,
    overlay::Overlay,
    tables::Tables,
};

/// Memory that entries newer than the base may take before a new base is made of them.
const MOST_NEWER_BYTES: usize = 64 << 20;
/// The same for the log, which has an entry as often as it changed.
const MOST_LOG_BYTES: u64 = 128 << 20;
/// A log that is a larger share of the file than this is merged once its run is over.
const MOST_LOG_SHARE: u64 = 8;
/// Where the file is small anyway, its log isn't merged for its size.
const SMALL_LOG_BYTES: u64 = 64 << 10;
/// Changes that wait in memory at most: who makes more of them waits for the disk.
pub(crate) const MANY_CHANGES_BYTES: usize = 1 << 20;

/// What the API last accepted, per EUID and contact name, in a file. It is locked as long as this lives.
#[derive(Debug)]
pub struct State {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    tables: RwLock<Tables>,
    waiting: Mutex<Waiting>,
    log: Mutex<Log>,
    limit: usize,
    prints: Mutex<Fingerprints>,
}

/// Where a new base goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// Into the place of the old one.
    File,
    /// Nowhere: it has no name, and what changed is forgotten with it.
    Scratch(PathBuf),
}

/// Changes that are not durable yet, and what rows under way began with.
#[derive(Debug, Default)]
struct Waiting {
    meta: Meta,
    changes: Changes,
    /// Entries as they were before their EUIDs were marked.
    before: NumberMap<Option<Box<[u8]>>>,
}

/// A row that is to be sent, as far as the state has to know it. Made by [`crate::Looking::to_send`].
#[derive(Debug)]
pub struct ToSend {
    pub(crate) euid: u64,
    pub(crate) before: Option<Box<[u8]>>,
    /// Whether anything of it is known, which it no longer is once the row is sent.
    pub(crate) is_known: bool,
    /// Whether a row of this EUID was found unchanged in this run.
    pub(crate) was_unchanged: bool,
}

impl ToSend {
    /// Whether its EUID must be marked, durably, before it is sent.
    pub fn needs_mark(&self) -> bool {
        self.is_known
    }

    /// Whether an earlier row of its EUID was found unchanged in this run: that must be durable before this one is sent.
    pub fn was_unchanged(&self) -> bool {
        self.was_unchanged
    }
}

/// How a row ended that was sent, with its contacts.
#[derive(Debug)]
pub enum Ended<I> {
    /// By a plain success.
    Accepted(I),
    /// Accepted, but nobody knows whether all of it: the EUID counts as set, its contacts as unknown.
    InPart(I),
    /// Otherwise.
    Failed,
}

/// What a state holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Users of whom it holds a contact.
    pub euids: u64,
    /// Their contacts.
    pub contacts: u64,
    /// Of these, those of which nobody knows what the service holds.
    pub unknown: u64,
    /// Ids of the organisation's own whose user it knows.
    pub ids: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

impl State {
    /// One whose file was opened.
    pub(crate) fn of_file(path: PathBuf, base: Base, newest: Overlay, log: Log, meta: Meta) -> Self {
        Self {
            path,
            place: Place::File,
            prints: Mutex::new(Fingerprints::new(&base.key)),
            tables: RwLock::new(Tables::new(base, newest)),
            waiting: Mutex::new(Waiting { meta, ..Waiting::default() }),
            log: Mutex::new(log),
            limit: MOST_NEWER_BYTES,
        }
    }

    /// A state of its own that begins as this one is and is forgotten in the end: to find out what would become of it.
    /// What doesn't fit into memory goes into files without a name in `folder`.
    #[must_use]
    pub fn scratch(&self, folder: &Path) -> Self {
        let tables = self.tables();
        let mut newest = tables.merging.as_ref().map_or_else(Overlay::default, |merging| merging.copy());
        newest.update(tables.newest.copy());
        let base = Arc::clone(&tables.base);
        let log = Log::begin(Arc::clone(base.file()), base.salt, base.log_at);
        let flags = Flags::new(base.entries);
        Self {
            path: self.path.clone(),
            place: Place::Scratch(folder.to_owned()),
            prints: Mutex::new(self.prints().clone()),
            tables: RwLock::new(Tables { base, flags, merging: None, newest, generation: 0 }),
            waiting: Mutex::new(Waiting { meta: self.meta(), ..Waiting::default() }),
            log: Mutex::new(log),
            limit: self.limit,
        }
    }

    /// A new base is made of what is newer once that takes so many bytes. For tests: the default is right.
    pub fn set_limit(&mut self, bytes: usize) {
        self.limit = bytes;
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is bound to, and its last runs.
    pub fn meta(&self) -> Meta {
        self.waiting().meta.clone()
    }

    /// Changes that; durable with the next [`State::commit`].
    pub fn set_meta(&self, change: impl FnOnce(&mut Meta)) -> Result<(), StateError> {
        let mut waiting = self.waiting();
        let Waiting { meta, changes, .. } = &mut *waiting;
        let before = meta.clone();
        change(meta);
        if *meta == before {
            return Ok(());
        }
        changes.meta(meta).map_err(|cause| self.unwritten(cause))
    }

    /// Looks rows up. One for each thread.
    pub fn looker(self: &Arc<Self>) -> Looker {
        Looker::new(Arc::clone(self))
    }

    /// Rows are about to be sent: nothing that is known of their EUIDs is so any more. Durable with the next
    /// [`State::commit`], which must come before they are sent, where any of them needs a mark.
    pub fn mark(&self, rows: impl IntoIterator<Item = ToSend>) {
        let mut tables = self.tables_mut();
        let mut waiting = self.waiting();
        for ToSend { euid, before, is_known, .. } in rows {
            if let Some(entry) = before.as_deref().filter(|_| is_known).and_then(Entry::at_start_of) {
                let unknown = entry.unknown();
                waiting.changes.entry(euid, &unknown);
                tables.newest.insert(euid, Some(unknown), SEEN);
            }
            waiting.before.insert(euid, before);
        }
    }

    /// A row that was marked ended: its contacts are known from now on where they were accepted, and with `keep_others` so is
    /// what was known of the EUID's other contacts. `at_ms`: how new its values are, in milliseconds since 1970: now, or when
    /// a row that is sent once more was decided. An EUID never counts as set earlier than it did. Durable with some later [`State::commit`].
    pub fn ended<'a>(
        &self,
        euid: Euid,
        ended: Ended<impl Iterator<Item = (&'a str, &'a str)>>,
        at_ms: u64,
        keep_others: bool,
    ) {
        let euid = euid.get();
        let (sent, is_known) = match ended {
            Ended::Accepted(contacts) => (contacts, true),
            Ended::InPart(contacts) => (contacts, false),
            Ended::Failed => {
                self.waiting().before.remove(&euid);
                return;
            }
        };
        let sent: Vec<_> = {
            let mut prints = self.prints();
            sent.map(|(name, value)| prints.of(euid, name, value)).collect()
        };
        let mut tables = self.tables_mut();
        let mut waiting = self.waiting();
        let before = waiting.before.remove(&euid).flatten();
        let before = before.as_deref().and_then(Entry::at_start_of);
        let at_ms = before.map_or(at_ms, |before| before.set_at().max(at_ms));
        let entry = if is_known {
            entry::after_accepted(before, &sent, at_ms, keep_others)
        } else {
            entry::after_some(before, &sent, at_ms)
        };
        waiting.changes.entry(euid, &entry);
        tables.newest.insert(euid, Some(entry), SEEN);
    }

    /// What the service was found to hold of an EUID: these contacts are known from now on, an empty value being one that isn't
    /// there; what is known of others stays. `as_wanted_at_ms`: where all is as a row wants it, when that was, in milliseconds
    /// since 1970: the EUID counts as set then, for rows that are older are not to be sent over it. Durable with some later
    /// [`State::commit`].
    pub fn learn<'a>(
        &self,
        euid: Euid,
        contacts: impl Iterator<Item = (&'a str, &'a str)>,
        as_wanted_at_ms: Option<u64>,
    ) -> Result<(), StateError> {
        let euid = euid.get();
        let read: Vec<_> = {
            let mut prints = self.prints();
            contacts.map(|(name, value)| prints.of(euid, name, value)).collect()
        };
        self.change_entry(euid, |before| {
            let set_at = before.map_or(0, Entry::set_at).max(as_wanted_at_ms.unwrap_or(0));
            Some(entry::after_accepted(before, &read, set_at, true))
        })
    }

    /// Nobody knows any more what the service holds of these contacts, where anything was known. Durable with some later
    /// [`State::commit`].
    pub fn doubt<'a>(&self, euid: Euid, names: impl Iterator<Item = &'a str>) -> Result<(), StateError> {
        let euid = euid.get();
        let tags: Vec<_> = {
            let mut prints = self.prints();
            names.map(|name| prints.of(euid, name, "").0).collect()
        };
        self.change_entry(euid, |before| {
            let before = before?;
            let mut contacts: Vec<_> = before.contacts().collect();
            for (_, print) in contacts.iter_mut().filter(|(tag, _)| tags.contains(tag)) {
                *print = Print::UNKNOWN;
            }
            entry::encode(before.set_at(), &contacts)
        })
    }

    /// Puts another entry in the place of one, where there is one to put.
    pub(crate) fn change_entry(
        &self,
        key: u64,
        change: impl FnOnce(Option<Entry<'_>>) -> Option<Box<[u8]>>,
    ) -> Result<(), StateError> {
        let mut tables = self.tables_mut();
        let mut cursor = Cursor::new();
        let before = tables.find(&mut cursor, key).map_err(|error| self.of_base(error))?;
        let Some(entry) = change(before.map(|found| found.entry)) else { return Ok(()) };
        self.waiting().changes.entry(key, &entry);
        // Only users are seen.
        tables.newest.insert(key, Some(entry), if key < FIRST_ID { SEEN } else { 0 });
        Ok(())
    }

    /// Forgets these EUIDs with their ids, and returns how many of them it knew. Nothing of them stays in the file.
    pub fn forget(&self, euids: impl IntoIterator<Item = Euid>) -> Result<u64, StateError> {
        let mut looker = Cursor::new();
        let mut known = 0;
        let euids: HashSet<u64> = euids.into_iter().map(Euid::get).collect();
        for key in euids.iter().copied().chain(self.ids_of(&euids)?) {
            let mut tables = self.tables_mut();
            let is_known = tables.find(&mut looker, key).map_err(|error| self.of_base(error))?.is_some();
            known += u64::from(is_known && key < FIRST_ID);
            self.waiting().changes.gone(key);
            tables.newest.insert(key, None, SEEN);
        }
        self.compact()?;
        Ok(known)
    }

    /// Where ids of these users stand. What stands in one entry with them goes along: it is asked for again.
    fn ids_of(&self, euids: &HashSet<u64>) -> Result<Vec<u64>, StateError> {
        let mut ids = Vec::new();
        let looked = self.tables().for_each(|key, entry, _| -> Result<(), Stopped> {
            if key >= FIRST_ID && ids::users(entry).any(|user| euids.contains(&user.get())) {
                ids.push(key);
            }
            Ok(())
        });
        looked.map_err(|error| self.stopped(error))?;
        Ok(ids)
    }

    /// Forgets all EUIDs, and returns how many there were. Nothing of them stays in the file; what it is bound to does.
    pub fn forget_all(self) -> Result<u64, StateError> {
        let known = self.figures()?.euids;
        self.replace(merge::write_empty)?;
        Ok(known)
    }

    /// Whether the file that was opened still lies where it lay; a scratch has no place.
    pub(crate) fn has_its_place(&self) -> bool {
        if matches!(self.place, Place::Scratch(_)) {
            return true;
        }
        let file = Arc::clone(self.tables().base.file());
        let (Ok(open), Ok(named)) = (file.metadata(), fs::metadata(&self.path)) else { return false };
        (open.dev(), open.ino()) == (named.dev(), named.ino())
    }

    /// Whether changes wait that nobody needs to be durable yet, and many.
    pub fn has_many_changes(&self) -> bool {
        self.waiting().changes.bytes() >= MANY_CHANGES_BYTES
    }

    /// Makes durable what changed before it was called. Now and then it makes a new file of all, which takes as long as
    /// writing that. Blocks.
    pub fn commit(&self) -> Result<(), StateError> {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        // What another run may have begun in its place knows nothing of this one.
        if !self.has_its_place() {
            return Err(StateError::Replaced(self.path.clone()));
        }
        let changes = std::mem::take(&mut self.waiting().changes);
        if matches!(self.place, Place::File) && !changes.is_empty() {
            log.commit(&changes).map_err(|cause| self.unwritten(cause))?;
        }
        if self.tables().newest.bytes() > self.limit || log.bytes() > MOST_LOG_BYTES {
            self.merge(&mut log)?;
        }
        Ok(())
    }

    /// Makes everything durable, at the end of a run. A log that has become large is merged; where that can't be written, it
    /// stays, and what kept it is returned.
    pub fn finish(&self) -> Result<Option<StateError>, StateError> {
        self.commit()?;
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let is_large = log.bytes() > SMALL_LOG_BYTES && log.bytes() > log.end() / MOST_LOG_SHARE;
        if !is_large || matches!(self.place, Place::Scratch(_)) {
            return Ok(None);
        }
        match self.merge(&mut log) {
            Err(error @ StateError::Write { .. }) => Ok(Some(error)),
            merged => merged.map(|()| None),
        }
    }

    /// Makes everything durable and a new file of it: nothing stays in it of what is no longer so.
    pub fn compact(&self) -> Result<(), StateError> {
        self.commit()?;
        self.merge(&mut self.log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many EUIDs it knows that no row of this run had.
    pub fn vanished(&self) -> Result<u64, StateError> {
        self.tables().unseen().map_err(|error| self.of_base(error))
    }

    /// These EUIDs, ascending. An error of `take` ends it.
    pub fn for_each_vanished(&self, mut take: impl FnMut(Euid) -> io::Result<()>) -> Result<(), StateError> {
        let unseen = self.tables().for_each_unseen(|euid| -> Result<(), Stopped> {
            Euid::new(euid).map_or(Ok(()), |euid| take(euid).map_err(Stopped::Taker))
        });
        unseen.map_err(|error| self.stopped(error))
    }

    /// What it holds. Reads all of it.
    pub fn figures(&self) -> Result<Figures, StateError> {
        let mut figures =
            Figures { bytes: self.log.lock().unwrap_or_else(PoisonError::into_inner).end(), ..Figures::default() };
        let counted = self.tables().for_each(|key, entry, _| -> Result<(), Stopped> {
            if key >= FIRST_ID {
                figures.ids += ids::users(entry).count() as u64;
                return Ok(());
            }
            figures.euids += 1;
            for (_, print) in entry.contacts() {
                figures.contacts += 1;
                figures.unknown += u64::from(print == Print::UNKNOWN);
            }
            Ok(())
        });
        counted.map_err(|error| self.stopped(error))?;
        Ok(figures)
    }

    fn stopped(&self, error: Stopped) -> StateError {
        match error {
            Stopped::Base(error) => of_base(&self.path, error),
            Stopped::Taker(cause) => self.unwritten(cause),
        }
    }

    pub(crate) fn unwritten(&self, cause: io::Error) -> StateError {
        StateError::Write { path: self.path.clone(), cause }
    }

    pub(crate) fn of_base(&self, error: BaseError) -> StateError {
        of_base(&self.path, error)
    }

    // A lock is held only where nothing can panic halfway, so what a panic elsewhere left is whole.
    pub(crate) fn tables(&self) -> RwLockReadGuard<'_, Tables> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn tables_mut(&self) -> RwLockWriteGuard<'_, Tables> {
        self.tables.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn prints(&self) -> MutexGuard<'_, Fingerprints> {
        self.prints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why going over all entries ended early.
enum Stopped {
    Base(BaseError),
    Taker(io::Error),
}

impl From<BaseError> for Stopped {
    fn from(error: BaseError) -> Self {
        Self::Base(error)
    }
}
