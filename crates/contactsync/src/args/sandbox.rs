use std::time::Duration;

use clap::Args;

use super::values;

/// How the sandbox of `push --sandbox` behaves.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SandboxFaultArgs {
    /// A fault with its probability: code=-1:0.05, status=502:0.01, drop:0.01, lost:0.01, partial:0.01,
    /// hang:0.001, garbage:0.01, of one kind of requests as profile/drop:0.01; unstored:P, altered:P, forgotten:P, late:P;
    /// stale:P, unknown:P, twin:P, refused=55105:P; repeatable [default: none]
    #[arg(
        id = "sandbox_fault",
        long = "sandbox-fault",
        value_name = "SPEC",
        value_parser = values::fault,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) fault: Vec<sandbox::Fault>,
    /// How long each answer takes [default: 20ms]
    #[arg(
        id = "sandbox_latency",
        long = "sandbox-latency",
        value_name = "DURATION",
        value_parser = values::duration,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) latency: Option<Duration>,
    /// Requests let through, as 200/s; what is over gets a 429 [default: unlimited]
    #[arg(
        id = "sandbox_limit",
        long = "sandbox-limit",
        value_name = "RATE",
        value_parser = values::rate,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) limit: Option<dispatcher::Rate>,
    /// Which requests the faults hit [default: 0]
    #[arg(
        id = "sandbox_seed",
        long = "sandbox-seed",
        value_name = "NUMBER",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) seed: Option<u64>,
    /// Refuse empty values (code 55103) instead of clearing their contacts [default: off]
    #[arg(id = "sandbox_refuse_empty", long = "sandbox-refuse-empty", requires = "sandbox", hide_short_help = true)]
    pub(crate) refuse_empty: bool,
    /// Requests that read users let through, as 1000/m, apart from the others; none for no limit [default: 1000/m]
    #[arg(
        id = "sandbox_profile_limit",
        long = "sandbox-profile-limit",
        value_name = "RATE",
        value_parser = values::limit,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) profile_limit: Option<dispatcher::Rate>,
    /// How answers list users: object, nulls, empties, digits, name-value, key-value, contact-name, plain, keyed, or
    /// unknown, which nobody understands [default: object]
    #[arg(
        id = "sandbox_profile_shape",
        long = "sandbox-profile-shape",
        value_name = "SHAPE",
        value_parser = values::profile_shape,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(crate) profile_shape: Option<sandbox::ProfileShape>,
    /// Store phones as their digits, and mail addresses in lower case [default: off]
    #[arg(id = "sandbox_normalise", long = "sandbox-normalise", requires = "sandbox", hide_short_help = true)]
    pub(crate) normalise: bool,
}
