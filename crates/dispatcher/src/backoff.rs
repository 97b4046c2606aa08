use std::time::Duration;

use crate::settings::Settings;

/// How often, and after which time, an attempt is made again.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RetryRules {
    pub(crate) retries: u32,
    pub(crate) base: Duration,
    pub(crate) cap: Duration,
}

impl RetryRules {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { retries: settings.retries, base: settings.retry_base, cap: settings.retry_cap }
    }
}

/// The wait before the next attempt: exponential with full jitter, so that rows that failed together don't come back
/// together. `failures` is how many attempts of the row failed so far, at least 1.
pub(crate) fn backoff(base: Duration, cap: Duration, failures: u32) -> Duration {
    ceiling(base, cap, failures).mul_f64(fastrand::f64())
}

/// The longest that wait may be.
pub(crate) fn ceiling(base: Duration, cap: Duration, failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    base.saturating_mul(1 << doublings).min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap() {
        let wait = |failures| ceiling(Duration::from_millis(500), Duration::from_secs(30), failures).as_millis();
        assert_eq!(
            [wait(1), wait(2), wait(3), wait(6), wait(7), wait(1000)],
            [500, 1000, 2000, 16_000, 30_000, 30_000]
        );
        for failures in 1..40 {
            assert!(backoff(Duration::from_secs(1), Duration::from_secs(9), failures) <= Duration::from_secs(9));
        }
    }
}
