use serde::Serialize;

/// EngageLab's unique user id: 1 ..= 9223372036854775807, a `Long` in the API documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Euid(u64);

/// No number of so many digits, or of what is taken for digits at first, is too large.
const MAX_SMALL_DIGITS: usize = 17;

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
        Self::of_few_digits(text.as_bytes()).map_or_else(|| Self::parse_any(text), Ok)
    }

    /// Most EUIDs: digits, and so few that nothing can overflow.
    fn of_few_digits(digits: &[u8]) -> Option<Self> {
        if digits.len() > MAX_SMALL_DIGITS {
            return None;
        }
        let mut number: u64 = 0;
        let mut only_digits = true;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            only_digits &= digit < 10;
            number = number * 10 + u64::from(digit);
        }
        if only_digits { Self::new(number) } else { None }
    }

    fn parse_any(text: &str) -> Result<Self, EuidFault> {
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
    #[test]
    fn few_digits_are_read_as_any_are() {
        let parts =
            ["", "0", "1", "9", "99999999", "92233720368547758", "07", " ", "-", "x", "/", ":", "\u{ff}", "\u{a0}"];
        let pairs = parts.iter().flat_map(|first| parts.map(|second| format!("{first}{second}")));
        for (pair, last) in pairs.flat_map(|pair| parts.map(|last| (pair.clone(), last))) {
            let text = format!("{pair}{last}");
            assert_eq!(Euid::parse(&text), Euid::parse_any(&text), "{text:?}");
        }
    }
}
