//! Texts and numbers as JSON and as fields of CSV, written at the end of a buffer.

use model::Contacts;

/// Writes a text as a JSON string, as `serde_json` does.
pub(crate) fn json_string(text: &str, buffer: &mut Vec<u8>) {
    if is_escaped(text.as_bytes()) {
        serde_json::to_writer(buffer, text).expect("texts always serialise");
        return;
    }
    buffer.push(b'"');
    buffer.extend_from_slice(text.as_bytes());
    buffer.push(b'"');
}

/// Writes contacts as a JSON object.
pub(crate) fn json_contacts(contacts: &Contacts, buffer: &mut Vec<u8>) {
    let mut before = b'{';
    for (name, value) in contacts.iter() {
        buffer.push(before);
        json_string(name, buffer);
        buffer.push(b':');
        json_string(value, buffer);
        before = b',';
    }
    buffer.extend_from_slice(if contacts.is_empty() { b"{}" } else { b"}" });
}

/// Writes a number.
pub(crate) fn number(mut left: u64, buffer: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&digits[at..]);
}

/// Writes a text as a field of CSV, in quotes where it must be.
pub(crate) fn csv_field(text: &str, buffer: &mut Vec<u8>) {
    if !text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\r' | b'\n')) {
        buffer.extend_from_slice(text.as_bytes());
        return;
    }
    buffer.push(b'"');
    for (index, piece) in text.split('"').enumerate() {
        if index > 0 {
            buffer.extend_from_slice(b"\"\"");
        }
        buffer.extend_from_slice(piece.as_bytes());
    }
    buffer.push(b'"');
}

/// Whether JSON has to escape something in it: a quote, a backslash, a control character. Looks at eight bytes at once.
fn is_escaped(text: &[u8]) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    // Of each byte that is below `bound` the highest bit; where one is, those above it may be wrong.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGH;
    let (words, rest) = text.as_chunks::<8>();
    let mut found = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        found |=
            below(word, b' ') | below(word ^ (ONES * u64::from(b'"')), 1) | below(word ^ (ONES * u64::from(b'\\')), 1);
    }
    found != 0 || rest.iter().any(|byte| matches!(byte, 0..=0x1f | b'"' | b'\\'))
}
