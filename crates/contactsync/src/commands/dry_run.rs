use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use model::Counters;
use reader::{Input, LookedAt};
use report::Resumption;

use super::push::{begun_run, marks};
use crate::{
    exit::Exit,
    failure::Failure,
    lock::Patience,
    opening::{again, folder_for_copies, never_seen, open_inputs, refuse_overwriting},
    pipeline::{
        Comparer, Remembered, Whose, compare_inputs, look_at_shared_rate, refuse_another_command, refuse_another_run,
        with_asker,
    },
    plan::{Counted, Pass, PlanSummary, ServiceLook, Shown},
    settings::{DryRunSettings, Output, PlannedService, SharedRate, StateSettings},
    terminal::{Printer, Progress, ProgressStyle, Whole, Work},
};

/// `push --dry-run`: says what a push would do. It begins no report and needs no credentials; a signal ends it at once.
pub(crate) fn dry_run(settings: DryRunSettings, printer: &Printer) -> Result<Exit, Failure> {
    let deciding: Vec<_> = settings.deciding().collect();
    let DryRunSettings {
        mut input,
        limits,
        state,
        lock_wait,
        rate,
        binding,
        report,
        resume,
        fail_on,
        progress,
        compares,
    } = settings;
    let shared_rate = compares.as_ref().and_then(|planned| planned.shared_rate.as_ref());
    let outputs = report.outputs().into_iter().chain(state.iter().flat_map(StateSettings::outputs));
    let outputs: Vec<_> = outputs.chain(shared_rate.and_then(SharedRate::output)).chain(printer.outputs()).collect();
    refuse_overwriting(&input, &outputs)?;
    look_at_shared_rate(shared_rate, printer)?;
    let mut patience = Patience::new(lock_wait, printer);
    let resumption = resume.as_deref().map(Resumption::open).transpose()?.flatten();
    let then = resumption.as_ref().and_then(|resumption| resumption.run.as_ref());
    if let Some(resumption) = &resumption {
        refuse_another_command(resumption, "push")?;
        input.reader.marks = marks(then).into();
        input.read_twice_for = input.read_twice_for.or(Some("--resume"));
    }
    let opened = open_inputs(&input, report.path.as_deref(), printer);
    let LookedAt { mut inputs, asked, .. } = opened.inspect_err(|Failure { exit, .. }| {
        let (mut nothing, target) = (Counted::default(), binding.target.clone());
        let summary = PlanSummary::new(&mut nothing, input.rows.shard(), rate, target, Duration::ZERO, *exit);
        report.write_summary(&summary, *exit, printer);
    })?;
    if let (Some(then), Some(resumption)) = (then, &resumption) {
        // Who has no credentials at hand can't say whether they are those of then.
        let key = binding.api_key.as_ref().or(then.api_key.as_ref()).map_or("", String::as_str);
        let now = begun_run(&input, deciding.into_iter(), binding.target.clone());
        refuse_another_run(then, &now, key, binding.accept_new_key)?;
        compare_inputs(
            &mut inputs,
            then,
            &resumption.decided,
            &input.rows,
            input.identity().is_some(),
            &mut |_, _| Ok(()),
        )?;
    }
    let folder = folder_for_copies(&input, report.path.as_deref());
    let known = match (&state, &compares) {
        (Some(state), _) => {
            let whose = Whose::Inputs(input.state_shard());
            Some(Remembered::known_by_file(state, &binding, &whose, &mut patience, &folder)?)
        }
        (None, Some(_)) => Some(Remembered::nothing_known(&folder)?),
        (None, None) => None,
    };
    let compares_rows = known.is_some();
    let list = state.as_ref().and_then(|state| state.report_vanished.clone());
    // What can be read only once is read now, and only now.
    let inputs = if input.read_twice_for.is_some() { again(&inputs)? } else { inputs };
    let counters = Arc::new(Counters::default());
    let whole = Whole::of(&inputs, limits.rows_planned(&input.rows));
    let style = ProgressStyle::of(progress, printer);
    let progress = Progress::start(style, printer, Arc::clone(&counters), whole, Work::Checks);
    let started = Instant::now();
    let decided = resumption.as_ref().map(|resumption| &resumption.decided);
    let pass = Pass::new(&input, &limits, decided, known, Shown::All, Arc::clone(&counters), printer);
    let pass = pass.listing(list.clone());
    let (mut counted, end) = match &compares {
        None => pass.read(inputs),
        Some(planned) => read_asking(pass, inputs, planned, Arc::clone(&counters), printer)?,
    };
    if state.is_none() {
        // Of whom nothing was known nobody can have vanished.
        counted.vanished = None;
    }
    drop(progress);
    let judged = match end {
        Ok(()) => limits.judge(&mut counted, printer),
        Err(failure) => Err(failure),
    };
    let exit = judged.as_ref().map_or_else(|failure| failure.exit, |()| counted.books.exit(fail_on));
    let never_seen = never_seen(&asked, counted.books.rows_read());
    let summary = PlanSummary::new(&mut counted, input.rows.shard(), rate, binding.target, started.elapsed(), exit);
    // Where the service can't be read, what was counted until then is no plan.
    if !matches!(exit, Exit::OutOfReach | Exit::Credentials) {
        printer.note(&summary.for_people(rate, compares_rows, list.as_ref().map(Output::path), &never_seen));
    }
    if let Err(failure) = judged {
        printer.failure(&failure);
    }
    Ok(report.write_summary(&summary, exit, printer))
}

/// Reads the inputs, and from the service what isn't known of their users.
fn read_asking(
    pass: Pass<'_>,
    inputs: Vec<Input>,
    planned: &PlannedService,
    counters: Arc<Counters>,
    printer: &Printer,
) -> Result<(Counted, Result<(), Failure>), Failure> {
    for warning in &planned.warnings {
        printer.warning(warning, None);
    }
    let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("the service can't be read: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let comparer = Arc::new(Comparer::new(planned.service.compare));
    let counted = runtime.map_err(cannot_start)?.block_on(with_asker(
        &planned.target,
        &planned.dispatcher,
        planned.shared_rate.as_ref(),
        counters,
        async |asker| {
            let service = ServiceLook { asker, comparer: Arc::clone(&comparer) };
            pass.read_asking(inputs, Some(service)).await
        },
    ))?;
    for (warning, hint) in comparer.warnings() {
        printer.warning(&warning, Some(hint));
    }
    Ok(counted)
}
