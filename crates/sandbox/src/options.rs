use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use crate::{fault::Fault, shape::ProfileShape};

/// How the imitation behaves.
#[derive(Clone)]
pub struct SandboxOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long an answer takes.
    pub latency: Duration,
    /// Requests above this are answered 429; those that read users have a limit of their own.
    pub limit: Option<Limit>,
    /// Requests that read users above this are answered 429.
    pub profile_limit: Option<Limit>,
    /// How answers list users.
    pub profile_shape: ProfileShape,
    /// What goes wrong, and how often.
    pub faults: Vec<Fault>,
    /// Decides which requests meet a fault.
    pub seed: u64,
    /// An empty value is refused (55103) instead of clearing its contact.
    pub refuse_empty: bool,
    /// A user's contacts that a request leaves out are forgotten, which nothing says the API does or doesn't.
    pub forget_omitted: bool,
    /// Phones are stored as their digits, mail addresses in lower case, which nothing says the API does or doesn't.
    pub normalise: bool,
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
    /// Every user, with contacts and the latest requests, and every id: it grows with them.
    Whole,
    /// Figures only, so users can't be read. Where faults are set, how many requests of each user and of each content
    /// arrived as well, since that decides which of them meets one: some ten to twenty bytes for each.
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

impl Limit {
    /// The only limit that the API's documentation names: of requests that read users.
    pub const PROFILE: Self = Self { count: 1_000, per: Duration::from_mins(1) };
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            latency: Duration::ZERO,
            limit: None,
            profile_limit: Some(Limit::PROFILE),
            profile_shape: ProfileShape::default(),
            faults: Vec::new(),
            seed: 0,
            refuse_empty: false,
            forget_omitted: false,
            normalise: false,
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
            .field("profile_limit", &self.profile_limit)
            .field("profile_shape", &self.profile_shape)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .field("refuse_empty", &self.refuse_empty)
            .field("forget_omitted", &self.forget_omitted)
            .field("normalise", &self.normalise)
            .field("recording", &self.recording)
            .finish_non_exhaustive()
    }
}
