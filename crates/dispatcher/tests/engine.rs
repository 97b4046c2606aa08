//! What the dispatcher is made of, against scripted lines: several runtimes, parts that break, a lane that is full, a
//! canary, and what waits for a slow writer.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    thread::ThreadId,
    time::Duration,
};

use dispatcher::{Canary, Settings, StopCause};
use model::Outcome;
use support::{MS, Play, Seen, ok, reply, server_error, unlimited};

/// Rows of one EUID in input order, none before the other's end.
fn assert_order(seen: &[Seen]) {
    let mut last: HashMap<u64, (u64, Duration)> = HashMap::new();
    for seen in seen {
        let row: u64 = seen.value.split('@').next().unwrap().parse().unwrap();
        if let Some((before, ended)) = last.insert(seen.euid, (row, seen.end)) {
            assert!(before <= row && ended <= seen.start, "EUID {}: row {row} after {before}", seen.euid);
        }
    }
}

#[test]
fn two_runtimes_share_one_limit_one_order_and_the_work() {
    let runtime = |threads| tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_time().build();
    let (main, other) = (runtime(1).unwrap(), runtime(1).unwrap());
    let handle = other.handle().clone();
    let threads: Arc<Mutex<HashMap<ThreadId, u64>>> = Arc::default();
    let seen_threads = Arc::clone(&threads);
    let play = Play {
        settings: Settings { in_flight: 8, retry_base: MS, retry_cap: MS * 2, ..unlimited() },
        set_up: Box::new(move |dispatcher| dispatcher.also_on([handle])),
        ..Play::of((0..1_000).map(|row| 1 + row % 37), move |euid, attempt| {
            *seen_threads.lock().unwrap().entry(std::thread::current().id()).or_default() += 1;
            (MS, if euid == 5 && attempt % 7 == 1 { server_error() } else { ok() })
        })
    };
    let ran = main.block_on(play.run());
    assert_eq!((ran.cause.as_ref(), ran.decisions.len(), ran.not_sent), (None, 1_000, 0));
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced));
    let threads = threads.lock().unwrap();
    assert_eq!(threads.len(), 2, "both runtimes send: {threads:?}");
    assert_order(&ran.seen);
    let under_way = |at| ran.seen.iter().filter(|seen| seen.start <= at && at < seen.end).count();
    let most = ran.seen.iter().map(|seen| under_way(seen.start)).max();
    assert!(most.is_some_and(|most| most > 4 && most <= 8), "{most:?} at once");
}

#[tokio::test(start_paused = true)]
async fn contacts_that_nobody_writes_down_are_dropped_those_of_failed_rows_never() {
    for accepted_contacts in [false, true] {
        let answer = |euid| if euid == 2 { reply(400, r#"{"code":55108}"#) } else { ok() };
        let play = Play::of(1..=3, move |euid, _| (MS, answer(euid)));
        let play = if accepted_contacts {
            play
        } else {
            Play { set_up: Box::new(dispatcher::Dispatcher::without_accepted_contacts), ..play }
        };
        let ran = play.run().await;
        let kept: Vec<bool> = (1..=3).map(|row| ran.decision(row).contacts.is_some()).collect();
        assert_eq!(kept, [accepted_contacts, true, accepted_contacts]);
        assert!(ran.seen.iter().all(|seen| !seen.value.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_stops_the_run_and_is_told() {
    let ran = Play::of(1..=2_000, |euid, _| {
        assert_ne!(euid, 700, "a bug");
        (MS, ok())
    })
    .run()
    .await;
    assert!(ran.broke_off && matches!(ran.cause, Some(StopCause::Bug(_))), "{:?}", ran.cause);
    assert!(ran.decisions.len() >= 600 && ran.not_sent >= 1, "{} are decided", ran.decisions.len());
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_panics_while_others_wait_for_its_lane_stops_the_run() {
    let ran = Play::of(std::iter::repeat_n(9, 50), |_, attempt| {
        assert_ne!(attempt, 5, "a bug");
        (MS, ok())
    })
    .run()
    .await;
    assert!(ran.broke_off);
    assert_eq!((ran.decisions.len(), ran.not_sent), (4, 46));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_takes_decisions_nothing_more_is_sent() {
    let play = Play { journal_dies: true, ..Play::of(1..=50_000, |_, _| (MS, ok())) };
    let ran = play.run().await;
    assert!(matches!(ran.cause, Some(StopCause::Bug(_))), "{:?}", ran.cause);
    assert!(ran.not_sent > 0 && ran.seen.len() < 5_000, "{} were sent", ran.seen.len());
}

#[tokio::test(start_paused = true)]
async fn a_full_lane_and_then_a_stop() {
    let slow = |euid, _| (if euid == 9 { Duration::from_secs(1) } else { MS }, ok());
    // The lane of one user is full, the reader waits for it, and others can't pass.
    let euids = std::iter::repeat_n(9, 3_000).chain(10..20);
    let play = Play { signal_after: Some(Duration::from_millis(2_500)), ..Play::of(euids, slow) };
    let ran = play.run().await;
    assert_eq!(ran.cause, Some(StopCause::Signal(15)));
    assert_eq!((ran.decisions.len(), ran.took), (3, Duration::from_secs(3)));
    assert!(ran.not_sent >= 1_000 && ran.not_sent < 3_000, "the lane was full: {}", ran.not_sent);
    assert_order(&ran.seen);
}

/// Gives no start, and never answers.
struct Silent;

impl dispatcher::Mint for Silent {
    fn ask(
        &mut self,
        _: dispatcher::MintAsk,
    ) -> dispatcher::BoxFuture<'_, Result<dispatcher::Minted, dispatcher::MintError>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_mint_that_never_answers_keeps_no_run_from_stopping() {
    let set_up = Box::new(|dispatcher: dispatcher::Dispatcher<_>| dispatcher.with_mint(Box::new(Silent)));
    let play = Play { signal_after: Some(MS * 50), set_up, ..Play::of(1..=20, |_, _| (MS, ok())) };
    let ran = tokio::time::timeout(Duration::from_mins(1), play.run()).await.unwrap();
    assert_eq!((ran.decisions.len(), ran.not_sent, ran.took), (0, 20, MS * 50));
}

#[tokio::test(start_paused = true)]
async fn a_canary_lets_a_few_in_until_it_is_lifted() {
    let (canary, mut watch) = Canary::new(5);
    let (tell, told) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut first = Vec::new();
        while first.len() < 5 {
            first.push(watch.decided.recv().await.unwrap());
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
        watch.lift();
        tell.send(first).unwrap();
    });
    let play = Play {
        set_up: Box::new(move |dispatcher| dispatcher.with_canary(canary)),
        ..Play::of(1..=500, |euid, _| (MS, if euid == 3 { reply(200, r#"{"code":55004}"#) } else { ok() }))
    };
    let ran = play.run().await;
    let first = told.await.unwrap();
    assert!(first.iter().all(|decision| decision.contacts.is_none()));
    assert_eq!(first.iter().filter(|decision| decision.outcome == Outcome::Failed).count(), 1);
    assert_eq!((ran.decisions.len(), ran.seen.len()), (500, 500));
    let early: Vec<u64> =
        ran.seen.iter().filter(|seen| seen.start < Duration::from_mins(1)).map(|seen| seen.euid).collect();
    assert_eq!(early, [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn a_canary_of_which_nobody_speaks_stops_the_run_and_fewer_rows_are_simply_sent() {
    for (rows, sent, stops) in [(500, 5, true), (5, 5, true), (4, 4, false)] {
        let (canary, watch) = Canary::new(5);
        tokio::spawn(async move {
            let mut watch = watch;
            while watch.decided.recv().await.is_some_and(|decision| decision.origin.row < 5) {}
        });
        let play = Play {
            set_up: Box::new(move |dispatcher| dispatcher.with_canary(canary)),
            ..Play::of(1..=rows, |_, _| (MS, ok()))
        };
        let ran = play.run().await;
        assert_eq!((ran.decisions.len(), matches!(ran.cause, Some(StopCause::Declined(_)))), (sent, stops), "{rows}");
    }
}
