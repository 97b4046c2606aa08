use std::collections::VecDeque;

use super::{MS, Message, Play, Played, PodPlan, Scenario, Time, Unanswered, What};
use crate::{
    ledger::Reply,
    member::{Member, Starts, Step},
    terms::{Terms, Wait},
};

/// A place out of reach is asked again so often.
const ASK_LOST_EVERY: Time = 500 * MS;

/// What is planned ahead, and how many percent of what will be of use within it are asked for before: as in the engine.
const PLANNED_AHEAD: Time = 20 * MS;
const ASKED_BEFORE: Time = 60;

/// A process as the engine has it: workers, planned starts, one who asks for more.
#[derive(Debug)]
pub(super) struct Pod {
    plan: PodPlan,
    terms: Terms,
    way: (Time, Time),
    late: Time,
    life: u32,
    member: Option<Member>,
    /// What its clock is ahead by.
    ahead: Time,
    idle: u32,
    /// When a request ended last.
    ended: Option<Time>,
    leases: VecDeque<Starts>,
    more_from: Time,
    renew_at: Time,
    pause: Time,
    /// The place doesn't know yet that nobody is to start.
    is_untold: bool,
    is_lost: bool,
    /// When it asked what isn't answered yet.
    asked_at: Option<Time>,
    /// For when it is to be woken, and when it will be.
    alarm: Option<(Time, Time)>,
}

impl Pod {
    pub(super) fn new(plan: &PodPlan, scenario: &Scenario) -> Self {
        Self {
            plan: plan.clone(),
            terms: scenario.terms.clone(),
            way: scenario.way,
            late: scenario.late,
            life: 0,
            member: None,
            ahead: 0,
            idle: 0,
            ended: None,
            leases: VecDeque::new(),
            more_from: 0,
            renew_at: 0,
            pause: 0,
            is_untold: false,
            is_lost: false,
            asked_at: None,
            alarm: None,
        }
    }

    pub(super) fn life(&self) -> u32 {
        self.life
    }

    /// A process begins in this place.
    pub(super) fn begin(&mut self, pod: usize, play: &mut Play) {
        self.life += 1;
        // Whoever sets its wall clock by hours changes nothing: only this one is looked at.
        self.ahead = play.between((0, 1_000_000 * MS));
        self.member = Some(Member::new(format!("p{pod}x{}", self.life), self.terms.clone()));
        (self.idle, self.more_from, self.renew_at) = (self.plan.in_flight, 0, 0);
        (self.pause, self.is_untold, self.is_lost, self.asked_at, self.alarm) = (0, false, false, None, None);
        self.leases.clear();
        self.ended = None;
        let killed = self.plan.killed.iter().map(|(at, _)| *at).find(|at| *at > play.now);
        if let Some(at) = killed {
            play.at(at, pod, self.life, What::Kill);
        }
        if let Some((at, wait)) = self.plan.told_to_wait.filter(|(at, _)| *at > play.now) {
            play.at(at, pod, self.life, What::Told(wait));
        }
        self.alarm = Some((0, play.now));
        play.at(play.now, pod, self.life, What::Wake);
    }

    /// It is killed; when another begins in its place.
    pub(super) fn die(&mut self, at: Time) -> Option<Time> {
        self.life += 1;
        self.member = None;
        self.plan.killed.iter().find(|(killed, _)| *killed == at).and_then(|(_, again)| *again)
    }

    pub(super) fn done(&mut self, pod: usize, play: &mut Play, played: &mut Played) {
        self.idle += 1;
        self.ended = Some(play.now);
        self.go_on(pod, play, played);
    }

    pub(super) fn wake(&mut self, pod: usize, play: &mut Play, played: &mut Played) {
        // Else it was set anew meanwhile.
        if self.alarm.take_if(|(_, at)| *at == play.now).is_some() {
            self.go_on(pod, play, played);
        }
    }

    pub(super) fn told_to_wait(&mut self, wait: Time, pod: usize, play: &mut Play, played: &mut Played) {
        let until = self.local(play.now) + wait;
        self.pause = self.pause.max(until);
        self.is_untold = true;
        played.told(play.now, wait);
        self.go_on(pod, play, played);
    }

    pub(super) fn answered(
        &mut self,
        reply: Result<Reply, Unanswered>,
        pod: usize,
        play: &mut Play,
        played: &mut Played,
    ) {
        let (Some(sent), now) = (self.asked_at.take(), self.local(play.now)) else { return };
        let Some(member) = &mut self.member else { return };
        match reply {
            Ok(reply) => {
                self.is_lost = false;
                let granted = member.answered(&reply, sent, now);
                if granted.began_anew {
                    self.leases.clear();
                }
                self.leases.extend(granted.starts);
                (self.more_from, self.renew_at) = (granted.more_from, granted.renew_at);
                if granted.wait.nanos > 0 {
                    self.pause = self.pause.max(now + granted.wait.nanos as Time);
                }
            }
            Err(Unanswered::Unreachable) => {
                member.forget();
                self.leases.clear();
                (self.is_lost, self.more_from) = (true, now + ASK_LOST_EVERY);
            }
            Err(Unanswered::OtherRate(other)) => played.refused(other),
        }
        self.go_on(pod, play, played);
    }

    /// Starts what may start, asks where that is due, and sees to it that it is woken for the next.
    fn go_on(&mut self, pod: usize, play: &mut Play, played: &mut Played) {
        let now = self.local(play.now);
        let paused = self.pause > now;
        while self.idle > 0 && !paused && self.take(now) {
            self.idle -= 1;
            played.started(play.now, pod);
            let latency = play.between(self.plan.latency);
            play.at(play.now + latency, pod, self.life, What::Done);
        }
        let Some(member) = &self.member else { return };
        let held: u32 = self.leases.iter().map(|starts| starts.count).sum();
        let want = if paused { 0 } else { self.idle.max(self.soon(play.now)).saturating_sub(held) };
        if self.asked_at.is_none() {
            let due = if self.is_lost {
                self.more_from
            } else if self.is_untold {
                now
            } else if want > 0 {
                self.more_from.min(self.renew_at)
            } else {
                self.renew_at
            };
            if due <= now {
                let nanos = (self.pause - now).max(0) as u64;
                let paused_for = Wait { nanos, asked: nanos > 0 };
                match member.step(want, paused_for, now, play.random.u64(1..1 << 50)) {
                    Step::Ask(ask) => {
                        self.is_untold = false;
                        self.asked_at = Some(now);
                        played.asked();
                        play.send(Message::Ask(ask), self.way, pod, self.life, What::Asked);
                    }
                    Step::WaitUntil(at) => (self.more_from, self.renew_at) = (at, at.max(self.renew_at)),
                }
            }
        }
        let planned = self.leases.iter().map(|starts| starts.planned).min().filter(|_| self.idle > 0 && !paused);
        let asks = match self.asked_at {
            Some(_) => None,
            None if want > 0 || self.is_lost => Some(self.more_from),
            None => Some(self.renew_at),
        };
        let opens = (paused && self.idle > 0).then_some(self.pause);
        let Some(next) = [planned, asks, opens].into_iter().flatten().min() else { return };
        if self.alarm.is_none_or(|(planned, _)| next < planned) {
            let at = play.now + (next - now).max(0) + play.between((0, self.late));
            self.alarm = Some((next, at));
            play.at(at, pod, self.life, What::Wake);
        }
    }

    /// Takes a start whose time has come and that isn't dead.
    fn take(&mut self, now: Time) -> bool {
        let (interval, life) = (self.terms.interval as Time, self.terms.life as Time);
        while let Some(starts) = self.leases.front_mut() {
            if starts.planned > now {
                return false;
            }
            let alive = starts.planned + life >= now;
            starts.count -= 1;
            starts.planned += interval;
            if starts.count == 0 {
                self.leases.pop_front();
            }
            if alive {
                return true;
            }
        }
        false
    }

    /// How many starts are asked for before there is somebody to use them, as by the engine.
    fn soon(&self, now: Time) -> u32 {
        let takes = Time::midpoint(self.plan.latency.0, self.plan.latency.1);
        if self.ended.is_none_or(|ended| now - ended > takes + 2 * PLANNED_AHEAD) {
            return 0;
        }
        (Time::from(self.plan.in_flight) * PLANNED_AHEAD * ASKED_BEFORE / 100 / takes.max(1)) as u32
    }

    fn local(&self, now: Time) -> Time {
        now + self.ahead
    }
}
