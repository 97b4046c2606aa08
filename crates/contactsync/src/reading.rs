use std::{
    io,
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicU64,
            Ordering::{Relaxed, SeqCst},
        },
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
    Batch(RecordBatch),
    /// Something about an input that the user should know.
    Notice(String),
    /// The input could not be read to its end; nothing follows.
    Failed(ReadError),
}

/// Inputs that are read on a thread of their own. Dropping it ends the thread with its next batch.
#[derive(Debug)]
pub(crate) struct Reading {
    read: Receiver<Read>,
    spent: Sender<RecordBatch>,
    bytes: Arc<Vec<AtomicU64>>,
    finished: Arc<AtomicBool>,
}

impl Reading {
    /// Starts to read the inputs, one after the other.
    pub(crate) fn start(inputs: Vec<Input>, counters: Arc<Counters>) -> io::Result<Self> {
        let (hand_on, read) = bounded(WAITING_BATCHES);
        let (spent, reuse) = bounded(WAITING_BATCHES);
        let bytes: Arc<Vec<AtomicU64>> = Arc::new(inputs.iter().map(|_| AtomicU64::new(0)).collect());
        let finished = Arc::new(AtomicBool::new(false));
        let mut thread =
            Thread { hand_on, reuse, counters, bytes: Arc::clone(&bytes), finished: Arc::clone(&finished) };
        std::thread::Builder::new().name("reader".to_owned()).spawn(move || thread.run(inputs))?;
        Ok(Self { read, spent, bytes, finished })
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

    /// Bytes read of each input so far.
    pub(crate) fn bytes_read(&self) -> impl Iterator<Item = u64> {
        self.bytes.iter().map(|bytes| bytes.load(Relaxed))
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
    counters: Arc<Counters>,
    bytes: Arc<Vec<AtomicU64>>,
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

    /// Whether anybody still listens.
    fn read_one(&mut self, index: usize, mut input: Input) -> Result<bool, ReadError> {
        let name = input.name().clone();
        let mut records = input.records()?;
        loop {
            let mut batch = self.reuse.try_recv().unwrap_or_default();
            let more = records.next_batch(&mut batch);
            let bytes = records.position().bytes;
            let more_bytes = bytes - self.bytes[index].swap(bytes, Relaxed);
            Counters::add(&self.counters.bytes_read, more_bytes);
            for notice in records.notices() {
                if self.hand_on.send_blocking(Read::Notice(notice.to_string())).is_err() {
                    return Ok(false);
                }
            }
            if !batch.records.is_empty() && self.hand_on.send_blocking(Read::Batch(batch)).is_err() {
                return Ok(false);
            }
            if !more? {
                let rows = records.position().rows;
                tracing::info!("{}: read to its end, {rows} rows, {bytes} bytes", escape_controls(&name));
                return Ok(true);
            }
        }
    }
}
