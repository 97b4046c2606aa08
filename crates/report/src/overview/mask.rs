use std::borrow::Cow;

use model::Decision;

/// What stands in the place of a value.
pub(crate) const MASK: &str = "•••";
/// So many digits in a row may be a phone number.
const LONGEST_NUMBER: usize = 6;

/// A record without contact values: those of its contacts, what messages quote of the row, whatever in a message looks
/// like an address or a phone number, and an EUID that is none.
pub(crate) fn masked(record: &Decision) -> Decision {
    let mut masked = record.clone();
    masked.raw = record.raw.as_ref().map(|_| MASK.into());
    if !record.euid.chars().all(|c| c.is_ascii_digit() || c.is_ascii_whitespace() || ".,+-eE".contains(c)) {
        masked.euid = MASK.into();
    }
    masked.contacts = record
        .contacts
        .as_ref()
        .map(|contacts| contacts.names().map(|name| (std::sync::Arc::clone(name), MASK.into())).collect());
    masked.answered.message = record.answered.message.as_deref().map(|message| masked_message(message, record));
    masked
}

fn masked_message(message: &str, record: &Decision) -> String {
    // The validator quotes at the end of its message.
    let (words, found) = match message.rsplit_once("; found ") {
        Some((words, _)) => (words, format!("; found {MASK}")),
        None => (message, String::new()),
    };
    let mut text = Cow::Borrowed(words);
    for (_, value) in record.contacts.iter().flat_map(model::Contacts::iter) {
        if !value.trim().is_empty() && text.contains(value) {
            text = text.replace(value, MASK).into();
        }
    }
    let euid = record.euid.trim();
    let words = text.split_inclusive(char::is_whitespace).map(|word| {
        let body = word.trim_end();
        let digits = body.chars().filter(char::is_ascii_digit).count();
        let is_euid = body.trim_matches(|c: char| !c.is_ascii_digit()) == euid;
        if body.contains('@') || (digits > LONGEST_NUMBER && !is_euid) {
            format!("{MASK}{}", &word[body.len()..])
        } else {
            word.to_owned()
        }
    });
    words.collect::<String>() + &found
}

#[cfg(test)]
mod tests {
    use model::{Answered, Contacts, Origin, Outcome};

    use super::*;

    fn message(text: &str) -> String {
        let mut contacts = Contacts::default();
        contacts.push("email".into(), "a b@example.com");
        contacts.push("note".into(), "secret");
        contacts.push("empty".into(), " ");
        let record = Decision {
            origin: Origin { source: "a".into(), row: 1, line: 2 },
            euid: "10362473".into(),
            outcome: Outcome::Failed,
            reason: None,
            answered: Answered { message: Some(text.to_owned()), ..Answered::default() },
            attempts: 1,
            latency_ms: None,
            at_ms: 0,
            contacts: Some(contacts),
            raw: Some("raw".into()),
        };
        let masked = masked(&record);
        assert_eq!(masked.raw.as_deref(), Some(MASK));
        assert!(masked.contacts.unwrap().iter().all(|(_, value)| value == MASK));
        masked.answered.message.unwrap()
    }

    #[test]
    fn no_value_is_left_in_a_message() {
        for (text, expected) in [
            (
                "column \"email\" (column 2): too long; found \"aaa\"",
                "column \"email\" (column 2): too long; found •••",
            ),
            ("a b@example.com is taken", "••• is taken"),
            ("SECRET secretly", "SECRET •••ly"),
            ("A.B@EXAMPLE.COM is taken", "••• is taken"),
            ("phone +12025550101, of euid 10362473.", "phone ••• of euid 10362473."),
            ("code 55108 in 12 ms", "code 55108 in 12 ms"),
        ] {
            assert_eq!(message(text), expected);
        }
    }
}
