//! Which users belong to an organisation's own ids. An id is held as a keyed fingerprint of 127 bits, like a value: 63 of
//! them, above the numbers that an EUID can have, are where its entry stands.

use model::{Euid, IdentityKind};

use crate::{
    entry::{self, Entry},
    error::StateError,
    fingerprint::{Fingerprints, Print, Tag},
    look::Looking,
    state::State,
    tables::Found,
};

/// Entries from here on are those of ids: no EUID is as large.
pub(crate) const FIRST_ID: u64 = 1 << 63;
/// What stands in the place of a code that an entry can't hold.
const OTHER_CODE: i32 = i32::MIN;

/// What the service said of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownId {
    /// Whose it is.
    pub user: IdUser,
    /// When that was learnt, in milliseconds since 1970.
    pub at_ms: u64,
}

impl KnownId {
    /// The user, where there is one.
    pub fn user(self) -> Option<Euid> {
        match self.user {
            IdUser::Known(euid) => Some(euid),
            IdUser::Nobody(_) => None,
        }
    }
}

/// Whose an id is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdUser {
    /// This user's.
    Known(Euid),
    /// Nobody's: the service gave no user, or refused the id with this code. That holds for the run in which it was said.
    Nobody(Option<i64>),
}

/// Where an id's entry stands, and what tells it from others there.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: u64,
    tag: Tag,
    rest: [u8; 4],
}

impl Place {
    fn of(prints: &Fingerprints, kind: IdentityKind, id: &str) -> Self {
        let [high, low] = prints.of_id(kind, id);
        let (tag, rest) = (low as Tag, (low >> 32) as u32);
        Self { key: FIRST_ID | high >> 1, tag, rest: rest.to_le_bytes() }
    }

    fn is(&self, tag: Tag, print: Print) -> bool {
        tag == self.tag && print.0[8..12] == self.rest
    }

    fn find(&self, entry: Entry<'_>) -> Option<KnownId> {
        let (_, Print(print)) = entry.contacts().find(|(tag, print)| self.is(*tag, *print))?;
        Some(KnownId { user: user_of(print)?, at_ms: entry.set_at() })
    }

    fn print(&self, user: IdUser) -> Print {
        let (number, code) = match user {
            IdUser::Known(euid) => (euid.get(), 0),
            IdUser::Nobody(code) => (0, code.map_or(0, |code| i32::try_from(code).unwrap_or(OTHER_CODE))),
        };
        let mut print = [0; 16];
        print[..8].copy_from_slice(&number.to_le_bytes());
        print[8..12].copy_from_slice(&self.rest);
        print[12..].copy_from_slice(&code.to_le_bytes());
        Print(print)
    }
}

fn user_of(print: [u8; 16]) -> Option<IdUser> {
    let number = u64::from_le_bytes(*print.first_chunk()?);
    let code = i32::from_le_bytes(*print.last_chunk()?);
    Some(match (number, code) {
        (0, 0 | OTHER_CODE) => IdUser::Nobody(None),
        (0, code) => IdUser::Nobody(Some(code.into())),
        (number, _) => IdUser::Known(Euid::new(number)?),
    })
}

/// The users in an entry of ids.
pub(crate) fn users(entry: Entry<'_>) -> impl Iterator<Item = Euid> + '_ {
    entry.contacts().filter_map(|(_, Print(print))| match user_of(print)? {
        IdUser::Known(euid) => Some(euid),
        IdUser::Nobody(_) => None,
    })
}

impl Looking<'_> {
    /// What is known of an id.
    pub fn id(&mut self, kind: IdentityKind, id: &str) -> Result<Option<KnownId>, StateError> {
        let place = Place::of(self.prints, kind, id);
        let found = self.tables.find(self.id_cursor, place.key).map_err(|error| self.state.of_base(error))?;
        Ok(found.and_then(|Found { entry, .. }| place.find(entry)))
    }
}

impl State {
    /// The service said whose these ids are. `at_ms`: when, in milliseconds since 1970. Durable with some later
    /// [`State::commit`].
    pub fn learn_ids<'a>(
        &self,
        kind: IdentityKind,
        ids: impl IntoIterator<Item = (&'a str, IdUser)>,
        at_ms: u64,
    ) -> Result<(), StateError> {
        let places: Vec<_> = {
            let prints = self.prints();
            ids.into_iter().map(|(id, user)| (Place::of(&prints, kind, id), user)).collect()
        };
        for (place, user) in places {
            self.change_entry(place.key, |before| {
                let others =
                    before.into_iter().flat_map(Entry::contacts).filter(|(tag, print)| !place.is(*tag, *print));
                let mut all: Vec<_> = others.chain([(place.tag, place.print(user))]).collect();
                all.sort_unstable_by_key(|(tag, _)| *tag);
                entry::encode(at_ms, &all)
            })?;
        }
        Ok(())
    }
}
