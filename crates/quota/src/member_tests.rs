use std::time::Duration;

use super::*;
use crate::ledger::Ledger;

const SECOND: i64 = 1_000 * MILLISECOND;

fn member(per_second: u32) -> Member {
    let interval = Duration::from_secs(1) / per_second;
    Member::new("a".to_owned(), Terms::new(interval, interval * 2, format!("{per_second}/s")))
}

fn asked(member: &Member, want: u32, now: i64) -> Ask {
    match member.step(want, Wait::default(), now, 1) {
        Step::Ask(ask) => ask,
        Step::WaitUntil(at) => panic!("waits until {at}"),
    }
}

/// Asks a ledger whose clock stands at 0 when the member's stands at a thousand seconds.
fn exchange(member: &mut Member, ledger: &mut Ledger, want: u32, now: i64) -> Granted {
    let ask = asked(member, want, now);
    let reply = ledger.answer(&ask, now - 1_000 * SECOND).unwrap();
    member.answered(&reply, now, now + MILLISECOND)
}

#[test]
fn planned_times_are_told_on_its_own_clock() {
    let (mut member, mut ledger) = (member(100), Ledger::default());
    let at = 1_000 * SECOND;
    let granted = exchange(&mut member, &mut ledger, 1, at);
    assert_eq!(granted.starts, None, "its time is far: it is looked at once more");
    let Step::WaitUntil(look) = member.step(1, Wait::default(), at + 2 * MILLISECOND, 1) else { panic!() };
    assert_eq!(look, granted.more_from);
    let granted = exchange(&mut member, &mut ledger, 1, look);
    let starts = granted.starts.unwrap();
    // Between the moments at which it was asked and had the answer.
    let planned = starts.planned - at - crate::FRESH;
    assert!((0..=MILLISECOND).contains(&planned) && starts.count == 1, "{planned}");
}

#[test]
fn it_asks_again_when_half_of_what_it_has_is_used() {
    let (mut member, mut ledger) = (member(1_000), Ledger::default());
    exchange(&mut member, &mut ledger, 0, 1_000 * SECOND);
    let at = 1_001 * SECOND;
    let granted = exchange(&mut member, &mut ledger, 50, at);
    let starts = granted.starts.unwrap();
    assert_eq!(starts.count, 20, "twenty milliseconds of the rate");
    let end = starts.planned + 20 * MILLISECOND;
    match member.step(30, Wait::default(), at + MILLISECOND, 1) {
        // Two of them were planned before now.
        Step::Ask(ask) => assert!(ask.span < 20 * MILLISECOND),
        Step::WaitUntil(until) => assert!(until < end - 10 * MILLISECOND && until > at, "{until} of {end}"),
    }
}

#[test]
fn the_place_hears_of_it_twice_a_second_whatever_it_waits_for() {
    let (mut member, mut ledger) = (member(1), Ledger::default());
    let at = 1_000 * SECOND;
    exchange(&mut member, &mut ledger, 5, at);
    exchange(&mut member, &mut ledger, 5, at + 100 * MILLISECOND);
    exchange(&mut member, &mut ledger, 5, at + 200 * MILLISECOND);
    // The next start is a second away.
    assert!(matches!(member.step(5, Wait::default(), at + 300 * MILLISECOND, 1), Step::WaitUntil(_)));
    let renewal = asked(&member, 5, at + 800 * MILLISECOND);
    assert_eq!((renewal.want, renewal.quiet), (0, Some(600 * MILLISECOND)));
}

#[test]
fn what_was_planned_by_a_ledger_that_is_gone_is_void() {
    let (mut member, mut ledger) = (member(100), Ledger::default());
    exchange(&mut member, &mut ledger, 1, 1_000 * SECOND);
    let ask = Ask { nonce: 2, ..asked(&member, 0, 1_001 * SECOND) };
    let reply = Ledger::default().answer(&ask, SECOND).unwrap();
    let granted = member.answered(&reply, 1_001 * SECOND, 1_001 * SECOND);
    assert!(granted.began_anew && granted.starts.is_none(), "{granted:?}");
}

#[test]
fn its_clock_is_moved_no_further_than_a_round_trip_proves() {
    let mut member = member(100);
    let mut offset = |now, sent, got| {
        let reply = Reply {
            known: Identity { generation: 3, sequence: 1 },
            now,
            planned: now,
            starts: 1,
            sharers: 1,
            wait: Wait::default(),
        };
        member.answered(&reply, sent, got).starts.unwrap().planned - now
    };
    assert_eq!(offset(0, 100, 300), 200);
    assert_eq!(offset(1_000, 1_100, 1_900), 200, "a slow answer says nothing new");
    assert_eq!(offset(2_000, 2_100, 2_140), 140, "a quick one does");
    assert_eq!(offset(3_000, 3_150, 3_400), 150);
}
