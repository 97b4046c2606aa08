use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::options::Limit;

/// Requests of one user that are kept.
const KEPT_REQUESTS: usize = 1_000;
const SHARDS: usize = 32;

/// What arrived at the sandbox. It keeps every user, and the latest requests of each.
#[derive(Debug, Default)]
pub struct Record {
    figures: Mutex<Figures>,
    users: [Mutex<HashMap<u64, User>>; SHARDS],
}

#[derive(Debug, Default)]
struct Figures {
    stats: Stats,
    in_flight: u64,
    last_second: VecDeque<Instant>,
    let_in: VecDeque<Instant>,
}

/// Figures over all requests to the API.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Stats {
    /// Requests that arrived.
    pub requests: u64,
    /// Answers by code; requests that got no code are in none.
    pub by_code: BTreeMap<String, u64>,
    /// Answers by HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that met a fault.
    pub by_fault: BTreeMap<String, u64>,
    /// Most arrivals in any second.
    pub peak_in_a_second: u64,
    /// Most requests under way at once.
    pub in_flight_peak: u64,
    /// Users of whom a valid request arrived.
    pub euids: u64,
}

#[derive(Debug, Default)]
struct User {
    arrivals: u64,
    under_way: u32,
    overlapped: bool,
    requests: VecDeque<Arrived>,
    contacts: Map<String, Value>,
}

/// One valid request of a user.
#[derive(Debug, Clone, Serialize)]
pub struct Arrived {
    /// Names and values.
    pub contacts: Map<String, Value>,
    /// The code it was answered with, or the fault it met; null while it is under way.
    pub answered: Value,
}

/// A request under way; ends its part of the figures when dropped.
pub(crate) struct UnderWay<'r>(&'r Record);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        lock(&self.0.figures).in_flight -= 1;
    }
}

impl Record {
    /// The figures so far.
    pub fn stats(&self) -> Stats {
        lock(&self.figures).stats.clone()
    }

    /// The requests of a user in order of arrival.
    pub fn requests(&self, euid: u64) -> Vec<Arrived> {
        lock(self.shard(euid)).get(&euid).map_or_else(Vec::new, |user| user.requests.iter().cloned().collect())
    }

    /// All that is known of a user, as JSON.
    pub fn user(&self, euid: u64) -> Option<Value> {
        let users = lock(self.shard(euid));
        let user = users.get(&euid)?;
        Some(json!({
            "euid": euid, "contacts": user.contacts, "requests": user.requests, "arrivals": user.arrivals,
            "overlapped": user.overlapped,
        }))
    }

    /// The contacts that were accepted, by user.
    pub fn contacts(&self) -> BTreeMap<u64, Map<String, Value>> {
        let users = |shard: &Mutex<HashMap<u64, User>>| {
            lock(shard).iter().map(|(euid, user)| (*euid, user.contacts.clone())).collect::<Vec<_>>()
        };
        self.users.iter().flat_map(users).collect()
    }

    /// Whether two requests of one user were ever under way at once.
    pub fn any_overlap(&self) -> bool {
        self.users.iter().any(|shard| lock(shard).values().any(|user| user.overlapped))
    }

    /// Notes an arrival. Err: it is one too many, and when to come again.
    pub(crate) fn arrived(&self, limit: Option<Limit>) -> (UnderWay<'_>, Result<(), Duration>) {
        let now = Instant::now();
        let mut figures = lock(&self.figures);
        figures.stats.requests += 1;
        figures.in_flight += 1;
        figures.stats.in_flight_peak = figures.stats.in_flight_peak.max(figures.in_flight);
        forget_before(&mut figures.last_second, now, Duration::from_secs(1));
        figures.last_second.push_back(now);
        figures.stats.peak_in_a_second = figures.stats.peak_in_a_second.max(figures.last_second.len() as u64);
        let mut let_in = Ok(());
        if let Some(limit) = limit {
            forget_before(&mut figures.let_in, now, limit.per);
            match figures.let_in.front() {
                Some(first) if figures.let_in.len() as u64 >= limit.count => {
                    let_in = Err(limit.per.saturating_sub(now - *first));
                }
                _ => figures.let_in.push_back(now),
            }
        }
        drop(figures);
        (UnderWay(self), let_in)
    }

    /// Notes a valid request of a user; says how-manieth of that user's it is, from 1.
    pub(crate) fn begin(&self, euid: u64, contacts: &Map<String, Value>) -> u64 {
        let mut users = lock(self.shard(euid));
        let user = users.entry(euid).or_default();
        user.arrivals += 1;
        user.under_way += 1;
        user.overlapped |= user.under_way > 1;
        if user.requests.len() == KEPT_REQUESTS {
            user.requests.pop_front();
        }
        user.requests.push_back(Arrived { contacts: contacts.clone(), answered: Value::Null });
        let nth = user.arrivals;
        drop(users);
        if nth == 1 {
            lock(&self.figures).stats.euids += 1;
        }
        nth
    }

    /// Notes how a user's request ended; what was accepted is stored.
    pub(crate) fn end(&self, euid: u64, contacts: Map<String, Value>, answered: Value, accepted: bool) {
        let mut users = lock(self.shard(euid));
        let Some(user) = users.get_mut(&euid) else { return };
        user.under_way = user.under_way.saturating_sub(1);
        let waiting = user.requests.iter_mut().rev().find(|request| request.answered.is_null());
        if let Some(request) = waiting {
            request.answered = answered;
        }
        if accepted {
            user.contacts.extend(contacts);
        }
    }

    pub(crate) fn answered(&self, status: u16, code: Option<i64>) {
        let mut figures = lock(&self.figures);
        *figures.stats.by_status.entry(status).or_default() += 1;
        if let Some(code) = code {
            *figures.stats.by_code.entry(code.to_string()).or_default() += 1;
        }
    }

    pub(crate) fn met(&self, fault: String) {
        *lock(&self.figures).stats.by_fault.entry(fault).or_default() += 1;
    }

    fn shard(&self, euid: u64) -> &Mutex<HashMap<u64, User>> {
        &self.users[(euid % SHARDS as u64) as usize]
    }
}

fn forget_before(times: &mut VecDeque<Instant>, now: Instant, span: Duration) {
    while times.front().is_some_and(|first| now - *first >= span) {
        times.pop_front();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
