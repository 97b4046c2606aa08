use std::{io, mem, sync::Arc, thread::JoinHandle, time::Duration};

use dispatcher::{Stop, StopCause};
use model::{Counters, Decision, Outcome};
use report::{Journal, ReportError, Tally};
use tokio::{runtime::Handle, sync::mpsc, time::Instant};

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
}

impl Journaling {
    /// Starts the thread. It ends when the sender is dropped. Call it within a tokio runtime.
    pub(crate) fn start(
        journal: Journal,
        counters: Arc<Counters>,
        stop: Stop,
    ) -> io::Result<(mpsc::Sender<Decision>, Self)> {
        let (decided, decisions) = mpsc::channel(WAITING);
        let runtime = Handle::current();
        let writer = Writer { journal, decisions, counters, lost: 0 };
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
    decisions: mpsc::Receiver<Decision>,
    counters: Arc<Counters>,
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
        JournalEnd { tally: self.journal.tally().clone(), lost: self.lost + self.journal.unwritten(), error }
    }

    fn write_all(&mut self, runtime: &Handle) -> Result<(), ReportError> {
        let mut batch = Vec::with_capacity(WAITING);
        let mut next_sync = Instant::now() + SYNC_EVERY;
        loop {
            let receive = self.decisions.recv_many(&mut batch, WAITING);
            let received = runtime.block_on(async { tokio::time::timeout_at(next_sync, receive).await });
            let mut decisions = mem::take(&mut batch).into_iter();
            while let Some(decision) = decisions.next() {
                if let Err(error) = self.journal.append(&decision) {
                    self.lost += decisions.len() as u64;
                    return Err(error);
                }
                self.count(decision.outcome);
            }
            if received == Ok(0) {
                return self.journal.sync();
            }
            if Instant::now() >= next_sync {
                self.journal.sync()?;
                next_sync = Instant::now() + SYNC_EVERY;
            }
        }
    }

    fn count(&self, outcome: Outcome) {
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
