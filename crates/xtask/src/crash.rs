use std::process::Command;

use anyhow::{Context, bail};
use clap::Args;

/// The test that kills and resumes.
const TEST: &str = "crash::killed_at_any_moment_it_resumes_and_loses_nothing";

#[derive(Debug, Args)]
pub(crate) struct CrashArgs {
    /// How many runs, each of which is killed up to four times
    #[arg(long, default_value_t = 300)]
    seeds: u64,
}

/// Runs the crash campaign of the tests over more seeds, with the release build.
pub(crate) fn campaign(args: &CrashArgs) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--locked", "--release", "--package", "contactsync", "--test", "it", "--"])
        .args(["--exact", TEST, "--nocapture"])
        .env("CONTACTSYNC_CRASH_SEEDS", args.seeds.to_string())
        .status()
        .context("cargo can't be run")?;
    if !status.success() {
        bail!("a run lost something: see above for its seed");
    }
    Ok(())
}
