use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use async_channel::{Receiver, Sender, bounded};
use model::{Counters, RecordBatch, escape_controls};
use reader::{Input, ReadError};

/// Batches that may wait between the reading thread and who takes them: enough to keep both busy.
const WAITING_BATCHES: usize = 8;

/// What the reading thread hands on.
#[derive(Debug)]
pub(crate) enum Read {
    /// Records of one input, in order.
    Batch {
        /// They.
        batch: RecordBatch,
        /// How many rows the inputs before this one have.
        rows_before: u64,
    },
    /// Something about an input that the user should know.
    Notice(String),
    /// The input could not be read to its end; nothing follows.
    Failed(ReadError),
}

/// How far an input was read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progressed {
    /// Bytes as they lie in the file; no record behind them was handed on.
    pub(crate) bytes: u64,
    /// Rows of them.
    pub(crate) rows: u64,
    /// BLAKE3 of these, where it was asked for.
    pub(crate) blake3: Option<[u8; 32]>,
    /// Whether they are the whole input.
    pub(crate) ended: bool,
}

/// How far each input was read, as the reading thread goes on.
#[derive(Debug, Clone)]
pub(crate) struct Positions(Arc<Vec<Mutex<Progressed>>>);

impl Positions {
    /// Those of so many inputs, none of which was begun.
    pub(crate) fn new(inputs: usize) -> Self {
        Self(Arc::new((0..inputs).map(|_| Mutex::default()).collect()))
    }

    /// In the order of the inputs.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Progressed> {
        self.0.iter().map(|position| *position.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, input: usize, position: Progressed) -> Progressed {
        std::mem::replace(&mut self.0[input].lock().unwrap_or_else(PoisonError::into_inner), position)
    }
}

/// Inputs that are read on a thread of their own. Dropping it ends the thread with its next batch.
#[derive(Debug)]
pub(crate) struct Reading {
    read: Receiver<Read>,
    spent: Sender<RecordBatch>,
    positions: Positions,
    finished: Arc<AtomicBool>,
}

impl Reading {
    /// Starts to read the inputs, one after the other, up to the row that is the `last` of all the input.
    pub(crate) fn start(inputs: Vec<Input>, last: Option<u64>, counters: Arc<Counters>) -> io::Result<Self> {
        let (hand_on, read) = bounded(WAITING_BATCHES);
        let (spent, reuse) = bounded(WAITING_BATCHES);
        let positions = Positions::new(inputs.len());
        let finished = Arc::new(AtomicBool::new(false));
        let mut thread = Thread {
            hand_on,
            reuse,
            last,
            rows_before: 0,
            counters,
            positions: positions.clone(),
            finished: Arc::clone(&finished),
        };
        std::thread::Builder::new().name("reader".to_owned()).spawn(move || thread.run(inputs))?;
        Ok(Self { read, spent, positions, finished })
    }

    /// The next piece; none at the end of all inputs.
    pub(crate) async fn next(&self) -> Option<Read> {
        match self.read.recv().await {
            Ok(read) => Some(read),
            Err(_) if self.finished.load(SeqCst) => None,
            // A thread that died must not pass for the end of the input.
            Err(_) => {
                let cause = io::Error::other("the reading thread broke off, which is a bug");
                Some(Read::Failed(ReadError::Broken { input: "reading".to_owned(), line: 0, cause }))
            }
        }
    }

    /// How far the inputs were read.
    pub(crate) fn positions(&self) -> &Positions {
        &self.positions
    }

    /// Gives a batch back, so that its memory is used again.
    pub(crate) fn give_back(&self, batch: RecordBatch) {
        // Where nobody needs it, it is dropped.
        let _ = self.spent.try_send(batch);
    }
}

struct Thread {
    hand_on: Sender<Read>,
    reuse: Receiver<RecordBatch>,
    /// The number of the last row that anybody wants.
    last: Option<u64>,
    /// How many rows the inputs before the current one have.
    rows_before: u64,
    counters: Arc<Counters>,
    positions: Positions,
    finished: Arc<AtomicBool>,
}

impl Thread {
    fn run(&mut self, inputs: Vec<Input>) {
        self.read_all(inputs);
        self.finished.store(true, SeqCst);
    }

    fn read_all(&mut self, inputs: Vec<Input>) {
        for (index, input) in inputs.into_iter().enumerate() {
            match self.read_one(index, input) {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    // Who no longer listens has stopped for another cause.
                    let _ = self.hand_on.send_blocking(Read::Failed(error));
                    return;
                }
            }
        }
    }

    /// Whether reading goes on with the next input: somebody still listens, and wants more rows.
    fn read_one(&mut self, index: usize, mut input: Input) -> Result<bool, ReadError> {
        let name = input.name().clone();
        let mut records = input.records()?;
        loop {
            // Also before the first record: a pipe that has no further rows may stay open for long.
            let is_over = |rows| self.last.is_some_and(|last| self.rows_before + rows >= last);
            if is_over(records.position().rows) && !records.has_waiting() {
                return Ok(false);
            }
            let mut batch = self.reuse.try_recv().unwrap_or_default();
            let more = records.next_batch(&mut batch);
            let has_records = !batch.records.is_empty();
            let reader::Position { bytes, rows, blake3, .. } = records.position();
            // Before the batch is handed on: what is decided is never ahead of this.
            let before =
                self.positions.set(index, Progressed { bytes, rows, blake3, ended: matches!(more, Ok(false)) });
            // In this order: for whoever looks in between, fewer bytes lie behind the rows than do.
            Counters::add(&self.counters.rows_seen, batch.records.len() as u64);
            Counters::add(&self.counters.bytes_read, bytes - before.bytes);
            for notice in records.notices() {
                if self.hand_on.send_blocking(Read::Notice(notice.to_string())).is_err() {
                    return Ok(false);
                }
            }
            let read = Read::Batch { batch, rows_before: self.rows_before };
            if has_records && self.hand_on.send_blocking(read).is_err() {
                return Ok(false);
            }
            if !more? {
                let rows = records.position().rows;
                self.rows_before += rows;
                tracing::info!("{}: read to its end, {rows} rows, {bytes} bytes", escape_controls(&name));
                return Ok(true);
            }
        }
    }
}
