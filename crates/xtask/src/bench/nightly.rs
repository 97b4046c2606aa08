//! A night's push with `--state`, beside an anti-join over the two files.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{
    Bench,
    case::{Case, Sample, run_all},
    goals::{Bound, Goals},
    inputs::has_counted,
    nights::{Order, changed, export},
    peers,
    process::{remove, say},
    push::{IN_FLIGHT, OURS, add, forget, sample},
    server::Server,
};

/// One row in so many is changed in the export with changes.
const CHANGES_EVERY: u64 = 100;
const FILL: &str = "the first night, which fills the state";
const DUCKDB: &str = "DuckDB";

/// A push of an export against a state.
struct Night<'n> {
    bench: &'n Bench,
    url: &'n str,
    rows: u64,
}

/// The group `nightly`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let rows = bench.scaled(10_000_000, 100_000);
    let [by_euid, by_email, shuffled] =
        [Order::Euid, Order::Email, Order::Shuffled].map(|order| export(bench, rows, order, None));
    let (by_euid, by_email, shuffled) = (by_euid?, by_email?, shuffled?);
    let some_changed = export(bench, rows, Order::Euid, Some(CHANGES_EVERY))?;
    let changes = changed(rows, CHANGES_EVERY);
    // A state is bound to the base URL, so one server answers all nights.
    let nginx = Server::nginx(&bench.folder)?;
    let (server, served_by) = match nginx {
        Some(nginx) => (nginx, "nginx"),
        None => (Server::sandbox(&bench.program)?, "the sandbox: nginx is not installed"),
    };
    let night = Night { bench, url: &server.url, rows };
    let filled = bench.path("filled.state");
    remove(&filled)?;
    let once = Bench { program: bench.program.clone(), folder: bench.folder.clone(), rounds: 1, ..*bench };
    let fill = run_all(&once, vec![Case::new(FILL, || night.push(&by_euid, &filled, rows))])?;
    fill.print(&format!("push --state, {rows} rows, empty state, to {served_by}"), "row")?;
    let bytes = fs::metadata(&filled)?.len();
    let per_euid = bytes as f64 / rows as f64;
    say(&format!("\nthe state: {bytes} bytes, {per_euid:.1} an EUID with two contacts"))?;
    let bytes = super::case::Spread { least: per_euid, median: per_euid, most: per_euid };
    goals.expect("state: bytes on disk an EUID", Some(bytes), Bound::AtMost(64.0));

    let night = &night;
    let filled = &filled;
    let tonight = move |input: PathBuf, changes| {
        move || {
            let state = bench.path("tonight.state");
            remove(&state)?;
            fs::copy(filled, &state)?;
            night.push(&input, &state, changes)
        }
    };
    let mut cases = vec![
        Case::new(OURS, tonight(by_euid.clone(), 0)),
        Case::new("- one row in 100 changed", tonight(some_changed.clone(), changes)),
        Case::new("- ordered by e-mail address", tonight(by_email, 0)),
        Case::new("- shuffled", tonight(shuffled.clone(), 0)),
        Case::new("`check`, no state", || {
            let mut command = bench.contactsync("check");
            command.arg(&by_euid);
            sample(bench, &command, rows)
        }),
    ];
    if bench.peers {
        for (name, today, changes) in [
            (DUCKDB, &by_euid, 0),
            ("DuckDB: one row in 100 changed", &some_changed, changes),
            ("DuckDB: shuffled", &shuffled, 0),
        ] {
            let output = bench.path("changed.csv");
            let command = peers::duckdb(&by_euid, today, &output);
            add(&mut cases, name, command, move |command| {
                let sample = sample(bench, command, rows)?;
                // The header is a line too.
                super::inputs::has_lines(&output, changes + 1)?;
                Ok(sample)
            })?;
        }
    }
    let results = run_all(bench, cases)?;
    results.print(&format!("a night of {rows} rows against a state of {rows} EUIDs, to {served_by}"), "row")?;
    let memory = |sample: &Sample| sample.usage.peak_kib;
    goals.expect("unchanged night: time ÷ DuckDB's", results.ratio(DUCKDB, OURS), Bound::AtMost(1.5));
    goals.expect(
        "unchanged night: peak memory ÷ DuckDB's",
        results.ratio_of(OURS, DUCKDB, memory),
        Bound::AtMost(1.0 / 3.0),
    );
    remove(&bench.path("tonight.state"))?;
    remove(filled)
}

impl Night<'_> {
    /// One push, which must send so many rows, and find all others unchanged.
    fn push(&self, input: &Path, state: &Path, sends: u64) -> anyhow::Result<Sample> {
        let Self { bench, url, rows } = *self;
        let (report, summary) = (bench.path("night.ndjson"), bench.path("night.json"));
        forget(&report)?;
        let mut command = bench.contactsync("push");
        command.arg(input).args(["--base-url", url, "--rate", "unlimited", "--in-flight", &IN_FLIGHT.to_string()]);
        command.arg("--state").arg(state).arg("--report").arg(&report).arg("--summary").arg(&summary);
        let sample = sample(bench, &command, rows)?;
        has_counted(&fs::read(&summary)?, &[("synced", sends), ("unchanged", rows - sends)])?;
        forget(&report)?;
        Ok(sample)
    }
}
