//! Rows of reports that are keyed by ids of the organisation's own.

use std::{collections::BTreeSet, sync::Arc};

use model::{Euid, IdentityKind, escape_controls};
use report::{KnownUsers, ReplayPlan, ReportError, RunFile, SourceReport};
use state::{Looker, State, StateError};

use crate::{
    exit::Exit,
    failure::Failure,
    pipeline::{OwnIds, ask_ahead},
    settings::SendingSettings,
};

/// The kind of ids that rows of a report are keyed by, where that is known.
fn identity_of(source: &SourceReport) -> Result<Option<String>, ReportError> {
    Ok(RunFile::read(source.path())?.and_then(|mut run| run.options.remove("--identify-by")))
}

/// Exit 2 where EUIDs would be asked for by another kind of ids than the rows are keyed by: that would create users.
pub(super) fn refuse_other_identity(sources: &[SourceReport], identity: Option<IdentityKind>) -> Result<(), Failure> {
    let Some(now) = identity else { return Ok(()) };
    for source in sources {
        if let Some(then) = identity_of(source)?.filter(|then| *then != now.as_str()) {
            let (path, then) = (source.path().display(), escape_controls(&then).into_owned());
            let message = format!("the rows of {path} are keyed by {then}, not by {now}; nothing was sent");
            return Err(Failure::usage(message).with_hint(format!("say `--identify-by {then}`")));
        }
    }
    Ok(())
}

/// Exit 2 where rows have no EUID, and none may be asked for: nothing is left out in silence.
pub(super) fn refuse_without_euid(
    plan: &ReplayPlan,
    sources: &[SourceReport],
    identity: Option<IdentityKind>,
) -> Result<(), Failure> {
    let rows = plan.without_euid;
    if rows == 0 || identity.is_some() {
        return Ok(());
    }
    let kind =
        sources.iter().find_map(|source| identity_of(source).ok().flatten()).unwrap_or_else(|| "KIND".to_owned());
    let message = format!("{rows} of the rows failed before an EUID was obtained for their id; nothing was sent");
    let hint = format!("to ask for it again, say `--identify-by {}`", escape_controls(&kind));
    Err(Failure::usage(message).with_hint(hint))
}

/// Whether what lies beside the reports proves that their EUIDs are of this project, and of ids of this kind. Else they may be
/// other users here, and ids are asked for.
pub(super) fn are_of_this_project(
    sources: &[SourceReport],
    kind: IdentityKind,
    sending: &SendingSettings,
) -> Result<bool, ReportError> {
    let (target, key) = (sending.target.name(), sending.target.key_fingerprint());
    for source in sources {
        let is_proven = RunFile::read(source.path())?.is_some_and(|run| {
            run.target == target
                && run.api_key.as_ref() == Some(&key)
                && run.options.get("--identify-by").is_some_and(|then| then == kind.as_str())
        });
        if !is_proven {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks for the EUIDs of rows that have none, so that it is known whose they are before it is decided which are sent: one may
/// be too old for its user. Returns with how many requests.
pub(super) fn ask_for_missing(plan: &ReplayPlan, own: &OwnIds, sending: &SendingSettings) -> Result<u64, Failure> {
    let mut ids = BTreeSet::new();
    let mut known = own.known();
    for record in plan.clone().into_rows()? {
        let record = record?;
        let Some(id) = record.id.filter(|id| !id.is_empty()) else { continue };
        let then = Euid::parse(&record.euid).ok();
        let user = known.user_or(&id, then).map_err(|error| Failure::new(Exit::ReadOrWrite, error))?;
        if user.is_none() {
            ids.insert(id);
        }
    }
    if ids.is_empty() { Ok(0) } else { ask_ahead(own, &ids, sending) }
}

/// What a state knows of users. An error is kept for whoever asks it in the end.
pub(super) struct Users {
    set: Option<Looker>,
    ids: Option<(IdentityKind, Looker)>,
    pub(super) broken: Option<StateError>,
}

impl Users {
    /// `state`: when users were set. `ids`: who has ids of a kind.
    pub(super) fn new(state: Option<&Arc<State>>, ids: Option<(IdentityKind, &Arc<State>)>) -> Self {
        Self { set: state.map(State::looker), ids: ids.map(|(kind, state)| (kind, state.looker())), broken: None }
    }

    fn or_broken<T>(&mut self, found: Result<Option<T>, StateError>) -> Option<T> {
        found.unwrap_or_else(|error| {
            self.broken.get_or_insert(error);
            None
        })
    }
}

impl KnownUsers for &mut Users {
    fn set_at(&mut self, euid: Euid) -> Option<i64> {
        let set_at = self.set.as_mut()?.look().set_at(euid);
        self.or_broken(set_at).and_then(|time| i64::try_from(time).ok())
    }

    fn of_id(&mut self, id: &str) -> Option<Euid> {
        let (kind, looker) = self.ids.as_mut()?;
        let known = looker.look().id(*kind, id);
        self.or_broken(known).and_then(state::KnownId::user)
    }
}

/// Exit 2 where EUIDs that were obtained elsewhere would be sent to: here they may be other users'.
pub(super) fn refuse_euids_of_others(
    plan: &ReplayPlan,
    sources: &[SourceReport],
    identity: Option<IdentityKind>,
    sending: &SendingSettings,
) -> Result<(), Failure> {
    if !plan.has_ids || identity.is_some() {
        return Ok(());
    }
    let (target, key) = (sending.target.name(), sending.target.key_fingerprint());
    for source in sources {
        let run = RunFile::read(source.path())?;
        let is_by_ids = run.as_ref().is_none_or(|run| run.options.contains_key("--identify-by"));
        let is_here = run
            .as_ref()
            .is_some_and(|run| run.target == target && run.api_key.as_ref().is_none_or(|then| *then == key));
        if is_by_ids && !is_here {
            let path = source.path().display();
            let message = format!(
                "the EUIDs of {path} were obtained for ids, and nothing beside it says that they are of this project: they may \
                 be other users' here; nothing was sent"
            );
            let kind = run.and_then(|mut run| run.options.remove("--identify-by")).unwrap_or_else(|| "KIND".to_owned());
            let hint = format!("to ask for them again, say `--identify-by {}`", escape_controls(&kind));
            return Err(Failure::usage(message).with_hint(hint));
        }
    }
    Ok(())
}
