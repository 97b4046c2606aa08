use std::num::NonZeroU64;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn mint(per_second: u64, burst: u32) -> LocalMint {
    let count = NonZeroU64::new(per_second).expect("a rate");
    LocalMint::new(Rate::Limited { count, per: SECOND }, burst).expect("a limit")
}

/// When starts are made where one is wanted always, and whoever looks comes so much too late each time.
fn starts(mint: &mut LocalMint, begin: Instant, late: impl Fn(usize) -> Duration, time: Duration) -> Vec<Duration> {
    let mut now = begin;
    let mut starts = Vec::new();
    for look in 0.. {
        let minted = mint.mint_at(1_000, now);
        if let Some(mut lease) = minted.lease {
            while lease.take(now) {
                starts.push(now - begin);
            }
        }
        assert!(minted.not_before > now);
        now = minted.not_before + late(look);
        if now - begin > time {
            break;
        }
    }
    starts
}

fn most_in(window: Duration, starts: &[Duration]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, at) in starts.iter().enumerate() {
        while *at > starts[first] + window {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

#[tokio::test(start_paused = true)]
async fn the_rate_is_reached_with_the_smallest_burst_and_a_late_timer() {
    for per_second in [1, 5, 50, 100, 500, 1_000, 5_000, 20_000] {
        let mut mint = mint(per_second, 1);
        let late = |look: usize| Duration::from_micros(look as u64 * 397 % 1_400);
        let starts = starts(&mut mint, Instant::now(), late, SECOND * 20);
        let share = starts.len() as f64 / (20.0 * per_second as f64);
        assert!(share >= 0.985, "{share} of {per_second}/s");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_start_at_once_than_the_burst() {
    let mut mint = mint(100, 3);
    let now = Instant::now() + SECOND * 10;
    let minted = mint.mint_at(1_000, now);
    assert_eq!(minted.lease.map(|lease| lease.starts), Some(3));
    assert_eq!(mint.mint_at(1_000, now).lease, None);
}

#[tokio::test(start_paused = true)]
async fn what_was_leased_dies() {
    let mut mint = mint(100, 3);
    let now = Instant::now();
    let mut lease = mint.mint_at(3, now).lease.expect("a burst");
    assert!(lease.take(now));
    assert!(!lease.take(now + LONGEST_LEASE + Duration::from_millis(1)));
    assert_eq!(lease.starts, 0);
}

#[tokio::test(start_paused = true)]
async fn a_rate_of_years_or_beyond_nanoseconds_is_one() {
    let limited = |count, per| LocalMint::new(Rate::Limited { count: NonZeroU64::new(count).expect("one"), per }, 9);
    assert!(limited(2_000_000_000, SECOND).is_none());
    let mut slow = limited(1, Duration::from_hours(24 * 365 * 100)).expect("a limit");
    let now = Instant::now();
    assert!(slow.mint_at(5, now).lease.is_some());
}

proptest! {
    /// Whatever the rate, the burst and how late or idle whoever starts is.
    #[test]
    fn no_second_holds_more_than_rate_and_burst(
        per_second in 1_u64..3_000,
        burst in 1_u32..40,
        waits in prop::collection::vec(0_u64..40_000, 1..50),
        stall in 0_u64..3_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let _guard = runtime.as_ref().expect("a runtime").enter();
        let mut mint = mint(per_second, burst);
        let late = |look: usize| {
            let stalled = if look == 100 { stall } else { 0 };
            Duration::from_micros(waits[look % waits.len()]) + Duration::from_millis(stalled)
        };
        let starts = starts(&mut mint, Instant::now(), late, SECOND * 5);
        prop_assert!(!starts.is_empty());
        let burst = u64::from(burst).max(per_second / 500);
        prop_assert!(most_in(SECOND, &starts) as u64 <= per_second + burst);
        prop_assert!(most_in(Duration::ZERO, &starts) as u64 <= burst.max(1));
    }
}
