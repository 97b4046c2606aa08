//! The sheet of rows that are to be mended (`report --csv`): what tells it from any other CSV, and the apostrophes that keep
//! its cells from being formulas, and its ids from being numbers.

use std::borrow::Cow;

/// What stands before the contacts. A CSV that has all of these columns is such a sheet.
pub const COLUMNS: [&str; 11] =
    ["source", "row", "line", "euid", "outcome", "reason", "code", "message", "http_status", "attempts", "at"];

/// What stands behind the contacts.
pub const RAW: &str = "raw";

/// Whether these are the columns of such a sheet. Nobody else's CSV has all of them.
pub fn is_sheet<N: AsRef<str>>(headers: &[N]) -> bool {
    COLUMNS.iter().all(|name| headers.iter().any(|header| header.as_ref() == *name))
}

/// Whether a column of this name, in any case, is one of the sheet's own: neither a contact nor an id.
pub fn is_own_column(name: &str) -> bool {
    COLUMNS.into_iter().chain([RAW]).any(|own| own.eq_ignore_ascii_case(name))
}

/// An id of the organisation's own as it stands in a sheet: behind an apostrophe, whatever it is. A spreadsheet would make
/// `007` a `7` and `mar-1` a date: other ids, for which users would be created. No cell where there is no id.
pub fn protect_id(id: &str) -> String {
    if id.is_empty() { String::new() } else { protect_formulas(&format!("'{id}")).into_owned() }
}

/// The id without the apostrophes of [`protect_id`]; also where a spreadsheet, or whoever wrote it anew, left them out.
pub fn unprotect_id(cell: &str) -> Cow<'_, str> {
    let text = unprotect_formulas(cell);
    match text.strip_prefix('\'') {
        Some(id) => id.to_owned().into(),
        None => text,
    }
}

/// The text with an apostrophe wherever a spreadsheet would find the beginning of a formula: at the beginning of a cell, and
/// where one begins to those that take semicolons, tabs or line ends for the end of a cell, and commas and quotes for text. A
/// number is no formula. Where apostrophes stand already there is one more, so that taking one away gives the text back.
pub fn protect_formulas(cell: &str) -> Cow<'_, str> {
    let mut safe = String::new();
    let mut copied = 0;
    for Formula { marks, .. } in formulas(cell) {
        safe.push_str(&cell[copied..marks]);
        safe.push('\'');
        copied = marks;
    }
    if safe.is_empty() {
        return cell.into();
    }
    safe.push_str(&cell[copied..]);
    safe.into()
}

/// The text without the apostrophes of [`protect_formulas`].
pub fn unprotect_formulas(cell: &str) -> Cow<'_, str> {
    let mut text = String::new();
    let mut copied = 0;
    for Formula { at, marks } in formulas(cell).filter(|formula| formula.marks < formula.at) {
        text.push_str(&cell[copied..marks]);
        // One less.
        copied = marks + 1;
        debug_assert!(copied <= at);
    }
    if copied == 0 {
        return cell.into();
    }
    text.push_str(&cell[copied..]);
    text.into()
}

/// Whether an apostrophe stands where a spreadsheet would find the beginning of a formula.
pub fn is_protected(cell: &str) -> bool {
    cell.contains('\'') && formulas(cell).any(|formula| formula.marks < formula.at)
}

/// Where a formula would begin, and where the apostrophes begin that stand right before.
struct Formula {
    at: usize,
    marks: usize,
}

fn formulas(cell: &str) -> impl Iterator<Item = Formula> {
    let is_number = is_number(cell);
    let mut is_start = true;
    let mut marks: Option<usize> = None;
    cell.char_indices().filter_map(move |(at, c)| {
        let formula = (is_start && begins_formula(c) && !is_number).then(|| Formula { at, marks: marks.unwrap_or(at) });
        marks = if c == '\'' { marks.or(Some(at)) } else { None };
        // A spreadsheet may drop what can't be seen.
        is_start = matches!(c, ';' | '\t' | '\r' | '\n')
            || (is_start && (c == '\'' || c == '"' || c.is_whitespace() || c.is_control() || is_invisible(c)));
        formula
    })
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
            assert_eq!(protect_formulas(cell), safe, "{cell:?}");
            assert!(is_protected(safe), "{safe:?}");
        }
        for text in ["a=1", "-1", "55108", "", "'x", "a;b", "a b+c@example.com", "; a"] {
            assert!(matches!(protect_formulas(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    /// All texts of up to five of these characters.
    #[test]
    fn what_is_protected_comes_back_as_it_was() {
        let parts = ['\'', '=', '-', '＝', ';', '\t', '"', ' ', '1', 'ü'];
        let mut texts = vec![String::new()];
        let mut from = 0;
        for _ in 0..5 {
            let to = texts.len();
            for index in from..to {
                texts.extend(parts.map(|part| format!("{}{part}", texts[index])));
            }
            from = to;
        }
        assert_eq!(texts.len(), 111_111);
        for text in &texts {
            let safe = protect_formulas(text);
            assert_eq!(unprotect_formulas(&safe), *text, "{safe:?}");
            assert!(formulas(&safe).all(|formula| formula.marks < formula.at), "{safe:?}");
            assert_eq!(is_protected(&safe), matches!(safe, Cow::Owned(_)), "{safe:?}");
            let id = protect_id(text);
            assert_eq!(unprotect_id(&id), *text, "{id:?}");
            assert!(id.is_empty() || id.starts_with('\'') || is_protected(&id), "{id:?}");
        }
    }

    #[test]
    fn an_id_is_no_number_and_no_date() {
        for (id, cell) in [("007", "'007"), ("mar-1", "'mar-1"), ("=x", "''=x"), ("'7", "''7"), ("", "")] {
            assert_eq!(protect_id(id), cell);
            assert_eq!(unprotect_id(cell), id);
        }
        for bare in ["007", "crm-1", "=x"] {
            assert_eq!(unprotect_id(bare), bare);
        }
    }

    #[test]
    fn columns_of_the_sheet_are_known() {
        assert!(is_sheet(&COLUMNS) && !is_sheet(&COLUMNS[1..]));
        assert!(is_own_column("Code") && is_own_column("raw") && !is_own_column("user_id"));
    }
}
