//! What reports say, added up: for a terminal, for programs, for a page.

mod ids;
mod json;
mod nights;
mod shards;
mod survey;
mod timeline;
mod unrecorded;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use model::{Decision, Outcome, Reason};
use serde::Serialize;

#[cfg(feature = "schema")]
pub(crate) use json::Json;

pub use ids::IdsOfRows;
pub use nights::{Night, attempts_of, unfinished};
pub use shards::{ShardsOfInput, ShardsThere};
pub use survey::{Filter, Survey};
pub use timeline::{Bucket, Timeline};

use crate::{
    comparison::{Comparison, NameChanges},
    mask::masked_name,
    tally::Tally,
};

/// Names of contacts that are told apart, in messages and as columns: an input may have a million of them.
const MOST_NAMES: usize = 500;
/// Longest name of these, in bytes: what is longer can't be sent.
const LONGEST_NAME: usize = 4 * model::limits::MAX_NAME_CHARS;

/// The rows of reports, added up. Its size doesn't depend on their number.
#[derive(Debug, Default)]
pub struct Overview {
    /// Outcomes, reasons, codes, attempts, latency.
    pub tally: Tally,
    /// Outcomes by source.
    pub sources: BTreeMap<Arc<str>, Outcomes>,
    /// Rejected rows by the column that their message names.
    columns: BTreeMap<String, u64>,
    /// The contacts that rejected, failed and different rows have, in alphabetical order.
    pub contact_names: BTreeSet<Arc<str>>,
    /// Whether there are more contacts than that, or one with a longer name than can be sent.
    pub more_contacts: bool,
    /// Requests and rows over time: those that have a record.
    pub timeline: Timeline,
    /// What the comparison of rows came to, where they were compared and all of them are looked at.
    pub comparison: Option<Comparison>,
    /// The first rejected, failed and different rows, at most 1 000.
    pub rows: Vec<Decision>,
    kept_bytes: usize,
}

/// Rejected, failed and different rows that are kept for showing.
const MOST_ROWS: usize = 1_000;
/// Text of kept rows: a value may have a mebibyte.
const MOST_KEPT_BYTES: usize = 32 << 20;

/// Rows by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Outcomes {
    /// Accepted.
    pub synced: u64,
    /// Not sent, since the API has it.
    pub unchanged: u64,
    /// Never sent.
    pub rejected: u64,
    /// Refused or given up.
    pub failed: u64,
    /// Of a check: nothing is wrong with it.
    pub valid: u64,
    /// Of a verify: the service holds it.
    pub landed: u64,
    /// Of a verify: the service holds something else.
    pub different: u64,
    /// Of a verify: later rows set all of it.
    pub superseded: u64,
}

impl Outcomes {
    fn add(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Synced => &mut self.synced,
            Outcome::Unchanged => &mut self.unchanged,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Failed => &mut self.failed,
            Outcome::Valid => &mut self.valid,
            Outcome::Landed => &mut self.landed,
            Outcome::Different => &mut self.different,
            Outcome::Superseded => &mut self.superseded,
        } += 1;
    }

    pub(crate) fn of(tally: &Tally) -> Self {
        let rows = |outcome| tally.rows(outcome);
        Self {
            synced: rows(Outcome::Synced),
            unchanged: rows(Outcome::Unchanged),
            rejected: rows(Outcome::Rejected),
            failed: rows(Outcome::Failed),
            valid: rows(Outcome::Valid),
            landed: rows(Outcome::Landed),
            different: rows(Outcome::Different),
            superseded: rows(Outcome::Superseded),
        }
    }

    /// Rows that people have to look at: rejected, failed, different.
    pub fn to_be_looked_at(&self) -> u64 {
        self.rejected + self.failed + self.different
    }

    /// Whether rows were verified.
    pub fn is_of_verify(&self) -> bool {
        self.landed + self.different + self.superseded > 0
    }

    /// Rows with which nothing is wrong, whatever the command.
    pub fn good(&self) -> u64 {
        self.total() - self.to_be_looked_at()
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.synced
            + self.unchanged
            + self.rejected
            + self.failed
            + self.valid
            + self.landed
            + self.different
            + self.superseded
    }
}

impl Overview {
    fn add(&mut self, record: &Decision) {
        self.tally.add(record);
        self.timeline.add(record);
        if let Some(outcomes) = self.sources.get_mut(&record.origin.source) {
            outcomes.add(record.outcome);
        } else {
            self.sources.entry(Arc::clone(&record.origin.source)).or_default().add(record.outcome);
        }
        if !is_to_be_looked_at(record.outcome) {
            return;
        }
        for name in record.contacts.iter().flat_map(model::Contacts::names) {
            if self.contact_names.contains(name) {
                continue;
            }
            if self.contact_names.len() < MOST_NAMES && name.len() <= LONGEST_NAME {
                self.contact_names.insert(Arc::clone(name));
            } else {
                self.more_contacts = true;
            }
        }
        if let Some(column) = column_of(record)
            && (self.columns.len() < MOST_NAMES || self.columns.contains_key(column))
        {
            *self.columns.entry(column.to_owned()).or_default() += 1;
        }
        if self.rows.len() < MOST_ROWS && self.kept_bytes < MOST_KEPT_BYTES {
            self.kept_bytes += text_bytes(record);
            self.rows.push(record.clone());
        }
    }

    /// Rows that were unchanged and have no record.
    fn add_unchanged(&mut self, source: &Arc<str>, rows: u64) {
        self.tally.add_rows(Outcome::Unchanged, rows);
        self.sources.entry(Arc::clone(source)).or_default().unchanged += rows;
    }

    /// All rows, by outcome.
    pub fn outcomes(&self) -> Outcomes {
        Outcomes::of(&self.tally)
    }

    /// Contacts of the rows that were to be sent, by name; under `None` those of further names. Empty where rows weren't
    /// compared, or none differed.
    pub fn changes(&self, show_values: bool) -> Vec<(Option<Cow<'_, str>>, NameChanges)> {
        let Some(comparison) = &self.comparison else { return Vec::new() };
        let mut names: BTreeMap<Cow<'_, str>, NameChanges> = BTreeMap::new();
        for (name, changes) in &comparison.names {
            let name = if show_values { Cow::Borrowed(&**name) } else { masked_name(name) };
            names.entry(name).or_default().merge(changes);
        }
        let all = names.into_iter().map(|(name, changes)| (Some(name), changes));
        all.chain([(None, comparison.others)]).filter(|(_, changes)| !changes.is_empty()).collect()
    }

    /// Reasons, the one with most rows first.
    pub fn reasons(&self) -> Vec<(Reason, u64)> {
        let reasons = self.tally.reasons.iter().filter_map(|(word, rows)| Some((Reason::parse(word)?, *rows)));
        let mut reasons: Vec<_> = reasons.collect();
        reasons.sort_by_key(|(reason, rows)| (std::cmp::Reverse(*rows), reason.as_str()));
        reasons
    }

    /// Rejected rows by the column that their message names.
    pub fn columns(&self, show_values: bool) -> BTreeMap<Cow<'_, str>, u64> {
        let mut columns = BTreeMap::new();
        for (name, rows) in &self.columns {
            let name = if show_values { Cow::Borrowed(&**name) } else { masked_name(name) };
            *columns.entry(name).or_default() += rows;
        }
        columns
    }
}

/// Whether a row that ended so is one to be mended or sent again.
pub(crate) fn is_to_be_looked_at(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Rejected | Outcome::Failed | Outcome::Different)
}

/// How much text a record holds.
fn text_bytes(record: &Decision) -> usize {
    let contacts = record.contacts.as_ref().map_or(0, model::Contacts::bytes);
    let message = record.answered.message.as_ref().map_or(0, String::len);
    record.euid.len() + contacts + message + record.raw.as_ref().map_or(0, |raw| raw.len())
}

/// The column that a validator's message begins with: `column "email" (column 2) …` or `contact "email" …`. What an answer
/// begins with may be anything.
fn column_of(record: &Decision) -> Option<&str> {
    let message = record.answered.message.as_deref().filter(|_| record.outcome == Outcome::Rejected)?;
    let named = message.strip_prefix("column \"").or_else(|| message.strip_prefix("contact \""))?;
    named.split_once('"').map(|(name, _)| name).filter(|name| name.len() <= LONGEST_NAME)
}
