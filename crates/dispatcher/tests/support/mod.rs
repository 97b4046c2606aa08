//! Runs the dispatcher against a scripted transport, on paused time.

#![allow(dead_code, reason = "not every test file needs all of it")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use dispatcher::{Broken, Dispatcher, Intake, Line, Lines, Rate, Reply, Request, Settings, Stop, StopCause};
use model::{Contact, Contacts, Counters, Decision, Euid, Origin, Reason};
use tokio::time::Instant;

/// What one attempt gets.
pub(crate) type Answer = Result<Reply, Broken>;
type Script = dyn Fn(u64, u32) -> (Duration, Answer) + Send + Sync;
type Answers = dyn Fn(&str, &serde_json::Value) -> (Duration, Answer) + Send + Sync;

/// One attempt, as the other side saw it.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) euid: u64,
    pub(crate) value: String,
    pub(crate) start: Duration,
    pub(crate) end: Duration,
    pub(crate) fresh: bool,
}

#[derive(Clone)]
pub(crate) struct Scripted {
    script: Arc<Script>,
    /// What answers questions.
    answers: Arc<Answers>,
    began: Instant,
    tries: Arc<Mutex<HashMap<u64, u32>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    /// Of whom nobody asks anything.
    pub(crate) fn silent() -> Self {
        Self {
            script: Arc::new(|_, _| panic!("nothing is sent")),
            answers: Arc::new(|path, _| panic!("nobody asks {path}")),
            began: Instant::now(),
            tries: Arc::default(),
            seen: Arc::default(),
        }
    }
}

impl Lines for Scripted {
    type Line = Self;

    fn line(&self) -> Self {
        self.clone()
    }

    fn for_runtime(&self) -> Self {
        self.clone()
    }
}

impl Line for Scripted {
    async fn send(&mut self, request: Request) -> Answer {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        if request.path != model::wire::CONTACT_PATH {
            let (takes, answer) = (self.answers)(request.path, &body);
            tokio::time::sleep(takes).await;
            return answer;
        }
        let euid = body["euid"].as_u64().unwrap();
        let attempt = {
            let mut tries = self.tries.lock().unwrap();
            let tries = tries.entry(euid).or_default();
            *tries += 1;
            *tries
        };
        let (takes, answer) = (self.script)(euid, attempt);
        let start = self.began.elapsed();
        let value = body["contacts"]["email"].as_str().unwrap().to_owned();
        let seen = Seen { euid, value, start, end: start + takes, fresh: request.fresh_connection };
        self.seen.lock().unwrap().push(seen);
        tokio::time::sleep(takes).await;
        answer
    }
}

#[expect(clippy::unnecessary_wraps, reason = "an answer among others")]
pub(crate) fn reply(status: u16, body: &str) -> Answer {
    Ok(Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() })
}

pub(crate) fn ok() -> Answer {
    reply(200, r#"{"code":0,"message":"success"}"#)
}

pub(crate) fn server_error() -> Answer {
    reply(200, r#"{"code":-1,"message":"internal"}"#)
}

pub(crate) fn network(stale_connection: bool) -> Answer {
    Err(Broken::Network { cause: "connection reset".to_owned(), stale_connection })
}

fn contact(euid: u64, row: u64) -> Contact {
    let mut contacts = Contacts::default();
    contacts.push("email".into(), &format!("{row}@example.com"));
    Contact {
        origin: Origin { source: "rows.csv".into(), row, line: row + 1 },
        id: None,
        euid_text: euid.to_string().into(),
        euid: Euid::new(euid).unwrap(),
        contacts,
    }
}

pub(crate) struct Ran {
    pub(crate) decisions: Vec<Decision>,
    pub(crate) not_sent: u64,
    pub(crate) broke_off: bool,
    pub(crate) cause: Option<StopCause>,
    pub(crate) seen: Vec<Seen>,
    pub(crate) took: Duration,
}

impl Ran {
    pub(crate) fn decision(&self, row: u64) -> &Decision {
        self.decisions.iter().find(|decision| decision.origin.row == row).expect("the row is decided")
    }

    pub(crate) fn reasons(&self) -> Vec<Option<Reason>> {
        self.decisions.iter().map(|decision| decision.reason).collect()
    }
}

pub(crate) fn unlimited() -> Settings {
    Settings { rate: Rate::Unlimited, ..Settings::default() }
}

/// Runs the rows of these EUIDs; `signal_after` asks the run to stop.
pub(crate) async fn run(
    settings: Settings,
    euids: impl IntoIterator<Item = u64>,
    signal_after: Option<Duration>,
    script: impl Fn(u64, u32) -> (Duration, Answer) + Send + Sync + 'static,
) -> Ran {
    Play { settings, signal_after, ..Play::of(euids, script) }.run().await
}

/// The same, with an input that stays open for so long: more rows might come.
pub(crate) async fn run_open(
    settings: Settings,
    euids: impl IntoIterator<Item = u64>,
    open_for: Duration,
    script: impl Fn(u64, u32) -> (Duration, Answer) + Send + Sync + 'static,
) -> Ran {
    Play { settings, open_for, ..Play::of(euids, script) }.run().await
}

/// A run with all that can be set.
pub(crate) struct Play {
    pub(crate) settings: Settings,
    pub(crate) euids: Vec<u64>,
    pub(crate) signal_after: Option<Duration>,
    pub(crate) open_for: Duration,
    pub(crate) script: Arc<Script>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) set_up: Box<dyn FnOnce(Dispatcher<Scripted>) -> Dispatcher<Scripted>>,
    /// Nobody takes decisions after the first handful.
    pub(crate) journal_dies: bool,
}

impl Play {
    /// Without a rate, and nothing else that is special.
    pub(crate) fn of(
        euids: impl IntoIterator<Item = u64>,
        script: impl Fn(u64, u32) -> (Duration, Answer) + Send + Sync + 'static,
    ) -> Self {
        Self {
            settings: unlimited(),
            euids: euids.into_iter().collect(),
            signal_after: None,
            open_for: Duration::ZERO,
            script: Arc::new(script),
            answers: Arc::new(|path, _| panic!("nobody asks {path}")),
            set_up: Box::new(|dispatcher| dispatcher),
            journal_dies: false,
        }
    }

    pub(crate) async fn run(self) -> Ran {
        let Self { settings, euids, signal_after, open_for, script, answers, set_up, journal_dies } = self;
        let began = Instant::now();
        let lines = Scripted { script, answers, began, tries: Arc::default(), seen: Arc::default() };
        let (intake, rows) = async_channel::bounded(4);
        let (decided, mut decisions) = tokio::sync::mpsc::channel::<Vec<Decision>>(16);
        let stop = Stop::default();
        let reader = tokio::spawn({
            let stop = stop.clone();
            async move {
                let mut sent = 0;
                for (index, euid) in euids.into_iter().enumerate() {
                    let row = Intake::Send(contact(euid, index as u64 + 1));
                    if stop.is_stopping() || intake.send(vec![row]).await.is_err() {
                        break;
                    }
                    sent += 1;
                }
                if !open_for.is_zero() {
                    tokio::time::sleep(open_for).await;
                }
                sent
            }
        });
        let collector = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(handful) = decisions.recv().await {
                assert!(!handful.is_empty());
                all.extend(handful);
                if journal_dies {
                    break;
                }
            }
            all
        });
        if let Some(after) = signal_after {
            let stop = stop.clone();
            tokio::spawn(async move {
                tokio::time::sleep(after).await;
                stop.because(StopCause::Signal(15));
            });
        }
        let run = set_up(Dispatcher::new(&settings, lines.clone()));
        let dispatched = run.run(rows, decided, Arc::new(Counters::default()), stop.clone()).await;
        let took = began.elapsed();
        let read: u64 = reader.await.unwrap();
        let decisions = collector.await.unwrap();
        assert_eq!(read, decisions.len() as u64 + dispatched.not_sent, "every row read is decided or not sent");
        let seen = lines.seen.lock().unwrap().clone();
        let cause = stop.cause().cloned();
        Ran { decisions, not_sent: dispatched.not_sent, broke_off: dispatched.broke_off, cause, seen, took }
    }
}

pub(crate) const MS: Duration = Duration::from_millis(1);

/// Most starts in any window of one second.
pub(crate) fn peak(seen: &[Seen]) -> usize {
    let starts: Vec<Duration> = seen.iter().map(|seen| seen.start).collect();
    starts
        .iter()
        .map(|from| starts.iter().filter(|at| *at >= from && **at <= *from + Duration::from_secs(1)).count())
        .max()
        .unwrap_or(0)
}
