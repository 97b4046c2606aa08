use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use model::IdentityKind;
use quota::Which;
use report::{Chosen, ReplayChoice};

use super::{
    push::{SendingSettings, dispatcher_settings},
    share_rate::SharedRate,
    state::StateSettings,
    target::Binding,
};
use crate::{
    args::{ReplayArgs, ReplayChoiceArgs},
    failure::Failure,
    layers::{Layers, Setting},
};

/// What failed is not sent again after so long, unless it is asked for: it may have changed since.
const MAX_AGE: Duration = Duration::from_hours(24);

/// Everything that a replay needs to know, checked.
#[derive(Debug)]
pub(crate) struct ReplaySettings {
    /// The reports of earlier runs.
    pub(crate) reports: Vec<PathBuf>,
    /// Which of their rows.
    pub(crate) choice: ReplayChoice,
    /// The kind of ids by which EUIDs are asked for, where they may be.
    pub(crate) identity: Option<IdentityKind>,
    /// Where they go, and how; none: they are only listed.
    pub(crate) sending: Option<SendingSettings>,
    /// What a list asks, if anything.
    pub(crate) asked: Option<AskedState>,
}

/// A state that is asked which rows are too old to be sent.
#[derive(Debug)]
pub(crate) struct AskedState {
    /// The state.
    pub(crate) state: StateSettings,
    /// What it must belong to.
    pub(crate) binding: Binding,
    /// How long is waited for one that another run uses.
    pub(crate) lock_wait: Duration,
}

impl ReplaySettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &ReplayArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let (mut sending, mut asked) = (None, None);
        let identity = args.choice.identify_by.map(IdentityKind::from);
        if args.choice.dry_run {
            let args = &args.run;
            // What the replay couldn't share is told now.
            let dispatcher = dispatcher_settings(&args.sending)?;
            SharedRate::named(&args.sending.requests, &[Which::Sending], &dispatcher, settings)?;
            if let Some(state) = StateSettings::of(&args.state)? {
                // A list needs no credentials.
                let binding = Binding::of(args, settings, layers)?;
                asked = Some(AskedState { state, binding, lock_wait: args.around.lock_wait.unwrap_or_default() });
            }
        } else {
            let mut settled = SendingSettings::of(&args.run, None, settings, layers)?;
            settled.share_rate(&args.run.sending.requests, &[Which::Sending], settings, layers)?;
            sending = Some(settled);
        }
        Ok(Self { reports: args.reports.clone(), choice: choice(&args.choice), identity, sending, asked })
    }

    /// The options that decide which rows are sent, as far as they are not the default: a resume must have the same.
    pub(crate) fn deciding(&self) -> BTreeMap<String, String> {
        let ReplayChoice { chosen, include_superseded, max_age } = &self.choice;
        let mut all = BTreeMap::new();
        match chosen {
            Chosen::Curable => {}
            Chosen::All => _ = all.insert("--all".to_owned(), "on".to_owned()),
            Chosen::These { reasons, codes } => {
                let reasons: Vec<&str> = reasons.iter().map(|reason| reason.as_str()).collect();
                let codes: Vec<String> = codes.iter().map(i64::to_string).collect();
                for (name, values) in [("--reason", reasons.join(",")), ("--code", codes.join(","))] {
                    if !values.is_empty() {
                        all.insert(name.to_owned(), values);
                    }
                }
            }
        }
        if *include_superseded {
            all.insert("--include-superseded".to_owned(), "on".to_owned());
        }
        if let Some(kind) = self.identity {
            all.insert("--identify-by".to_owned(), kind.to_string());
        }
        if *max_age != MAX_AGE {
            all.insert("--max-age".to_owned(), format!("{}s", max_age.as_secs_f64()));
        }
        all
    }
}

fn choice(args: &ReplayChoiceArgs) -> ReplayChoice {
    let chosen = match (args.all, args.reason.is_empty() && args.code.is_empty()) {
        (true, _) => Chosen::All,
        (false, true) => Chosen::Curable,
        (false, false) => Chosen::These { reasons: args.reason.clone(), codes: args.code.clone() },
    };
    let max_age = args.max_age.unwrap_or(MAX_AGE);
    ReplayChoice { chosen, include_superseded: args.include_superseded, max_age }
}
