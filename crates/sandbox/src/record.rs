use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    arrivals::Arrivals,
    options::{Limit, Recording, SandboxOptions},
};

/// Requests of one user that are kept.
const KEPT_REQUESTS: usize = 1_000;
const SHARDS: usize = 32;

/// What arrived at the sandbox.
#[derive(Debug)]
pub struct Record {
    figures: Mutex<Figures>,
    users: Users,
    forget_omitted: bool,
    /// Requests that ask for users, by the first that they ask for.
    registrations: Mutex<Arrivals>,
}

/// What is kept of each user.
#[derive(Debug)]
enum Users {
    /// All of it, with the latest requests.
    Whole(Vec<Mutex<HashMap<u64, User>>>),
    /// How many requests arrived.
    Arrivals(Vec<Mutex<Arrivals>>),
    Nothing,
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
    pub(crate) fn new(options: &SandboxOptions) -> Self {
        let users = match options.recording {
            Recording::Whole => Users::Whole(shards()),
            Recording::Figures if options.faults.is_empty() => Users::Nothing,
            Recording::Figures => Users::Arrivals(shards()),
        };
        let forget_omitted = options.forget_omitted;
        Self { figures: Mutex::default(), users, forget_omitted, registrations: Mutex::default() }
    }

    /// The figures so far.
    pub fn stats(&self) -> Stats {
        lock(&self.figures).stats.clone()
    }

    /// How many requests are under way.
    pub fn in_flight(&self) -> u64 {
        lock(&self.figures).in_flight
    }

    /// The requests of a user in order of arrival.
    pub fn requests(&self, euid: u64) -> Vec<Arrived> {
        let Some(users) = self.shard(euid) else { return Vec::new() };
        lock(users).get(&euid).map_or_else(Vec::new, |user| user.requests.iter().cloned().collect())
    }

    /// All that is known of a user, as JSON.
    pub fn user(&self, euid: u64) -> Option<Value> {
        let users = lock(self.shard(euid)?);
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
        self.shards().iter().flat_map(users).collect()
    }

    /// Whether two requests of one user were ever under way at once.
    pub fn any_overlap(&self) -> bool {
        self.shards().iter().any(|shard| lock(shard).values().any(|user| user.overlapped))
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
        let shard = match &self.users {
            Users::Whole(shards) => &shards[shard_of(euid)],
            Users::Arrivals(shards) => return lock(&shards[shard_of(euid)]).note(euid),
            Users::Nothing => return 1,
        };
        let mut users = lock(shard);
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

    /// Notes a request that asks for users, of which this is the first; says how-manieth it is, from 1.
    pub(crate) fn registered(&self, first: u64) -> u64 {
        lock(&self.registrations).note(first)
    }

    /// Notes how a user's request ended; what was accepted is stored, and an empty value clears its contact.
    pub(crate) fn end(&self, euid: u64, contacts: Map<String, Value>, answered: Value, accepted: bool) {
        let Some(shard) = self.shard(euid) else { return };
        let mut users = lock(shard);
        let Some(user) = users.get_mut(&euid) else { return };
        user.under_way = user.under_way.saturating_sub(1);
        let waiting = user.requests.iter_mut().rev().find(|request| request.answered.is_null());
        if let Some(request) = waiting {
            request.answered = answered;
        }
        if accepted {
            if self.forget_omitted {
                user.contacts.clear();
            }
            for (name, value) in contacts {
                if value.as_str() == Some("") {
                    user.contacts.remove(&name);
                } else {
                    user.contacts.insert(name, value);
                }
            }
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

    fn shards(&self) -> &[Mutex<HashMap<u64, User>>] {
        match &self.users {
            Users::Whole(shards) => shards,
            Users::Arrivals(_) | Users::Nothing => &[],
        }
    }

    fn shard(&self, euid: u64) -> Option<&Mutex<HashMap<u64, User>>> {
        self.shards().get(shard_of(euid))
    }
}

fn shards<T: Default>() -> Vec<T> {
    std::iter::repeat_with(T::default).take(SHARDS).collect()
}

fn shard_of(euid: u64) -> usize {
    (euid % SHARDS as u64) as usize
}

fn forget_before(times: &mut VecDeque<Instant>, now: Instant, span: Duration) {
    while times.front().is_some_and(|first| now - *first >= span) {
        times.pop_front();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;

    fn record(recording: Recording, faults: Vec<Fault>) -> Record {
        Record::new(&SandboxOptions { faults, recording, ..SandboxOptions::default() })
    }

    /// Lets a user's request arrive and end.
    fn arrive(record: &Record, euid: u64) -> u64 {
        let contacts: Map<String, Value> = [("email".to_owned(), json!("1@example.com"))].into_iter().collect();
        let nth = record.begin(euid, &contacts);
        record.end(euid, contacts, json!(0), true);
        nth
    }

    #[test]
    fn figures_hold_no_user_and_which_request_it_is_stays_the_same() {
        let faults = vec![Fault::Drop(0.5)];
        let (whole, figures) = (record(Recording::Whole, faults.clone()), record(Recording::Figures, faults));
        let nothing = record(Recording::Figures, Vec::new());
        let mut often = 0;
        for request in 0..3_000_u64 {
            let euid = 1 + request * request % 701;
            let nth = arrive(&whole, euid);
            assert_eq!(arrive(&figures, euid), nth, "request {request} of {euid}");
            arrive(&nothing, euid);
            often = often.max(nth);
        }
        assert!(often > 3, "no user came often");
        assert!(whole.contacts().len() > 300 && whole.user(1).is_some() && !whole.requests(1).is_empty());
        for record in [figures, nothing] {
            assert!(record.contacts().is_empty() && record.user(1).is_none() && record.requests(1).is_empty());
        }
    }
}
