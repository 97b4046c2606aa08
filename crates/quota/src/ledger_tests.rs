use super::*;

const SECOND: i64 = 1_000 * MILLISECOND;
const HOUR: i64 = 3_600 * SECOND;

/// Of a member that wants ten starts at 100/s.
fn ask(member: &str) -> Ask {
    Ask {
        member: member.to_owned(),
        interval: 10_000_000,
        label: "100/s".to_owned(),
        want: 10,
        span: LONGEST_LEASE,
        earliest: -10 * MILLISECOND,
        wait: Wait::default(),
        quiet: Some(SECOND),
        known: Identity::default(),
        nonce: 7,
        peek: false,
    }
}

/// One that was asked once, long enough ago to give starts.
fn used() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.answer(&Ask { want: 0, ..ask("a") }, 0).unwrap();
    ledger
}

#[test]
fn a_new_one_plans_nothing_before_what_was_planned_by_another_is_dead() {
    let reply = Ledger::default().answer(&Ask { quiet: None, ..ask("a") }, 99 * SECOND).unwrap();
    assert_eq!((reply.planned, reply.starts, reply.known.generation), (FRESH, 5, 7));
}

#[test]
fn starts_are_planned_one_after_the_other_and_no_further_back_than_a_burst() {
    let mut ledger = used();
    let first = ledger.answer(&ask("a"), SECOND).unwrap();
    assert_eq!((first.planned, first.starts), (SECOND - 10 * MILLISECOND, 5));
    let second = ledger.answer(&Ask { want: 2, ..ask("b") }, SECOND).unwrap();
    // Of what is planned ahead each has its part.
    assert_eq!((second.planned, second.starts, second.sharers), (SECOND + 40 * MILLISECOND, 2, 2));
    let third = ledger.answer(&ask("c"), SECOND).unwrap();
    assert_eq!((third.planned, third.starts, third.sharers), (SECOND + 60 * MILLISECOND, 1, 3));
}

#[test]
fn another_rate_is_refused_as_long_as_somebody_lives() {
    let mut ledger = used();
    let other = Ask { interval: 20_000_000, label: "50/s".to_owned(), ..ask("b") };
    let other = Ask { quiet: Some(9 * SECOND), ..other };
    let refused = ledger.answer(&other, 9 * SECOND).unwrap_err();
    assert_eq!(refused.to_string(), "1 other process shares it at the rate 100/s");
    let kept = ledger.clone();
    ledger.answer(&Ask { peek: true, ..other.clone() }, 9 * SECOND).unwrap_err();
    assert_eq!(ledger, kept, "a look changes nothing");
    let late = Ask { quiet: Some(11 * SECOND), ..other.clone() };
    ledger.answer(&late, 20 * SECOND).unwrap();
    assert_eq!(ledger.answer(&ask("a"), 20 * SECOND).unwrap_err().label, "50/s");
    ledger.leave("b");
    ledger.answer(&ask("a"), 20 * SECOND).unwrap();
    // Its own name keeps nobody out.
    ledger.answer(&Ask { member: "a".to_owned(), ..other }, 20 * SECOND).unwrap();
}

#[test]
fn a_wait_holds_for_all_and_is_not_made_longer_by_being_told_again() {
    let mut ledger = used();
    let wait = Wait { nanos: 3 * SECOND as u64, asked: true };
    assert_eq!(ledger.answer(&Ask { wait, ..ask("a") }, SECOND).unwrap().wait, wait);
    let known = Some(2 * SECOND);
    let later = ledger.answer(&Ask { quiet: known, ..ask("b") }, 2 * SECOND).unwrap();
    assert_eq!((later.starts, later.wait), (0, Wait { nanos: 2 * SECOND as u64, asked: true }));
    let again = Wait { nanos: later.wait.nanos + 50 * MILLISECOND as u64, asked: false };
    assert_eq!(ledger.answer(&Ask { wait: again, ..ask("b") }, 2 * SECOND).unwrap().wait, later.wait);
    let over = Ask { quiet: Some(2 * SECOND), ..ask("c") };
    assert_eq!(ledger.answer(&over, 4 * SECOND).unwrap().starts, 5);
}

#[test]
fn a_wait_of_years_holds_others_for_an_hour() {
    let mut ledger = used();
    let wait = Wait { nanos: u64::MAX, asked: true };
    let told = ledger.answer(&Ask { wait, ..ask("a") }, SECOND).unwrap();
    assert_eq!(told.wait, Wait { nanos: HOUR as u64, asked: true });
    let later = Ask { quiet: Some(HOUR), ..ask("b") };
    assert_eq!(ledger.answer(&later, HOUR + SECOND).unwrap().starts, 5);
}

#[test]
fn a_clock_goes_forward_by_what_can_be_time() {
    let at = |quiet, clock| {
        let mut ledger = used();
        ledger.answer(&Ask { quiet, ..ask("a") }, clock).unwrap().now
    };
    assert_eq!(at(Some(SECOND), 700 * MILLISECOND), 700 * MILLISECOND);
    assert_eq!(at(Some(SECOND), SECOND + 90 * MILLISECOND), SECOND + 90 * MILLISECOND, "it was on its way for longer");
    assert_eq!(at(Some(SECOND), HOUR), 0);
    assert_eq!(at(Some(HOUR), HOUR), HOUR, "it knows how long it was away");
    assert_eq!(at(None, HOUR), HOUR, "who is new can't tell");
    assert_eq!(at(Some(SECOND), -HOUR), 0);
    let mut ledger = used();
    ledger.answer(&ask("a"), -HOUR).unwrap();
    assert_eq!(
        ledger.answer(&ask("a"), -HOUR + 5 * MILLISECOND).unwrap().now,
        5 * MILLISECOND,
        "and goes on from there"
    );
    // Somebody whose ask was on its way for longer moves nothing.
    let mut ledger = used();
    ledger.answer(&ask("a"), 500 * MILLISECOND).unwrap();
    ledger.answer(&ask("b"), 480 * MILLISECOND).unwrap();
    assert_eq!(ledger.answer(&ask("a"), 510 * MILLISECOND).unwrap().now, 510 * MILLISECOND);
}

#[test]
fn one_that_is_older_than_was_seen_begins_anew() {
    let mut ledger = used();
    let older = ledger.clone();
    let known = (0..5).map(|nth| ledger.answer(&ask("a"), nth * SECOND).unwrap().known).next_back().unwrap();
    let mut ledger = older;
    let reply = ledger.answer(&Ask { known, nonce: 8, ..ask("a") }, 5 * SECOND).unwrap();
    assert_eq!(reply.known.generation, 8);
    assert_eq!(reply.planned - reply.now, FRESH);
    let other = ledger.answer(&Ask { nonce: 9, ..ask("b") }, 5 * SECOND).unwrap();
    assert_eq!(other.known.generation, 8, "all hear of it");
}

#[test]
fn what_others_left_behind_far_ahead_is_nobodys() {
    let mut ledger = used();
    ledger.next = HOUR;
    let reply = ledger.answer(&ask("a"), SECOND).unwrap();
    assert_eq!(reply.planned - reply.now, FRESH + 2 * LONGEST_LEASE);
    // Somebody who may start once in an hour has an hour at hand.
    let mut slow = Ledger::default();
    let of = |member, quiet| Ask { interval: HOUR as u64, want: 1, quiet, ..ask(member) };
    slow.answer(&of("a", None), 0).unwrap();
    let planned = ["b", "c", "d"].map(|member| slow.answer(&of(member, None), 0).unwrap().planned);
    assert_eq!(planned, [FRESH + HOUR, FRESH + 2 * HOUR, FRESH + 3 * HOUR]);
    let reply = slow.answer(&of("e", None), 20 * SECOND).unwrap();
    assert_eq!(reply.planned - reply.now, FRESH + HOUR, "all of these are gone");
}
