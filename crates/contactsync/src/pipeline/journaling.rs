use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::Instant,
};

use dispatcher::{Stop, StopCause};
use model::{Counters, Decision, Outcome};
use report::{Comparison, ComparisonFigures, Finished, Journal, ReportError, Requests, RunFile, Tally};
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TryRecvError},
};

use super::{
    clearing::RefusedClears,
    unchanged::UnchangedRows,
    write_behind::{Arrivals, Beside, WAITING, WriteBehind},
};
use crate::{reading::Positions, terminal::Printer};

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
    /// What the decided rows add up to: those with a record in the file, and those that were unchanged.
    pub(crate) tally: Tally,
    /// Decisions that have no record, because the report could not be written.
    pub(crate) lost: u64,
    /// Why it could not be written.
    pub(crate) error: Option<ReportError>,
}

/// Requests of a run that no row tells of, as it goes on. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestFigures {
    pub(crate) counters: Arc<Counters>,
    /// Attempts after the first of reads that rows share.
    pub(crate) retries: Arc<AtomicU64>,
}

impl RequestFigures {
    /// Together with those of earlier tries.
    pub(crate) fn with(&self, before: Requests) -> Requests {
        Requests {
            profile: before.profile + Counters::get(&self.counters.profile_requests),
            register: before.register + Counters::get(&self.counters.register_requests),
            retries: before.retries + self.retries.load(Relaxed),
        }
    }
}

/// What lies beside a report, and what keeps it up to date. Clones share it: the journal saves it before and behind its
/// records, and others may need it saved.
#[derive(Debug, Clone)]
pub(crate) struct RunRecord(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    file: RunFile,
    /// How far its inputs are read.
    positions: Positions,
    /// Which of their rows were unchanged.
    unchanged: UnchangedRows,
    /// What the comparison of rows came to, where they are compared.
    comparison: Option<ComparisonFigures>,
    /// Requests of earlier tries, and of this one.
    requests_before: Requests,
    requests: RequestFigures,
    /// Fingerprint of the API key, to which the first accepted row binds it.
    api_key: String,
    /// Whether a row was accepted that binds it.
    accepted: bool,
    /// How many rows of each input what is on the disk covers.
    rows: HashMap<String, u64>,
    /// How many unchanged rows it covers.
    unchanged_rows: u64,
}

impl RunRecord {
    /// One that was saved as its run began.
    pub(crate) fn new(
        file: RunFile,
        positions: Positions,
        unchanged: UnchangedRows,
        comparison: Option<ComparisonFigures>,
        api_key: String,
        requests: RequestFigures,
    ) -> Self {
        let accepted = file.run().api_key.as_ref() == Some(&api_key);
        let rows = file.run().inputs.iter().zip(positions.iter()).map(|(input, _)| (input.source.clone(), 0)).collect();
        let unchanged_rows = file.run().inputs.iter().map(|input| input.unchanged.len()).sum();
        let requests_before = file.run().requests;
        let kept = Kept {
            file,
            positions,
            unchanged,
            comparison,
            requests_before,
            requests,
            api_key,
            accepted,
            rows,
            unchanged_rows,
        };
        Self(Arc::new(Mutex::new(kept)))
    }

    /// Comes back once every row that is known to be unchanged by now is so on the disk. Blocking, from any thread; where
    /// nothing is new it costs nothing.
    pub(crate) fn save_unchanged(&self) -> Result<(), ReportError> {
        let mut kept = self.kept();
        if kept.lacks_unchanged() { kept.save() } else { Ok(()) }
    }

    /// Writes down that the run came to its end.
    pub(crate) fn finish(&self, finished: Finished) -> Result<(), ReportError> {
        let mut kept = self.kept();
        kept.file.run_mut().finished = Some(finished);
        kept.save()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beside for RunRecord {
    fn covers(&mut self, decision: &Decision) -> bool {
        self.kept().covers(decision)
    }

    fn save(&mut self) -> Result<(), ReportError> {
        self.kept().save()
    }
}

impl Kept {
    fn covers(&mut self, decision: &Decision) -> bool {
        // Rows of a replay come from reports, which were read to their ends before it began.
        let is_read = self.rows.get(&*decision.origin.source).is_none_or(|rows| decision.origin.row <= *rows);
        let is_accepted = matches!(decision.outcome, Outcome::Synced | Outcome::Landed | Outcome::Different);
        let binds = !self.accepted && is_accepted;
        self.accepted |= binds;
        if decision.outcome == Outcome::Unchanged {
            // Known since it was found so; not to be missing where somebody forgot.
            self.unchanged.note(&decision.origin.source, decision.origin.row);
        }
        // An earlier row of its EUID may be among them: compared again by a resume, it would be sent over this one.
        let was_sent = matches!(decision.outcome, Outcome::Synced | Outcome::Failed);
        is_read && !binds && !(was_sent && self.lacks_unchanged())
    }

    fn lacks_unchanged(&self) -> bool {
        self.unchanged.count() > self.unchanged_rows
    }

    fn save(&mut self) -> Result<(), ReportError> {
        // Before the positions: no row that is unchanged lies behind what was read.
        let (unchanged, unchanged_rows) = self.unchanged.all();
        let run = self.file.run_mut();
        for ((input, position), unchanged) in run.inputs.iter_mut().zip(self.positions.iter()).zip(unchanged) {
            // A resumed run reads from the beginning again.
            if let Some(blake3) = position.blake3.filter(|_| position.bytes >= input.bytes) {
                input.bytes = position.bytes;
                input.blake3 = blake3::Hash::from_bytes(blake3).to_hex().to_string();
                input.ended |= position.ended;
            }
            if let Some(rows) = self.rows.get_mut(&input.source) {
                *rows = position.rows;
            }
            input.unchanged = unchanged;
        }
        if let Some(comparison) = &self.comparison {
            run.comparison = Some(Comparison { unchanged: unchanged_rows, ..comparison.figures() });
        }
        run.requests = self.requests.with(self.requests_before);
        if self.accepted {
            run.api_key = Some(self.api_key.clone());
        }
        self.file.save()?;
        self.unchanged_rows = unchanged_rows;
        Ok(())
    }
}

impl Journaling {
    /// Starts the thread. It ends when the sender is dropped. Call it within a tokio runtime. `writes_unchanged`: rows that
    /// were unchanged get a record too.
    pub(crate) fn start(
        journal: Journal,
        run: Option<RunRecord>,
        writes_unchanged: bool,
        counters: Arc<Counters>,
        stop: Stop,
        printer: Printer,
    ) -> io::Result<(mpsc::Sender<Vec<Decision>>, Self)> {
        let (decided, decisions) = mpsc::channel(WAITING_HANDFULS);
        let runtime = Handle::current();
        let writer = WriteBehind::new(journal, run, counters, writes_unchanged);
        let channel = Channel { decisions, runtime, refused_clears: RefusedClears::new(printer) };
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
    let WriteBehind { journal, unchanged, lost, .. } = writer;
    let mut tally = journal.tally();
    tally.add_rows(Outcome::Unchanged, unchanged);
    JournalEnd { tally, lost: lost + journal.unwritten(), error }
}

/// Decisions from the dispatcher, by the handful.
struct Channel {
    decisions: mpsc::Receiver<Vec<Decision>>,
    runtime: Handle,
    refused_clears: RefusedClears,
}

impl Channel {
    fn arrived(&mut self, handful: Vec<Decision>, into: &mut Vec<Decision>) {
        self.refused_clears.look(&handful);
        into.extend(handful);
    }
}

impl Arrivals for Channel {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn take(&mut self, into: &mut Vec<Decision>) {
        while into.len() < WAITING {
            match self.decisions.try_recv() {
                Ok(handful) => self.arrived(handful, into),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return,
            }
        }
    }

    fn wait(&mut self, into: &mut Vec<Decision>, until: Instant) -> bool {
        let receive = self.decisions.recv();
        match self.runtime.block_on(async { tokio::time::timeout_at(until.into(), receive).await }) {
            Ok(Some(handful)) => self.arrived(handful, into),
            Ok(None) => return false,
            Err(_) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::{Answered, Origin};
    use report::{Run, RunInput};

    use super::*;

    fn decision(row: u64, outcome: Outcome) -> Decision {
        Decision {
            origin: Origin { source: "a".into(), row, line: row + 1 },
            euid: row.to_string().into(),
            id: None,
            outcome,
            reason: None,
            answered: Answered::default(),
            attempts: 1,
            latency_ms: None,
            at_ms: 0,
            contacts: None,
            raw: None,
        }
    }

    fn record(report: &Path, unchanged: &UnchangedRows) -> RunRecord {
        let run = Run {
            command: "push".to_owned(),
            target: "sandbox".to_owned(),
            api_key: Some("key".to_owned()),
            options: std::collections::BTreeMap::new(),
            inputs: vec![RunInput { source: "a".to_owned(), ..RunInput::default() }],
            begun: None,
            comparison: None,
            finished: None,
            requests: report::Requests::default(),
        };
        let positions = Positions::new(1);
        let file = RunFile::new(report, run);
        let record = RunRecord::new(
            file,
            positions,
            unchanged.clone(),
            Some(ComparisonFigures::default()),
            "key".into(),
            RequestFigures::default(),
        );
        // Every row is read.
        record.kept().rows.insert("a".to_owned(), u64::MAX);
        record
    }

    #[test]
    fn what_is_unchanged_is_on_the_disk_before_a_later_row_is_decided() {
        let folder = tempfile::tempdir().unwrap();
        let report = folder.path().join("r.ndjson");
        let saved = || {
            let run = RunFile::read(&report).unwrap();
            run.map(|run| (run.inputs[0].unchanged.len(), run.comparison.unwrap().unchanged))
        };
        let unchanged = UnchangedRows::new([("a".into(), report::RowSet::default())], Arc::default());
        let mut record = record(&report, &unchanged);
        assert!(record.covers(&decision(1, Outcome::Synced)));
        unchanged.pass_over(0, 2..1_000);
        unchanged.note("a", 1_000);
        for outcome in [Outcome::Synced, Outcome::Failed] {
            assert!(!record.covers(&decision(1_001, outcome)), "it has to be saved first");
        }
        assert!(record.covers(&decision(1_001, Outcome::Rejected)), "nothing was sent");
        assert_eq!(saved(), None);
        record.clone().save_unchanged().unwrap();
        assert_eq!(saved(), Some((999, 999)));
        record.kept().rows.insert("a".to_owned(), u64::MAX);
        assert!(record.covers(&decision(1_001, Outcome::Synced)));
        std::fs::remove_file(RunFile::path_of(&report)).unwrap();
        record.save_unchanged().unwrap();
        assert_eq!(saved(), None, "there was nothing new");
        // Whoever found it so forgot to say it.
        assert!(record.covers(&decision(1_002, Outcome::Unchanged)));
        assert!(!record.covers(&decision(1_003, Outcome::Synced)));
        record.save().unwrap();
        assert_eq!(saved(), Some((1_000, 1_000)));
    }
}
