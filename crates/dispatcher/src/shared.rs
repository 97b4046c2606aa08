//! The one place that all runtimes of a run hold: the scheduler under its lock, and who is woken for what it says.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use model::{Counters, Decision};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{
    effects::{Effects, Part},
    happening::{Happening, Listener},
    idle::WorkerId,
    scheduler::{Next, Scheduler, Start},
    stop::Stop,
    transport::ByQuota,
    verdict::Codes,
};

#[derive(Debug)]
pub(crate) struct Shared {
    scheduler: Mutex<Scheduler>,
    workers: Vec<Notify>,
    pub(crate) timer: Notify,
    pub(crate) minting: ByQuota<Notify>,
    pub(crate) admission: Notify,
    pub(crate) outbox: Notify,
    pub(crate) recall: Notify,
    pub(crate) resolve: Notify,
    pub(crate) stop: Stop,
    /// Nothing starts any more.
    pub(crate) closed: CancellationToken,
    pub(crate) counters: Arc<Counters>,
    pub(crate) codes: Codes,
    /// The same for what isn't a row: which codes count as accepted is said of rows.
    pub(crate) codes_of_questions: Codes,
    /// Whether decisions on accepted rows bear their contacts.
    pub(crate) accepted_contacts: bool,
    /// Whether anything was accepted in this run.
    pub(crate) any_accepted: AtomicBool,
    canary: Option<mpsc::Sender<Decision>>,
    listener: Option<Listener>,
    /// Rows that came in.
    pub(crate) rows_in: AtomicU64,
    /// Decisions that were handed on.
    pub(crate) handed_on: AtomicU64,
}

impl Shared {
    pub(crate) fn new(
        scheduler: Scheduler,
        workers: usize,
        stop: Stop,
        counters: Arc<Counters>,
        codes: Codes,
        accepted_contacts: bool,
        canary: Option<mpsc::Sender<Decision>>,
    ) -> Self {
        Self {
            scheduler: Mutex::new(scheduler),
            workers: (0..workers).map(|_| Notify::new()).collect(),
            timer: Notify::new(),
            minting: ByQuota::default(),
            admission: Notify::new(),
            outbox: Notify::new(),
            recall: Notify::new(),
            resolve: Notify::new(),
            stop,
            closed: CancellationToken::new(),
            counters,
            codes_of_questions: Codes { ok: Vec::new(), retry: codes.retry.clone() },
            codes,
            accepted_contacts,
            any_accepted: AtomicBool::new(false),
            canary,
            listener: None,
            rows_in: AtomicU64::new(0),
            handed_on: AtomicU64::new(0),
        }
    }

    /// The same, with somebody who hears what happens.
    pub(crate) fn heard_by(self, listener: Option<Listener>) -> Self {
        Self { listener, ..self }
    }

    /// Does something under the lock, and afterwards what follows from it.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Scheduler, Instant, &mut Effects) -> T) -> T {
        let now = Instant::now();
        let mut effects = Effects::default();
        let result = {
            // Nothing panics under this lock; were it so, what is in it would still be whole enough to stop by.
            let mut scheduler = self.scheduler.lock().unwrap_or_else(PoisonError::into_inner);
            let result = act(&mut scheduler, now, &mut effects);
            scheduler.wake(now, &mut effects);
            if effects.change.is_some() || effects.mint.is_some() {
                // Under the lock, so that what was said last holds.
                self.counters.held.store(u64::from(scheduler.pace.held_until().is_some()), Relaxed);
            }
            result
        };
        self.carry_out(effects);
        result
    }

    fn carry_out(&self, effects: Effects) {
        effects.tell();
        if let Some(listener) = &self.listener {
            self.tell(listener, &effects);
        }
        let Effects { stop, closed, workers, parts, canary, .. } = effects;
        if let Some(cause) = stop {
            self.stop.because(cause);
        }
        for worker in workers {
            self.workers[worker].notify_one();
        }
        for part in parts {
            let notify = match part {
                Part::Timer => &self.timer,
                Part::Mint(quota) => self.minting.get(quota),
                Part::Admission => &self.admission,
                Part::Outbox => &self.outbox,
                Part::Recall => &self.recall,
                Part::Resolve => &self.resolve,
            };
            notify.notify_one();
        }
        if let Some(note) = &self.canary {
            for decision in canary {
                // Nobody looks any more.
                let _ = note.try_send(decision);
            }
        }
        if closed {
            self.closed.cancel();
        }
    }

    fn tell(&self, listener: &Listener, effects: &Effects) {
        if effects.change.is_some() || effects.mint.is_some() {
            let is_held = Counters::get(&self.counters.held) > 0;
            listener.hear(if is_held { Happening::Held } else { Happening::GoesOn });
        }
        if let Some(paused) = effects.paused {
            listener.hear(Happening::Waits(paused.time));
        }
    }

    /// What a worker starts next, after it has done something under the lock; none once nothing starts any more.
    pub(crate) async fn next(
        &self,
        worker: WorkerId,
        act: impl FnOnce(&mut Scheduler, Instant, &mut Effects),
    ) -> Option<Start> {
        let mut act = Some(act);
        loop {
            let next = self.with(|scheduler, now, effects| {
                if let Some(act) = act.take() {
                    act(scheduler, now, effects);
                }
                // A stop that came from elsewhere holds at once.
                if self.stop.is_stopping() && !scheduler.is_closed() {
                    scheduler.close(effects);
                }
                scheduler.take(worker, now)
            });
            match next {
                Next::Start(start) => return Some(*start),
                Next::Wait => self.workers[worker].notified().await,
                Next::End => return None,
            }
        }
    }

    pub(crate) fn any_accepted(&self) -> bool {
        self.any_accepted.load(Relaxed)
    }
}
