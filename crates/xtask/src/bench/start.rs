//! How long until something happens.

use anyhow::Context;

use super::{
    Bench,
    case::Spread,
    goals::{Bound, Goals},
    inputs,
    process::{measure as run, say},
    push::forget,
    server::Server,
};

/// So short that it needs many.
const RUNS_A_ROUND: usize = 5;

/// The group `start`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let server = Server::counting(0)?;
    let input = inputs::csv(bench, 100)?;
    let report = bench.path("start.ndjson");
    let (mut version, mut first) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds * RUNS_A_ROUND {
        let mut command = std::process::Command::new(&bench.program);
        command.arg("--version");
        version.push(run(&command, &bench.folder)?.0.seconds * 1e3);
        forget(&report)?;
        server.arrivals()?;
        let mut command = bench.contactsync("push");
        command.arg(&input).args(["--base-url", &server.url, "--rate", "unlimited", "--report"]).arg(&report);
        let (usage, _) = run(&command, &bench.folder)?;
        first.push(server.arrivals()?.first_ns.saturating_sub(usage.started_ns) as f64 / 1e6);
    }
    let [version, first] = [version, first].map(|times| Spread::of(times.into_iter()));
    say("\n## Start\n")?;
    say(&format!("`--version`: {} ms", version.context("no run")?.shown(1)))?;
    say(&format!("first request of `push`: {} ms after the start", first.context("no run")?.shown(1)))?;
    goals.expect("`--version`, ms", version, Bound::AtMost(10.0));
    goals.expect("first request, ms", first, Bound::AtMost(50.0));
    Ok(())
}
