//! What the measured commands read: made once, kept in `target/bench`.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context, bail};
use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};
use report::{ContactsPolicy, Journal, JournalOptions};

use super::Bench;
use crate::generate::{FIRST_EUID, Format, file};

/// Rows decided longer ago than a day aren't replayed by default, so reports are made anew before that.
const FRESH: Duration = Duration::from_hours(12);

/// So many rows of distinct EUIDs, as CSV.
pub(crate) fn csv(bench: &Bench, rows: u64) -> anyhow::Result<PathBuf> {
    let path = bench.path(&format!("{rows}.csv"));
    if !path.exists() {
        made(&path, |path| file(path, rows, Format::Csv))?;
    }
    Ok(path)
}

/// The same as NDJSON.
pub(crate) fn ndjson(bench: &Bench, rows: u64) -> anyhow::Result<PathBuf> {
    let path = bench.path(&format!("{rows}.ndjson"));
    if !path.exists() {
        made(&path, |path| file(path, rows, Format::Ndjson))?;
    }
    Ok(path)
}

/// A report over the first so many rows of such an input; of each `fails_every` rows the last failed.
pub(crate) fn report(bench: &Bench, source: &str, rows: u64, fails_every: u64) -> anyhow::Result<PathBuf> {
    let path = bench.path(&format!("report-{rows}-{fails_every}.ndjson"));
    let age =
        fs::metadata(&path).and_then(|file| file.modified()).ok().map(|time| SystemTime::now().duration_since(time));
    if !matches!(age, Some(Ok(age)) if age < FRESH) {
        made(&path, |path| write_report(path, source, rows, fails_every))?;
    }
    Ok(path)
}

/// Nothing half made must be taken for whole by the next run.
pub(crate) fn made(path: &Path, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let temporary = path.with_file_name(format!("new-{}", path.file_name().unwrap_or_default().display()));
    make(&temporary)?;
    Ok(fs::rename(&temporary, path)?)
}

fn write_report(path: &Path, source: &str, rows: u64, fails_every: u64) -> anyhow::Result<()> {
    let mut journal =
        Journal::create(path, JournalOptions { force: true, contacts: ContactsPolicy::Failed, ids: false })?;
    let source: Arc<str> = source.into();
    let now = jiff::Timestamp::now().as_millisecond();
    for row in 1..=rows {
        let fails = row % fails_every == 0;
        let mut contacts = Contacts::default();
        contacts.push("email".into(), &format!("user{row}@example.com"));
        let answered = Answered {
            code: Some(if fails { -1 } else { 0 }),
            message: Some(if fails { "internal error" } else { "success" }.to_owned()),
            http_status: Some(200),
        };
        journal.append(&Decision {
            origin: Origin { source: Arc::clone(&source), row, line: row + 1 },
            euid: (FIRST_EUID + row - 1).to_string().into(),
            id: None,
            outcome: if fails { Outcome::Failed } else { Outcome::Synced },
            reason: fails.then_some(Reason::ServerError),
            answered,
            attempts: 1,
            latency_ms: Some(20 + row % 90),
            at_ms: now - 600_000 + (row / 20_000) as i64,
            contacts: Some(contacts),
            raw: None,
        });
        if journal.is_full() {
            journal.write()?;
        }
    }
    Ok(journal.finish()?)
}

/// A report of so many records must be there.
pub(crate) fn has_lines(path: &Path, lines: u64) -> anyhow::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 20, fs::File::open(path)?);
    let mut count = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let length = buffer.len();
        if length == 0 {
            break;
        }
        count += memchr::memchr_iter(b'\n', buffer).count() as u64;
        reader.consume(length);
    }
    if count != lines {
        bail!("{} has {count} lines and not {lines}", path.display());
    }
    Ok(())
}

/// A run's summary must count so many rows of these kinds.
pub(crate) fn has_counted(summary: &[u8], counts: &[(&str, u64)]) -> anyhow::Result<()> {
    let summary: serde_json::Value = serde_json::from_slice(summary).context("the summary")?;
    for (name, expected) in counts {
        let counted = summary[name].as_u64();
        if counted != Some(*expected) {
            bail!("{name} is {counted:?}, and {expected} rows should be: {summary}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_does_other_work_does_not_count() {
        let summary = br#"{"synced":3,"unchanged":7}"#;
        assert!(has_counted(summary, &[("synced", 3), ("unchanged", 7)]).is_ok());
        assert!(has_counted(summary, &[("synced", 3), ("unchanged", 8)]).is_err());
        assert!(has_counted(summary, &[("landed", 0)]).is_err() && has_counted(b"", &[]).is_err());
    }
}
