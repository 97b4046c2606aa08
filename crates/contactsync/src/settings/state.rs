use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use super::output::{Output, STANDARD_STREAM};
use crate::{
    args::{PushStateArgs, StateArgs},
    failure::Failure,
};

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
    pub(crate) report_vanished: Option<Output>,
}

impl StateSettings {
    /// What the arguments say; none without a state.
    pub(crate) fn of(args: &StateArgs) -> Result<Option<Self>, Failure> {
        let Some(path) = args.state.clone() else { return Ok(None) };
        Ok(Some(Self { omitted_kept: args.omitted_kept, ..Self::of_file(path)? }))
    }

    /// Those of a file.
    pub(super) fn of_file(path: PathBuf) -> Result<Self, Failure> {
        if path == Path::new(STANDARD_STREAM) {
            return Err(Failure::usage("`--state` names a file that is read and written: it can't be standard output"));
        }
        Ok(Self { path, refresh: false, omitted_kept: false, report_vanished: None })
    }

    /// The files that are written, each with the option that asks for it.
    pub(crate) fn outputs(&self) -> impl Iterator<Item = (&'static str, PathBuf)> {
        let vanished = self.report_vanished.iter().map(|list| ("--report-vanished", list.path().to_owned()));
        std::iter::once(("--state", self.path.clone())).chain(vanished)
    }

    /// What decides which rows are sent: a resume must have the same.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> {
        let refresh = self.refresh.then(|| ("--refresh".to_owned(), "on".to_owned()));
        std::iter::once(("--state".to_owned(), self.path.display().to_string())).chain(refresh)
    }

    /// Whether another run uses it at the moment.
    pub(crate) fn is_held(&self) -> bool {
        // A pipe would keep who opens it waiting.
        let is_file = self.path.metadata().is_ok_and(|metadata| metadata.is_file());
        is_file
            && File::open(&self.path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Where vanished users are listed.
    pub(crate) fn list(&self) -> Option<PathBuf> {
        self.report_vanished.as_ref().map(|list| list.path().to_owned())
    }

    /// The same for a push.
    pub(crate) fn of_push(args: &StateArgs, push: &PushStateArgs) -> Result<Option<Self>, Failure> {
        let Some(settings) = Self::of(args)? else { return Ok(None) };
        let list = push.report_vanished.as_deref();
        let report_vanished = list.map(|path| Output::of("list of vanished users", path)).transpose()?;
        Ok(Some(Self { refresh: push.refresh, report_vanished, ..settings }))
    }
}
