use std::{fmt::Write as _, time::Duration};

use model::escape_controls;
use serde::Serialize;
use state::{FinishedRun, Meta, State, StateError};

use crate::{
    args::{StateFileArgs, StateForgetArgs, StateInfoArgs, StateRebindArgs},
    exit::Exit,
    failure::Failure,
    layers::{Layers, Setting},
    lock::Patience,
    settings::Target,
    terminal::{Printer, write_stdout},
};

/// The target of a run with `--sandbox`.
const SANDBOX: &str = "sandbox";

/// What `state info` prints with `--json`.
#[derive(Serialize)]
struct Info<'a> {
    state: String,
    euids: u64,
    contacts: u64,
    known: u64,
    unknown: u64,
    ids: u64,
    bytes: u64,
    target: Option<&'a str>,
    api_key: Option<&'a str>,
    shard: Option<&'a str>,
    runs: &'a [FinishedRun],
}

/// `state info`: what is in the file.
pub(crate) fn state_info(args: &StateInfoArgs, printer: &Printer) -> Result<(), Failure> {
    let state = open(&args.state, printer)?;
    let figures = state.figures().map_err(unusable)?;
    let meta = state.meta();
    let info = Info {
        state: args.state.file.display().to_string(),
        euids: figures.euids,
        contacts: figures.contacts,
        known: figures.contacts.saturating_sub(figures.unknown),
        unknown: figures.unknown,
        ids: figures.ids,
        bytes: figures.bytes,
        target: meta.target.as_deref(),
        api_key: meta.api_key.as_deref(),
        shard: meta.shard.as_deref(),
        runs: &meta.runs,
    };
    let text = if args.json {
        serde_json::to_string(&info).map_err(|error| Failure::new(Exit::Bug, error))? + "\n"
    } else {
        told(&info)
    };
    write_stdout(text.as_bytes())
}

/// `state forget`: users, or all of them.
pub(crate) fn state_forget(args: &StateForgetArgs, printer: &Printer) -> Result<(), Failure> {
    let state = open(&args.state, printer)?;
    let path = state.path().display().to_string();
    let (known, asked) = if args.all {
        let known = state.forget_all().map_err(unwritten)?;
        (known, known)
    } else {
        let mut euids = args.euid.clone();
        euids.sort_unstable();
        euids.dedup();
        let asked = euids.len() as u64;
        (state.forget(euids).map_err(unwritten)?, asked)
    };
    printer.note(&format!("{path}: users forgotten: {known}"));
    if known < asked {
        printer.warning(&format!("users that it did not know: {}", asked - known), None);
    }
    Ok(())
}

/// `state rebind`: to the address and the key of the push that is to come.
pub(crate) fn state_rebind(
    args: &StateRebindArgs,
    settings: &[Setting],
    layers: &Layers,
    printer: &Printer,
) -> Result<(), Failure> {
    let mut warnings = Vec::new();
    let target =
        Target::of(&args.sending.requests, sandbox::SandboxOptions::default(), settings, layers, &mut warnings)?;
    for warning in &warnings {
        printer.warning(warning, None);
    }
    let (name, key) = (target.name(), target.key_fingerprint());
    let state = open(&args.state, printer)?;
    let path = state.path().display().to_string();
    let before = state.meta();
    refuse_other_world(&path, &before, &name)?;
    if before.target.as_deref() == Some(&name) && before.api_key.as_deref() == Some(&key) {
        printer.note(&format!("{path} is bound to {name} and this API key already"));
        return Ok(());
    }
    state
        .set_meta(|meta| {
            meta.target = Some(name.clone());
            meta.api_key = Some(key.clone());
        })
        .and_then(|()| state.commit())
        .map_err(unwritten)?;
    printer.note(&format!("{path}: bound to {name} and API key {key}, before to {}", binding(&before)));
    Ok(())
}

/// What a sandbox accepted the service doesn't hold, nor the other way round.
fn refuse_other_world(path: &str, meta: &Meta, name: &str) -> Result<(), Failure> {
    let Some(before) = meta.target.as_deref().filter(|before| (*before == SANDBOX) != (name == SANDBOX)) else {
        return Ok(());
    };
    let message = format!("{path} says what {before} accepted, of which {name} holds nothing");
    Err(Failure::usage(message).with_hint("begin another state for it: name a new file in `--state`".to_owned()))
}

fn binding(meta: &Meta) -> String {
    let Meta { target, api_key, .. } = meta;
    let target = target.as_deref().unwrap_or("no address");
    api_key.as_deref().map_or_else(|| format!("{target} and no API key"), |key| format!("{target} and API key {key}"))
}

fn open(args: &StateFileArgs, printer: &Printer) -> Result<State, Failure> {
    let mut patience = Patience::new(args.lock_wait.unwrap_or(Duration::ZERO), printer);
    loop {
        match State::open_existing(&args.file) {
            Err(StateError::Locked(path)) if patience.waits_for("the state", &path) => {}
            opened => return opened.map_err(unusable),
        }
    }
}

/// Whatever is wrong with a state before it is changed.
fn unusable(error: StateError) -> Failure {
    let hint = error.hint();
    Failure::usage(error).with_hint(hint)
}

/// That it can't be written is the disk's fault.
fn unwritten(error: StateError) -> Failure {
    match error {
        StateError::Write { .. } => {
            let hint = error.hint();
            Failure::new(Exit::ReadOrWrite, error).with_hint(hint)
        }
        error => unusable(error),
    }
}

fn told(info: &Info<'_>) -> String {
    let mut text = String::new();
    // Writing to a text can't fail.
    let mut line = |name: &str, said: String| {
        let _ = writeln!(text, "{name:<10} {said}");
    };
    line("state", escape_controls(&info.state).into_owned());
    line("users", info.euids.to_string());
    line("contacts", format!("{}, {} of them unknown", info.contacts, info.unknown));
    if info.ids > 0 {
        line("own ids", info.ids.to_string());
    }
    let per_user =
        if info.euids > 0 { format!(", {:.1} a user", info.bytes as f64 / info.euids as f64) } else { String::new() };
    line("size", format!("{} bytes{per_user}", info.bytes));
    line("bound to", info.target.map_or_else(|| "nothing yet".into(), escape_controls).into_owned());
    line("API key", info.api_key.map_or_else(|| "none yet".to_owned(), |key| format!("fingerprint {key}")));
    if let Some(shard) = info.shard {
        line("shard", shard.to_owned());
    }
    if info.runs.is_empty() {
        line("runs", "none finished with it".to_owned());
        return text;
    }
    let _ = writeln!(text, "\nfinished runs, the latest first");
    let _ = writeln!(
        text,
        "  {:<20} {:>12} {:>12} {:>12} {:>12} {:>12}  input",
        "at", "rows", "unchanged", "synced", "rejected", "failed"
    );
    for run in info.runs.iter().rev() {
        let FinishedRun { begun: _, at, rows, unchanged, synced, rejected, failed, inputs, whole } = run;
        let inputs: Vec<_> = inputs.iter().map(|input| escape_controls(&input.source)).collect();
        let part = if *whole { "" } else { " (a part of it)" };
        let at = at.get(..19).map_or_else(|| at.clone(), |second| format!("{second}Z"));
        let _ = writeln!(
            text,
            "  {at:<20} {rows:>12} {unchanged:>12} {synced:>12} {rejected:>12} {failed:>12}  {}{part}",
            inputs.join(", ")
        );
    }
    text
}
