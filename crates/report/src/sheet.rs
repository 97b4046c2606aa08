//! Rejected, failed and different rows for a spreadsheet.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use model::{
    Contacts, Decision, Reason,
    sheet::{COLUMNS, RAW, is_own_column, protect_formulas, protect_id},
};

use crate::{
    overview::{IdsOfRows, Survey, is_to_be_looked_at},
    read::ReadError,
    time::rfc3339,
};

/// Without it a spreadsheet takes UTF-8 for something older.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Rows.
    pub rows: u64,
    /// Contact values with an apostrophe in them that keeps them from being a formula.
    pub protected: u64,
    /// The column of ids, where rows are keyed by them: what the sheet is to be pushed with.
    pub id_column: Option<String>,
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

/// Writes the rejected, failed and different rows as CSV, their contacts as columns, and the ids in a column that is called as
/// in the inputs, or otherwise where that can't be told from others. No cell is a formula to a spreadsheet, in whatever
/// country: one that would be gets an apostrophe where the formula would begin, which is taken away where the sheet is an input.
/// So is the one before each id.
pub fn write_sheet(survey: &Survey, mut to: impl Write) -> Result<Sheet, SheetError> {
    to.write_all(BYTE_ORDER_MARK.as_bytes())?;
    let mut sheet = csv::Writer::from_writer(to);
    let names: Vec<&Arc<str>> = survey.overview.contact_names.iter().collect();
    let is_own = |name: &str| COLUMNS.contains(&name) || name == RAW;
    let id_column = survey.ids.as_ref().map(id_column);
    let is_ids = |name: &str| id_column.as_ref().is_some_and(|column| column.to_lowercase() == name.to_lowercase());
    let titles = names
        .iter()
        .map(|name| if is_own(name) || is_ids(name) { format!("contacts.{name}") } else { name.to_string() });
    let mut head: Vec<String> =
        COLUMNS.iter().map(|name| (*name).to_owned()).chain(titles).chain([RAW.to_owned()]).collect();
    if let Some(title) = &id_column {
        head.insert(EUID + 1, title.clone());
    }
    sheet.write_record(head.iter().map(|cell| protect_formulas(cell).into_owned())).map_err(io::Error::from)?;
    let mut written = Sheet { rows: 0, protected: 0, id_column: None };
    survey.records(|record| {
        if !is_to_be_looked_at(record.outcome) {
            return Ok(());
        }
        written.rows += 1;
        let cells = cells(record, &names);
        let mut harmless: Vec<Cow<'_, str>> = cells.iter().map(|cell| protect_formulas(cell)).collect();
        let values = COLUMNS.len()..cells.len() - 1;
        written.protected += harmless[values].iter().filter(|cell| matches!(cell, Cow::Owned(_))).count() as u64;
        if id_column.is_some() {
            harmless.insert(EUID + 1, protect_id(record.id.as_deref().unwrap_or_default()).into());
        }
        sheet.write_record(harmless.iter().map(|cell| cell.as_bytes())).map_err(io::Error::from)?;
        Ok::<_, SheetError>(())
    })?;
    sheet.flush()?;
    written.id_column = id_column;
    Ok(written)
}

/// The inputs' column of ids, unless the sheet has one of that name; a contact's gives way.
fn id_column(ids: &IdsOfRows) -> String {
    let mut names = [&ids.column, &ids.kind].into_iter().flatten();
    names.find(|name| !is_own_column(name)).map_or("id", String::as_str).to_owned()
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
