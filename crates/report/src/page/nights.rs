//! Tables of nights: several side by side, and what changed.

use std::borrow::Cow;

use super::{MOST_LINES, cut, grouped};
use crate::{
    comparison::NameChanges,
    overview::{Night, Outcomes, Overview},
    time::rfc3339,
};

/// A year of them.
const MOST_NIGHTS: usize = 366;

pub(super) struct NightLine {
    pub(super) began: String,
    pub(super) rows: String,
    pub(super) unchanged: String,
    pub(super) synced: String,
    pub(super) landed: String,
    pub(super) different: String,
    pub(super) superseded: String,
    pub(super) rejected: String,
    pub(super) failed: String,
    pub(super) requests: String,
    pub(super) took: String,
    pub(super) report: String,
    pub(super) remark: String,
}

pub(super) struct ChangeLine {
    pub(super) name: String,
    pub(super) new: String,
    pub(super) changed: String,
    pub(super) cleared: String,
}

/// The nights side by side, where there are several; the latest, where there are many.
pub(super) fn night_lines(nights: &[Night]) -> Vec<NightLine> {
    if nights.len() < 2 {
        return Vec::new();
    }
    let line = |night: &Night| {
        let Outcomes { synced, unchanged, rejected, failed, valid, landed, different, superseded } = night.outcomes;
        let began = night.began_at().map(rfc3339).unwrap_or_default();
        NightLine {
            began: began.get(..19).unwrap_or_default().replace('T', " "),
            rows: grouped(night.outcomes.total()),
            unchanged: grouped(unchanged),
            synced: grouped(synced + valid),
            landed: grouped(landed),
            different: grouped(different),
            superseded: grouped(superseded),
            rejected: grouped(rejected),
            failed: grouped(failed),
            requests: grouped(night.attempts),
            took: night.took(),
            report: cut(&night.report.display().to_string()),
            remark: night.remark(),
        }
    };
    nights[nights.len().saturating_sub(MOST_NIGHTS)..].iter().map(line).collect()
}

/// What changed, and what is said of it.
pub(super) fn change_lines(overview: &Overview, show_values: bool) -> (Vec<ChangeLine>, String) {
    let changes = overview.changes(show_values);
    let shown = if changes.len() > MOST_LINES {
        format!("The first {MOST_LINES} of {} names.", changes.len())
    } else {
        String::new()
    };
    let line = |(name, changes): (Option<Cow<'_, str>>, NameChanges)| ChangeLine {
        name: name.map_or_else(|| "further contacts".to_owned(), |name| cut(&name)),
        new: grouped(changes.new),
        changed: grouped(changes.changed),
        cleared: grouped(changes.cleared),
    };
    (changes.into_iter().take(MOST_LINES).map(line).collect(), shown)
}
