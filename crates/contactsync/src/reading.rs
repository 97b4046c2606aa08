use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use async_channel::{Receiver, Sender, bounded};
use model::{Counters, RecordBatch};
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
}

impl Reading {
    /// Starts to read the inputs, one after the other.
    pub(crate) fn start(inputs: Vec<Input>, counters: Arc<Counters>) -> std::io::Result<Self> {
        let (hand_on, read) = bounded(WAITING_BATCHES);
        let (spent, reuse) = bounded(WAITING_BATCHES);
        let bytes: Arc<Vec<AtomicU64>> = Arc::new(inputs.iter().map(|_| AtomicU64::new(0)).collect());
        let thread = Thread { hand_on, reuse, counters, bytes: Arc::clone(&bytes) };
        std::thread::Builder::new().name("reader".to_owned()).spawn(move || thread.read_all(inputs))?;
        Ok(Self { read, spent, bytes })
    }

    /// The next piece; none at the end of all inputs.
    pub(crate) async fn next(&self) -> Option<Read> {
        self.read.recv().await.ok()
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
}

impl Thread {
    fn read_all(mut self, inputs: Vec<Input>) {
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
    fn read_one(&mut self, index: usize, input: Input) -> Result<bool, ReadError> {
        let mut records = input.into_records()?;
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
                return Ok(true);
            }
        }
    }
}
