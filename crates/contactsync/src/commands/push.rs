use std::{collections::BTreeMap, sync::Arc, time::Instant};

use jiff::Timestamp;
use model::{Counters, RecordBatch};
use reader::{Input, InputName, LookedAt};
use report::{Decided, Resumption, Run, RunFile, RunInput, rfc3339};

use crate::{
    args::ProgressChoice,
    exit::Exit,
    failure::Failure,
    lock::{Patience, RunLock},
    opening::{again, folder_for_copies, open_inputs},
    pipeline::{
        CarriedOver, Job, OwnIds, PassedOver, Refused, Remembered, Resumed, RowSource, WindowGuard, carry_over,
        compare_inputs, finished_earlier, open_journal, refuse_another_command, refuse_another_run, report_path, send,
        tell_refused,
    },
    plan::{Known, Limits, Pass, Shown},
    settings::{CommandLine, InputSettings, PushSettings, refuse_shared_outputs},
    signals::Signals,
    terminal::{Printer, Progress, ProgressStyle, Whole, Work},
};

/// `push`: reads, validates, sends and reports.
pub(crate) fn push(
    settings: PushSettings,
    command_line: CommandLine,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let PushSettings { mut input, limits, sending } = settings;
    for warning in &sending.warnings {
        printer.warning(warning, None);
    }
    let window = WindowGuard::watch(&sending.window, signals, printer);
    let outputs = sending.outputs();
    // Before the lock makes a file of one of them.
    refuse_shared_outputs(&[], &outputs)?;
    let mut patience = Patience::new(sending.lock_wait, printer);
    let _lock = sending.lock.as_deref().map(|path| RunLock::take(path, &mut patience)).transpose()?;
    let report = report_path(&sending)?;
    let resumption = if sending.resume { patience.open(|| Resumption::open(&report))? } else { None };
    if resumption.is_none() {
        patience.open(|| sending.report.refuse_existing(&report))?;
    }
    if let Some(resumption) = &resumption {
        refuse_another_command(resumption, "push")?;
    }
    let then = resumption.as_ref().and_then(|resumption| resumption.run.clone());
    input.reader.marks = marks(then.as_ref());
    let LookedAt { mut inputs, asked, .. } = open_inputs(&input, Some(&report), &outputs, printer)?;
    let folder = folder_for_copies(&input, Some(&report));
    let remembered = match (&sending.state, &sending.compares) {
        (Some(state), _) => Some(Remembered::open(state, &sending, &mut patience)?),
        (None, Some(_)) => Some(Remembered::of_run(&sending, &folder)?),
        (None, None) => None,
    };
    // What ends with the run knows nothing of other nights.
    let kept = remembered.as_ref().filter(|remembered| remembered.is_kept);
    let mut now = begun_run(&input, sending.deciding(), sending.target.name());
    let mut passed = PassedOver::default();
    if let (Some(then), Some(resumption)) = (&then, &resumption) {
        refuse_another_run(then, &now, &sending.target.key_fingerprint(), sending.accept_new_key)?;
        let mut rereading = kept.map(|remembered| remembered.rereading(then, input.identity()));
        let mut see = |batch: &RecordBatch, is_wanted: &[bool]| {
            rereading.as_mut().map_or(Ok(()), |rereading| rereading.see(batch, is_wanted))
        };
        passed =
            compare_inputs(&mut inputs, then, &resumption.decided, input.rows, input.identity().is_some(), &mut see)?;
        if let Some(rereading) = &rereading {
            rereading.refuse_overtaken()?;
        }
        if then.inputs.len() == now.inputs.len()
            && let Some(exit) = finished_earlier(then, &resumption.decided, &report, &sending, &command_line, printer)
        {
            return Ok(exit);
        }
        carry_over(then, &mut now);
    }
    if limits.need_plan().is_some() {
        let decided = resumption.as_ref().map(|resumption| &resumption.decided);
        let known = kept.map(|remembered| remembered.known(&folder));
        if let Err(refused) = keep_limits(&limits, &input, &inputs, decided, known, sending.progress, printer) {
            tell_refused(&refused, decided, &report, &sending, printer);
            return Err(refused.failure);
        }
    }
    window.hand_over()?;
    let compared = now.comparison.clone().unwrap_or_default();
    let (journal, decided) = open_journal(resumption, &sending, &mut patience, printer)?;
    if let Some(remembered) = &remembered {
        remembered.note_opening(&now)?;
    }
    let mut run = journal.is_resumable().then(|| RunFile::new(&report, now));
    if let Some(run) = &mut run {
        run.save()?;
    }
    let ids = input.identity().map(|kind| OwnIds::new(kind, remembered.as_ref(), &sending, &folder)).transpose()?;
    let requests = then.map(|then| then.requests).unwrap_or_default();
    let carried_over = decided.as_ref().map(|decided| CarriedOver::of(decided, requests)).unwrap_or_default();
    let resumed = decided.map(|decided| Box::new(Resumed { decided, passed }));
    let rows = RowSource::Inputs { inputs, settings: Box::new(input), asked, resumed, superseded: None };
    send(
        Job { settings: sending, rows, journal, report, run, remembered, compared, ids, carried_over, command_line },
        printer,
        signals,
    )
}

/// The first pass: reads the whole input before anything is sent, and refuses it where it breaks a limit.
fn keep_limits(
    limits: &Limits,
    input: &InputSettings,
    inputs: &[Input],
    decided: Option<&Decided>,
    known: Option<Known>,
    progress: Option<ProgressChoice>,
    printer: &Printer,
) -> Result<(), Refused> {
    let unread = |failure| Refused { failure, rows: 0, stopped_by: Some("input") };
    let inputs = again(inputs).map_err(unread)?;
    let counters = Arc::new(Counters::default());
    let style = ProgressStyle::of(progress, printer);
    let whole = Whole::of(&inputs, limits.rows_planned(input.rows));
    let progress = Progress::start(style, printer, Arc::clone(&counters), whole, Work::Checks);
    let started = Instant::now();
    let (mut counted, end) = Pass::new(input, limits, decided, known, Shown::Nothing, counters, printer).read(inputs);
    drop(progress);
    let read = counted.books.rows_read();
    end.map_err(|failure| Refused { rows: read, ..unread(failure) })?;
    let (rows, valid, clears) = (counted.rows_of_input, counted.books.valid, counted.clears);
    let seconds = started.elapsed().as_secs_f64();
    tracing::info!("first pass: {rows} rows, {valid} valid, {clears} would clear a contact, in {seconds:.1} s");
    limits.judge(&mut counted, printer).map_err(|failure| Refused { failure, rows: read, stopped_by: None })
}

/// What a run is about as it begins: none of its inputs was read.
pub(super) fn begun_run(
    input: &InputSettings,
    deciding: impl Iterator<Item = (String, String)>,
    target: String,
) -> Run {
    let unread = |name: &InputName| RunInput { source: name.source().to_string(), ..RunInput::default() };
    Run {
        command: "push".to_owned(),
        target,
        api_key: None,
        options: input.deciding().into_iter().chain(deciding).collect(),
        inputs: input.names.iter().map(unread).collect(),
        begun: Some(rfc3339(Timestamp::now().as_millisecond())),
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    }
}

/// Up to where each input is compared with an earlier try.
pub(super) fn marks(then: Option<&Run>) -> BTreeMap<String, u64> {
    let inputs = then.map_or(&[][..], |run| &run.inputs);
    inputs.iter().map(|input| (input.source.clone(), input.bytes)).collect()
}
