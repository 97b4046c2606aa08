use model::{
    Column, Reason, Rejection, ValueRef,
    limits::{KNOWN_CONTACTS, MAX_NAME_CHARS},
};

use crate::{
    columns::is_phone,
    euid::is_scientific,
    rules::{Rules, describe},
};

/// Whether a name can be a contact's.
pub(crate) fn name_fault(name: &str, column: Option<&Column>) -> Option<Rejection> {
    let fault = if name.trim().is_empty() {
        "has no name"
    } else if name.chars().any(char::is_control) {
        "has a control character in its name"
    } else if longer_than(name, MAX_NAME_CHARS) {
        "has a name of more than 256 characters"
    } else {
        return None;
    };
    Some(Rejection::new(
        Reason::NameInvalid,
        format!("{} {fault}; rename it, for example with --map", describe(name, column)),
    ))
}

/// Whether a value is longer than the API takes.
pub(crate) fn length_fault(rules: &Rules, name: &str, column: Option<&Column>, text: &str) -> Option<Rejection> {
    if !longer_than(text, rules.max_value_chars) {
        return None;
    }
    let message = format!(
        "{} has {} characters, more than {}; shorten it",
        describe(name, column),
        text.chars().count(),
        rules.max_value_chars
    );
    Some(Rejection::found(Reason::ValueTooLong, message, text))
}

/// Whether a value is no text, or a phone number that a program turned into a number.
pub(crate) fn content_fault(name: &str, column: Option<&Column>, value: ValueRef<'_>, text: &str) -> Option<Rejection> {
    let fault = if let ValueRef::Other(kind, _) = value {
        format!("{} is {kind}; a contact is a text", describe(name, column))
    } else if text.contains('\0') {
        format!("{} has a NUL character; remove it", describe(name, column))
    } else if is_one_line(name) && text.trim().contains(['\n', '\r']) {
        // A second stray quote closes what a first one opened: a record in form, with other users' rows in its value.
        format!(
            "{} has a line end in it: most likely a stray quote, on or below the row's line, joins rows; mend the quotes",
            describe(name, column)
        )
    } else if !is_phone(name) {
        return None;
    } else if is_scientific(text.trim()) {
        format!(
            "{} is in scientific notation, as spreadsheets show long numbers, and digits are lost; format the column as text and export again",
            describe(name, column)
        )
    } else if text.trim_start().starts_with('\'') {
        format!("{} begins with an apostrophe, as spreadsheets protect a text; remove it", describe(name, column))
    } else if has_trailing_zero_fraction(text.trim()) {
        format!(
            "{} ends in .0, as dataframes write numbers; read the column as text (pandas: dtype=str) and export again",
            describe(name, column)
        )
    } else {
        return None;
    };
    Some(Rejection::found(Reason::ValueInvalid, fault, text))
}

/// Whether no value of this contact has several lines: the known ones, and any phone.
fn is_one_line(name: &str) -> bool {
    KNOWN_CONTACTS.contains(&name) || is_phone(name)
}

fn has_trailing_zero_fraction(text: &str) -> bool {
    text.strip_suffix(".0").is_some_and(|number| {
        let digits = number.trim_start_matches(['+', '-']);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn longer_than(text: &str, most: usize) -> bool {
    // A text never has more characters than bytes.
    text.len() > most && text.chars().count() > most
}
