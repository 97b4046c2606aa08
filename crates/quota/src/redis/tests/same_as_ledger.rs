//! The script does what the ledger does.

use std::collections::HashMap;

use proptest::{collection::vec, option, prelude::*, test_runner::TestRunner};
use redis::aio::MultiplexedConnection;
use serde_json::{Map, Value, json};

use super::server::Server;
use crate::{
    ledger::{Ask, Identity, Ledger, OtherRate, Reply},
    redis::script,
    terms::Wait,
};

const MEMBERS: [&str; 4] = ["a", "b2", "cc", "d"];
const INTERVALS: [u64; 5] = [1_000, 100_000, 10_000_000, 600_000_001, 60_000_000_000];

#[derive(Debug, Clone)]
enum Event {
    Ask(Asking),
    Leave(usize),
    /// The place is empty, or what it was so many events ago.
    Empty,
    Older(usize),
}

#[derive(Debug, Clone)]
struct Asking {
    member: usize,
    /// The run's own rate, or another.
    interval: Option<usize>,
    want: u32,
    span: i64,
    earliest: i64,
    wait: Wait,
    quiet: Option<i64>,
    /// What it knows differs from what it was told.
    known: Option<(bool, u64)>,
    nonce: u64,
    peek: bool,
    /// By so many microseconds the clock goes on before.
    clock: i64,
}

fn asking() -> impl Strategy<Value = Asking> {
    let clock = prop_oneof![
        10 => 0..60_000i64,
        2 => 0..2_000_000i64,
        2 => -2_000_000..0i64,
        1 => prop_oneof![Just(-7_200_000_000), Just(10_000_000), Just(10_000_001), Just(3_600_000_000), Just(100_000_000_000)],
    ];
    let wait = prop_oneof![
        6 => Just(0),
        2 => 0..200_000_000u64,
        1 => 0..60_000_000_000u64,
    ];
    let quiet = option::weighted(0.9, prop_oneof![8 => 0..100_000_000i64, 1 => 0..20_000_000_000i64]);
    let who = (0..MEMBERS.len(), option::weighted(0.05, 0..INTERVALS.len()), prop_oneof![0..3u32, 0..300u32]);
    let when = (-10_000_000..60_000_000i64, -44_000_000..60_000_000i64, quiet, clock);
    let rest = (
        wait,
        any::<bool>(),
        option::weighted(0.1, (any::<bool>(), 0..5u64)),
        1..1u64 << 53,
        prop::bool::weighted(0.1),
    );
    (who, when, rest).prop_map(|((member, interval, want), (span, earliest, quiet, clock), rest)| {
        let (nanos, asked, known, nonce, peek) = rest;
        let wait = Wait { nanos, asked };
        Asking { member, interval, want, span, earliest, wait, quiet, known, nonce, peek, clock }
    })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        20 => asking().prop_map(Event::Ask),
        2 => (0..MEMBERS.len()).prop_map(Event::Leave),
        1 => Just(Event::Empty),
        1 => (1..10usize).prop_map(Event::Older),
    ]
}

#[test]
fn the_script_does_what_the_ledger_does() {
    let Some(server) = Server::start(&[]) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let commands = runtime.block_on(server.commands());
    let cases = (0..INTERVALS.len(), 0..4_000_000_000_000_000i64, vec(event(), 1..60));
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() });
    let (mut given, mut refused) = (0, 0);
    runner
        .run(&cases, |(interval, clock, events)| {
            let mut both = Both::new(commands.clone(), interval, clock);
            runtime.block_on(both.play(&events))?;
            Ok(())
        })
        .unwrap();
    // The same once more with a fixed course, to see that there is something to look at.
    let mut both = Both::new(commands, 2, 5_000_000);
    let wanting = |member, clock| {
        let wait = Wait::default();
        let (span, earliest, nonce) = (50_000_000, 0, 7);
        Event::Ask(Asking {
            member,
            interval: None,
            want: 9,
            span,
            earliest,
            wait,
            quiet: Some(0),
            known: None,
            nonce,
            peek: false,
            clock,
        })
    };
    let other = Event::Ask(Asking {
        interval: Some(3),
        ..match wanting(1, 0) {
            Event::Ask(asking) => asking,
            _ => unreachable!(),
        }
    });
    for event in [wanting(0, 0), wanting(1, 40_000), other] {
        match runtime.block_on(both.happen(&event)).unwrap() {
            Some(Ok(reply)) => given += reply.starts,
            Some(Err(_)) => refused += 1,
            None => {}
        }
    }
    assert_eq!((given, refused), (5 + 2, 1));
}

/// A ledger and a hash that are told the same.
struct Both {
    commands: MultiplexedConnection,
    key: String,
    interval: usize,
    /// Microseconds.
    clock: i64,
    ledger: Ledger,
    known: HashMap<usize, Identity>,
    earlier: Vec<(Ledger, HashMap<String, String>)>,
}

impl Both {
    fn new(commands: MultiplexedConnection, interval: usize, clock: i64) -> Self {
        let (known, earlier) = (HashMap::new(), Vec::new());
        Self {
            commands,
            key: format!("{clock}-{interval}"),
            interval,
            clock,
            ledger: Ledger::default(),
            known,
            earlier,
        }
    }

    async fn play(&mut self, events: &[Event]) -> Result<(), TestCaseError> {
        self.set(&HashMap::new()).await;
        for event in events {
            self.happen(event).await?;
        }
        Ok(())
    }

    async fn happen(&mut self, event: &Event) -> Result<Option<Result<Reply, OtherRate>>, TestCaseError> {
        let stored = self.stored().await;
        self.earlier.push((self.ledger.clone(), stored));
        let answered = match event {
            Event::Ask(asking) => Some(self.ask(asking).await?),
            Event::Leave(member) => {
                self.ledger.leave(MEMBERS[*member]);
                let field = script::field_of(MEMBERS[*member]);
                redis::cmd("HDEL").arg(&self.key).arg(field).exec_async(&mut self.commands).await.unwrap();
                None
            }
            Event::Empty => {
                self.ledger = Ledger::default();
                self.set(&HashMap::new()).await;
                None
            }
            Event::Older(ago) => {
                let (ledger, stored) = self.earlier[self.earlier.len().saturating_sub(*ago)].clone();
                self.ledger = ledger;
                self.set(&stored).await;
                None
            }
        };
        let stored = self.stored().await;
        prop_assert_eq!(in_json(&stored), serde_json::to_value(&self.ledger).unwrap(), "after {:?}", event);
        Ok(answered)
    }

    async fn ask(&mut self, asking: &Asking) -> Result<Result<Reply, OtherRate>, TestCaseError> {
        self.clock = (self.clock + asking.clock).max(0);
        let mut known = self.known.get(&asking.member).copied().unwrap_or_default();
        if let Some((is_another, ahead)) = asking.known {
            known.generation += u64::from(is_another);
            known.sequence += ahead;
        }
        let interval = INTERVALS[asking.interval.unwrap_or(self.interval)];
        let ask = Ask {
            member: MEMBERS[asking.member].to_owned(),
            interval,
            label: format!("one each {interval} ns, \u{e4}"),
            want: asking.want,
            span: asking.span,
            earliest: asking.earliest,
            wait: asking.wait,
            quiet: asking.quiet,
            known,
            nonce: asking.nonce,
            peek: asking.peek,
        };
        let mut ledger = self.ledger.clone();
        let expected = ledger.answer(&ask, self.clock * 1_000);
        // What was refused, and a look, leave nothing behind.
        if expected.is_ok() && !ask.peek {
            self.ledger = ledger;
        }
        let mut command = script::by_text();
        script::add_arguments(&mut command, &self.key, &ask, 0);
        command.arg(self.clock / 1_000_000).arg(self.clock % 1_000_000);
        let answer: Vec<String> = command.query_async(&mut self.commands).await.unwrap();
        let reply = script::reply(&answer).unwrap();
        prop_assert_eq!(&reply, &expected, "{:?}", ask);
        if let Ok(reply) = &reply {
            self.known.insert(asking.member, reply.known);
        }
        Ok(reply)
    }

    async fn stored(&mut self) -> HashMap<String, String> {
        redis::cmd("HGETALL").arg(&self.key).query_async(&mut self.commands).await.unwrap()
    }

    async fn set(&mut self, stored: &HashMap<String, String>) {
        redis::cmd("DEL").arg(&self.key).exec_async(&mut self.commands).await.unwrap();
        if !stored.is_empty() {
            let mut command = redis::cmd("HSET");
            command.arg(&self.key);
            for (field, value) in stored {
                command.arg(field).arg(value);
            }
            command.exec_async(&mut self.commands).await.unwrap();
        }
    }
}

/// The hash in the ledger's own form.
fn in_json(stored: &HashMap<String, String>) -> Value {
    let number = |field: &str| stored.get(field).map_or(0, |value| value.parse::<i64>().unwrap());
    let mut members = Map::new();
    for (field, value) in stored {
        if let Some(member) = field.strip_prefix("m:") {
            let (renewed, hungry) = value.split_once(',').unwrap();
            let time = |text: &str| text.parse::<i64>().unwrap();
            members.insert(member.to_owned(), json!({"renewed": time(renewed), "hungry": time(hungry)}));
        }
    }
    json!({
        "generation": number("generation"),
        "sequence": number("sequence"),
        "seen": number("seen_s") * 1_000_000_000 + number("seen_us") * 1_000,
        "now": number("now"),
        "next": number("next"),
        "interval": number("interval"),
        "label": stored.get("label").cloned().unwrap_or_default(),
        "hold": number("hold"),
        "asked": stored.get("asked").is_some_and(|asked| asked == "1"),
        "members": members,
    })
}
