mod ids;
mod shards;

use std::{fs, path::Path, sync::Arc};

use jiff::Timestamp;
use model::{Decision, IdentityKind, Reason, escape_controls};
use report::{
    Comparison, EXPIRED, InputSummary, ReplayPlan, Resumption, Run, RunFile, RunInput, SourceReport, rfc3339,
};
use state::State;

use self::ids::{
    Users, are_of_this_project, ask_for_missing, refuse_euids_of_others, refuse_other_identity, refuse_without_euid,
};
use crate::{
    exit::Exit,
    failure::Failure,
    lock::{Patience, RunLock},
    monitor::Monitor,
    opening::default_folder,
    pipeline::{
        CarriedOver, Job, OwnIds, Refused, Remembered, RowSource, WindowGuard, carry_over, finished_earlier,
        look_at_shared_rate, open_journal, refuse_another_command, refuse_another_run, report_path, send, tell_refused,
        usage_of,
    },
    reports::{open_reports, refuse_overwriting_reports},
    settings::{AskedState, CommandLine, ReplaySettings, StateSettings, refuse_shared_outputs},
    signals::Signals,
    terminal::{Printer, write_stdout},
};

/// Bytes of a list that are written together.
const LIST_BYTES: usize = 64 << 10;

/// `replay`: sends again the rows of earlier reports that failed.
pub(crate) fn replay(
    mut settings: ReplaySettings,
    command_line: CommandLine,
    printer: &Printer,
    signals: &Signals,
) -> Result<Exit, Failure> {
    let wait = settings.sending.as_ref().map(|sending| sending.lock_wait);
    let wait = wait.or(settings.asked.as_ref().map(|asked| asked.lock_wait)).unwrap_or_default();
    let mut patience = Patience::new(wait, printer);
    let mut sources = open_reports(&settings.reports)?;
    if let Some(sending) = &settings.sending {
        refuse_shared_outputs(&[], &[sending.outputs(), printer.outputs()].concat())?;
        look_at_shared_rate(sending.shared_rate.as_ref(), printer)?;
    }
    for source in &mut sources {
        patience.open(|| source.hold())?;
    }
    refuse_other_identity(&sources, settings.identity)?;
    let Some(mut sending) = settings.sending.take() else {
        let whose = shards::whose(&sources);
        let ask = |AskedState { state, binding, .. }: &AskedState| {
            Remembered::only_asked(state, binding, &whose, &mut patience)
        };
        let state = settings.asked.as_ref().map(ask).transpose()?.flatten().map(Arc::new);
        let ids = settings.identity.zip(state.as_ref());
        let plan = plan(&sources, None, state.as_ref(), ids, &settings)?;
        warn_of_gaps(&plan, &sources, printer);
        refuse_without_euid(&plan, &sources, settings.identity)?;
        shards::refuse_rows_of_others(&plan, state.as_deref(), settings.identity)?;
        return list(plan, printer).map(|()| Exit::Success);
    };
    for warning in &sending.warnings {
        printer.warning(warning, None);
    }
    let window = WindowGuard::watch(&sending.window, signals, printer);
    let outputs = [sending.outputs(), printer.outputs()].concat();
    let _lock = sending.lock.as_deref().map(|path| RunLock::take(path, &mut patience)).transpose()?;
    let report = report_path(&sending)?;
    refuse_overwriting_reports(&sources, &outputs)?;
    sending.monitor.refuse_foreign()?;
    make_digests(&sources);
    let resumption = if sending.resume { open_own(&report, &settings, &mut patience)? } else { None };
    match &resumption {
        Some(resumption) => refuse_another_command(resumption, "replay")?,
        None => patience.open(|| sending.report.refuse_existing(&report))?,
    }
    refuse_without_state(&sources, sending.state.as_ref())?;
    let whose = shards::whose(&sources);
    let open = |state| Remembered::open(state, &sending, &whose, &mut patience);
    let remembered = sending.state.as_ref().map(open).transpose()?;
    let remembered = remembered.map(|it| Remembered { only_sets: true, ..it });
    let monitor = Monitor::start("replay", &sending, printer, signals.last_words())?;
    let state_deciding = sending.state.iter().flat_map(StateSettings::deciding);
    let mut now = Run {
        command: "replay".to_owned(),
        target: sending.target.name(),
        api_key: None,
        options: settings.deciding().into_iter().chain(state_deciding).chain(shards::deciding(&sources)).collect(),
        inputs: Vec::new(),
        begun: Some(rfc3339(Timestamp::now().as_millisecond())),
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    };
    let then = resumption.as_ref().and_then(|it| Some((it, it.run.as_ref()?)));
    if let Some((resumption, then)) = then {
        now.inputs = as_inputs(&sources)?;
        refuse_another_run(then, &now, &sending.target.key_fingerprint(), sending.accept_new_key)?;
        refuse_changed_reports(then, &now)?;
        let earlier = finished_earlier(then, &resumption.decided, &report, &sending, &command_line, &monitor, printer);
        if let Some(exit) = earlier {
            return Ok(exit);
        }
        carry_over(then, &mut now);
    }
    let own = resumption.as_ref().map(Resumption::report);
    let folder = default_folder(Some(&report));
    let ids = settings.identity.map(|kind| OwnIds::new(kind, remembered.as_ref(), &sending, &folder)).transpose()?;
    let ids = match ids {
        // Where they may be of others, EUIDs of the reports are left alone, and ids are asked for.
        Some(ids) if !are_of_this_project(&sources, ids.kind(), &sending)? => Some(ids.mistrusting()),
        ids => ids,
    };
    let make_plan = || {
        let state = remembered.as_ref().map(|it| &it.state);
        plan(&sources, own.as_ref(), state, ids.as_ref().map(OwnIds::place), &settings)
    };
    let mut plan = make_plan()?;
    warn_of_gaps(&plan, &sources, printer);
    refuse_without_euid(&plan, &sources, settings.identity)?;
    refuse_euids_of_others(&plan, &sources, settings.identity, &sending)?;
    let state = remembered.as_ref().map(|remembered| &*remembered.state);
    shards::refuse_rows_of_others(&plan, state, settings.identity)?;
    if let Some(ids) = &ids {
        let requests = ask_for_missing(&plan, ids, &sending)?;
        now.requests.register += requests;
        if requests > 0 {
            plan = make_plan()?;
        }
    }
    sending.report.ids = plan.has_ids;
    if then.is_none() {
        now.inputs = as_inputs(&sources)?;
    }
    window.hand_over().map_err(|failure| {
        let refused = Refused::for_window(failure);
        tell_refused(refused, resumption.as_ref(), &report, &sending, &monitor, printer)
    })?;
    let (journal, decided) = open_journal(resumption, &sending, &mut patience, printer)?;
    if let Some(remembered) = &remembered {
        remembered.note_opening(&now)?;
    }
    let mut run = journal.is_resumable().then(|| RunFile::new(&report, now.clone()));
    if let Some(run) = &mut run {
        run.save()?;
    }
    let carried_over = CarriedOver {
        superseded: plan.superseded,
        expired: plan.expired,
        requests: now.requests,
        ..decided.as_ref().map(|decided| CarriedOver::of(decided, now.requests)).unwrap_or_default()
    };
    let reports = now.inputs.into_iter().zip(plan.rows_by_report());
    let reports =
        reports.map(|(input, rows)| InputSummary { source: input.source, rows, bytes: input.bytes }).collect();
    let rows = RowSource::Replay { rows: plan.into_rows()?, reports };
    let compared = Comparison::default();
    let end = send(
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
    );
    // Until here nobody could write them.
    drop(sources);
    end
}

/// Begins with the digests beside the reading of records, which takes as long. Who asks for one waits for it.
fn make_digests(sources: &[SourceReport]) {
    let sources = sources.to_vec();
    let make = move || {
        // An error shows again to who asks.
        let _ = as_inputs(&sources);
    };
    // Without a thread it is made by who asks.
    let _ = std::thread::Builder::new().name("digests".to_owned()).spawn(make);
}

fn as_inputs(sources: &[SourceReport]) -> Result<Vec<RunInput>, Failure> {
    Ok(sources.iter().map(SourceReport::as_input).collect::<Result<_, _>>()?)
}

fn open_own(
    report: &Path,
    settings: &ReplaySettings,
    patience: &mut Patience<'_>,
) -> Result<Option<Resumption>, Failure> {
    let open = if settings.choice.include_superseded { Resumption::open_for_all } else { Resumption::open };
    Ok(patience.open(|| open(report))?)
}

fn plan(
    sources: &[SourceReport],
    own: Option<&SourceReport>,
    state: Option<&Arc<State>>,
    ids: Option<(IdentityKind, &Arc<State>)>,
    settings: &ReplaySettings,
) -> Result<ReplayPlan, Failure> {
    let mut users = Users::new(state, ids);
    let plan = ReplayPlan::make(sources, own, &settings.choice, Timestamp::now().as_millisecond(), &mut users)?;
    if let Some(error) = users.broken {
        return Err(usage_of(error));
    }
    Ok(plan)
}

/// What has to be known of reports that don't show everything.
fn warn_of_gaps(plan: &ReplayPlan, sources: &[SourceReport], printer: &Printer) {
    for source in sources.iter().filter(|source| source.is_unfinished()) {
        let text = format!("the run of {} did not come to its end", source.path().display());
        let hint = "resume it first, where its input is still there: rows that it has not decided may be newer";
        printer.warning(&text, Some(hint));
    }
    if plan.not_compared > 0 {
        let (rows, are) = if plan.not_compared == 1 { ("row", "is") } else { ("rows", "are") };
        let text = format!("{} {rows} that a verify could not compare {are} left alone", plan.not_compared);
        let hint = "nothing says whether they have to be sent: verify again, with another `--report`";
        printer.warning(&text, Some(hint));
    }
    for (path, bytes) in &plan.torn {
        let text = format!("{} is torn after byte {bytes}: what follows is left out", path.display());
        printer.warning(&text, None);
    }
}

/// Exit 2 where a report was written with a state and nobody tells that state what is sent now: what it knows would be so no
/// longer.
fn refuse_without_state(sources: &[SourceReport], state: Option<&StateSettings>) -> Result<(), Failure> {
    for source in sources {
        // Who can't be read here is told of where it is needed.
        let Ok(Some(run)) = RunFile::read(source.path()) else { continue };
        let is_another = |then: &&String| state.is_none_or(|now| is_another_file(Path::new(then), &now.path));
        if let Some(state) = run.options.get("--state").filter(is_another) {
            let (path, state) = (source.path().display(), escape_controls(state));
            let message = format!(
                "{path} was written with the state {state}, which must know of what is sent again; nothing was sent"
            );
            return Err(Failure::usage(message).with_hint(format!("say `--state {state}`")));
        }
    }
    Ok(())
}

/// Whether these are two files, as far as can be told from here.
fn is_another_file(then: &Path, now: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    then != now && real(then).is_some_and(|then| real(now) != Some(then))
}

/// Other reports under the same names.
fn refuse_changed_reports(then: &Run, now: &Run) -> Result<(), Failure> {
    let changed = then.inputs.iter().zip(&now.inputs).find(|(before, input)| before.blake3 != input.blake3);
    let changed = changed.map(|(input, _)| input.source.as_str());
    let further = (then.inputs.len() != now.inputs.len()).then_some("the list of reports");
    let Some(what) = changed.or(further) else { return Ok(()) };
    let hint = "begin another report under another name with `--report`".to_owned();
    Err(Failure::usage(format!("{what} is not what the replay was begun with; nothing was sent")).with_hint(hint))
}

/// `--dry-run`: a line for each row that would be sent, without its contacts.
fn list(plan: ReplayPlan, printer: &Printer) -> Result<(), Failure> {
    let (rows, superseded, expired) = (plan.rows(), plan.superseded, plan.expired);
    // What stands on standard output is rows only, for programs that count or cut them.
    printer.note("source, row, line, EUID, reason, code, time:");
    let mut lines = String::new();
    for record in plan.into_rows()? {
        let Decision { origin, euid, reason, answered, at_ms, .. } = record?;
        let code = answered.code.map_or_else(String::new, |code| code.to_string());
        let (source, euid) = (escape_controls(&origin.source), escape_controls(&euid));
        let (reason, at) = (reason.map_or("", Reason::as_str), rfc3339(at_ms));
        lines += &format!("{source}\t{}\t{}\t{euid}\t{reason}\t{code}\t{at}\n", origin.row, origin.line);
        if lines.len() > LIST_BYTES {
            write_stdout(lines.as_bytes())?;
            lines.clear();
        }
    }
    write_stdout(lines.as_bytes())?;
    let why = if expired > 0 { format!(": {EXPIRED}") } else { String::new() };
    printer.note(&format!("{rows} rows would be sent; left alone: {superseded} superseded, {expired} expired{why}"));
    Ok(())
}
