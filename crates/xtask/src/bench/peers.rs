//! Other programs that could send the same rows, where they are installed, and how they are called.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use super::{
    Bench,
    clients::{BODY, CREDENTIALS},
    process::installed,
    target,
};

/// What a peer sends, and where to.
pub(crate) struct Work<'w> {
    pub(crate) bench: &'w Bench,
    /// The whole URL.
    pub(crate) url: &'w str,
    /// CSV with `euid`, `email`, `mobile_phone`.
    pub(crate) input: &'w Path,
    pub(crate) rows: u64,
    pub(crate) in_flight: usize,
}

/// `oha`, one body over and over: a limit, since nothing is read or written down.
pub(crate) fn oha(work: &Work<'_>) -> Result<Command, &'static str> {
    let mut command = Command::new(installed("oha").ok_or("`oha` is not installed")?);
    command.args(["-n", &work.rows.to_string(), "-c", &work.in_flight.to_string(), "-m", "POST", "-d", BODY]);
    command.args(["-T", "application/json", "-H", &authorization(), "--no-tui", "--output-format", "json", work.url]);
    Ok(command)
}

/// `wrk`, the same, for so many seconds and not for so many rows.
pub(crate) fn wrk(work: &Work<'_>, seconds: u64) -> anyhow::Result<Result<Command, &'static str>> {
    let Some(program) = installed("wrk") else { return Ok(Err("`wrk` is not installed")) };
    let script = work.bench.path("wrk.lua");
    let text = format!("wrk.method = 'POST'\nwrk.body = '{BODY}'\nwrk.headers['Content-Type'] = 'application/json'\n");
    fs::write(&script, text)?;
    let mut command = Command::new(program);
    command.args(["-t", "2", "-c", &work.in_flight.to_string(), "-d", &seconds.to_string()]);
    command.args(["-H", &authorization(), "-s"]).arg(script).arg(work.url);
    Ok(Ok(command))
}

/// How many requests `wrk` says that it made, in how many seconds.
pub(crate) fn made_by_wrk(output: &Path) -> anyhow::Result<(f64, f64)> {
    let text = fs::read_to_string(output)?;
    let line = text.lines().find(|line| line.contains(" requests in ")).context("wrk says no number of requests")?;
    let mut words = line.split_whitespace();
    let requests = words.next().and_then(|word| word.parse().ok()).context("wrk says no number of requests")?;
    let time = words.nth(2).unwrap_or_default().trim_end_matches(',');
    let (number, unit) = time.split_at(time.find(char::is_alphabetic).unwrap_or(time.len()));
    let unit = match unit {
        "ms" => 0.001,
        "m" => 60.0,
        _ => 1.0,
    };
    Ok((requests, number.parse::<f64>().context("wrk says no time")? * unit))
}

/// Node and undici: CSV to an NDJSON report.
pub(crate) fn undici(work: &Work<'_>, report: &Path) -> Result<Command, &'static str> {
    let node = installed("node").ok_or("`node` is not installed")?;
    let modules = target().join("peers/node_modules");
    if !modules.join("undici").exists() || !modules.join("csv-parse").exists() {
        return Err("undici and csv-parse are not in target/peers");
    }
    let mut command = Command::new(node);
    command.env("NODE_PATH", modules).arg(script("undici.cjs"));
    command.arg(work.url).arg(work.input).arg(report).arg(work.in_flight.to_string());
    Ok(command)
}

/// Python, aiohttp and uvloop: CSV to an NDJSON report.
pub(crate) fn aiohttp(work: &Work<'_>, report: &Path) -> Result<Command, &'static str> {
    let mut command = python("aiohttp, uvloop").ok_or("aiohttp and uvloop are not installed")?;
    command.arg(script("aiohttp_push.py"));
    command.arg(work.url).arg(work.input).arg(report).arg(work.in_flight.to_string());
    Ok(command)
}

/// `DuckDB` within Python: the rows of one CSV that another has not, to a CSV.
pub(crate) fn duckdb(yesterday: &Path, today: &Path, output: &Path) -> Result<Command, &'static str> {
    let mut command = python("duckdb").ok_or("DuckDB for Python is not installed")?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    command.arg(script("duckdb_changed.py")).args([yesterday, today, output]).arg(threads.to_string());
    Ok(command)
}

/// Python, where it has these modules.
fn python(modules: &str) -> Option<Command> {
    let own = target().join("peers/venv/bin/python");
    let python = own.exists().then_some(own).or_else(|| installed("python3"))?;
    let found = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    found.is_ok_and(|found| found.status.success()).then(|| Command::new(python))
}

/// `qsv fetchpost`, which sends one row after the other.
pub(crate) fn qsv(work: &Work<'_>, output: &Path) -> anyhow::Result<Result<Command, &'static str>> {
    let Some(program) = installed("qsv") else { return Ok(Err("`qsv` is not installed")) };
    let template = work.bench.path("qsv.tpl");
    fs::write(&template, r#"{"euid":{{euid}},"contacts":{"email":"{{email}}","mobile_phone":"{{mobile_phone}}"}}"#)?;
    let mut command = Command::new(program);
    command.args(["fetchpost", work.url, "--rate-limit", "0", "--no-cache", "--payload-tpl"]);
    command.arg(template).args(["--http-header", &authorization(), "--new-column", "answer", "--output"]);
    command.arg(output).arg(work.input);
    Ok(Ok(command))
}

/// `curl --parallel` with a configuration file that holds a request for each row.
pub(crate) fn curl(work: &Work<'_>) -> anyhow::Result<Result<Command, &'static str>> {
    let Some(program) = installed("curl") else { return Ok(Err("`curl` is not installed")) };
    let configuration = work.bench.path("curl.conf");
    let mut text = String::new();
    for record in csv::Reader::from_path(work.input)?.records().take(work.rows as usize) {
        let record = record?;
        let field = |at| record.get(at).unwrap_or_default();
        if !text.is_empty() {
            text.push_str("next\n");
        }
        text.push_str(&format!(
            "url = \"{}\"\nheader = \"{}\"\nheader = \"Content-Type: application/json\"\noutput = \"/dev/null\"\ndata = \
             \"{{\\\"euid\\\":{},\\\"contacts\\\":{{\\\"email\\\":\\\"{}\\\",\\\"mobile_phone\\\":\\\"{}\\\"}}}}\"\n",
            work.url,
            authorization(),
            field(0),
            field(1),
            field(2)
        ));
    }
    fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.args(["--silent", "--show-error", "--parallel", "--parallel-immediate", "--parallel-max"]);
    command.arg(work.in_flight.to_string()).arg("--config").arg(configuration);
    Ok(Ok(command))
}

fn authorization() -> String {
    format!("Authorization: {CREDENTIALS}")
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrk_is_understood() {
        let folder = std::env::temp_dir().join(format!("wrk-{}", std::process::id()));
        for (said, expected) in [("3.10s,", 3.1), ("900.5ms,", 0.9005), ("1.00m,", 60.0)] {
            fs::write(&folder, format!("Running\n  191919 requests in {said} 31.2MB read\n")).unwrap();
            let (requests, seconds) = made_by_wrk(&folder).unwrap();
            assert!((requests - 191_919.0_f64).abs() < 0.5 && (seconds - expected).abs() < 1e-9, "{said}");
        }
        fs::remove_file(&folder).unwrap();
    }
}
