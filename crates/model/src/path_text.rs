use std::{borrow::Cow, ffi::OsStr, fmt::Write, os::unix::ffi::OsStrExt};

/// A file name as text, of which two different names never have the same. It stands as it is, but for bytes that are
/// not valid UTF-8, which become `\xFF` and the like, and a backslash that would read as the beginning of such an
/// escape, which becomes `\x5C`.
pub fn path_text(path: &OsStr) -> Cow<'_, str> {
    let bytes = path.as_bytes();
    match path.to_str() {
        Some(text) if !(0..bytes.len()).any(|at| reads_as_escape(&bytes[at..])) => return Cow::Borrowed(text),
        _ => {}
    }
    let mut text = String::with_capacity(bytes.len() + 16);
    let mut rest = bytes;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if reads_as_escape(rest) {
                text.push_str("\\x5C");
            } else {
                text.push(c);
            }
            rest = &rest[c.len_utf8()..];
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02X}");
        }
        rest = &rest[chunk.invalid().len()..];
    }
    Cow::Owned(text)
}

fn reads_as_escape(bytes: &[u8]) -> bool {
    let digit = |byte: &u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(byte);
    matches!(bytes, [b'\\', b'x', high, low, ..] if digit(high) && digit(low))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn text(bytes: &[u8]) -> String {
        path_text(OsStr::from_bytes(bytes)).into_owned()
    }

    #[test]
    fn names_stand_as_they_are_where_they_are_text() {
        for name in ["a.csv", "-", "ü b\n", "a\\x", "C:\\xyz", "a\\xfg", "\\\\x4g"] {
            assert_eq!(text(name.as_bytes()), name);
        }
        assert_eq!(text(b"a\xfc.csv"), "a\\xFC.csv");
        assert_eq!(text(b"a\\xFC.csv"), "a\\x5CxFC.csv");
    }

    #[test]
    fn two_names_never_have_one_text() {
        let pieces: [&[u8]; 8] = [b"\\", b"x", b"5", b"C", b"\xff", b"\xc3", b"\xbc", b"F"];
        let mut seen: HashMap<String, Vec<u8>> = HashMap::new();
        for number in 0..8_usize.pow(6) {
            let name: Vec<u8> = (0..6).flat_map(|at| pieces[number >> (at * 3) & 7].iter().copied()).collect();
            if let Some(other) = seen.insert(text(&name), name.clone()) {
                panic!("{other:?} and {name:?}");
            }
        }
    }
}
