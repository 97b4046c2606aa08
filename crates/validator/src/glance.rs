//! Values that are in order at a glance: most are short printable texts, and all that can be wrong with such a one is told
//! by the bytes that stand in it. What isn't in order at a glance may still be so: the rules decide.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Shorter texts may stand for nothing: `None`, say.
const SHORTEST: usize = 5;

/// Whether nothing can be wrong with a value of at most so many characters, nor anything about it be worth a notice.
pub(crate) fn is_in_order(text: &str, most_chars: usize, is_phone: bool) -> bool {
    let bytes = text.as_bytes();
    let (&[first, ..], &[.., last]) = (bytes, bytes) else { return false };
    // No blanks around it, so that trimming takes nothing off.
    if bytes.len() < SHORTEST || bytes.len() > most_chars || !first.is_ascii_graphic() || !last.is_ascii_graphic() {
        return false;
    }
    // NUL and line ends are among the control characters; apostrophes protect formulas and texts.
    let odd = |word| below(word, b' ') | equal(word, b'\'');
    // Letters and points are in no phone number, but in one that a program turned into a number.
    let odd_in_phone = |word| odd(word) | equal(word, b'.') | at_least(word, b'9' + 1);
    !if is_phone { any(bytes, odd_in_phone) } else { any(bytes, odd) }
}

/// Whether any byte is odd. Goes over eight at a time, some of them twice.
fn any(bytes: &[u8], odd: impl Fn(u64) -> u64) -> bool {
    let (whole, _) = bytes.as_chunks::<8>();
    let last = bytes.last_chunk::<8>().copied().unwrap_or_else(|| {
        let mut padded = *b"00000000";
        padded[..bytes.len()].copy_from_slice(bytes);
        padded
    });
    let found = whole.iter().fold(odd(u64::from_le_bytes(last)), |found, word| found | odd(u64::from_le_bytes(*word)));
    found & HIGH != 0
}

/// The highest bit of a byte, where any byte is below this one (of at most 0x80).
fn below(word: u64, byte: u8) -> u64 {
    word.wrapping_sub(ONES * u64::from(byte)) & !word
}

/// The same, where any byte is this one.
fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * u64::from(byte)), 1)
}

/// The same, where any byte is at least this one (of at most 0x80).
fn at_least(word: u64, byte: u8) -> u64 {
    ((word & !HIGH) + ONES * u64::from(0x80 - byte)) | word
}

#[cfg(test)]
mod tests {
    use model::{ValueRef, sheet};
    use proptest::prelude::*;

    use super::*;
    use crate::{
        rules::Rules,
        validator::NULL_LIKE,
        value::{content_fault, length_fault},
    };

    /// Holds a value that is in order at a glance against all rules.
    fn held_against_the_rules(text: &str, most: usize) -> bool {
        let mut any = false;
        for (name, is_phone) in [("email", false), ("address", false), ("mobile_phone", true), ("fax_phone", true)] {
            if !is_in_order(text, most, is_phone) {
                continue;
            }
            any = true;
            let value = ValueRef::Text(text);
            for trim in [false, true] {
                let rules = Rules { trim, max_value_chars: most, ..Rules::default() };
                assert_eq!(rules.text(value), Some(text));
                assert_eq!(length_fault(&rules, name, None, text), None);
            }
            assert_eq!(content_fault(name, None, value, text), None, "{name}");
            assert!(!NULL_LIKE.contains(&text) && !sheet::is_protected(text), "{text:?}");
        }
        any
    }

    #[test]
    fn what_most_rows_hold_is_in_order() {
        for text in ["chloe.123456@example.com", "a@b.de", "zoë@exämple.com", "Müller GmbH & Co."] {
            assert!(is_in_order(text, 256, false), "{text}");
        }
        for text in ["+12015550123", "07700 900123", "(201) 555-0123", "12345"] {
            assert!(is_in_order(text, 256, true), "{text}");
        }
    }

    /// At every place of texts of every length up to three words.
    #[test]
    fn one_odd_byte_is_seen_wherever_it_stands() {
        for length in SHORTEST..=24 {
            for at in 0..length {
                for byte in 0..0x80_u8 {
                    let mut text = vec![b'5'; length];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    held_against_the_rules(&text, 256);
                    let odd =
                        byte < 0x20 || byte == b'\'' || ((at == 0 || at == length - 1) && matches!(byte, b' ' | 0x7f));
                    assert_eq!(is_in_order(&text, 256, false), !odd, "{text:?}");
                    let odd = odd || byte == b'.' || byte > b'9';
                    assert_eq!(is_in_order(&text, 256, true), !odd, "{text:?}");
                }
            }
            assert!(!is_in_order(&"5".repeat(length), length - 1, false));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn what_is_in_order_at_a_glance_is_so_by_the_rules(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "1", "12", "+", "e", "E", ".0", ".", "-", "'", "=", "@", "a", "Z", "ü", "\u{a0}", "\u{2007}", " ",
                    "\t", "\n", "\r", "\0", "\u{7f}", "\u{85}", "NULL", "NaN", "\\N", "None", ";", "\u{1f600}", "1E5", "1.5e+7",
                ]),
                0..12,
            ),
            most in 0_usize..40,
        ) {
            held_against_the_rules(&parts.concat(), most);
        }
    }
}
