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
    monitor::Monitor,
    opening::{again, folder_for_copies, open_inputs, refuse_overwriting},
    pipeline::{
        CarriedOver, Job, OwnIds, PassedOver, Refused, Remembered, Reopened, Rereading, Resumed, RowSource, Uncertain,
        Whose, WindowGuard, carry_over, compare_inputs, finished_earlier, look_at_shared_rate, open_journal,
        refuse_another_command, refuse_another_run, report_path, send, tell_refused, uncertain_users,
    },
    plan::{Known, Limits, Pass, Shown},
    reading::{Read, Reading},
    settings::{CommandLine, InputSettings, LeftOut, PushSettings, StateSettings},
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
    let outputs = [sending.outputs(), printer.outputs()].concat();
    // Before the lock makes a file of one of them.
    refuse_overwriting(&input, &outputs)?;
    look_at_shared_rate(sending.shared_rate.as_ref(), printer)?;
    let mut patience = Patience::new(sending.lock_wait, printer);
    let _lock = sending.lock.as_deref().map(|path| RunLock::take(path, &mut patience)).transpose()?;
    let report = report_path(&sending)?;
    let mut resumption = if sending.resume { patience.open(|| Resumption::open(&report))? } else { None };
    if resumption.is_none() {
        patience.open(|| sending.report.refuse_existing(&report))?;
    }
    if let Some(resumption) = &resumption {
        refuse_another_command(resumption, "push")?;
    }
    let then = resumption.as_ref().and_then(|resumption| resumption.run.clone());
    let undecided = resumption.as_ref().and_then(|resumption| resumption.undecided.as_ref());
    input.reader.marks = marks(then.as_ref().or(undecided)).into();
    sending.monitor.refuse_foreign()?;
    let opened = open_inputs(&input, Some(&report), printer);
    let LookedAt { mut inputs, asked, .. } = opened.map_err(|failure| {
        // The figures are those of whoever uses the state.
        if sending.state.as_ref().is_some_and(StateSettings::is_held) {
            return failure;
        }
        let monitor = Monitor::start_as_refused("push", &sending, printer, signals.last_words());
        tell_refused(Refused::for_input(failure), resumption.as_ref(), &report, &sending, &monitor, printer)
    })?;
    let folder = folder_for_copies(&input, Some(&report));
    let remembered = match (&sending.state, &sending.compares) {
        (Some(state), _) => {
            let whose = Whose::Inputs(input.state_shard());
            Some(Remembered::open(state, &sending, &whose, &mut patience)?)
        }
        (None, Some(_)) => Some(Remembered::of_run(&sending, &folder)?),
        (None, None) => None,
    };
    let monitor = Monitor::start("push", &sending, printer, signals.last_words())?;
    let told = |refused: Refused, resumption: Option<&Resumption>| {
        tell_refused(refused, resumption, &report, &sending, &monitor, printer)
    };
    // What ends with the run knows nothing of other nights.
    let kept = remembered.as_ref().filter(|remembered| remembered.is_kept);
    let mut now = begun_run(&input, sending.deciding(), sending.target.name());
    let (mut passed, mut reopened) = (PassedOver::default(), Reopened::default());
    let mut overtaken_since = None;
    let uncertain = match &resumption {
        Some(resumption) if sending.compares.is_some() => uncertain_users(&resumption.report())?,
        _ => Uncertain::default(),
    };
    if let (Some(then), Some(resumption)) = (&then, &resumption) {
        let refused = |failure: Failure| told(Refused::for_input(failure), Some(resumption));
        refuse_another_run(then, &now, &sending.target.key_fingerprint(), sending.accept_new_key).map_err(refused)?;
        let mut rereading = kept.map(|remembered| remembered.rereading(then, input.identity()));
        let mut see = |batch: &RecordBatch, is_wanted: &[bool]| {
            rereading.as_mut().map_or(Ok(()), |rereading| rereading.see(batch, is_wanted))
        };
        (passed, reopened) =
            compare_inputs(&mut inputs, then, &resumption.decided, &input.rows, input.identity().is_some(), &mut see)
                .map_err(refused)?;
        if let Some(rereading) = &rereading {
            rereading.refuse_overtaken().map_err(refused)?;
        }
        let overtaking = rereading.and_then(|rereading| Some((rereading.may_be_overtaken()?, rereading)));
        if then.inputs.len() == now.inputs.len()
            && let Some(exit) =
                finished_earlier(then, &resumption.decided, &report, &sending, &command_line, &monitor, printer)
        {
            return Ok(exit);
        }
        if let Some((begun, rereading)) = overtaking {
            refuse_overtaken(rereading, &input, &inputs, &resumption.decided).map_err(refused)?;
            overtaken_since = Some(begun);
        }
        carry_over(then, &mut now);
        reopened.take_from_run(&mut now);
    }
    if let Some(resumption) = &mut resumption {
        reopened.take_from(&mut resumption.decided);
    }
    if let (Some(kept), Some((resumption, earlier))) = (kept, resumption.as_ref().and_then(earlier_try)) {
        let rereading = kept.rereading(earlier, input.identity());
        if let Some(begun) = rereading.may_be_overtaken()
            && is_same_input(&inputs, earlier, &resumption.decided, &input)
        {
            refuse_overtaken(rereading, &input, &inputs, &resumption.decided)
                .map_err(|failure| told(Refused::for_input(failure), Some(resumption)))?;
            overtaken_since = Some(begun);
            // It is the same run.
            now.begun.clone_from(&earlier.begun);
        }
    }
    if limits.need_plan().is_some() {
        let decided = resumption.as_ref().map(|resumption| &resumption.decided);
        let known = kept.map(|remembered| remembered.known(&folder));
        if let Err(refused) = keep_limits(&limits, &input, &inputs, decided, known, sending.progress, printer) {
            return Err(told(refused, resumption.as_ref()));
        }
    }
    window.hand_over().map_err(|failure| told(Refused::for_window(failure), resumption.as_ref()))?;
    let compared = now.comparison.clone().unwrap_or_default();
    // Of one that is gone on with, nothing is known once it can't be.
    let begins = resumption.is_none();
    let opened = open_journal(resumption, &sending, &mut patience, printer);
    let (journal, decided) =
        opened.map_err(|failure| if begins { told(Refused::for_report(failure), None) } else { failure })?;
    if let Some(remembered) = &remembered {
        remembered.note_opening(&now)?;
    }
    let mut run = journal.is_resumable().then(|| RunFile::new(&report, now));
    if let Some(run) = &mut run {
        run.save()?;
    }
    let remembered = remembered.map(|remembered| Remembered { resumed: overtaken_since, uncertain, ..remembered });
    let ids = input.identity().map(|kind| OwnIds::new(kind, remembered.as_ref(), &sending, &folder)).transpose()?;
    let requests = then.map(|then| then.requests).unwrap_or_default();
    let carried_over = decided.as_ref().map(|decided| CarriedOver::of(decided, requests)).unwrap_or_default();
    let resumed = decided.map(|decided| Box::new(Resumed { decided, passed }));
    let rows = RowSource::Inputs { inputs, settings: Box::new(input), asked, resumed, superseded: None };
    send(
        Job {
            settings: sending,
            rows,
            journal,
            report,
            run,
            remembered,
            compared,
            ids,
            carried_over,
            command_line,
            monitor,
        },
        printer,
        signals,
    )
}

/// A try that decided no row.
fn earlier_try(resumption: &Resumption) -> Option<(&Resumption, &Run)> {
    Some((resumption, resumption.undecided.as_ref()?))
}

/// Whether the inputs are those of which an earlier try decided nothing, as far as it read them: the export may be another by
/// now. What can be read only once is taken as the same.
fn is_same_input(inputs: &[Input], earlier: &Run, decided: &Decided, settings: &InputSettings) -> bool {
    let again: Option<Vec<Input>> = inputs.iter().map(|input| input.again_to_compare()?.ok()).collect();
    let Some(mut inputs) = again else { return true };
    let by_id = settings.identity().is_some();
    compare_inputs(&mut inputs, earlier, decided, &settings.rows, by_id, &mut |_, _| Ok(())).is_ok()
}

/// Looks at all rows that are still to be sent, those too that no earlier try has read. Exit 2 where another run has set the
/// user of one since.
fn refuse_overtaken(
    mut rereading: Rereading,
    settings: &InputSettings,
    inputs: &[Input],
    decided: &Decided,
) -> Result<(), Failure> {
    let unread = |error: std::io::Error| Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"));
    let Ok(inputs) = again(inputs) else {
        let message = "another run has used the state since this one began: rows may be older than what it has set, and the \
                       input can be read only once; nothing was sent";
        let hint = "say `--spool`, which copies it into a private file first; or begin another report";
        return Err(Failure::usage(message).with_hint(hint.to_owned()));
    };
    let reading = Reading::start(inputs, settings.rows.last(), Arc::default()).map_err(unread)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(unread)?;
    let mut is_wanted = Vec::new();
    while let Some(read) = runtime.block_on(reading.next()) {
        match read {
            Read::Batch { batch, rows_before } => {
                is_wanted.clear();
                is_wanted.extend(batch.iter().map(|record| {
                    settings.rows.takes(rows_before + record.row(), &record, &mut LeftOut::default())
                        && !decided.contains(&batch.source, record.row())
                }));
                rereading.see(&batch, &is_wanted)?;
                reading.give_back(batch);
            }
            Read::Notice(_) => {}
            // Whoever reads it to send it tells of it.
            Read::Failed(_) => break,
        }
    }
    rereading.refuse_overtaken()
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
    let whole = Whole::of(&inputs, limits.rows_planned(&input.rows));
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
