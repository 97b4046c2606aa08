//! Rejected and failed rows for a spreadsheet.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use model::{Contacts, Decision, Outcome, Reason};

use crate::{overview::Survey, read::ReadError, time::rfc3339};

/// What stands before the contacts.
const FIXED: [&str; 11] =
    ["source", "row", "line", "euid", "outcome", "reason", "code", "message", "http_status", "attempts", "at"];
/// Without it a spreadsheet takes UTF-8 for something older.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Rows.
    pub rows: u64,
    /// Contact values with an apostrophe in them that keeps them from being a formula.
    pub protected: u64,
}

/// Why a sheet isn't whole.
#[derive(Debug, thiserror::Error)]
pub enum SheetError {
    /// A report can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The sheet can't be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// Writes the rejected and failed rows as CSV, their contacts as columns. No cell is a formula to a spreadsheet, in whatever
/// country: one that would be gets an apostrophe where the formula would begin.
pub fn write_sheet(survey: &Survey, mut to: impl Write) -> Result<Sheet, SheetError> {
    to.write_all(BYTE_ORDER_MARK.as_bytes())?;
    let mut sheet = csv::Writer::from_writer(to);
    let names: Vec<&Arc<str>> = survey.overview.contact_names.iter().collect();
    let titles = names.iter().map(|name| {
        if FIXED.contains(&&***name) || &***name == "raw" { format!("contacts.{name}") } else { name.to_string() }
    });
    let head: Vec<String> =
        FIXED.iter().map(|name| (*name).to_owned()).chain(titles).chain(["raw".to_owned()]).collect();
    sheet.write_record(head.iter().map(|cell| harmless(cell).into_owned())).map_err(io::Error::from)?;
    let mut written = Sheet { rows: 0, protected: 0 };
    survey.records(|record| {
        if !matches!(record.outcome, Outcome::Rejected | Outcome::Failed) {
            return Ok(());
        }
        written.rows += 1;
        let cells = cells(record, &names);
        let harmless: Vec<Cow<'_, str>> = cells.iter().map(|cell| harmless(cell)).collect();
        let values = FIXED.len()..FIXED.len() + names.len();
        written.protected += harmless[values].iter().filter(|cell| matches!(cell, Cow::Owned(_))).count() as u64;
        sheet.write_record(harmless.iter().map(|cell| cell.as_bytes())).map_err(io::Error::from)?;
        Ok::<_, SheetError>(())
    })?;
    sheet.flush()?;
    Ok(written)
}

fn cells(record: &Decision, names: &[&Arc<str>]) -> Vec<String> {
    let number = |number: Option<String>| number.unwrap_or_default();
    let answered = &record.answered;
    let mut cells = vec![
        record.origin.source.to_string(),
        record.origin.row.to_string(),
        record.origin.line.to_string(),
        record.euid.to_string(),
        record.outcome.as_str().to_owned(),
        record.reason.map_or("", Reason::as_str).to_owned(),
        number(answered.code.map(|code| code.to_string())),
        answered.message.clone().unwrap_or_default(),
        number(answered.http_status.map(|status| status.to_string())),
        record.attempts.to_string(),
        rfc3339(record.at_ms),
    ];
    let value = |name: &str| {
        let mut contacts = record.contacts.iter().flat_map(Contacts::iter);
        contacts.find(|(other, _)| *other == name).map_or_else(String::new, |(_, value)| value.to_owned())
    };
    cells.extend(names.iter().map(|name| value(name)));
    cells.push(record.raw.as_deref().unwrap_or_default().to_owned());
    cells
}

/// The text with an apostrophe wherever a spreadsheet would find the beginning of a formula: at the beginning of a cell, and
/// where one begins to those that take semicolons, tabs or line ends for the end of a cell, and commas and quotes for text. A
/// number is no formula. Where apostrophes stand already there is one more, so that taking one away gives the text back.
fn harmless(cell: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    let mut copied = 0;
    let mut is_start = true;
    // Where the apostrophes begin that stand right before.
    let mut marks: Option<usize> = None;
    for (at, c) in cell.char_indices() {
        if is_start && begins_formula(c) && !is_number(cell) {
            let mark = marks.unwrap_or(at);
            safe.push_str(&cell[copied..mark]);
            safe.push('\'');
            copied = mark;
        }
        marks = if c == '\'' { marks.or(Some(at)) } else { None };
        // A spreadsheet may drop what can't be seen.
        is_start = matches!(c, ';' | '\t' | '\r' | '\n')
            || (is_start && (c == '\'' || c == '"' || c.is_whitespace() || c.is_control() || is_invisible(c)));
    }
    if safe.is_empty() {
        return cell.into();
    }
    safe.push_str(&cell[copied..]);
    safe.into()
}

/// Also in full width, and what some take for a formula's beginning because it is blank.
fn begins_formula(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠' | '﹢' | '﹣' | '﹦' | '﹫' | '−' | '\t' | '\r')
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_number(cell: &str) -> bool {
    cell.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for (cell, safe) in [
            ("=1+1", "'=1+1"),
            ("+12025550101", "'+12025550101"),
            ("-1+1", "'-1+1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("-", "'-"),
            ("＝1", "'＝1"),
            ("＋1", "'＋1"),
            ("－1", "'－1"),
            ("＠A", "'＠A"),
            ("  =1", "  '=1"),
            ("\u{a0}=1", "\u{a0}'=1"),
            ("\u{feff}\u{200b}=1", "\u{feff}\u{200b}'=1"),
            ("\"=1", "\"'=1"),
            ("a;=1", "a;'=1"),
            ("a; +1;b", "a; '+1;b"),
            ("a;\"=1\"", "a;\"'=1\""),
            ("a\n@b\n=c", "a\n'@b\n'=c"),
            ("'=1", "''=1"),
            ("''=1;'-2", "'''=1;''-2"),
            ("-1;-2", "'-1;'-2"),
            ("\t=1", "'\t'=1"),
            ("\r=1", "'\r'=1"),
            ("a\t=1", "a\t'=1"),
        ] {
            assert_eq!(harmless(cell), safe, "{cell:?}");
        }
        for text in ["a=1", "-1", "55108", "", "'x", "a;b", "a b+c@example.com", "; a"] {
            assert!(matches!(harmless(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
