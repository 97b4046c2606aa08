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

/// Options of the benchmarks.
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
    let (program, target) = (build()?, target());
    let input = target.join(format!("bench-{}.csv", args.rows));
    if !input.exists() {
        csv_file(&input, args.rows)?;
    }
    let mut figures = Vec::new();
    for _ in 0..args.runs.max(1) {
        figures.push(Figures::measure(&program, &input)?);
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

/// Measures `contactsync report --html` in release: seconds, peak memory, and the ratio to reading the same records in
/// the same run.
pub(crate) fn report(args: &BenchArgs) -> anyhow::Result<()> {
    let program = build()?;
    let report = target().join(format!("bench-{}.ndjson", args.rows));
    if !report.exists() {
        write_report(&report, args.rows)?;
    }
    let page = target().join("bench-report.html");
    let (mut ratios, mut seconds, mut peak_kib) = (Vec::new(), Vec::new(), 0);
    for _ in 0..args.runs.max(1) {
        let started = Instant::now();
        let records = report::ReportReader::open(&report)?;
        let mut count = 0_u64;
        for record in records {
            std::hint::black_box(record?);
            count += 1;
        }
        if count != args.rows {
            bail!("the report has {count} records");
        }
        let reading = started.elapsed().as_secs_f64();
        let mut command = Command::new(&program);
        command.arg("report").arg("-q").arg(&report).arg("--html").arg(&page);
        let (took, peak) = timed(&mut command)?;
        ratios.push(took / reading);
        seconds.push(took);
        peak_kib = peak_kib.max(peak);
    }
    for figures in [&mut ratios, &mut seconds] {
        figures.sort_by(f64::total_cmp);
    }
    let shown = |figures: &[f64]| {
        let [least, median, most] = [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at]);
        format!("min {least:.2}  median {median:.2}  max {most:.2}")
    };
    let mut out = stdout().lock();
    writeln!(out, "report --html of {} records, {} runs", args.rows, seconds.len())?;
    writeln!(out, "  seconds                     {}", shown(&seconds))?;
    writeln!(out, "  time / time of reading them {}", shown(&ratios))?;
    writeln!(out, "  peak memory                 {peak_kib} KiB")?;
    Ok(())
}

/// A report in which one row in a hundred failed.
fn write_report(path: &Path, rows: u64) -> anyhow::Result<()> {
    let options = report::JournalOptions { force: false, contacts: report::ContactsPolicy::Failed };
    let mut journal = report::Journal::create(path, options)?;
    let source: std::sync::Arc<str> = "contacts.csv".into();
    for row in 1..=rows {
        let fails = row % 100 == 0;
        let mut contacts = model::Contacts::default();
        contacts.push("email".into(), &format!("user{row}@example.com"));
        journal.append(&model::Decision {
            origin: model::Origin { source: std::sync::Arc::clone(&source), row, line: row + 1 },
            euid: row.to_string().into(),
            outcome: if fails { model::Outcome::Failed } else { model::Outcome::Synced },
            reason: fails.then_some(model::Reason::Timeout),
            answered: model::Answered { code: Some(0), message: Some("success".to_owned()), http_status: Some(200) },
            attempts: 1,
            latency_ms: Some(20 + row % 90),
            at_ms: 1_769_850_487_006 + row as i64 / 2,
            contacts: fails.then_some(contacts),
            raw: None,
        });
        if journal.is_full() {
            journal.write()?;
        }
    }
    Ok(journal.finish()?)
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--locked", "--package", "contactsync"]).status()?;
    if !built.success() {
        bail!("contactsync can't be built");
    }
    Ok(target().join("release/contactsync"))
}

/// Runs a command that must succeed: its seconds, and its peak memory in KiB.
fn timed(command: &mut Command) -> anyhow::Result<(f64, u64)> {
    let started = Instant::now();
    let mut child = command.spawn()?;
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
    if !ended.success() {
        bail!("it ended with {ended}");
    }
    Ok((started.elapsed().as_secs_f64(), peak_kib))
}

struct Figures {
    seconds: f64,
    peak_kib: u64,
    baseline: f64,
}

impl Figures {
    fn measure(program: &Path, input: &PathBuf) -> anyhow::Result<Self> {
        let (seconds, peak_kib) = timed(Command::new(program).arg("check").arg("-q").arg(input))?;
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
