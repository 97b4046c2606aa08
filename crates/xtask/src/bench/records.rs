//! Going on behind ten million records, and replaying a thousand of them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::{RunFile, RunInput};

use super::{
    Bench,
    case::Spread,
    goals::{Bound, Goals},
    inputs::{self, has_lines},
    process::{measure, say},
    push::forget,
    server::Server,
};

/// Rows that are left to send.
const LEFT: u64 = 1_000;

struct Figures {
    seconds: f64,
    peak_mib: f64,
}

/// The group `resume`.
pub(crate) fn resume(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let decided = bench.scaled(10_000_000, 100_000);
    let rows = decided + LEFT;
    let input = inputs::csv(bench, rows)?;
    let server = Server::counting(0)?;
    let source = input.to_str().context("the folder's name is no text")?;
    let whole = inputs::report(bench, source, decided, u64::MAX)?;
    let run = begun(bench, &server, &input)?;
    let report = bench.path("resume.ndjson");
    let mut all = Vec::new();
    for _ in 0..bench.rounds {
        forget(&report)?;
        fs::copy(&whole, &report)?;
        RunFile::new(&report, run.clone()).save()?;
        server.arrivals()?;
        let (usage, _) = measure(&pushing(bench, &server, &input, &report, true), &bench.folder)?;
        has_lines(&report, rows)?;
        let arrivals = server.arrivals()?;
        if arrivals.count != LEFT {
            bail!("{} rows were sent and not {LEFT}", arrivals.count);
        }
        let seconds = arrivals.first_ns.saturating_sub(usage.started_ns) as f64 / 1e9;
        all.push(Figures { seconds, peak_mib: usage.peak_kib / 1024.0 });
    }
    forget(&report)?;
    told(goals, &format!("--resume behind {decided} decided rows"), "to the first request", &all, Some(64.0))
}

/// The group `replay`.
pub(crate) fn replay(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let records = bench.scaled(10_000_000, 100_000);
    let report = inputs::report(bench, "contacts.csv", records, records / 1_000)?;
    let server = Server::counting(0)?;
    let own = bench.path("replay.ndjson");
    let mut all = Vec::new();
    for _ in 0..bench.rounds {
        forget(&own)?;
        server.arrivals()?;
        let mut command = bench.contactsync("replay");
        command.arg(&report).args(["--base-url", &server.url, "--rate", "unlimited", "--report"]).arg(&own);
        let (usage, _) = measure(&command, &bench.folder)?;
        let arrivals = server.arrivals()?;
        if arrivals.count != 1_000 {
            bail!("{} rows were sent and not 1000", arrivals.count);
        }
        let seconds = arrivals.last_ns.saturating_sub(usage.started_ns) as f64 / 1e9;
        all.push(Figures { seconds, peak_mib: usage.peak_kib / 1024.0 });
    }
    told(goals, &format!("replay over {records} records, 1,000 failures"), "to the last request", &all, None)
}

fn told(goals: &mut Goals, title: &str, until: &str, all: &[Figures], memory: Option<f64>) -> anyhow::Result<()> {
    let seconds = Spread::of(all.iter().map(|run| run.seconds)).context("no round")?;
    let peak = Spread::of(all.iter().map(|run| run.peak_mib)).context("no round")?;
    say(&format!("\n## {title}\n"))?;
    say(&format!("{} s {until}, {} MiB at its peak", seconds.shown(2), peak.shown(1)))?;
    goals.expect(&format!("{title}: seconds {until}"), Some(seconds), Bound::AtMost(5.0));
    if let Some(most) = memory {
        goals.expect(&format!("{title}: peak memory, MiB"), Some(peak), Bound::AtMost(most));
    }
    Ok(())
}

fn pushing(bench: &Bench, server: &Server, input: &Path, report: &Path, resumes: bool) -> Command {
    let mut command = bench.contactsync("push");
    command.arg(input).args(["--base-url", &server.url, "--report"]).arg(report);
    command.args(if resumes { &["--resume", "--rate", "unlimited"][..] } else { &["--rate", "100/s"] });
    command
}

/// What a run leaves beside its report that read the input to its end: that of a run that was stopped early, said to
/// have come further.
fn begun(bench: &Bench, server: &Server, input: &Path) -> anyhow::Result<report::Run> {
    let report = bench.path("begun.ndjson");
    forget(&report)?;
    server.arrivals()?;
    let mut command = pushing(bench, server, input, &report, false);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started = Instant::now();
    let mut arrived = 0;
    while arrived < 10 && started.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(50));
        arrived += server.arrivals()?.count;
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM)?;
    child.wait()?;
    let mut run = RunFile::read(&report)?.context("a run left nothing beside its report")?;
    let mut digest = blake3::Hasher::new();
    digest.update_reader(fs::File::open(input)?)?;
    let blake3 = digest.finalize().to_hex().to_string();
    let source = run.inputs.first().map(|input| input.source.clone()).unwrap_or_default();
    run.inputs =
        vec![RunInput { source, bytes: fs::metadata(input)?.len(), blake3, ended: true, ..RunInput::default() }];
    forget(&report)?;
    Ok(run)
}
