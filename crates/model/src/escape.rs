use std::borrow::Cow;

use crate::limits::{MAX_NAMES_SHOWN, MAX_QUOTED_CHARS};

/// Text for a terminal or a log: control characters and bidirectional marks are written as escapes, the rest stands.
pub fn escape_controls(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_unsafe(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// At most `chars` characters of a text, in quotes, escaped, with `…` where it was cut.
pub fn excerpt(text: &str, chars: usize) -> String {
    let cut = text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
    let dots = if cut < text.len() { "…" } else { "" };
    format!("\"{}{dots}\"", escape_controls(&text[..cut]))
}

/// The name of a column, key or contact for a message: at most 40 characters, in quotes, escaped.
pub fn shown_name(name: &str) -> String {
    excerpt(name, MAX_QUOTED_CHARS)
}

/// Whether what stands in the place of a name may be somebody's address or number. Where a header is missing, the first row's
/// values stand there.
pub fn looks_like_a_value(name: &str) -> bool {
    let is_number = !name.contains(char::is_alphabetic) && name.chars().filter(char::is_ascii_digit).count() > 4;
    is_number || name.contains('@')
}

/// Such names one after the other, the first 20 of them. None of them where one looks like a value: messages go into logs and
/// mails.
pub fn shown_names<N: AsRef<str>>(names: &[N]) -> String {
    if names.iter().any(|name| looks_like_a_value(name.as_ref())) {
        return "not told, since they look like values and no names (is the header missing?)".to_owned();
    }
    let shown: Vec<String> = names.iter().take(MAX_NAMES_SHOWN).map(|name| shown_name(name.as_ref())).collect();
    let more = names.len() - shown.len();
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What a terminal or a reader could be fooled by: controls, line and paragraph separators, marks that turn the direction,
/// and characters that take no room.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' // soft hyphen
                | '\u{34f}' // combining grapheme joiner
                | '\u{61c}' // Arabic letter mark
                | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' // Hangul fillers
                | '\u{17b4}' | '\u{17b5}' // Khmer inherent vowels
                | '\u{180b}'..='\u{180f}' // Mongolian selectors and vowel separator
                | '\u{200b}'..='\u{200f}' // zero-width spaces and joiners, direction marks
                | '\u{2028}'..='\u{202e}' // separators, embeddings and overrides
                | '\u{2060}'..='\u{206f}' // word joiner, invisible operators, isolates, deprecated controls
                | '\u{feff}' // byte order mark
                | '\u{fff9}'..='\u{fffb}' // interlinear annotation
                | '\u{1bca0}'..='\u{1bca3}' // shorthand controls
                | '\u{1d173}'..='\u{1d17a}' // musical controls
                | '\u{e0000}'..='\u{e0fff}' // tags and further selectors
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidi_marks_are_escaped() {
        assert_eq!(escape_controls("plain ü"), "plain ü");
        assert_eq!(escape_controls("a\x1b[31m\u{202e}"), "a\\u{1b}[31m\\u{202e}");
        assert_eq!(excerpt("äöü", 2), "\"äö…\"");
        for c in [
            '\0',
            '\x7f',
            '\u{85}',
            '\u{ad}',
            '\u{61c}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2063}',
            '\u{2066}',
            '\u{2069}',
            '\u{206f}',
            '\u{feff}',
            '\u{fffa}',
            '\u{3164}',
            '\u{e0001}',
            '\u{e007f}',
        ] {
            assert_eq!(escape_controls(&c.to_string()), c.escape_default().to_string());
        }
        // Letters, marks that change a letter, and pictures stand.
        for plain in ["é", "e\u{301}", "ش", "日本", "\u{1f600}", "\u{2764}\u{fe0f}"] {
            assert_eq!(escape_controls(plain), plain);
        }
    }

    #[test]
    fn lists_of_names_have_an_end() {
        let long = "x\n".repeat(1_000);
        assert_eq!(shown_name(&long), format!("\"{}…\"", "x\\n".repeat(20)));
        assert_eq!(shown_names(&["a", "b"]), "\"a\", \"b\"");
        for value in ["10000000001", "+1 202 555 0100", "0049(30)12345", "user0@example.com"] {
            let shown = shown_names(&["a", value]);
            assert!(shown.starts_with("not told, "), "{shown}");
            assert!(!shown.contains(value));
        }
        for name in ["2024", "phone_2024_10_01", "a", "", "№ 1", "電話"] {
            assert_eq!(shown_names(&[name]), shown_name(name));
        }
        let many = shown_names(&vec![long; 100]);
        assert!(many.ends_with("…\" and 80 more") && many.matches('…').count() == 20, "{many}");
    }
}
