use super::{MS, SECOND, Scenario, Time};
use crate::ledger::OtherRate;

/// What happened.
#[derive(Debug, Clone)]
pub struct Played {
    /// When something started, and in which process, in order.
    pub starts: Vec<(Time, usize)>,
    /// When the service told a process to wait, and for how long.
    pub waits: Vec<(Time, Time)>,
    /// How often the place was asked.
    pub asks: u64,
    /// Who was refused because others named another rate.
    pub refused: Vec<OtherRate>,
    interval: Time,
    pods: usize,
}

/// How a time was shared.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// Starts by the rate, as the rate has it.
    pub use_of_rate: f64,
    /// Starts of each process.
    pub by_pod: Vec<u64>,
}

impl Played {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let interval = scenario.terms.interval as Time;
        let pods = scenario.pods.len();
        Self { starts: Vec::new(), waits: Vec::new(), asks: 0, refused: Vec::new(), interval, pods }
    }

    pub(super) fn started(&mut self, at: Time, pod: usize) {
        self.starts.push((at, pod));
    }

    pub(super) fn told(&mut self, at: Time, wait: Time) {
        self.waits.push((at, wait));
    }

    pub(super) fn asked(&mut self) {
        self.asks += 1;
    }

    pub(super) fn refused(&mut self, other: OtherRate) {
        self.refused.push(other);
    }

    /// Between two times.
    pub fn share(&self, from: Time, to: Time) -> Share {
        let mut by_pod = vec![0; self.pods];
        for (_, pod) in self.within(from, to) {
            by_pod[*pod] += 1;
        }
        let starts: u64 = by_pod.iter().sum();
        // Starts are planned a hundredth further apart than the rate has it.
        let planned = (to - from) as f64 / self.interval as f64 * 1.01;
        Share { use_of_rate: starts as f64 / planned, by_pod }
    }

    /// What started between two times.
    pub fn within(&self, from: Time, to: Time) -> &[(Time, usize)] {
        let first = self.starts.partition_point(|(at, _)| *at < from);
        let last = self.starts.partition_point(|(at, _)| *at < to);
        &self.starts[first..last]
    }

    /// The most that started in any second.
    pub fn most_in_a_second(&self) -> u64 {
        let (mut first, mut most) = (0, 0);
        for (last, (at, _)) in self.starts.iter().enumerate() {
            while *at >= self.starts[first].0 + SECOND {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most as u64
    }

    /// Starts while everybody was told to wait, but for the first 50 ms of it.
    pub fn started_in_a_wait(&self) -> usize {
        self.waits.iter().map(|(at, wait)| self.within(at + 50 * MS, at + wait).len()).sum()
    }
}
