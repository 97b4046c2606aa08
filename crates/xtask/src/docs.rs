use std::process::Command;

use anyhow::{Context, bail};

/// The tests that compare what is generated with the program, and write it where they are asked to.
const TESTS: [(&str, [&str; 2], &str); 2] = [
    ("the reference", ["--test", "it"], "reference::the_reference_is_what_the_program_says"),
    ("the schemas", ["--bin", "contactsync"], "schemas::the_schemas_are_those_of_the_types"),
];

/// Writes docs/reference.md from what the program says of itself, and docs/schema from the types that it writes.
pub(crate) fn write() -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for (what, target, test) in TESTS {
        let status = Command::new(&cargo)
            .args(["test", "--quiet", "--locked", "--package", "contactsync"])
            .args(target)
            .args(["--", "--exact", test])
            .env("CONTACTSYNC_WRITE_REFERENCE", "1")
            .status()
            .context("cargo can't be run")?;
        if !status.success() {
            bail!("{what} could not be written");
        }
    }
    Ok(())
}
