//! What arrived at the sandbox, and what it holds.

mod figures;
mod ids;
mod users;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};

pub(crate) use self::users::Effect;
use self::{
    figures::Figures,
    ids::Ids,
    users::{Storing, User},
};
pub use self::{figures::Stats, ids::AskedId, users::Arrived};
use crate::{
    arrivals::Arrivals,
    fault::Kind,
    options::{Limit, Recording, SandboxOptions},
};

const SHARDS: usize = 32;

/// What arrived at the sandbox, and what it holds.
#[derive(Debug)]
pub struct Record {
    figures: Mutex<Figures>,
    users: Users,
    storing: Storing,
    ids: Ids,
    /// Requests that ask for users, by their content.
    registrations: Mutex<Arrivals>,
    readings: Mutex<Arrivals>,
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
        Self {
            figures: Mutex::default(),
            users,
            storing: Storing { forget_omitted: options.forget_omitted, normalise: options.normalise },
            ids: Ids::new(options.recording == Recording::Whole),
            registrations: Mutex::default(),
            readings: Mutex::default(),
        }
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
        self.of_user(euid, |user| user.requests.iter().cloned().collect()).unwrap_or_default()
    }

    /// All that is known of a user, as JSON.
    pub fn user(&self, euid: u64) -> Option<Value> {
        self.of_user(euid, |user| user.told(euid))
    }

    /// The contacts that were accepted, by user of whom a request arrived.
    pub fn contacts(&self) -> BTreeMap<u64, Map<String, Value>> {
        self.of_users(|user| (user.arrivals > 0).then(|| user.contacts.clone()))
    }

    /// What the service holds of a user; none where it doesn't know the user. It is what reads show from the second on.
    pub fn profile(&self, euid: u64) -> Option<Map<String, Value>> {
        self.of_user(euid, User::held).flatten()
    }

    /// What the service holds, by user that it knows.
    pub fn profiles(&self) -> BTreeMap<u64, Map<String, Value>> {
        self.of_users(User::held)
    }

    /// An id that was asked for.
    pub fn id(&self, identity_name: &str, value: &str) -> Option<AskedId> {
        self.ids.get(identity_name, value)
    }

    /// The ids that were asked for, by identity name and value.
    pub fn ids(&self) -> BTreeMap<(String, String), AskedId> {
        self.ids.all()
    }

    /// Deletes a user: from here on its EUID is refused (55108), and its ids get another.
    pub fn retire(&self, euid: u64) {
        self.ids.retire(euid);
        if let Some(users) = self.shard(euid)
            && let Some(user) = lock(users).get_mut(&euid)
        {
            user.vanish();
        }
    }

    /// Whether two requests of one user were ever under way at once.
    pub fn any_overlap(&self) -> bool {
        self.shards().iter().any(|shard| lock(shard).values().any(|user| user.overlapped))
    }

    /// Notes an arrival. Err: it is one too many, and when to come again.
    pub(crate) fn arrived(&self, kind: Kind, limit: Option<Limit>) -> (UnderWay<'_>, Result<(), Duration>) {
        let let_in = lock(&self.figures).arrived(kind, limit);
        (UnderWay(self), let_in)
    }

    /// Notes a valid request of a user; says how-manieth of that user's it is, from 1.
    pub(crate) fn begin(&self, euid: u64, contacts: &Map<String, Value>) -> u64 {
        let shard = match &self.users {
            Users::Whole(shards) => &shards[shard_of(euid)],
            Users::Arrivals(shards) => return lock(&shards[shard_of(euid)]).note(euid),
            Users::Nothing => return 1,
        };
        let nth = lock(shard).entry(euid).or_default().begin(contacts);
        if nth == 1 {
            lock(&self.figures).stats.euids += 1;
        }
        nth
    }

    /// Notes how a user's request ended.
    pub(crate) fn end(&self, euid: u64, contacts: Map<String, Value>, answered: Value, effect: Effect) {
        let Some(shard) = self.shard(euid) else { return };
        if let Some(user) = lock(shard).get_mut(&euid) {
            user.end(contacts, answered, effect, self.storing);
        }
    }

    /// Notes a valid request that asks for these ids.
    pub(crate) fn ids_asked(&self, identity_name: &str, values: &[String]) {
        self.ids.ask(identity_name, values);
        lock(&self.figures).stats.register_ids += values.len() as u64;
    }

    /// The EUID of an id, whose user is that of `owner`; it is there from now on.
    pub(crate) fn register(&self, identity_name: &str, value: &str, owner: &str) -> u64 {
        let euid = self.ids.give(identity_name, value, owner);
        if let Some(users) = self.shard(euid)
            && lock(users).entry(euid).or_default().create()
        {
            lock(&self.figures).stats.users_created += 1;
        }
        euid
    }

    pub(crate) fn is_retired(&self, euid: u64) -> bool {
        self.ids.is_retired(euid)
    }

    /// What a read of users shows, of those that are known. None: users can't be read, since only figures are kept.
    pub(crate) fn read(&self, euids: &[u64]) -> Option<Vec<(u64, Map<String, Value>)>> {
        let Users::Whole(shards) = &self.users else { return None };
        let read = |euid: &u64| Some((*euid, lock(&shards[shard_of(*euid)]).get_mut(euid)?.read()?));
        Some(euids.iter().filter_map(read).collect())
    }

    /// Notes a valid request that reads so many users.
    pub(crate) fn euids_asked(&self, count: usize) {
        lock(&self.figures).stats.profile_euids += count as u64;
    }

    /// Notes a request of some content that asks for users; says how-manieth of that content it is, from 1.
    pub(crate) fn nth_of_content(&self, kind: Kind, content: u64) -> u64 {
        lock(if kind == Kind::Profile { &self.readings } else { &self.registrations }).note(content)
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

    fn of_user<T>(&self, euid: u64, look: impl FnOnce(&User) -> T) -> Option<T> {
        lock(self.shard(euid)?).get(&euid).map(look)
    }

    fn of_users<T>(&self, look: impl Fn(&User) -> Option<T>) -> BTreeMap<u64, T> {
        let of_shard = |shard: &Mutex<HashMap<u64, User>>| {
            lock(shard).iter().filter_map(|(euid, user)| Some((*euid, look(user)?))).collect::<Vec<_>>()
        };
        self.shards().iter().flat_map(of_shard).collect()
    }
}

fn shards<T: Default>() -> Vec<T> {
    std::iter::repeat_with(T::default).take(SHARDS).collect()
}

fn shard_of(euid: u64) -> usize {
    (euid % SHARDS as u64) as usize
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fault::Fault;

    fn record(recording: Recording, faults: Vec<Fault>) -> Record {
        Record::new(&SandboxOptions { faults, recording, ..SandboxOptions::default() })
    }

    /// Lets a user's request arrive and end.
    fn arrive(record: &Record, euid: u64) -> u64 {
        let contacts: Map<String, Value> = [("email".to_owned(), json!("1@example.com"))].into_iter().collect();
        let nth = record.begin(euid, &contacts);
        record.end(euid, contacts, json!(0), Effect::Stored);
        nth
    }

    #[test]
    fn figures_hold_no_user_and_which_request_it_is_stays_the_same() {
        let faults = vec!["drop:0.5".parse().unwrap()];
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
        assert!(whole.read(&[1]).is_some());
        for record in [figures, nothing] {
            record.ids_asked("user_id", &["a".to_owned()]);
            let euid = record.register("user_id", "a", "a");
            assert!(record.contacts().is_empty() && record.user(1).is_none() && record.requests(1).is_empty());
            assert!(record.profiles().is_empty() && record.ids().is_empty() && record.read(&[1, euid]).is_none());
            // Also where nothing is kept, a user that is gone is known to be.
            record.retire(euid);
            assert!(record.is_retired(euid) && record.register("user_id", "a", "a") != euid);
        }
    }

    #[test]
    fn phones_and_mail_addresses_are_normalised_where_that_is_asked_for() {
        let contacts: Map<String, Value> = [
            ("email", "Ann@Example.com"),
            ("mobile_phone", "+1 (201) 555-0101"),
            ("wechat", "Ann 1"),
            ("landline_phone", ""),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
        let record = Record::new(&SandboxOptions { normalise: true, ..SandboxOptions::default() });
        record.begin(7, &contacts);
        record.end(7, contacts.clone(), json!(0), Effect::Stored);
        let held = json!({"email": "ann@example.com", "mobile_phone": "12015550101", "wechat": "Ann 1"});
        assert_eq!(json!(record.profile(7)), held);
        assert_eq!(record.requests(7)[0].contacts, contacts);
    }
}
