//! What is to be done once the lock is free again.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use model::Decision;

use crate::{
    idle::WorkerId,
    job::{Job, Key, Row},
    outage::Change,
    ready::{Delayed, Ready},
    stop::StopCause,
    transport::Quota,
};

/// What waited when nothing was to start any more.
pub(crate) type Waiting =
    (Ready, Delayed<Job>, HashMap<Key, VecDeque<Row>>, VecDeque<Row>, Delayed<Row>, VecDeque<Row>);

/// A part of the dispatcher that waits to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Timer,
    Mint(Quota),
    Admission,
    Outbox,
    Recall,
    Resolve,
}

/// Nobody starts for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paused {
    pub(crate) time: Duration,
    /// Another process that shares the rate was told to wait.
    pub(crate) by_others: bool,
}

/// A wait as long as this is told also who doesn't ask for more words: a run that stands still needs a reason.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// What changed about a mint.
#[derive(Debug)]
pub(crate) enum MintChange {
    /// It is out of reach; what happened.
    Lost(String),
    /// It answers again.
    Back,
}

#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// The run is to stop.
    pub(crate) stop: Option<StopCause>,
    /// Nothing starts any more.
    pub(crate) closed: bool,
    /// Something to tell about the service.
    pub(crate) change: Option<Change>,
    /// Something to tell about a mint.
    pub(crate) mint: Option<MintChange>,
    /// Nobody starts for so long, which is news.
    pub(crate) paused: Option<Paused>,
    /// Whom to wake.
    pub(crate) workers: Vec<WorkerId>,
    /// Which other parts have something to look at.
    pub(crate) parts: Vec<Part>,
    /// What the canary is to know.
    pub(crate) canary: Vec<Decision>,
    /// What waited; dropping it tells who asked.
    pub(crate) dropped: Vec<Waiting>,
    pub(crate) given_up: Vec<Job>,
}

impl Effects {
    /// Says what changed about the service and the rate.
    pub(crate) fn tell(&self) {
        if let Some(Paused { time, by_others }) = self.paused {
            let seconds = time.as_secs_f64();
            let whom = if by_others { "another process that shares the rate" } else { "this process" };
            if time >= LONG_WAIT {
                tracing::warn!("nothing starts for {seconds:.0} s: the service told {whom} to wait (HTTP 429 or 503)");
            } else {
                tracing::info!("nothing starts for {seconds:.1} s: the service told {whom} to wait (HTTP 429 or 503)");
            }
        }
        match &self.mint {
            None => {}
            Some(MintChange::Lost(what)) => {
                tracing::warn!("the shared rate is out of reach: {what}; nothing starts until it answers");
            }
            Some(MintChange::Back) => tracing::warn!("the shared rate answers again: requests go on"),
        }
        match self.change {
            None => {}
            Some(Change::HeldAtStart) => {
                tracing::warn!("the service hasn't answered yet: requests are held, probing until it does");
            }
            Some(Change::Held) => {
                tracing::warn!("the last 50 attempts all failed: requests are held, probing until the service answers");
            }
            Some(Change::Recovered) => tracing::warn!("the service answers again: requests go on"),
            Some(Change::OnlySickRowsLeft) => {
                tracing::warn!("the service answers, and fails each row that is left: they use up their retries");
            }
        }
    }
}
