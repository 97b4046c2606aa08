use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use dispatcher::{Dispatched, StopCause};
use jiff::Timestamp;
use model::{Counters, Outcome, Reason, Shard};
use report::{Decided, Finished, InputSummary, ReportError, Requests, Summary, Tally, Verified, rfc3339};

use super::{
    continuing::CarriedOver,
    intake::IntakeResult,
    journaling::{JournalEnd, RunRecord},
};
use crate::{args::FailOn, exit::Exit, failure::Failure, settings::CommandLine, signals::Signal, terminal::Printer};

/// What the steps of a run left behind.
pub(super) struct RunOutcome {
    pub(super) intake: IntakeResult,
    pub(super) dispatched: Dispatched,
    pub(super) journaled: JournalEnd,
    pub(super) carried_over: CarriedOver,
    pub(super) cause: Option<StopCause>,
    pub(super) fail_on: FailOn,
    /// The service was asked for something.
    pub(super) has_asked: bool,
    /// Nothing was sent: it was looked at what the service holds.
    pub(super) verifies: bool,
    /// The report's records hold what a replay would send.
    pub(super) can_be_replayed: bool,
}

/// What a summary also says.
pub(super) struct RunDetails {
    /// Attempts of this try.
    pub(super) attempts: u64,
    /// Requests that no row tells of, those of earlier tries included.
    pub(super) requests: Requests,
    pub(super) elapsed: Duration,
    pub(super) started_at: String,
    pub(super) report: String,
    pub(super) target: String,
    pub(super) sandbox: bool,
    /// Users that the state knows and no row had, where that is known.
    pub(super) vanished: Option<u64>,
    /// Whose rows were sent, where not everybody's.
    pub(super) shard: Option<Shard>,
    /// Where vanished users are listed, if anywhere.
    pub(super) vanished_listed: Option<PathBuf>,
}

impl RunOutcome {
    /// Why the run stopped, in the summary's word, with the status it ends with. An input that broke off comes first:
    /// had anything else stopped the run before, nobody would have read on.
    fn stopped(&self) -> Option<(&'static str, Exit)> {
        if self.intake.error.is_some() {
            return Some(("input", Exit::ReadOrWrite));
        }
        match &self.cause {
            None => self.journaled.error.is_some().then_some(("report", Exit::ReadOrWrite)),
            Some(cause) => word_and_exit(cause, self.has_asked),
        }
    }

    /// Whether it came to its end.
    pub(super) fn is_finished(&self) -> bool {
        self.stopped().is_none() && self.exit() != Exit::Bug
    }

    fn not_sent(&self) -> u64 {
        self.dispatched.not_sent + self.journaled.lost
    }

    fn rows_read(&self) -> u64 {
        self.carried_over.rows + self.intake.rows
    }

    /// The status to end with.
    pub(super) fn exit(&self) -> Exit {
        let tally = &self.journaled.tally;
        let stopped = self.stopped();
        let counted = tally.total() + self.not_sent() == self.rows_read();
        if !counted || self.dispatched.broke_off || (stopped.is_none() && self.not_sent() > 0) {
            return Exit::Bug;
        }
        stopped.map_or_else(|| finished_exit(tally, self.fail_on), |(_, exit)| exit)
    }

    /// Writes down beside the report that the run came to its end, where it did, and how many users have vanished.
    pub(super) fn note_finish(&mut self, run: Option<RunRecord>, vanished: Option<u64>) {
        let Some(run) = run else { return };
        if !self.is_finished() {
            return;
        }
        let at = rfc3339(Timestamp::now().as_millisecond());
        if let Err(error) = run.finish(Finished { at, rows: self.journaled.tally.total(), vanished }) {
            self.cause = Some(StopCause::Report(error.to_string()));
            self.journaled.error = Some(error);
        }
    }

    /// Says why the run stopped, where it did.
    pub(super) fn tell(&self, printer: &Printer) {
        if let Some(failure) = &self.intake.error {
            printer.failure(failure);
        }
        let Some(cause) = &self.cause else { return };
        let (message, hint) = told(cause);
        let hint = hint.or_else(|| self.journaled.error.as_ref().and_then(ReportError::hint));
        printer.failure(&Failure::new(self.exit(), message).with_hint(hint));
    }

    /// The commands to go on with: the one that resumes a run that stopped, and the one that replays failures that time
    /// can cure.
    pub(super) fn next_steps(&self, typed: &CommandLine, report: &Path, is_resumable: bool) -> Vec<String> {
        // Where the report is gone there is nothing to go on with.
        let is_gone = matches!(self.journaled.error, Some(ReportError::Replaced(_)));
        if !is_resumable || is_gone {
            return Vec::new();
        }
        let mut steps = Vec::new();
        if self.stopped().is_some() {
            steps.push(format!("to go on: {}", typed.resume(report)));
        }
        let can_be_replayed = self.can_be_replayed;
        steps.extend(replay_step(&self.journaled.tally, self.verifies, can_be_replayed, typed, report));
        steps
    }

    /// The summary of the whole, an earlier try included.
    pub(super) fn summary(&self, details: RunDetails) -> Summary {
        let tally: &Tally = &self.journaled.tally;
        let common =
            of_tally(tally, self.verifies, details.report, details.target, details.sandbox).open(self.not_sent());
        Summary {
            rows_read: self.rows_read(),
            superseded: common.superseded + self.carried_over.superseded,
            expired: self.carried_over.expired,
            attempts: self.carried_over.attempts + details.attempts,
            elapsed_seconds: details.elapsed.as_secs_f64(),
            rows_per_second: per_second(tally.total() - self.carried_over.rows, details.elapsed),
            stopped_by: self.stopped().map(|(word, _)| word),
            exit_code: self.exit().code(),
            resumed_rows: self.carried_over.rows,
            started_at: details.started_at,
            inputs: self.intake.inputs.clone(),
            vanished: details.vanished,
            shard: details.shard,
            vanished_listed: details.vanished_listed,
            ..common
        }
        .of_requests(details.requests)
    }
}

/// The summary's word for a cause, with the status that the run ends with; none where a part of the program broke off.
fn word_and_exit(cause: &StopCause, has_asked: bool) -> Option<(&'static str, Exit)> {
    Some(match cause {
        StopCause::Signal(number) => {
            let signal = [Signal::Hangup, Signal::Interrupt, Signal::Terminate];
            let signal = signal.into_iter().find(|signal| signal.number() == *number);
            ("signal", signal.map_or(Exit::Interrupted, Signal::exit))
        }
        StopCause::Credentials(_) => ("credentials", Exit::Credentials),
        // A person found what came back too bad to go on, as `--max-failures` would have.
        StopCause::MaxFailures(_) | StopCause::Declined(_) => ("max_failures", Exit::MaxFailures),
        // As it is refused before a report is begun, where it is looked at.
        StopCause::RateRefused(_) if !has_asked => ("outage", Exit::Usage),
        StopCause::Outage { .. } | StopCause::RateRefused(_) => ("outage", Exit::OutOfReach),
        StopCause::TimeWindow(_) => ("time", Exit::TimeWindow),
        StopCause::Report(_) => ("report", Exit::ReadOrWrite),
        StopCause::Bug(_) => return None,
    })
}

/// A cause in words, and what to do about it.
fn told(cause: &StopCause) -> (String, Option<String>) {
    match cause {
        StopCause::Signal(_) => ("stopped by a signal".to_owned(), None),
        StopCause::Credentials(answer) => (
            format!("stopped: the API refuses the credentials or the project ({answer})"),
            Some("check key, secret and `--region`, then resume".to_owned()),
        ),
        StopCause::MaxFailures(what) => (format!("stopped: {what} (--max-failures)"), None),
        StopCause::Outage { what, advice } => {
            let general = "check `--base-url`, proxy and network, and whether the service is up";
            (format!("stopped: {what}"), Some(advice.clone().unwrap_or_else(|| general.to_owned())))
        }
        StopCause::RateRefused(why) => (
            format!("stopped: the shared rate is refused: {why}"),
            Some("`contactsync doctor` says what is wrong with `--share-rate`; then resume".to_owned()),
        ),
        StopCause::TimeWindow(what) | StopCause::Declined(what) | StopCause::Bug(what) | StopCause::Report(what) => {
            (format!("stopped: {what}"), None)
        }
    }
}

/// Whether the service was asked for anything.
pub(super) fn has_asked(counters: &Counters) -> bool {
    let requests = [&counters.attempts, &counters.register_requests, &counters.profile_requests];
    requests.into_iter().any(|requests| Counters::get(requests) > 0)
}

/// What ended something that is no run.
pub(crate) fn stopped_by(cause: &StopCause, has_asked: bool) -> Failure {
    let (message, hint) = told(cause);
    let exit = word_and_exit(cause, has_asked).map_or(Exit::Bug, |(_, exit)| exit);
    Failure::new(exit, message).with_hint(hint)
}

/// The status and the summary of a run that a report says is finished.
pub(super) fn summary_of_finished(
    decided: &Decided,
    inputs: Vec<InputSummary>,
    fail_on: FailOn,
    verifies: bool,
    (report, target, sandbox): (&Path, String, bool),
) -> (Exit, Summary) {
    let tally = decided.whole_tally();
    let exit = finished_exit(&tally, fail_on);
    let common = of_tally(&tally, verifies, report.display().to_string(), target, sandbox);
    let summary = Summary {
        rows_read: tally.total(),
        superseded: common.superseded + decided.superseded(),
        attempts: tally.attempts,
        exit_code: exit.code(),
        resumed_rows: tally.total(),
        inputs,
        ..common
    };
    (exit, summary)
}

/// The summary of a run of which nothing was sent, of so many rows; an earlier try may have decided some.
pub(super) fn summary_of_refused(
    decided: Option<&Decided>,
    rows: u64,
    verifies: bool,
    (report, target, sandbox): (&Path, String, bool),
) -> Summary {
    let tally = decided.map_or_else(Tally::default, Decided::whole_tally);
    let rows_read = rows.max(tally.total());
    let common = of_tally(&tally, verifies, report.display().to_string(), target, sandbox);
    let superseded = common.superseded + decided.map_or(0, Decided::superseded);
    let (attempts, resumed_rows) = (tally.attempts, tally.total());
    Summary { rows_read, resumed_rows, attempts, superseded, ..common.open(rows_read - tally.total()) }
}

fn finished_exit(tally: &Tally, fail_on: FailOn) -> Exit {
    let failed = tally.rows(Outcome::Failed) + tally.rows(Outcome::Different);
    let rejected = tally.rows(Outcome::Rejected);
    match fail_on {
        FailOn::Any if failed + rejected > 0 => Exit::RowsFailed,
        FailOn::Failed if failed > 0 => Exit::RowsFailed,
        _ => Exit::Success,
    }
}

/// The command that sends again what failed, where some of it can be cured by time, or what a verify found different.
/// Reasons of rejected rows never can, and of a report without contacts nothing is sent.
pub(super) fn replay_step(
    tally: &Tally,
    verifies: bool,
    can_be_replayed: bool,
    typed: &CommandLine,
    report: &Path,
) -> Vec<String> {
    if verifies {
        let different = (tally.rows(Outcome::Different) > 0 && can_be_replayed)
            .then(|| format!("to send again what differs: {}", typed.replay(report)));
        let failed = Some(tally.rows(Outcome::Failed)).filter(|rows| *rows > 0).map(|rows| {
            let what = if rows == 1 { "1 row" } else { &format!("{rows} rows") };
            format!("{what} could not be compared, and a replay leaves that alone: verify again, with another --report")
        });
        return different.into_iter().chain(failed).collect();
    }
    let curable = tally.reasons.keys().any(|word| Reason::parse(word).is_some_and(Reason::curable));
    if curable && can_be_replayed {
        vec![format!("to send again what failed: {}", typed.replay(report))]
    } else {
        Vec::new()
    }
}

/// So many rows a second, in so much time.
pub(crate) fn per_second(rows: u64, elapsed: Duration) -> f64 {
    let seconds = elapsed.as_secs_f64();
    if seconds > 0.0 { rows as f64 / seconds } else { 0.0 }
}

fn of_tally(tally: &Tally, verifies: bool, report: String, target: String, sandbox: bool) -> Summary {
    let now = rfc3339(Timestamp::now().as_millisecond());
    let found =
        Verified { landed: tally.rows(Outcome::Landed), different: tally.rows(Outcome::Different), not_checked: 0 };
    Summary {
        rows_read: 0,
        synced: tally.rows(Outcome::Synced),
        unchanged: tally.rows(Outcome::Unchanged),
        rejected: tally.rows(Outcome::Rejected),
        failed: tally.rows(Outcome::Failed),
        not_sent: 0,
        superseded: tally.rows(Outcome::Superseded),
        expired: 0,
        attempts: 0,
        retries: tally.retries,
        elapsed_seconds: 0.0,
        rows_per_second: 0.0,
        stopped_by: None,
        exit_code: 0,
        reasons: tally.reasons.clone(),
        codes: tally.codes.clone(),
        latency_ms: tally.latency(),
        report,
        target,
        sandbox,
        resumed_rows: 0,
        version: env!("CARGO_PKG_VERSION"),
        started_at: now.clone(),
        finished_at: now,
        inputs: Vec::new(),
        profile_requests: 0,
        register_requests: 0,
        verified: verifies.then_some(found),
        vanished: None,
        shard: None,
        vanished_listed: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a run that read so many rows, of which so many were not sent; none was decided.
    fn outcome(rows: u64, not_sent: u64, cause: Option<StopCause>) -> RunOutcome {
        RunOutcome {
            intake: IntakeResult {
                rows,
                inputs: Vec::new(),
                of_nobody_elsewhere: 0,
                never_seen: Vec::new(),
                error: None,
            },
            dispatched: Dispatched { not_sent, broke_off: false },
            journaled: JournalEnd::default(),
            carried_over: CarriedOver::default(),
            cause,
            fail_on: FailOn::Any,
            has_asked: true,
            verifies: false,
            can_be_replayed: true,
        }
    }

    #[test]
    fn books_that_do_not_balance_are_a_bug_whatever_else_happened() {
        assert_eq!(outcome(0, 0, None).exit(), Exit::Success);
        assert_eq!(outcome(2, 1, None).exit(), Exit::Bug, "a row is missing");
        assert_eq!(outcome(2, 2, None).exit(), Exit::Bug, "a finished run sends everything");
        assert_eq!(outcome(2, 1, Some(StopCause::Signal(15))).exit(), Exit::Bug);
        assert_eq!(outcome(2, 2, Some(StopCause::Signal(15))).exit(), Exit::Terminated);
        let broken = Dispatched { not_sent: 2, broke_off: true };
        let broken = RunOutcome { dispatched: broken, ..outcome(2, 2, Some(StopCause::Signal(15))) };
        assert_eq!(broken.exit(), Exit::Bug, "what broke off may have lost a row whatever the figures say");
        let refused = Some(StopCause::RateRefused("another rate".to_owned()));
        assert_eq!(outcome(2, 2, refused.clone()).exit(), Exit::OutOfReach);
        let refused = RunOutcome { has_asked: false, ..outcome(2, 2, refused) };
        assert_eq!(refused.exit(), Exit::Usage, "nothing was sent");
        let down = StopCause::Outage { what: "down".to_owned(), advice: None };
        assert_eq!(outcome(2, 2, Some(down)).exit(), Exit::OutOfReach);
    }
}
