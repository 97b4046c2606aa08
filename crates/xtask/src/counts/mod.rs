//! `cargo xtask counts`: how many instructions a row costs in each step, held against limits in the repository.
//!
//! Times move with whatever else a machine does, counts hardly do. Each step runs under valgrind with some rows and
//! with more; the difference is what the rows cost, without the process around them.

mod reports;
mod steps;

use std::{
    collections::BTreeMap,
    io::{Write, stdout},
    path::Path,
    process::Command,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use serde::Deserialize;

use self::steps::Step;
pub(crate) use self::steps::{CountedArgs, counted};

/// Rows of the shorter run; the longer one has three times as many.
const ROWS: u64 = 5_000;
/// Below this share of its limit a step has become so much cheaper that the limit should follow.
const WORTH_LOWERING: f64 = 0.8;

/// Options of `counts`.
#[derive(Debug, Args)]
pub(crate) struct CountsArgs {
    /// Which steps [default: all]
    #[arg(value_enum)]
    steps: Vec<Step>,
}

/// The file counts.toml.
#[derive(Debug, Deserialize)]
struct Limits {
    /// By step: most instructions a row.
    instructions: BTreeMap<String, u64>,
}

/// `counts`.
pub(crate) fn counts(args: &CountsArgs) -> anyhow::Result<()> {
    let limits = limits()?;
    let mut out = stdout().lock();
    if !Command::new("valgrind").arg("--version").output().is_ok_and(|found| found.status.success()) {
        writeln!(out, "skipped: valgrind is not installed, so no instructions were counted")?;
        return Ok(());
    }
    let steps = if args.steps.is_empty() { Step::value_variants() } else { &args.steps };
    writeln!(out, "| step | instructions a row | limit | |\n|---|---|---|---|")?;
    let mut above = Vec::new();
    for step in steps {
        let name = name(*step);
        let limit = limits.get(&name).copied().with_context(|| format!("counts.toml has no limit for {name}"))?;
        let cost = (run(&name, 3 * ROWS)?.saturating_sub(run(&name, ROWS)?)) / (2 * ROWS);
        let remark = if cost > limit {
            above.push(name.clone());
            "**above**"
        } else if (cost as f64) < limit as f64 * WORTH_LOWERING {
            "lower the limit"
        } else {
            ""
        };
        writeln!(out, "| {name} | {cost} | {limit} | {remark} |")?;
    }
    if !above.is_empty() {
        bail!("above the limit in counts.toml: {}", above.join(", "));
    }
    Ok(())
}

fn limits() -> anyhow::Result<BTreeMap<String, u64>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", path.display()))?;
    Ok(toml::from_str::<Limits>(&text)?.instructions)
}

fn name(step: Step) -> String {
    step.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Runs a step under valgrind and says how many instructions the whole process took.
fn run(step: &str, rows: u64) -> anyhow::Result<u64> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
    let output = command.arg(std::env::current_exe()?).args(["counted", step, &rows.to_string()]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("counting {step} ended with {}: {}", output.status, said.trim());
    }
    counted_by_valgrind(&said).with_context(|| format!("valgrind counted nothing of {step}: {}", said.trim()))
}

/// From a line like `==123== I   refs:      1,234,567`.
fn counted_by_valgrind(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.contains("refs:") && line.contains(" I "))?;
    let (_, number) = line.split_once("refs:")?;
    number.trim().replace(',', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_limit_and_every_limit_a_step() {
        let limits: Vec<String> = limits().unwrap().into_keys().collect();
        let mut steps: Vec<String> = Step::value_variants().iter().map(|step| name(*step)).collect();
        steps.sort();
        assert!(!steps.is_empty());
        assert_eq!(limits, steps);
    }

    #[test]
    fn every_step_takes_its_rows() {
        for step in Step::value_variants() {
            steps::run(*step, 2_500).unwrap();
        }
    }

    #[test]
    fn valgrind_is_understood() {
        let said = "==7== Cachegrind, a cache profiler\n==7== \n==7== I   refs:      1,234,567\n";
        assert_eq!(counted_by_valgrind(said), Some(1_234_567));
        assert_eq!(counted_by_valgrind("==7== D   refs: 1"), None);
    }
}
