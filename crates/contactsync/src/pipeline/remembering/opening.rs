use std::{fs, path::Path, sync::Arc};

use jiff::Timestamp;
use model::{Euid, IdentityKind};
use report::{Run, destination};
use state::{KnownId, Meta, Opening, State, StateError};

use super::{Remembered, Uncertain, Whose, rereading::Rereading};
use crate::{
    failure::Failure,
    lock::Patience,
    plan::Known,
    settings::{Binding, SendingSettings, StateSettings},
};

/// Tests have new files of the state made often by it.
const NEWER_BYTES: &str = "_CONTACTSYNC_TEST_NEWER_BYTES";

impl Remembered {
    /// Opens the state of a run, or creates it. Exit 2 where it belongs to another service, key, shard or process, or is no
    /// state.
    pub(crate) fn open(
        settings: &StateSettings,
        sending: &SendingSettings,
        whose: &Whose,
        patience: &mut Patience<'_>,
    ) -> Result<Self, Failure> {
        let mut state = opened(settings, State::open, patience)?;
        if let Some(bytes) = std::env::var(NEWER_BYTES).ok().and_then(|bytes| bytes.parse().ok()) {
            state.set_limit(bytes);
        }
        let (target, api_key) = (&sending.target, sending.target.key_fingerprint());
        let meta = state.meta();
        refuse_other_target(&state, &meta, &target.name())?;
        if !sending.accept_new_key {
            refuse_other_key(&state, &meta, &api_key)?;
        }
        let shard = whose.shard_of(&meta, &state.path().display().to_string())?;
        if meta.target.is_none() {
            let what = if sending.compares.is_some() { "every user is read" } else { "every row is sent" };
            let text = format!("the state {} is new: nothing is known yet, so {what}", state.path().display());
            patience.printer().note(&text);
        }
        let bind = |meta: &mut Meta| {
            meta.target = Some(target.name());
            meta.shard = shard;
        };
        state.set_meta(bind).map_err(usage_of)?;
        let opened_ms = later_than_before(&meta);
        Ok(Self {
            state: Arc::new(state),
            settings: settings.clone(),
            api_key,
            opened_ms,
            only_sets: false,
            is_kept: true,
            compares: sending.compares,
            resumed: None,
            uncertain: Uncertain::default(),
        })
    }

    /// Of a run that compares with the service and keeps nothing of it: a state of nothing, whose files in `folder` have no
    /// names.
    pub(crate) fn of_run(sending: &SendingSettings, folder: &Path) -> Result<Self, Failure> {
        let settings =
            StateSettings { path: folder.to_owned(), refresh: false, omitted_kept: false, report_vanished: None };
        Ok(Self {
            state: Arc::new(empty(folder)?.scratch(folder)),
            settings,
            api_key: sending.target.key_fingerprint(),
            opened_ms: now_ms(),
            only_sets: false,
            is_kept: false,
            compares: sending.compares,
            resumed: None,
            uncertain: Uncertain::default(),
        })
    }

    /// Says whose an id is, where that is known.
    pub(crate) fn users(&self, kind: IdentityKind) -> impl FnMut(&str) -> Result<Option<Euid>, StateError> + use<> {
        let mut looker = self.state.looker();
        move |id| Ok(looker.look().id(kind, id)?.and_then(KnownId::user))
    }

    /// Opens a state in which users are marked as not known; none where there is no such file yet, which is told.
    pub(crate) fn to_be_doubted(
        settings: &StateSettings,
        sending: &SendingSettings,
        whose: &Whose,
        patience: &mut Patience<'_>,
    ) -> Result<Option<Self>, Failure> {
        let api_key = sending.target.key_fingerprint();
        let binding = Binding {
            target: sending.target.name(),
            api_key: Some(api_key.clone()),
            accept_new_key: sending.accept_new_key,
        };
        let state = Self::only_asked(settings, &binding, whose, patience)?;
        let remembered = |state| Self {
            state: Arc::new(state),
            settings: settings.clone(),
            api_key,
            opened_ms: now_ms(),
            only_sets: true,
            is_kept: true,
            compares: None,
            resumed: None,
            uncertain: Uncertain::default(),
        };
        Ok(state.map(remembered))
    }

    /// Writes down which run has it open now. Durable before anything is set.
    pub(crate) fn note_opening(&self, run: &Run) -> Result<(), Failure> {
        if !self.is_kept {
            return Ok(());
        }
        let run = run.begun.clone().unwrap_or_default();
        let opening = Opening { at_ms: self.opened_ms, run };
        self.state.set_meta(|meta| meta.add_opening(opening)).map_err(usage_of)
    }

    /// Looks at rows that are read again for a resume of this run.
    pub(crate) fn rereading(&self, then: &Run, identity: Option<IdentityKind>) -> Rereading {
        Rereading::new(&self.state, then, identity)
    }

    /// What is known, for a plan that changes nothing of it.
    pub(crate) fn known(&self, folder: &Path) -> Known {
        Known::new(&self.state, self.settings.omitted_kept, self.settings.refresh, folder)
    }

    /// The same of a state that no run has opened; nothing is known where there is no such file yet.
    pub(crate) fn known_by_file(
        settings: &StateSettings,
        binding: &Binding,
        whose: &Whose,
        patience: &mut Patience<'_>,
        folder: &Path,
    ) -> Result<Known, Failure> {
        let state = Self::only_asked(settings, binding, whose, patience)?.map_or_else(|| empty(folder), Ok)?;
        Ok(Known::new(&state, settings.omitted_kept, settings.refresh, folder))
    }

    /// Nothing, for a plan that compares with the service alone.
    pub(crate) fn nothing_known(folder: &Path) -> Result<Known, Failure> {
        Ok(Known::new(&empty(folder)?, false, false, folder))
    }

    /// Opens a state to ask it; none where there is no such file yet, which is told. Who has no credentials at hand can't say
    /// whether it belongs to them.
    pub(crate) fn only_asked(
        settings: &StateSettings,
        binding: &Binding,
        whose: &Whose,
        patience: &mut Patience<'_>,
    ) -> Result<Option<State>, Failure> {
        if !settings.path.exists() {
            let text = format!("there is no state {} yet, so nothing is known", settings.path.display());
            patience.printer().note(&text);
            return Ok(None);
        }
        let state = opened(settings, State::open_existing, patience)?;
        let meta = state.meta();
        refuse_other_target(&state, &meta, &binding.target)?;
        if let (Some(key), false) = (&binding.api_key, binding.accept_new_key) {
            refuse_other_key(&state, &meta, key)?;
        }
        whose.shard_of(&meta, &state.path().display().to_string())?;
        Ok(Some(state))
    }
}

/// Now, and later than any try before, also where a clock was ahead then: what a try has learnt is told from what it remembers
/// by this.
fn later_than_before(meta: &Meta) -> u64 {
    meta.openings.last().map_or(0, |opening| opening.at_ms + 1).max(now_ms())
}

fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default()
}

/// A state of nothing, which is gone with the program.
fn empty(folder: &Path) -> Result<State, Failure> {
    let path = folder.join(format!(".contactsync-plan-{}", std::process::id()));
    let state = State::open(&path).map_err(usage_of)?;
    fs::remove_file(&path)
        .map_err(|error| Failure::usage(format!("the temporary file {} can't be removed: {error}", path.display())))?;
    Ok(state)
}

/// Opens a state, or waits for whoever uses it.
fn opened(
    settings: &StateSettings,
    open: impl Fn(&Path) -> Result<State, StateError>,
    patience: &mut Patience<'_>,
) -> Result<State, Failure> {
    let path = destination(&settings.path);
    loop {
        match open(&path) {
            Err(StateError::Locked(path)) if patience.waits_for("the state", &path) => {}
            opened => return opened.map_err(usage_of),
        }
    }
}

fn refuse_other_target(state: &State, meta: &Meta, now: &str) -> Result<(), Failure> {
    // Nothing is known before a row was accepted: a try at a wrong address must not keep the right one out.
    let Some(then) = meta.target.as_ref().filter(|then| meta.api_key.is_some() && **then != now) else { return Ok(()) };
    let path = state.path().display();
    let message = format!("the state {path} belongs to {then}, not to {now}; nothing was sent");
    let hint = format!(
        "say another `--state`, one for each service; where the same service has another address now: \
         `contactsync state rebind {path}`"
    );
    Err(Failure::usage(message).with_hint(hint))
}

fn refuse_other_key(state: &State, meta: &Meta, now: &str) -> Result<(), Failure> {
    let path = state.path().display();
    if meta.api_key.as_deref().is_none_or(|then| then == now) {
        return Ok(());
    }
    let message = format!("the rows of the state {path} were accepted under another API key; nothing was sent");
    let hint = format!(
        "where the key of the same project was changed: `contactsync state rebind {path}`, or `--accept-new-key`"
    );
    Err(Failure::usage(message).with_hint(hint))
}

/// What is wrong with a state before anything was sent.
#[expect(clippy::needless_pass_by_value, reason = "errors are turned into failures")]
pub(crate) fn usage_of(error: StateError) -> Failure {
    let hint = error.hint();
    Failure::usage(format!("{error}; nothing was sent")).with_hint(hint)
}
