use std::{path::PathBuf, time::Duration};

use dispatcher::MaxFailures;
use model::Shard;
use quota::Which;

use super::{
    inputs::InputSettings, monitor::MonitorSettings, notify::NotifySettings, outputs::ReportSettings,
    plan::input_and_limits, sandbox::pushed_sandbox, service::ServiceSettings, share_rate::SharedRate,
    state::StateSettings, target::Target, verify::Verifying, window::SendingWindow,
};
use crate::{
    args::{
        AroundArgs, FailOn, ProgressChoice, PushArgs, ReportArgs, RequestArgs, ResumeArgs, RunArgs, SandboxFaultArgs,
        SendingArgs, WindowArgs,
    },
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
    /// Who watches it.
    pub(crate) monitor: MonitorSettings,
    /// What the API last accepted, where that is kept.
    pub(crate) state: Option<StateSettings>,
    /// Whose rows are sent, where not everybody's.
    pub(crate) shard: Option<Shard>,
    /// How it is compared with what the service holds, where it is.
    pub(crate) compares: Option<ServiceSettings>,
    /// For how long is sent.
    pub(crate) window: SendingWindow,
    /// The rates that are shared with other processes, where they are.
    pub(crate) shared_rate: Option<SharedRate>,
    /// A file that is locked while the run lasts.
    pub(crate) lock: Option<PathBuf>,
    /// How long is waited for what another run holds.
    pub(crate) lock_wait: Duration,
    /// Which rows make the run end with status 1.
    pub(crate) fail_on: FailOn,
    /// How progress is shown.
    pub(crate) progress: Option<ProgressChoice>,
    /// Nothing is sent: it is looked at what the service holds, and how.
    pub(crate) verifies: Option<Verifying>,
    /// Things to warn of.
    pub(crate) warnings: Vec<String>,
}

impl PushSettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(args: &PushArgs, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let mut sending = SendingSettings::of(&args.run, args.inputs.shard, settings, layers)?;
        sending.report.unchanged = args.report_unchanged;
        sending.state = StateSettings::of_push(&args.run.state, &args.state)?;
        sending.compares = ServiceSettings::of_push(&args.compare_service)?;
        if let Some(compares) = &sending.compares {
            sending.dispatcher.profile_rate = compares.profile_rate;
            sending.target.keep_users();
        }
        let reads = sending.compares.is_some().then_some(Which::Reading);
        let uses: Vec<Which> = std::iter::once(Which::Sending).chain(reads).collect();
        sending.share_rate(&args.run.sending.requests, &uses, settings, layers)?;
        let (input, limits) = input_and_limits(args)?;
        sending.report.ids = input.identity().is_some();
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

/// Arguments of such a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) requests: &'a RequestArgs,
    pub(super) window: &'a WindowArgs,
    pub(super) report: &'a ReportArgs,
    pub(super) resume: &'a ResumeArgs,
    pub(super) around: &'a AroundArgs,
    pub(super) faults: &'a SandboxFaultArgs,
    pub(super) progress: Option<ProgressChoice>,
    pub(super) shard: Option<Shard>,
}

impl SendingSettings {
    /// What the arguments and the layers say.
    pub(crate) fn of(
        args: &RunArgs,
        shard: Option<Shard>,
        settings: &[Setting],
        layers: &Layers,
    ) -> Result<Self, Failure> {
        let RunArgs { sending, state, window, report, resume, around, faults, progress, layers: _ } = args;
        let requests = &sending.requests;
        let parts = Parts { requests, window, report, resume, around, faults, progress: *progress, shard };
        let common = Self::of_parts(&parts, settings, layers)?;
        Ok(Self {
            dispatcher: dispatcher_settings(sending)?,
            canary: sending.canary.map(|rows| CanarySettings {
                rows,
                max_failures: sending.requests.max_failures.unwrap_or(MaxFailures::Rows(1)),
                yes: sending.yes,
            }),
            state: StateSettings::of(state)?,
            ..common
        })
    }

    /// What the arguments that every command has say, which talks to the service and writes a report.
    pub(super) fn of_parts(parts: &Parts<'_>, settings: &[Setting], layers: &Layers) -> Result<Self, Failure> {
        let Parts { requests, window, report, resume, around, faults, progress, shard } = *parts;
        let mut warnings = Vec::new();
        let target = Target::of(requests, pushed_sandbox(faults), settings, layers, &mut warnings)?;
        Ok(Self {
            dispatcher: request_settings(requests)?,
            threads: requests.threads.unwrap_or_else(default_threads),
            target,
            report: ReportSettings::of_push(report, shard)?,
            resume: resume.resume,
            accept_new_key: resume.accept_new_key,
            canary: None,
            notify: NotifySettings::of(around, requests)?,
            monitor: MonitorSettings::of(around, requests, layers, &mut warnings)?,
            state: None,
            shard,
            compares: None,
            window: SendingWindow::of(window)?,
            shared_rate: None,
            lock: around.lock.clone(),
            lock_wait: around.lock_wait.unwrap_or_default(),
            fail_on: report.fail_on.unwrap_or(FailOn::Any),
            progress,
            verifies: None,
            warnings,
        })
    }

    /// Shares the rates that the command uses, where they are to be shared.
    pub(super) fn share_rate(
        &mut self,
        requests: &RequestArgs,
        uses: &[Which],
        settings: &[Setting],
        layers: &Layers,
    ) -> Result<(), Failure> {
        let warnings = &mut self.warnings;
        self.shared_rate = SharedRate::of(requests, uses, &self.dispatcher, (settings, layers), warnings)?;
        Ok(())
    }

    /// What decides which rows are sent: a resume must have the same.
    pub(crate) fn deciding(&self) -> impl Iterator<Item = (String, String)> {
        deciding(self.state.as_ref(), self.compares.as_ref())
    }

    /// The files that are written, each with the option that asks for it.
    pub(crate) fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        let lock = self.lock.iter().map(|path| ("--lock", path.clone()));
        let state = self.state.iter().flat_map(StateSettings::outputs);
        let shared = self.shared_rate.iter().filter_map(SharedRate::output);
        let metrics = self.monitor.metrics_file.iter().map(|file| ("--metrics-file", file.output.path().to_owned()));
        self.report.outputs().into_iter().chain(lock).chain(metrics).chain(state).chain(shared).collect()
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
    let common = request_settings(&args.requests)?;
    let rate = args.rate.unwrap_or(common.rate);
    if let Some(code) = args.requests.retry_code.iter().find(|code| args.ok_code.contains(code)) {
        return Err(Failure::usage(format!("the code {code} can't be both `--ok-code` and `--retry-code`")));
    }
    let burst = args.burst.unwrap_or_else(|| rate.default_burst());
    Ok(dispatcher::Settings { rate, burst, ok_codes: args.ok_code.clone(), ..common })
}

/// What holds for requests of every kind.
fn request_settings(args: &RequestArgs) -> Result<dispatcher::Settings, Failure> {
    let defaults = dispatcher::Settings::default();
    if args.retry_code.contains(&0) {
        return Err(Failure::usage("`--retry-code 0`: code 0 is success, and no accepted row would ever be done"));
    }
    Ok(dispatcher::Settings {
        in_flight: args.in_flight.unwrap_or(defaults.in_flight),
        retries: args.retries.unwrap_or(defaults.retries),
        retry_base: args.retry_base.unwrap_or(defaults.retry_base),
        retry_cap: args.retry_cap.unwrap_or(defaults.retry_cap),
        retry_codes: args.retry_code.clone(),
        max_failures: args.max_failures.unwrap_or(defaults.max_failures),
        grace: args.grace.unwrap_or(defaults.grace),
        outage_wait: args.outage_wait.unwrap_or(defaults.outage_wait),
        ..defaults
    })
}
