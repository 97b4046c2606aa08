//! A new file of what the old one holds and what is newer.

use std::{
    fs::{self, File},
    sync::Arc,
};

use crate::{
    base::{Base, BaseError},
    error::StateError,
    flags::Flags,
    log::Log,
    merge::{self, MergeError, Written, beside},
    meta::Meta,
    opening::of_base,
    overlay::Overlay,
    state::{Place, State},
    tables::{Tables, merged},
};

impl State {
    /// Makes a new base of the old one and what is newer. Meanwhile rows can be looked up, marked and ended.
    pub(crate) fn merge(&self, log: &mut Log) -> Result<(), StateError> {
        let (base, newer) = {
            let mut tables = self.tables_mut();
            let newer = Arc::new(std::mem::take(&mut tables.newest));
            tables.merging = Some(Arc::clone(&newer));
            (Arc::clone(&tables.base), newer)
        };
        let written = self.write_merged(&base, &newer);
        let mut tables = self.tables_mut();
        tables.merging = None;
        match written {
            Ok(Written { base, log: new_log }) => {
                // What was seen meanwhile is noted where it stood until now.
                let flags = carried_flags(&tables, &newer, base.entries).map_err(|error| of_base(&self.path, error))?;
                tables.base = Arc::new(base);
                tables.flags = flags;
                tables.generation += 1;
                *log = new_log;
                Ok(())
            }
            Err(error) => {
                let newest = std::mem::take(&mut tables.newest);
                let mut all = Arc::try_unwrap(newer).unwrap_or_else(|newer| newer.copy());
                all.update(newest);
                tables.newest = all;
                Err(error)
            }
        }
    }

    fn write_merged(&self, base: &Base, newer: &Overlay) -> Result<Written, StateError> {
        if let Place::Scratch(folder) = &self.place {
            let path = folder.join(format!(".contactsync-state-{}", std::process::id()));
            let file = merge::create(&path).and_then(|file| fs::remove_file(&path).map(|()| file));
            let file = file.map_err(|cause| self.unwritten(cause))?;
            return merge::write(file, base, newer, &self.meta(), false).map_err(|error| self.unmerged(error));
        }
        self.replace(|file, meta| merge::write(file, base, newer, meta, true))
    }

    /// Writes another file and puts it in the place of this one.
    pub(crate) fn replace(
        &self,
        write: impl FnOnce(File, &Meta) -> Result<Written, MergeError>,
    ) -> Result<Written, StateError> {
        let path = beside(&self.path);
        let placed = merge::create(&path).map_err(MergeError::New).and_then(|file| {
            // Nobody may take it before it has its place.
            file.lock()?;
            let written = write(file, &self.meta())?;
            if !self.has_its_place() {
                return Err(MergeError::Replaced);
            }
            fs::rename(&path, &self.path)?;
            merge::sync_folder(&self.path)?;
            Ok(written)
        });
        if placed.is_err() {
            // It may not be there at all.
            let _ = fs::remove_file(&path);
        }
        placed.map_err(|error| self.unmerged(error))
    }

    fn unmerged(&self, error: MergeError) -> StateError {
        match error {
            MergeError::Old(error) => of_base(&self.path, error),
            MergeError::New(cause) => self.unwritten(cause),
            MergeError::Replaced => StateError::Replaced(self.path.clone()),
        }
    }
}

/// The flags of a new base that was made of an old one and what was newer than that.
fn carried_flags(tables: &Tables, newer: &Overlay, entries: u64) -> Result<Flags, BaseError> {
    let flags = Flags::new(entries);
    let mut position = 0;
    merged(&tables.base, &tables.flags, newer, &mut |_, _, carried| -> Result<(), BaseError> {
        flags.add(position, carried);
        position += 1;
        Ok(())
    })?;
    Ok(flags)
}
