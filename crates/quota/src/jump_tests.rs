//! A clock that is set while starts are planned ahead.

use super::*;

const SECOND: i64 = 1_000 * MILLISECOND;

fn ask(member: &str) -> Ask {
    Ask {
        member: member.to_owned(),
        interval: 10_000_000,
        label: "100/s".to_owned(),
        want: 4,
        span: LONGEST_LEASE,
        earliest: -10 * MILLISECOND,
        wait: Wait::default(),
        quiet: Some(SECOND / 2),
        known: Identity::default(),
        nonce: 7,
        peek: false,
    }
}

/// With four starts planned, the last of them 20 ms ahead.
fn used(interval: u64) -> Ledger {
    let mut ledger = Ledger::default();
    ledger.answer(&Ask { interval, want: 0, ..ask("a") }, 0).unwrap();
    ledger.answer(&Ask { interval, ..ask("a") }, SECOND / 2).unwrap();
    ledger
}

#[test]
fn what_was_planned_ahead_still_is() {
    for (quiet, jumped) in [(Some(SECOND / 2), 3_600 * SECOND), (None, 3_600 * SECOND), (None, 2 * SECOND)] {
        let after = used(10_000_000).answer(&Ask { quiet, ..ask("b") }, SECOND / 2 + jumped).unwrap();
        assert_eq!(after.planned - after.now, 30 * MILLISECOND, "{quiet:?}, {jumped}");
    }
}

#[test]
fn who_knows_that_so_much_is_over_knows_that_it_was_no_jump() {
    let after = used(10_000_000).answer(&Ask { quiet: Some(3 * SECOND), ..ask("a") }, 3 * SECOND).unwrap();
    assert_eq!(after.planned - after.now, -10 * MILLISECOND);
}

#[test]
fn a_pause_puts_off_nothing_that_is_far_ahead() {
    let hour = 3_600 * SECOND;
    let mut ledger = used(hour as u64);
    let slow = |quiet| Ask { interval: hour as u64, quiet, want: 1, ..ask("a") };
    let before = ledger.clone();
    let next = ledger.answer(&slow(Some(SECOND / 2)), SECOND).unwrap().planned;
    assert!(next > hour / 2);
    ledger = before;
    assert_eq!(ledger.answer(&slow(None), hour / 2).unwrap().planned, next);
}

#[test]
fn no_time_that_a_process_can_name_is_a_panic() {
    for quiet in [i64::MIN, -1, 0, i64::MAX] {
        for clock in [i64::MIN, -1, 0, i64::MAX / 2] {
            used(10_000_000).answer(&Ask { quiet: Some(quiet), ..ask("b") }, clock).unwrap();
        }
    }
}
