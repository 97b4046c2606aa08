use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::{ledger::Ledger, place::Which};

/// What such a file begins with; the length and a checksum of what follows the line stand behind it.
const MAGIC: &str = "contactsync shared rate 1 ";
/// The same, without the number of the format.
const MAGIC_OF_ANY: &str = "contactsync shared rate ";

/// What stands in the file: `contactsync shared rate 1 <length> <checksum>`, a line of JSON, and what longer contents have left.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Contents {
    /// The clock whose times it holds.
    clock: String,
    sending: Ledger,
    reading: Ledger,
}

/// Why it can't be taken as such a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It is something else.
    Foreign,
    /// It is one of a version with another format.
    OtherVersion,
    /// It holds the times of another clock.
    OtherClock,
}

impl Contents {
    /// Of an empty file, and of one that was not written to its end (a machine that lost power), nothing is known.
    pub(super) fn read(bytes: &[u8], clock: &str) -> Result<Self, Unreadable> {
        let nothing = || Self::empty(clock);
        // A disk that lost power may have kept the length alone.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(nothing());
        }
        let Some(rest) = bytes.strip_prefix(MAGIC.as_bytes()) else {
            let is_ours = bytes.starts_with(MAGIC_OF_ANY.as_bytes());
            return Err(if is_ours { Unreadable::OtherVersion } else { Unreadable::Foreign });
        };
        match checked(rest).and_then(|json| serde_json::from_slice::<Self>(json).ok()) {
            Some(contents) if contents.clock != clock => Err(Unreadable::OtherClock),
            contents => Ok(contents.unwrap_or_else(nothing)),
        }
    }

    /// Of which nothing is known yet.
    pub(super) fn empty(clock: &str) -> Self {
        Self { clock: clock.to_owned(), ..Self::default() }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        // Numbers, strings and maps by strings always serialise; else the file would hold nothing, and be read as such.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = format!("{MAGIC}{} {:016x}\n", json.len(), xxh3_64(&json)).into_bytes();
        bytes.extend(json);
        bytes.push(b'\n');
        bytes
    }

    pub(super) fn ledger(&mut self, which: Which) -> &mut Ledger {
        match which {
            Which::Sending => &mut self.sending,
            Which::Reading => &mut self.reading,
        }
    }
}

/// What the first line vouches for.
fn checked(rest: &[u8]) -> Option<&[u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let line = std::str::from_utf8(&rest[..end]).ok()?;
    let (length, sum) = line.split_once(' ')?;
    let json = rest.get(end + 1..)?.get(..length.parse().ok()?)?;
    (u64::from_str_radix(sum, 16).ok()? == xxh3_64(json)).then_some(json)
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
