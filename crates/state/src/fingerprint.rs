//! Contacts as the file knows them: a tag for the name, a keyed fingerprint for the value.

use model::IdentityKind;
use siphasher::sip128::SipHasher24;

/// The key of a file's fingerprints, made at random.
pub(crate) type Key = [u8; 16];

/// A contact's name within an entry. Two names of one tag take turns in it, and are then never found unchanged.
pub(crate) type Tag = u32;

/// The fingerprint of an EUID's value under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Print(pub(crate) [u8; 16]);

impl Print {
    /// What stands there where nobody knows what the service holds: no value has this fingerprint.
    pub(crate) const UNKNOWN: Self = Self([0; 16]);
}

/// Names whose keys are kept: those of any table.
const MOST_NAMES: usize = 64;

/// Makes fingerprints. Keeps what depends on a name alone.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprints {
    whole: SipHasher24,
    names: Vec<(Box<str>, NameKey)>,
    scratch: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct NameKey {
    tag: Tag,
    hasher: SipHasher24,
}

impl Fingerprints {
    pub(crate) fn new(key: &Key) -> Self {
        Self { whole: SipHasher24::new_with_key(key), names: Vec::new(), scratch: Vec::new() }
    }

    /// Of one contact.
    pub(crate) fn of(&mut self, euid: u64, name: &str, value: &str) -> (Tag, Print) {
        let NameKey { tag, hasher } = self.name_key(name);
        self.scratch.clear();
        self.scratch.extend_from_slice(&euid.to_le_bytes());
        self.scratch.extend_from_slice(value.as_bytes());
        let mut print = hasher.hash(&self.scratch).as_bytes();
        if print == Print::UNKNOWN.0 {
            print[0] = 1;
        }
        (tag, Print(print))
    }

    /// Of an id, in two words.
    pub(crate) fn of_id(&self, kind: IdentityKind, id: &str) -> [u64; 2] {
        // Apart from what names are made of.
        let mut bytes = Vec::with_capacity(2 + id.len());
        bytes.extend_from_slice(&[2, kind as u8]);
        bytes.extend_from_slice(id.as_bytes());
        let hash = self.whole.hash(&bytes);
        [hash.h1, hash.h2]
    }

    fn name_key(&mut self, name: &str) -> NameKey {
        if let Some((_, key)) = self.names.iter().find(|(known, _)| **known == *name) {
            return *key;
        }
        // One byte in front keeps what the two are made of apart.
        let of = |what: u8| {
            let mut bytes = vec![what];
            bytes.extend_from_slice(name.as_bytes());
            self.whole.hash(&bytes)
        };
        let key = NameKey { tag: of(0).h1 as Tag, hasher: SipHasher24::new_with_key(&of(1).as_bytes()) };
        if self.names.len() < MOST_NAMES {
            self.names.push((name.into(), key));
        }
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_euid_name_and_value_all_count() {
        let mut prints = Fingerprints::new(&[1; 16]);
        let one = prints.of(1, "email", "a@example.com");
        assert_eq!(one, prints.of(1, "email", "a@example.com"));
        assert_eq!(one, Fingerprints::new(&[1; 16]).of(1, "email", "a@example.com"));
        for other in [
            prints.of(2, "email", "a@example.com"),
            prints.of(1, "mail", "a@example.com"),
            prints.of(1, "email", "b@example.com"),
            prints.of(1, "email", ""),
            Fingerprints::new(&[2; 16]).of(1, "email", "a@example.com"),
        ] {
            assert_ne!(one.1, other.1);
        }
        assert_eq!(one.0, prints.of(9, "email", "").0, "the tag is the name's");
        for name in 0..1_000 {
            let name = name.to_string();
            assert_eq!(prints.of(1, &name, "x"), Fingerprints::new(&[1; 16]).of(1, &name, "x"));
        }
    }
}
