//! Many processes on one rate, on paper clocks: the real [`Ledger`](crate::Ledger) and [`Member`](crate::Member), a network
//! that takes its time, timers that wake late, processes that die, a server that goes away and comes back with less than it
//! had.
//!
//! In goes a [`Scenario`], out comes what started when ([`Played`]). The same seed plays the same way.

mod played;
mod pod;
mod server;

use std::{cmp::Reverse, collections::BinaryHeap};

pub use played::{Played, Share};
pub use server::Outage;

use crate::{
    ledger::{Ask, OtherRate, Reply},
    terms::Terms,
};
use pod::Pod;
use server::Server;

/// Nanoseconds since the play began.
pub type Time = i64;

/// A millisecond.
pub const MS: Time = 1_000_000;
/// A second.
pub const SECOND: Time = 1_000 * MS;

/// What is played.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The same plays the same.
    pub seed: u64,
    /// For so long.
    pub time: Time,
    /// The rate that all name.
    pub terms: Terms,
    /// Who takes part.
    pub pods: Vec<PodPlan>,
    /// One way to the place takes between so long and so long.
    pub way: (Time, Time),
    /// Timers wake so much too late, at most.
    pub late: Time,
    /// When the place goes away, and how it comes back.
    pub outages: Vec<Outage>,
    /// The clock of the place jumps at a time, by so much.
    pub jumps: Vec<(Time, Time)>,
}

/// A process.
#[derive(Debug, Clone)]
pub struct PodPlan {
    /// Requests under way at once.
    pub in_flight: u32,
    /// A request takes between so long and so long.
    pub latency: (Time, Time),
    /// When it begins.
    pub from: Time,
    /// When it is killed, and when another begins in its place.
    pub killed: Vec<(Time, Option<Time>)>,
    /// When the service tells it to wait, and for how long.
    pub told_to_wait: Option<(Time, Time)>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Begin,
    Kill,
    Wake,
    /// The request that was sent is done.
    Done,
    Told(Time),
    /// Number of a message that arrives.
    Asked(usize),
    Answered(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at: Time,
    number: u64,
    pod: usize,
    /// The how-manieth process in this place it is meant for.
    life: u32,
    what: What,
}

#[derive(Debug)]
enum Message {
    Ask(Ask),
    Reply(Result<Reply, Unanswered>),
}

#[derive(Debug)]
enum Unanswered {
    Unreachable,
    OtherRate(OtherRate),
}

struct Play {
    random: fastrand::Rng,
    events: BinaryHeap<Reverse<Event>>,
    numbered: u64,
    messages: Vec<Message>,
    now: Time,
}

/// Plays it to its end.
pub fn play(scenario: &Scenario) -> Played {
    let mut play = Play {
        random: fastrand::Rng::with_seed(scenario.seed),
        events: BinaryHeap::new(),
        numbered: 0,
        messages: Vec::new(),
        now: 0,
    };
    let mut server = Server::new(scenario);
    let mut pods: Vec<Pod> = scenario.pods.iter().map(|plan| Pod::new(plan, scenario)).collect();
    for (index, plan) in scenario.pods.iter().enumerate() {
        play.at(plan.from, index, 0, What::Begin);
    }
    let mut played = Played::new(scenario);
    while let Some(Reverse(event)) = play.events.pop() {
        if event.at > scenario.time {
            break;
        }
        play.now = event.at;
        let pod = &mut pods[event.pod];
        if event.what != What::Begin && event.life != pod.life() {
            // Meant for one that is dead; what it asked for has its effect all the same.
            if let What::Asked(message) = event.what
                && let Some(Message::Ask(ask)) = play.messages.get(message)
            {
                let _ = server.answer(ask, play.now);
            }
            continue;
        }
        match event.what {
            What::Begin => pod.begin(event.pod, &mut play),
            What::Kill => {
                if let Some(again) = pod.die(event.at) {
                    play.at(again, event.pod, 0, What::Begin);
                }
            }
            What::Wake => pod.wake(event.pod, &mut play, &mut played),
            What::Done => pod.done(event.pod, &mut play, &mut played),
            What::Told(wait) => pod.told_to_wait(wait, event.pod, &mut play, &mut played),
            What::Asked(message) => {
                let Some(Message::Ask(ask)) = play.messages.get(message) else { continue };
                let reply = server.answer(ask, play.now);
                play.send(Message::Reply(reply), scenario.way, event.pod, event.life, What::Answered);
            }
            What::Answered(message) => {
                let reply =
                    std::mem::replace(&mut play.messages[message], Message::Reply(Err(Unanswered::Unreachable)));
                if let Message::Reply(reply) = reply {
                    pod.answered(reply, event.pod, &mut play, &mut played);
                }
            }
        }
    }
    played
}

impl Play {
    fn at(&mut self, at: Time, pod: usize, life: u32, what: What) {
        self.numbered += 1;
        self.events.push(Reverse(Event { at: at.max(self.now), number: self.numbered, pod, life, what }));
    }

    fn send(&mut self, message: Message, way: (Time, Time), pod: usize, life: u32, what: fn(usize) -> What) {
        self.messages.push(message);
        let arrives = self.now + self.between(way);
        self.at(arrives, pod, life, what(self.messages.len() - 1));
    }

    fn between(&mut self, (least, most): (Time, Time)) -> Time {
        self.random.i64(least..=most.max(least))
    }
}

#[cfg(test)]
mod tests;
