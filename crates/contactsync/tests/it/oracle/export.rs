//! Exports that change from night to night, and what each row of them asks for.

use std::{collections::BTreeMap, fmt::Write as _};

use fastrand::Rng;
use serde_json::{Map, Value, json};

pub(super) const NAMES: [&str; 4] = ["email", "landline_phone", "mobile_phone", "whatsapp_phone"];
/// Values of a contact of a user: few, so that one often comes back.
const VALUES: u64 = 3;

/// Names and values of a request; an empty one clears.
pub(super) type Contacts = BTreeMap<&'static str, String>;

/// A row of an export. A name that isn't there is missing; without a value it is empty.
#[derive(Debug, Clone)]
struct Row {
    euid: u64,
    contacts: BTreeMap<&'static str, Option<String>>,
}

/// What a system exports each night.
#[derive(Debug)]
pub(super) struct Exporter {
    rows: Vec<Row>,
    next_euid: u64,
}

/// What a row of a file asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) source: &'static str,
    pub(super) row: u64,
    pub(super) euid: u64,
    /// None: it is refused before it is sent.
    pub(super) contacts: Option<Contacts>,
}

/// Tonight's files.
#[derive(Debug, Default)]
pub(super) struct Export {
    pub(super) files: Vec<(&'static str, String)>,
    pub(super) asked: Vec<Asked>,
}

fn value(euid: u64, name: &str, dice: &mut Rng) -> String {
    let version = dice.u64(..VALUES);
    if name == "email" { format!("{version}.{euid}@example.com") } else { format!("+1202555{euid:03}{version}") }
}

fn row(euid: u64, dice: &mut Rng) -> Row {
    let mut contacts = BTreeMap::new();
    for name in NAMES {
        if dice.u8(..10) < 6 {
            contacts.insert(name, Some(value(euid, name, dice)));
        }
    }
    contacts.entry("email").or_insert_with(|| Some(value(euid, "email", dice)));
    Row { euid, contacts }
}

impl Exporter {
    pub(super) fn new(users: u64, dice: &mut Rng) -> Self {
        let mut exporter = Self { rows: (1..=users).map(|euid| row(euid, dice)).collect(), next_euid: users + 1 };
        for _ in 0..users / 6 {
            exporter.add_another(dice);
        }
        exporter
    }

    /// One more row of some user, anywhere.
    fn add_another(&mut self, dice: &mut Rng) {
        let euid = self.rows[dice.usize(..self.rows.len())].euid;
        self.rows.insert(dice.usize(..=self.rows.len()), row(euid, dice));
    }

    /// A day goes by.
    pub(super) fn change(&mut self, dice: &mut Rng) {
        for row in &mut self.rows {
            let name = NAMES[dice.usize(..NAMES.len())];
            match dice.u8(..20) {
                0..=2 => _ = row.contacts.insert(name, Some(value(row.euid, name, dice))),
                3 => _ = row.contacts.insert(name, None),
                4 => _ = row.contacts.remove(name),
                _ => {}
            }
        }
        self.rows.retain(|_| dice.u8(..30) > 0);
        for _ in 0..3 {
            self.add_another(dice);
            if dice.bool() {
                self.rows.push(row(self.next_euid, dice));
                self.next_euid += 1;
            }
        }
        if dice.u8(..5) == 0 {
            dice.shuffle(&mut self.rows);
        }
    }

    /// The files of a night. `clears`: an empty value clears its contact, else it is left out.
    pub(super) fn export(&self, clears: bool, dice: &mut Rng) -> Export {
        let mut export = Export::default();
        let cut = if dice.u8(..3) == 0 { dice.usize(..self.rows.len()) } else { self.rows.len() };
        let sources = if dice.bool() { ["a.csv", "b.ndjson"] } else { ["a.ndjson", "b.csv"] };
        for (source, rows) in sources.into_iter().zip([&self.rows[..cut], &self.rows[cut..]]) {
            if !rows.is_empty() {
                export.add(source, rows, clears, dice);
            }
        }
        export
    }
}

impl Export {
    fn add(&mut self, source: &'static str, rows: &[Row], clears: bool, dice: &mut Rng) {
        let is_csv = source.ends_with("csv");
        let mut columns = NAMES.to_vec();
        if dice.u8(..4) == 0 {
            columns.retain(|name| *name == "email" || dice.bool());
        }
        dice.shuffle(&mut columns);
        let mut text = String::new();
        if is_csv {
            writeln!(text, "euid,{}", columns.join(",")).unwrap();
        }
        for (row, Row { euid, contacts }) in (1..).zip(rows) {
            let bad = dice.u8(..40);
            let euid_text = if bad == 0 { "zero".to_owned() } else { euid.to_string() };
            let mut contacts = contacts.clone();
            if bad == 1 {
                contacts.insert("email", Some("x".repeat(300)));
            }
            if is_csv {
                contacts = columns.iter().map(|name| (*name, contacts.get(name).cloned().flatten())).collect();
                let cells: Vec<&str> = columns.iter().map(|name| contacts[name].as_deref().unwrap_or("")).collect();
                writeln!(text, "{euid_text},{}", cells.join(",")).unwrap();
            } else {
                let members: Map<String, Value> =
                    contacts.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
                writeln!(text, "{}", object(&euid_text, members, dice.bool())).unwrap();
            }
            let asked: Contacts = contacts
                .into_iter()
                .filter(|(_, value)| clears || value.is_some())
                .map(|(name, value)| (name, value.unwrap_or_default()))
                .collect();
            let contacts = (bad > 1 && !asked.is_empty()).then_some(asked);
            self.asked.push(Asked { source, row, euid: *euid, contacts });
        }
        self.files.push((source, text));
    }
}

fn object(euid: &str, mut members: Map<String, Value>, flat: bool) -> Value {
    if flat {
        members.insert("euid".to_owned(), json!(euid));
        Value::Object(members)
    } else {
        json!({"euid": euid, "contacts": members})
    }
}
