use std::{
    collections::VecDeque,
    fmt,
    io::{self, ErrorKind, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// So many bytes of log and progress may wait.
const LOG_WAITING: usize = 1 << 20;
/// So many bytes of all may wait: messages find room where the log finds none.
const ALL_WAITING: usize = 2 << 20;
/// How long a file description that others made non-blocking is left alone when it takes nothing.
const FULL_FOR: Duration = Duration::from_millis(10);

/// What is written, by how much it would be missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Importance {
    /// A line of the log, or of progress.
    Log,
    /// A message to people.
    Message,
    /// A bar, which is drawn again anyway.
    Drawing,
}

/// Standard error, or a log file. A thread of its own writes to it, so that a reader who has stopped reading, a terminal that
/// is held, or a disk that takes its time, holds up nobody else. What would wait beyond a bound is dropped, and counted.
#[derive(Clone)]
pub(crate) struct LateWriter(Arc<Shared>);

impl fmt::Debug for LateWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LateWriter").finish_non_exhaustive()
    }
}

struct Shared {
    waiting: Mutex<Waiting>,
    /// Something is there to be written.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
}

struct Waiting {
    parts: VecDeque<Vec<u8>>,
    bytes: usize,
    /// A part is being written.
    writing: bool,
    /// Where the thread will write, until there is one.
    sink: Option<Box<dyn Write + Send>>,
    /// There is no thread to be had.
    is_alone: bool,
    /// Lines dropped that nobody was told of yet.
    dropped: usize,
    told_dropped: fn(usize) -> Vec<u8>,
}

impl LateWriter {
    /// Standard error. Its thread starts with the first write.
    pub(crate) fn stderr() -> Self {
        Self::to(Box::new(io::stderr()))
    }

    /// Something else, whose thread of this name starts now.
    pub(super) fn start(name: &str, sink: Box<dyn Write + Send>) -> io::Result<Self> {
        let writer = Self::to(Box::new(io::sink()));
        writer.0.lock().sink = None;
        writer.start_thread(name, sink)?;
        Ok(writer)
    }

    fn to(sink: Box<dyn Write + Send>) -> Self {
        let waiting = Waiting {
            parts: VecDeque::new(),
            bytes: 0,
            writing: false,
            sink: Some(sink),
            is_alone: false,
            dropped: 0,
            told_dropped: |_| Vec::new(),
        };
        let shared = Shared { waiting: Mutex::new(waiting), filled: Condvar::new(), emptied: Condvar::new() };
        Self(Arc::new(shared))
    }

    /// How it is told that so many lines were dropped.
    pub(super) fn tell_dropped_as(&self, told: fn(usize) -> Vec<u8>) {
        self.0.lock().told_dropped = told;
    }

    /// Whether all that was handed over is written: a bar waits for that.
    pub(super) fn is_idle(&self) -> bool {
        self.0.lock().is_done()
    }

    /// Whether so much of this kind would be taken.
    pub(super) fn has_room(&self, bytes: usize, importance: Importance) -> bool {
        self.0.lock().has_room(bytes, importance)
    }

    /// Hands over what is to be written as a whole; never waits.
    pub(super) fn write(&self, bytes: &[u8], importance: Importance) {
        if bytes.is_empty() {
            return;
        }
        let mut waiting = self.0.lock();
        if let Some(sink) = waiting.sink.take() {
            waiting.is_alone = self.start_thread("stderr", sink).is_err();
        }
        if waiting.is_alone {
            // To wait is better than silence.
            drop(waiting);
            write_all(&mut io::stderr(), bytes);
            return;
        }
        if !waiting.has_room(bytes.len(), importance) {
            waiting.dropped += bytes.split(|byte| *byte == b'\n').count() - 1;
            return;
        }
        if importance == Importance::Message {
            waiting.tell_dropped();
        }
        waiting.push(bytes.to_vec());
        drop(waiting);
        self.0.filled.notify_one();
    }

    /// Waits until everything is written, at most so long. Whether it is.
    pub(crate) fn flush(&self, most: Duration) -> bool {
        let until = Instant::now() + most;
        let mut waiting = self.0.lock();
        while !waiting.is_done() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = self.0.emptied.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn start_thread(&self, name: &str, mut sink: Box<dyn Write + Send>) -> io::Result<()> {
        let shared = Arc::clone(&self.0);
        let write = move || shared.write_what_comes(&mut *sink);
        std::thread::Builder::new().name(name.to_owned()).spawn(write).map(drop)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_what_comes(&self, sink: &mut dyn Write) {
        let mut waiting = self.lock();
        loop {
            if waiting.parts.is_empty() {
                waiting.tell_dropped();
            }
            let Some(part) = waiting.parts.pop_front() else {
                self.emptied.notify_all();
                waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            waiting.writing = true;
            drop(waiting);
            write_all(sink, &part);
            waiting = self.lock();
            waiting.writing = false;
            // Only now: what a stalled write holds back still waits.
            waiting.bytes -= part.len();
        }
    }
}

impl Waiting {
    fn is_done(&self) -> bool {
        self.parts.is_empty() && !self.writing && self.dropped == 0
    }

    fn has_room(&self, bytes: usize, importance: Importance) -> bool {
        let most = match importance {
            Importance::Log => LOG_WAITING,
            Importance::Message => ALL_WAITING,
            // It comes in pairs with messages that were taken, or when nothing waits.
            Importance::Drawing => return true,
        };
        // A message longer than the bound is taken where nothing else waits.
        self.bytes == 0 || self.bytes + bytes <= most
    }

    fn push(&mut self, part: Vec<u8>) {
        self.bytes += part.len();
        self.parts.push_back(part);
    }

    fn tell_dropped(&mut self) {
        if self.dropped > 0 {
            let told = (self.told_dropped)(self.dropped);
            self.dropped = 0;
            self.push(told);
        }
    }
}

/// Writes as much as can be written. Nobody is left to be told that standard error is closed.
fn write_all(sink: &mut dyn Write, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return,
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(FULL_FOR),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Writes once it may, and shows what.
    struct Held {
        may_write: Receiver<()>,
        written: SyncSender<Vec<u8>>,
    }

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Whoever lets go of the other end lets everything be written.
            let _ = self.may_write.recv();
            self.written.send(bytes.to_vec()).unwrap();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_told_once_and_messages_find_room() {
        let (let_go, may_write) = sync_channel(0);
        let (written, shown) = sync_channel(100);
        let stderr = LateWriter::to(Box::new(Held { may_write, written }));
        stderr.tell_dropped_as(|lines| format!("{lines} dropped\n").into_bytes());
        let line = [vec![b'x'; LOG_WAITING / 8 - 1], vec![b'\n']].concat();
        for _ in 0..20 {
            stderr.write(&line, Importance::Log);
        }
        stderr.write(b"message\n", Importance::Message);
        stderr.flush(Duration::ZERO);
        assert!(!stderr.is_idle());
        drop(let_go);
        stderr.flush(Duration::from_hours(1));
        assert!(stderr.is_idle());
        let shown: Vec<Vec<u8>> = shown.try_iter().collect();
        assert_eq!(shown.len(), 10);
        assert!(shown[..8].iter().all(|written| *written == line));
        assert_eq!((&shown[8][..], &shown[9][..]), (&b"12 dropped\n"[..], &b"message\n"[..]));
    }

    #[test]
    fn what_was_dropped_last_is_told_at_the_end() {
        let (let_go, may_write) = sync_channel(0);
        let (written, shown) = sync_channel(100);
        let stderr = LateWriter::to(Box::new(Held { may_write, written }));
        stderr.tell_dropped_as(|lines| format!("{lines} dropped\n").into_bytes());
        for _ in 0..2 {
            stderr.write(&vec![b'x'; ALL_WAITING], Importance::Message);
        }
        stderr.write(b"a\nb\n", Importance::Message);
        drop(let_go);
        stderr.flush(Duration::from_hours(1));
        let shown: Vec<Vec<u8>> = shown.try_iter().collect();
        assert_eq!(shown.len(), 2, "a part that is longer than the bound is taken where nothing else waits");
        assert_eq!(&shown[1][..], b"2 dropped\n");
    }
}
