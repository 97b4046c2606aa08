//! What the crates are handed: arguments, checked and turned into their settings. Whatever can be found wrong without
//! looking at an input is found here, before anything is read or sent.

mod base_url;
mod command_line;
mod credentials;
mod files_from;
mod inputs;
mod monitor;
mod named;
mod notify;
#[cfg(feature = "otel")]
mod otlp;
mod output;
mod outputs;
mod plan;
mod push;
mod replay;
mod rows;
mod sandbox;
mod secret;
mod service;
mod shard;
mod share_rate;
mod state;
mod summary;
mod target;
mod verify;
mod window;

pub(crate) use command_line::CommandLine;
pub(crate) use credentials::Credentials;
pub(crate) use inputs::InputSettings;
pub(crate) use monitor::MetricsFileSettings;
pub(crate) use named::{NamedFile, refuse_replacing_what_is_read, refuse_shared_log};
pub(crate) use notify::NotifySettings;
#[cfg(feature = "otel")]
pub(crate) use otlp::OtlpSettings;
pub(crate) use output::{Output, STANDARD_STREAM};
pub(crate) use outputs::{Identity, ReadFile, ReportSettings, refuse_shared_outputs};
pub(crate) use plan::{DryRunSettings, PlannedService};
pub(crate) use push::{CanarySettings, PushSettings, SendingSettings};
pub(crate) use replay::{AskedState, ReplaySettings};
pub(crate) use rows::{LeftOut, RowChoice};
pub(crate) use sandbox::served_sandbox;
pub(crate) use service::ServiceSettings;
pub(crate) use shard::StateShard;
pub(crate) use share_rate::SharedRate;
pub(crate) use state::StateSettings;
pub(crate) use target::{Binding, Target};
pub(crate) use verify::{VerifySettings, Verifying};
pub(crate) use window::SendingWindow;
