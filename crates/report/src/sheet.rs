//! Rejected, failed and different rows for a spreadsheet.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use model::{
    Contacts, Decision, Reason,
    sheet::{COLUMNS, protect_formulas},
};

use crate::{
    overview::{Survey, is_to_be_looked_at},
    read::ReadError,
    time::rfc3339,
};

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

/// What stands before the contacts: the id stands behind the EUID, where rows are keyed by ids.
const EUID: usize = 3;

/// Writes the rejected, failed and different rows as CSV, their contacts as columns, and the ids under the name that their
/// column had in the inputs. No cell is a formula to a spreadsheet, in whatever
/// country: one that would be gets an apostrophe where the formula would begin, which is taken away where the sheet is an input.
pub fn write_sheet(survey: &Survey, mut to: impl Write) -> Result<Sheet, SheetError> {
    to.write_all(BYTE_ORDER_MARK.as_bytes())?;
    let mut sheet = csv::Writer::from_writer(to);
    let names: Vec<&Arc<str>> = survey.overview.contact_names.iter().collect();
    let is_own = |name: &str| COLUMNS.contains(&name) || name == "raw";
    let id_title = survey.id_column.as_deref().map(|name| if is_own(name) { "id" } else { name });
    let titles = names.iter().map(|name| {
        if is_own(name) || id_title == Some(&***name) { format!("contacts.{name}") } else { name.to_string() }
    });
    let mut head: Vec<String> =
        COLUMNS.iter().map(|name| (*name).to_owned()).chain(titles).chain(["raw".to_owned()]).collect();
    if let Some(title) = id_title {
        head.insert(EUID + 1, title.to_owned());
    }
    sheet.write_record(head.iter().map(|cell| protect_formulas(cell).into_owned())).map_err(io::Error::from)?;
    let mut written = Sheet { rows: 0, protected: 0 };
    survey.records(|record| {
        if !is_to_be_looked_at(record.outcome) {
            return Ok(());
        }
        written.rows += 1;
        let mut cells = cells(record, &names);
        if id_title.is_some() {
            cells.insert(EUID + 1, record.id.as_deref().unwrap_or_default().to_owned());
        }
        let harmless: Vec<Cow<'_, str>> = cells.iter().map(|cell| protect_formulas(cell)).collect();
        let values = COLUMNS.len()..cells.len() - 1;
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
