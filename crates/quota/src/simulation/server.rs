use super::{Scenario, Time, Unanswered};
use crate::ledger::{Ask, Ledger, Reply};

/// The place is out of reach for a time.
#[derive(Debug, Clone, Copy)]
pub struct Outage {
    /// From then.
    pub from: Time,
    /// To then.
    pub to: Time,
    /// What it comes back with: as it was so long before it went away; none: empty.
    pub comes_back_from: Option<Time>,
}

/// The place: a ledger, with a clock that somebody may set.
#[derive(Debug)]
pub(super) struct Server {
    ledger: Ledger,
    outages: Vec<Outage>,
    /// What is kept for the next outage.
    kept: Ledger,
    /// The outages that were begun.
    begun: usize,
    jumps: Vec<(Time, Time)>,
}

/// Its clock doesn't begin with the play.
const CLOCK_BEGINS: Time = 1_700_000_000 * super::SECOND;

impl Server {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let (outages, jumps) = (scenario.outages.clone(), scenario.jumps.clone());
        Self { ledger: Ledger::default(), outages, kept: Ledger::default(), begun: 0, jumps }
    }

    pub(super) fn answer(&mut self, ask: &Ask, now: Time) -> Result<Reply, Unanswered> {
        if let Some(outage) = self.outages.get(self.begun)
            && now >= outage.from - outage.comes_back_from.unwrap_or(0)
        {
            if now < outage.from {
                if self.kept == Ledger::default() {
                    self.kept = self.ledger.clone();
                }
            } else if now < outage.to {
                return Err(Unanswered::Unreachable);
            } else {
                let kept = std::mem::take(&mut self.kept);
                self.ledger = if outage.comes_back_from.is_some() { kept } else { Ledger::default() };
                self.begun += 1;
            }
        }
        let jumped: Time = self.jumps.iter().filter(|(at, _)| *at <= now).map(|(_, by)| *by).sum();
        self.ledger.answer(ask, CLOCK_BEGINS + now + jumped).map_err(Unanswered::OtherRate)
    }
}
