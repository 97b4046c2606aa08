use std::process::Command;

use anyhow::{Context, bail};

/// The test that compares the reference with the program, and writes it where it is asked to.
const TEST: &str = "reference::the_reference_is_what_the_program_says";

/// Writes docs/reference.md from what the program says of itself.
pub(crate) fn write() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--quiet", "--locked", "--package", "contactsync", "--test", "it", "--", "--exact", TEST])
        .env("CONTACTSYNC_WRITE_REFERENCE", "1")
        .status()
        .context("cargo can't be run")?;
    if !status.success() {
        bail!("the reference could not be written");
    }
    Ok(())
}
