use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

/// The tests that kill and resume: reports, a state, and many nights with one.
const TESTS: [&str; 3] = [
    "crash::killed_at_any_moment_it_resumes_and_loses_nothing",
    "crash::killed_at_any_moment_a_state_is_never_wrong",
    "oracle::no_change_is_skipped_whatever_happens_in_many_nights",
];

#[derive(Debug, Args)]
pub(crate) struct CrashArgs {
    /// How many runs, each of which is killed up to four times
    #[arg(long, default_value_t = 300)]
    seeds: u64,
}

/// Runs the crash campaigns of the tests over more seeds, one after the other, with the release build.
pub(crate) fn campaign(args: &CrashArgs) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--locked", "--release", "--package", "contactsync", "--test", "it", "--"])
        .args(["--exact", "--nocapture", "--test-threads=1"])
        .args(TESTS)
        .env("CONTACTSYNC_CRASH_SEEDS", args.seeds.to_string())
        .status()
        .context("cargo can't be run")?;
    if !status.success() {
        bail!("a run lost something, or a change was skipped: see above for its seed");
    }
    Ok(())
}
