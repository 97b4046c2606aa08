use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::fault::Fault;

/// How the imitation behaves.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long an answer takes.
    pub latency: Duration,
    /// Requests above this are answered 429.
    pub limit: Option<Limit>,
    /// What goes wrong, and how often.
    pub faults: Vec<Fault>,
    /// Decides which requests meet a fault.
    pub seed: u64,
    /// An empty value is refused (55103) instead of clearing its contact.
    pub refuse_empty: bool,
    /// A user's contacts that a request leaves out are forgotten, which nothing says the API does or doesn't.
    pub forget_omitted: bool,
    /// What is kept of what arrives.
    pub recording: Recording,
    /// The API key it accepts.
    pub api_key: String,
    /// The secret it accepts.
    pub api_secret: String,
}

/// What is kept of what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Every user, with contacts and the latest requests: it grows with the users.
    Whole,
    /// Figures only. Where faults are set, how many requests of each user arrived as well, since that decides which of
    /// them meets one: some ten to twenty bytes a user.
    Figures,
}

/// Requests in a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub count: u64,
    /// In which time.
    pub per: Duration,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            limit: None,
            faults: Vec::new(),
            seed: 0,
            refuse_empty: false,
            forget_omitted: false,
            recording: Recording::Whole,
            api_key: "sandbox-key".to_owned(),
            api_secret: "sandbox-secret".to_owned(),
        }
    }
}

impl std::fmt::Debug for SandboxOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The credentials may be real ones.
        f.debug_struct("SandboxOptions")
            .field("listen", &self.listen)
            .field("latency", &self.latency)
            .field("limit", &self.limit)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .field("refuse_empty", &self.refuse_empty)
            .field("forget_omitted", &self.forget_omitted)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}
