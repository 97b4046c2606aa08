use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use model::{Counters, Decision};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot},
    task::{JoinError, JoinSet},
    time::Instant,
};

use crate::{
    admission,
    asker::Asker,
    canary::Canary,
    handing_on,
    happening::Listener,
    intake::Intake,
    leave::Supplier,
    memory::Memory,
    mint::{LocalMint, Mint},
    minting::{Mints, keep_minting},
    recalling,
    resolver::Resolver,
    resolving,
    scheduler::Scheduler,
    settings::Settings,
    shared::Shared,
    stop::{Stop, StopCause},
    timer,
    transport::{ByQuota, Lines, Quota},
    verdict::Codes,
    worker::{Partners, work},
};

/// What the dispatcher leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatched {
    /// Rows that came in and were not decided, or whose decision nobody took.
    pub not_sent: u64,
    /// A part of it panicked: what it held may be in no figure.
    pub broke_off: bool,
}

/// Sends rows. Set up with lines to the service, then [run](Dispatcher::run).
pub struct Dispatcher<L> {
    settings: Settings,
    lines: L,
    runtimes: Vec<Handle>,
    partners: Partners,
    mints: Mints,
    canary: Option<Canary>,
    accepted_contacts: bool,
    asker: Option<oneshot::Sender<Asker>>,
    listener: Option<Listener>,
}

impl<L: Lines> Dispatcher<L> {
    /// Sends over these lines, on the runtime that runs it.
    pub fn new(settings: &Settings, lines: L) -> Self {
        let local = |rate, burst| LocalMint::new(rate, burst).map(|mint| Box::new(mint) as Box<dyn Mint>);
        let reading = settings.profile_rate;
        let mints =
            ByQuota { sending: local(settings.rate, settings.burst), reading: local(reading, reading.default_burst()) };
        let (runtimes, partners) = (Vec::new(), Partners::default());
        let settings = settings.clone();
        Self {
            settings,
            lines,
            runtimes,
            partners,
            mints,
            canary: None,
            accepted_contacts: true,
            asker: None,
            listener: None,
        }
    }

    /// Shares the workers out over further runtimes.
    #[must_use]
    pub fn also_on(mut self, runtimes: impl IntoIterator<Item = Handle>) -> Self {
        self.runtimes.extend(runtimes);
        self
    }

    /// Asks a memory before a row is sent.
    #[must_use]
    pub fn with_memory(mut self, memory: Arc<dyn Memory>) -> Self {
        self.partners.memory = Some(memory);
        self
    }

    /// Asks a resolver before rows are let in.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.partners.resolver = Some(resolver);
        self
    }

    /// Drops the contacts of rows as they are accepted. Where nobody writes them down they are memory that one thread takes
    /// and another gives back.
    #[must_use]
    pub fn without_accepted_contacts(mut self) -> Self {
        self.accepted_contacts = false;
        self
    }

    /// Takes starts from a mint of its own in place of the rate that is set.
    #[must_use]
    pub fn with_mint(mut self, mint: Box<dyn Mint>) -> Self {
        self.mints.sending = Some(mint);
        self
    }

    /// The same for requests that read users.
    #[must_use]
    pub fn with_reading_mint(mut self, mint: Box<dyn Mint>) -> Self {
        self.mints.reading = Some(mint);
        self
    }

    /// Gives somebody leave to ask the service beside the rows, once it runs. What is asked is answered while rows may still
    /// come.
    #[must_use]
    pub fn with_asker(mut self, asker: oneshot::Sender<Asker>) -> Self {
        self.asker = Some(asker);
        self
    }

    /// Tells somebody what happens to the sending.
    #[must_use]
    pub fn with_listener(mut self, listener: Listener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Lets only a few rows in at first.
    #[must_use]
    pub fn with_canary(mut self, canary: Canary) -> Self {
        self.canary = Some(canary);
        self
    }

    /// Sends all rows that come in and hands on one [`Decision`] for each, by the handful; ends when `rows` is closed and
    /// all are decided, or after a stop when nothing is under way any more. Call it within a tokio runtime.
    ///
    /// After a stop whoever feeds `rows` must close it: rows that still come are counted as not sent. Where a part of it
    /// panics the run stops by [`StopCause::Bug`].
    pub async fn run(
        self,
        rows: async_channel::Receiver<Vec<Intake>>,
        decisions: mpsc::Sender<Vec<Decision>>,
        counters: Arc<Counters>,
        stop: Stop,
    ) -> Dispatched {
        let Self { settings, lines, runtimes, partners, mut mints, canary, accepted_contacts, asker, listener } = self;
        let in_flight = settings.in_flight.max(1);
        let homes: Vec<usize> = (0..in_flight).map(|worker| worker % (runtimes.len() + 1)).collect();
        let supplier = |mint: &Option<Box<dyn Mint>>| match mint {
            None => Supplier::None,
            Some(mint) if mint.is_shared() => Supplier::SharedMint,
            Some(_) => Supplier::Mint,
        };
        let scheduler = Scheduler::new(
            &settings,
            homes.clone(),
            ByQuota { sending: supplier(&mints.sending), reading: supplier(&mints.reading) },
            partners.memory.is_some(),
            canary.as_ref().map(|canary| canary.rows),
            Instant::now(),
        );
        let codes = Codes { retry: settings.retry_codes.clone(), ok: settings.ok_codes.clone() };
        let note = canary.as_ref().map(|canary| canary.decided.clone());
        let shared = Shared::new(scheduler, in_flight, stop.clone(), counters, codes, accepted_contacts, note);
        let shared = Arc::new(shared.heard_by(listener));

        if let Some(asker) = asker {
            // Who wanted it may be gone.
            let _ = asker.send(Asker(Arc::clone(&shared)));
        }
        let mut parts = JoinSet::new();
        let further: Vec<L> = runtimes.iter().map(|_| lines.for_runtime()).collect();
        for (worker, home) in homes.into_iter().enumerate() {
            match home.checked_sub(1) {
                None => parts.spawn(work(Arc::clone(&shared), worker, lines.line(), partners.clone())),
                Some(other) => {
                    let work = work(Arc::clone(&shared), worker, further[other].line(), partners.clone());
                    parts.spawn_on(work, &runtimes[other])
                }
            };
        }
        parts.spawn(timer::keep_time(Arc::clone(&shared)));
        for quota in Quota::ALL {
            if let Some(mint) = mints.get_mut(quota).take() {
                parts.spawn(keep_minting(Arc::clone(&shared), quota, mint));
            }
        }
        if let Some(memory) = &partners.memory {
            parts.spawn(recalling::recall_rows(Arc::clone(&shared), Arc::clone(memory)));
        }
        if let Some(resolver) = &partners.resolver {
            parts.spawn(resolving::resolve_again(Arc::clone(&shared), Arc::clone(resolver)));
        }
        if let Some(canary) = canary {
            parts.spawn(canary.lift(Arc::clone(&shared)));
        }
        parts.spawn(admission::let_in(Arc::clone(&shared), rows, partners.resolver));
        let mut handing_on = JoinSet::new();
        handing_on.spawn(handing_on::hand_on(Arc::clone(&shared), decisions));
        let mut closing = JoinSet::new();
        closing.spawn(close_on_stop(Arc::clone(&shared), settings.grace));

        let mut broke_off = false;
        while !parts.is_empty() {
            tokio::select! {
                Some(ended) = parts.join_next() => broke_off |= panicked(&stop, &ended),
                // It ends by itself only once it is told to.
                Some(ended) = handing_on.join_next() => broke_off |= panicked(&stop, &ended),
            }
        }
        closing.shutdown().await;
        shared.with(|scheduler, _, effects| scheduler.close_outbox(effects));
        while let Some(ended) = handing_on.join_next().await {
            broke_off |= panicked(&stop, &ended);
        }
        let (came_in, handed_on) = (shared.rows_in.load(Relaxed), shared.handed_on.load(Relaxed));
        Dispatched { not_sent: came_in.saturating_sub(handed_on), broke_off }
    }
}

async fn close_on_stop(shared: Arc<Shared>, grace: Duration) {
    shared.stop.stopping().await;
    shared.with(|scheduler, _, effects| scheduler.close(effects));
    tokio::time::sleep(grace).await;
    shared.stop.end_grace();
}

/// Whether a part broke off. It takes its row along: nobody may believe that all rows are accounted for.
fn panicked(stop: &Stop, ended: &Result<(), JoinError>) -> bool {
    let broke_off = ended.is_err();
    if broke_off {
        stop.because(StopCause::Bug("a part of the dispatcher broke off".to_owned()));
    }
    broke_off
}
