//! Memory and resolver, scripted: what they are asked, when, and what becomes of their answers.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use dispatcher::{
    Asker, BoxFuture, Broken, Ended, Intake, Memory, Recall, RequestKind, Resolver, Settings, StopCause, Turn,
    Unresolvable,
};
use model::{Answered, Contact, Euid, Outcome, Reason};
use proptest::prelude::*;
use support::{MS, Play, ok, reply, server_error, unlimited};
use tokio::time::Instant;

/// Knows what was sent last to each user, by the value's first digits modulo ten; asks the service where it is told to.
#[derive(Default)]
struct Script {
    /// These are unchanged.
    unchanged: HashSet<u64>,
    takes: Duration,
    asks: bool,
    fails_at: Option<u64>,
    panics_at: Option<u64>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// Asked about and not ended.
    open: HashSet<u64>,
    asked: Vec<u64>,
    ended: Vec<(u64, Outcome, Option<Reason>)>,
    calls: usize,
    answers: Vec<Option<Ended>>,
}

struct Scripted(Arc<Script>);

impl Memory for Scripted {
    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        let Script { unchanged, takes, asks, fails_at, panics_at, log } = &*self.0;
        Box::pin(async move {
            let rows: Vec<&Contact> = turns.iter().map(|turn| turn.contact).collect();
            assert!(!rows.is_empty() && rows.len() <= 100);
            {
                let mut log = log.lock().unwrap();
                log.calls += 1;
                for row in &rows {
                    assert!(log.open.insert(row.euid.get()), "the row before of this EUID is not decided");
                    log.asked.push(row.origin.row);
                }
            }
            tokio::time::sleep(*takes).await;
            let is_there = |row: &u64| rows.iter().any(|contact| contact.origin.row == *row);
            assert!(!panics_at.as_ref().is_some_and(is_there), "a bug");
            if fails_at.as_ref().is_some_and(is_there) {
                return Err(StopCause::Report("the memory can't be written".to_owned()));
            }
            if *asks {
                let answer = asker.ask(RequestKind::Profile, "v1/user/profile", b"{}".to_vec()).await;
                log.lock().unwrap().answers.push(answer.map(|answer| answer.ended));
            }
            let recall = |contact: &&Contact| {
                if unchanged.contains(&contact.origin.row) {
                    log.lock().unwrap().open.remove(&contact.euid.get());
                    Recall::Unchanged
                } else {
                    Recall::Send
                }
            };
            Ok(rows.iter().map(recall).collect())
        })
    }

    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, _may_land: bool) {
        let mut log = self.0.log.lock().unwrap();
        assert!(log.open.remove(&contact.euid.get()), "told of what it was asked about");
        log.ended.push((contact.origin.row, outcome, reason));
    }
}

fn play(
    memory: Script,
    euids: impl IntoIterator<Item = u64>,
    script: impl Fn(u64, u32) -> (Duration, support::Answer) + Send + Sync + 'static,
) -> (Play, Arc<Script>) {
    let memory = Arc::new(memory);
    let scripted = Arc::new(Scripted(Arc::clone(&memory)));
    let set_up =
        Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| dispatcher.with_memory(scripted));
    (Play { set_up, ..Play::of(euids, script) }, memory)
}

#[tokio::test(start_paused = true)]
async fn what_a_memory_knows_is_unchanged_and_the_rest_is_sent_in_order() {
    let memory =
        Script { unchanged: (1..=1_000).filter(|row| row % 3 == 0).collect(), takes: MS * 7, ..Script::default() };
    let (play, memory) = play(memory, (0..1_000).map(|row| 1 + row % 90), |euid, attempt| {
        (MS, if euid == 5 && attempt == 1 { server_error() } else { ok() })
    });
    let ran = play.run().await;
    assert_eq!((ran.cause.as_ref(), ran.decisions.len()), (None, 1_000));
    for decision in &ran.decisions {
        let unchanged = decision.origin.row % 3 == 0;
        let expected = if unchanged { Outcome::Unchanged } else { Outcome::Synced };
        assert_eq!((decision.outcome, decision.attempts == 0), (expected, unchanged));
    }
    let log = memory.log.lock().unwrap();
    assert_eq!((log.asked.len(), log.ended.len(), log.open.len()), (1_000, 667, 0));
    let mut last = HashMap::new();
    for row in &log.asked {
        let before = last.insert((row - 1) % 90, row);
        assert!(before.is_none_or(|before| before < row), "asked in the order of the input");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_memory_holds_no_worker_and_is_asked_about_many_rows_at_once() {
    let memory = Script { takes: Duration::from_millis(500), ..Script::default() };
    let (play, memory) = play(memory, 1..=4_000, |_, _| (MS * 100, ok()));
    let ran = Play { settings: Settings { in_flight: 64, ..unlimited() }, ..play }.run().await;
    assert_eq!(ran.decisions.len(), 4_000);
    // 4,000 answers of 100 ms over 64 workers are 6.3 s; each row of its own at the memory would be half an hour.
    assert!(ran.took < Duration::from_secs(9), "{:?}", ran.took);
    assert!(memory.log.lock().unwrap().calls <= 100, "{} calls", memory.log.lock().unwrap().calls);
}

#[tokio::test(start_paused = true)]
async fn a_memory_asks_the_service_ahead_of_rows_also_with_one_request_in_flight() {
    for (answer, ended) in [
        (r#"{"code":0,"message":"success"}"#, Ended::Accepted(None)),
        (r#"{"code":55004}"#, Ended::Failed(Reason::ParametersInvalid)),
    ] {
        let (play, memory) = play(Script { asks: true, ..Script::default() }, 1..=350, |_, _| (MS, ok()));
        let tries = Mutex::new(0);
        let answers = Arc::new(move |path: &str, _: &serde_json::Value| {
            assert_eq!(path, "v1/user/profile");
            let mut tries = tries.lock().unwrap();
            *tries += 1;
            // Each second one has to be asked again.
            (MS, if *tries % 2 == 1 { server_error() } else { reply(200, answer) })
        });
        let ran = Play { settings: Settings { in_flight: 1, ..unlimited() }, answers, ..play }.run().await;
        assert_eq!((ran.decisions.len(), ran.seen.len()), (350, 350));
        let log = memory.log.lock().unwrap();
        assert!(log.answers.len() >= 4 && log.answers.iter().all(|answer| *answer == Some(ended)), "{:?}", log.answers);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_what_a_memory_asks() {
    let (play, memory) = play(Script { asks: true, ..Script::default() }, 1..=350, |_, _| (MS, ok()));
    let answers = Arc::new(|_: &str, _: &serde_json::Value| (MS, server_error()));
    let ran = Play { signal_after: Some(MS * 300), answers, ..play }.run().await;
    assert_eq!((ran.cause, ran.decisions.len()), (Some(StopCause::Signal(15)), 0));
    let answers = &memory.log.lock().unwrap().answers;
    assert!(!answers.is_empty() && answers.iter().all(Option::is_none), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_fails_stops_the_run_and_nothing_of_it_is_lost() {
    let (play, _) = play(Script { fails_at: Some(350), ..Script::default() }, 1..=9_000, |_, _| (MS, ok()));
    let ran = play.run().await;
    assert_eq!(ran.cause, Some(StopCause::Report("the memory can't be written".to_owned())));
    assert!(!ran.broke_off && ran.not_sent >= 100);
    assert!(ran.seen.iter().all(|seen| seen.euid != 350), "what it didn't speak of is not sent");
}

#[tokio::test(start_paused = true)]
async fn a_memory_that_panics_stops_the_run() {
    let (play, _) = play(Script { panics_at: Some(350), ..Script::default() }, 1..=9_000, |_, _| (MS, ok()));
    let ran = play.run().await;
    assert!(ran.broke_off && matches!(ran.cause, Some(StopCause::Bug(_))), "{:?}", ran.cause);
}

/// Rows come with an id in place of the EUID; its user is a hundred times it, or what is remembered of it.
struct Ids {
    remembered: Mutex<HashMap<u64, u64>>,
    takes: fn(u64) -> Duration,
    unknown: HashSet<u64>,
    fails_at: Option<u64>,
    again: Mutex<Vec<u64>>,
    order: Mutex<Vec<(Duration, u64)>>,
    began: Instant,
}

impl Ids {
    fn new(remembered: &[(u64, u64)]) -> Self {
        Self {
            remembered: Mutex::new(remembered.iter().copied().collect()),
            takes: |_| Duration::ZERO,
            unknown: HashSet::new(),
            fails_at: None,
            again: Mutex::default(),
            order: Mutex::default(),
            began: Instant::now(),
        }
    }
}

fn id(contact: &Contact) -> u64 {
    contact.euid_text.parse::<u64>().unwrap()
}

impl Resolver for Ids {
    fn resolve<'a>(&'a self, rows: Vec<Intake>, _: &'a Asker) -> BoxFuture<'a, Result<Vec<Intake>, StopCause>> {
        Box::pin(async move {
            let Some(Intake::Send(first)) = rows.first() else { return Ok(rows) };
            let first = first.euid.get();
            tokio::time::sleep((self.takes)(first)).await;
            if self.fails_at == Some(first) {
                return Err(StopCause::Report("the resolver failed".to_owned()));
            }
            self.order.lock().unwrap().push((self.began.elapsed(), first));
            let resolved = |row| match row {
                Intake::Send(mut contact) => {
                    let id = contact.euid.get();
                    let euid = self.remembered.lock().unwrap().get(&id).copied().unwrap_or(id * 100);
                    contact.euid = Euid::new(euid).unwrap();
                    Intake::Send(contact)
                }
                other => other,
            };
            Ok(rows.into_iter().map(resolved).collect())
        })
    }

    fn doubts(&self, contact: &Contact) -> bool {
        self.remembered.lock().unwrap().contains_key(&id(contact))
    }

    fn learn(&self, contact: &Contact, euid: Euid) {
        let before = self.remembered.lock().unwrap().insert(id(contact), euid.get());
        assert!(before.is_some_and(|before| before != euid.get()), "learnt once");
    }

    fn same_id(&self, one: &Contact, other: &Contact) -> bool {
        id(one) == id(other)
    }

    fn resolve_again<'a>(
        &'a self,
        contact: &'a Contact,
        _: &'a Asker,
    ) -> BoxFuture<'a, Result<Result<Euid, Unresolvable>, StopCause>> {
        Box::pin(async move {
            let id = id(contact);
            self.again.lock().unwrap().push(id);
            tokio::time::sleep(MS * 50).await;
            if self.unknown.contains(&id) {
                let reason = Reason::EuidInvalid;
                return Ok(Err(Unresolvable { reason, answered: Answered::default(), attempts: 1 }));
            }
            Ok(Ok(Euid::new(id * 100).unwrap()))
        })
    }
}

fn with_ids(
    ids: Ids,
    rows: impl IntoIterator<Item = u64>,
    script: impl Fn(u64, u32) -> (Duration, support::Answer) + Send + Sync + 'static,
) -> (Play, Arc<Ids>) {
    let ids = Arc::new(ids);
    let resolver = Arc::clone(&ids);
    let set_up =
        Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| dispatcher.with_resolver(resolver));
    (Play { set_up, ..Play::of(rows, script) }, ids)
}

#[tokio::test(start_paused = true)]
async fn rows_are_let_in_in_input_order_whatever_is_resolved_first() {
    let takes = |id: u64| if id.is_multiple_of(4) { MS * 40 } else { MS };
    let (play, ids) = with_ids(Ids { takes, ..Ids::new(&[]) }, 1..=40, |_, _| (MS, ok()));
    let ran = Play { settings: Settings { in_flight: 1, ..unlimited() }, ..play }.run().await;
    let sent: Vec<u64> = ran.seen.iter().map(|seen| seen.euid).collect();
    assert_eq!(sent, (1..=40).map(|id| id * 100).collect::<Vec<_>>());
    let resolved: Vec<u64> = ids.order.lock().unwrap().iter().map(|(_, id)| *id).collect();
    assert!(resolved.len() == 40 && !resolved.is_sorted(), "several are resolved at once: {resolved:?}");
}

/// What is resolved may create users: none but those of the first few rows are, until it is known what became of these.
#[tokio::test(start_paused = true)]
async fn of_a_canary_only_the_first_rows_are_resolved() {
    for (canary, lifts) in [(1, true), (7, true), (7, false), (40, true)] {
        let (play, ids) = with_ids(Ids::new(&[]), 1..=40, |_, _| (MS, ok()));
        let (limit, mut watch) = dispatcher::Canary::new(canary);
        let resolved = Arc::clone(&ids);
        let looked = tokio::spawn(async move {
            let mut seen = 0;
            while seen < canary && watch.decided.recv().await.is_some() {
                seen += 1;
            }
            tokio::time::sleep(MS * 500).await;
            let before = resolved.order.lock().unwrap().len() as u64;
            if lifts {
                watch.lift();
            }
            (seen, before)
        });
        let with_resolver = play.set_up;
        let set_up = Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| {
            with_resolver(dispatcher).with_canary(limit)
        });
        let signal_after = (!lifts).then_some(MS * 2_000);
        let ran = Play { signal_after, set_up, ..play }.run().await;
        assert_eq!(looked.await.unwrap(), (canary, canary), "no row more than the canary's was resolved");
        assert_eq!(ran.decisions.len(), if lifts { 40 } else { canary as usize });
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_euid_that_is_refused_is_asked_for_once_and_its_lane_moves() {
    // Id 7 is remembered as user 5, and that is refused; user 700 has rows of id 7 and, by a right memory, of id 8.
    let refused = |euid, _| (MS * 10, if euid == 5 { reply(200, r#"{"code":55108}"#) } else { ok() });
    let ids = Ids::new(&[(7, 5), (8, 700)]);
    let (play, ids) = with_ids(ids, [7, 8, 7, 8, 7, 7, 1, 2, 3], refused);
    let ran = play.run().await;
    assert_eq!(*ids.again.lock().unwrap(), [7], "once for all that wait behind it");
    assert_eq!((ran.decisions.len(), ran.not_sent), (9, 0));
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced));
    assert_eq!(ran.decision(1).attempts, 2, "the refused attempt counts");
    let of_user: Vec<&str> =
        ran.seen.iter().filter(|seen| seen.euid == 700).map(|seen| seen.value.split('@').next().unwrap()).collect();
    let after: Vec<&str> = of_user.into_iter().filter(|row| !["2", "4"].contains(row)).collect();
    assert_eq!(after, ["1", "3", "5", "6"], "in input order");
    let of_700: Vec<_> = ran.seen.iter().filter(|seen| seen.euid == 700).collect();
    assert!(of_700.windows(2).all(|pair| pair[0].end <= pair[1].start), "never two at once");
}

#[tokio::test(start_paused = true)]
async fn rows_of_another_id_stay_where_they_are() {
    let refused = |euid, _| (MS * 10, if euid == 5 { reply(200, r#"{"code":55108}"#) } else { ok() });
    let (play, ids) = with_ids(Ids::new(&[(7, 5), (8, 5)]), [7, 8, 7, 8, 8], refused);
    let ran = play.run().await;
    assert_eq!(*ids.again.lock().unwrap(), [7, 8]);
    assert_eq!((ran.decisions.len(), ran.cause), (5, None));
    let sent = |user| ran.seen.iter().filter(|seen| seen.euid == user).map(|seen| &seen.value[..1]).collect::<Vec<_>>();
    assert_eq!((sent(5), sent(700), sent(800)), (vec!["1", "2"], vec!["1", "3"], vec!["2", "4", "5"]));
}

#[tokio::test(start_paused = true)]
async fn an_id_that_is_unknown_after_all_fails_and_so_does_one_that_is_refused_twice() {
    let refused = |euid, _| (MS, if euid == 5 || euid == 800 { reply(200, r#"{"code":55108}"#) } else { ok() });
    let ids = Ids { unknown: HashSet::from([7]), ..Ids::new(&[(7, 5), (8, 5)]) };
    let (play, ids) = with_ids(ids, [7, 1, 8], refused);
    let ran = play.run().await;
    assert_eq!(*ids.again.lock().unwrap(), [7, 8]);
    assert_eq!(ran.decision(1).reason, Some(Reason::EuidInvalid));
    assert_eq!((ran.decision(3).reason, ran.decision(3).attempts), (Some(Reason::EuidInvalid), 2));
    assert_eq!(ran.decision(2).outcome, Outcome::Synced);
}

#[tokio::test(start_paused = true)]
async fn a_memory_is_told_of_a_refused_euid_and_asked_about_the_one_in_its_place() {
    let refused = |euid, _| (MS, if euid == 5 { reply(200, r#"{"code":55108}"#) } else { ok() });
    let (ids, memory) = (Arc::new(Ids::new(&[(7, 5)])), Arc::new(Script::default()));
    let scripted = Arc::new(Scripted(Arc::clone(&memory)));
    let set_up = Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| {
        dispatcher.with_resolver(ids).with_memory(scripted)
    });
    let ran = Play { set_up, ..Play::of([7, 7, 1], refused) }.run().await;
    assert_eq!((ran.cause.as_ref(), ran.decisions.len()), (None, 3));
    let log = memory.log.lock().unwrap();
    let of_first: Vec<_> = log.ended.iter().filter(|(row, ..)| *row == 1).map(|(_, outcome, _)| *outcome).collect();
    assert_eq!(of_first, [Outcome::Failed, Outcome::Synced]);
    assert!(log.open.is_empty() && log.asked.iter().filter(|row| **row == 1).count() == 2, "{:?}", log.asked);
}

#[tokio::test(start_paused = true)]
async fn a_resolver_that_fails_stops_the_run() {
    let (play, _) = with_ids(Ids { fails_at: Some(20), ..Ids::new(&[]) }, 1..=500, |_, _| (MS, ok()));
    let ran = play.run().await;
    assert_eq!(ran.cause, Some(StopCause::Report("the resolver failed".to_owned())));
    assert!(ran.seen.iter().all(|seen| seen.euid != 2_000) && ran.not_sent > 0);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_what_a_memory_asks_holds_rows_too_and_fails_none() {
    let (play, memory) = play(Script { asks: true, ..Script::default() }, 1..=300, |_, _| (MS, ok()));
    let began = Instant::now();
    let down = Duration::from_mins(3);
    let answers = Arc::new(move |_: &str, _: &serde_json::Value| {
        let answer = if began.elapsed() < down { Err(Broken::Timeout(MS)) } else { ok() };
        (MS, answer)
    });
    let ran = Play { answers, ..play }.run().await;
    assert_eq!((ran.cause, ran.decisions.len(), ran.not_sent), (None, 300, 0));
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced));
    assert!(memory.log.lock().unwrap().answers.iter().all(|answer| *answer == Some(Ended::Accepted(None))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is unchanged, remembered wrongly, refused or failing for a time, and whenever the run stops: a row is decided
    /// once at most, the books balance, and rows of one id are sent in input order, none before the other's end.
    #[test]
    fn memory_resolver_and_faults_together_keep_order_and_books(
        ids in prop::collection::vec(1_u64..25, 1..150),
        unchanged in prop::collection::hash_set(1_u64..150, 0..60),
        wrong in prop_oneof![
            Just(HashMap::new()),
            prop::collection::hash_map(1_u64..25, 1_u64..25, 0..12),
        ],
        faults in prop::collection::vec(0_u8..6, 1..40),
        in_flight in 1_usize..9,
        canary in prop::option::of(1_u64..20),
        stop_after in prop::option::of(0_u64..5_000),
        takes in 0_u64..50,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let rows = ids.clone();
        let unchanged_rows = unchanged.clone();
        let (ran, memory) = runtime.block_on(async move {
            // What is remembered wrongly is a user below 25, whom the service doesn't know; the others are hundreds.
            let remembered: Vec<(u64, u64)> = wrong.into_iter().collect();
            let resolver = Arc::new(Ids { takes: |id| MS * (id % 3) as u32, ..Ids::new(&remembered) });
            let memory = Arc::new(Script { unchanged, takes: MS * takes as u32, ..Script::default() });
            let scripted = Arc::new(Scripted(Arc::clone(&memory)));
            let (limit, watch) = canary.map(dispatcher::Canary::new).unzip();
            if let Some(mut watch) = watch {
                tokio::spawn(async move {
                    // Whatever comes back, the rest may go.
                    tokio::time::sleep(MS * 700).await;
                    while watch.decided.try_recv().is_ok() {}
                    watch.lift();
                });
            }
            let set_up = Box::new(move |dispatcher: dispatcher::Dispatcher<support::Scripted>| {
                let dispatcher = dispatcher.with_resolver(resolver).with_memory(scripted);
                match limit {
                    Some(limit) => dispatcher.with_canary(limit),
                    None => dispatcher,
                }
            });
            let script = move |euid: u64, attempt: u32| {
                let answer = match faults[(euid as usize * 7 + attempt as usize) % faults.len()] {
                    _ if euid < 25 => reply(200, r#"{"code":55108}"#),
                    // Nothing is out of reach for ever.
                    _ if attempt.is_multiple_of(3) => ok(),
                    0 => server_error(),
                    1 => support::network(attempt.is_multiple_of(2)),
                    2 => reply(200, r#"{"code":55004}"#),
                    _ => ok(),
                };
                (MS * (1 + attempt % 5), answer)
            };
            let settings =
                Settings { in_flight, max_failures: dispatcher::MaxFailures::None, retries: 20, ..unlimited() };
            let play = Play { settings, signal_after: stop_after.map(Duration::from_millis), set_up, ..Play::of(rows, script) };
            (play.run().await, memory)
        });
        prop_assert!(!ran.broke_off);
        let mut decided: Vec<u64> = ran.decisions.iter().map(|decision| decision.origin.row).collect();
        decided.sort_unstable();
        prop_assert!(decided.windows(2).all(|pair| pair[0] < pair[1]), "a row was decided twice");
        if stop_after.is_none() {
            prop_assert_eq!((decided.len(), &ran.cause), (ids.len(), &None));
            prop_assert!(memory.log.lock().unwrap().open.is_empty());
        }
        let mut last: HashMap<u64, (u64, Duration)> = HashMap::new();
        for seen in &ran.seen {
            let row: u64 = seen.value.split('@').next().unwrap().parse().unwrap();
            let id = ids[row as usize - 1];
            if let Some((before, ended)) = last.insert(id, (row, seen.end)) {
                prop_assert!(before <= row && ended <= seen.start, "id {}: row {} after {}", id, row, before);
            }
            prop_assert!(!unchanged_rows.contains(&row), "an unchanged row was sent");
        }
    }
}
