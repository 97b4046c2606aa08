//! A few rows first: what comes back from them decides whether the rest is sent.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Write},
};

use async_channel::{Receiver, Sender};
use dispatcher::{Intake, MaxFailures, Stop, StopCause};
use model::{Decision, Outcome, Reason, escape_controls};
use tokio::sync::{mpsc, oneshot, watch};

use crate::{settings::CanarySettings, terminal::Printer};

/// Decisions that may wait on their way through.
const WAITING: usize = 256;
/// Answers that are shown one by one.
const SHOWN: usize = 10;

/// A canary between whoever takes rows in and the dispatcher, and between the dispatcher and the journal.
pub(super) struct Canary {
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

impl Canary {
    /// Takes rows from `taken`; gives what the dispatcher reads from, and what it hands decisions to, which go on to
    /// `decided`. Call it within a tokio runtime.
    pub(super) fn stand_between(
        self,
        taken: Receiver<Vec<Intake>>,
        decided: mpsc::Sender<Decision>,
    ) -> (Receiver<Vec<Intake>>, mpsc::Sender<Decision>) {
        let (hand_on, rows) = async_channel::bounded(1);
        let (note, mut noted) = mpsc::channel::<Decision>(WAITING);
        let (tell, came_back) = watch::channel(Vec::new());
        let most = self.settings.rows as usize;
        tokio::spawn(async move {
            while let Some(decision) = noted.recv().await {
                let sent = decision.attempts > 0;
                tell.send_if_modified(|all: &mut Vec<CameBack>| {
                    let counts = sent && all.len() < most;
                    if counts {
                        all.push(CameBack::of(&decision));
                    }
                    counts
                });
                // The journal takes decisions as long as there are any, whatever happens.
                if decided.send(decision).await.is_err() {
                    return;
                }
            }
        });
        tokio::spawn(self.watch(taken, hand_on, came_back));
        (rows, note)
    }

    /// Hands on as many rows as the canary has, waits for what comes back, and then hands on the rest: also after a stop,
    /// when the dispatcher counts them as not sent.
    async fn watch(
        self,
        taken: Receiver<Vec<Intake>>,
        hand_on: Sender<Vec<Intake>>,
        mut came_back: watch::Receiver<Vec<CameBack>>,
    ) {
        let mut left = self.settings.rows;
        while left > 0 {
            let Ok(mut batch) = taken.recv().await else { return };
            let is_sent = |intake: &Intake| matches!(intake, Intake::Send(_));
            let last = batch.iter().enumerate().filter(|(_, intake)| is_sent(intake)).nth(left as usize - 1);
            let rest = last.map(|(index, _)| index + 1).map(|from| batch.split_off(from)).unwrap_or_default();
            left -= batch.iter().filter(|intake| is_sent(intake)).count() as u64;
            if hand_on.send(batch).await.is_err() {
                return;
            }
            if left == 0 {
                self.decide(&mut came_back).await;
                if hand_on.send(rest).await.is_err() {
                    return;
                }
            }
        }
        while let Ok(batch) = taken.recv().await {
            if hand_on.send(batch).await.is_err() {
                return;
            }
        }
    }

    async fn decide(&self, came_back: &mut watch::Receiver<Vec<CameBack>>) {
        let rows = self.settings.rows;
        let all = tokio::select! {
            biased;
            () = self.stop.stopping() => return,
            all = came_back.wait_for(|all| all.len() as u64 == rows) => match all {
                Ok(all) => all.clone(),
                Err(_) => return,
            },
        };
        let failed = all.iter().filter(|one| one.outcome == Outcome::Failed).count() as u64;
        self.printer.note(&shown(&all, failed));
        if is_too_many(failed, rows, self.settings.max_failures) {
            self.stop.because(StopCause::MaxFailures(format!("{failed} of the first {rows} rows failed")));
            return;
        }
        if self.settings.yes || !io::stderr().is_terminal() {
            return;
        }
        self.printer.hide_bar(true);
        let (tell, answer) = oneshot::channel();
        // A thread of its own: nobody waits for it where a signal comes instead of an answer. Without it the answer is no.
        let _ = std::thread::Builder::new().name("question".to_owned()).spawn(|| tell.send(ask().unwrap_or(false)));
        let goes_on = tokio::select! {
            biased;
            () = self.stop.stopping() => return,
            answer = answer => answer.unwrap_or(false),
        };
        self.printer.hide_bar(false);
        if !goes_on {
            self.stop.because(StopCause::Declined("the canary's question was answered with no".to_owned()));
        }
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
