use std::{io, path::PathBuf, sync::Arc, time::Instant};

use dispatcher::{Canary, Dispatcher, Stop, StopCause};
use jiff::Timestamp;
use model::{Counters, Outcome};
use reader::{AskedNames, Input};
use report::{
    Comparison, ComparisonFigures, ContactsPolicy, InputSummary, Journal, ReplayRows, RowSet, RunFile, Summary, rfc3339,
};
use tokio::runtime::{Builder, Handle, Runtime};

use super::{
    RowSink,
    canary::CanaryLooker,
    comparing::Resumed,
    continuing::CarriedOver,
    intake::{Beside, IntakeResult, take_in},
    journaling::{Journaling, RequestFigures, RunRecord},
    notify::notify,
    outcome::{RunDetails, RunOutcome, has_asked},
    remembering::{Remembered, Remembering, WhatWasRead},
    replayed::take_replayed,
    resolving::{IdResolver, OwnIds},
    service::Service,
    sharing::with_shared_rate,
    unchanged::UnchangedRows,
    verifying::{Answering, Verifier},
    window::stop_at_end,
};
use crate::{
    exit::Exit,
    failure::Failure,
    monitor::{Before, Monitor, Phase, Sources},
    reading::{Positions, Reading},
    settings::{CommandLine, InputSettings, SendingSettings, StateSettings, Target},
    signals::Signals,
    superseding::Superseded,
    terminal::{Printer, Progress, ProgressStyle, Whole, Work},
};

/// Batches of rows that may wait for the dispatcher, which holds as many rows as it may by itself.
const WAITING_BATCHES: usize = 2;

/// A run, ready to begin.
pub(crate) struct Job {
    pub(crate) settings: SendingSettings,
    pub(crate) rows: RowSource,
    /// The report, and its path.
    pub(crate) journal: Journal,
    pub(crate) report: PathBuf,
    /// What lies beside the report; none beside a pipe or a device.
    pub(crate) run: Option<RunFile>,
    /// What the API last accepted, where that is kept, and what was compared with it before.
    pub(crate) remembered: Option<Remembered>,
    pub(crate) compared: Comparison,
    /// What is known of ids, where rows are keyed by them.
    pub(crate) ids: Option<OwnIds>,
    pub(crate) carried_over: CarriedOver,
    pub(crate) command_line: CommandLine,
    pub(crate) monitor: Monitor,
}

/// Where the rows come from.
pub(crate) enum RowSource {
    /// From inputs; those that are decided are left out.
    Inputs {
        inputs: Vec<Input>,
        settings: Box<InputSettings>,
        asked: AskedNames,
        resumed: Option<Box<Resumed>>,
        superseded: Option<Box<Superseded>>,
    },
    /// From reports of earlier runs.
    Replay {
        rows: ReplayRows,
        /// The reports, each with the rows that come from it.
        reports: Vec<InputSummary>,
    },
}

/// Sends all rows and returns the status to end with.
pub(crate) fn send(job: Job, printer: &Printer, signals: &Signals) -> Result<Exit, Failure> {
    let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("the run can't be started: {error}"));
    let runtimes = Runtimes::start(&job.settings).map_err(cannot_start)?;
    let notified = job.settings.notify.clone();
    let (exit, summary) = runtimes.main.block_on(run(job, printer, signals, &runtimes))?;
    notify(notified.as_ref(), &summary, printer);
    Ok(exit)
}

/// What a run runs on: a thread for the dispatcher with its workers, further threads for further workers where they were
/// asked for, and others for the sandbox.
struct Runtimes {
    main: Runtime,
    further: Vec<Runtime>,
    sandbox: Option<Runtime>,
}

impl Runtimes {
    fn start(settings: &SendingSettings) -> io::Result<Self> {
        let main = Builder::new_current_thread().enable_all().build()?;
        // More threads than there are workers would have nothing to do.
        let threads = settings.threads.min(settings.dispatcher.in_flight);
        let one = |_| Builder::new_multi_thread().worker_threads(1).thread_name("sender").enable_all().build();
        let further = (1..threads).map(one).collect::<io::Result<_>>()?;
        let sandbox = match settings.target {
            Target::Service(_) => None,
            Target::Sandbox(_) => Some(Builder::new_multi_thread().thread_name("sandbox").enable_all().build()?),
        };
        Ok(Self { main, further, sandbox })
    }
}

async fn run(job: Job, printer: &Printer, signals: &Signals, runtimes: &Runtimes) -> Result<(Exit, Summary), Failure> {
    let Job { settings, rows, journal, report, run, remembered, compared, ids, carried_over, command_line, monitor } =
        job;
    let started_at = Timestamp::now().as_millisecond();
    let started = Instant::now();
    let requests_before = carried_over.requests;
    let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("the run can't be started: {error}"));
    let service = Service::connect(&settings.target, runtimes.sandbox.as_ref().map(Runtime::handle)).await?;
    let dispatcher = Dispatcher::new(&settings.dispatcher, service.lines);
    let mut dispatcher = with_shared_rate(dispatcher, settings.shared_rate.as_ref())?;
    // Until here a signal ends the program at once; from here on what is under way is finished first.
    let graceful = signals.gracefully();
    let (counters, stop) = (Arc::new(Counters::default()), Stop::default());
    let style = ProgressStyle::of(settings.progress, printer);
    let work = if settings.verifies.is_some() { Work::Verifies } else { Work::Sends };
    let progress = Progress::start(style, printer, Arc::clone(&counters), rows.whole(), work);
    stop_on_signal(signals.clone(), stop.clone());
    stop_at_end(settings.window.clone(), stop.clone());
    let (hand_on, taken) = async_channel::bounded(WAITING_BATCHES);
    let sink = RowSink { rows: hand_on, counters: Arc::clone(&counters), stop: stop.clone(), printer: printer.clone() };
    let is_resumable = run.is_some();
    let unchanged = UnchangedRows::new(rows.unchanged_before(), Arc::clone(&counters));
    let mut remembering = remembered.map(|remembered| Remembering::new(remembered, unchanged.clone()));
    let undecided = remembering.as_ref().map(Remembering::undecided);
    let by_ids = ids.is_some();
    let known_ids = ids.as_ref().map(OwnIds::known);
    let resolver = ids.map(|ids| IdResolver::new(ids, undecided, stop.clone()));
    // What is verified is compared with nothing else.
    let compares = remembering.as_ref().filter(|_| settings.verifies.is_none());
    let comparison = compares.map(|_| ComparisonFigures::from(compared));
    let takes_all = rows.takes_all();
    let begun = run.as_ref().and_then(|file| file.run().begun.clone());
    let mut positions = Positions::new(0);
    let intake: tokio::task::JoinHandle<IntakeResult> = match rows {
        RowSource::Inputs { inputs, settings: input, asked, resumed, superseded } => {
            let reading = Reading::start(inputs, input.rows.last(), Arc::clone(&counters)).map_err(cannot_start)?;
            positions = reading.positions().clone();
            let (contacts, runtime) = (settings.report.contacts, Handle::current());
            let glancing = compares.map(|it| it.glancing(settings.report.unchanged));
            let answering = superseded.map(|superseded| Answering::new(*superseded));
            let beside = Beside { glancing, ids: known_ids, answering };
            // Reading and validating keep a thread busy, and not the one that sends.
            tokio::task::spawn_blocking(move || {
                runtime.block_on(take_in(reading, *input, asked, resumed, beside, contacts, sink))
            })
        }
        RowSource::Replay { rows, reports } => {
            let ages = remembering.as_ref().map(Remembering::ages);
            tokio::task::spawn_blocking(move || take_replayed(rows, reports, ages.as_ref(), known_ids, &sink))
        }
    };
    let key = settings.target.key_fingerprint();
    let requests = RequestFigures { counters: Arc::clone(&counters), retries: Arc::default() };
    monitor.follow(|| Sources {
        counters: Arc::clone(&counters),
        tally: journal.live_tally(),
        unchanged: Some(unchanged.clone()),
        writes_unchanged: settings.report.unchanged,
        requests: requests.clone(),
        before: Before::from(&carried_over),
    });
    let run = run.map(|file| {
        let requests = requests.clone();
        RunRecord::new(file, positions.clone(), unchanged.clone(), comparison.clone(), key.clone(), requests)
    });
    let (counted, writes_unchanged) = (Arc::clone(&counters), settings.report.unchanged);
    let (decided, journaling) =
        Journaling::start(journal, run.clone(), writes_unchanged, counted, stop.clone(), printer.clone())
            .map_err(cannot_start)?;
    dispatcher = dispatcher.also_on(runtimes.further.iter().map(|runtime| runtime.handle().clone()));
    if !settings.report.contacts.shows(Outcome::Synced) {
        dispatcher = dispatcher.without_accepted_contacts();
    }
    if let (Some(remembering), Some(figures)) = (&mut remembering, comparison) {
        let memory = remembering.memory(run.clone(), figures, stop.clone()).map_err(cannot_start)?;
        dispatcher = dispatcher.with_memory(memory);
    }
    let mut verifier = None;
    if let Some(verifying) = settings.verifies {
        let doubts = remembering.as_mut().map(|it| it.doubts(stop.clone())).transpose().map_err(cannot_start)?;
        let memory = Arc::new(Verifier::new(
            verifying,
            settings.report.contacts,
            doubts,
            Arc::clone(&requests.retries),
            Arc::clone(&counters),
        ));
        verifier = Some(Arc::clone(&memory));
        dispatcher = dispatcher.with_memory(memory);
    }
    if let Some(resolver) = resolver.filter(|_| verifier.is_none()) {
        dispatcher = dispatcher.with_resolver(Arc::new(resolver));
    }
    if let Some(canary) = settings.canary {
        let (limit, watch) = Canary::new(canary.rows);
        dispatcher = dispatcher.with_canary(limit);
        let looker = CanaryLooker { settings: canary, stop: stop.clone(), printer: printer.clone() };
        tokio::spawn(looker.look(watch));
    }
    if let Some(listener) = monitor.listener() {
        dispatcher = dispatcher.with_listener(listener);
    }
    monitor.phase(Phase::Sending);
    let sent = dispatcher.run(taken, decided, Arc::clone(&counters), stop.clone()).await;
    monitor.phase(Phase::Finishing);
    let bug = |what: &str| Failure::new(Exit::Bug, format!("{what} broke off: please report this"));
    let intake = intake.await.map_err(|_| bug("reading"))?;
    let mut journaled = journaling.end().await.map_err(|_| bug("the report"))?;
    drop(progress);
    if let Some(sandbox) = service.sandbox {
        sandbox.stop().await;
    }
    journaled.tally.add_rows(Outcome::Unchanged, unchanged.passed_over());
    let mut outcome = RunOutcome {
        intake,
        dispatched: sent,
        journaled,
        carried_over,
        cause: stop.cause().cloned(),
        fail_on: settings.fail_on,
        has_asked: has_asked(&counters),
        verifies: settings.verifies.is_some(),
        can_be_replayed: settings.report.contacts != ContactsPolicy::Never,
    };
    let mut vanished = None;
    if let Some(remembering) = remembering {
        vanished = remembering.end(
            &mut outcome,
            &WhatWasRead { takes_all, shard: settings.shard, by_ids, begun, positions },
            printer,
        );
    }
    outcome.note_finish(run, vanished);
    if let Some(verifier) = &verifier {
        verifier.warn(printer);
    }
    outcome.tell(printer);
    let summary = outcome.summary(RunDetails {
        attempts: Counters::get(&counters.attempts),
        requests: requests.with(requests_before),
        elapsed: started.elapsed(),
        started_at: rfc3339(started_at),
        report: report.display().to_string(),
        target: service.url,
        sandbox: matches!(settings.target, Target::Sandbox(_)),
        vanished,
        shard: settings.shard,
        vanished_listed: settings.state.as_ref().and_then(StateSettings::list),
    });
    monitor.stopped_by(summary.stopped_by);
    let mut steps = outcome.intake.never_seen.clone();
    steps.extend(outcome.next_steps(&command_line, &report, is_resumable));
    printer.note(&summary.for_people(&steps));
    if summary.exit_code == Exit::Bug.code() {
        printer.failure(&Failure::new(Exit::Bug, "the books don't balance: please report this with the summary above"));
    }
    // Where it goes into a pipe, somebody may have to end the wait for who reads it.
    let graceful = (!settings.report.summary_may_wait()).then_some(graceful);
    let exit = settings.report.write_summary(&summary, outcome.exit(), printer);
    signals.last_words().decide(exit);
    drop(graceful);
    Ok((exit, Summary { exit_code: exit.code(), ..summary }))
}

impl RowSource {
    /// The inputs, each with the rows that an earlier try found unchanged. A replay finds none.
    fn unchanged_before(&self) -> Vec<(Arc<str>, RowSet)> {
        let Self::Inputs { settings, resumed, .. } = self else { return Vec::new() };
        let before =
            |source: &str| resumed.as_ref().map_or_else(RowSet::default, |resumed| resumed.decided.unchanged(source));
        settings.names.iter().map(|name| (Arc::clone(name.source()), before(name.source()))).collect()
    }

    /// Whether all rows of inputs are taken.
    fn takes_all(&self) -> bool {
        matches!(self, Self::Inputs { settings, .. } if settings.rows.takes_all())
    }

    /// How much there is to be done, as far as it is known.
    fn whole(&self) -> Whole {
        match self {
            Self::Inputs { inputs, settings, .. } => Whole::of(inputs, settings.rows.expected()),
            Self::Replay { reports, .. } => {
                Whole { bytes: None, rows: Some(reports.iter().map(|report| report.rows).sum()) }
            }
        }
    }
}

fn stop_on_signal(signals: Signals, stop: Stop) {
    tokio::spawn(async move {
        signals.wait().await;
        if let Some(signal) = signals.received() {
            stop.because(StopCause::Signal(signal.number()));
        }
    });
}
