//! Where a setting comes from: flags beat the environment, which beats `--config FILE` or else `contactsync.toml` in
//! the current folder, which beats the user's own `contactsync/config.toml`, which beats the defaults.
//!
//! What was typed goes in, what holds comes out: whatever the command line leaves open and a layer below sets is put
//! into a second command line, so that each value passes the same checks wherever it was written.

mod environment;
mod file;
mod keys;
mod merge;
mod needs;
mod resolve;
mod source;

pub(crate) use environment::Environment;
pub(crate) use keys::{Keys, closest, default_of, long_help, options};
pub(crate) use resolve::{Layers, Resolved, Unresolved, resolve, user_file};
pub(crate) use source::{Setting, Source};
