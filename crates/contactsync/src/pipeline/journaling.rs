use std::{collections::HashMap, io, sync::Arc, thread::JoinHandle, time::Instant};

use dispatcher::{Stop, StopCause};
use model::{Counters, Decision, Outcome};
use report::{Journal, ReportError, RunFile, Tally};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TryRecvError},
};

use super::write_behind::{Arrivals, Beside, WAITING, WriteBehind};
use crate::reading::Positions;

/// Handfuls of decisions that may wait for the journal: each may hold as many bytes as all rows that are let in.
const WAITING_HANDFULS: usize = 1;

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
    file: RunFile,
    /// How far its inputs are read.
    positions: Positions,
    /// Fingerprint of the API key, to which the first accepted row binds it.
    api_key: String,
    /// Whether a row was accepted that binds it.
    accepted: bool,
    /// How many rows of each input what is on the disk covers.
    rows: HashMap<String, u64>,
}

impl RunRecord {
    /// One that was saved as its run began.
    pub(crate) fn new(file: RunFile, positions: Positions, api_key: String) -> Self {
        let accepted = file.run().api_key.as_ref() == Some(&api_key);
        let rows = file.run().inputs.iter().zip(positions.iter()).map(|(input, _)| (input.source.clone(), 0)).collect();
        Self { file, positions, api_key, accepted, rows }
    }

    fn into_file(self) -> RunFile {
        self.file
    }
}

impl Beside for RunRecord {
    fn covers(&mut self, decision: &Decision) -> bool {
        // Rows of a replay come from reports, which were read to their ends before it began.
        let is_read = self.rows.get(&*decision.origin.source).is_none_or(|rows| decision.origin.row <= *rows);
        let binds = !self.accepted && decision.outcome == Outcome::Synced;
        self.accepted |= binds;
        is_read && !binds
    }

    fn save(&mut self) -> Result<(), ReportError> {
        let run = self.file.run_mut();
        for (input, position) in run.inputs.iter_mut().zip(self.positions.iter()) {
            // A resumed run reads from the beginning again.
            if let Some(blake3) = position.blake3.filter(|_| position.bytes >= input.bytes) {
                input.bytes = position.bytes;
                input.blake3 = blake3::Hash::from_bytes(blake3).to_hex().to_string();
                input.ended |= position.ended;
            }
            if let Some(rows) = self.rows.get_mut(&input.source) {
                *rows = position.rows;
            }
        }
        if self.accepted {
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
    ) -> io::Result<(mpsc::Sender<Vec<Decision>>, Self)> {
        let (decided, decisions) = mpsc::channel(WAITING_HANDFULS);
        let runtime = Handle::current();
        let writer = WriteBehind::new(journal, run, counters);
        let channel = Channel { decisions, runtime };
        let thread =
            std::thread::Builder::new().name("journal".to_owned()).spawn(move || write(writer, channel, &stop))?;
        Ok((decided, Self { thread }))
    }

    /// Waits until everything is on the disk.
    pub(crate) async fn end(self) -> std::thread::Result<JournalEnd> {
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap_or_else(|error| Err(Box::new(error)))
    }
}

fn write(mut writer: WriteBehind<RunRecord>, mut channel: Channel, stop: &Stop) -> JournalEnd {
    let error = writer.run(&mut channel).err();
    if let Some(error) = &error {
        stop.because(StopCause::Report(error.to_string()));
        // Who decides rows must not wait for a journal that is gone.
        while let Some(handful) = channel.decisions.blocking_recv() {
            writer.lost += handful.len() as u64;
        }
    }
    let WriteBehind { journal, beside, lost, .. } = writer;
    let lost = lost + journal.unwritten();
    JournalEnd { tally: journal.tally().clone(), lost, error, run: beside.map(RunRecord::into_file) }
}

/// Decisions from the dispatcher, by the handful.
struct Channel {
    decisions: mpsc::Receiver<Vec<Decision>>,
    runtime: Handle,
}

impl Arrivals for Channel {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn take(&mut self, into: &mut Vec<Decision>) {
        while into.len() < WAITING {
            match self.decisions.try_recv() {
                Ok(handful) => into.extend(handful),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<Decision>, until: Instant) -> bool {
        let receive = self.decisions.recv();
        match self.runtime.block_on(async { tokio::time::timeout_at(until.into(), receive).await }) {
            Ok(Some(handful)) => into.extend(handful),
            Ok(None) => return false,
            Err(_) => {}
        }
        true
    }
}
