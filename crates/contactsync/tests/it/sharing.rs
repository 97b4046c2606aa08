//! Several processes on one rate: all of them get on, together no faster than one, whatever becomes of the others or the place.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use quota::{Place, Quota, Secrets, Terms, Wait, Which};
use rustix::process::Signal;

use crate::{
    redis_server::RedisServer,
    service::Service,
    support::{Running, Workplace, skipped},
};

/// Attempts a second that all of them may start together.
const RATE: u64 = 100;

/// Processes that share a rate, each with rows of its own.
struct Fleet<'a> {
    service: &'a Service,
    place: Workplace,
    shared: String,
    rows: u64,
}

impl<'a> Fleet<'a> {
    fn new(service: &'a Service, shared: &str, rows: u64) -> Self {
        let place = service.workplace().variable("CONTACTSYNC_REDIS_PASSWORD", "hidden-word");
        Self { service, place, shared: shared.to_owned(), rows }
    }

    fn start(&self, number: u64) -> Running {
        self.start_with(number, &[])
    }

    fn start_with(&self, number: u64, variables: &[(&str, &str)]) -> Running {
        let (input, report) = (format!("{number}.csv"), format!("{number}.ndjson"));
        let users = (1..=self.rows).map(|row| format!("{},user{row}@example.com\n", number * 10_000 + row));
        self.place.file(&input, std::iter::once("euid,email\n".to_owned()).chain(users).collect::<String>());
        let rate = format!("{RATE}/s");
        let push = ["push", &input, "--rate", &rate, "--share-rate", &self.shared, "--report", &report, "--resume"];
        Running::start(self.place.command(&push).envs(variables.iter().copied()))
    }

    fn requests(&self) -> u64 {
        self.service.record().stats().requests
    }

    /// Each of so many has sent all of its rows, each once.
    #[track_caller]
    fn assert_all_arrived(&self, processes: u64) {
        for number in 1..=processes {
            let records = self.place.json_lines(&format!("{number}.ndjson"));
            assert_eq!(records.len() as u64, self.rows, "process {number}");
            assert!(records.iter().all(|record| record["outcome"] == "synced"), "process {number}");
        }
    }
}

/// So many starts take so long, at least: all but a burst have to be planned, one after the other.
fn least_time(starts: u64) -> Duration {
    Duration::from_secs(1) * u32::try_from(starts - 2).unwrap() / u32::try_from(RATE).unwrap()
}

#[test]
fn three_and_thirty_processes_keep_to_the_rate_of_a_file_together() {
    for (processes, rows) in [(3, 80), (30, 8)] {
        let service = Service::with_faults(&[]);
        let fleet = Fleet::new(&service, "q.rate", rows);
        let begun = Instant::now();
        let running: Vec<_> = (1..=processes).map(|number| fleet.start(number)).collect();
        for process in running {
            process.finish().ends_with(0);
        }
        assert!(begun.elapsed() >= least_time(processes * rows), "{processes} took {:?}", begun.elapsed());
        fleet.assert_all_arrived(processes);
    }
}

#[test]
fn who_is_killed_holds_up_nobody_and_goes_on_later() {
    let service = Service::with_faults(&[]);
    let fleet = Fleet::new(&service, "q.rate", 60);
    let mut running: Vec<_> = (1..=4).map(|number| fleet.start(number)).collect();
    for killed in [1, 2] {
        let process = &mut running[killed];
        let report = format!("{}.ndjson", killed + 1);
        process.until("it has sent something", || fleet.place.read_if_there(&report).lines().count() > 1);
        process.signal(Signal::KILL);
        let ended = std::mem::replace(process, fleet.start(5 + killed as u64)).finish();
        assert_eq!(ended.status, None, "{ended}");
    }
    for process in running {
        process.finish().ends_with(0);
    }
    for killed in [2, 3] {
        fleet.start(killed).finish().ends_with(0);
    }
    service.settle();
    for number in [1, 2, 3, 4, 6, 7] {
        assert_eq!(fleet.place.json_lines(&format!("{number}.ndjson")).len(), 60, "process {number}");
    }
}

#[test]
fn a_redis_that_goes_away_and_comes_back_empty_holds_all_up_and_loses_nothing() {
    let Some(mut server) = RedisServer::with_password("hidden-word") else { return };
    let service = Service::with_faults(&[]);
    let fleet = Fleet::new(&service, &server.url("night"), 100);
    let begun = Instant::now();
    let mut running: Vec<_> = (1..=3).map(|number| fleet.start(number)).collect();
    running[0].until("all send", || fleet.requests() > 60);
    server.kill();
    for process in &mut running {
        process.until_it_says("nothing starts until it answers");
    }
    // What each had at hand is used or dead by now.
    service.until_none_is_in_flight();
    let before = fleet.requests();
    server.start_again();
    for process in running {
        process.finish().ends_with(0).says("the shared rate answers again");
    }
    assert!(before < 300, "all was sent already");
    assert!(begun.elapsed() >= least_time(300), "{:?}", begun.elapsed());
    fleet.assert_all_arrived(3);
}

#[test]
fn a_wait_that_one_of_them_is_told_holds_for_all() {
    let service = Service::with_faults(&[]);
    let fleet = Fleet::new(&service, "q.rate", 100);
    let running: Vec<_> = (1..=3).map(|number| fleet.start(number)).collect();
    let mut running = running.into_iter();
    let mut first = running.next().unwrap();
    first.until("all send", || fleet.requests() > 30);
    // Whoever asks next is told to wait; the others are still sending.
    service.set_faults(&["status=429:1"]);
    first.until("somebody was told", || service.record().stats().by_status.contains_key(&429));
    service.set_faults(&[] as &[&str]);
    first.finish().ends_with(0);
    for process in running {
        process.finish().ends_with(0);
    }
    fleet.assert_all_arrived(3);
}

#[test]
fn who_stands_still_since_another_was_told_to_wait_says_so() {
    let service = Service::with_faults(&[]);
    let fleet = Fleet::new(&service, "q.rate", 3_000);
    let mut running = fleet.start(1);
    running.until("it sends", || fleet.requests() > 5);
    let interval = Duration::from_micros(10_100);
    let terms = Terms::new(interval, interval, "100/s".to_owned());
    let file = Place::File(fleet.place.path("q.rate"));
    let mut other = Quota::new(file, Which::Sending, "other".to_owned(), terms, Secrets::default()).unwrap();
    let told = Wait { nanos: 60_000_000_000, asked: true };
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(other.ask(0, told)).unwrap();
    running.until_it_says("s: the service told another process that shares the rate to wait (HTTP 429 or 503)");
    running.signal(Signal::TERM);
    running.finish().ends_with(143);
}

/// The library that sets a process's wall clock; none where it isn't installed, with a word about it.
fn faked_time() -> Option<&'static str> {
    let installed = ["/usr/lib/x86_64-linux-gnu/faketime", "/usr/lib/aarch64-linux-gnu/faketime", "/usr/lib/faketime"];
    if installed.iter().any(|folder| Path::new(folder).join("libfaketime.so.1").exists()) {
        return Some("/usr/$LIB/faketime/libfaketime.so.1");
    }
    skipped("faketime isn't installed");
    None
}

#[test]
fn wall_clocks_that_are_wrong_by_hours_change_nothing() {
    let Some(library) = faked_time() else { return };
    let server = RedisServer::with_password("hidden-word");
    for shared in [Some("q.rate".to_owned()), server.as_ref().map(|server| server.url("night"))].into_iter().flatten() {
        let service = Service::with_faults(&[]);
        let fleet = Fleet::new(&service, &shared, 60);
        let begun = Instant::now();
        let wrong = |by| [("LD_PRELOAD", library), ("FAKETIME", by), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let running = [fleet.start(1), fleet.start_with(2, &wrong("+5h")), fleet.start_with(3, &wrong("-30h"))];
        for process in running {
            process.finish().ends_with(0);
        }
        assert!(begun.elapsed() >= least_time(180), "{:?}", begun.elapsed());
        fleet.assert_all_arrived(3);
        // The clocks were wrong indeed.
        let at = |number: u64| {
            fleet.place.json_lines(&format!("{number}.ndjson"))[0]["at"].as_str().unwrap()[..13].to_owned()
        };
        assert!(at(1) != at(2) && at(2) != at(3), "{} {} {}", at(1), at(2), at(3));
    }
}
