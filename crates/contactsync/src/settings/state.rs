use std::path::PathBuf;

use crate::args::{PushStateArgs, StateArgs};

/// `--state` and what belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct StateSettings {
    /// The file.
    pub(crate) path: PathBuf,
    /// Send all rows, whatever is known.
    pub(crate) refresh: bool,
    /// What a row leaves out stays known.
    pub(crate) omitted_kept: bool,
    /// Where the EUIDs of users go that no row had.
    pub(crate) report_vanished: Option<PathBuf>,
}

impl StateSettings {
    /// What the arguments say; none without a state.
    pub(crate) fn of(args: &StateArgs) -> Option<Self> {
        let path = args.state.clone()?;
        Some(Self { path, refresh: false, omitted_kept: args.omitted_kept, report_vanished: None })
    }

    /// The files that are written, each with the option that asks for it.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let vanished = self.report_vanished.iter().map(|path| ("--report-vanished", path.clone()));
        std::iter::once(("--state", self.path.clone())).chain(vanished)
    }

    /// What decides which rows are sent: a resume must have the same.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> {
        let refresh = self.refresh.then(|| ("--refresh".to_owned(), "on".to_owned()));
        std::iter::once(("--state".to_owned(), self.path.display().to_string())).chain(refresh)
    }

    /// The same for a push.
    pub(crate) fn of_push(args: &StateArgs, push: &PushStateArgs) -> Option<Self> {
        let settings = Self::of(args)?;
        Some(Self { refresh: push.refresh, report_vanished: push.report_vanished.clone(), ..settings })
    }
}
