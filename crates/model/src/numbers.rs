//! Hashing of numbers that nobody chooses to collide: of rows and EUIDs.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map by numbers.
pub type NumberMap<T> = HashMap<u64, T, BuildHasherDefault<NumberHasher>>;

/// Two odd numbers without a pattern: digits of π and of e.
const PI: u64 = 0x243f_6a88_85a3_08d3;
const E: u64 = 0xb7e1_5162_8aed_2a6b;

/// Hashes a number.
#[derive(Debug, Default)]
pub struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write_u64(&mut self, number: u64) {
        self.0 = mixed(self.0, number);
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Every bit of both numbers may change every bit of this.
pub fn mixed(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ PI) * u128::from(b ^ E);
    let folded = wide as u64 ^ (wide >> 64) as u64;
    let wide = u128::from(folded ^ a.rotate_left(32)) * u128::from(PI ^ b.rotate_left(17));
    wide as u64 ^ (wide >> 64) as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbours_are_told_apart() {
        let numbers: HashSet<u64> = (0..300).flat_map(|a| (0..300).map(move |b| mixed(a, b))).collect();
        assert_eq!(numbers.len(), 90_000);
        // Sums of digests, of rows whose EUIDs were exchanged.
        let sum = |euids: [u64; 2]| mixed(1, euids[0]).wrapping_add(mixed(2, euids[1]));
        assert!((1..2_000).all(|euid| sum([euid, euid + 1]) != sum([euid + 1, euid])));
    }

    #[test]
    fn no_number_makes_the_others_alike() {
        for special in [PI, E, 0, u64::MAX] {
            let of_first: HashSet<u64> = (0..10_000).map(|b| mixed(special, b)).collect();
            let of_second: HashSet<u64> = (0..10_000).map(|a| mixed(a, special)).collect();
            assert_eq!((of_first.len(), of_second.len()), (10_000, 10_000), "{special:x}");
        }
    }
}
