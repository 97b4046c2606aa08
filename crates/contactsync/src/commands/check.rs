use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use model::{Answered, Counters, Decision, Outcome, Record, RecordBatch, Rejection};
use reader::{Input, LookedAt};
use report::{CheckSummary, ContactsPolicy, Journal, RunFile};
use tokio::time::MissedTickBehavior;
use validator::{Rules, Validator};

use crate::{
    args::{CheckArgs, FailOn},
    books::{Books, lines_for_people},
    exit::Exit,
    failure::Failure,
    opening::{never_seen, open_inputs, refuse_overwriting},
    reading::{Read, Reading},
    rejected::{SHOWN, keyed_by, rejected, show},
    settings::{InputSettings, LeftOut, ReportSettings, RowChoice},
    signals::{Signal, Signals},
    terminal::{Printer, Progress, ProgressStyle, Whole, Work},
};

/// How often what was reported is written and synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// `check`: reads and validates all rows, without the network.
pub(crate) fn check(args: &CheckArgs, printer: &Printer, signals: &Signals) -> Result<Exit, Failure> {
    let settings = InputSettings::of(&args.inputs, &args.rules, false)?;
    let mut report = ReportSettings::of_check(&args.report)?;
    report.ids = settings.identity().is_some();
    if let Some(path) = &report.path {
        report.refuse_existing(path)?;
    }
    let outputs = [report.outputs(), printer.outputs()].concat();
    refuse_overwriting(&settings, &outputs)?;
    let opened = open_inputs(&settings, report.path.as_deref(), printer);
    let LookedAt { inputs, asked, .. } = opened.inspect_err(|Failure { exit, .. }| {
        let summary = Books::default().summary(Duration::ZERO, *exit, settings.rows.shard());
        report.write_summary(&summary, *exit, printer);
    })?;
    let journal = match &report.path {
        Some(path) => Some(begin_report(path, &report)?),
        None => None,
    };
    let counters = Arc::new(Counters::default());
    let whole = Whole::of(&inputs, settings.rows.expected());
    let style = ProgressStyle::of(args.progress, printer);
    let progress = Progress::start(style, printer, Arc::clone(&counters), whole, Work::Checks);
    let mut checker = Checker {
        validator: Validator::new(settings.rules.clone()),
        books: Books::default(),
        rules: settings.rules,
        contacts: report.contacts,
        report_all: args.report_all,
        rows: settings.rows,
        journal,
        printer: printer.clone(),
        counters: Arc::clone(&counters),
    };
    let started = Instant::now();
    // What was read before a signal is reported and summed up.
    let graceful = signals.gracefully();
    let end = checker.run(inputs, signals);
    // Whatever ended it: what is counted is in the report. What came first decides.
    let finished = checker.finish_report();
    let end = end.and_then(|exit| finished.map(|()| exit));
    drop(progress);
    let exit = match end {
        Ok(Exit::Success) => checker.books.exit(args.report.fail_on.unwrap_or(FailOn::Any)),
        Ok(exit) => exit,
        Err(failure) => {
            printer.failure(&failure);
            failure.exit
        }
    };
    let summary = checker.books.summary(started.elapsed(), exit, checker.rows.shard());
    printer.note(&for_people(&summary, report.path.as_deref(), &never_seen(&asked, summary.rows_read)));
    // As after a push.
    let graceful = (!report.summary_may_wait()).then_some(graceful);
    let exit = report.write_summary(&summary, exit, printer);
    signals.last_words().decide(exit);
    drop(graceful);
    Ok(exit)
}

/// Creates the report. What lies beside it from a run is taken away: it would make this report look like that run's.
fn begin_report(path: &Path, settings: &ReportSettings) -> Result<Journal, Failure> {
    let journal = settings.journal(path)?;
    if journal.is_resumable() {
        RunFile::remove(path)?;
    }
    Ok(journal)
}

struct Checker {
    validator: Validator,
    books: Books,
    rules: Rules,
    contacts: ContactsPolicy,
    report_all: bool,
    rows: RowChoice,
    journal: Option<Journal>,
    printer: Printer,
    counters: Arc<Counters>,
}

impl Checker {
    /// Takes rows until they end or a signal comes.
    fn run(&mut self, inputs: Vec<Input>, signals: &Signals) -> Result<Exit, Failure> {
        let cannot_start = |error| Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(cannot_start)?;
        let reading = Reading::start(inputs, self.rows.last(), Arc::clone(&self.counters)).map_err(cannot_start)?;
        runtime.block_on(async {
            let mut sync = tokio::time::interval(SYNC_EVERY);
            sync.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    biased;
                    () = signals.wait() => break,
                    _ = sync.tick(), if self.journal.is_some() => self.sync()?,
                    read = reading.next() => match read {
                        Some(Read::Batch { batch, rows_before }) => {
                            self.take(&batch, rows_before)?;
                            reading.give_back(batch);
                        }
                        Some(Read::Notice(notice)) => self.printer.warning(&notice, None),
                        Some(Read::Failed(error)) => return Err(Failure::from(error)),
                        None => break,
                    },
                }
            }
            Ok(signals.received().map_or(Exit::Success, Signal::exit))
        })
    }

    fn take(&mut self, batch: &RecordBatch, rows_before: u64) -> Result<(), Failure> {
        let (before, mut left_out) = (self.books, LeftOut::default());
        for record in batch.iter() {
            let number = rows_before + record.row();
            if !self.rows.takes(number, &record, &mut left_out) {
                continue;
            }
            let verdict = self.validator.validate(&record).map(|_| ());
            match verdict {
                Ok(()) => self.valid(&record)?,
                Err(rejection) => self.rejected(&record, &rejection)?,
            }
        }
        left_out.add_to(&self.counters);
        Counters::add(&self.counters.rows_read, self.books.rows_read() - before.rows_read());
        Counters::add(&self.counters.rejected, self.books.rejected() - before.rejected());
        for notice in self.validator.notices() {
            self.printer.warning(&notice, None);
        }
        Ok(())
    }

    fn valid(&mut self, record: &Record<'_>) -> Result<(), Failure> {
        self.books.valid += 1;
        let Some(journal) = self.journal.as_mut().filter(|_| self.report_all) else { return Ok(()) };
        let contacts =
            if self.contacts == ContactsPolicy::Always { validator::would_send(record, &self.rules) } else { None };
        let (euid, id) = keyed_by(record, &self.rules);
        let decision = Decision {
            origin: record.origin(),
            euid,
            id,
            outcome: Outcome::Valid,
            reason: None,
            answered: Answered::default(),
            attempts: 0,
            latency_ms: None,
            at_ms: Timestamp::now().as_millisecond(),
            contacts,
            raw: None,
        };
        write_down(journal, &decision)
    }

    fn rejected(&mut self, record: &Record<'_>, rejection: &Rejection) -> Result<(), Failure> {
        self.books.reject(rejection.reason);
        show(self.books.rejected(), record, rejection, &self.printer);
        if let Some(journal) = &mut self.journal {
            let at_ms = Timestamp::now().as_millisecond();
            write_down(journal, &rejected(record, rejection, &self.rules, self.contacts, at_ms))?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Failure> {
        match &mut self.journal {
            Some(journal) => Ok(journal.sync()?),
            None => Ok(()),
        }
    }

    fn finish_report(&mut self) -> Result<(), Failure> {
        match self.journal.take() {
            Some(journal) => Ok(journal.finish()?),
            None => Ok(()),
        }
    }
}

fn write_down(journal: &mut Journal, decision: &Decision) -> Result<(), Failure> {
    journal.append(decision);
    if journal.is_full() {
        journal.write()?;
    }
    Ok(())
}

fn for_people(summary: &CheckSummary, report: Option<&Path>, never_seen: &[String]) -> String {
    let mut lines = lines_for_people(summary);
    lines.extend(never_seen.iter().cloned());
    match report {
        Some(path) => lines.push(format!("report: {}", path.display())),
        None if summary.rejected > SHOWN => {
            lines.push(format!("only the first {SHOWN} rejected rows are shown; `--report FILE` keeps them all"));
        }
        None => {}
    }
    lines.push("target: none; nothing was sent".to_owned());
    lines.join("\n")
}
