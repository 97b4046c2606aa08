//! A mint that others share: starts that are planned ahead, waits that all have to keep, a place that is out of reach.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use dispatcher::{BoxFuture, Dispatcher, Lease, Mint, MintAsk, MintError, Minted, Pause, Reply, Settings, StopCause};
use support::{MS, Play, Scripted, ok, unlimited};
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);

type Answers = dyn FnMut(Duration, MintAsk) -> Result<Minted, MintError> + Send;

/// Answers as it is told, by how long it has been there.
struct Place {
    began: Instant,
    answers: Box<Answers>,
    asked: Arc<Mutex<Vec<(Duration, MintAsk)>>>,
    left: Arc<Mutex<u32>>,
}

impl Mint for Place {
    fn ask(&mut self, ask: MintAsk) -> BoxFuture<'_, Result<Minted, MintError>> {
        let at = self.began.elapsed();
        self.asked.lock().unwrap().push((at, ask));
        let answer = (self.answers)(at, ask);
        Box::pin(async move {
            tokio::time::sleep(MS).await;
            answer
        })
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn leave(&mut self) -> BoxFuture<'_, ()> {
        *self.left.lock().unwrap() += 1;
        Box::pin(std::future::ready(()))
    }
}

#[derive(Default, Clone)]
struct Seen {
    asked: Arc<Mutex<Vec<(Duration, MintAsk)>>>,
    left: Arc<Mutex<u32>>,
}

impl Seen {
    /// Sets a dispatcher up with such a place.
    fn place(
        &self,
        answers: impl FnMut(Duration, MintAsk) -> Result<Minted, MintError> + Send + 'static,
    ) -> Box<dyn FnOnce(Dispatcher<Scripted>) -> Dispatcher<Scripted> + Send> {
        let (asked, left) = (Arc::clone(&self.asked), Arc::clone(&self.left));
        Box::new(move |dispatcher| {
            let (began, answers) = (Instant::now(), Box::new(answers));
            dispatcher.with_mint(Box::new(Place { began, answers, asked, left }))
        })
    }
}

/// Nothing yet.
fn nothing() -> Minted {
    let now = Instant::now();
    Minted { lease: None, not_before: now, ask_by: Some(now + SECOND / 2), pause: None, voids_earlier: false }
}

/// So many starts, the first of them in so long, each 100 ms after the other.
fn starts(count: u32, begin: Duration) -> Minted {
    let planned = Instant::now() + begin;
    let (interval, life) = (MS * 100, MS * 10);
    let lease = Lease { starts: count, planned, interval, life, until: planned + interval * count };
    Minted { lease: Some(lease), not_before: planned + interval * count, ..nothing() }
}

/// As many as are wanted, at once.
fn any(ask: MintAsk) -> Minted {
    if ask.want == 0 { nothing() } else { Minted { not_before: Instant::now(), ..starts(1, Duration::ZERO) } }
}

#[tokio::test(start_paused = true)]
async fn what_is_planned_ahead_starts_at_its_time() {
    let seen = Seen::default();
    let set_up = seen.place(|_, ask| Ok(if ask.want == 0 { nothing() } else { starts(5, MS * 300) }));
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=5, |_, _| (MS, ok())) };
    let ran = play.run().await;
    assert_eq!((ran.cause, ran.decisions.len()), (None, 5));
    let gaps: Vec<u128> =
        ran.seen.windows(2).map(|pair| pair[1].start.as_millis() - pair[0].start.as_millis()).collect();
    assert_eq!(gaps, [100; 4]);
    assert!(ran.seen[0].start >= MS * 300, "{:?}", ran.seen[0]);
    assert_eq!(*seen.left.lock().unwrap(), 1, "others needn't reckon with it any more");
}

#[tokio::test(start_paused = true)]
async fn the_place_hears_of_a_run_at_once_and_as_often_as_it_wants_to() {
    let seen = Seen::default();
    let set_up = seen.place(|_, ask| Ok(any(ask)));
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=1, |_, _| (SECOND * 4, ok())) };
    play.run().await;
    let asked = seen.asked.lock().unwrap();
    let renewed: Vec<u64> = asked.iter().filter(|(_, ask)| ask.want == 0).map(|(at, _)| at.as_secs()).collect();
    assert!((7..=10).contains(&renewed.len()), "{asked:?}");
}

/// Behind others who have 20 ms planned; who only asked when it could start would wait them out for each row.
#[tokio::test(start_paused = true)]
async fn who_has_one_request_under_way_asks_for_the_next_before() {
    let seen = Seen::default();
    let queue = MS * 20;
    let set_up = seen.place(move |_, ask| {
        let not_before = Instant::now();
        Ok(if ask.want == 0 { nothing() } else { Minted { not_before, ..starts(1, queue) } })
    });
    let settings = Settings { in_flight: 1, ..unlimited() };
    let play = Play { settings, set_up, ..Play::of(1..=50, |_, _| (MS * 5, ok())) };
    let ran = play.run().await;
    assert_eq!((ran.cause, ran.decisions.len()), (None, 50));
    assert!(ran.took < (queue + MS * 5) * 50 * 6 / 10, "{:?}", ran.took);
    let asked = seen.asked.lock().unwrap();
    let wanted: u32 = asked.iter().map(|(_, ask)| ask.want.min(1)).sum();
    assert!((50..60).contains(&wanted), "starts that nobody used: {wanted}");
}

/// One that hangs frees nobody: what is asked for meanwhile would be lost to the others.
#[tokio::test(start_paused = true)]
async fn who_waits_for_a_request_that_hangs_asks_for_nothing() {
    for in_flight in [1, 4] {
        let seen = Seen::default();
        let set_up = seen.place(|_, ask| Ok(any(ask)));
        let settings = Settings { in_flight, ..unlimited() };
        let hang = SECOND * 20;
        let answered = move |euid: u64, _| (if (20..24).contains(&euid) { hang } else { MS }, ok());
        let play = Play { settings, set_up, ..Play::of(1..=60, answered) };
        let ran = play.run().await;
        assert_eq!((ran.cause, ran.decisions.len()), (None, 60));
        let asked = seen.asked.lock().unwrap();
        let begun = ran.seen.iter().filter(|seen| seen.start < hang).map(|seen| seen.start).max().unwrap();
        let within = begun + MS * 60..begun + SECOND * 19;
        let wanted = asked.iter().filter(|(at, ask)| within.contains(at) && ask.want > 0).count();
        assert_eq!(wanted, 0, "{in_flight} in flight");
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_out_of_reach_stops_all_starts_and_counts_as_an_outage() {
    let seen = Seen::default();
    let gone = || Err(MintError::Unreachable("nobody listens".to_owned()));
    let set_up = seen.place(move |at, ask| if at < SECOND { Ok(any(ask)) } else { gone() });
    let settings = Settings { outage_wait: SECOND * 60, in_flight: 2, ..unlimited() };
    let play = Play { settings, set_up, ..Play::of(1..=500, |_, _| (MS * 10, ok())) };
    let ran = play.run().await;
    let Some(StopCause::Outage { what, advice }) = ran.cause else { panic!("{:?}", ran.cause) };
    assert_eq!(what, "the shared rate stayed out of reach for 60 s: nobody listens");
    assert!(advice.unwrap().contains("--share-rate"));
    assert!(ran.decisions.len() > 50 && ran.not_sent > 0 && ran.decisions.len() as u64 + ran.not_sent == 500);
    assert!(ran.seen.iter().all(|seen| seen.start < SECOND + MS * 110), "something started without leave");
    assert!(ran.took >= SECOND * 61 && ran.took < SECOND * 63, "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_comes_back_loses_nothing_also_with_the_outage_rule_off() {
    for outage_wait in [SECOND * 60, Duration::ZERO] {
        let seen = Seen::default();
        let away = SECOND..SECOND * 40;
        let set_up =
            seen.place(
                move |at, ask| {
                    if away.contains(&at) { Err(MintError::Unreachable("away".to_owned())) } else { Ok(any(ask)) }
                },
            );
        let settings = Settings { outage_wait, in_flight: 2, ..unlimited() };
        let play = Play { settings, set_up, ..Play::of(1..=500, |_, _| (MS * 10, ok())) };
        let ran = play.run().await;
        assert_eq!((ran.cause, ran.decisions.len(), ran.not_sent), (None, 500, 0));
        assert!(!ran.seen.iter().any(|seen| seen.start > SECOND + MS * 110 && seen.start < SECOND * 40));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_place_has_given_before_it_began_anew_is_void() {
    let seen = Seen::default();
    let set_up = seen.place(|at, ask| {
        Ok(match at {
            at if at < MS * 400 && ask.want > 0 => starts(10, SECOND),
            at if at < MS * 400 => nothing(),
            at if at < MS * 700 => Minted { voids_earlier: true, ..nothing() },
            _ if ask.want > 0 => starts(10, SECOND * 3),
            _ => nothing(),
        })
    });
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=5, |_, _| (MS, ok())) };
    let ran = play.run().await;
    assert_eq!(ran.decisions.len(), 5);
    assert!(ran.seen.iter().all(|seen| seen.start >= SECOND * 3), "{:?}", ran.seen);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_service_asked_for_is_told_and_one_that_others_were_told_is_kept() {
    let seen = Seen::default();
    let set_up = seen.place(|at, ask| {
        let others = (at > SECOND * 20 && at < SECOND * 21).then_some(Pause::Asked(SECOND * 30));
        Ok(Minted { pause: others, ..any(ask) })
    });
    let limited = || Ok(Reply { status: 429, retry_after: Some("7".to_owned()), ..Reply::default() });
    let script = move |euid, attempt| (MS * 100, if euid == 30 && attempt == 1 { limited() } else { ok() });
    let settings = Settings { in_flight: 1, ..unlimited() };
    let play = Play { settings, set_up, ..Play::of(1..=300, script) };
    let ran = play.run().await;
    assert_eq!((ran.cause, ran.decisions.len()), (None, 300));
    let told = seen.asked.lock().unwrap().iter().find_map(|(at, ask)| Some((*at, ask.pause?))).unwrap();
    let limited = ran.seen.iter().find(|seen| seen.euid == 30).unwrap().end;
    assert!(told.0 >= limited && told.0 < limited + MS * 20, "{told:?} after {limited:?}");
    assert!(matches!(told.1, Pause::Asked(wait) if wait > SECOND * 6), "{told:?}");
    let in_a_wait =
        |from: Duration, to: Duration| ran.seen.iter().filter(move |seen| seen.start > from && seen.start < to);
    assert_eq!(in_a_wait(limited + MS, limited + SECOND * 7).count(), 0);
    assert_eq!(in_a_wait(SECOND * 22, SECOND * 50).count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_is_too_long_is_told_all_the_same() {
    let seen = Seen::default();
    let set_up = seen.place(|_, ask| Ok(any(ask)));
    let limited = || Ok(Reply { status: 429, retry_after: Some("7000".to_owned()), ..Reply::default() });
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=3, move |_, _| (MS, limited())) };
    let ran = play.run().await;
    assert!(matches!(ran.cause, Some(StopCause::Outage { .. })), "{:?}", ran.cause);
    let last = seen.asked.lock().unwrap().last().copied().unwrap().1;
    assert!(matches!(last.pause, Some(Pause::Asked(wait)) if wait > SECOND * 6_990), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_others_that_is_too_long_stops_the_run_and_says_whose_it_is() {
    let seen = Seen::default();
    let set_up = seen.place(|_, _| Ok(Minted { pause: Some(Pause::Asked(SECOND * 3_000)), ..nothing() }));
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=3, |_, _| (MS, ok())) };
    let ran = play.run().await;
    let Some(StopCause::Outage { what, advice }) = ran.cause else { panic!("{:?}", ran.cause) };
    assert!(what.starts_with("the server asked all who share the rate to wait 3000 s"), "{what}");
    assert!(advice.unwrap().contains("another process"));
    assert_eq!((ran.seen.len(), ran.not_sent), (0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_place_that_refuses_ends_the_run() {
    let seen = Seen::default();
    let set_up = seen.place(|_, _| Err(MintError::Refused("another rate".to_owned())));
    let play = Play { settings: unlimited(), set_up, ..Play::of(1..=3, |_, _| (MS, ok())) };
    let ran = play.run().await;
    assert_eq!(ran.cause, Some(StopCause::RateRefused("another rate".to_owned())));
    assert_eq!((ran.seen.len(), ran.not_sent), (0, 3));
}
