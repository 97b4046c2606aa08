//! Comparing with a service that is scripted: what is unchanged was there.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Duration,
};

use dispatcher::{Broken, Dispatcher, Intake, Line, Lines, MaxFailures, Rate, Reply, Request, Settings, Stop};
use model::{Contacts, Counters, Decision, Euid, Origin, wire};
use proptest::prelude::*;
use report::{Comparison, ComparisonFigures};
use serde_json::{Value, json};
use state::State;

use super::{
    super::{super::unchanged::UnchangedRows, Remembered, Remembering},
    *,
};
use crate::{
    args::CompareChoice,
    settings::{ServiceSettings, StateSettings},
};

const MS: Duration = Duration::from_millis(1);
const NAMES: [&str; 2] = ["email", "phone"];

/// What the service holds, by user and name.
type Holds = BTreeMap<u64, BTreeMap<String, String>>;

#[derive(Default)]
struct Service {
    /// What becomes of the how-manieth contact request: accepted; stored and not answered; neither; answered and not
    /// stored as a partial success; refused.
    faults: Vec<u8>,
    /// What answers the how-manieth read, if not the service.
    read_faults: Vec<u8>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    holds: Holds,
    requests: usize,
    reads: usize,
    users_read: usize,
    /// Each change that took place, in order: the row that made it, and what its user had then.
    changes: Vec<(u64, u64, BTreeMap<String, String>)>,
    sent: Vec<u64>,
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
        tokio::time::sleep(MS * 3).await;
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let mut seen = self.0.seen.lock().unwrap();
        if request.path == wire::PROFILE_PATH { self.0.read(&mut seen, &body) } else { self.0.set(&mut seen, &body) }
    }
}

impl Service {
    fn read(&self, seen: &mut Seen, body: &Value) -> Result<Reply, Broken> {
        let users: Vec<u64> = body["euid"].as_array().unwrap().iter().map(|euid| euid.as_u64().unwrap()).collect();
        assert!(!users.is_empty() && users.len() <= 100);
        assert_eq!(users.iter().collect::<HashSet<_>>().len(), users.len(), "a user stands twice in a request");
        seen.reads += 1;
        match self.read_faults.get(seen.reads % self.read_faults.len().max(1)) {
            Some(1) => return reply(&json!({"code": -1, "message": "internal"})),
            Some(2) => return reply(&json!({"code": 55004, "message": "refused"})),
            Some(3) => return reply(&json!({"code": 0, "message": "partial", "data": []})),
            // Not whole, as it says itself: entries without what is there.
            Some(4) => {
                let data: Vec<Value> = users.iter().map(|euid| json!({"euid": euid})).collect();
                return reply(&json!({"code": 0, "message": "partial", "data": data}));
            }
            _ => {}
        }
        seen.users_read += users.len();
        let known = users.iter().filter_map(|euid| Some((euid, seen.holds.get(euid)?)));
        let data: Vec<Value> = known.map(|(euid, contacts)| json!({"euid": euid, "contacts": contacts})).collect();
        reply(&json!({"code": 0, "message": "success", "data": data}))
    }

    fn set(&self, seen: &mut Seen, body: &Value) -> Result<Reply, Broken> {
        let (euid, contacts) = (body["euid"].as_u64().unwrap(), body["contacts"].as_object().unwrap());
        // A row's number stands in its contacts, under a name of its own.
        let row = contacts["row"].as_str().unwrap().parse().unwrap();
        seen.requests += 1;
        seen.sent.push(row);
        let fault = self.faults.get(seen.requests % self.faults.len().max(1)).copied().unwrap_or(0);
        if fault <= 1 {
            let held = seen.holds.entry(euid).or_default();
            for (name, value) in contacts.iter().filter(|(name, _)| *name != "row") {
                match value.as_str().unwrap() {
                    "" => _ = held.remove(name),
                    value => _ = held.insert(name.clone(), value.to_owned()),
                }
            }
            let held = held.clone();
            seen.changes.push((row, euid, held));
        }
        match fault {
            0 => reply(&json!({"code": 0, "message": "success"})),
            3 => reply(&json!({"code": 0, "message": "in part"})),
            4 => reply(&json!({"code": 55004, "message": "refused"})),
            _ => Err(Broken::Timeout(MS)),
        }
    }
}

/// A row of a user: values by name, none where it has none.
type Row = (u64, [Option<&'static str>; 2]);

fn contact(number: u64, (euid, values): &Row, marks_rows: bool) -> Contact {
    let mut contacts = Contacts::default();
    for (name, value) in NAMES.iter().zip(values) {
        if let Some(value) = value {
            contacts.push((*name).into(), value);
        }
    }
    if marks_rows {
        contacts.push("row".into(), &number.to_string());
    }
    let origin = Origin { source: "a.csv".into(), row: number, line: number + 1 };
    Contact { origin, id: None, euid_text: euid.to_string().into(), euid: Euid::new(*euid).unwrap(), contacts }
}

/// A memory that doesn't know of the mark by which a row is told in a request: what is compared is the rest.
struct Unmarked(Arc<dyn Memory>);

impl Memory for Unmarked {
    fn batches(&self) -> Batches {
        self.0.batches()
    }

    fn recall<'a>(&'a self, turns: &'a [Turn<'a>], asker: &'a Asker) -> BoxFuture<'a, Result<Vec<Recall>, StopCause>> {
        Box::pin(async move {
            let rows: Vec<Contact> = turns.iter().map(|turn| unmarked(turn.contact)).collect();
            let turns: Vec<Turn<'_>> = rows.iter().map(|contact| Turn { contact, times_asked: 0 }).collect();
            self.0.recall(&turns, asker).await
        })
    }

    fn ended(&self, contact: &Contact, outcome: Outcome, reason: Option<Reason>, may_land: bool) {
        self.0.ended(&unmarked(contact), outcome, reason, may_land);
    }
}

fn unmarked(contact: &Contact) -> Contact {
    let mut contacts = Contacts::default();
    for (name, value) in contact.contacts.iter().filter(|(name, _)| *name != "row") {
        contacts.push(name.into(), value);
    }
    Contact { contacts, ..contact.clone() }
}

struct Ran {
    decisions: Vec<Decision>,
    cause: Option<StopCause>,
}

async fn run(service: &Arc<Service>, state: &Arc<State>, rows: &[Row], compare: CompareChoice) -> Ran {
    let settings = Settings {
        rate: Rate::Unlimited,
        profile_rate: Rate::Unlimited,
        in_flight: 8,
        retries: 1,
        retry_base: MS,
        max_failures: MaxFailures::None,
        ..Settings::default()
    };
    let stop = Stop::default();
    let unchanged = UnchangedRows::new([("a.csv".into(), report::RowSet::default())], Arc::default());
    let path = state.path().to_owned();
    let remembered = Remembered {
        state: Arc::clone(state),
        settings: StateSettings { path, refresh: false, omitted_kept: false, report_vanished: None },
        api_key: "key".to_owned(),
        opened_ms: 1,
        only_sets: false,
        is_kept: true,
        compares: Some(ServiceSettings { profile_rate: Rate::Unlimited, compare }),
        resumed: None,
        uncertain: Uncertain::default(),
    };
    let mut remembering = Remembering::new(remembered, unchanged.clone());
    let figures = ComparisonFigures::from(Comparison::default());
    let memory = remembering.memory(None, figures, stop.clone()).unwrap();
    let (intake, taken) = async_channel::bounded(2);
    let (decided, mut decisions) = tokio::sync::mpsc::channel::<Vec<Decision>>(16);
    let batches: Vec<Vec<Intake>> = rows
        .iter()
        .enumerate()
        .map(|(index, row)| Intake::Send(contact(index as u64 + 1, row, true)))
        .collect::<Vec<_>>()
        .into_iter()
        .fold(Vec::new(), |mut batches: Vec<Vec<Intake>>, row| {
            match batches.last_mut() {
                Some(last) if last.len() < 37 => last.push(row),
                _ => batches.push(vec![row]),
            }
            batches
        });
    tokio::spawn(async move {
        for batch in batches {
            if intake.send(batch).await.is_err() {
                break;
            }
        }
    });
    let collector = tokio::spawn(async move {
        let mut all = Vec::new();
        while let Some(handful) = decisions.recv().await {
            all.extend(handful);
        }
        all
    });
    let dispatcher = Dispatcher::new(&settings, Scripted(Arc::clone(service))).with_memory(Arc::new(Unmarked(memory)));
    let ran = dispatcher.run(taken, decided, Arc::new(Counters::default()), stop.clone()).await;
    assert!(!ran.broke_off, "{:?}", stop.cause());
    let decisions = collector.await.unwrap();
    assert_eq!(rows.len() as u64, decisions.len() as u64 + ran.not_sent);
    let noted: HashSet<u64> = unchanged.all().0[0].iter().collect();
    let said = decisions.iter().filter(|decision| decision.outcome == Outcome::Unchanged);
    assert_eq!(noted, said.map(|decision| decision.origin.row).collect(), "a resume knows who was unchanged");
    drop(remembering);
    Ran { decisions, cause: stop.cause().cloned() }
}

/// The row that changed a user, and what is held from then on.
type Change<'a> = (u64, &'a BTreeMap<String, String>);

/// Each unchanged row was there when its turn had come: after all changes of earlier rows of its user, before those of later
/// ones.
fn were_there(service: &Service, before: &Holds, rows: &[Row], decisions: &[Decision]) {
    let seen = service.seen.lock().unwrap();
    let mut changes: HashMap<u64, Vec<Change<'_>>> = HashMap::new();
    for (row, euid, held) in &seen.changes {
        changes.entry(*euid).or_default().push((*row, held));
    }
    let nothing = BTreeMap::new();
    for decision in decisions.iter().filter(|decision| decision.outcome == Outcome::Unchanged) {
        let (euid, values) = &rows[decision.origin.row as usize - 1];
        let of_user = changes.get(euid).map(Vec::as_slice).unwrap_or_default();
        let held = of_user
            .iter()
            .rfind(|(row, _)| *row < decision.origin.row)
            .map_or_else(|| before.get(euid).unwrap_or(&nothing), |(_, held)| held);
        for (name, value) in NAMES.iter().zip(values) {
            if let Some(value) = value {
                let there = held.get(*name).map_or("", String::as_str);
                assert_eq!(there, *value, "row {}: {name} of user {euid}", decision.origin.row);
            }
        }
    }
}

fn holds(of: &[(u64, [Option<&'static str>; 2])]) -> Holds {
    let held = |values: &[Option<&str>; 2]| {
        let pairs =
            NAMES.iter().zip(values).filter_map(|(name, value)| Some(((*name).to_owned(), (*value)?.to_owned())));
        pairs.collect::<BTreeMap<_, _>>()
    };
    of.iter().map(|(euid, values)| (*euid, held(values))).collect()
}

fn service(before: &Holds, faults: Vec<u8>, read_faults: Vec<u8>) -> Arc<Service> {
    let seen = Mutex::new(Seen { holds: before.clone(), ..Seen::default() });
    Arc::new(Service { faults, read_faults, seen })
}

fn new_state(folder: &std::path::Path) -> Arc<State> {
    Arc::new(State::open(&folder.join("s.state")).unwrap())
}

fn outcomes(ran: &Ran, rows: usize) -> Vec<Outcome> {
    assert_eq!((ran.decisions.len(), ran.cause.as_ref()), (rows, None));
    let mut decisions: Vec<_> = ran.decisions.iter().map(|it| (it.origin.row, it.outcome)).collect();
    decisions.sort_unstable();
    decisions.into_iter().map(|(_, outcome)| outcome).collect()
}

use Outcome::{Failed, Synced, Unchanged};

#[tokio::test(start_paused = true)]
async fn what_is_there_is_not_sent_and_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let before = holds(&[(1, [Some("a"), Some("1")]), (2, [Some("a"), None]), (3, [None, None])]);
    let service = service(&before, vec![], vec![]);
    let rows: [Row; 6] = [
        (1, [Some("a"), Some("1")]),
        (2, [Some("a"), Some("2")]),
        (3, [Some(""), None]),
        (4, [Some("a"), None]),
        (1, [Some("b"), None]),
        (1, [Some("b"), Some("1")]),
    ];
    let state = new_state(folder.path());
    let ran = run(&service, &state, &rows, CompareChoice::Exact).await;
    // What row 5 leaves out nobody knows any more: the service may have forgotten it. It was asked before, in this run.
    assert_eq!(outcomes(&ran, 6), [Unchanged, Synced, Unchanged, Synced, Synced, Unchanged]);
    were_there(&service, &before, &rows, &ran.decisions);
    let reads = service.seen.lock().unwrap().users_read;
    let again = run(&service, &state, &rows[1..], CompareChoice::Exact).await;
    assert_eq!(outcomes(&again, 5), [Unchanged; 5], "what was read and set is known");
    assert_eq!(service.seen.lock().unwrap().users_read, reads);
    assert_eq!(state.meta().api_key.as_deref(), Some("key"), "what was read belongs to a project");
}

#[tokio::test(start_paused = true)]
async fn only_users_are_read_of_whom_something_is_not_known_and_nothing_differs() {
    let folder = tempfile::tempdir().unwrap();
    let state = new_state(folder.path());
    let before = holds(&[(1, [Some("a"), Some("1")]), (2, [Some("a"), Some("1")])]);
    for euid in [1, 2] {
        state.learn(Euid::new(euid).unwrap(), [("email", "a")].into_iter(), None).unwrap();
    }
    let service = service(&before, vec![], vec![]);
    let rows: [Row; 3] = [(1, [Some("a"), Some("1")]), (2, [Some("b"), Some("1")]), (1, [Some("a"), None])];
    let ran = run(&service, &state, &rows, CompareChoice::Exact).await;
    assert_eq!(outcomes(&ran, 3), [Unchanged, Synced, Unchanged]);
    assert_eq!(service.seen.lock().unwrap().users_read, 1);
}

#[tokio::test(start_paused = true)]
async fn after_any_end_but_a_plain_success_later_rows_are_sent_and_not_read() {
    for (fault, first) in [(1, Failed), (2, Failed), (3, Synced), (4, Failed)] {
        let folder = tempfile::tempdir().unwrap();
        let before = holds(&[(1, [Some("a"), None])]);
        let service = service(&before, vec![fault], vec![]);
        let rows: [Row; 3] = [(1, [Some("b"), None]), (1, [Some("a"), None]), (1, [Some("a"), None])];
        let ran = run(&service, &new_state(folder.path()), &rows, CompareChoice::Exact).await;
        let outcomes = outcomes(&ran, 3);
        assert!(outcomes[0] == first && !outcomes.contains(&Unchanged), "fault {fault}: {outcomes:?}");
        assert_eq!(service.seen.lock().unwrap().users_read, 1, "fault {fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_answer_that_is_not_whole_leaves_out_may_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let before = holds(&[(1, [Some("a"), Some("1")])]);
    let service = service(&before, vec![], vec![4]);
    let rows: [Row; 1] = [(1, [Some(""), None])];
    let ran = run(&service, &new_state(folder.path()), &rows, CompareChoice::Exact).await;
    assert_eq!(outcomes(&ran, 1), [Synced], "it is not taken as cleared");
}

#[tokio::test(start_paused = true)]
async fn loosely_equal_values_count_as_there_where_that_is_asked_for() {
    let rows: [Row; 2] = [(1, [Some("A@example.com"), None]), (1, [Some("A@example.com"), None])];
    let before = holds(&[(1, [Some("a@example.com"), None])]);
    for (compare, first) in [(CompareChoice::Exact, Synced), (CompareChoice::Loose, Unchanged)] {
        let folder = tempfile::tempdir().unwrap();
        let service = service(&before, vec![], vec![]);
        let ran = run(&service, &new_state(folder.path()), &rows, compare).await;
        assert_eq!(outcomes(&ran, 2), [first, Unchanged]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the service holds, loses, refuses or stores in silence: what is unchanged was there.
    #[test]
    fn what_is_unchanged_was_there(
        rows in prop::collection::vec(
            (1_u64..30, [prop::sample::select(vec![None, Some("a"), Some("b"), Some("")]),
                prop::sample::select(vec![None, Some("1"), Some("2")])]),
            1..200,
        ),
        before in prop::collection::vec(
            (1_u64..30, [prop::sample::select(vec![None, Some("a"), Some("b")]),
                prop::sample::select(vec![None, Some("1"), Some("2")])]),
            0..30,
        ),
        faults in prop::collection::vec(0_u8..5, 1..12),
        read_faults in prop::collection::vec(0_u8..5, 1..6),
        runs in 1_usize..3,
    ) {
        let rows: Vec<Row> = rows.into_iter().filter(|(_, values)| values.iter().any(Option::is_some)).collect();
        let folder = tempfile::tempdir().unwrap();
        let mut holds = holds(&before);
        let faults: Vec<u8> = faults.into_iter().chain([0, 0]).collect();
        for _ in 0..runs {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let service = service(&holds, faults.clone(), read_faults.iter().copied().chain([0]).collect());
            let state = new_state(folder.path());
            let ran = runtime.block_on(run(&service, &state, &rows, CompareChoice::Exact));
            prop_assert_eq!((ran.decisions.len(), &ran.cause), (rows.len(), &None));
            were_there(&service, &holds, &rows, &ran.decisions);
            state.finish().unwrap();
            drop(state);
            holds = service.seen.lock().unwrap().holds.clone();
        }
    }
}
