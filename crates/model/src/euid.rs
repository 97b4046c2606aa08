use serde::Serialize;

/// EngageLab's unique user id: 1 ..= 9223372036854775807, a `Long` in the API documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Euid(u64);

/// Why a text is no EUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EuidFault {
    /// Nothing but ASCII blanks.
    Blank,
    /// Something other than ASCII digits.
    NotDigits,
    /// Digits, but 0 or above 9223372036854775807.
    OutOfRange,
}

impl Euid {
    /// Reads ASCII digits, blanks and tabs around them trimmed. Leading zeros are accepted: the number decides.
    pub fn parse(text: &str) -> Result<Self, EuidFault> {
        let digits = text.trim_matches([' ', '\t', '\r', '\n']);
        if digits.is_empty() {
            return Err(EuidFault::Blank);
        }
        let mut number: u64 = 0;
        let mut overflow = false;
        for byte in digits.bytes() {
            if !byte.is_ascii_digit() {
                return Err(EuidFault::NotDigits);
            }
            match number.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte - b'0'))) {
                Some(next) => number = next,
                None => overflow = true,
            }
        }
        if overflow {
            return Err(EuidFault::OutOfRange);
        }
        Self::new(number).ok_or(EuidFault::OutOfRange)
    }

    /// The EUID of a number, where it is one.
    pub fn new(number: u64) -> Option<Self> {
        (1..=i64::MAX as u64).contains(&number).then_some(Self(number))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for Euid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_a_signed_long() {
        assert_eq!(Euid::parse(" 10362473\t").map(Euid::get), Ok(10_362_473));
        assert_eq!(Euid::parse("007").map(Euid::get), Ok(7));
        assert_eq!(Euid::parse("9223372036854775807").map(Euid::get), Ok(i64::MAX as u64));
        for text in ["0", "9223372036854775808", "99999999999999999999999"] {
            assert_eq!(Euid::parse(text), Err(EuidFault::OutOfRange), "{text}");
        }
        for text in ["-1", "+1", "1.0", "1e3", "１２", "1\u{a0}", "99999999999999999999999x"] {
            assert_eq!(Euid::parse(text), Err(EuidFault::NotDigits), "{text}");
        }
        assert_eq!(Euid::parse(" \t"), Err(EuidFault::Blank));
    }
}
