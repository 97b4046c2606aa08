use std::{fmt, str::FromStr};

use serde::{Serialize, Serializer};

use crate::{Euid, limits::MOST_SHARDS};

/// One of several shards of the rows, each of which a run of its own takes. All rows of a user are in one of them.
///
/// Which one that is never changes: states and reports are bound to it. It is the number `SplitMix64` gives first with the
/// EUID as its seed, modulo the count of shards. An id of the organisation's own has the 64-bit FNV-1a of its bytes as its
/// seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    // In this order: shards of one count stand together.
    count: u32,
    number: u32,
}

/// Why a text names no shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ShardFault {
    /// It isn't two numbers.
    #[error("say a shard as K/N, as 0/4: the first of four")]
    Form,
    /// There can't be so many.
    #[error("there are 1 to {MOST_SHARDS} shards")]
    Count,
    /// There are not as many.
    #[error("shards are counted from 0: the last of {0} is {last}/{0}", last = .0 - 1)]
    Number(u32),
}

impl Shard {
    /// One of so many: the first is number 0.
    pub fn new(number: u32, count: u32) -> Result<Self, ShardFault> {
        match count {
            1..=MOST_SHARDS if number < count => Ok(Self { count, number }),
            1..=MOST_SHARDS => Err(ShardFault::Number(count)),
            _ => Err(ShardFault::Count),
        }
    }

    /// Which one it is, from 0.
    pub fn number(self) -> u32 {
        self.number
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether the rows of this EUID are in it.
    pub fn has_euid(self, euid: Euid) -> bool {
        self.has(split_mix(euid.get()))
    }

    /// Whether the rows of this id are in it.
    pub fn has_id(self, id: &str) -> bool {
        self.has(split_mix(fnv1a(id.as_bytes())))
    }

    /// Whether a row of which nobody can say whose it is is in it: these are dealt out in turn. `row`: from 1 in its source.
    pub fn has_row(self, row: u64) -> bool {
        self.has(row)
    }

    fn has(self, number: u64) -> bool {
        number % u64::from(self.count) == u64::from(self.number)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl Serialize for Shard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl FromStr for Shard {
    type Err = ShardFault;

    fn from_str(text: &str) -> Result<Self, ShardFault> {
        let number = |digits: &str| {
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            // Digits alone: what is no number has too many of them.
            is_number.then(|| digits.parse().unwrap_or(u32::MAX)).ok_or(ShardFault::Form)
        };
        let (which, count) = text.split_once('/').ok_or(ShardFault::Form)?;
        Self::new(number(which)?, number(count)?)
    }
}

/// The first number of `SplitMix64` with this seed. Every bit of the seed may change every bit of it.
fn split_mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The 64-bit FNV-1a.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shards(count: u32) -> impl Iterator<Item = Shard> {
        (0..count).map(move |number| Shard::new(number, count).unwrap())
    }

    /// The shard that something is in; it is in no other.
    fn shard_of(count: u32, is_in: impl Fn(Shard) -> bool) -> u32 {
        let all: Vec<u32> = shards(count).filter(|shard| is_in(*shard)).map(Shard::number).collect();
        assert_eq!(all.len(), 1, "{all:?} of {count}");
        all[0]
    }

    /// The published first numbers of both functions: what anybody else computes.
    #[test]
    fn the_hashes_are_the_published_ones() {
        assert_eq!(split_mix(1_234_567), 6_457_827_717_110_365_317);
        assert_eq!(split_mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    /// States and reports rest on these: a change of one sends a user's rows to another shard than its state.
    #[test]
    fn who_is_in_which_shard_never_changes() {
        let euid = |number, count| shard_of(count, |shard| shard.has_euid(Euid::new(number).unwrap()));
        let of = |number| [1, 2, 3, 4, 8, 10, 64, 1_000, 100_000].map(|count| euid(number, count));
        assert_eq!(of(1), [0, 1, 2, 1, 1, 5, 1, 465, 22_465]);
        assert_eq!(of(7), [0, 1, 0, 3, 7, 7, 23, 487, 74_487]);
        assert_eq!(of(10_362_473), [0, 1, 2, 3, 7, 9, 47, 79, 92_079]);
        assert_eq!(of(i64::MAX as u64), [0, 1, 0, 3, 7, 9, 39, 39, 52_039]);
        let id = |id: &str| [1, 2, 3, 4, 8, 10, 64, 1_000, 100_000].map(|count| shard_of(count, |it| it.has_id(id)));
        assert_eq!(id("crm-1"), [0, 1, 0, 3, 7, 3, 31, 143, 62_143]);
        assert_eq!(id("zoë@example.com"), [0, 0, 1, 2, 6, 4, 54, 654, 65_654]);
        assert_eq!(id("7"), [0, 0, 2, 0, 0, 6, 0, 416, 88_416]);
    }

    #[test]
    fn neighbours_are_spread_evenly_over_any_number_of_shards() {
        for count in [2_u32, 3, 4, 7, 8, 16, 60, 64, 100, 128] {
            for step in [1, 2, 10, 64, 1_000, 1 << 32] {
                let rows_each = 1_000;
                let mut rows = vec![0_u32; count as usize];
                for nth in 0..u64::from(count) * rows_each {
                    let seed = 10_000_000 + nth * step;
                    rows[(split_mix(seed) % u64::from(count)) as usize] += 1;
                }
                // Six times the deviation of a fair die.
                let fair = rows_each as f64;
                let most = fair.sqrt() * 6.0;
                for (shard, rows) in rows.iter().enumerate() {
                    let off = (f64::from(*rows) - fair).abs();
                    assert!(off < most, "{rows} rows in {shard}/{count}, in steps of {step}");
                }
            }
        }
    }

    #[test]
    fn rows_of_nobody_are_dealt_out_in_turn() {
        let of = |row| shard_of(4, |shard| shard.has_row(row));
        assert_eq!([1, 2, 3, 4, 5, 8].map(of), [1, 2, 3, 0, 1, 0]);
        assert!(Shard::new(0, 1).unwrap().has_row(u64::MAX));
    }

    #[test]
    fn a_shard_is_read_as_it_is_shown() {
        for text in ["0/1", "0/4", "3/4", "99999/100000"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        assert_eq!("007/08".parse::<Shard>().unwrap().to_string(), "7/8");
        for text in ["", "/", "1", "1/", "/4", "+1/4", "-1/4", "1/+4", " 1/4", "1/4 ", "1/4/4", "a/4", "1/x", "１/4"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardFault::Form), "{text:?}");
        }
        for text in ["0/0", "0/100001", "0/99999999999999999999"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardFault::Count), "{text}");
        }
        for text in ["4/4", "5/4", "99999999999999999999/4"] {
            assert_eq!(text.parse::<Shard>(), Err(ShardFault::Number(4)), "{text}");
        }
        assert_eq!(ShardFault::Number(4).to_string(), "shards are counted from 0: the last of 4 is 3/4");
    }
}
