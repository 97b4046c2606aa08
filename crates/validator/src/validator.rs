use std::collections::HashSet;

use model::{Contact, Contacts, Euid, Name, Reason, Record, Rejection, Unresolved, ValueRef, sheet};

use crate::{
    columns::Columns,
    euid::euid,
    glance::is_in_order,
    id::{id, trimmed_id},
    repeated::{Repeated, RepeatedIds},
    rules::{EmptyValues, Rules, describe},
    value::{content_fault, length_fault, name_fault},
};

/// Texts that programs write for "nothing".
pub(crate) const NULL_LIKE: [&str; 4] = ["NULL", "\\N", "NaN", "None"];

/// What may be left of a sheet of rows to be mended whose other columns are gone.
const SHEET_NOTICE: &str =
    "an apostrophe in front of a formula, as in the sheets of `report --csv`, which is sent as it stands";

/// Contacts that are warned of one by one: keys of JSON may be of any number.
const MOST_WARNED: usize = 100;

/// Validates records by rules. Keeps only its scratch memory, the columns and which notices were given.
#[derive(Debug)]
pub struct Validator {
    rules: Rules,
    columns: Columns,
    kept: Vec<u32>,
    /// How many of those clear their contact.
    cleared: u32,
    warned: HashSet<String>,
    ids: RepeatedIds,
    notices: Vec<String>,
}

/// Whom a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key<'r> {
    /// The user of this EUID.
    Euid(Euid),
    /// Who has this id, one of the organisation's own.
    Id(&'r str),
}

/// A record that may be sent.
#[derive(Debug)]
pub struct Accepted<'v> {
    /// None where rows are keyed by ids.
    euid: Option<Euid>,
    rules: &'v Rules,
    columns: &'v mut Columns,
    kept: &'v [u32],
    cleared: u32,
}

impl Accepted<'_> {
    /// Whom it is of. `record` is the one that was validated.
    pub fn key<'r>(&self, record: &Record<'r>) -> Key<'r> {
        self.euid.map_or_else(|| Key::Id(trimmed_id(record.euid_text())), Key::Euid)
    }

    /// Whether it would clear a contact: a value is sent as `""`.
    pub fn clears(&self) -> bool {
        self.cleared > 0
    }

    /// What would be sent: each name, not looked up, with its value. `record` is the one that was validated.
    pub fn sent<'r>(&self, record: &Record<'r>) -> impl ExactSizeIterator<Item = (Name, &'r str)> + Clone {
        let (record, rules) = (*record, self.rules);
        self.kept.iter().map(move |index| {
            let index = *index as usize;
            (record.name_at(index), rules.sent(record.value_at(index)))
        })
    }

    /// The same, the names looked up.
    pub fn contacts<'r>(&self, record: &Record<'r>) -> impl Iterator<Item = (&'r str, &'r str)> + Clone {
        let (record, rules) = (*record, self.rules);
        self.kept.iter().map(move |index| {
            let index = *index as usize;
            (record.name(record.name_at(index)), rules.sent(record.value_at(index)))
        })
    }

    /// The row to send, to this EUID: the row's own, or that of its id. `record` is the one that was validated.
    pub fn contact(self, euid: Euid, record: &Record<'_>) -> Contact {
        match self.key(record) {
            Key::Id(id) => self.unresolved(id, record).resolved(euid),
            Key::Euid(_) => {
                let contacts = self.into_contacts(record);
                Contact { origin: record.origin(), id: None, euid_text: record.euid_text().into(), euid, contacts }
            }
        }
    }

    /// The row whose EUID is still to be found out by this id, its own. `record` is the one that was validated.
    pub fn unresolved(self, id: &str, record: &Record<'_>) -> Unresolved {
        Unresolved { origin: record.origin(), id: id.into(), contacts: self.into_contacts(record) }
    }

    fn into_contacts(self, record: &Record<'_>) -> Contacts {
        let Self { rules, columns, kept, .. } = self;
        let values = kept.iter().map(|index| rules.sent(record.value_at(*index as usize)));
        Contacts::new(columns.names(record, kept), values)
    }
}

impl Validator {
    /// A validator by these rules.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            columns: Columns::default(),
            kept: Vec::new(),
            cleared: 0,
            warned: HashSet::new(),
            ids: RepeatedIds::default(),
            notices: Vec::new(),
        }
    }

    /// Decides on a record. A record with several faults is rejected for the first in the order of [`Reason::ALL`].
    pub fn validate(&mut self, record: &Record<'_>) -> Result<Accepted<'_>, Rejection> {
        if let Some(fault) = record.fault() {
            return Err(fault.clone());
        }
        let euid = match &self.rules.ids {
            Some(rules) => {
                let id = id(rules, &self.rules.nulls, record.euid())?;
                if let Some(repeated) = self.ids.see(id) {
                    self.notices.push(notice_of_id(repeated, record));
                }
                None
            }
            None => match Euid::parse(record.euid_text()) {
                Ok(euid) => Some(euid),
                Err(_) => Some(euid(record.euid())?),
            },
        };
        self.kept.clear();
        self.cleared = 0;
        self.columns.know(record);
        // The worst fault so far: the earlier its reason, the worse.
        let mut worst: Option<Rejection> = None;
        for index in 0..record.len() {
            let name = record.name_at(index);
            if self.is_in_order(name, record.text_at(index)) {
                self.kept.push(index as u32);
                continue;
            }
            let fault = self.field_fault(record, index, record.name(name), record.value_at(index));
            if let Some(fault) = fault
                && worst.as_ref().is_none_or(|worst| fault.reason < worst.reason)
            {
                worst = Some(fault);
            }
        }
        match worst {
            Some(fault) => Err(fault),
            None if self.kept.is_empty() => Err(nothing_left(record)),
            None => Ok(Accepted {
                euid,
                rules: &self.rules,
                columns: &mut self.columns,
                kept: &self.kept,
                cleared: self.cleared,
            }),
        }
    }

    /// Whether nothing can be wrong with a field, nor anything about it be worth a notice.
    fn is_in_order(&self, name: Name, text: Option<&str>) -> bool {
        let (Some(column), Some(text)) = (self.columns.get(name), text) else { return false };
        column.can_be_sent
            && is_in_order(text, self.rules.max_value_chars, column.is_phone)
            && !self.rules.nulls.iter().any(|null| null == text)
    }

    /// What the user should know, once each, of the first hundred contacts.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// The first fault of a field; a field without one that is not empty is kept.
    fn field_fault(&mut self, record: &Record<'_>, index: usize, name: &str, value: ValueRef<'_>) -> Option<Rejection> {
        let column = || record.column(index);
        let Some(text) = self.rules.text(value) else {
            // An empty value is left out, and its name with it; where it is refused or sent, the name's fault comes first.
            let is_left_out = match self.rules.empty {
                EmptyValues::Skip => true,
                EmptyValues::Reject => false,
                EmptyValues::Clear => value == ValueRef::Missing,
            };
            if is_left_out {
                return None;
            }
            let fault = name_fault(name, column());
            if fault.is_some() {
                return fault;
            }
            if self.rules.empty == EmptyValues::Clear {
                self.kept.push(index as u32);
                self.cleared += 1;
                return None;
            }
            let message = format!("{} is empty; fill it in, or use --empty skip", describe(name, column()));
            return Some(Rejection::new(Reason::ValueEmpty, message));
        };
        let is_known = column().is_some();
        let fault =
            if is_known && model::limits::KNOWN_CONTACTS.contains(&name) { None } else { name_fault(name, column()) };
        let fault = fault
            .or_else(|| length_fault(&self.rules, name, column(), text))
            .or_else(|| content_fault(name, column(), value, text));
        if fault.is_none() {
            self.kept.push(index as u32);
            let is_told = text == "\\N" && self.rules.are_nulls_told && is_of_csv(column());
            if NULL_LIKE.contains(&text) && !is_told && !self.warned.contains(name) {
                let may_be_dumped = text == "\\N" && is_of_csv(column());
                let dump = if may_be_dumped { ", or for a database's dump: --escape backslash" } else { "" };
                let advice = format!("which is sent as it stands; to take it as empty: --null '{text}'{dump}");
                self.warn(name, column(), &format!("{text:?}, {advice}"));
            }
            if sheet::is_protected(text) && !self.warned.contains(name) {
                self.warn(name, column(), SHEET_NOTICE);
            }
        }
        fault
    }

    fn warn(&mut self, name: &str, column: Option<&model::Column>, what: &str) {
        if self.warned.len() > MOST_WARNED {
            return;
        }
        self.warned.insert(name.to_owned());
        if self.warned.len() > MOST_WARNED {
            self.notices.push(format!("more than {MOST_WARNED} contacts hold such texts: the others are not named"));
            return;
        }
        self.notices.push(format!("{} holds {what}", describe(name, column)));
    }
}

/// Whether a column is one of a CSV, not a key.
fn is_of_csv(column: Option<&model::Column>) -> bool {
    column.is_some_and(|column| column.number.is_some())
}

/// What a rejected record would have sent, where it could be read: its texts as they stand.
pub fn would_send(record: &Record<'_>, rules: &Rules) -> Option<Contacts> {
    if record.raw().is_some() {
        return None;
    }
    let mut contacts = Contacts::default();
    for (name, value) in record.values() {
        let cleared = || rules.clears(value).then_some("");
        if let Some(text) = rules.text(value).or_else(cleared) {
            contacts.push(record.shared_name(name), text);
        }
    }
    Some(contacts)
}

/// Ids are personal data: the row says which one it is.
fn notice_of_id(repeated: Repeated, record: &Record<'_>) -> String {
    let again = "most likely a placeholder, or another column; its rows would all become one user's";
    match repeated {
        Repeated::Often => format!("{}: the id of this row stands in over 1,000 rows: {again}", record.origin()),
        Repeated::AndOthers => {
            format!("{}: further ids stand in over 1,000 rows, which are not named", record.origin())
        }
    }
}

fn nothing_left(record: &Record<'_>) -> Rejection {
    let message = if record.is_empty() { "the row has no contact" } else { "every contact of the row is empty" };
    Rejection::new(Reason::NoContacts, message)
}
