//! `push`, as quick as it goes, beside bare loops and other tools.

use std::{path::Path, process::Command};

use super::{
    Bench,
    case::{Case, Sample, run_all},
    goals::{Bound, Goals},
    inputs::{self, has_lines},
    peers::{self, Work},
    process::{measure, remove, say},
    server::Server,
};

pub(crate) const OURS: &str = "contactsync";
pub(crate) const IN_FLIGHT: usize = 64;
const REQWEST: &str = "reqwest, bare loop";
const REQWEST_EACH: &str = "reqwest, bare loop, a runtime a core";
const HYPER: &str = "hyper `SendRequest`, bare loop";
const HYPER_EACH: &str = "hyper `SendRequest`, bare loop, a runtime a core";
/// It needs 300 bytes of configuration a row, and reads all of it first.
const CURL_SHARE: u64 = 10;
/// It has one request under way at a time.
const QSV_SHARE: u64 = 10;

pub(crate) fn measure_against(
    bench: &Bench,
    goals: &mut Goals,
    title: &str,
    url: &str,
    is_nginx: bool,
) -> anyhow::Result<()> {
    let rows = bench.scaled(100_000, 2_000);
    let input = inputs::csv(bench, rows)?;
    let url = format!("{url}/v1/user/contact");
    let work = Work { bench, url: &url, input: &input, rows, in_flight: IN_FLIGHT };
    let base = url.trim_end_matches("/v1/user/contact").to_owned();
    let mut cases = vec![Case::new(OURS, || push(bench, &base, &input, rows, &["--rate", "unlimited"], IN_FLIGHT))];
    for (name, client, runtimes) in
        [(REQWEST, "reqwest", 1), (REQWEST_EACH, "reqwest", 2), (HYPER, "hyper", 1), (HYPER_EACH, "hyper", 2)]
    {
        let url = url.clone();
        cases.push(Case::new(name, move || bare(bench, client, &url, rows, IN_FLIGHT, runtimes)));
    }
    if bench.peers && is_nginx {
        add_peers(&work, &mut cases)?;
    } else if bench.peers {
        add(&mut cases, "oha", peers::oha(&work), |command| sample(bench, command, rows))?;
    }
    let results = run_all(bench, cases)?;
    results.print(title, "row")?;
    if is_nginx {
        goals.expect("push ÷ bare loop over reqwest", results.ratio(OURS, REQWEST), Bound::AtLeast(0.75));
        for (name, least) in [("oha", 0.6), ("undici", 1.3), ("aiohttp", 4.0), ("qsv fetchpost", 5.0)] {
            goals.expect(&format!("push ÷ {name}"), results.ratio(OURS, name), Bound::AtLeast(least));
        }
        goals.expect("push: CPU, µs a row", results.spread(OURS, Sample::cpu), Bound::AtMost(25.0));
        goals.expect("push: waits a row", results.spread(OURS, Sample::switches), Bound::AtMost(0.2));
        let peak = results.spread(OURS, |sample| sample.usage.peak_kib / 1024.0);
        goals.expect("push: peak memory, MiB", peak, Bound::AtMost(40.0));
    }
    Ok(())
}

/// The group `push`.
pub(crate) fn measure_group(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    match Server::nginx(&bench.folder)? {
        Some(nginx) => measure_against(bench, goals, "push to nginx", &nginx.url, true)?,
        None => say("\nleft out: nginx is not installed")?,
    }
    let sandbox = Server::sandbox(&bench.program)?;
    measure_against(bench, goals, "push to the sandbox", &sandbox.url, false)
}

fn add_peers<'b>(work: &Work<'b>, cases: &mut Vec<Case<'b>>) -> anyhow::Result<()> {
    let (bench, rows) = (work.bench, work.rows);
    add(cases, "oha", peers::oha(work), move |command| sample(bench, command, rows))?;
    let seconds = bench.scaled(3, 1);
    add(cases, "wrk", peers::wrk(work, seconds)?, move |command| {
        let (mut usage, output) = measure(command, &bench.folder)?;
        let (requests, seconds) = peers::made_by_wrk(&output)?;
        usage.seconds = seconds;
        Ok(Sample { rows: requests, usage })
    })?;
    let report = bench.path("peer.ndjson");
    let written = move |command: &Command, report: &Path| {
        let sample = sample(bench, command, rows)?;
        has_lines(report, rows)?;
        Ok(sample)
    };
    let path = report.clone();
    add(cases, "undici", peers::undici(work, &report), move |command| written(command, &path))?;
    let path = report.clone();
    add(cases, "aiohttp", peers::aiohttp(work, &report), move |command| written(command, &path))?;
    let fewer = rows.div_ceil(QSV_SHARE);
    let input = inputs::csv(bench, fewer)?;
    let few = Work { input: &input, rows: fewer, ..*work };
    add(cases, "qsv fetchpost", peers::qsv(&few, &bench.path("qsv.csv"))?, move |command| {
        sample(bench, command, fewer)
    })?;
    let fewer = rows.div_ceil(CURL_SHARE);
    let few = Work { rows: fewer, ..*work };
    add(cases, "curl --parallel", peers::curl(&few)?, move |command| sample(bench, command, fewer))
}

/// Adds a case, or says why it is left out.
pub(crate) fn add<'b>(
    cases: &mut Vec<Case<'b>>,
    name: &str,
    command: Result<Command, &'static str>,
    run: impl Fn(&Command) -> anyhow::Result<Sample> + 'b,
) -> anyhow::Result<()> {
    match command {
        Ok(command) => cases.push(Case::new(name, move || run(&command))),
        Err(why) => say(&format!("\nleft out: {name}: {why}"))?,
    }
    Ok(())
}

pub(crate) fn sample(bench: &Bench, command: &Command, rows: u64) -> anyhow::Result<Sample> {
    let (usage, _) = measure(command, &bench.folder)?;
    Ok(Sample { rows: rows as f64, usage })
}

/// The bare loop over a client.
pub(crate) fn bare(
    bench: &Bench,
    client: &str,
    url: &str,
    rows: u64,
    in_flight: usize,
    runtimes: usize,
) -> anyhow::Result<Sample> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["client", client, url, "--requests", &rows.to_string(), "--in-flight", &in_flight.to_string()]);
    command.args(["--runtimes", &runtimes.to_string()]);
    sample(bench, &command, rows)
}

/// One push of all rows, each of which must be in the report.
pub(crate) fn push(
    bench: &Bench,
    base_url: &str,
    input: &Path,
    rows: u64,
    options: &[&str],
    in_flight: usize,
) -> anyhow::Result<Sample> {
    let report = bench.path("push.ndjson");
    forget(&report)?;
    let mut command = bench.contactsync("push");
    command.arg(input).args(["--base-url", base_url, "--in-flight", &in_flight.to_string()]).args(options);
    command.arg("--report").arg(&report);
    let sample = sample(bench, &command, rows)?;
    has_lines(&report, rows)?;
    Ok(sample)
}

/// Takes a report away, and what lies beside it.
pub(crate) fn forget(report: &Path) -> anyhow::Result<()> {
    let mut beside = report.as_os_str().to_owned();
    beside.push(".run");
    [report, Path::new(&beside)].into_iter().try_for_each(remove)
}
