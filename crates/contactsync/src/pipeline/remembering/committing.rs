//! Makes marks durable, for many rows at once.

use std::{
    io,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dispatcher::{Stop, StopCause};
use state::State;
use tokio::sync::oneshot;

use super::{super::journaling::RunRecord, stop_cause};

/// Marks wait so long for others, to be durable with them.
const LINGER: Duration = Duration::from_millis(20);
/// What nobody waits for is made durable so often.
const AT_LEAST: Duration = Duration::from_millis(500);

/// A thread that commits. Dropping it waits for what it is at.
#[derive(Debug)]
pub(super) struct Committer {
    handle: CommitHandle,
    thread: Option<JoinHandle<()>>,
}

/// Requests that may wait.
const MOST_REQUESTS: usize = 64;

/// Asks for a commit.
#[derive(Debug, Clone)]
pub(super) struct CommitHandle(mpsc::SyncSender<Request>);

#[derive(Debug)]
enum Request {
    Commit(Commit),
    End,
}

#[derive(Debug)]
struct Commit {
    /// What lies beside the report comes first.
    saves_run: bool,
    done: oneshot::Sender<Result<(), StopCause>>,
}

impl CommitHandle {
    /// Comes back once all that was marked before is durable.
    pub(super) async fn commit(&self, saves_run: bool) -> Result<(), StopCause> {
        let gone = || StopCause::Bug("what commits the state broke off".to_owned());
        let (done, is_done) = oneshot::channel();
        self.0.send(Request::Commit(Commit { saves_run, done })).map_err(|_| gone())?;
        is_done.await.map_err(|_| gone())?
    }
}

impl Committer {
    pub(super) fn start(state: Arc<State>, run: Option<RunRecord>, stop: Stop) -> io::Result<Self> {
        // More calls are never under way at once, so nobody waits here.
        let (handle, requests) = mpsc::sync_channel(MOST_REQUESTS);
        let work = Work { state, run, stop };
        let thread = std::thread::Builder::new().name("state".to_owned()).spawn(move || work.run(&requests))?;
        Ok(Self { handle: CommitHandle(handle), thread: Some(thread) })
    }

    pub(super) fn handle(&self) -> CommitHandle {
        self.handle.clone()
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        // Where it is gone already there is nothing to end.
        let _ = self.handle.0.send(Request::End);
        if let Some(thread) = self.thread.take() {
            // Who waited for it has heard of it.
            let _ = thread.join();
        }
    }
}

struct Work {
    state: Arc<State>,
    run: Option<RunRecord>,
    stop: Stop,
}

impl Work {
    fn run(&self, requests: &mpsc::Receiver<Request>) {
        let mut gathered = Vec::new();
        let mut committed = Instant::now();
        loop {
            let mut is_over = false;
            match requests.recv_timeout(AT_LEAST.saturating_sub(committed.elapsed())) {
                Ok(Request::Commit(first)) => {
                    gathered.push(first);
                    is_over = gather(requests, &mut gathered);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Request::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            let done = self.commit(gathered.iter().any(|request| request.saves_run));
            committed = Instant::now();
            if let Err(cause) = &done {
                self.stop.because(cause.clone());
            }
            for request in gathered.drain(..) {
                // Who asked may have stopped waiting.
                let _ = request.done.send(done.clone());
            }
            if is_over {
                return;
            }
        }
    }

    fn commit(&self, saves_run: bool) -> Result<(), StopCause> {
        if let (true, Some(run)) = (saves_run, &self.run) {
            run.save_unchanged().map_err(|error| StopCause::Report(error.to_string()))?;
        }
        self.state.commit().map_err(|error| stop_cause(&error))
    }
}

/// Takes what comes within a short time. Whether nothing may follow.
fn gather(requests: &mpsc::Receiver<Request>, gathered: &mut Vec<Commit>) -> bool {
    let until = Instant::now() + LINGER;
    loop {
        match requests.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Request::Commit(commit)) => gathered.push(commit),
            Ok(Request::End) | Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}
