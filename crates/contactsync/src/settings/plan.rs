use std::{path::PathBuf, time::Duration};

use dispatcher::Rate;
use quota::Which;

use super::{
    inputs::InputSettings,
    outputs::ReportSettings,
    push::{deciding, dispatcher_settings},
    sandbox::pushed_sandbox,
    service::ServiceSettings,
    share_rate::SharedRate,
    state::StateSettings,
    target::{Binding, Target},
};
use crate::{
    args::{FailOn, ProgressChoice, PushArgs},
    failure::Failure,
    layers::{Layers, Setting},
    plan::Limits,
};

/// Everything that `push --dry-run` needs to know, checked: no credentials.
#[derive(Debug)]
pub(crate) struct DryRunSettings {
    /// What is read and let through.
    pub(crate) input: InputSettings,
    /// What must be so of the whole input.
    pub(crate) limits: Limits,
    /// What the API last accepted, where that is kept.
    pub(crate) state: Option<StateSettings>,
    /// How it is compared with what the service holds, where it is.
    pub(crate) compares: Option<PlannedService>,
    /// How long is waited for a state that another run uses.
    pub(crate) lock_wait: Duration,
    /// Attempts that would be made in a time.
    pub(crate) rate: Rate,
    /// Where they would go, and under which key.
    pub(crate) binding: Binding,
    /// The report that would be written, and the summary that is.
    pub(crate) report: ReportSettings,
    /// The report with which the run would go on.
    pub(crate) resume: Option<PathBuf>,
    /// Which rows make it end with status 1.
    pub(crate) fail_on: FailOn,
    /// How progress is shown.
    pub(crate) progress: Option<ProgressChoice>,
}

/// A service that a plan reads.
#[derive(Debug)]
pub(crate) struct PlannedService {
    /// How users are read and compared.
    pub(crate) service: ServiceSettings,
    /// Where they are.
    pub(crate) target: Target,
    /// Pace, retries and stopping.
    pub(crate) dispatcher: dispatcher::Settings,
    /// The rate of reading, where it is shared with other processes.
    pub(crate) shared_rate: Option<SharedRate>,
    /// Things to warn of.
    pub(crate) warnings: Vec<String>,
}

impl PlannedService {
    fn of(args: &PushArgs, settings: &[Setting], layers: &Layers) -> Result<Option<Self>, Failure> {
        let Some(service) = ServiceSettings::of_push(&args.compare_service)? else { return Ok(None) };
        let mut warnings = Vec::new();
        let sandbox = pushed_sandbox(&args.run.faults);
        let mut target = Target::of(&args.run.sending.requests, sandbox, settings, layers, &mut warnings)?;
        target.keep_users();
        let dispatcher = dispatcher_settings(&args.run.sending)?;
        let dispatcher = dispatcher::Settings { profile_rate: service.profile_rate, ..dispatcher };
        let requests = &args.run.sending.requests;
        let from = (settings, layers);
        let shared_rate = SharedRate::of(requests, &[Which::Reading], &dispatcher, from, &mut warnings)?;
        Ok(Some(Self { service, target, dispatcher, shared_rate, warnings }))
    }
}

impl DryRunSettings {
    /// What decides which rows would be sent.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> {
        deciding(self.state.as_ref(), self.compares.as_ref().map(|planned| &planned.service))
    }

    /// What the arguments and the layers say.
    pub(crate) fn of(args: &PushArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let (input, limits) = input_and_limits(args)?;
        let sending = &args.run.sending;
        // What the push couldn't share is told now.
        SharedRate::named(&sending.requests, &[Which::Sending], &dispatcher_settings(sending)?, settings)?;
        let report = ReportSettings::of_check(&args.run.report)?;
        let resume = report.path.clone().filter(|_| args.run.resume.resume);
        Ok(Self {
            input,
            limits,
            state: StateSettings::of_push(&args.run.state, &args.state)?,
            compares: PlannedService::of(args, settings, layers)?,
            lock_wait: args.run.around.lock_wait.unwrap_or_default(),
            rate: args.run.sending.rate.unwrap_or_default(),
            binding: Binding::of(&args.run, settings, layers)?,
            report,
            resume,
            fail_on: args.run.report.fail_on.unwrap_or(FailOn::Any),
            progress: args.run.progress,
        })
    }
}

/// What is read, and what must be so of the whole of it.
pub(super) fn input_and_limits(args: &PushArgs) -> Result<(InputSettings, Limits), Failure> {
    let mut input = InputSettings::of(&args.inputs, &args.rules, true)?;
    let limits = Limits::of(&args.plan, input.rules.empty, args.run.state.state.is_some())?;
    input.read_twice_for = limits.need_plan();
    Ok((input, limits))
}
