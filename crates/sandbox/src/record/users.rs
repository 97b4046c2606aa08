use std::collections::VecDeque;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Requests of one user that are kept.
const KEPT_REQUESTS: usize = 1_000;

/// A user of whom something arrived.
#[derive(Debug, Default)]
pub(super) struct User {
    pub(super) arrivals: u64,
    under_way: u32,
    pub(super) overlapped: bool,
    pub(super) requests: VecDeque<Arrived>,
    pub(super) contacts: Map<String, Value>,
    /// The service knows it: its id was registered, or a request that sets its contacts was carried out.
    exists: bool,
    /// What the next read still shows in the place of what is held.
    before: Option<Before>,
}

/// What was held of a user; none where it wasn't known.
#[derive(Debug)]
struct Before(Option<Map<String, Value>>);

/// One valid request of a user.
#[derive(Debug, Clone, Serialize)]
pub struct Arrived {
    /// Names and values.
    pub contacts: Map<String, Value>,
    /// The code it was answered with, or the fault it met; null while it is under way.
    pub answered: Value,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Nothing,
    Stored,
    /// Not seen by the next read.
    StoredLate,
    /// The user is gone with all that was held.
    Forgotten,
}

/// How contacts are stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Storing {
    pub(super) forget_omitted: bool,
    pub(super) normalise: bool,
}

impl User {
    /// Notes a valid request; says how-manieth it is, from 1.
    pub(super) fn begin(&mut self, contacts: &Map<String, Value>) -> u64 {
        self.arrivals += 1;
        self.under_way += 1;
        self.overlapped |= self.under_way > 1;
        if self.requests.len() == KEPT_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(Arrived { contacts: contacts.clone(), answered: Value::Null });
        self.arrivals
    }

    /// Notes how a request ended; an empty value clears its contact.
    pub(super) fn end(&mut self, contacts: Map<String, Value>, answered: Value, effect: Effect, storing: Storing) {
        self.under_way = self.under_way.saturating_sub(1);
        let waiting = self.requests.iter_mut().rev().find(|request| request.answered.is_null());
        if let Some(request) = waiting {
            request.answered = answered;
        }
        match effect {
            Effect::Nothing => {}
            Effect::Forgotten => self.vanish(),
            Effect::Stored | Effect::StoredLate => {
                self.before = (effect == Effect::StoredLate).then(|| Before(self.held()));
                self.store(contacts, storing);
            }
        }
    }

    fn store(&mut self, contacts: Map<String, Value>, storing: Storing) {
        self.exists = true;
        if storing.forget_omitted {
            self.contacts.clear();
        }
        for (name, value) in contacts {
            let value = if storing.normalise { normalised(&name, &value) } else { value };
            if value.as_str() == Some("") {
                self.contacts.remove(&name);
            } else {
                self.contacts.insert(name, value);
            }
        }
    }

    /// Makes it known; says whether it wasn't.
    pub(super) fn create(&mut self) -> bool {
        !std::mem::replace(&mut self.exists, true)
    }

    pub(super) fn vanish(&mut self) {
        self.exists = false;
        self.contacts.clear();
        self.before = None;
    }

    /// What the service holds of it; none where it isn't known.
    pub(super) fn held(&self) -> Option<Map<String, Value>> {
        self.exists.then(|| self.contacts.clone())
    }

    /// What a read shows.
    pub(super) fn read(&mut self) -> Option<Map<String, Value>> {
        self.before.take().map_or_else(|| self.held(), |Before(held)| held)
    }

    pub(super) fn told(&self, euid: u64) -> Value {
        json!({
            "euid": euid, "contacts": self.contacts, "requests": self.requests, "arrivals": self.arrivals,
            "overlapped": self.overlapped, "exists": self.exists,
        })
    }
}

/// A phone as its digits, a mail address in lower case.
fn normalised(name: &str, value: &Value) -> Value {
    let text = value.as_str().unwrap_or_default();
    if name.ends_with("_phone") {
        return text.chars().filter(char::is_ascii_digit).collect::<String>().into();
    }
    if name == "email" { text.to_lowercase().into() } else { value.clone() }
}
