//! The organisation's own ids. Asking for the EUID of an id creates a user that can't be taken back, so ids are looked at
//! harder than values.

use model::{Reason, Rejection, ValueRef, excerpt, limits};

use crate::euid::is_scientific;

/// Texts that programs write for "nothing", in small letters.
const NOTHING: [&str; 6] = ["null", "\\n", "nan", "none", "nil", "n/a"];

/// How ids are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdRules {
    /// The column or key that holds them, as the user named it.
    pub column: String,
    /// Texts that are ids although they look like nothing, exactly as they stand there.
    pub allowed: Vec<String>,
}

/// An id as it is asked for: without the blanks around it.
pub fn trimmed_id(text: &str) -> &str {
    text.trim()
}

/// Whether a text stands for nothing where an id should be, like `NULL`, in whatever case.
pub fn stands_for_nothing(text: &str) -> bool {
    NOTHING.iter().any(|nothing| nothing.eq_ignore_ascii_case(text))
}

/// The id that a value holds; else says why it holds none. `nulls`: further texts that stand for nothing.
pub(crate) fn id<'r>(rules: &IdRules, nulls: &[String], value: ValueRef<'r>) -> Result<&'r str, Rejection> {
    let text = match value {
        ValueRef::Missing | ValueRef::Null => return Err(empty(rules)),
        ValueRef::Other(kind, text) => {
            let message = format!("{} is {kind}; an id is a text or a whole number", column(rules));
            return Err(Rejection::found(Reason::IdInvalid, message, text));
        }
        ValueRef::Text(text) | ValueRef::Integer(text) => trimmed_id(text),
    };
    if text.is_empty() {
        return Err(empty(rules));
    }
    let is_nothing = stands_for_nothing(text) || nulls.iter().any(|null| null.trim() == text);
    if is_nothing && !rules.allowed.iter().any(|allowed| allowed == text) {
        let message =
            format!("{} holds what programs write for nothing; where it is an id: --allow-id '{text}'", column(rules));
        return Err(Rejection::found(Reason::IdEmpty, message, text));
    }
    if let Some(habit) = habit(text) {
        return Err(Rejection::found(Reason::IdInvalid, format!("{} {habit}", column(rules)), text));
    }
    if text.len() > limits::MAX_VALUE_CHARS {
        let chars = text.chars().count();
        if chars > limits::MAX_VALUE_CHARS {
            let most = limits::MAX_VALUE_CHARS;
            let message = format!(
                "{} has {chars} characters, more than {most}; check whether it is the right column",
                column(rules)
            );
            return Err(Rejection::found(Reason::IdTooLong, message, text));
        }
    }
    Ok(text)
}

fn empty(rules: &IdRules) -> Rejection {
    Rejection::new(Reason::IdEmpty, format!("{} is empty; fill it in, or check --id-column", column(rules)))
}

/// How messages call the column.
fn column(rules: &IdRules) -> String {
    format!("the id in {}", excerpt(&rules.column, limits::MAX_QUOTED_CHARS))
}

/// What most likely happened to an id that no system gives out, and what to do.
fn habit(text: &str) -> Option<&'static str> {
    // Most ids: what follows is of texts that begin like a number, or have something else than is printed.
    if text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.starts_with(|c: char| matches!(c, '0'..='9' | '+' | '-' | '.' | ','))
    {
        return None;
    }
    if text.contains('\0') {
        Some("has a NUL character; remove it")
    } else if text.contains(['\n', '\r']) {
        Some("has a line end in it: most likely a stray quote, on or below the row's line, joins rows; mend the quotes")
    } else if text.chars().any(char::is_control) {
        Some("has a control character; remove it")
    } else if is_scientific(text) {
        Some(
            "is in scientific notation, as spreadsheets show long numbers, and digits may be lost; format the column as text and export again",
        )
    } else if ends_in_zeros(text) {
        Some(
            "ends in .0, as dataframes write whole numbers where the column has gaps; read the column as text (pandas: dtype=str or Int64) and export again",
        )
    } else {
        None
    }
}

/// Digits, a point and zeros: `10362473.0`.
fn ends_in_zeros(text: &str) -> bool {
    let Some((whole, zeros)) = text.split_once('.') else { return false };
    let whole = whole.trim_start_matches(['+', '-']);
    !whole.is_empty()
        && whole.bytes().all(|byte| byte.is_ascii_digit())
        && !zeros.is_empty()
        && zeros.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_order_at_a_glance_is_so_by_all_rules() {
        // Every text of up to three of these.
        let parts = ["", "1", "a", "E", "e", ".", "0", ".0", "+", "-", " ", "\t", "\u{85}", "ü", "\0", "\n", ","];
        let mut looked_at = 0;
        for first in parts {
            for second in parts {
                for third in parts {
                    for fourth in parts {
                        let text = format!("{first}{second}{third}{fourth}");
                        let text = trimmed_id(&text);
                        let is_bad = text.chars().any(char::is_control) || is_scientific(text) || ends_in_zeros(text);
                        assert_eq!(habit(text).is_some(), is_bad, "{text:?}");
                        looked_at += 1;
                    }
                }
            }
        }
        assert_eq!(looked_at, parts.len().pow(4));
    }

    #[test]
    fn only_what_begins_like_a_number_is_one_that_was_spoilt() {
        for text in ["1E5", "1.5e+7", ".5E3", "-1E5", "+4,79E+11", "10362473.0", "-1.00", "5.0"] {
            assert!(habit(text).is_some(), "{text}");
        }
        for text in
            ["E5", "1E", "1.0.0", "v1.0", "a.0", "1.01", "1F5", "12", "-", "x@example.com", "a b", "Zoë", "1.", ".0"]
        {
            assert!(habit(text).is_none(), "{text}");
        }
    }
}
