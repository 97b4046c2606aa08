use std::{path::PathBuf, time::Duration};

use dispatcher::MaxFailures;
use model::IdentityKind;

use super::{
    inputs::InputSettings, notify::NotifySettings, outputs::ReportSettings, plan::input_and_limits,
    sandbox::pushed_sandbox, service::ServiceSettings, state::StateSettings, target::Target, window::SendingWindow,
};
use crate::{
    args::{FailOn, ProgressChoice, PushArgs, RunArgs, SendingArgs},
    failure::Failure,
    layers::{Layers, Setting},
    plan::Limits,
};

/// Everything that a push needs to know, checked.
#[derive(Debug)]
pub(crate) struct PushSettings {
    /// What is read and let through.
    pub(crate) input: InputSettings,
    /// What must be so of the whole input before anything is sent.
    pub(crate) limits: Limits,
    /// Where it goes, and how.
    pub(crate) sending: SendingSettings,
}

/// What a push and a replay have in common.
#[derive(Debug)]
pub(crate) struct SendingSettings {
    /// Pace, retries and stopping.
    pub(crate) dispatcher: dispatcher::Settings,
    /// Threads that send.
    pub(crate) threads: usize,
    /// Where the contacts go.
    pub(crate) target: Target,
    /// The kind of ids by which EUIDs are asked for, where any are.
    pub(crate) identity: Option<IdentityKind>,
    /// What is written down.
    pub(crate) report: ReportSettings,
    /// Go on with the run of the report.
    pub(crate) resume: bool,
    /// Also under another API key.
    pub(crate) accept_new_key: bool,
    /// Rows that are sent first, to see what comes back.
    pub(crate) canary: Option<CanarySettings>,
    /// Who hears of the end.
    pub(crate) notify: Option<NotifySettings>,
    /// What the API last accepted, where that is kept.
    pub(crate) state: Option<StateSettings>,
    /// How it is compared with what the service holds, where it is.
    pub(crate) compares: Option<ServiceSettings>,
    /// For how long is sent.
    pub(crate) window: SendingWindow,
    /// A file that is locked while the run lasts.
    pub(crate) lock: Option<PathBuf>,
    /// How long is waited for what another run holds.
    pub(crate) lock_wait: Duration,
    /// Which rows make the run end with status 1.
    pub(crate) fail_on: FailOn,
    /// How progress is shown.
    pub(crate) progress: Option<ProgressChoice>,
    /// Things to warn of.
    pub(crate) warnings: Vec<String>,
}

impl PushSettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &PushArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let mut sending = SendingSettings::of(&args.run, settings, layers)?;
        sending.report.unchanged = args.report_unchanged;
        sending.state = StateSettings::of_push(&args.run.state, &args.state)?;
        sending.compares = ServiceSettings::of_push(&args.compare_service)?;
        if let Some(compares) = &sending.compares {
            sending.dispatcher.profile_rate = compares.profile_rate;
        }
        let (input, limits) = input_and_limits(args)?;
        sending.identity = input.identity();
        sending.report.ids = sending.identity.is_some();
        Ok(Self { input, limits, sending })
    }
}

/// `--canary`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CanarySettings {
    /// How many rows.
    pub(crate) rows: u64,
    /// So many failures among them stop the run.
    pub(crate) max_failures: MaxFailures,
    /// Go on without asking.
    pub(crate) yes: bool,
}

impl SendingSettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &RunArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let mut warnings = Vec::new();
        let target = Target::of(&args.sending, pushed_sandbox(&args.faults), settings, layers, &mut warnings)?;
        Ok(Self {
            dispatcher: dispatcher_settings(&args.sending)?,
            threads: args.sending.threads.unwrap_or_else(default_threads),
            target,
            identity: None,
            report: ReportSettings::of_push(&args.report)?,
            resume: args.resume.resume,
            accept_new_key: args.resume.accept_new_key,
            canary: args.sending.canary.map(|rows| CanarySettings {
                rows,
                max_failures: args.sending.max_failures.unwrap_or(MaxFailures::Rows(1)),
                yes: args.sending.yes,
            }),
            notify: NotifySettings::of(&args.around, &args.sending)?,
            state: StateSettings::of(&args.state)?,
            compares: None,
            window: SendingWindow::of(&args.window)?,
            lock: args.around.lock.clone(),
            lock_wait: args.around.lock_wait.unwrap_or_default(),
            fail_on: args.report.fail_on.unwrap_or(FailOn::Any),
            progress: args.progress,
            warnings,
        })
    }

    /// What decides which rows are sent: a resume must have the same.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> {
        deciding(self.state.as_ref(), self.compares.as_ref())
    }

    /// The files that are written, each with the option that asks for it.
    pub(crate) fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        let lock = self.lock.iter().map(|path| ("--lock", path.clone()));
        let state = self.state.iter().flat_map(StateSettings::outputs);
        self.report.outputs().into_iter().chain(lock).chain(state).collect()
    }
}

/// What of memories decides which rows are sent.
pub(super) fn deciding(
    state: Option<&StateSettings>,
    compares: Option<&ServiceSettings>,
) -> impl Iterator<Item = (String, String)> {
    let compares = compares.into_iter().flat_map(|compares| {
        std::iter::once(("--compare-service".to_owned(), "on".to_owned())).chain(compares.deciding())
    });
    state.into_iter().flat_map(StateSettings::deciding).chain(compares)
}

/// More than two hardly measure better, and where there is little to do only the first has work.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2))
}

pub(super) fn dispatcher_settings(args: &SendingArgs) -> Result<dispatcher::Settings, Failure> {
    let defaults = dispatcher::Settings::default();
    let rate = args.rate.unwrap_or(defaults.rate);
    if let Some(code) = args.retry_code.iter().find(|code| args.ok_code.contains(code)) {
        return Err(Failure::usage(format!("the code {code} can't be both `--ok-code` and `--retry-code`")));
    }
    if args.retry_code.contains(&0) {
        return Err(Failure::usage("`--retry-code 0`: code 0 is success, and no accepted row would ever be done"));
    }
    Ok(dispatcher::Settings {
        rate,
        burst: args.burst.unwrap_or_else(|| rate.default_burst()),
        profile_rate: defaults.profile_rate,
        in_flight: args.in_flight.unwrap_or(defaults.in_flight),
        most_rows: None,
        retries: args.retries.unwrap_or(defaults.retries),
        retry_base: args.retry_base.unwrap_or(defaults.retry_base),
        retry_cap: args.retry_cap.unwrap_or(defaults.retry_cap),
        retry_codes: args.retry_code.clone(),
        ok_codes: args.ok_code.clone(),
        max_failures: args.max_failures.unwrap_or(defaults.max_failures),
        grace: args.grace.unwrap_or(defaults.grace),
        outage_wait: args.outage_wait.unwrap_or(defaults.outage_wait),
    })
}
