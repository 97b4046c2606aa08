use std::{collections::BTreeMap, time::Duration};

use quota::Which;

use super::{
    inputs::InputSettings,
    push::{Parts, SendingSettings},
    service::ServiceSettings,
    state::StateSettings,
};
use crate::{
    args::VerifyArgs,
    failure::Failure,
    layers::{Layers, Setting},
};

/// How long after its first read a row is read once more.
const SETTLE: Duration = Duration::from_secs(10);
/// Rows that may be let in and not be decided: those that are read once more wait for it.
const MOST_ROWS: usize = 1 << 16;

/// Everything that a verify needs to know, checked.
#[derive(Debug)]
pub(crate) struct VerifySettings {
    /// What is read and let through.
    pub(crate) input: InputSettings,
    /// Whom is asked, and how; what is written down.
    pub(crate) sending: SendingSettings,
}

/// How rows are verified.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verifying {
    /// How users are read and compared.
    pub(crate) service: ServiceSettings,
    /// How long after its first read a row that has not landed is read once more.
    pub(crate) settle: Duration,
}

impl VerifySettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &VerifyArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let VerifyArgs { verifying, requests, window, report, resume, around, faults, progress, .. } = args;
        let shard = args.inputs.shard;
        let parts = Parts { requests, window, report, resume, around, faults, progress: *progress, shard };
        let mut sending = SendingSettings::of_parts(&parts, settings, layers)?;
        let service = ServiceSettings::of(&verifying.service);
        sending.target.keep_users();
        sending.dispatcher.profile_rate = service.profile_rate;
        sending.dispatcher.most_rows = Some(MOST_ROWS);
        sending.state = args.state.clone().map(StateSettings::of_file).transpose()?;
        sending.share_rate(requests, &[Which::Reading], settings, layers)?;
        sending.verifies = Some(Verifying { service, settle: verifying.settle.unwrap_or(SETTLE) });
        let mut input = InputSettings::of(&args.inputs, &args.rules, true)?;
        if input.identity().is_some() && sending.state.is_none() {
            let hint = "name the state of the push that sent them: `--state FILE`".to_owned();
            let message = "`--identify-by` needs `--state` here: nobody is registered to be looked at, and nothing else knows \
                           whose the ids are";
            return Err(Failure::usage(message).with_hint(hint));
        }
        sending.report.ids = input.identity().is_some();
        // Each input is read twice.
        input.spool = true;
        Ok(Self { input, sending })
    }

    /// The options that decide what is found, as far as they are not the default: a resume must have the same.
    pub(crate) fn deciding(&self) -> BTreeMap<String, String> {
        let state = self.sending.state.iter().flat_map(StateSettings::deciding);
        let compare = self.sending.verifies.iter().flat_map(|it| it.service.deciding());
        self.input.deciding().into_iter().chain(state).chain(compare).collect()
    }
}
