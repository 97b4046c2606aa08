use std::borrow::Cow;

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

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidi_marks_are_escaped() {
        assert_eq!(escape_controls("plain ü"), "plain ü");
        assert_eq!(escape_controls("a\x1b[31m\u{202e}"), "a\\u{1b}[31m\\u{202e}");
        assert_eq!(excerpt("äöü", 2), "\"äö…\"");
    }
}
