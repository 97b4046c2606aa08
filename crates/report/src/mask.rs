//! Contact values taken out of records: for a page that is shown around, and for a report that must hold none.
//!
//! What counts is where a text stands, not only how it looks. A validator's message quotes behind its last words, `; found`;
//! an answer's message is the other side's, which may repeat any value in any form.

use std::{borrow::Cow, sync::Arc};

use model::{Contacts, Decision, Euid, Outcome, Reason};

/// What stands in the place of a value on a page.
pub(crate) const MASK: &str = "•••";
/// What stands in the place of a value in a report without contacts.
const LEFT_OUT: &str = "[value]";
/// So many digits in a row may be a phone number.
const LONGEST_NUMBER: usize = 6;
/// Shorter parts of a value are in half the words there are.
const SHORTEST_PART: usize = 3;
/// How a validator's message goes on with what it found.
const FOUND: &str = "; found ";

/// A record without contact values: those of its contacts, what messages quote, the id, and an EUID that is no number.
pub(crate) fn masked(record: &Decision) -> Decision {
    let contacts = record.contacts.as_ref().map(|contacts| {
        contacts.names().map(|name| (Arc::from(&*masked_name(name)), MASK.into())).collect::<Contacts>()
    });
    Decision {
        raw: record.raw.as_ref().map(|_| MASK.into()),
        id: record.id.as_ref().map(|id| if id.is_empty() { "".into() } else { MASK.into() }),
        euid: if record.euid.is_empty() || is_number(&record.euid) { record.euid.clone() } else { MASK.into() },
        contacts,
        answered: model::Answered {
            message: record.answered.message.as_deref().map(|message| masked_message(message, record, MASK)),
            ..record.answered.clone()
        },
        origin: record.origin.clone(),
        ..*record
    }
}

/// The record as a report without contacts holds it, where it is another. The id stays, since nothing else says which row it
/// is of; but not what was never looked at, or was refused: in a shifted column it may be anything.
pub(crate) fn without_values(record: &Decision) -> Option<Decision> {
    let is_bare = record.raw.is_none() && record.answered.message.is_none();
    let is_no_id =
        record.outcome == Outcome::Rejected && record.reason.is_some_and(|reason| reason <= Reason::IdTooLong);
    if is_bare && !is_no_id && (record.euid.is_empty() || is_number(&record.euid)) {
        return None;
    }
    let message = record.answered.message.as_deref();
    Some(Decision {
        raw: None,
        id: record.id.as_ref().map(|id| if is_no_id { "".into() } else { id.clone() }),
        euid: if is_number(&record.euid) { record.euid.clone() } else { "".into() },
        contacts: None,
        answered: model::Answered {
            message: message.map(|message| match record.outcome {
                Outcome::Rejected => words_of_validator(message).to_owned(),
                _ => masked_message(message, record, LEFT_OUT),
            }),
            ..record.answered.clone()
        },
        origin: record.origin.clone(),
        ..*record
    })
}

/// The name of a contact or a column, unless it looks like a value: a file without a header has values for names.
pub(crate) fn masked_name(name: &str) -> Cow<'_, str> {
    if looks_like_value(name) { MASK.into() } else { name.into() }
}

/// Whether it is an EUID: what else stands in that column may be anything.
pub(crate) fn is_number(euid: &str) -> bool {
    Euid::parse(euid).is_ok()
}

fn looks_like_value(text: &str) -> bool {
    text.contains('@') || text.chars().filter(char::is_ascii_digit).count() > LONGEST_NUMBER
}

fn words_of_validator(message: &str) -> &str {
    // The first: what is quoted may hold the same words.
    message.split_once(FOUND).map_or(message, |(words, _)| words)
}

fn masked_message(message: &str, record: &Decision, mask: &str) -> String {
    if record.outcome != Outcome::Rejected {
        return Answer::of(record).masked(message, mask);
    }
    let words = words_of_validator(message);
    let found = if words.len() < message.len() { format!("{FOUND}{mask}") } else { String::new() };
    let words = words.split_inclusive(char::is_whitespace).map(|word| {
        let body = word.trim_end();
        if looks_like_value(body) { format!("{mask}{}", &word[body.len()..]) } else { word.to_owned() }
    });
    words.collect::<String>() + &found
}

/// What is known of a row whose message is the other side's.
struct Answer<'a> {
    euid: &'a str,
    names: Vec<&'a str>,
    /// In small letters.
    values: Vec<String>,
    /// The digits of values that may be phone numbers.
    numbers: Vec<String>,
}

impl<'a> Answer<'a> {
    fn of(record: &'a Decision) -> Self {
        let contacts = || record.contacts.iter().flat_map(Contacts::iter);
        let texts = || contacts().map(|(_, value)| value).chain(record.id.as_deref());
        let values = texts().map(|value| value.trim().to_lowercase()).filter(|value| !value.is_empty());
        let numbers = texts().map(digits).filter(|digits| digits.len() > LONGEST_NUMBER);
        Self {
            euid: record.euid.trim(),
            names: contacts().map(|(name, _)| name).collect(),
            values: values.collect(),
            numbers: numbers.collect(),
        }
    }

    /// The message without whole values, without what it quotes, and without words that are part of a value, or look like
    /// one.
    fn masked(&self, message: &str, mask: &str) -> String {
        let mut masked = String::with_capacity(message.len());
        let mut rest = message;
        while let Some(first) = rest.chars().next() {
            let before = masked.chars().next_back();
            let (taken, shown) = if let Some(length) = self.value_at(rest, before) {
                (length, false)
            } else if let Some(length) = number_at(rest, before) {
                (length, digits(&rest[..length]) == self.euid && !self.numbers.iter().any(|known| known == self.euid))
            } else if let Some(length) = quoted_at(rest, before) {
                let quoted = &rest[first.len_utf8()..length - first.len_utf8()];
                (length, self.names.contains(&quoted) && !looks_like_value(quoted))
            } else if is_of_word(first) {
                let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
                (length, !self.is_of_value(&rest[..length]))
            } else {
                (first.len_utf8(), true)
            };
            masked.push_str(if shown { &rest[..taken] } else { mask });
            rest = &rest[taken..];
        }
        masked
    }

    /// How long the value is with which the text begins, where it does and the value isn't just some letters of a word.
    fn value_at(&self, text: &str, before: Option<char>) -> Option<usize> {
        let begins = |value: &String| {
            // Small letters may have other lengths.
            let mut rest = text.char_indices();
            for wanted in value.chars() {
                let (_, c) = rest.next()?;
                if c != wanted && !c.to_lowercase().eq([wanted]) {
                    return None;
                }
            }
            let length = rest.next().map_or(text.len(), |(at, _)| at);
            let after = text[length..].chars().next();
            let is_word = !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word);
            (is_word || value.len() >= SHORTEST_PART).then_some(length)
        };
        self.values.iter().filter_map(begins).max()
    }

    fn is_of_value(&self, word: &str) -> bool {
        let is_plain = |c: char| c.is_alphabetic() || c.is_ascii_digit() || matches!(c, '-' | '_' | '/' | '.' | '\'');
        if !word.chars().all(is_plain) || looks_like_value(word) {
            return true;
        }
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        let in_value = |value: &String| {
            value.split(|c: char| !c.is_alphanumeric()).any(|part| part == word)
                || (word.chars().count() >= SHORTEST_PART && value.contains(&word))
        };
        let number = digits(&word);
        !word.is_empty()
            && (self.values.iter().any(in_value)
                || (number.len() >= SHORTEST_PART && self.numbers.iter().any(|known| known.contains(&number))))
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || "@.+-_%/\\*'&#~!$•".contains(c)
}

/// How long the number is with which the text begins, however its digits are grouped, where it may be that of a phone.
fn number_at(text: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(is_of_word) || !text.starts_with(|c: char| c.is_ascii_digit() || c == '+' || c == '(') {
        return None;
    }
    let is_of_number = |c: char| c.is_ascii_digit() || " +()-./\u{a0}".contains(c);
    let run = &text[..text.find(|c| !is_of_number(c)).unwrap_or(text.len())];
    let run = run.trim_end_matches(|c: char| !c.is_ascii_digit());
    (digits(run).len() > LONGEST_NUMBER).then_some(run.len())
}

/// How long the quotation is with which the text begins, its marks included.
fn quoted_at(text: &str, before: Option<char>) -> Option<usize> {
    let mark = text.chars().next().filter(|c| matches!(c, '"' | '`' | '\''))?;
    if mark == '\'' && before.is_some_and(char::is_alphanumeric) {
        return None;
    }
    text[1..].find(mark).map(|end| end + 2)
}

#[cfg(test)]
mod tests {
    use model::{Answered, Origin};

    use super::*;

    fn record(outcome: Outcome, euid: &str, message: &str) -> Decision {
        let mut contacts = Contacts::default();
        for (name, value) in [
            ("email", "a b@example.com"),
            ("note", "secret"),
            ("mobile_phone", "+1 (202) 555-0101"),
            ("name", "Zoë Lang"),
            ("empty", " "),
            ("x@example.com", "n"),
        ] {
            contacts.push(name.into(), value);
        }
        Decision {
            origin: Origin { source: "a".into(), row: 1, line: 2 },
            euid: euid.into(),
            id: None,
            outcome,
            reason: None,
            answered: Answered { message: Some(message.to_owned()), ..Answered::default() },
            attempts: 1,
            latency_ms: None,
            at_ms: 0,
            contacts: Some(contacts),
            raw: Some("raw".into()),
        }
    }

    fn message(outcome: Outcome, text: &str) -> String {
        let masked = masked(&record(outcome, "10362473", text));
        assert_eq!(masked.raw.as_deref(), Some(MASK));
        let contacts = masked.contacts.unwrap();
        assert!(contacts.iter().count() == 6 && contacts.iter().all(|(_, value)| value == MASK));
        assert!(contacts.names().all(|name| !name.contains('@')));
        masked.answered.message.unwrap()
    }

    #[test]
    fn no_value_is_left_in_an_answer() {
        for (text, expected) in [
            ("a b@example.com is taken", "••• is taken"),
            ("A.B@EXAMPLE.COM is taken", "••• is taken"),
            ("SECRET secretly; found in note", "••• •••ly; found in note"),
            ("phone +12025550101, of euid 10362473.", "phone •••, of euid 10362473."),
            ("phone 202 555 0101 or 2025550101 or ends in 0101", "phone ••• or ••• or ends in •••"),
            ("code 55108 in 12 ms", "code 55108 in 12 ms"),
            ("ZOË is known as \"Zoe\" and 'z', it isn't \"email\"", "••• is known as ••• and •••, it isn't \"email\""),
            ("lang=en for lang", "•••=en for •••"),
            ("see a%20b%40example.com or a***b@example.com", "see ••• or •••"),
            ("parameters error: email is wrong, n is", "parameters error: email is wrong, ••• is"),
            ("参数错误 \"x", "参数错误 \"x"),
        ] {
            assert_eq!(message(Outcome::Failed, text), expected, "{text}");
        }
    }

    #[test]
    fn what_a_validator_quotes_is_left_out_whatever_it_holds() {
        for (text, expected) in [
            (
                "column \"email\" (column 2): too long; found \"aaa\"",
                "column \"email\" (column 2): too long; found •••",
            ),
            ("too long; found \"secret; found \\\"x\"", "too long; found •••"),
            ("contact \"x@example.com\" has no name", "contact ••• has no name"),
            ("column \"+12025550101\" has a control character", "column ••• has a control character"),
        ] {
            assert_eq!(message(Outcome::Rejected, text), expected);
        }
    }

    #[test]
    fn an_id_is_masked_and_stays_where_a_report_holds_no_values() {
        let with_id = |outcome, reason, id: &str, message: &str| Decision {
            reason,
            id: Some(id.into()),
            ..record(outcome, "7", message)
        };
        let failed = with_id(Outcome::Failed, Some(Reason::IdUnknown), "Crm-17", "no user crm-17, or CRM 17; euid 7");
        let shown = masked(&failed);
        assert_eq!(shown.id.as_deref(), Some(MASK));
        assert_eq!(shown.answered.message.as_deref(), Some("no user •••, or ••• •••; euid 7"));
        assert_eq!(masked(&with_id(Outcome::Failed, None, "", "")).id.as_deref(), Some(""));
        let bare = without_values(&failed).unwrap();
        assert_eq!((bare.id.as_deref(), bare.contacts), (Some("Crm-17"), None));
        // What was refused as an id, or stands in a row that is none, may be anything.
        for (reason, id) in [
            (Reason::IdInvalid, ""),
            (Reason::IdTooLong, ""),
            (Reason::IdEmpty, ""),
            (Reason::MalformedRow, ""),
            (Reason::EncodingInvalid, ""),
            (Reason::NoContacts, "+12025550101"),
            (Reason::ValueInvalid, "+12025550101"),
        ] {
            let mut rejected = with_id(Outcome::Rejected, Some(reason), "+12025550101", "x; found \"+12025550101\"");
            assert_eq!(without_values(&rejected).unwrap().id.as_deref(), Some(id), "{reason}");
            rejected.answered.message = None;
            rejected.raw = None;
            assert_eq!(without_values(&rejected).unwrap_or(rejected).id.as_deref(), Some(id), "{reason}");
        }
    }

    #[test]
    fn only_a_number_is_shown_as_euid() {
        for (euid, shown) in [
            ("10362473", "10362473"),
            ("", ""),
            ("+12025550101", MASK),
            ("1.20255E+10", MASK),
            ("a@example.com", MASK),
            ("１２", MASK),
        ] {
            let record = record(Outcome::Rejected, euid, "x; found \"x\"");
            assert_eq!(&*masked(&record).euid, shown);
            let bare = without_values(&record).unwrap();
            assert_eq!(&*bare.euid, if shown == MASK { "" } else { shown });
            assert_eq!((bare.contacts, bare.raw, bare.answered.message.as_deref()), (None, None, Some("x")));
        }
    }
}
