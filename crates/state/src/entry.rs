//! What is stored of one EUID, as it lies in the file:
//!
//! | bytes | |
//! |---|---|
//! | 6 | when it was last set, in milliseconds since 1970 |
//! | 2 | how many contacts follow |
//! | 20 each | tag of the name, fingerprint of the value; in order of the tags |

use crate::fingerprint::{Print, Tag};

/// An EUID with more contacts than this isn't remembered: it is always sent.
pub(crate) const MOST_CONTACTS: usize = 1_000;

const HEAD: usize = 8;
const CONTACT: usize = 20;
/// Bytes of the largest.
pub(crate) const LARGEST: usize = HEAD + MOST_CONTACTS * CONTACT;

/// An entry, borrowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a>(&'a [u8]);

impl<'a> Entry<'a> {
    /// The one that these bytes begin with.
    pub(crate) fn at_start_of(bytes: &'a [u8]) -> Option<Self> {
        let count = usize::from(u16::from_le_bytes(*bytes.get(6..HEAD)?.first_chunk()?));
        if count > MOST_CONTACTS {
            return None;
        }
        bytes.get(..HEAD + count * CONTACT).map(Self)
    }

    pub(crate) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// Milliseconds since 1970; 0 where it never was.
    pub(crate) fn set_at(self) -> u64 {
        let mut time = [0; 8];
        time[..6].copy_from_slice(&self.0[..6]);
        u64::from_le_bytes(time)
    }

    pub(crate) fn contacts(self) -> impl ExactSizeIterator<Item = (Tag, Print)> + 'a {
        let (contacts, _) = self.0[HEAD..].as_chunks::<CONTACT>();
        contacts.iter().map(|contact| {
            let (tag, print) = contact.split_at(4);
            let mut bytes = [0; 16];
            bytes.copy_from_slice(print);
            (Tag::from_le_bytes([tag[0], tag[1], tag[2], tag[3]]), Print(bytes))
        })
    }

    /// What is stored under a tag.
    pub(crate) fn get(self, tag: Tag) -> Option<Print> {
        self.contacts().find(|(stored, _)| *stored == tag).map(|(_, print)| print)
    }

    /// Whether exactly this value is known to be there: no more is read than that takes.
    pub(crate) fn has(self, tag: Tag, print: Print) -> bool {
        let (contacts, _) = self.0[HEAD..].as_chunks::<CONTACT>();
        let tag = tag.to_le_bytes();
        contacts.iter().any(|contact| contact[..4] == tag && contact[4..] == print.0)
    }

    /// Whether anything of it is known.
    pub(crate) fn knows_any(self) -> bool {
        self.contacts().any(|(_, print)| print != Print::UNKNOWN)
    }

    /// The same names, of none of which anything is known.
    pub(crate) fn unknown(self) -> Box<[u8]> {
        let mut bytes: Box<[u8]> = self.0.into();
        let (contacts, _) = bytes[HEAD..].as_chunks_mut::<CONTACT>();
        for contact in contacts {
            contact[4..].copy_from_slice(&Print::UNKNOWN.0);
        }
        bytes
    }
}

/// An entry of these contacts, in the order of their tags; none where there are too many.
pub(crate) fn encode(set_at: u64, contacts: &[(Tag, Print)]) -> Option<Box<[u8]>> {
    let count = u16::try_from(contacts.len()).ok().filter(|count| usize::from(*count) <= MOST_CONTACTS)?;
    let mut bytes = Vec::with_capacity(HEAD + contacts.len() * CONTACT);
    bytes.extend_from_slice(&set_at.to_le_bytes()[..6]);
    bytes.extend_from_slice(&count.to_le_bytes());
    for (tag, Print(print)) in contacts {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(print);
    }
    Some(bytes.into())
}

/// What an entry becomes after a request with these names was accepted that may not have set all of them: nothing is known.
pub(crate) fn after_some(before: Option<Entry<'_>>, sent: &[(Tag, Print)], set_at: u64) -> Box<[u8]> {
    let unknown: Vec<_> = sent.iter().map(|(tag, _)| (*tag, Print::UNKNOWN)).collect();
    after_accepted(before, &unknown, set_at, false)
}

/// What an entry becomes after a request with these contacts was accepted: they are known. Of those that it left out
/// nothing is, or with `keep_others` what was.
pub(crate) fn after_accepted(
    before: Option<Entry<'_>>,
    sent: &[(Tag, Print)],
    set_at: u64,
    keep_others: bool,
) -> Box<[u8]> {
    // Of one with too many only the time is kept.
    let of_nothing = || encode(set_at, &[]).unwrap_or_default();
    if sent.len() > MOST_CONTACTS {
        return of_nothing();
    }
    let mut contacts: Vec<(Tag, Print)> = Vec::with_capacity(sent.len());
    for (tag, print) in before.into_iter().flat_map(Entry::contacts) {
        contacts.push((tag, if keep_others { print } else { Print::UNKNOWN }));
    }
    for (tag, print) in sent {
        match contacts.iter_mut().find(|(stored, _)| stored == tag) {
            Some((_, stored)) => *stored = *print,
            None => contacts.push((*tag, *print)),
        }
    }
    contacts.sort_unstable_by_key(|(tag, _)| *tag);
    encode(set_at, &contacts).unwrap_or_else(of_nothing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(byte: u8) -> Print {
        Print([byte; 16])
    }

    #[test]
    fn comes_out_as_it_went_in() {
        let bytes = encode(0x0000_1234_5678_9abc, &[(1, print(7)), (9, Print::UNKNOWN)]).unwrap();
        let longer = [&*bytes, &[1, 2, 3]].concat();
        let entry = Entry::at_start_of(&longer).unwrap();
        assert_eq!((entry.bytes(), entry.set_at()), (&*bytes, 0x0000_1234_5678_9abc));
        assert_eq!(entry.contacts().collect::<Vec<_>>(), [(1, print(7)), (9, Print::UNKNOWN)]);
        assert!(entry.has(1, print(7)) && !entry.has(1, print(8)) && !entry.has(2, print(7)));
        assert_eq!((entry.get(9), entry.get(2)), (Some(Print::UNKNOWN), None));
        assert!(entry.knows_any() && !Entry::at_start_of(&entry.unknown()).unwrap().knows_any());
        for cut in 0..bytes.len() {
            assert_eq!(Entry::at_start_of(&bytes[..cut]), None);
        }
        let most: Vec<(Tag, Print)> = (0..=MOST_CONTACTS as Tag).map(|tag| (tag, print(1))).collect();
        assert!(encode(0, &most).is_none());
        assert_eq!(encode(0, &most[1..]).unwrap().len(), LARGEST);
    }

    #[test]
    fn what_was_accepted_is_known_and_nothing_else() {
        let before = encode(5, &[(2, print(2)), (4, print(4))]).unwrap();
        let before = Entry::at_start_of(&before).unwrap();
        let sent = [(3, print(3)), (2, print(9))];
        let of = |keep| after_accepted(Some(before), &sent, 6, keep);
        let contacts = |bytes: &[u8]| Entry::at_start_of(bytes).unwrap().contacts().collect::<Vec<_>>();
        assert_eq!(contacts(&of(false)), [(2, print(9)), (3, print(3)), (4, Print::UNKNOWN)]);
        assert_eq!(contacts(&of(true)), [(2, print(9)), (3, print(3)), (4, print(4))]);
        let some = after_some(Some(before), &sent, 6);
        assert_eq!(contacts(&some), [(2, Print::UNKNOWN), (3, Print::UNKNOWN), (4, Print::UNKNOWN)]);
        let many: Vec<(Tag, Print)> = (0..=MOST_CONTACTS as Tag).map(|tag| (tag, print(1))).collect();
        for entry in [of(true), some, after_accepted(None, &many, 6, true), after_some(None, &sent, 6)] {
            assert_eq!(Entry::at_start_of(&entry).unwrap().set_at(), 6);
        }
        assert_eq!(contacts(&after_accepted(None, &many, 6, true)), []);
        assert_eq!(contacts(&after_accepted(None, &sent, 6, true)), [(2, print(9)), (3, print(3))]);
    }
}
