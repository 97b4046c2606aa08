//! The steps whose instructions are counted, each over so many rows and as little else as can be.

use std::{io::Read, path::Path, sync::Arc};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use dispatcher::{
    Broken, Codes, Dispatcher, Intake, Line, Lines, Rate, Reply, Request, Settings, Stop, Verdict, judge,
};
use model::{Answered, Contact, Contacts, Counters, Decision, Euid, Origin, Outcome, RecordBatch};
use reader::{Format, ReaderOptions, Records};
use report::{ContactsPolicy, Journal, JournalOptions};
use validator::{Key, Rules, Validator};

use super::reports;
use crate::generate::{self, FIRST_EUID};

const ANSWER: &[u8] = br#"{"code":0,"message":"success"}"#;
/// Rows that are made before counting begins, and taken over and over.
const CHUNK: u64 = 500;
/// Users among whom the rows of [`Step::Lanes`] go round.
const USERS: u64 = 16;

/// Options of `counted`.
#[derive(Debug, Args)]
pub(crate) struct CountedArgs {
    #[arg(value_enum)]
    step: Step,
    rows: u64,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Step {
    /// A CSV row becomes a record
    ReaderCsv,
    /// A line of NDJSON becomes a record
    ReaderNdjson,
    /// A record becomes a contact
    Validator,
    /// An answer becomes a verdict
    Verdict,
    /// A decision becomes a record of the report
    Journal,
    /// A record of a report becomes a decision again
    ReportRead,
    /// A record of a report is looked at for a resume
    Resume,
    /// A record of a report is looked at for a replay, twice
    Replay,
    /// A row goes through the dispatcher, each of a user of its own, and is answered at once
    Dispatcher,
    /// The same, but rows of a few users wait for one another
    Lanes,
}

/// `counted`: what valgrind runs.
pub(crate) fn counted(args: &CountedArgs) -> anyhow::Result<()> {
    run(args.step, args.rows)
}

pub(super) fn run(step: Step, rows: u64) -> anyhow::Result<()> {
    match step {
        Step::ReaderCsv => read(generate::Format::Csv, rows),
        Step::ReaderNdjson => read(generate::Format::Ndjson, rows),
        Step::Validator => validate(rows),
        Step::Verdict => give_verdicts(rows),
        Step::Journal => write_down(rows),
        Step::ReportRead => reports::read(rows),
        Step::Resume => reports::resume(rows),
        Step::Replay => reports::replay(rows),
        Step::Dispatcher => dispatch(rows, u64::MAX),
        Step::Lanes => dispatch(rows, USERS),
    }
}

/// The same bytes, so many times.
struct Repeated {
    first: Vec<u8>,
    chunk: Vec<u8>,
    left: u64,
    at: usize,
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.first.len() {
            if self.left == 0 {
                return Ok(0);
            }
            self.left -= 1;
            self.at = 0;
            self.first.clone_from(&self.chunk);
        }
        let count = (&self.first[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}

fn records(format: generate::Format, rows: u64) -> anyhow::Result<Records> {
    let mut text = Vec::new();
    generate::write_rows(&mut text, CHUNK, format)?;
    // The header stands once.
    let (header, chunk) = match format {
        generate::Format::Csv => text.split_at(memchr::memchr(b'\n', &text).map_or(0, |end| end + 1)),
        generate::Format::Ndjson => text.split_at(0),
    };
    let source = Repeated { first: header.to_vec(), chunk: chunk.to_vec(), left: rows / CHUNK, at: 0 };
    let format = if format == generate::Format::Csv { Format::Csv } else { Format::Ndjson };
    Ok(Records::from_reader("rows", source, format, &ReaderOptions::default())?)
}

fn read(format: generate::Format, rows: u64) -> anyhow::Result<()> {
    let mut records = records(format, rows)?;
    let mut batch = RecordBatch::default();
    let mut count = 0;
    loop {
        let more = records.next_batch(&mut batch)?;
        count += batch.records.len() as u64;
        std::hint::black_box(&batch);
        if !more {
            break;
        }
    }
    ensure!(count == rows, "{count} records were read and not {rows}");
    Ok(())
}

fn validate(rows: u64) -> anyhow::Result<()> {
    let mut batch = RecordBatch::default();
    records(generate::Format::Csv, CHUNK)?.next_batch(&mut batch)?;
    let mut validator = Validator::new(Rules::default());
    let mut accepted = 0;
    while accepted < rows {
        for record in batch.iter() {
            let Ok(row) = validator.validate(&record) else { bail!("a row is rejected") };
            let Key::Euid(euid) = row.key(&record) else { bail!("a row is keyed by an id") };
            std::hint::black_box(row.contact(euid, &record));
            accepted += 1;
        }
    }
    Ok(())
}

fn give_verdicts(rows: u64) -> anyhow::Result<()> {
    let (reply, codes) = (reply(), Codes::default());
    for _ in 0..rows {
        let (verdict, answered) = judge(std::hint::black_box(&reply), &codes, true);
        std::hint::black_box(answered);
        ensure!(verdict == Verdict::Accepted(None), "a plain success is taken for something else");
    }
    Ok(())
}

fn write_down(rows: u64) -> anyhow::Result<()> {
    // A device takes everything and keeps nothing.
    let options = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false };
    let mut journal = Journal::create(Path::new("/dev/null"), options)?;
    let mut decision = Decision {
        origin: Origin { source: "contacts.csv".into(), row: 0, line: 0 },
        euid: FIRST_EUID.to_string().into(),
        id: None,
        outcome: Outcome::Synced,
        reason: None,
        answered: Answered { code: Some(0), message: Some("success".to_owned()), http_status: Some(200) },
        attempts: 1,
        latency_ms: Some(24),
        at_ms: 1_769_850_487_006,
        contacts: Some(contact(0, FIRST_EUID)?.contacts),
        raw: None,
    };
    for row in 1..=rows {
        decision.origin.row = row;
        decision.origin.line = row + 1;
        decision.at_ms += 1;
        journal.append(&decision);
        if journal.is_full() {
            journal.write()?;
        }
    }
    Ok(journal.finish()?)
}

/// Answers at once.
struct Instantly;

impl Lines for Instantly {
    type Line = Self;

    fn line(&self) -> Self {
        Self
    }

    fn for_runtime(&self) -> Self {
        Self
    }
}

impl Line for Instantly {
    async fn send(&mut self, request: Request) -> Result<Reply, Broken> {
        std::hint::black_box(request);
        tokio::task::yield_now().await;
        Ok(reply())
    }
}

fn dispatch(rows: u64, users: u64) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(async {
        let settings = Settings { rate: Rate::Unlimited, ..Settings::default() };
        let (intake, taken) = async_channel::bounded(2);
        let (decided, mut decisions) = tokio::sync::mpsc::channel::<Vec<Decision>>(4);
        let reader = tokio::spawn(async move {
            for begin in (0..rows).step_by(CHUNK as usize) {
                let end = rows.min(begin + CHUNK);
                let rows = (begin..end).map(|row| Ok(Intake::Send(contact(row, FIRST_EUID + row % users)?)));
                intake.send(rows.collect::<anyhow::Result<Vec<_>>>()?).await?;
            }
            anyhow::Ok(())
        });
        let writer = tokio::spawn(async move {
            let mut count = 0;
            while let Some(handful) = decisions.recv().await {
                count += handful.iter().filter(|decision| decision.outcome == Outcome::Synced).count() as u64;
            }
            count
        });
        let (counters, stop) = (Arc::new(Counters::default()), Stop::default());
        Dispatcher::new(&settings, Instantly).run(taken, decided, counters, stop).await;
        reader.await??;
        let synced = writer.await?;
        ensure!(synced == rows, "{synced} rows were synced and not {rows}");
        Ok(())
    })
}

fn contact(row: u64, euid: u64) -> anyhow::Result<Contact> {
    let mut contacts = Contacts::default();
    contacts.push("email".into(), "chloe.123456@example.com");
    contacts.push("mobile_phone".into(), "+12015550123");
    let euid = Euid::new(euid).context("an EUID")?;
    let origin = Origin { source: "contacts.csv".into(), row: row + 1, line: row + 2 };
    Ok(Contact { origin, id: None, euid_text: euid.get().to_string().into(), euid, contacts })
}

fn reply() -> Reply {
    Reply { status: 200, body: ANSWER.to_vec(), ..Reply::default() }
}
