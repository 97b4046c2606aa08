use report::is_special;
use serde::Serialize;

use super::outputs::ReportSettings;
use crate::{exit::Exit, failure::Failure, terminal::Printer};

impl ReportSettings {
    /// Whether it is written to what may keep the writer waiting.
    pub(crate) fn summary_may_wait(&self) -> bool {
        self.summary.as_ref().is_some_and(|to| to.is_stdout() || is_special(to.path()))
    }

    /// Writes the summary of a run that ends so, where one is asked for, and gives the status to end with. That it can't
    /// be written is told; it says something about a run only where nothing else was wrong with it.
    pub(crate) fn write_summary(&self, summary: &impl Serialize, exit: Exit, printer: &Printer) -> Exit {
        let Some(target) = &self.summary else { return exit };
        let text = serde_json::to_string(summary).map_err(|error| Failure::new(Exit::Bug, error));
        let written = text.and_then(|text| target.write(|to| to.write_all(format!("{text}\n").as_bytes())));
        let Err(failure) = written else { return exit };
        printer.failure(&failure);
        if matches!(exit, Exit::Success | Exit::RowsFailed) { failure.exit } else { exit }
    }
}
