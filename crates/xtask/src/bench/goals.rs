//! What the figures should reach, said at the end of a run.

use super::{case::Spread, process::say};

/// Which side of a bound is the good one.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

/// The goals that this run had something to say about.
#[derive(Debug, Default)]
pub(crate) struct Goals(Vec<String>);

impl Goals {
    /// Holds a figure's median against a bound. None: it was not measured.
    pub(crate) fn expect(&mut self, what: &str, figure: Option<Spread>, bound: Bound) {
        let Some(figure) = figure else { return };
        let (sign, limit, reached) = match bound {
            Bound::AtLeast(limit) => ("≥", limit, figure.median >= limit),
            Bound::AtMost(limit) => ("≤", limit, figure.median <= limit),
        };
        let reached = if reached { "yes" } else { "**no**" };
        self.0.push(format!("| {what} | {sign} {limit} | {} | {reached} |", figure.shown(3)));
    }

    pub(crate) fn print(&self) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        say("\n## Goals\n\n| | goal | measured | reached |\n|---|---|---|---|")?;
        self.0.iter().try_for_each(|line| say(line))
    }
}
