//! Rejected and failed rows for a spreadsheet.

use std::{
    fs,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use model::{Contacts, Decision, Outcome, Reason};

use crate::{
    error::ReportError,
    file::{create, temporary_beside},
    overview::Survey,
    read::ReadError,
    time::rfc3339,
};

/// What stands before the contacts.
const FIXED: [&str; 11] =
    ["source", "row", "line", "euid", "outcome", "reason", "code", "message", "http_status", "attempts", "at"];

/// Writes the rejected and failed rows as CSV, their contacts as columns, into a file of mode 0600 that is replaced whole.
/// No cell is a formula to a spreadsheet: one that would begin like one gets an apostrophe in front. Returns how many rows.
pub fn write_sheet(survey: &Survey, path: &Path) -> Result<u64, ReportError> {
    let failed = |cause| ReportError::Write { path: path.to_owned(), cause };
    let mut rows = 0;
    let mut fault: Option<csv::Error> = None;
    replace_private(path, |file| {
        let mut sheet = csv::Writer::from_writer(BufWriter::new(file));
        let names: Vec<&Arc<str>> = survey.overview.contact_names.iter().collect();
        let titles = names.iter().map(|name| {
            if FIXED.contains(&&***name) || &***name == "raw" { format!("contacts.{name}") } else { name.to_string() }
        });
        let head: Vec<String> = FIXED.iter().map(|name| (*name).to_owned()).chain(titles).collect();
        sheet.write_record(head.iter().map(|cell| harmless(cell)).chain(["raw".to_owned()]))?;
        let read = survey.each(|record| {
            if matches!(record.outcome, Outcome::Rejected | Outcome::Failed) && fault.is_none() {
                rows += 1;
                fault = sheet.write_record(cells(record, &names).iter().map(|cell| harmless(cell))).err();
            }
        });
        if let Some(fault) = fault.take() {
            return Err(fault.into());
        }
        read.map_err(io::Error::other)?;
        sheet
            .into_inner()
            .map_err(csv::IntoInnerError::into_error)?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(())
    })
    .map_err(|error| match error.downcast::<ReadError>() {
        Ok(read) => ReportError::Read(read),
        Err(error) => failed(error),
    })?;
    Ok(rows)
}

/// Writes a file that only its owner can read and puts it in the place of what was there.
pub fn replace_private(path: &Path, write: impl FnOnce(&mut fs::File) -> io::Result<()>) -> io::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let temporary = temporary_beside(&path);
    let mut file = create(&temporary)?;
    let written = write(&mut file).and_then(|()| file.flush()).and_then(|()| file.sync_data());
    let replaced = written.and_then(|()| fs::rename(&temporary, &path));
    if replaced.is_err() {
        // It may not be there at all.
        let _ = fs::remove_file(&temporary);
    }
    replaced
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

/// Spreadsheets take text that begins so for a formula; a number is none.
fn harmless(cell: &str) -> String {
    let begins_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_number =
        cell.strip_prefix('-').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()));
    if begins_formula && !is_number { format!("'{cell}") } else { cell.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_a_formula() {
        for formula in ["=1+1", "+12025550101", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "-"] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["a=1", "-1", "55108", "", "'x", " =1"] {
            assert_eq!(harmless(text), text);
        }
    }
}
