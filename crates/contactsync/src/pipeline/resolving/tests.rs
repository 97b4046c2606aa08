//! The resolver in a dispatcher, against a service that is scripted: what it is asked, in which order rows arrive, and what
//! becomes of them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Mutex,
    time::Duration,
};

use dispatcher::{Broken, Dispatcher, Line, Lines, MaxFailures, Rate, Reply, Request, Settings};
use model::{Answered, Contacts, Counters, Origin, Reason, wire};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const MS: Duration = Duration::from_millis(1);
/// What the API says to a batch with such an id.
const REFUSED: i64 = 55103;

/// A service: whose ids are, by the number in the id, and what arrived.
#[derive(Default)]
struct Service {
    /// These have no user.
    nobody: HashSet<u64>,
    /// These spoil the batch that they are in.
    refused: HashSet<u64>,
    /// What answers the how-manieth register request, if not the service.
    faults: Vec<u8>,
    /// EUIDs that it doesn't know any more.
    stale: HashSet<u64>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    registers: usize,
    /// How often each id was asked for in a request that the service answered by a user or by nobody.
    answered: BTreeMap<String, u32>,
    batches: Vec<usize>,
    /// EUIDs and rows, as contact requests arrived.
    set: Vec<(u64, u64)>,
    under_way: HashSet<u64>,
}

fn number(id: &str) -> u64 {
    id.rsplit('-').next().unwrap().parse().unwrap()
}

/// Ids ten apart are of one user.
fn user(id: &str) -> u64 {
    1_000 + number(id) % 10
}

#[derive(Clone)]
struct Scripted(Arc<Service>);

impl Lines for Scripted {
    type Line = Self;

    fn line(&self) -> Self {
        self.clone()
    }

    fn for_runtime(&self) -> Self {
        self.clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among others")]
fn reply(body: &Value) -> Result<Reply, Broken> {
    Ok(Reply { status: 200, body: body.to_string().into_bytes(), ..Reply::default() })
}

impl Line for Scripted {
    async fn send(&mut self, request: Request) -> Result<Reply, Broken> {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if request.path == wire::REGISTER_PATH {
            let takes = self.0.seen.lock().unwrap().registers % 7;
            tokio::time::sleep(MS * (1 + takes as u32)).await;
            return self.0.register(&body);
        }
        let euid = body["euid"].as_u64().unwrap();
        let row = body["contacts"]["email"].as_str().unwrap().parse().unwrap();
        {
            let mut seen = self.0.seen.lock().unwrap();
            assert!(seen.under_way.insert(euid), "two requests of one user at once");
            seen.set.push((euid, row));
        }
        tokio::time::sleep(MS * 3).await;
        self.0.seen.lock().unwrap().under_way.remove(&euid);
        let code = if self.0.stale.contains(&euid) { 55108 } else { 0 };
        reply(&json!({"code": code, "message": "success"}))
    }
}

impl Service {
    fn register(&self, body: &Value) -> Result<Reply, Broken> {
        let ids: Vec<&str> =
            body["identity_values"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        assert!(body["identity_name"] == "user_id" && !ids.is_empty() && ids.len() <= 100);
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len(), "an id stands twice in a request");
        let mut seen = self.seen.lock().unwrap();
        seen.registers += 1;
        match self.faults.get(seen.registers % self.faults.len().max(1)) {
            Some(1) => return reply(&json!({"code": -1, "message": "internal"})),
            Some(2) => return Err(Broken::Timeout(MS)),
            _ => {}
        }
        if ids.iter().any(|id| self.refused.contains(&number(id))) {
            if let [id] = ids[..] {
                *seen.answered.entry(id.to_owned()).or_default() += 1;
            }
            return reply(&json!({"code": REFUSED, "message": "empty"}));
        }
        seen.batches.push(ids.len());
        for id in &ids {
            *seen.answered.entry((*id).to_owned()).or_default() += 1;
        }
        let known = ids.iter().rev().filter(|id| !self.nobody.contains(&number(id)));
        let data: Vec<Value> = known.map(|id| json!({"identity_value": id, "euid": user(id)})).collect();
        reply(&json!({"code": 0, "message": if data.len() < ids.len() { "partial" } else { "success" }, "data": data}))
    }
}

struct Ran {
    decisions: Vec<Decision>,
    not_sent: u64,
    cause: Option<StopCause>,
}

fn row(number: u64, id: u64) -> Unresolved {
    let mut contacts = Contacts::default();
    contacts.push("email".into(), &number.to_string());
    let origin = Origin { source: "a.csv".into(), row: number, line: number + 1 };
    Unresolved { origin, id: format!("id-{id}").into(), contacts }
}

/// Runs rows of these ids, in batches of so many, with what a state knows.
async fn run(
    service: &Arc<Service>,
    state: &Arc<State>,
    ids: &[u64],
    batch: usize,
    stop_after: Option<Duration>,
) -> Ran {
    let settings = Settings {
        rate: Rate::Unlimited,
        in_flight: 8,
        retries: 8,
        max_failures: MaxFailures::None,
        // Which codes count as accepted is said of rows.
        ok_codes: vec![REFUSED],
        ..Settings::default()
    };
    let stop = Stop::default();
    let own = OwnIds {
        kind: IdentityKind::UserId,
        state: Arc::clone(state),
        opened_ms: 1 << 40,
        api_key: "key".to_owned(),
        trusts_reports: true,
    };
    let mut known = own.known();
    let resolver = IdResolver::new(own, None, stop.clone());
    let (intake, rows) = async_channel::bounded(2);
    let (decided, mut decisions) = tokio::sync::mpsc::channel::<Vec<Decision>>(16);
    let taken: Vec<Vec<u64>> = ids.chunks(batch).map(<[u64]>::to_vec).collect();
    let stopping = stop.clone();
    let reader = tokio::spawn(async move {
        let mut read = 0;
        for ids in taken {
            if stopping.is_stopping() {
                break;
            }
            // As whoever reads rows does it: who is known goes on with an EUID.
            let mut batch = Vec::new();
            for id in ids {
                read += 1;
                let row = row(read, id);
                batch.push(match known.user(&row.id).unwrap() {
                    Some(euid) => Intake::Send(row.resolved(euid)),
                    None => Intake::Resolve(row),
                });
            }
            if intake.send(batch).await.is_err() {
                break;
            }
        }
        read
    });
    let collector = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(handful) = decisions.recv().await {
            all.extend(handful);
        }
        all
    });
    if let Some(after) = stop_after {
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            stop.because(StopCause::Signal(15));
        });
    }
    let dispatcher = Dispatcher::new(&settings, Scripted(Arc::clone(service))).with_resolver(Arc::new(resolver));
    let ran = dispatcher.run(rows, decided, Arc::new(Counters::default()), stop.clone()).await;
    let (read, decisions) = (reader.await.unwrap(), collector.await.unwrap());
    assert!(!ran.broke_off, "{:?}", stop.cause());
    assert_eq!(read, decisions.len() as u64 + ran.not_sent, "every row is decided or not sent");
    Ran { decisions, not_sent: ran.not_sent, cause: stop.cause().cloned() }
}

fn state() -> (tempfile::TempDir, Arc<State>) {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(State::open(&folder.path().join("s.state")).unwrap());
    (folder, state)
}

/// Rows of an id arrive in order, and so do those of a user whose EUIDs were right at once: who was remembered wrongly may be
/// overtaken by another id of the same user, which is what nobody knew.
fn sent_in_order(service: &Service, ids: &[u64]) {
    let seen = service.seen.lock().unwrap();
    let wrong: HashSet<u64> =
        seen.set.iter().filter(|(euid, _)| service.stale.contains(euid)).map(|(_, row)| *row).collect();
    let wrong: HashSet<u64> = wrong.into_iter().map(|row| ids[row as usize - 1]).collect();
    let mut last: HashMap<String, u64> = HashMap::new();
    for (euid, row) in &seen.set {
        let id = ids[*row as usize - 1];
        let text = format!("id-{id}");
        assert!(*euid == user(&text) || service.stale.contains(euid), "row {row} went to another user");
        let of_user = (!wrong.contains(&id)).then(|| user(&text).to_string());
        for key in of_user.into_iter().chain([text]) {
            let before = last.insert(key.clone(), *row).unwrap_or_default();
            assert!(before <= *row, "row {row} of {key} after row {before}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn batches_are_full_and_an_id_is_asked_for_once() {
    let service = Arc::new(Service::default());
    let (_folder, state) = state();
    let ids: Vec<u64> = (0..5_000).map(|row| row * 7 % 1_650).collect();
    let ran = run(&service, &state, &ids, 333, None).await;
    assert_eq!((ran.decisions.len(), ran.cause), (5_000, None));
    assert!(ran.decisions.iter().all(|decision| decision.outcome == Outcome::Synced && decision.id.is_some()));
    let seen = service.seen.lock().unwrap();
    assert_eq!(seen.answered.len(), 1_650);
    assert!(seen.answered.values().all(|times| *times == 1));
    assert!(
        seen.batches.len() <= 22 && seen.batches.iter().filter(|ids| **ids == 100).count() >= 13,
        "{:?}",
        seen.batches
    );
    drop(seen);
    sent_in_order(&service, &ids);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_spoils_its_batch_stands_alone_in_the_end() {
    let service =
        Arc::new(Service { refused: HashSet::from([7, 250]), nobody: HashSet::from([9]), ..Service::default() });
    let (_folder, state) = state();
    let ids: Vec<u64> = (0..400).chain([7, 9, 250, 8]).collect();
    let ran = run(&service, &state, &ids, 50, None).await;
    assert_eq!((ran.decisions.len(), ran.not_sent, ran.cause), (404, 0, None));
    for decision in &ran.decisions {
        let id = ids[decision.origin.row as usize - 1];
        let Decision { reason, answered: Answered { code, .. }, attempts, .. } = decision;
        let expected = match id {
            7 | 250 => (Some(Reason::ValueEmpty), Some(REFUSED)),
            9 => (Some(Reason::IdUnknown), Some(0)),
            _ => (None, Some(0)),
        };
        let code = if decision.origin.row == 402 { Some(0) } else { *code };
        assert_eq!((*reason, code), expected, "id {id}");
        assert_eq!(decision.outcome == Outcome::Failed, reason.is_some());
        assert_eq!(decision.euid.is_empty(), reason.is_some());
        // Who has the same id as an earlier row isn't asked for again.
        assert_eq!(*attempts == 0, decision.origin.row > 400 && reason.is_some(), "row {}", decision.origin.row);
    }
    let seen = service.seen.lock().unwrap();
    assert_eq!(seen.answered.len(), 400);
    assert!(seen.answered.values().all(|times| *times == 1), "{:?}", seen.answered);
}

#[tokio::test(start_paused = true)]
async fn what_the_state_knows_is_not_asked_for_unless_the_service_refuses_it() {
    let service = Arc::new(Service { stale: HashSet::from([5, 6]), nobody: HashSet::from([4]), ..Service::default() });
    let (_folder, state) = state();
    let known = |id: &str, euid| (id.to_owned(), IdUser::Known(Euid::new(euid).unwrap()));
    // Ids 1 and 4 have moved; what was said of id 3 was said in another run.
    let mut before: Vec<(String, IdUser)> = vec![known("id-1", 5), known("id-2", 1_002), known("id-4", 6)];
    before.push(("id-3".to_owned(), IdUser::Nobody(Some(REFUSED))));
    state.learn_ids(IdentityKind::UserId, before.iter().map(|(id, user)| (&**id, *user)), 1).unwrap();
    let ids = [1, 2, 3, 1, 4, 1, 2, 4, 4, 11];
    let ran = run(&service, &state, &ids, 4, None).await;
    assert_eq!((ran.decisions.len(), ran.cause), (10, None));
    for decision in &ran.decisions {
        let is_gone = ids[decision.origin.row as usize - 1] == 4;
        assert_eq!(decision.outcome == Outcome::Failed, is_gone, "{decision:?}");
    }
    let first = ran.decisions.iter().find(|decision| decision.origin.row == 1).unwrap();
    assert_eq!((&*first.euid, first.attempts), ("1001", 2), "the refused attempt counts");
    let seen = service.seen.lock().unwrap();
    let asked: Vec<&str> = seen.answered.keys().map(String::as_str).collect();
    assert_eq!(asked, ["id-1", "id-11", "id-3", "id-4"]);
    assert!(seen.answered.values().all(|times| *times == 1), "{:?}", seen.answered);
    drop(seen);
    sent_in_order(&service, &ids);
    let of = |id: &str| state.looker().look().id(IdentityKind::UserId, id).unwrap().unwrap().user;
    assert_eq!(of("id-1"), IdUser::Known(Euid::new(1_001).unwrap()));
    assert_eq!(of("id-4"), IdUser::Nobody(None));
    assert_eq!(state.meta().api_key.as_deref(), Some("key"), "ids belong to a project");
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_retries_are_used_up_fails_its_rows_and_nothing_is_learnt() {
    let service = Arc::new(Service { faults: vec![1], ..Service::default() });
    let (_folder, state) = state();
    let ids: Vec<u64> = (0..30).chain(0..30).collect();
    let ran = run(&service, &state, &ids, 30, None).await;
    assert_eq!((ran.decisions.len(), ran.not_sent, ran.cause), (60, 0, None));
    for Decision { reason, attempts, answered, .. } in &ran.decisions {
        assert_eq!((*reason, *attempts, answered.code), (Some(Reason::ServerError), 9, Some(-1)));
    }
    assert!(service.seen.lock().unwrap().set.is_empty());
    assert_eq!(state.looker().look().id(IdentityKind::UserId, "id-1").unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_an_unknown_shape_stops_the_run() {
    #[derive(Clone)]
    struct Odd;
    impl Lines for Odd {
        type Line = Self;

        fn line(&self) -> Self {
            Self
        }

        fn for_runtime(&self) -> Self {
            Self
        }
    }
    impl Line for Odd {
        async fn send(&mut self, request: Request) -> Result<Reply, Broken> {
            assert_eq!(request.path, wire::REGISTER_PATH, "nothing is sent");
            reply(&json!({"code": 0, "message": "success", "data": [{"id": "id-1", "euid": 7}]}))
        }
    }
    let (_folder, state) = state();
    let own =
        OwnIds { kind: IdentityKind::UserId, state, opened_ms: 1, api_key: "key".to_owned(), trusts_reports: true };
    let stop = Stop::default();
    let (intake, rows) = async_channel::bounded(2);
    let (decided, _decisions) = tokio::sync::mpsc::channel(16);
    intake.send(vec![Intake::Resolve(row(1, 1))]).await.unwrap();
    drop(intake);
    let resolver = IdResolver::new(own, None, stop.clone());
    let dispatcher = Dispatcher::new(&Settings::default(), Odd).with_resolver(Arc::new(resolver));
    let ran = dispatcher.run(rows, decided, Arc::new(Counters::default()), stop.clone()).await;
    assert_eq!((ran.not_sent, ran.broke_off), (1, false));
    let Some(StopCause::Outage { what, .. }) = stop.cause() else { panic!("{:?}", stop.cause()) };
    assert!(what.contains("shape that isn't known") && what.contains("identity_value"), "{what}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever repeats, is nobody's, is refused, fails for a time, is remembered wrongly, and whenever the run stops: each row
    /// is decided once at most, rows of an id and of a user arrive in order, and no id is asked for twice.
    #[test]
    fn ids_faults_and_stops_together_keep_order_and_books(
        ids in prop::collection::vec(0_u64..60, 1..400),
        nobody in prop::collection::hash_set(0_u64..60, 0..6),
        refused in prop::collection::hash_set(0_u64..60, 0..4),
        wrong in prop::collection::hash_map(0_u64..60, 1_u64..6, 0..8),
        faults in prop::collection::vec(0_u8..4, 1..9),
        batch in 1_usize..60,
        stop_after in prop::option::of(0_u64..400),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        // Not all fail: the outage rule has tests of its own.
        let faults: Vec<u8> = faults.into_iter().chain([0]).collect();
        // What is remembered wrongly is a user below 6, whom the service doesn't know; the others are thousands.
        let service = Arc::new(Service { nobody, refused, faults, stale: (1..6).collect(), ..Service::default() });
        let (_folder, state) = state();
        let wrong: Vec<(String, IdUser)> =
            wrong.iter().map(|(id, euid)| (format!("id-{id}"), IdUser::Known(Euid::new(*euid).unwrap()))).collect();
        state.learn_ids(IdentityKind::UserId, wrong.iter().map(|(id, user)| (&**id, *user)), 1).unwrap();
        let ran = runtime.block_on(run(&service, &state, &ids, batch, stop_after.map(Duration::from_millis)));
        let mut decided: Vec<u64> = ran.decisions.iter().map(|decision| decision.origin.row).collect();
        decided.sort_unstable();
        prop_assert!(decided.windows(2).all(|pair| pair[0] < pair[1]), "a row was decided twice");
        if stop_after.is_none() {
            prop_assert_eq!((decided.len(), &ran.cause), (ids.len(), &None));
            for decision in &ran.decisions {
                let id = ids[decision.origin.row as usize - 1];
                let has_user = !service.nobody.contains(&id) && !service.refused.contains(&id);
                prop_assert_eq!(decision.outcome == Outcome::Synced, has_user, "id {}", id);
            }
        }
        sent_in_order(&service, &ids);
        let seen = service.seen.lock().unwrap();
        prop_assert!(seen.answered.values().all(|times| *times == 1), "{:?}", seen.answered);
    }
}
