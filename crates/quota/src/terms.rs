use std::time::Duration;

/// Later than a burst allows a planned start may still be used by so much: timers wake a millisecond late, and processes that
/// share a core with others later than that.
const LATENESS: Duration = Duration::from_millis(6);
/// No start is of use so long after it was planned: a process that dies has cost no more of the rate.
const LONGEST_LIFE: Duration = Duration::from_millis(50);

/// The rate that a process names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Time between two planned starts, in nanoseconds, at least 1. All who share a rate must name the same.
    pub interval: u64,
    /// So long after it was planned a start may still be used, in nanoseconds.
    pub life: u64,
    /// So late starts may be planned, in nanoseconds: those that nobody wanted meanwhile.
    pub lag: u64,
    /// The rate in words, for others who name another: `100/s`.
    pub label: String,
}

impl Terms {
    /// A start each `interval`, of which as many may come at once as are planned within `burst_time`.
    pub fn new(interval: Duration, burst_time: Duration, label: String) -> Self {
        let lag = burst_time.min(LONGEST_LIFE.saturating_sub(LATENESS));
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Self { interval: nanos(interval).max(1), life: nanos(lag + LATENESS), lag: nanos(lag), label }
    }
}

/// Nobody is to start for so long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wait {
    /// In nanoseconds from now on.
    pub nanos: u64,
    /// The service asked for so long a wait itself, and it isn't the backoff of a process.
    pub asked: bool,
}
