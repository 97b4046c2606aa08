use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dispatcher::{Dispatched, HttpTransport, Stop, StopCause};
use jiff::Timestamp;
use model::{Counters, Outcome};
use reader::Input;
use report::{Journal, JournalOptions, Summary, Tally, rfc3339};
use sandbox::Sandbox;

use crate::{
    args::{FailOn, ProgressChoice},
    exit::Exit,
    failure::Failure,
    pipeline::{Intaken, JournalEnd, Journaling, take_in},
    reading::Reading,
    settings::{PushSettings, Target, refuse_shared_outputs},
    signals::{Signal, Signals},
    terminal::{Printer, Progress, ProgressStyle},
};

/// Batches of rows that may wait for the dispatcher, which holds as many rows as it may by itself.
const WAITING_BATCHES: usize = 2;

/// `push`: reads, validates, sends and reports.
pub(crate) fn push(
    settings: PushSettings,
    progress: Option<ProgressChoice>,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    for warning in &settings.warnings {
        printer.warning(warning, None);
    }
    let inputs = reader::open_all(&settings.input.names, &settings.input.reader)?;
    for notice in inputs.iter().flat_map(Input::notices) {
        printer.warning(notice, None);
    }
    refuse_shared_outputs(&inputs, &settings.report.outputs())?;
    let unable = |error| Failure::new(Exit::ReadOrWrite, format!("the run can't be started: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(unable)?;
    runtime.block_on(run(settings, inputs, progress, printer, signals))
}

async fn run(
    settings: PushSettings,
    inputs: Vec<Input>,
    progress: Option<ProgressChoice>,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let started_at = Timestamp::now().as_millisecond();
    let started = Instant::now();
    let unable = |error| Failure::new(Exit::ReadOrWrite, format!("the run can't be started: {error}"));
    let service = Service::connect(&settings.target).await?;
    let Some(path) = &settings.report.path else { return Err(Failure::new(Exit::Bug, "a push without a report")) };
    let options = JournalOptions { force: settings.report.force, contacts: settings.report.contacts };
    let journal = Journal::create(path, options)?;

    let (counters, stop) = (Arc::new(Counters::default()), Stop::default());
    let total_bytes = inputs.iter().map(Input::size).sum();
    let style = ProgressStyle::of(progress, printer);
    let progress = Progress::start(style, printer, Arc::clone(&counters), total_bytes, true);
    stop_on_signal(signals.clone(), stop.clone());
    let (decided, journaling) = Journaling::start(journal, Arc::clone(&counters), stop.clone()).map_err(unable)?;
    let (hand_on, rows) = async_channel::bounded(WAITING_BATCHES);
    let reading = Reading::start(inputs, Arc::clone(&counters)).map_err(unable)?;
    let intake = tokio::spawn(take_in(
        reading,
        settings.input,
        settings.report.contacts,
        hand_on,
        Arc::clone(&counters),
        stop.clone(),
        printer.clone(),
    ));
    let transport = service.transport;
    let dispatched =
        dispatcher::run(transport, &settings.dispatcher, rows, decided, Arc::clone(&counters), stop.clone()).await;
    let bug = |what: &str| Failure::new(Exit::Bug, format!("{what} broke off: please report this"));
    let intaken = intake.await.map_err(|_| bug("reading"))?;
    let journaled = journaling.end().await.map_err(|_| bug("the report"))?;
    drop(progress);
    if let Some(sandbox) = service.sandbox {
        sandbox.stop().await;
    }

    let end = End { intaken, dispatched, journaled, cause: stop.cause().cloned(), fail_on: settings.fail_on };
    end.tell(printer);
    let facts = Facts {
        attempts: Counters::get(&counters.attempts),
        elapsed: started.elapsed(),
        started_at: rfc3339(started_at),
        report: path.display().to_string(),
        target: service.url,
        sandbox: matches!(settings.target, Target::Sandbox(_)),
    };
    let summary = end.summary(facts);
    printer.note(&summary.for_people(&[]));
    if summary.exit_code == Exit::Bug.code() {
        printer.failure(&Failure::new(Exit::Bug, "the books don't balance: please report this with the summary above"));
    }
    if let Some(target) = &settings.report.summary {
        let text = serde_json::to_string(&summary).map_err(|error| Failure::new(Exit::Bug, error))?;
        target.write(&format!("{text}\n"))?;
    }
    Ok(end.exit())
}

/// Where requests go: the service, or a sandbox that runs in this process.
struct Service {
    transport: HttpTransport,
    url: String,
    sandbox: Option<Sandbox>,
}

impl Service {
    async fn connect(target: &Target) -> Result<Self, Failure> {
        let (http, sandbox) = match target {
            Target::Service(http) => (http.clone(), None),
            Target::Sandbox(target) => {
                let sandbox = Sandbox::start(target.options.clone()).await.map_err(Failure::usage)?;
                let url = sandbox.base_url().parse().map_err(|error| Failure::new(Exit::Bug, error))?;
                (target.http_settings(url), Some(sandbox))
            }
        };
        let transport = HttpTransport::new(&http).map_err(Failure::usage)?;
        Ok(Self { transport, url: http.base_url.as_str().trim_end_matches('/').to_owned(), sandbox })
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

/// What the steps of a run left behind.
struct End {
    intaken: Intaken,
    dispatched: Dispatched,
    journaled: JournalEnd,
    cause: Option<StopCause>,
    fail_on: FailOn,
}

/// What a summary also says.
struct Facts {
    attempts: u64,
    elapsed: Duration,
    started_at: String,
    report: String,
    target: String,
    sandbox: bool,
}

impl End {
    /// Why the run stopped, in the summary's word, with the status it ends with. An input that broke off comes first:
    /// had anything else stopped the run before, nobody would have read on.
    fn stopped(&self) -> Option<(&'static str, Exit)> {
        if self.intaken.error.is_some() {
            return Some(("input", Exit::ReadOrWrite));
        }
        Some(match self.cause.as_ref()? {
            StopCause::Signal(number) => {
                let signal = [Signal::Hangup, Signal::Interrupt, Signal::Terminate];
                let signal = signal.into_iter().find(|signal| signal.number() == *number);
                ("signal", signal.map_or(Exit::Interrupted, Signal::exit))
            }
            StopCause::Credentials(_) => ("credentials", Exit::Credentials),
            StopCause::MaxFailures(_) => ("max_failures", Exit::MaxFailures),
            StopCause::Outage(_) => ("outage", Exit::OutOfReach),
            StopCause::Input(_) => ("input", Exit::ReadOrWrite),
            StopCause::Report(_) => ("report", Exit::ReadOrWrite),
        })
    }

    fn not_sent(&self) -> u64 {
        self.dispatched.not_sent + self.journaled.lost
    }

    fn exit(&self) -> Exit {
        let tally = &self.journaled.tally;
        let (failed, rejected) = (tally.rows(Outcome::Failed), tally.rows(Outcome::Rejected));
        let stopped = self.stopped();
        let counted = tally.total() + self.not_sent() == self.intaken.rows;
        if !counted || (stopped.is_none() && self.not_sent() > 0) {
            return Exit::Bug;
        }
        match (stopped, self.fail_on) {
            (Some((_, exit)), _) => exit,
            (None, FailOn::Any) if failed + rejected > 0 => Exit::RowsFailed,
            (None, FailOn::Failed) if failed > 0 => Exit::RowsFailed,
            (None, _) => Exit::Success,
        }
    }

    /// Says why the run stopped, where it did.
    fn tell(&self, printer: &Printer) {
        if let Some(error) = &self.intaken.error {
            printer.failure(&Failure::new(Exit::ReadOrWrite, error).with_hint(error.hint()));
        }
        let (message, hint) = match &self.cause {
            None => return,
            Some(StopCause::Signal(_)) => ("stopped by a signal".to_owned(), None),
            Some(StopCause::Credentials(said)) => (
                format!("stopped: the API refuses the credentials or the project ({said})"),
                Some(
                    "check key, secret and `--region`; then send the rows that have no record in the report".to_owned(),
                ),
            ),
            Some(StopCause::MaxFailures(what)) => (format!("stopped: {what} (--max-failures)"), None),
            Some(StopCause::Outage(what)) => (
                format!("stopped: {what}"),
                Some("check `--base-url`, proxy and network, and whether the service is up".to_owned()),
            ),
            Some(StopCause::Input(what)) => (format!("stopped: {what}"), None),
            Some(StopCause::Report(what)) => {
                let hint = self.journaled.error.as_ref().and_then(report::ReportError::hint);
                (format!("stopped: {what}"), hint)
            }
        };
        printer.failure(&Failure::new(self.exit(), message).with_hint(hint));
    }

    fn summary(&self, facts: Facts) -> Summary {
        let tally: &Tally = &self.journaled.tally;
        let seconds = facts.elapsed.as_secs_f64();
        let decided = tally.total();
        Summary {
            rows_read: self.intaken.rows,
            synced: tally.rows(Outcome::Synced),
            unchanged: tally.rows(Outcome::Unchanged),
            rejected: tally.rows(Outcome::Rejected),
            failed: tally.rows(Outcome::Failed),
            not_sent: self.not_sent(),
            superseded: 0,
            expired: 0,
            attempts: facts.attempts,
            retries: tally.retries,
            elapsed_seconds: seconds,
            rows_per_second: if seconds > 0.0 { decided as f64 / seconds } else { 0.0 },
            stopped_by: self.stopped().map(|(word, _)| word),
            exit_code: self.exit().code(),
            reasons: tally.reasons.clone(),
            codes: tally.codes.clone(),
            latency_ms: tally.latency(),
            report: facts.report,
            target: facts.target,
            sandbox: facts.sandbox,
            resumed_rows: 0,
            version: env!("CARGO_PKG_VERSION"),
            started_at: facts.started_at,
            finished_at: rfc3339(Timestamp::now().as_millisecond()),
            inputs: self.intaken.inputs.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a run that read so many rows, of which so many were not sent; none was decided.
    fn end(rows: u64, not_sent: u64, cause: Option<StopCause>) -> End {
        End {
            intaken: Intaken { rows, inputs: Vec::new(), error: None },
            dispatched: Dispatched { not_sent },
            journaled: JournalEnd::default(),
            cause,
            fail_on: FailOn::Any,
        }
    }

    #[test]
    fn books_that_do_not_balance_are_a_bug_whatever_else_happened() {
        assert_eq!(end(0, 0, None).exit(), Exit::Success);
        assert_eq!(end(2, 1, None).exit(), Exit::Bug, "a row is missing");
        assert_eq!(end(2, 2, None).exit(), Exit::Bug, "a finished run sends everything");
        assert_eq!(end(2, 1, Some(StopCause::Signal(15))).exit(), Exit::Bug);
        assert_eq!(end(2, 2, Some(StopCause::Signal(15))).exit(), Exit::Terminated);
        assert_eq!(end(2, 2, Some(StopCause::Outage("down".to_owned()))).exit(), Exit::OutOfReach);
    }
}
