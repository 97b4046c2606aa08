//! What separates the fields of a CSV.

use model::limits::MAX_RECORD_BYTES;

use crate::{error::ReadError, text::Text};

/// Takes a first line `sep=X` off and returns its delimiter.
pub(crate) fn separator_line(text: &mut Text) -> Result<Option<u8>, ReadError> {
    text.skip_empty_lines()?;
    // `"sep=X"` and a line end.
    while text.window.bytes().len() < 9 && text.fill()? {}
    let bytes = text.window.bytes();
    let quoted = bytes.first() == Some(&b'"');
    let plain = &bytes[usize::from(quoted)..];
    let (Some(word), Some(delimiter)) = (plain.get(..4), plain.get(4).copied()) else { return Ok(None) };
    let after = plain.get(5..).unwrap_or_default();
    let after = if quoted { after.strip_prefix(b"\"") } else { Some(after) };
    let line_ends = after.is_some_and(|after| matches!(after.first(), None | Some(b'\n' | b'\r')));
    if !word.eq_ignore_ascii_case(b"sep=")
        || !delimiter.is_ascii()
        || matches!(delimiter, b'\n' | b'\r' | b'"')
        || !line_ends
    {
        return Ok(None);
    }
    text.pass(5 + 2 * usize::from(quoted));
    Ok(Some(delimiter))
}

/// Tells the delimiter from the header line: the one of `, ; tab |` that stands there most often outside quotes, where
/// these are any.
pub(crate) fn sniff(text: &mut Text, has_quotes: bool) -> Result<u8, ReadError> {
    const CANDIDATES: [u8; 4] = *b",;\t|";
    let mut counts = [0_u32; CANDIDATES.len()];
    let mut quoted = false;
    let mut at = 0;
    loop {
        while let Some(byte) = text.window.bytes().get(at).copied() {
            if matches!(byte, b'\n' | b'\r') && !quoted && at > 0 {
                return Ok(most(CANDIDATES, counts));
            }
            quoted ^= has_quotes && byte == b'"';
            if let Some(index) = CANDIDATES.iter().position(|candidate| *candidate == byte && !quoted) {
                counts[index] += 1;
            }
            at += 1;
        }
        if at > MAX_RECORD_BYTES || !text.fill()? {
            return Ok(most(CANDIDATES, counts));
        }
    }
}

fn most(candidates: [u8; 4], counts: [u32; 4]) -> u8 {
    // The first of equals: `max_by_key` would take the last.
    let best = (0..4).rev().max_by_key(|index| counts[*index]).unwrap_or(0);
    candidates[best]
}
