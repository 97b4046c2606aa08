//! The dispatcher against a scripted transport, on paused time.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::HashMap,
    num::NonZeroU64,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use dispatcher::{Broken, CertificateFault, Happening, Listener, MaxFailures, Rate, Reply, Settings, StopCause};
use model::{Outcome, Reason};
use proptest::prelude::*;
use support::{MS, Play, Seen, network, ok, peak, reply, run, run_open, server_error, unlimited};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn a_server_error_is_tried_again_until_it_passes() {
    let ran = run(unlimited(), 1..=10, None, |_, attempt| (MS, if attempt < 4 { server_error() } else { ok() })).await;
    assert_eq!(ran.decisions.len(), 10);
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced && decision.attempts == 4));
    assert_eq!(ran.decision(1).answered.code, Some(0));
}

#[tokio::test(start_paused = true)]
async fn retries_end_in_a_failure_with_the_last_answer() {
    let settings = Settings { retries: 2, max_failures: MaxFailures::None, ..unlimited() };
    let ran = run(settings, [1], None, |_, _| (MS, server_error())).await;
    let decision = ran.decision(1);
    assert_eq!((decision.outcome, decision.reason), (Outcome::Failed, Some(Reason::ServerError)));
    assert_eq!((decision.attempts, decision.answered.code, decision.latency_ms), (3, Some(-1), Some(1)));
    assert_eq!(decision.answered.message.as_deref(), Some("internal"));
}

#[tokio::test(start_paused = true)]
async fn a_refused_row_is_never_tried_again() {
    let ran = run(unlimited(), [1, 2], None, |euid, _| {
        (MS, if euid == 1 { reply(200, r#"{"code":55108,"message":"no"}"#) } else { ok() })
    })
    .await;
    assert_eq!((ran.decision(1).attempts, ran.decision(1).reason), (1, Some(Reason::EuidInvalid)));
    assert_eq!(ran.decision(2).outcome, Outcome::Synced);
}

#[tokio::test(start_paused = true)]
async fn never_more_in_flight_than_allowed() {
    let settings = Settings { in_flight: 7, ..unlimited() };
    let ran = run(settings, 1..=200, None, |euid, _| (MS * (1 + euid as u32 % 5), ok())).await;
    let most = ran
        .seen
        .iter()
        .map(|one| ran.seen.iter().filter(|other| other.start <= one.start && one.start < other.end).count())
        .max();
    assert_eq!(most, Some(7));
}

#[tokio::test(start_paused = true)]
async fn the_rate_binds_also_after_a_stall() {
    let rate = Rate::Limited { count: NonZeroU64::new(50).unwrap(), per: Duration::from_secs(1) };
    let settings = Settings { rate, burst: 5, in_flight: 8, ..Settings::default() };
    // All requests under way hang for ten seconds: what was saved up meanwhile must not start at once.
    let ran = run(settings, 1..=300, None, |euid, _| {
        (if (40..48).contains(&euid) { Duration::from_secs(10) } else { MS * 3 }, ok())
    })
    .await;
    assert_eq!(ran.decisions.len(), 300);
    assert!(peak(&ran.seen) <= 55, "{}", peak(&ran.seen));
    assert!(ran.took < Duration::from_secs(18), "the rate is made use of: {:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn less_at_once_than_two_milliseconds_of_the_rate_counts_as_that() {
    let rate = Rate::Limited { count: NonZeroU64::new(2_000).unwrap(), per: Duration::from_secs(1) };
    let settings = Settings { rate, burst: 1, ..Settings::default() };
    let ran = run(settings, 1..=6_000, None, |_, _| (MS, ok())).await;
    assert_eq!(ran.decisions.len(), 6_000);
    assert!(peak(&ran.seen) <= 2_004, "{}", peak(&ran.seen));
    assert!(ran.took < Duration::from_millis(3_060), "98 % of the rate are reached: {:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn rows_of_one_euid_go_one_after_the_other_and_others_overtake() {
    let euids = [1, 1, 1, 2, 3, 1];
    let ran = run(unlimited(), euids, None, |euid, attempt| {
        (MS * 10, if euid == 1 && attempt == 1 { server_error() } else { ok() })
    })
    .await;
    let ones: Vec<&Seen> = ran.seen.iter().filter(|seen| seen.euid == 1).collect();
    let values: Vec<&str> = ones.iter().map(|seen| seen.value.split('@').next().unwrap()).collect();
    assert_eq!(values, ["1", "1", "2", "3", "6"]);
    assert!(ones.windows(2).all(|pair| pair[0].end <= pair[1].start));
    assert_eq!(ran.decisions[0].origin.row, 4, "others don't wait for a row that backs off");
}

#[tokio::test(start_paused = true)]
async fn one_euid_that_is_the_whole_input_does_not_grow_and_ends() {
    let ran = run(unlimited(), std::iter::repeat_n(9, 6_000), None, |_, _| (MS, ok())).await;
    let rows: Vec<u64> = ran.decisions.iter().map(|decision| decision.origin.row).collect();
    assert_eq!(rows, (1..=6_000).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_429_holds_everybody_for_as_long_as_it_says() {
    let ran = run(Settings { in_flight: 8, ..unlimited() }, 1..=200, None, |euid, attempt| {
        let limited = Reply { status: 429, retry_after: Some("7".to_owned()), ..Reply::default() };
        (MS, if euid == 20 && attempt == 1 { Ok(limited) } else { ok() })
    })
    .await;
    let limited = ran.seen.iter().find(|seen| seen.euid == 20).unwrap().end;
    let later: Vec<&Seen> = ran.seen.iter().filter(|seen| seen.start > limited).collect();
    assert!(later.len() > 150, "{} requests started after it", later.len());
    for seen in later {
        assert!(seen.start >= limited + Duration::from_secs(7), "{seen:?}");
    }
    assert_eq!(ran.decision(20).outcome, Outcome::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_outage_wait_stops_the_run() {
    let ran = run(unlimited(), 1..=50, None, |_, _| {
        (MS, Ok(Reply { status: 429, retry_after: Some("86400".to_owned()), ..Reply::default() }))
    })
    .await;
    assert!(matches!(ran.cause, Some(StopCause::Outage { .. })));
    assert_eq!(ran.not_sent, 50);
    assert!(ran.took < Duration::from_mins(1));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_stop_the_run_at_the_first_row() {
    let settings = Settings { in_flight: 2, ..unlimited() };
    let ran =
        run(settings, 1..=1000, None, |_, _| (MS, reply(401, r#"{"code":40050,"message":"12@example.com"}"#))).await;
    // With status and code: the answer's words may repeat what was asked.
    assert_eq!(ran.cause, Some(StopCause::Credentials("HTTP 401, code 40050".to_owned())));
    assert!(ran.seen.len() <= 2, "{}", ran.seen.len());
    assert!(!ran.reasons().is_empty());
    assert!(ran.reasons().iter().all(|reason| *reason == Some(Reason::Credentials)));
}

#[tokio::test(start_paused = true)]
async fn one_denial_after_accepted_rows_is_doubted_and_two_of_one_row_stop() {
    // The first hundred are accepted, then all that are in flight are denied at once.
    let settings = Settings { in_flight: 64, ..unlimited() };
    let slip = run(settings.clone(), 1..=2000, None, |euid, attempt| {
        (MS, if euid > 100 && euid <= 900 && attempt == 1 { reply(401, "") } else { ok() })
    })
    .await;
    assert_eq!((slip.cause, slip.decisions.len(), slip.seen.len()), (None, 2000, 2800));
    let revoked = run(settings, 1..=2000, None, |euid, _| (MS, if euid > 100 { reply(401, "") } else { ok() })).await;
    assert_eq!(revoked.cause, Some(StopCause::Credentials("HTTP 401".to_owned())));
    let failed: Vec<u32> = revoked
        .decisions
        .iter()
        .filter(|decision| decision.outcome == Outcome::Failed)
        .map(|decision| decision.attempts)
        .collect();
    assert!(!failed.is_empty() && failed.iter().all(|attempts| *attempts == 2), "{failed:?}");
    assert!(failed.len() <= 64, "those in flight when it stopped, the others are not sent: {}", failed.len());
    let mut denied: HashMap<u64, Vec<&Seen>> = HashMap::new();
    for seen in revoked.seen.iter().filter(|seen| seen.euid > 100) {
        denied.entry(seen.euid).or_default().push(seen);
    }
    let twice: Vec<_> = denied.values().filter(|attempts| attempts.len() == 2).collect();
    assert!(!twice.is_empty());
    assert!(twice.iter().all(|pair| pair[1].start >= pair[0].end + MS * 500), "the full backoff lies between");
}

#[tokio::test(start_paused = true)]
async fn a_hundred_bare_statuses_in_a_row_are_not_a_hundred_bad_rows() {
    let ran = run(unlimited(), 1..=5000, None, |_, _| (MS, reply(404, "<html>"))).await;
    assert!(matches!(ran.cause, Some(StopCause::Outage { .. })), "{:?}", ran.cause);
    assert!(ran.decisions.len() < 100 + 64);
    let settings = Settings { max_failures: MaxFailures::None, ..unlimited() };
    let ran = run(settings, 1..=500, None, |euid, _| (MS, if euid % 50 == 0 { ok() } else { reply(404, "") })).await;
    assert_eq!((ran.cause, ran.decisions.len()), (None, 500));
}

#[tokio::test(start_paused = true)]
async fn max_failures_stops_by_rows_and_by_share() {
    let bad = |every: u64| {
        move |euid: u64, _| (MS, if euid.is_multiple_of(every) { reply(200, r#"{"code":55004}"#) } else { ok() })
    };
    let settings = Settings { max_failures: MaxFailures::Rows(3), in_flight: 1, ..unlimited() };
    let ran = run(settings, 1..=1000, None, bad(10)).await;
    assert!(matches!(ran.cause, Some(StopCause::MaxFailures(_))));
    assert_eq!(ran.decisions.len(), 30);
    let settings = Settings { max_failures: MaxFailures::Percent(5.0), in_flight: 1, ..unlimited() };
    assert_eq!(run(settings, 1..=1000, None, bad(50)).await.cause, None);
}

#[tokio::test(start_paused = true)]
async fn a_share_of_failures_is_looked_at_with_each_answer_from_the_hundredth_on() {
    let first_fail =
        |failing: u64| move |euid: u64, _| (MS, if euid <= failing { reply(200, r#"{"code":55004}"#) } else { ok() });
    let settings = Settings { max_failures: MaxFailures::Percent(5.0), in_flight: 1, ..unlimited() };
    let ran = run(settings.clone(), 1..=1000, None, first_fail(6)).await;
    assert_eq!(ran.cause, Some(StopCause::MaxFailures("6 of 100 rows answered have failed".to_owned())));
    assert_eq!(ran.decision(100).outcome, Outcome::Synced, "the hundredth is accepted, and its answer is looked at");
    assert_eq!(ran.decisions.len(), 100);
    assert_eq!(run(settings.clone(), 1..=1000, None, first_fail(4)).await.cause, None);
    // Many at once, and no row that failed.
    let settings = Settings { max_failures: MaxFailures::Percent(0.0), ..unlimited() };
    assert_eq!(run(settings, 1..=1000, None, first_fail(0)).await.cause, None);
}

#[tokio::test(start_paused = true)]
async fn a_stale_connection_is_tried_again_at_once_and_only_once() {
    let slow_backoff = Settings { retry_base: Duration::from_secs(20), ..unlimited() };
    let ran = run(slow_backoff, [1], None, |_, attempt| (MS, if attempt == 1 { network(true) } else { ok() })).await;
    assert_eq!((ran.decision(1).attempts, ran.took < MS * 10), (2, true));
    let ran = run(Settings { retries: 0, ..unlimited() }, [1], None, |_, _| (MS, network(true))).await;
    assert_eq!((ran.decision(1).attempts, ran.decision(1).reason), (1, Some(Reason::Network)));
}

#[tokio::test(start_paused = true)]
async fn an_outage_holds_sending_and_fails_no_row() {
    let down = Duration::from_mins(5);
    let began = Instant::now();
    let ran =
        run(unlimited(), 1..=2000, None, move |_, _| (MS, if began.elapsed() < down { network(false) } else { ok() }))
            .await;
    assert_eq!((ran.cause, ran.not_sent), (None, 0));
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced));
    let held: Vec<&Seen> =
        ran.seen.iter().filter(|seen| seen.start > Duration::from_secs(5) && seen.start < down).collect();
    assert!(held.len() > 10, "{} probes", held.len());
    assert!(held.iter().all(|seen| seen.fresh), "probes use fresh connections");
    assert!(
        held.windows(2).all(|pair| pair[0].end <= pair[1].start && pair[0].euid != pair[1].euid),
        "one at a time, in turn"
    );
}

#[tokio::test(start_paused = true)]
async fn who_listens_hears_of_holds_and_waits() {
    let (heard, limited) = (Arc::new(Mutex::new(Vec::new())), AtomicBool::new(false));
    let (down, began) = (Duration::from_mins(5), Instant::now());
    let play = Play::of(1..=200, move |euid, _| {
        let answer = if began.elapsed() < down {
            network(false)
        } else if euid == 150 && !limited.swap(true, Relaxed) {
            Ok(Reply { status: 429, retry_after: Some("7".to_owned()), ..Reply::default() })
        } else {
            ok()
        };
        (MS, answer)
    });
    let all = Arc::clone(&heard);
    let listener = Listener::new(move |happening| all.lock().unwrap().push(happening));
    let ran = Play { set_up: Box::new(move |dispatcher| dispatcher.with_listener(listener)), ..play }.run().await;
    assert_eq!((ran.cause, ran.decisions.len()), (None, 200));
    let seven = Duration::from_secs(7);
    assert_eq!(*heard.lock().unwrap(), [Happening::Held, Happening::GoesOn, Happening::Waits(seven)]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_lasts_stops_the_run() {
    let ran = run(unlimited(), 1..=500, None, |_, _| (MS, server_error())).await;
    assert!(matches!(ran.cause, Some(StopCause::Outage { .. })));
    assert_eq!((ran.not_sent, ran.decisions.len()), (500, 0));
    assert!(ran.took >= Duration::from_mins(15) && ran.took < Duration::from_mins(17), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn as_long_as_rows_may_come_probes_that_the_api_fails_hold() {
    let began = Instant::now();
    let open = Duration::from_mins(4);
    let ran = run_open(unlimited(), 1..=30, open, move |_, _| (MS, server_error())).await;
    assert_eq!((&ran.cause, ran.not_sent, ran.decisions.len()), (&None, 0, 30));
    assert!(ran.reasons().iter().all(|reason| *reason == Some(Reason::ServerError)));
    assert!(began.elapsed() > open && began.elapsed() < open + Duration::from_mins(3), "{:?}", began.elapsed());
    let held: Vec<&Seen> =
        ran.seen.iter().filter(|seen| seen.start > Duration::from_secs(5) && seen.start < open).collect();
    assert!(held.len() > 5 && held.iter().all(|seen| seen.fresh), "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dozen_sick_rows_are_not_an_outage() {
    let ran = run(unlimited(), 1..=12, None, |euid, _| (MS, if euid <= 4 { server_error() } else { ok() })).await;
    assert_eq!(ran.cause, None);
    assert_eq!(ran.decisions.iter().filter(|decision| decision.outcome == Outcome::Failed).count(), 4);
}

#[tokio::test(start_paused = true)]
async fn sixty_sick_rows_among_healthy_ones_fail_in_the_end() {
    let settings = Settings { max_failures: MaxFailures::None, ..unlimited() };
    let ran = run(settings, 1..=1000, None, |euid, _| (MS, if euid <= 60 { server_error() } else { ok() })).await;
    assert_eq!(ran.cause, None);
    let failed = ran.decisions.iter().filter(|decision| decision.outcome == Outcome::Failed).count();
    assert_eq!(failed, 60);
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_does_not_verify_stops_at_once() {
    let ran = run(unlimited(), 1..=100, None, |_, _| {
        (MS, Err(Broken::Certificate(CertificateFault::new("expired", "renew it"))))
    })
    .await;
    assert!(matches!(ran.cause, Some(StopCause::Outage { .. })));
    assert_eq!((ran.decisions.len(), ran.not_sent > 0), (0, true));
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_is_under_way_and_starts_nothing_new() {
    let settings = Settings { in_flight: 4, ..unlimited() };
    let ran = run(settings, 1..=100, Some(MS * 15), |_, _| (MS * 10, ok())).await;
    assert_eq!(ran.decisions.len(), 8);
    assert_eq!(ran.took, MS * 20);
}

#[tokio::test(start_paused = true)]
async fn the_grace_cuts_off_what_hangs() {
    let settings = Settings { grace: Duration::from_secs(3), ..unlimited() };
    let ran = run(settings, 1..=3, Some(MS * 5), |_, _| (Duration::from_hours(1), ok())).await;
    assert_eq!((ran.decisions.len(), ran.not_sent), (0, 3));
    assert_eq!(ran.took, MS * 5 + Duration::from_secs(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the faults and their order: each row ends in exactly one outcome, rows of one EUID start in input order
    /// and never overlap, and the rate holds.
    #[test]
    fn any_order_of_faults_keeps_order_rate_and_books(
        euids in prop::collection::vec(1_u64..30, 1..200),
        faults in prop::collection::vec(0_u8..7, 1..97),
        in_flight in 1_usize..20,
        per_second in 5_u64..500,
        stop_after in prop::option::of(0_u64..20_000),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let rate = Rate::Limited { count: NonZeroU64::new(per_second).unwrap(), per: Duration::from_secs(1) };
        let settings = Settings { rate, burst: 3, in_flight, max_failures: MaxFailures::None, ..Settings::default() };
        let ran = runtime.block_on(run(settings, euids, stop_after.map(Duration::from_millis), move |euid, attempt| {
            let at = (euid as usize * 31 + attempt as usize * 7) % faults.len();
            let answer = match faults[at] {
                0 => server_error(),
                1 => network(attempt.is_multiple_of(2)),
                2 => Err(Broken::Timeout(Duration::from_secs(30))),
                3 => reply(502, "<html>"),
                4 => reply(429, ""),
                _ => ok(),
            };
            (MS * (attempt % 9), answer)
        }));
        let mut decided: Vec<u64> = ran.decisions.iter().map(|decision| decision.origin.row).collect();
        decided.sort_unstable();
        prop_assert!(decided.windows(2).all(|pair| pair[0] < pair[1]), "a row was decided twice");
        prop_assert!(peak(&ran.seen) as u64 <= per_second + 3);
        let mut last: HashMap<u64, (u64, Duration)> = HashMap::new();
        for seen in &ran.seen {
            let row: u64 = seen.value.split('@').next().unwrap().parse().unwrap();
            if let Some((before, ended)) = last.insert(seen.euid, (row, seen.end)) {
                prop_assert!(before <= row && ended <= seen.start);
            }
        }
    }
}
