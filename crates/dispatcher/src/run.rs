use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use model::{Contact, Counters, Decision, limits::MAX_RECORD_BYTES};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::TaskTracker;

use crate::{
    attempts::Attempts,
    lanes::{Lanes, Offered, Row},
    settings::Settings,
    stop::Stop,
    transport::Lines,
};

/// Most bytes of rows that are let in at once.
const ROW_BYTES: usize = 16 * MAX_RECORD_BYTES;

/// A row on its way in.
#[derive(Debug)]
pub enum Intake {
    /// To be sent.
    Send(Contact),
    /// Decided without being sent; passed on.
    Decided(Decision),
}

/// What the dispatcher leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatched {
    /// Rows that came in and were not decided, or whose decision nobody took.
    pub not_sent: u64,
}

/// Sends all rows that come in and hands on one [`Decision`] for each; ends when `rows` is closed and all are decided,
/// or after a stop when nothing is under way any more. Call it within a tokio runtime.
///
/// After a stop whoever feeds `rows` must close it: rows that still come are counted as not sent.
pub async fn run<L: Lines>(
    lines: L,
    settings: &Settings,
    rows: async_channel::Receiver<Vec<Intake>>,
    decisions: mpsc::Sender<Decision>,
    counters: Arc<Counters>,
    stop: Stop,
) -> Dispatched {
    let most_rows = 4_096 + 16 * settings.in_flight;
    let dispatcher = Arc::new(Dispatcher {
        attempts: Attempts::new(lines, settings, counters, stop.clone()),
        lanes: Lanes::new(most_rows / 4),
        decisions,
        not_sent: AtomicU64::new(0),
        row_permits: Arc::new(Semaphore::new(most_rows)),
        byte_permits: Arc::new(Semaphore::new(ROW_BYTES)),
        stop: stop.clone(),
        tasks: TaskTracker::new(),
    });
    let pacer = tokio::spawn(Arc::clone(&dispatcher.attempts.pace).run());
    let stopper = tokio::spawn(close_on_stop(Arc::clone(&dispatcher), settings.grace));
    while let Ok(batch) = rows.recv().await {
        for intake in batch {
            match intake {
                Intake::Decided(decision) => dispatcher.hand_on(decision).await,
                Intake::Send(contact) => dispatcher.admit(contact).await,
            }
        }
    }
    dispatcher.attempts.pace.no_more_rows();
    dispatcher.tasks.close();
    dispatcher.tasks.wait().await;
    stopper.abort();
    dispatcher.attempts.pace.close();
    // The pacer ends by itself once closed; it has nothing to say.
    let _ = pacer.await;
    Dispatched { not_sent: dispatcher.not_sent.load(Relaxed) }
}

async fn close_on_stop<L: Lines>(dispatcher: Arc<Dispatcher<L>>, grace: std::time::Duration) {
    dispatcher.stop.stopping().await;
    dispatcher.attempts.pace.close();
    tokio::time::sleep(grace).await;
    dispatcher.stop.end_grace();
}

struct Dispatcher<L> {
    attempts: Attempts<L>,
    lanes: Lanes,
    decisions: mpsc::Sender<Decision>,
    not_sent: AtomicU64,
    row_permits: Arc<Semaphore>,
    byte_permits: Arc<Semaphore>,
    stop: Stop,
    tasks: TaskTracker,
}

impl<L: Lines> Dispatcher<L> {
    /// Lets a row in as soon as there is room for it, or counts it as not sent once the run stops.
    async fn admit(self: &Arc<Self>, contact: Contact) {
        let bytes = u32::try_from(contact.bytes().min(ROW_BYTES)).unwrap_or(u32::MAX);
        let room = async {
            let count = Arc::clone(&self.row_permits).acquire_owned().await.ok()?;
            let bytes = Arc::clone(&self.byte_permits).acquire_many_owned(bytes).await.ok()?;
            Some((count, bytes))
        };
        let room = tokio::select! {
            biased;
            () = self.stop.stopping() => None,
            room = room => room,
        };
        let Some(permits) = room else { return self.count_not_sent(1) };
        self.attempts.pace.row_came_in();
        let mut row = Row { contact, permits };
        loop {
            match self.lanes.offer(row) {
                Offered::Queued => return,
                Offered::Starts(row) => {
                    self.tasks.spawn(Arc::clone(self).run_lane(row));
                    return;
                }
                Offered::Full(waiting) => {
                    row = waiting;
                    tokio::select! {
                        biased;
                        () = self.stop.stopping() => return self.count_not_sent(1),
                        () = self.lanes.shrunk() => {}
                    }
                }
            }
        }
    }

    /// Decides the rows of one EUID, one after the other, until there are no more.
    async fn run_lane(self: Arc<Self>, first: Row) {
        let key = first.contact.euid.get();
        let mut next = Some(first);
        while let Some(row) = next {
            // The permits are held until the decision is handed on.
            let Row { contact, permits } = row;
            match self.attempts.decide(contact).await {
                Some(decision) => self.hand_on(decision).await,
                None => return self.count_not_sent(1 + self.lanes.abandon(key)),
            }
            drop(permits);
            next = self.lanes.next(key);
        }
    }

    async fn hand_on(&self, decision: Decision) {
        if self.decisions.send(decision).await.is_err() {
            self.count_not_sent(1);
        }
    }

    fn count_not_sent(&self, rows: u64) {
        self.not_sent.fetch_add(rows, Relaxed);
    }
}
