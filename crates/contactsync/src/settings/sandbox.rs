use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use dispatcher::Rate;
use sandbox::{Limit, Recording, SandboxOptions};
use secrecy::{ExposeSecret, SecretString};

use crate::args::{SandboxArgs, SandboxFaultArgs};

/// How long the sandbox takes for an answer where nothing is said: about what a service nearby takes.
const LATENCY: Duration = Duration::from_millis(20);

/// The sandbox of `push --sandbox`, on a free port. Nobody asks it what arrived, so it keeps figures only.
pub(crate) fn pushed_sandbox(args: &SandboxFaultArgs) -> SandboxOptions {
    SandboxOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        latency: args.latency.unwrap_or(LATENCY),
        limit: args.limit.and_then(limit),
        faults: args.fault.clone(),
        seed: args.seed.unwrap_or(0),
        refuse_empty: args.refuse_empty,
        profile_limit: args.profile_limit.map_or(Some(Limit::PROFILE), limit),
        profile_shape: args.profile_shape.unwrap_or_default(),
        normalise: args.normalise,
        recording: Recording::Figures,
        ..SandboxOptions::default()
    }
}

/// The sandbox of the `sandbox` command.
pub(crate) fn served_sandbox(args: &SandboxArgs) -> SandboxOptions {
    let SandboxOptions { api_key, api_secret, .. } = SandboxOptions::default();
    let given = |secret: &Option<SecretString>, default| match secret {
        Some(secret) => secret.expose_secret().to_owned(),
        None => default,
    };
    SandboxOptions {
        listen: args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))),
        latency: args.latency.unwrap_or(LATENCY),
        limit: args.limit.and_then(limit),
        faults: args.fault.clone(),
        seed: args.seed.unwrap_or(0),
        refuse_empty: args.refuse_empty,
        forget_omitted: args.forget_omitted,
        profile_limit: args.profile_limit.map_or(Some(Limit::PROFILE), limit),
        profile_shape: args.profile_shape.unwrap_or_default(),
        normalise: args.normalise,
        recording: Recording::Whole,
        api_key: given(&args.api_key, api_key),
        api_secret: given(&args.api_secret, api_secret),
    }
}

fn limit(rate: Rate) -> Option<Limit> {
    match rate {
        Rate::Limited { count, per } => Some(Limit { count: count.get(), per }),
        Rate::Unlimited => None,
    }
}
