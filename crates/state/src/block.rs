//! A block: entries of neighbouring EUIDs, checked as a whole before any of it is believed.
//!
//! | bytes | |
//! |---|---|
//! | 8 | XXH3 of what follows, seeded by the file's salt and the block's place |
//! | 4 | how many entries there are |
//! | 8 each | EUIDs, ascending |
//! | 4 each | where its entry begins, counted from the block's start |
//! | | the entries |

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::entry::{Entry, LARGEST};

/// A block is closed once it has so many bytes.
const FULL: usize = 4_096;
const HEAD: usize = 12;
/// No block is larger.
pub(crate) const LARGEST_BLOCK: usize = FULL + LARGEST + HEAD + 24;

/// A checksum of bytes at a place in a file of this salt.
pub(crate) fn checksum(salt: u64, at: u64, bytes: &[u8]) -> u64 {
    xxh3_64_with_seed(bytes, salt.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// A block that was checked.
#[derive(Debug, Default)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    count: usize,
}

impl Block {
    /// Takes over what stands at a place of the file, read into `bytes` by the caller. Whether it is what was written there.
    pub(crate) fn load<E>(
        &mut self,
        salt: u64,
        at: u64,
        length: usize,
        read: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<bool, E> {
        self.count = 0;
        self.bytes.resize(length, 0);
        read(&mut self.bytes)?;
        let Some((sum, rest)) = self.bytes.split_first_chunk::<8>() else { return Ok(false) };
        let Some(count) = rest.first_chunk::<4>() else { return Ok(false) };
        let count = u32::from_le_bytes(*count) as usize;
        if u64::from_le_bytes(*sum) != checksum(salt, at, rest) || HEAD + count.saturating_mul(12) > length {
            return Ok(false);
        }
        self.count = count;
        Ok(true)
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    fn euids(&self) -> &[[u8; 8]] {
        self.bytes.get(HEAD..HEAD + self.count * 8).unwrap_or_default().as_chunks().0
    }

    pub(crate) fn euid(&self, index: usize) -> Option<u64> {
        self.euids().get(index).map(|euid| u64::from_le_bytes(*euid))
    }

    pub(crate) fn entry(&self, index: usize) -> Option<Entry<'_>> {
        let starts = self.bytes.get(HEAD + self.count * 8..HEAD + self.count * 12)?;
        let start = u32::from_le_bytes(*starts.as_chunks::<4>().0.get(index)?);
        Entry::at_start_of(self.bytes.get(start as usize..)?)
    }

    /// Where an EUID stands, looking first at `near` and right behind it.
    pub(crate) fn find(&self, euid: u64, near: usize) -> Option<usize> {
        let euids = self.euids();
        for index in [near, near + 1] {
            if euids.get(index).is_some_and(|found| u64::from_le_bytes(*found) == euid) {
                return Some(index);
            }
        }
        euids.binary_search_by_key(&euid, |found| u64::from_le_bytes(*found)).ok()
    }
}

/// A block that is being made.
#[derive(Debug, Default)]
pub(crate) struct BlockWriter {
    euids: Vec<u64>,
    starts: Vec<u32>,
    entries: Vec<u8>,
}

impl BlockWriter {
    pub(crate) fn push(&mut self, euid: u64, entry: &[u8]) {
        self.euids.push(euid);
        self.starts.push(self.entries.len() as u32);
        self.entries.extend_from_slice(entry);
    }

    pub(crate) fn first(&self) -> Option<u64> {
        self.euids.first().copied()
    }

    pub(crate) fn is_full(&self) -> bool {
        HEAD + self.euids.len() * 12 + self.entries.len() >= FULL
    }

    /// The whole block, to be written at a place of a file of this salt; begins another one.
    pub(crate) fn finish(&mut self, salt: u64, at: u64, into: &mut Vec<u8>) {
        into.clear();
        into.extend_from_slice(&[0; 8]);
        into.extend_from_slice(&(self.euids.len() as u32).to_le_bytes());
        for euid in &self.euids {
            into.extend_from_slice(&euid.to_le_bytes());
        }
        let entries_at = (HEAD + self.euids.len() * 12) as u32;
        for start in &self.starts {
            into.extend_from_slice(&(entries_at + start).to_le_bytes());
        }
        into.extend_from_slice(&self.entries);
        let sum = checksum(salt, at, &into[8..]);
        into[..8].copy_from_slice(&sum.to_le_bytes());
        self.euids.clear();
        self.starts.clear();
        self.entries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entry::encode, fingerprint::Print};

    fn block(entries: &[(u64, Box<[u8]>)]) -> Vec<u8> {
        let mut writer = BlockWriter::default();
        for (euid, entry) in entries {
            writer.push(*euid, entry);
        }
        let mut bytes = Vec::new();
        writer.finish(3, 4_096, &mut bytes);
        bytes
    }

    fn load(bytes: &[u8], salt: u64, at: u64) -> Option<Block> {
        let mut block = Block::default();
        let read = |into: &mut [u8]| -> Result<(), ()> {
            into.copy_from_slice(bytes);
            Ok(())
        };
        block.load(salt, at, bytes.len(), read).unwrap().then_some(block)
    }

    #[test]
    fn every_entry_is_found_and_nothing_else() {
        let entries: Vec<(u64, Box<[u8]>)> =
            (1..=50).map(|euid| (euid * 3, encode(euid, &[(1, Print([euid as u8; 16]))]).unwrap())).collect();
        let block = load(&block(&entries), 3, 4_096).unwrap();
        assert_eq!(block.len(), 50);
        for near in [0, 7, 49, 50, 1_000] {
            for (index, (euid, entry)) in entries.iter().enumerate() {
                assert_eq!(block.find(*euid, near), Some(index));
                assert_eq!(block.euid(index), Some(*euid));
                assert_eq!(block.entry(index).unwrap().bytes(), &**entry);
                assert_eq!(block.find(euid + 1, near), None);
            }
        }
        assert!(block.entry(50).is_none() && block.find(0, 0).is_none());
    }

    #[test]
    fn what_was_not_written_there_is_not_believed() {
        let bytes = block(&[(5, encode(1, &[(1, Print([1; 16]))]).unwrap())]);
        assert!(load(&bytes, 3, 4_096).is_some());
        assert!(load(&bytes, 4, 4_096).is_none(), "another file's");
        assert!(load(&bytes, 3, 8_192).is_none(), "another place's");
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1;
            assert!(load(&flipped, 3, 4_096).is_none(), "byte {at}");
            assert!(load(&bytes[..at], 3, 4_096).is_none(), "cut at {at}");
        }
    }
}
