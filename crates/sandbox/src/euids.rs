//! The EUIDs that `register` gives: the same for the same id, and others once these were refused.

use crate::fault::{digest, mix};

/// Those given by `register` are at least that, so that others are not mistaken for them.
const FROM: u64 = 1 << 40;
/// So many EUIDs an id has, one after the other.
pub(crate) const GENERATIONS: u64 = 8;

/// An EUID of an id.
pub(crate) fn euid_of(identity_name: &str, value: &str, generation: u64) -> u64 {
    let hash = mix(digest([identity_name, value]));
    FROM + (hash >> 5) * GENERATIONS + generation
}

/// Whether an EUID can be the first that `register` gave an id.
pub(crate) fn may_be_the_first(euid: u64) -> bool {
    euid >= FROM && (euid - FROM).is_multiple_of(GENERATIONS)
}

/// The id whose user this one shares, where it is one of a pair.
pub(crate) fn other_of_pair(value: &str) -> Option<String> {
    let digit = value.bytes().next_back().filter(|byte| byte.is_ascii_digit() && byte % 2 == 1)?;
    let mut other = value[..value.len() - 1].to_owned();
    other.push(char::from(digit - 1));
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_euids_of_their_own() {
        let first = euid_of("user_id", "u-1", 0);
        assert!(may_be_the_first(first) && i64::try_from(first).is_ok());
        assert!((1..GENERATIONS).all(|generation| {
            let euid = euid_of("user_id", "u-1", generation);
            !may_be_the_first(euid) && euid != first
        }));
        assert_ne!(first, euid_of("anonymous_id", "u-1", 0));
        assert_ne!(first, euid_of("user_id", "u-2", 0));
        assert!(!may_be_the_first(8) && !may_be_the_first(10_362_473));
    }

    #[test]
    fn pairs_are_of_neighbouring_digits() {
        assert_eq!(other_of_pair("u-17").as_deref(), Some("u-16"));
        assert_eq!(other_of_pair("ü9").as_deref(), Some("ü8"));
        for alone in ["u-16", "u", "", "u-1x", "٣"] {
            assert_eq!(other_of_pair(alone), None, "{alone}");
        }
    }
}
