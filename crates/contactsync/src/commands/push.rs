use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use model::escape_controls;
use reader::Input;
use report::{Decided, InputSummary, Journal, JournalOptions, Resumption, Run, RunFile, RunInput};

use crate::{
    exit::Exit,
    failure::Failure,
    lock::RunLock,
    pipeline::{Job, Rows, TakenOver, compare_inputs, finished_before, notify, refuse_another_run, replay_step, send},
    settings::{CommandLine, PushSettings, SendingSettings, Target, refuse_shared_outputs},
    signals::{Signal, Signals},
    terminal::Printer,
};

/// `push`: reads, validates, sends and reports.
pub(crate) fn push(
    settings: PushSettings,
    command_line: CommandLine,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let PushSettings { mut input, sending } = settings;
    for warning in &sending.warnings {
        printer.warning(warning, None);
    }
    let _lock = sending.lock.as_deref().map(RunLock::take).transpose()?;
    let report = report_path(&sending)?;
    let resumption = if sending.resume { Resumption::open(&report)? } else { None };
    let then = resumption.as_ref().and_then(|resumption| resumption.run.clone());
    input.reader.marks = marks(then.as_ref());
    let mut inputs = reader::open_all(&input.names, &input.reader)?;
    for notice in inputs.iter().flat_map(Input::notices) {
        printer.warning(notice, None);
    }
    let files: Vec<_> = inputs.iter().map(|input| (&**input.name(), input.file_id())).collect();
    refuse_shared_outputs(&files, &sending.report.outputs())?;
    let mut now = Run {
        command: "push".to_owned(),
        target: sending.target.name(),
        api_key: None,
        options: input.deciding(),
        inputs: input.names.iter().map(|name| RunInput { source: name.clone(), ..RunInput::default() }).collect(),
        finished: None,
    };
    if let (Some(then), Some(resumption)) = (&then, &resumption) {
        refuse_another_run(then, &now, &sending.target.key_fingerprint(), sending.accept_new_key)?;
        if !compare_inputs(&mut inputs, then, &resumption.decided, signals)? {
            return Ok(signals.received().map_or(Exit::Interrupted, Signal::exit));
        }
        if then.inputs.len() == now.inputs.len()
            && let Some(exit) = end_as_it_ended(then, &resumption.decided, &report, &sending, &command_line, printer)?
        {
            return Ok(exit);
        }
        go_on(then, &mut now);
    }
    let (journal, decided) = begin(resumption, &sending, printer)?;
    let mut run = journal.is_resumable().then(|| RunFile::new(&report, now));
    if let Some(run) = &mut run {
        run.save()?;
    }
    let taken_over = decided.as_ref().map_or_else(TakenOver::default, TakenOver::of);
    let rows = Rows::Inputs { inputs, settings: Box::new(input), decided: decided.map(Arc::new) };
    send(Job { settings: sending, rows, journal, report, run, taken_over, command_line }, printer, signals)
}

/// Where the report lies: a push and a replay always have one.
pub(super) fn report_path(settings: &SendingSettings) -> Result<PathBuf, Failure> {
    settings.report.path.clone().ok_or_else(|| Failure::new(Exit::Bug, "a run without a report"))
}

/// Opens the report: the one that is resumed, or a new one.
pub(super) fn begin(
    resumption: Option<Resumption>,
    settings: &SendingSettings,
    printer: &Printer,
) -> Result<(Journal, Option<Decided>), Failure> {
    let contacts = settings.report.contacts;
    let Some(resumption) = resumption else {
        let journal =
            Journal::create(&report_path(settings)?, JournalOptions { force: settings.report.force, contacts })?;
        return Ok((journal, None));
    };
    let torn = resumption.torn_bytes();
    let (journal, decided) = resumption.into_journal(contacts)?;
    if torn > 0 {
        printer.note(&format!("cut off the torn end of the report, {torn} bytes"));
    }
    printer.note(&format!("resuming: the report decides {} rows", decided.rows()));
    Ok((journal, Some(decided)))
}

/// What an earlier try has done holds on.
pub(super) fn go_on(then: &Run, now: &mut Run) {
    now.api_key.clone_from(&then.api_key);
    for (input, before) in now.inputs.iter_mut().zip(&then.inputs) {
        *input = before.clone();
    }
}

/// Where the run came to its end in an earlier try there is nothing to do: says so, and gives the status it ended with.
pub(super) fn end_as_it_ended(
    then: &Run,
    decided: &Decided,
    report: &Path,
    settings: &SendingSettings,
    command_line: &CommandLine,
    printer: &Printer,
) -> Result<Option<Exit>, Failure> {
    let Some(finished) = &then.finished else { return Ok(None) };
    let inputs = then.inputs.iter().map(|input| {
        let (source, bytes) = (input.source.clone(), input.bytes);
        InputSummary { rows: decided.rows_of(&source), source, bytes }
    });
    let target = (report, settings.target.name(), matches!(settings.target, Target::Sandbox(_)));
    let (exit, summary) = finished_before(decided, inputs.collect(), settings.fail_on, target);
    if summary.rows_read != finished.rows {
        // The report lost records since.
        return Ok(None);
    }
    let at = escape_controls(&finished.at).into_owned();
    printer.note(&format!("this run finished at {at}: there is nothing left to send"));
    printer.note(&summary.for_people(&replay_step(&decided.whole_tally(), command_line, report)));
    settings.report.write_summary(&summary)?;
    notify(settings.notify.as_ref(), &summary, printer);
    Ok(Some(exit))
}

/// Up to where each input is compared with an earlier try.
fn marks(then: Option<&Run>) -> BTreeMap<String, u64> {
    let inputs = then.map_or(&[][..], |run| &run.inputs);
    inputs.iter().map(|input| (input.source.clone(), input.bytes)).collect()
}
