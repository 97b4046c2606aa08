//! Rows keyed by ids of one's own, beside the same rows keyed by EUIDs: what the resolver costs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Bench,
    case::{Case, Results, Sample, run_all},
    goals::{Bound, Goals},
    inputs::has_counted,
    nights::{Order, export, keyed_by_ids},
    process::remove,
    push::{IN_FLIGHT, forget, sample},
    server::Server,
};

const BY_EUID: &str = "keyed by EUIDs";
const BY_ID: &str = "keyed by ids, asked for";
const KNOWN: &str = "`--state`, keyed by EUIDs, all unchanged";
const KNOWN_IDS: &str = "- keyed by ids";

/// The group `ids`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let rows = bench.scaled(1_000_000, 20_000);
    let euids = export(bench, rows, Order::Euid, None)?;
    let ids = keyed_by_ids(bench, rows, Order::Euid)?;
    // What it has recorded must not be more for the second case than for the first.
    let sandbox = || Server::sandbox(&bench.program);
    let to_sandbox =
        |input, is_keyed| move || push(bench, &sandbox()?.url, input, is_keyed, None, rows, ("synced", rows));
    let cases = vec![Case::new(BY_EUID, to_sandbox(&euids, false)), Case::new(BY_ID, to_sandbox(&ids, true))];
    let results = run_all(bench, cases)?;
    results.print(&format!("push of {rows} rows to the sandbox"), "row")?;
    goals.expect("ids asked for, to the sandbox: time ÷ by EUIDs", longer(&results), Bound::AtMost(1.1));

    let server = Server::counting(0)?;
    let url = &*server.url;
    let quick = |input, is_keyed| move || push(bench, url, input, is_keyed, None, rows, ("synced", rows));
    let cases = vec![Case::new(BY_EUID, quick(&euids, false)), Case::new(BY_ID, quick(&ids, true))];
    let results = run_all(bench, cases)?;
    results.print(&format!("push of {rows} rows to a quick server: the worst that asking can cost"), "row")?;

    second_night(bench, url, rows, &euids, &ids)
}

/// How many times as long the run takes.
fn longer(results: &Results) -> Option<super::case::Spread> {
    results.ratio_of(BY_ID, BY_EUID, |sample| sample.usage.seconds)
}

/// A night of which the state knows all: every id, and every contact.
fn second_night(bench: &Bench, url: &str, rows: u64, euids: &Path, ids: &Path) -> anyhow::Result<()> {
    let shuffled = keyed_by_ids(bench, rows, Order::Shuffled)?;
    let filled = |name: &str, input: &Path, is_keyed| -> anyhow::Result<PathBuf> {
        let state = bench.path(name);
        remove(&state)?;
        push(bench, url, input, is_keyed, Some(&state), rows, ("synced", rows))?;
        Ok(state)
    };
    let (of_euids, of_ids) = (filled("euids.state", euids, false)?, filled("ids.state", ids, true)?);
    let tonight = |filled, input, is_keyed| {
        move || {
            let state = bench.path("tonight.state");
            remove(&state)?;
            fs::copy(filled, &state)?;
            push(bench, url, input, is_keyed, Some(&state), rows, ("unchanged", rows))
        }
    };
    let cases = vec![
        Case::new(KNOWN, tonight(&of_euids, euids, false)),
        Case::new(KNOWN_IDS, tonight(&of_ids, ids, true)),
        Case::new("- keyed by ids, shuffled", tonight(&of_ids, &shuffled, true)),
    ];
    run_all(bench, cases)?.print(&format!("a night of {rows} rows of which the state knows all"), "row")?;
    [of_euids, of_ids, bench.path("tonight.state")].iter().try_for_each(|state| remove(state))
}

/// One push, of whose rows so many must have come to an end of one kind.
fn push(
    bench: &Bench,
    url: &str,
    input: &Path,
    is_keyed: bool,
    state: Option<&Path>,
    rows: u64,
    counted: (&str, u64),
) -> anyhow::Result<Sample> {
    let (report, summary) = (bench.path("ids.ndjson"), bench.path("ids.json"));
    forget(&report)?;
    let mut command = bench.contactsync("push");
    command.arg(input).args(["--base-url", url, "--rate", "unlimited", "--in-flight", &IN_FLIGHT.to_string()]);
    if is_keyed {
        command.args(["--identify-by", "user_id"]);
    }
    if let Some(state) = state {
        command.arg("--state").arg(state);
    }
    command.arg("--report").arg(&report).arg("--summary").arg(&summary);
    let sample = sample(bench, &command, rows)?;
    has_counted(&fs::read(&summary)?, &[counted])?;
    forget(&report)?;
    Ok(sample)
}
