use std::{io, mem, sync::Arc, thread::JoinHandle, time::Duration};

use dispatcher::{Stop, StopCause};
use model::{Counters, Decision, Outcome};
use report::{Journal, ReportError, RunFile, Tally};
use tokio::{runtime::Handle, sync::mpsc, time::Instant};

use crate::reading::Positions;

/// How often what was decided is synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Decisions that may wait for the disk.
const WAITING: usize = 1_024;

/// The journal on a thread of its own, since a disk may take its time.
#[derive(Debug)]
pub(crate) struct Journaling {
    thread: JoinHandle<JournalEnd>,
}

/// What the journal came to.
#[derive(Debug, Default)]
pub(crate) struct JournalEnd {
    /// What the records in the file add up to.
    pub(crate) tally: Tally,
    /// Decisions that have no record, because the report could not be written.
    pub(crate) lost: u64,
    /// Why it could not be written.
    pub(crate) error: Option<ReportError>,
    /// What lies beside the report.
    pub(crate) run: Option<RunFile>,
}

/// What lies beside a report, and what keeps it up to date.
#[derive(Debug)]
pub(crate) struct RunRecord {
    /// The file.
    pub(crate) file: RunFile,
    /// How far its inputs are read.
    pub(crate) positions: Positions,
    /// Fingerprint of the API key, to which the first accepted row binds it.
    pub(crate) api_key: String,
}

impl RunRecord {
    /// Brings it up to date. Call it before records are written: what is decided must never be ahead of it.
    fn save(&mut self, accepted: bool) -> Result<(), ReportError> {
        let run = self.file.run_mut();
        for (input, position) in run.inputs.iter_mut().zip(self.positions.iter()) {
            // A resumed run reads from the beginning again.
            if let Some(blake3) = position.blake3.filter(|_| position.bytes >= input.bytes) {
                input.bytes = position.bytes;
                input.blake3 = blake3::Hash::from_bytes(blake3).to_hex().to_string();
                input.ended |= position.ended;
            }
        }
        if accepted {
            run.api_key = Some(self.api_key.clone());
        }
        self.file.save()
    }
}

impl Journaling {
    /// Starts the thread. It ends when the sender is dropped. Call it within a tokio runtime.
    pub(crate) fn start(
        journal: Journal,
        run: Option<RunRecord>,
        counters: Arc<Counters>,
        stop: Stop,
    ) -> io::Result<(mpsc::Sender<Decision>, Self)> {
        let (decided, decisions) = mpsc::channel(WAITING);
        let runtime = Handle::current();
        let writer = Writer { journal, run, decisions, counters, accepted: false, lost: 0 };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run(&runtime, &stop))?;
        Ok((decided, Self { thread }))
    }

    /// Waits until everything is on the disk.
    pub(crate) async fn end(self) -> std::thread::Result<JournalEnd> {
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap_or_else(|error| Err(Box::new(error)))
    }
}

struct Writer {
    journal: Journal,
    run: Option<RunRecord>,
    decisions: mpsc::Receiver<Decision>,
    counters: Arc<Counters>,
    /// Whether a row of this try was accepted.
    accepted: bool,
    /// Decisions that came after the report had failed.
    lost: u64,
}

impl Writer {
    fn run(mut self, runtime: &Handle, stop: &Stop) -> JournalEnd {
        let error = self.write_all(runtime).err();
        if let Some(error) = &error {
            stop.because(StopCause::Report(error.to_string()));
            // Who decides rows must not wait for a journal that is gone.
            while self.decisions.blocking_recv().is_some() {
                self.lost += 1;
            }
        }
        let lost = self.lost + self.journal.unwritten();
        JournalEnd { tally: self.journal.tally().clone(), lost, error, run: self.run.map(|run| run.file) }
    }

    fn write_all(&mut self, runtime: &Handle) -> Result<(), ReportError> {
        let mut batch = Vec::with_capacity(WAITING);
        let mut next_sync = Instant::now() + SYNC_EVERY;
        loop {
            let receive = self.decisions.recv_many(&mut batch, WAITING);
            let received = runtime.block_on(async { tokio::time::timeout_at(next_sync, receive).await });
            let mut decisions = mem::take(&mut batch).into_iter();
            while let Some(decision) = decisions.next() {
                self.journal.append(&decision);
                self.count(decision.outcome);
                if self.journal.is_full()
                    && let Err(error) = self.save().and_then(|()| self.journal.write())
                {
                    self.lost += decisions.len() as u64;
                    return Err(error);
                }
            }
            if received == Ok(0) {
                self.save()?;
                return self.journal.sync();
            }
            if Instant::now() >= next_sync {
                self.save()?;
                self.journal.sync()?;
                next_sync = Instant::now() + SYNC_EVERY;
            }
        }
    }

    fn save(&mut self) -> Result<(), ReportError> {
        self.run.as_mut().map_or(Ok(()), |run| run.save(self.accepted))
    }

    fn count(&mut self, outcome: Outcome) {
        self.accepted |= outcome == Outcome::Synced;
        let counter = match outcome {
            Outcome::Synced => &self.counters.synced,
            Outcome::Unchanged => &self.counters.unchanged,
            Outcome::Rejected => &self.counters.rejected,
            Outcome::Failed => &self.counters.failed,
            Outcome::Valid => return,
        };
        Counters::add(counter, 1);
    }
}
