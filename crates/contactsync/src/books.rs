use std::{collections::BTreeMap, time::Duration};

use model::{Reason, Shard};
use report::CheckSummary;

use crate::{args::FailOn, exit::Exit, pipeline::per_second};

/// Rows by how validation ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Books {
    /// Rows that may be sent.
    pub(crate) valid: u64,
    reasons: [u64; Reason::ALL.len()],
}

impl Books {
    /// Counts a rejected row.
    pub(crate) fn reject(&mut self, reason: Reason) {
        self.reasons[reason as usize] += 1;
    }

    /// Rejected rows.
    pub(crate) fn rejected(&self) -> u64 {
        self.reasons.iter().sum()
    }

    /// Rows rejected for this reason.
    pub(crate) fn rows(&self, reason: Reason) -> u64 {
        self.reasons[reason as usize]
    }

    /// All rows.
    pub(crate) fn rows_read(&self) -> u64 {
        self.valid + self.rejected()
    }

    /// The status that they end with.
    pub(crate) fn exit(&self, fail_on: FailOn) -> Exit {
        if fail_on == FailOn::Any && self.rejected() > 0 { Exit::RowsFailed } else { Exit::Success }
    }

    /// The same for programs.
    pub(crate) fn summary(&self, elapsed: Duration, exit: Exit, shard: Option<Shard>) -> CheckSummary {
        let counted = Reason::ALL.into_iter().map(|reason| (reason.as_str(), self.reasons[reason as usize]));
        let reasons: BTreeMap<String, u64> =
            counted.filter(|(_, rows)| *rows > 0).map(|(reason, rows)| (reason.to_owned(), rows)).collect();
        CheckSummary {
            rows_read: self.rows_read(),
            valid: self.valid,
            rejected: self.rejected(),
            elapsed_seconds: elapsed.as_secs_f64(),
            rows_per_second: per_second(self.rows_read(), elapsed),
            reasons,
            exit_code: exit.code(),
            shard,
        }
    }
}

/// The first lines of a summary for people: rows read, and how validation ended.
pub(crate) fn lines_for_people(summary: &CheckSummary) -> Vec<String> {
    let CheckSummary { rows_read, valid, rejected, elapsed_seconds, rows_per_second, reasons, .. } = summary;
    let of_shard = report::of_shard(summary.shard);
    let mut lines =
        vec![format!("{rows_read} rows{of_shard} read in {elapsed_seconds:.1} s, {rows_per_second:.0} rows/s")];
    for (name, rows) in [("valid", *valid), ("rejected", *rejected)] {
        lines.push(report::share_line(name, rows, *rows_read));
    }
    for (name, rows) in reasons {
        let advice = Reason::parse(name).map_or("", Reason::advice);
        lines.push(format!("    {name:<18} {rows:>10}  {advice}"));
    }
    lines
}
