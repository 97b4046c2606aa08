//! The page of a large report, beside reading its records.

use std::{path::PathBuf, process::Command};

use anyhow::bail;
use clap::Args;

use super::{
    Bench,
    case::{Case, run_all},
    inputs,
    push::sample,
};

/// Options of `read-report`.
#[derive(Debug, Args)]
pub(crate) struct ReadArgs {
    report: PathBuf,
    rows: u64,
}

/// `read-report`: reads all records and does nothing with them.
pub(crate) fn read(args: &ReadArgs) -> anyhow::Result<()> {
    let mut count = 0_u64;
    for record in report::ReportReader::open(&args.report)? {
        std::hint::black_box(record?);
        count += 1;
    }
    if count != args.rows {
        bail!("the report has {count} records");
    }
    Ok(())
}

/// The group `report`.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<()> {
    let rows = bench.scaled(10_000_000, 100_000);
    let report = inputs::report(bench, "contacts.csv", rows, 100)?;
    let page = bench.path("report.html");
    let ours = || {
        let mut command = bench.contactsync("report");
        command.arg(&report).arg("--html").arg(&page);
        sample(bench, &command, rows)
    };
    let reading = || {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("read-report").arg(&report).arg(rows.to_string());
        sample(bench, &command, rows)
    };
    let cases = vec![Case::new("report --html", ours), Case::new("reading the records", reading)];
    run_all(bench, cases)?.print(&format!("The page of {rows} records"), "record")
}
