//! Parts of what errors say.

use std::fmt::Write;

use model::{
    IdentityKind,
    limits::{KNOWN_CONTACTS, MAX_NAMES_SHOWN},
    looks_like_a_value, sheet, shown_name, shown_names,
};

use super::{MissingName, UnknownColumns};
use crate::{asked::near_miss, options::RowKey};

/// The name that two columns have, unless they look like values.
pub(super) fn same_name(name: &str, columns: &[String]) -> String {
    if columns.iter().any(|column| looks_like_a_value(column)) { "the same".to_owned() } else { shown_name(name) }
}

pub(super) fn no_key(key: RowKey, wanted: &str, columns: &[String]) -> String {
    let (word, option) = (key.word(), key.option());
    if let (RowKey::Id(_), Some(hint)) = (key, ids_of_sheet(columns)) {
        return hint;
    }
    let near = near_miss(wanted, columns);
    if let (RowKey::Euid, None, Some(kind)) = (key, near, identity_among(columns)) {
        return format!("{}; where another column holds the EUID: `--euid-column NAME`", identify_by(kind));
    }
    match near {
        Some(near) => format!("name the column with the {word}: `{option} {}`", shown_name(near)),
        None => format!(
            "name the column with the {word}: `{option} NAME`; for a file without a header: `--no-header --columns {},…`; for another delimiter: `--delimiter`",
            key.usual_column()
        ),
    }
}

/// Where a sheet of rows to be mended has its ids: behind the EUIDs, unless the columns were moved about.
pub(super) fn ids_of_sheet(columns: &[String]) -> Option<String> {
    let euid = columns.iter().position(|column| column == "euid").filter(|_| sheet::is_sheet(columns))?;
    let behind = columns.get(euid + 1).filter(|column| !sheet::is_own_column(column))?;
    Some(format!("its ids stand behind the EUIDs: `--id-column {}`", shown_name(behind)))
}

/// The kind of ids that a column is named as.
pub(super) fn identity_among(columns: &[String]) -> Option<IdentityKind> {
    IdentityKind::ALL.into_iter().find(|kind| columns.iter().any(|column| column.eq_ignore_ascii_case(kind.as_str())))
}

pub(super) fn identify_by(kind: IdentityKind) -> String {
    format!(
        "where {kind} holds ids of your own, say `--identify-by {kind}`: EUIDs are asked for then, and users created that EngageLab doesn't know"
    )
}

pub(super) fn not_sent(line: Option<u64>) -> String {
    line.map_or_else(|| "nothing was sent".to_owned(), |line| format!("line {line} is not sent"))
}

pub(super) fn twice(input: &str, earlier: &str) -> String {
    if input == earlier {
        format!("{input}: is given twice")
    } else {
        format!("{input}: is the same as {earlier}, which is given too")
    }
}

pub(super) fn by_renaming(renamed: Option<&(String, String)>) -> String {
    renamed.map_or_else(String::new, |(_, to)| format!(", which `--map` renames to {}", shown_name(to)))
}

pub(super) fn by_near_miss(misspelt: &[MissingName]) -> String {
    let mut text = String::new();
    for MissingName { asked, near } in misspelt.iter().take(MAX_NAMES_SHOWN) {
        if let Some(near) = near {
            let _ = write!(text, " (did you mean {} by {asked}?)", shown_name(near));
        }
    }
    text
}

pub(super) fn list_missing(missing: &[MissingName]) -> String {
    let mut text = String::new();
    for MissingName { asked, near } in missing.iter().take(MAX_NAMES_SHOWN) {
        let start = if text.is_empty() { "no input has a column or key " } else { ", nor " };
        let _ = write!(text, "{start}{asked}");
        if let Some(near) = near {
            let _ = write!(text, " (did you mean {}?)", shown_name(near));
        }
    }
    text
}

pub(super) fn unknown(inputs: &[UnknownColumns]) -> String {
    let mut text = String::new();
    for UnknownColumns { input, names, key_column, .. } in inputs {
        if !text.is_empty() {
            text.push('\n');
        }
        let plural = if names.len() == 1 { "a column that is" } else { "columns that are" };
        let _ = write!(text, "{input}: has {plural} no known contact: {}", shown_names(names));
        for name in names.iter().take(MAX_NAMES_SHOWN) {
            let known = KNOWN_CONTACTS.into_iter().chain([key_column.as_str()]);
            if let Some(near) = near_miss(name, known) {
                let _ = write!(text, " (did you mean {} by {}?)", shown_name(near), shown_name(name));
            }
        }
    }
    text
}
