use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{fault::Kind, options::Limit};

/// Figures over all requests to the API.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    /// Requests that arrived, of every kind.
    pub requests: u64,
    /// Those that set contacts.
    pub contact_requests: u64,
    /// Those that obtain users by ids.
    pub register_requests: u64,
    /// Those that read users.
    pub profile_requests: u64,
    /// Answers by code; requests that got no code are in none.
    pub by_code: BTreeMap<String, u64>,
    /// Answers by HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that met a fault; those of another kind than "set contact" as `register/drop`.
    pub by_fault: BTreeMap<String, u64>,
    /// Most arrivals in any second, of requests that set contacts or obtain users.
    pub peak_in_a_second: u64,
    /// Of those that obtain users alone.
    pub register_peak_in_a_second: u64,
    /// Of those that read users.
    pub profile_peak_in_a_second: u64,
    /// Most requests under way at once.
    pub in_flight_peak: u64,
    /// Users whose contacts a valid request would set.
    pub euids: u64,
    /// Ids that valid requests asked for, each as often as it was asked for.
    pub register_ids: u64,
    /// Users that valid requests would read, each as often as it was asked for.
    pub profile_euids: u64,
    /// Users that were made for an id.
    pub users_created: u64,
}

/// Figures, and what they are made from.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) stats: Stats,
    pub(super) in_flight: u64,
    written: Window,
    registered: Window,
    read: Window,
}

/// Requests of the last second, and those that were let in.
#[derive(Debug, Default)]
struct Window {
    last_second: VecDeque<Instant>,
    let_in: VecDeque<Instant>,
}

impl Figures {
    /// Notes an arrival. Err: it is one too many, and when to come again.
    pub(super) fn arrived(&mut self, kind: Kind, limit: Option<Limit>) -> Result<(), Duration> {
        let now = Instant::now();
        let stats = &mut self.stats;
        stats.requests += 1;
        self.in_flight += 1;
        stats.in_flight_peak = stats.in_flight_peak.max(self.in_flight);
        match kind {
            Kind::Contact => stats.contact_requests += 1,
            Kind::Register => {
                stats.register_requests += 1;
                self.registered.note(now, &mut stats.register_peak_in_a_second);
            }
            Kind::Profile => {
                stats.profile_requests += 1;
                self.read.note(now, &mut stats.profile_peak_in_a_second);
                return self.read.let_in(now, limit);
            }
        }
        self.written.note(now, &mut stats.peak_in_a_second);
        self.written.let_in(now, limit)
    }
}

impl Window {
    fn note(&mut self, now: Instant, peak: &mut u64) {
        forget_before(&mut self.last_second, now, Duration::from_secs(1));
        self.last_second.push_back(now);
        *peak = (*peak).max(self.last_second.len() as u64);
    }

    fn let_in(&mut self, now: Instant, limit: Option<Limit>) -> Result<(), Duration> {
        let Some(limit) = limit else { return Ok(()) };
        forget_before(&mut self.let_in, now, limit.per);
        match self.let_in.front() {
            Some(first) if self.let_in.len() as u64 >= limit.count => Err(limit.per.saturating_sub(now - *first)),
            _ => {
                self.let_in.push_back(now);
                Ok(())
            }
        }
    }
}

fn forget_before(times: &mut VecDeque<Instant>, now: Instant, span: Duration) {
    while times.front().is_some_and(|first| now - *first >= span) {
        times.pop_front();
    }
}
