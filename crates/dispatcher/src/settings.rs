use std::{num::NonZeroU64, time::Duration};

use secrecy::SecretString;
use url::Url;

/// How requests are paced, retried and stopped.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Attempts that may start in a second, a minute or an hour; every attempt counts.
    pub rate: Rate,
    /// How many attempts may start at once, at least 1.
    pub burst: u32,
    /// Requests that read users, in a second, a minute or an hour; they don't count against `rate`.
    pub profile_rate: Rate,
    /// Requests under way at once, at least 1.
    pub in_flight: usize,
    /// Rows that may be let in and not be decided; none: as many as keep those in flight busy.
    pub most_rows: Option<usize>,
    /// Attempts after the first.
    pub retries: u32,
    /// First backoff; each further one may be twice as long.
    pub retry_base: Duration,
    /// Longest backoff.
    pub retry_cap: Duration,
    /// Further API codes that are retried as `rate_limited`.
    pub retry_codes: Vec<i64>,
    /// API codes that count as accepted.
    pub ok_codes: Vec<i64>,
    /// When to stop because too many rows failed.
    pub max_failures: MaxFailures,
    /// How long attempts under way may take once the run stops.
    pub grace: Duration,
    /// How long sending may be held before the run stops; zero turns the outage rule off.
    pub outage_wait: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rate: Rate::default(),
            burst: 2,
            profile_rate: Rate::PROFILE,
            in_flight: 64,
            most_rows: None,
            retries: 5,
            retry_base: Duration::from_millis(500),
            retry_cap: Duration::from_secs(30),
            retry_codes: Vec::new(),
            ok_codes: Vec::new(),
            max_failures: MaxFailures::Percent(100.0),
            grace: Duration::from_secs(30),
            outage_wait: DEFAULT_OUTAGE_WAIT,
        }
    }
}

/// The outage wait where none is set, and the longest `Retry-After` that is waited out where the rule is off.
pub const DEFAULT_OUTAGE_WAIT: Duration = Duration::from_mins(15);

/// Attempts per unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// At most `count` attempts in each `per`.
    Limited {
        /// How many.
        count: NonZeroU64,
        /// In which time: a second, a minute, an hour.
        per: Duration,
    },
    /// No limit of ours.
    Unlimited,
}

impl Default for Rate {
    fn default() -> Self {
        Self::Limited { count: NonZeroU64::new(100).unwrap_or(NonZeroU64::MIN), per: Duration::from_secs(1) }
    }
}

impl Rate {
    /// That of requests that read users, where none is set: a tenth below the 1,000 a minute that EngageLab publishes.
    pub const PROFILE: Self = Self::Limited { count: NonZeroU64::MIN.saturating_add(899), per: Duration::from_mins(1) };

    /// The burst where none is set: a hundredth of the attempts of a second, at least 2.
    pub fn default_burst(self) -> u32 {
        match self {
            Self::Limited { count, per } => {
                let hundredth = count.get() as f64 / per.as_secs_f64() / 100.0;
                hundredth.clamp(2.0, 1_000_000.0) as u32
            }
            Self::Unlimited => 2,
        }
    }
}

/// When a run stops because rows failed. Rejected rows don't count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MaxFailures {
    /// Never.
    None,
    /// Once so many rows failed.
    Rows(u64),
    /// Once this share of the rows answered failed, looked at after the first 100.
    Percent(f64),
}

/// Where requests go, as whom, and how the connection is made.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Base URL, without user info, query or fragment.
    pub base_url: Url,
    /// API key of the data source.
    pub api_key: SecretString,
    /// Its secret.
    pub api_secret: SecretString,
    /// Longest time for one attempt, its answer included.
    pub timeout: Duration,
    /// Longest time for making a connection.
    pub connect_timeout: Duration,
    /// Further certificate authorities to trust, PEM.
    pub ca_cert_pem: Option<Vec<u8>>,
    /// Proxy for all requests, but for loopback; else the system's proxy settings hold.
    pub proxy: Option<SecretString>,
    /// Connections kept open when idle: the in-flight limit.
    pub max_idle: usize,
}
