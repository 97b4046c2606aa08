//! Going on where an earlier try of the same run stopped: what a push and a replay have in common.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use model::escape_controls;
use report::{ContactsPolicy, Decided, InputSummary, Journal, Requests, Resumption, Run, Summary};

use super::{
    notify::notify,
    outcome::{replay_step, summary_of_finished, summary_of_refused},
};
use crate::{
    exit::Exit,
    failure::Failure,
    lock::Patience,
    monitor::{Before, Monitor, Sources},
    settings::{CommandLine, SendingSettings, Target},
    terminal::Printer,
};

/// What an earlier try or an earlier run left.
#[derive(Debug, Default)]
pub(crate) struct CarriedOver {
    /// Rows that the report decides.
    pub(crate) rows: u64,
    /// Attempts made for them.
    pub(crate) attempts: u64,
    /// Requests that none of them tells of.
    pub(crate) requests: Requests,
    /// Rows left alone because a later row of their EUID was accepted.
    pub(crate) superseded: u64,
    /// Rows left alone because they were decided too long ago, or before their user was last set.
    pub(crate) expired: u64,
}

impl CarriedOver {
    /// What a report to be resumed says. `requests`: what lies beside it.
    pub(crate) fn of(decided: &Decided, requests: Requests) -> Self {
        let (rows, attempts) = (decided.rows(), decided.tally().attempts);
        Self { rows, attempts, requests, superseded: decided.superseded(), expired: 0 }
    }
}

/// Where the report lies: a push and a replay always have one.
pub(crate) fn report_path(settings: &SendingSettings) -> Result<PathBuf, Failure> {
    settings.report.path.clone().ok_or_else(|| Failure::new(Exit::Bug, "a run without a report"))
}

/// Opens the report: the one that is resumed, or a new one.
pub(crate) fn open_journal(
    resumption: Option<Resumption>,
    settings: &SendingSettings,
    patience: &mut Patience<'_>,
    printer: &Printer,
) -> Result<(Journal, Option<Decided>), Failure> {
    let Some(resumption) = resumption else {
        let path = report_path(settings)?;
        let journal = patience.open(|| settings.report.journal(&path))?;
        return Ok((journal, None));
    };
    let torn = resumption.torn_bytes();
    let (journal, decided) = resumption.into_journal(settings.report.journal_options())?;
    if torn > 0 {
        printer.note(&format!("cut off the torn end of the report, {torn} bytes"));
    }
    printer.note(&format!("resuming: the report decides {} rows", decided.rows()));
    Ok((journal, Some(decided)))
}

/// What an earlier try has done holds on.
pub(crate) fn carry_over(then: &Run, now: &mut Run) {
    now.api_key.clone_from(&then.api_key);
    now.begun.clone_from(&then.begun);
    now.comparison.clone_from(&then.comparison);
    now.requests = then.requests;
    for (input, before) in now.inputs.iter_mut().zip(&then.inputs) {
        *input = before.clone();
    }
}

/// Where the run came to its end in an earlier try there is nothing to do: says so, and gives the status it ended with.
pub(crate) fn finished_earlier(
    then: &Run,
    decided: &Decided,
    report: &Path,
    settings: &SendingSettings,
    command_line: &CommandLine,
    monitor: &Monitor,
    printer: &Printer,
) -> Option<Exit> {
    let finished = then.finished.as_ref()?;
    let inputs = then.inputs.iter().map(|input| {
        let (source, bytes) = (input.source.clone(), input.bytes);
        InputSummary { rows: decided.rows_of(&source), source, bytes }
    });
    let verifies = settings.verifies.is_some();
    let target = (report, settings.target.name(), matches!(settings.target, Target::Sandbox(_)));
    let (exit, summary) = summary_of_finished(decided, inputs.collect(), settings.fail_on, verifies, target);
    let summary = Summary { vanished: finished.vanished, shard: settings.shard, ..summary }.of_requests(then.requests);
    if summary.rows_read != finished.rows {
        // The report lost records since.
        return None;
    }
    monitor.follow(|| Sources::of_decided(decided, summary.rows_read, then.requests));
    monitor.finished_earlier(finished.at.parse().ok().map(Timestamp::as_millisecond));
    let at = escape_controls(&finished.at).into_owned();
    let what = if verifies { "check" } else { "send" };
    printer.note(&format!("this run finished at {at}: there is nothing left to {what}"));
    if settings.state.as_ref().is_some_and(|state| state.report_vanished.is_some()) {
        printer
            .note("--report-vanished: nothing is listed, since no row was read; a list of that run is left as it is");
    }
    let can_be_replayed = settings.report.contacts != ContactsPolicy::Never;
    let steps = replay_step(&decided.whole_tally(), verifies, can_be_replayed, command_line, report);
    printer.note(&summary.for_people(&steps));
    let exit = settings.report.write_summary(&summary, exit, printer);
    let summary = Summary { exit_code: exit.code(), ..summary };
    notify(settings.notify.as_ref(), &summary, printer);
    Some(exit)
}

/// Why nothing of a run was sent.
pub(crate) struct Refused {
    pub(crate) failure: Failure,
    /// Rows that were read.
    pub(crate) rows: u64,
    /// The summary's word for it, where it has one.
    pub(crate) stopped_by: Option<&'static str>,
}

impl Refused {
    /// For what is wrong with an input, or with what it is compared with.
    pub(crate) fn for_input(failure: Failure) -> Self {
        Self::for_file("input", failure)
    }

    /// For a report that can't be begun.
    pub(crate) fn for_report(failure: Failure) -> Self {
        Self::for_file("report", failure)
    }

    /// For a window that is over before anything was sent.
    pub(crate) fn for_window(failure: Failure) -> Self {
        Self { failure, rows: 0, stopped_by: Some("time") }
    }

    fn for_file(which: &'static str, failure: Failure) -> Self {
        let stopped_by = (failure.exit == Exit::ReadOrWrite).then_some(which);
        Self { failure, rows: 0, stopped_by }
    }
}

/// Whoever waits for the summary of a run hears that it was refused, and what an earlier try of it has decided. Gives the
/// failure back.
pub(crate) fn tell_refused(
    refused: Refused,
    resumption: Option<&Resumption>,
    report: &Path,
    settings: &SendingSettings,
    monitor: &Monitor,
    printer: &Printer,
) -> Failure {
    let target = (report, settings.target.name(), matches!(settings.target, Target::Sandbox(_)));
    let decided = resumption.map(|resumption| &resumption.decided);
    let run = resumption.and_then(|resumption| resumption.run.as_ref());
    let requests = run.map_or_else(Requests::default, |run| run.requests);
    let summary = Summary {
        exit_code: refused.failure.exit.code(),
        stopped_by: refused.stopped_by,
        shard: settings.shard,
        ..summary_of_refused(decided, refused.rows, settings.verifies.is_some(), target)
    }
    .of_requests(requests);
    monitor.follow(|| match decided {
        Some(decided) => Sources::of_decided(decided, summary.rows_read, requests),
        None => Sources { before: Before { rows: summary.rows_read, ..Before::default() }, ..Sources::default() },
    });
    monitor.stopped_by(summary.stopped_by);
    settings.report.write_summary(&summary, refused.failure.exit, printer);
    notify(settings.notify.as_ref(), &summary, printer);
    refused.failure
}
