use std::{
    fs::File,
    io::{BufReader, Read, Write, stdout},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context, bail};
use clap::Args;

use crate::generate::csv_file;

/// Options of `bench-check`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// How many rows
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// How often
    #[arg(long, default_value_t = 5)]
    runs: usize,
}

/// Measures `contactsync check` in release: rows a second, peak memory, and the ratio to reading the same file and
/// counting its line ends in the same run.
pub(crate) fn check(args: &BenchArgs) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--locked", "--package", "contactsync"]).status()?;
    if !built.success() {
        bail!("contactsync can't be built");
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
    let input = target.join(format!("bench-{}.csv", args.rows));
    if !input.exists() {
        csv_file(&input, args.rows)?;
    }
    let mut figures = Vec::new();
    for _ in 0..args.runs.max(1) {
        figures.push(Figures::measure(&target.join("release/contactsync"), &input)?);
    }
    figures.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let [first, .., last] = figures.as_slice() else { bail!("at least two runs are needed") };
    let median = &figures[figures.len() / 2];
    let rate = |figures: &Figures| args.rows as f64 / figures.seconds / 1e6;
    let mut out = stdout().lock();
    writeln!(out, "check of {} rows, {} runs", args.rows, figures.len())?;
    writeln!(out, "  million rows/s   min {:.2}  median {:.2}  max {:.2}", rate(last), rate(median), rate(first))?;
    writeln!(out, "  peak memory      {} KiB", figures.iter().map(|run| run.peak_kib).max().unwrap_or(0))?;
    writeln!(out, "  time / time of counting line ends: {:.1} (median run)", median.seconds / median.baseline)?;
    Ok(())
}

struct Figures {
    seconds: f64,
    peak_kib: u64,
    baseline: f64,
}

impl Figures {
    fn measure(program: &Path, input: &PathBuf) -> anyhow::Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program).arg("check").arg("-q").arg(input).spawn()?;
        let status = PathBuf::from(format!("/proc/{}/status", child.id()));
        let mut peak_kib = 0;
        // The kernel keeps the peak; it is gone with the process, so it is asked for until then.
        let ended = loop {
            peak_kib = peak_of(&status).unwrap_or(0).max(peak_kib);
            match child.try_wait()? {
                Some(ended) => break ended,
                None => std::thread::sleep(std::time::Duration::from_millis(5)),
            }
        };
        let seconds = started.elapsed().as_secs_f64();
        if !ended.success() {
            bail!("check ended with {ended}");
        }
        Ok(Self { seconds, peak_kib, baseline: count_line_ends(input)? })
    }
}

fn peak_of(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn count_line_ends(input: &Path) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut file = BufReader::new(File::open(input).context("the input can't be opened")?);
    let mut buffer = vec![0; 1 << 20];
    let mut lines = 0;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..count]).count();
    }
    std::hint::black_box(lines);
    Ok(started.elapsed().as_secs_f64())
}
