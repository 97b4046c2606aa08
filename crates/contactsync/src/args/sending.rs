use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use secrecy::SecretString;

use super::values;

/// How contacts are sent.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct SendingArgs {
    #[command(flatten)]
    pub(crate) requests: RequestArgs,
    /// Attempts that may start: N/s, N/m, N/h or unlimited [default: 100/s]
    #[arg(long, value_name = "RATE", value_parser = values::rate)]
    pub(crate) rate: Option<dispatcher::Rate>,
    /// How many attempts may start at once [default: a hundredth of the rate, at least 2]
    #[arg(long, value_name = "NUMBER", value_parser = values::positive_u32, hide_short_help = true)]
    pub(crate) burst: Option<u32>,
    /// An API code that counts as accepted, as 55014; repeatable [default: none]
    #[arg(long, value_name = "CODE", allow_negative_numbers = true, hide_short_help = true)]
    pub(crate) ok_code: Vec<i64>,
    /// Send so many rows first, show what came back, and go on only where fewer than --max-failures (1 where it isn't
    /// given) of them failed; on a terminal it asks before it goes on [default: off]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..=1_000), hide_short_help = true)]
    pub(crate) canary: Option<u64>,
    /// Don't ask after a canary [default: off]
    #[arg(long, requires = "canary", hide_short_help = true)]
    pub(crate) yes: bool,
}

/// The help of `--share-rate`, in which brackets are no links.
#[cfg(feature = "redis")]
const SHARE_RATE: &str = "Keep within one rate together with all processes that name the same file (of a local disk), or the \
same key in Redis or Valkey: redis://[USER@]HOST[:PORT][/DB]?key=NAME, rediss:// for TLS; the password goes into \
CONTACTSYNC_REDIS_PASSWORD [default: none]";
#[cfg(not(feature = "redis"))]
const SHARE_RATE: &str = "Keep within one rate together with all processes that name the same file (of a local disk); a key in \
Redis or Valkey needs a build with the feature redis [default: none]";

/// Where requests go, and how they are retried and stopped: whatever they ask.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct RequestArgs {
    /// Data centre of the project: Singapore or US Virginia [default: sg]
    #[arg(long, value_name = "REGION")]
    pub(crate) region: Option<Region>,
    /// Talk to this address instead of the region's (environment: ENGAGELAB_MA_BASE_URL) [default: the region's]
    // Kept as typed and as a secret: it may hold user info, which no message may show.
    #[arg(long, value_name = "URL", value_parser = values::secret(), conflicts_with = "sandbox", hide_short_help = true)]
    pub(crate) base_url: Option<SecretString>,
    /// Let credentials and contacts go over http:// to other machines [default: off]
    #[arg(long, hide_short_help = true)]
    pub(crate) allow_insecure_http: bool,
    /// Talk to an imitation of the API inside this process; no credentials needed (never from environment or
    /// configuration) [default: off]
    #[arg(long)]
    pub(crate) sandbox: bool,
    /// Requests under way at once [default: 64]
    #[arg(long, value_name = "NUMBER", value_parser = values::in_flight, hide_short_help = true)]
    pub(crate) in_flight: Option<usize>,
    /// Threads that send; requests under way are shared out over them [default: 2, or 1 on a single core]
    #[arg(long, value_name = "NUMBER", value_parser = values::threads, hide_short_help = true)]
    pub(crate) threads: Option<usize>,
    /// Longest time for one attempt [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = values::positive_duration, hide_short_help = true)]
    pub(crate) timeout: Option<Duration>,
    /// Longest time for making a connection [default: 10s]
    #[arg(long, value_name = "DURATION", value_parser = values::positive_duration, hide_short_help = true)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Attempts after the first [default: 5]
    #[arg(long, value_name = "NUMBER", hide_short_help = true)]
    pub(crate) retries: Option<u32>,
    /// First backoff; it doubles with each retry, with full jitter [default: 500ms]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, hide_short_help = true)]
    pub(crate) retry_base: Option<Duration>,
    /// Longest backoff [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, hide_short_help = true)]
    pub(crate) retry_cap: Option<Duration>,
    /// A further API code that is retried; repeatable [default: none]
    #[arg(long, value_name = "CODE", allow_negative_numbers = true, hide_short_help = true)]
    pub(crate) retry_code: Vec<i64>,
    /// Stop once so many rows, or so many percent of the rows answered, have failed: 10, 5% or none [default: 100%]
    #[arg(long, value_name = "NUMBER|PERCENT", value_parser = values::max_failures, hide_short_help = true)]
    pub(crate) max_failures: Option<dispatcher::MaxFailures>,
    /// How long attempts under way may take once the run stops [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, hide_short_help = true)]
    pub(crate) grace: Option<Duration>,
    /// How long to wait for a service that is down before the run stops; 0 turns the outage rule off [default: 15m]
    #[arg(long, value_name = "DURATION", value_parser = values::duration, hide_short_help = true)]
    pub(crate) outage_wait: Option<Duration>,
    // Kept as typed and as a secret: it may hold a password, which no message may show.
    #[arg(long, value_name = "FILE|URL", value_parser = values::secret(), hide_short_help = true, help = SHARE_RATE)]
    pub(crate) share_rate: Option<SecretString>,
    /// PEM file with further certificate authorities to trust [default: none]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Proxy for all requests; one with a password goes into CONTACTSYNC_PROXY [default: the system's]
    #[arg(long, value_name = "URL", value_parser = values::secret(), hide_short_help = true)]
    pub(crate) proxy: Option<SecretString>,
}

/// `--region`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Region {
    /// Singapore
    Sg,
    /// US Virginia
    Usva,
}
