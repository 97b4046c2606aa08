//! `verify` and `push --compare-service`: how quickly users are read back, and what memory it takes.

use std::{fs, path::Path};

use super::{
    Bench,
    case::{Case, Sample, run_all},
    goals::{Bound, Goals},
    inputs::has_counted,
    nights::{Order, export},
    push::{IN_FLIGHT, forget, sample},
    server::Server,
};

const VERIFY: &str = "`verify`";
const VERIFY_FEW: &str = "- a tenth of the rows";
const VERIFY_TWICE: &str = "- each user twice, the rows far apart";
const VERIFY_TWICE_FEW: &str = "- the same, a tenth of the rows";
const COMPARE: &str = "`push --compare-service`, all there";
const COMPARE_FEW: &str = "- all there, a tenth of the rows";

/// The group `verify`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let rows = bench.scaled(10_000_000, 100_000);
    let few = rows / 10;
    let by_euid = export(bench, rows, Order::Euid, None)?;
    let shuffled = export(bench, rows, Order::Shuffled, None)?;
    let twice = export(bench, rows, Order::Twice, None)?;
    let fewer = export(bench, few, Order::Euid, None)?;
    let fewer_twice = export(bench, few, Order::Twice, None)?;
    let server = Server::counting(0)?;
    let url = &*server.url;
    let verify = |input: &'static str, path, rows| {
        let is_twice = input == "twice";
        let users = if is_twice { rows / 2 } else { rows };
        move || run(bench, url, "verify", path, rows, &[("landed", users), ("superseded", rows - users)])
    };
    let compare = |path, rows| move || run(bench, url, "push", path, rows, &[("unchanged", rows)]);
    let cases = vec![
        Case::new(VERIFY, verify("once", &by_euid, rows)),
        Case::new(VERIFY_FEW, verify("once", &fewer, few)),
        Case::new("- shuffled", verify("once", &shuffled, rows)),
        Case::new(VERIFY_TWICE, verify("twice", &twice, rows)),
        Case::new(VERIFY_TWICE_FEW, verify("twice", &fewer_twice, few)),
        Case::new(COMPARE, compare(&by_euid, rows)),
        Case::new(COMPARE_FEW, compare(&fewer, few)),
        Case::new("`check`", || {
            let mut command = bench.contactsync("check");
            command.arg(&by_euid);
            sample(bench, &command, rows)
        }),
    ];
    let results = run_all(bench, cases)?;
    results.print(&format!("users read back from a quick server, {rows} rows"), "row")?;
    for (name, what) in [(VERIFY, "verify"), (COMPARE, "push --compare-service")] {
        goals.expect(&format!("{what}: users a second"), results.spread(name, Sample::rate), Bound::AtLeast(100_000.0));
    }
    let memory = |sample: &Sample| sample.usage.peak_kib;
    for (what, many, few) in [
        ("verify", VERIFY, VERIFY_FEW),
        ("verify, each user twice", VERIFY_TWICE, VERIFY_TWICE_FEW),
        ("push --compare-service", COMPARE, COMPARE_FEW),
    ] {
        let what = format!("{what}: peak memory ÷ that of a tenth of the rows");
        goals.expect(&what, results.ratio_of(many, few, memory), Bound::AtMost(1.15));
    }
    Ok(())
}

/// One run, which must count so many rows of each kind.
fn run(
    bench: &Bench,
    url: &str,
    name: &str,
    input: &Path,
    rows: u64,
    counts: &[(&str, u64)],
) -> anyhow::Result<Sample> {
    let (report, summary) = (bench.path("verify.ndjson"), bench.path("verify.json"));
    forget(&report)?;
    let mut command = bench.contactsync(name);
    command.arg(input).args(["--base-url", url, "--profile-rate", "unlimited"]);
    command.args(["--in-flight", &IN_FLIGHT.to_string()]);
    if name == "push" {
        command.args(["--compare-service", "--rate", "unlimited"]);
    }
    command.arg("--report").arg(&report).arg("--summary").arg(&summary);
    let sample = sample(bench, &command, rows)?;
    has_counted(&fs::read(&summary)?, counts)?;
    forget(&report)?;
    Ok(sample)
}
