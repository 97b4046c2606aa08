use std::{sync::Arc, time::Instant};

use jiff::Timestamp;
use model::Counters;
use reader::{Input, LookedAt};
use report::{Comparison, Resumption, Run, RunFile, RunInput, rfc3339};

use super::push::marks;
use crate::{
    args::ProgressChoice,
    exit::Exit,
    failure::Failure,
    lock::{Patience, RunLock},
    monitor::Monitor,
    opening::{again, folder_for_copies, open_inputs, refuse_overwriting},
    pipeline::{
        CarriedOver, Job, OwnIds, PassedOver, Refused, Remembered, Resumed, RowSource, Whose, WindowGuard, carry_over,
        compare_inputs, finished_earlier, look_at_shared_rate, open_journal, refuse_another_command,
        refuse_another_run, report_path, send, tell_refused,
    },
    settings::{CommandLine, InputSettings, StateSettings, VerifySettings},
    signals::Signals,
    superseding::{FirstPass, UserOf, first_pass},
    terminal::{Printer, Progress, ProgressStyle, Whole, Work},
};

/// Where the run file keeps what the whole input is: rows that came later would be told of those before.
const WHOLE_INPUT: &str = "the whole input";

/// `verify`: reads, validates, reads back what the service holds, and reports.
pub(crate) fn verify(
    settings: VerifySettings,
    command_line: CommandLine,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let options = settings.deciding();
    let VerifySettings { mut input, sending } = settings;
    for warning in &sending.warnings {
        printer.warning(warning, None);
    }
    let window = WindowGuard::watch(&sending.window, signals, printer);
    let outputs = [sending.outputs(), printer.outputs()].concat();
    refuse_overwriting(&input, &outputs)?;
    look_at_shared_rate(sending.shared_rate.as_ref(), printer)?;
    let mut patience = Patience::new(sending.lock_wait, printer);
    let _lock = sending.lock.as_deref().map(|path| RunLock::take(path, &mut patience)).transpose()?;
    let report = report_path(&sending)?;
    let resumption = if sending.resume { patience.open(|| Resumption::open(&report))? } else { None };
    match &resumption {
        Some(resumption) => refuse_another_command(resumption, "verify")?,
        None => patience.open(|| sending.report.refuse_existing(&report))?,
    }
    let then = resumption.as_ref().and_then(|resumption| resumption.run.clone());
    input.reader.marks = marks(then.as_ref()).into();
    sending.monitor.refuse_foreign()?;
    let opened = open_inputs(&input, Some(&report), printer);
    let LookedAt { mut inputs, asked, .. } = opened.map_err(|failure| {
        // The figures are those of whoever uses the state.
        if sending.state.as_ref().is_some_and(StateSettings::is_held) {
            return failure;
        }
        let monitor = Monitor::start_as_refused("verify", &sending, printer, signals.last_words());
        tell_refused(Refused::for_input(failure), resumption.as_ref(), &report, &sending, &monitor, printer)
    })?;
    let whose = Whose::Inputs(input.state_shard());
    let doubted = |state| Remembered::to_be_doubted(state, &sending, &whose, &mut patience);
    let remembered = sending.state.as_ref().map(doubted);
    let remembered = remembered.transpose()?.flatten();
    if let (Some(_), None, Some(state)) = (input.identity(), &remembered, &sending.state) {
        let message = format!("there is no state {}: nothing else knows whose the ids are", state.path.display());
        let hint = "name the state of the pushes with `--state`: it is made by `push --identify-by … --state FILE`";
        return Err(Failure::usage(message).with_hint(hint.to_owned()));
    }
    let monitor = Monitor::start("verify", &sending, printer, signals.last_words())?;
    let told = |refused: Refused, resumption: Option<&Resumption>| {
        tell_refused(refused, resumption, &report, &sending, &monitor, printer)
    };
    let unread = |input: &reader::InputName| RunInput { source: input.source().to_string(), ..RunInput::default() };
    let mut now = Run {
        command: "verify".to_owned(),
        target: sending.target.name(),
        api_key: None,
        options,
        inputs: input.names.iter().map(unread).collect(),
        begun: Some(rfc3339(Timestamp::now().as_millisecond())),
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    };
    let mut passed = PassedOver::default();
    if let (Some(then), Some(resumption)) = (&then, &resumption) {
        let key = sending.target.key_fingerprint();
        let before = Run { options: without_whole(then), ..then.clone() };
        let refused = |failure: Failure| told(Refused::for_input(failure), Some(resumption));
        refuse_another_run(&before, &now, &key, sending.accept_new_key).map_err(refused)?;
        // Nothing is unchanged here.
        (passed, _) = compare_inputs(
            &mut inputs,
            then,
            &resumption.decided,
            &input.rows,
            input.identity().is_some(),
            &mut |_, _| Ok(()),
        )
        .map_err(refused)?;
        if then.inputs.len() == now.inputs.len()
            && let Some(exit) =
                finished_earlier(then, &resumption.decided, &report, &sending, &command_line, &monitor, printer)
        {
            return Ok(exit);
        }
    }
    let folder = folder_for_copies(&input, Some(&report));
    let mut users = input.identity().and_then(|kind| Some(remembered.as_ref()?.users(kind)));
    let mut user = |id: &str| users.as_mut().map_or(Ok(None), |user| user(id));
    let found = look_ahead(&inputs, &input, &mut user, &folder, sending.progress, printer);
    let FirstPass { superseded, whole } = match found {
        Ok(found) => found,
        Err(failure) => {
            return Err(told(Refused::for_input(failure), resumption.as_ref()));
        }
    };
    now.options.extend(whole.map(|whole| (WHOLE_INPUT.to_owned(), whole)));
    if let Some(then) = &then {
        // Now that all of it was read.
        refuse_another_run(then, &now, &sending.target.key_fingerprint(), sending.accept_new_key)
            .map_err(|failure| told(Refused::for_input(failure), resumption.as_ref()))?;
        carry_over(then, &mut now);
    }
    window.hand_over().map_err(|failure| told(Refused::for_window(failure), resumption.as_ref()))?;
    // Of one that is gone on with, nothing is known once it can't be.
    let begins = resumption.is_none();
    let opened = open_journal(resumption, &sending, &mut patience, printer);
    let (journal, decided) =
        opened.map_err(|failure| if begins { told(Refused::for_report(failure), None) } else { failure })?;
    let mut run = journal.is_resumable().then(|| RunFile::new(&report, now));
    if let Some(run) = &mut run {
        run.save()?;
    }
    let requests = then.map(|then| then.requests).unwrap_or_default();
    let carried_over = decided.as_ref().map(|decided| CarriedOver::of(decided, requests)).unwrap_or_default();
    let resumed = decided.map(|decided| Box::new(Resumed { decided, passed }));
    let input_kind = input.identity();
    let superseded = Some(Box::new(superseded));
    let rows = RowSource::Inputs { inputs, settings: Box::new(input), asked, resumed, superseded };
    let ids = input_kind.map(|kind| OwnIds::new(kind, remembered.as_ref(), &sending, &folder)).transpose()?;
    let compared = Comparison::default();
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

fn without_whole(run: &Run) -> std::collections::BTreeMap<String, String> {
    run.options
        .iter()
        .filter(|(name, _)| *name != WHOLE_INPUT)
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// The first pass: finds out which rows later ones replace.
fn look_ahead(
    inputs: &[Input],
    settings: &InputSettings,
    user: &mut UserOf<'_>,
    folder: &std::path::Path,
    progress: Option<ProgressChoice>,
    printer: &Printer,
) -> Result<FirstPass, Failure> {
    let inputs = again(inputs)?;
    let counters = Arc::new(Counters::default());
    let style = ProgressStyle::of(progress, printer);
    let whole = Whole::of(&inputs, settings.rows.expected());
    let progress = Progress::start(style, printer, Arc::clone(&counters), whole, Work::Checks);
    let started = Instant::now();
    let found = first_pass(inputs, settings, user, folder, &counters);
    drop(progress);
    let rows = Counters::get(&counters.rows_read);
    tracing::info!("first pass: {rows} rows in {:.1} s", started.elapsed().as_secs_f64());
    found
}
