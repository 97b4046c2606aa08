//! A few rows first: what comes back from them decides whether the rest is sent.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
};

use dispatcher::{CanaryWatch, MaxFailures, Stop, StopCause};
use model::{Decision, Outcome, Reason, escape_controls};
use tokio::sync::oneshot;

use crate::{settings::CanarySettings, terminal::Printer};

/// Answers that are shown one by one.
const SHOWN: usize = 10;

/// Looks at what came back from the first rows, and decides on the others.
pub(super) struct CanaryLooker {
    pub(super) settings: CanarySettings,
    pub(super) stop: Stop,
    pub(super) printer: Printer,
}

/// What came back from a row.
#[derive(Debug, Clone)]
struct CameBack {
    row: String,
    outcome: Outcome,
    said: String,
}

impl CanaryLooker {
    /// Waits for what comes back, and lets the rest in or stops the run.
    pub(super) async fn look(self, mut watch: CanaryWatch) {
        let rows = self.settings.rows;
        let mut all = Vec::new();
        while (all.len() as u64) < rows {
            tokio::select! {
                biased;
                () = self.stop.stopping() => return,
                decision = watch.decided.recv() => match decision {
                    Some(decision) => all.push(CameBack::of(&decision)),
                    // There are fewer rows than that.
                    None => return,
                },
            }
        }
        if self.goes_on(&all).await {
            watch.lift();
        }
    }

    async fn goes_on(&self, all: &[CameBack]) -> bool {
        let rows = self.settings.rows;
        let failed = all.iter().filter(|one| one.outcome == Outcome::Failed).count() as u64;
        self.printer.note(&shown(all, failed));
        if is_too_many(failed, rows, self.settings.max_failures) {
            self.stop.because(StopCause::MaxFailures(format!("{failed} of the first {rows} rows failed")));
            return false;
        }
        if self.settings.yes || !io::stderr().is_terminal() {
            return true;
        }
        self.printer.hide_bar(true);
        let (tell, answer) = oneshot::channel();
        // A thread of its own: nobody waits for it where a signal comes instead of an answer. Without it the answer is no.
        let _ = std::thread::Builder::new().name("question".to_owned()).spawn(|| tell.send(ask().unwrap_or(false)));
        let goes_on = tokio::select! {
            biased;
            () = self.stop.stopping() => return false,
            answer = answer => answer.unwrap_or(false),
        };
        self.printer.hide_bar(false);
        if !goes_on {
            self.stop.because(StopCause::Declined("the canary's question was answered with no".to_owned()));
        }
        goes_on
    }
}

/// Standard input may be the data, so the terminal itself is asked.
fn ask() -> io::Result<bool> {
    let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
    terminal.write_all(b"Go on with the rest? [y/N] ")?;
    let mut answer = String::new();
    BufReader::new(terminal).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

impl CameBack {
    /// Without the answer's own words, which may repeat a value.
    fn of(decision: &Decision) -> Self {
        let Decision { origin, outcome, reason, answered, .. } = decision;
        let code = answered.code.map(|code| format!("code {code}"));
        let status = answered.http_status.map(|status| format!("HTTP {status}"));
        let parts = [reason.map(Reason::as_str).map(str::to_owned), code, status];
        Self {
            row: format!("{} line {}", escape_controls(&origin.source), origin.line),
            outcome: *outcome,
            said: parts.into_iter().flatten().collect::<Vec<_>>().join(", "),
        }
    }
}

fn shown(all: &[CameBack], failed: u64) -> String {
    let mut text = format!("canary: {} rows were answered, {failed} of them failed", all.len());
    // Failures first: they are what is looked for.
    let mut sorted: Vec<&CameBack> = all.iter().collect();
    sorted.sort_by_key(|one| one.outcome != Outcome::Failed);
    for CameBack { row, outcome, said } in sorted.iter().take(SHOWN) {
        text += &format!("\n  {row}: {} ({said})", outcome.as_str());
    }
    if all.len() > SHOWN {
        text += &format!("\n  and {} more", all.len() - SHOWN);
    }
    text
}

fn is_too_many(failed: u64, rows: u64, most: MaxFailures) -> bool {
    match most {
        MaxFailures::None => false,
        MaxFailures::Rows(most) => failed >= most,
        MaxFailures::Percent(share) => failed > 0 && failed as f64 * 100.0 >= share * rows as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_are_too_many() {
        assert!(is_too_many(1, 10, MaxFailures::Rows(1)) && !is_too_many(0, 10, MaxFailures::Rows(1)));
        assert!(is_too_many(5, 10, MaxFailures::Percent(50.0)) && !is_too_many(4, 10, MaxFailures::Percent(50.0)));
        assert!(!is_too_many(0, 10, MaxFailures::Percent(0.0)) && !is_too_many(10, 10, MaxFailures::None));
    }
}
