use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

/// The tests that kill and resume: reports, a state, many nights with one, rows keyed by ids, rows compared with the
/// service, and `verify`.
const TESTS: [&str; 6] = [
    "crash::killed_at_any_moment_it_resumes_and_loses_nothing",
    "crash::killed_at_any_moment_a_state_is_never_wrong",
    "oracle::no_change_is_skipped_whatever_happens_in_many_nights",
    "crash::identified::killed_at_any_moment_ids_are_resolved_and_rows_decided_once",
    "crash::compared::killed_at_any_moment_what_is_unchanged_was_there",
    "crash::verified::killed_at_any_moment_verify_names_the_rows_that_differ",
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
