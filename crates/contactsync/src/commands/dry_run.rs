use std::{sync::Arc, time::Instant};

use model::Counters;
use reader::LookedAt;
use report::Resumption;

use super::push::{begun_run, marks};
use crate::{
    exit::Exit,
    failure::Failure,
    lock::Patience,
    opening::{again, folder_for_copies, never_seen, open_inputs},
    pipeline::{Remembered, compare_inputs, refuse_another_command, refuse_another_run},
    plan::{Pass, PlanSummary, Shown},
    settings::{DryRunSettings, Output, StateSettings},
    terminal::{Printer, Progress, ProgressStyle, Whole},
};

/// `push --dry-run`: says what a push would do. It begins no report and needs no credentials; a signal ends it at once.
pub(crate) fn dry_run(settings: DryRunSettings, printer: &Printer) -> Result<Exit, Failure> {
    let deciding: Vec<_> = settings.deciding().collect();
    let DryRunSettings {
        mut input, limits, state, lock_wait, rate, binding, report, resume, fail_on, progress, ..
    } = settings;
    let mut patience = Patience::new(lock_wait, printer);
    let resumption = resume.as_deref().map(Resumption::open).transpose()?.flatten();
    let then = resumption.as_ref().and_then(|resumption| resumption.run.as_ref());
    if let Some(resumption) = &resumption {
        refuse_another_command(resumption, "push")?;
        input.reader.marks = marks(then);
        input.read_twice_for = input.read_twice_for.or(Some("--resume"));
    }
    let outputs: Vec<_> = report.outputs().into_iter().chain(state.iter().flat_map(StateSettings::outputs)).collect();
    let LookedAt { mut inputs, asked, .. } = open_inputs(&input, report.path.as_deref(), &outputs, printer)?;
    if let (Some(then), Some(resumption)) = (then, &resumption) {
        // Who has no credentials at hand can't say whether they are those of then.
        let key = binding.api_key.as_ref().or(then.api_key.as_ref()).map_or("", String::as_str);
        let now = begun_run(&input, deciding.into_iter(), binding.target.clone());
        refuse_another_run(then, &now, key, binding.accept_new_key)?;
        compare_inputs(&mut inputs, then, &resumption.decided, input.rows, input.identity().is_some(), &mut |_, _| {
            Ok(())
        })?;
    }
    let folder = folder_for_copies(&input, report.path.as_deref());
    let known =
        state.as_ref().map(|state| Remembered::known_by_file(state, &binding, &mut patience, &folder)).transpose()?;
    let has_state = known.is_some();
    let list = state.as_ref().and_then(|state| state.report_vanished.clone());
    // What can be read only once is read now, and only now.
    let inputs = if input.read_twice_for.is_some() { again(&inputs)? } else { inputs };
    let counters = Arc::new(Counters::default());
    let whole = Whole::of(&inputs, limits.rows_planned(input.rows));
    let style = ProgressStyle::of(progress, printer);
    let progress = Progress::start(style, printer, Arc::clone(&counters), whole, false);
    let started = Instant::now();
    let decided = resumption.as_ref().map(|resumption| &resumption.decided);
    let (mut counted, end) =
        Pass::new(&input, &limits, decided, known, Shown::All, counters, printer).listing(list.clone()).read(inputs);
    drop(progress);
    let judged = match end {
        Ok(()) => limits.judge(&mut counted, printer),
        Err(failure) => Err(failure),
    };
    let exit = judged.as_ref().map_or_else(|failure| failure.exit, |()| counted.books.exit(fail_on));
    let never_seen = never_seen(&asked, counted.books.rows_read());
    let summary = PlanSummary::new(&mut counted, rate, binding.target, started.elapsed(), exit);
    printer.note(&summary.for_people(rate, has_state, list.as_ref().map(Output::path), &never_seen));
    if let Err(failure) = judged {
        printer.failure(&failure);
    }
    Ok(report.write_summary(&summary, exit, printer))
}
