use super::*;

const CONTACT: RequestKind = RequestKind::Contact;

fn rule(retries: u32) -> OutageRule {
    let (base, cap) = (Duration::from_millis(500), Duration::from_secs(30));
    OutageRule::new(OutageSettings { enabled: true, retries, base, cap })
}

/// A run in which the API has answered.
fn later() -> OutageRule {
    let mut rule = rule(5);
    well(&mut rule);
    rule
}

fn bad(attempt: Attempt) -> AttemptEnd {
    AttemptEnd { kind: CONTACT, attempt, health: Health::Bad, answered_by: AnsweredBy::NotApi }
}

fn server_error(attempt: Attempt) -> AttemptEnd {
    AttemptEnd { answered_by: AnsweredBy::Api, ..bad(attempt) }
}

fn well(rule: &mut OutageRule) -> Option<Change> {
    let end = AttemptEnd { health: Health::Well, ..server_error(Attempt::First) };
    end_one(rule, end)
}

/// Starts an attempt and ends it at once.
fn end_one(rule: &mut OutageRule, end: AttemptEnd) -> Option<Change> {
    let started = rule.start();
    rule.ended(started, end, Untried::Some, Instant::now()).1
}

/// Whether any of so many bad ends, first attempts where `first` says so, holds the sending.
fn any_holds(rule: &mut OutageRule, ends: usize, first: impl Fn(usize) -> bool) -> bool {
    (0..ends).any(|n| end_one(rule, bad(if first(n) { Attempt::First } else { Attempt::Later })).is_some())
}

fn held(rule: &mut OutageRule) {
    assert!(any_holds(rule, WINDOW, |_| true));
}

#[test]
fn at_the_start_ten_bad_ends_in_a_row_hold_and_the_tenth_is_forgiven() {
    let mut rule = rule(5);
    let now = Instant::now();
    for n in 0..9 {
        let started = rule.start();
        assert_eq!(rule.ended(started, bad(Attempt::First), Untried::Some, now), (Charge::Counted, None), "{n}");
    }
    let started = rule.start();
    let tenth = rule.ended(started, bad(Attempt::First), Untried::Some, now);
    assert_eq!(tenth, (Charge::Forgiven, Some(Change::HeldAtStart)));
    assert_eq!(rule.held_since(), Some(now));
}

#[test]
fn at_the_start_the_end_that_would_fail_a_row_holds() {
    let mut rule = rule(5);
    assert_eq!(end_one(&mut rule, bad(Attempt::First)), None);
    assert_eq!(end_one(&mut rule, bad(Attempt::Later)), None);
    assert_eq!(end_one(&mut rule, bad(Attempt::Last)), Some(Change::HeldAtStart));
}

#[test]
fn the_start_is_over_once_the_api_has_answered_even_with_an_error() {
    let mut rule = rule(5);
    assert_eq!(end_one(&mut rule, server_error(Attempt::First)), None);
    assert!(!any_holds(&mut rule, 40, |_| true));
    assert_eq!(end_one(&mut rule, bad(Attempt::Last)), None);
}

#[test]
fn a_bare_status_is_no_answer_of_the_api_but_ends_what_is_in_a_row() {
    let mut rule = rule(5);
    assert!(!any_holds(&mut rule, 9, |_| true));
    let not_found = AttemptEnd { health: Health::Well, ..bad(Attempt::First) };
    assert_eq!(end_one(&mut rule, not_found), None);
    assert!(!any_holds(&mut rule, 9, |_| true));
    assert!(any_holds(&mut rule, 1, |_| true));
}

#[test]
fn without_retries_nothing_is_held_at_the_start() {
    let mut rule = rule(0);
    assert!(!any_holds(&mut rule, 49, |_| true));
    assert!(any_holds(&mut rule, 1, |_| true), "the later rule holds all the same");
}

#[test]
fn later_it_takes_fifty_bad_ends_with_five_first_attempts() {
    let mut rule = later();
    assert!(!any_holds(&mut rule, 49, |n| n < 4));
    let now = Instant::now();
    assert_eq!(rule.gate(now), Gate::Open);
    let started = rule.start();
    assert_eq!(rule.ended(started, bad(Attempt::First), Untried::Some, now), (Charge::Forgiven, Some(Change::Held)));
}

#[test]
fn sick_rows_alone_do_not_hold() {
    assert!(!any_holds(&mut later(), 500, |n| n < 4));
    // First attempts that lie further back than the window don't count.
    assert!(!any_holds(&mut later(), 54, |n| n < 4 || n == 53));
    // Nor do rows that are tried again and again: one first attempt must be among the latest 25.
    assert!(!any_holds(&mut later(), 500, |n| n < 25));
    assert!(any_holds(&mut later(), 500, |n| n < 26));
}

#[test]
fn one_answer_starts_the_count_again() {
    let mut rule = later();
    for _ in 0..10 {
        assert!(!any_holds(&mut rule, 49, |_| true));
        assert_eq!(well(&mut rule), None);
    }
}

#[test]
fn each_kind_of_request_is_counted_by_itself_and_a_hold_holds_all() {
    let mut rule = later();
    for n in 0..98 {
        let kind = [RequestKind::Contact, RequestKind::Profile][n % 2];
        assert_eq!(end_one(&mut rule, AttemptEnd { kind, ..bad(Attempt::First) }), None, "{n}");
    }
    let answered = AttemptEnd { kind: RequestKind::Profile, health: Health::Well, ..server_error(Attempt::First) };
    assert_eq!(end_one(&mut rule, answered), None);
    assert_eq!(end_one(&mut rule, bad(Attempt::First)), Some(Change::Held));
    assert_ne!(rule.gate(Instant::now()), Gate::Open);
}

#[test]
fn one_probe_at_a_time_until_one_is_answered() {
    let mut rule = later();
    let before = rule.start();
    held(&mut rule);
    let now = Instant::now() + Duration::from_mins(1);
    assert_eq!(rule.gate(now), Gate::Probe);
    let probe = rule.start();
    assert!(probe.is_probe && !before.is_probe);
    assert_eq!(rule.gate(now), Gate::ClosedByProbe);
    // Attempts that were under way when the hold began are forgiven, and change nothing by ending badly.
    assert_eq!(rule.ended(before, bad(Attempt::Last), Untried::Some, now), (Charge::Forgiven, None));
    assert_eq!(rule.gate(now), Gate::ClosedByProbe);
    assert_eq!(rule.ended(probe, bad(Attempt::Later), Untried::Some, now), (Charge::Forgiven, None));
    assert!(matches!(rule.gate(now), Gate::ClosedUntil(_) | Gate::Probe));
    assert_eq!(well(&mut rule), Some(Change::Recovered));
    assert_eq!((rule.gate(now), rule.recoveries()), (Gate::Open, 1));
}

#[test]
fn the_end_of_a_hold_empties_the_window() {
    let mut rule = later();
    held(&mut rule);
    well(&mut rule);
    assert!(!any_holds(&mut rule, 49, |_| true));
    assert!(any_holds(&mut rule, 1, |_| true));
}

#[test]
fn an_attempt_that_was_under_way_in_a_hold_is_forgiven_also_after_it() {
    let mut rule = later();
    let before = rule.start();
    held(&mut rule);
    let probe = rule.start();
    well(&mut rule);
    let now = Instant::now();
    for started in [before, probe] {
        assert_eq!(rule.ended(started, bad(Attempt::Last), Untried::Some, now), (Charge::Forgiven, None));
    }
    assert!(!any_holds(&mut rule, 49, |_| true), "nor do they count for another hold");
}

#[test]
fn a_probe_of_an_earlier_hold_is_not_the_one_under_way() {
    let mut rule = later();
    held(&mut rule);
    let old = rule.start();
    well(&mut rule);
    held(&mut rule);
    let now = Instant::now() + Duration::from_mins(1);
    rule.start();
    rule.ended(old, bad(Attempt::Later), Untried::Some, now);
    assert_eq!(rule.gate(now), Gate::ClosedByProbe);
}

#[test]
fn probes_that_the_api_fails_end_the_hold_where_every_row_was_tried() {
    let now = Instant::now();
    let probe = |rule: &mut OutageRule, end, untried| {
        let started = rule.start();
        assert!(started.is_probe);
        let (charge, event) = rule.ended(started, end, untried, now);
        assert_eq!(charge, Charge::Forgiven);
        event
    };
    let error = server_error(Attempt::Later);
    let mut rule = later();
    held(&mut rule);
    for _ in 0..100 {
        assert_eq!(probe(&mut rule, error, Untried::Some), None, "a row that wasn't tried may speak for the service");
    }
    assert_eq!(probe(&mut rule, error, Untried::None), Some(Change::OnlySickRowsLeft));
    assert_eq!((rule.gate(now), rule.recoveries()), (Gate::Open, 0));
    // It takes some in a row, and what isn't the API doesn't count.
    held(&mut rule);
    for _ in 0..30 {
        assert_eq!(probe(&mut rule, error, Untried::None), None);
        assert_eq!(probe(&mut rule, error, Untried::None), None);
        assert_eq!(probe(&mut rule, bad(Attempt::Later), Untried::None), None);
    }
}

#[test]
fn the_rule_can_be_off() {
    let settings = OutageSettings { enabled: false, retries: 5, base: Duration::ZERO, cap: Duration::ZERO };
    let mut rule = OutageRule::new(settings);
    assert!(!any_holds(&mut rule, 500, |_| true));
    assert_eq!(end_one(&mut rule, bad(Attempt::Last)), None);
}
