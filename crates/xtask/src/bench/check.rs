//! `check` beside parsers that do nothing but parse.

use std::{
    borrow::Cow,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::Command,
};

use clap::{Args, ValueEnum};
use serde::Deserialize;

use super::{
    Bench,
    case::{Case, Sample, run_all},
    goals::{Bound, Goals},
    inputs,
    push::{OURS, sample},
};

/// Options of `baseline`.
#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    #[arg(value_enum)]
    parser: Parser,
    input: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Parser {
    /// `csv` into one reused `ByteRecord`
    Csv,
    /// `serde_json::from_str` of each line into borrowed fields
    Ndjson,
    /// Line ends, counted
    Lines,
}

/// `baseline`: reads a file and says how many records it has.
pub(crate) fn baseline(args: &BaselineArgs) -> anyhow::Result<()> {
    let records = match args.parser {
        Parser::Csv => csv_records(&args.input)?,
        Parser::Ndjson => ndjson_records(&args.input)?,
        Parser::Lines => lines(&args.input)?,
    };
    super::process::say(&records.to_string())
}

fn csv_records(input: &Path) -> anyhow::Result<u64> {
    let mut reader = csv::Reader::from_path(input)?;
    let mut record = csv::ByteRecord::new();
    let mut count = 0;
    while reader.read_byte_record(&mut record)? {
        std::hint::black_box(&record);
        count += 1;
    }
    Ok(count)
}

fn ndjson_records(input: &Path) -> anyhow::Result<u64> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        euid: Cow<'a, str>,
        #[serde(borrow)]
        contacts: Fields<'a>,
    }
    #[derive(Deserialize)]
    struct Fields<'a> {
        #[serde(borrow)]
        email: Option<Cow<'a, str>>,
        #[serde(borrow)]
        mobile_phone: Option<Cow<'a, str>>,
    }
    let mut reader = BufReader::with_capacity(1 << 16, File::open(input)?);
    let mut line = Vec::new();
    let mut count = 0;
    while reader.read_until(b'\n', &mut line)? > 0 {
        let row: Row<'_> = serde_json::from_str(std::str::from_utf8(&line)?)?;
        std::hint::black_box((&row.euid, &row.contacts.email, &row.contacts.mobile_phone));
        count += 1;
        line.clear();
    }
    Ok(count)
}

fn lines(input: &Path) -> anyhow::Result<u64> {
    let mut reader = BufReader::with_capacity(1 << 20, File::open(input)?);
    let mut count = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            return Ok(count);
        }
        count += memchr::memchr_iter(b'\n', buffer).count() as u64;
        reader.consume(length);
    }
}

/// The group `check`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let rows = bench.scaled(10_000_000, 100_000);
    let input = inputs::csv(bench, rows)?;
    one(bench, goals, &input, rows, "check of CSV", ("csv", "`csv`, bare loop"))?;
    let rows = bench.scaled(1_000_000, 50_000);
    let input = inputs::ndjson(bench, rows)?;
    one(bench, goals, &input, rows, "check of NDJSON", ("ndjson", "`serde_json`, bare loop"))
}

fn one(
    bench: &Bench,
    goals: &mut Goals,
    input: &Path,
    rows: u64,
    title: &str,
    (parser, name): (&str, &str),
) -> anyhow::Result<()> {
    let ours = || {
        let mut command = bench.contactsync("check");
        command.arg(input);
        sample(bench, &command, rows)
    };
    let bare = |parser: &str| {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["baseline", parser]).arg(input);
        sample(bench, &command, rows)
    };
    let cases = vec![
        Case::new(OURS, ours),
        Case::new(name, || bare(parser)),
        Case::new("line ends, counted", || bare("lines")),
    ];
    let results = run_all(bench, cases)?;
    results.print(&format!("{title}, {rows} rows"), "row")?;
    goals.expect(&format!("{title}: time ÷ {name}"), results.ratio(name, OURS), Bound::AtMost(1.5));
    let peak = results.spread(OURS, |sample: &Sample| sample.usage.peak_kib / 1024.0);
    goals.expect(&format!("{title}: peak memory, MiB"), peak, Bound::AtMost(24.0));
    Ok(())
}
