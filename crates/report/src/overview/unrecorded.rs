use std::{collections::BTreeMap, sync::Arc};

use super::survey::Filter;
use crate::{gist::Gist, row_set::RowSet, run_file::Run};

/// Rows that were unchanged and have no record, by source.
#[derive(Debug, Default)]
pub(super) struct Unrecorded(BTreeMap<Arc<str>, RowSet>);

impl Unrecorded {
    /// Takes over those that a run found, as far as they are looked at.
    pub(super) fn take_over(&mut self, run: &Run, filter: &Filter) {
        let inputs = run.inputs.iter().filter(|input| !input.unchanged.is_empty());
        for input in inputs.filter(|input| filter.takes_unchanged(&input.source)) {
            self.0.entry(input.source.as_str().into()).or_default().merge(&input.unchanged);
        }
    }

    /// Shows it a record, whose row is none of them.
    pub(super) fn see(&mut self, record: &Gist<'_>) {
        if self.0.is_empty() {
            return;
        }
        if let Some(rows) = self.0.get_mut(record.source) {
            rows.remove(record.row);
        }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> u64 {
        self.0.values().map(RowSet::len).sum()
    }

    /// How many there are by source.
    pub(super) fn by_source(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.0.iter().map(|(source, rows)| (source, rows.len())).filter(|(_, rows)| *rows > 0)
    }
}
