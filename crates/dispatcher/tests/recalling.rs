//! A memory that reads the service: what it decides by itself, what it wants to be asked again, and its own quota.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    num::NonZeroU64,
    sync::{Arc, Mutex},
    time::Duration,
};

use dispatcher::{
    Asker, Batches, BoxFuture, MaxFailures, Memory, Rate, Recall, Recalled, RequestKind, Settings, StopCause, Turn,
};
use model::{Answered, Contact, Outcome, Reason};
use support::{MS, Play, ok, unlimited};
use tokio::time::Instant;

/// Asks the service about each batch. By the row's number modulo four: it is there, it isn't by the second look either,
/// it is by then, the read fails.
struct Reader {
    began: Instant,
    /// When it was called, with how many rows, how many of them for the second time.
    calls: Mutex<Vec<(Duration, usize, usize)>>,
    linger: Duration,
}

const SETTLE: Duration = Duration::from_secs(10);

fn reader(linger: Duration) -> Arc<Reader> {
    Arc::new(Reader { began: Instant::now(), calls: Mutex::default(), linger })
}

struct Shared(Arc<Reader>);

impl Memory for Shared {
    fn batches(&self) -> Batches {
        Batches { rows: 100, calls: 32, linger: self.0.linger }
    }

    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async move {
            let again = turns.iter().filter(|turn| turn.times_asked > 0).count();
            self.0.calls.lock().unwrap().push((self.0.began.elapsed(), turns.len(), again));
            let Some(read) = asker.ask(RequestKind::Profile, "v1/user/profile", b"{}".to_vec()).await else {
                return Ok(vec![Recall::Send; turns.len()]);
            };
            let decided = |outcome, reason| {
                Recall::Decided(Box::new(Recalled {
                    outcome,
                    reason,
                    answered: Answered::default(),
                    attempts: read.attempts,
                    latency_ms: read.latency_ms,
                    contacts: None,
                }))
            };
            let recall = |turn: &Turn<'_>| match (turn.contact.origin.row % 4, turn.times_asked) {
                (0, _) | (2, 1) => decided(Outcome::Landed, None),
                (1, 1) => decided(Outcome::Different, Some(Reason::ValueMissing)),
                (3, _) => decided(Outcome::Failed, Some(Reason::Timeout)),
                (_, 0) => Recall::AskAgain(SETTLE),
                _ => unreachable!("it is asked twice at most"),
            };
            Ok(turns.iter().map(recall).collect())
        })
    }

    fn ended(&self, _: &Contact, _: Outcome, _: Option<Reason>, _: bool) {
        unreachable!("nothing is sent");
    }
}

fn play(reader: &Arc<Reader>, rows: u64, settings: Settings) -> Play {
    let memory = Arc::new(Shared(Arc::clone(reader)));
    let set_up = Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| dispatcher.with_memory(memory));
    let answers = Arc::new(|_: &str, _: &serde_json::Value| (MS, ok()));
    Play { settings, answers, set_up, ..Play::of((0..rows).map(|row| 1 + row % 900), |_, _| panic!("nothing is sent")) }
}

fn per_second(count: u64) -> Rate {
    Rate::Limited { count: NonZeroU64::new(count).unwrap(), per: Duration::from_secs(1) }
}

#[tokio::test(start_paused = true)]
async fn a_memory_may_decide_rows_and_want_to_be_asked_again_later() {
    let reader = reader(MS * 20);
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::None, ..unlimited() };
    let ran = play(&reader, 4_000, settings).run().await;
    assert_eq!((ran.cause.as_ref(), ran.decisions.len(), ran.seen.len()), (None, 4_000, 0));
    for decision in &ran.decisions {
        let expected = match decision.origin.row % 4 {
            1 => (Outcome::Different, Some(Reason::ValueMissing)),
            3 => (Outcome::Failed, Some(Reason::Timeout)),
            _ => (Outcome::Landed, None),
        };
        assert_eq!((decision.outcome, decision.reason, decision.attempts), (expected.0, expected.1, 1));
    }
    assert!(ran.took >= SETTLE && ran.took < SETTLE * 11, "{:?}", ran.took);
    let calls = reader.calls.lock().unwrap();
    let again = calls.iter().map(|(_, _, again)| again).sum::<usize>();
    assert_eq!(again, 2_000, "each row that wasn't there is asked about once more");
    assert!(calls.iter().all(|(at, rows, again)| (*again == 0 || *at >= SETTLE) && *rows <= 100));
}

#[tokio::test(start_paused = true)]
async fn rows_that_come_one_by_one_are_asked_about_together_and_the_last_wait_for_nobody() {
    let reader = reader(Duration::from_hours(1));
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::None, ..unlimited() };
    let ran = play(&reader, 850, settings).run().await;
    assert_eq!(ran.decisions.len(), 850);
    assert!(ran.took < SETTLE * 2, "{:?}", ran.took);
    let calls = reader.calls.lock().unwrap();
    let first: Vec<usize> = calls.iter().filter(|(_, _, again)| *again == 0).map(|(_, rows, _)| *rows).collect();
    assert_eq!(first, [100, 100, 100, 100, 100, 100, 100, 100, 50]);
}

#[tokio::test(start_paused = true)]
async fn rows_of_which_no_more_come_soon_wait_no_longer_than_the_linger() {
    let reader = reader(MS * 50);
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::None, ..unlimited() };
    let play = Play { open_for: Duration::from_secs(100), ..play(&reader, 30, settings) };
    assert_eq!(play.run().await.decisions.len(), 30);
    let calls = reader.calls.lock().unwrap();
    let (at, rows, _) = calls[0];
    assert!(at >= MS * 50 && at < MS * 60 && rows == 30, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn rows_that_could_not_be_read_count_as_failures_and_different_ones_do_not() {
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::Rows(150), ..unlimited() };
    let ran = play(&reader(MS * 20), 4_000, settings).run().await;
    assert!(matches!(ran.cause, Some(StopCause::MaxFailures(_))), "{:?}", ran.cause);
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::Percent(30.0), ..unlimited() };
    let ran = play(&reader(MS * 20), 4_000, settings).run().await;
    assert!(
        matches!(ran.cause, Some(StopCause::MaxFailures(_))),
        "of the first look half have failed: {:?}",
        ran.cause
    );
    let settings = Settings { profile_rate: Rate::Unlimited, max_failures: MaxFailures::Rows(1_001), ..unlimited() };
    assert_eq!(play(&reader(MS * 20), 4_000, settings).run().await.cause, None);
}

/// Reads of users are paced by themselves: a slow one of the two holds up only its own.
#[tokio::test(start_paused = true)]
async fn reading_has_a_quota_of_its_own() {
    let reader = reader(MS * 20);
    let settings = Settings {
        rate: per_second(1),
        burst: 1,
        profile_rate: per_second(5),
        max_failures: MaxFailures::None,
        ..Settings::default()
    };
    let ran = play(&reader, 3_600, settings).run().await;
    assert_eq!((ran.cause.as_ref(), ran.decisions.len()), (None, 3_600));
    let calls = reader.calls.lock().unwrap().len();
    // At a request a second it would take as many seconds as there are calls.
    assert!(calls >= 50 && ran.took < Duration::from_secs(calls as u64 / 5 + 25), "{calls} calls, {:?}", ran.took);
    assert!(ran.took >= Duration::from_secs(calls as u64 / 5 - 2), "{calls} calls, {:?}", ran.took);
}

/// A memory that reads and then lets send: contacts are paced by the one rate, reads by the other.
#[tokio::test(start_paused = true)]
async fn sending_is_not_held_up_by_a_slow_quota_of_reads() {
    struct Sends;
    impl Memory for Sends {
        fn recall<'a>(
            &'a self,
            turns: &'a [Turn<'a>],
            asker: &'a Asker,
        ) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
            Box::pin(async move {
                asker.ask(RequestKind::Profile, "v1/user/profile", b"{}".to_vec()).await;
                Ok(vec![Recall::Send; turns.len()])
            })
        }

        fn ended(&self, _: &Contact, _: Outcome, _: Option<Reason>, _: bool) {}
    }
    let settings = Settings { rate: per_second(200), burst: 2, profile_rate: per_second(2), ..Settings::default() };
    let set_up =
        Box::new(|dispatcher: dispatcher::Dispatcher<support::Scripted>| dispatcher.with_memory(Arc::new(Sends)));
    let answers = Arc::new(|_: &str, _: &serde_json::Value| (MS, ok()));
    let ran = Play { settings, answers, set_up, ..Play::of(1..=4_000, |_, _| (MS * 5, ok())) }.run().await;
    assert_eq!((ran.cause.as_ref(), ran.seen.len()), (None, 4_000));
    // 40 reads at two a second and 4,000 rows at 200 a second take 20 s each, and go on side by side.
    assert!(ran.took < Duration::from_secs(26), "{:?}", ran.took);
    assert!(support::peak(&ran.seen) <= 202 + 2, "{}", support::peak(&ran.seen));
}
