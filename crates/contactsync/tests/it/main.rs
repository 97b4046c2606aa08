//! The program from outside: what is typed, what comes out, how it ends. A module for each command or theme.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod arguments;
mod around;
mod asked_state;
mod canary;
mod check;
mod check_outputs;
mod clears;
mod config;
mod crash;
mod credentials;
mod decision_table;
mod deploy;
mod disk;
mod doctor;
mod documents;
mod explain;
mod files_from;
mod inputs;
mod kubernetes;
mod layers;
mod log_file;
mod manual;
mod mend;
mod metrics;
mod never_skipped;
mod nights;
mod oracle;
#[cfg(feature = "otel")]
mod otlp;
mod own_ids;
mod own_ids_checked;
mod own_ids_mended;
mod own_ids_refused;
mod own_ids_replayed;
mod packaging;
mod pages;
mod plan;
mod plan_state;
mod push;
mod push_stops;
mod recipes;
#[cfg(feature = "redis")]
mod redis_server;
mod reference;
mod replay;
mod report;
mod resume;
mod sandbox;
mod schemas;
mod service;
mod shards;
mod shards_state;
mod share_rate;
#[cfg(feature = "redis")]
mod share_rate_redis;
#[cfg(feature = "redis")]
mod sharing;
mod signals;
mod slow_disk;
mod spool;
mod stalled;
mod state_command;
mod state_file;
mod support;
mod unchanged;
mod vanished;
mod verify;
mod window;
