//! Runs that are killed at random moments and resumed until they end. More seeds: `cargo xtask crash`.

mod compared;
mod identified;
mod tries;
mod verified;

use std::{
    collections::BTreeMap,
    io::Write,
    process::Stdio,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use fastrand::Rng;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    service::Service,
    slow_disk::SlowDisk,
    support::{Running, Workplace},
};

/// How many runs, each with a seed of its own.
const SEEDS: u64 = 20;
/// The same with a state.
const SEEDS_WITH_STATE: u64 = 10;
/// Of so many seeds the last is on a disk that takes a fifth of a second for each sync; formats and inputs have other
/// divisors.
const EACH_SLOW: u64 = 5;
const ROWS: u64 = 900;
const EUIDS: u64 = 200;
const RATE: u64 = 600;
const IN_FLIGHT: u64 = 16;
/// Formats of the report and of the input; the last input is standard input.
const REPORTS: [&str; 4] = ["r.ndjson", "r.csv", "r.ndjson.gz", "r.csv.zst"];
const INPUTS: [&str; 3] = ["a.csv", "a.ndjson", "-"];

/// When a try is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So long after the start.
    After(Duration),
    /// While results are being synced.
    Syncing,
    /// So long after the start of a resume, which takes about as long to compare and cut, and to open a state.
    Resuming(Duration),
    /// While a new file of the state is made.
    Merging,
}

/// Kills by kind: at any time, while syncing, while resuming, while a new file of the state is made.
#[derive(Debug, Default)]
struct Kills {
    any: AtomicU64,
    syncing: AtomicU64,
    resuming: AtomicU64,
    merging: AtomicU64,
}

fn rows(input: &str, dice: &mut Rng) -> (String, Vec<(u64, u64)>) {
    let ndjson = input.ends_with("ndjson");
    let mut text = if ndjson { String::new() } else { "euid,email\n".to_owned() };
    let mut valid = Vec::new();
    for row in 1..=ROWS {
        let euid = 1 + dice.u64(..EUIDS);
        if dice.u64(..20) == 0 {
            text += if ndjson { "{\"euid\":0}\n" } else { "zero,x@example.com\n" };
            continue;
        }
        valid.push((row, euid));
        text += &if ndjson {
            format!("{{\"euid\":{euid},\"email\":\"{row}@example.com\"}}\n")
        } else {
            format!("{euid},{row}@example.com\n")
        };
    }
    (text, valid)
}

fn row_of(contacts: &serde_json::Map<String, Value>) -> u64 {
    contacts["email"].as_str().and_then(|email| email.split('@').next()).unwrap().parse().unwrap()
}

/// Starts a try. Standard input is written by a thread that ends with it.
fn start(place: &Workplace, arguments: &[&str], input: &str, text: &str) -> Running {
    let mut command = place.command(arguments);
    if input != "-" {
        return Running::start(&mut command);
    }
    let mut running = Running::start(command.stdin(Stdio::piped()));
    let (mut pipe, text) = (running.child().stdin.take().unwrap(), text.to_owned());
    std::thread::spawn(move || pipe.write_all(text.as_bytes()));
    running
}

/// Waits for the moment and kills. False where the run ended before.
fn kill(running: &mut Running, place: &Workplace, report: &str, moment: Moment) -> bool {
    let saving = place.path(&format!("{report}.run.new"));
    let merging = place.path(".s.state.contactsync-new");
    let started = Instant::now();
    // A run saves as it starts; the moment meant is that of a later sync.
    let begun = Duration::from_millis(100);
    loop {
        let is_time = match moment {
            Moment::After(time) | Moment::Resuming(time) => started.elapsed() >= time,
            Moment::Syncing => started.elapsed() >= begun && saving.exists(),
            Moment::Merging => merging.exists(),
        };
        if is_time {
            running.signal(Signal::KILL);
            return true;
        }
        if running.child().try_wait().unwrap().is_some() {
            return false;
        }
        if matches!(moment, Moment::After(_)) {
            std::thread::yield_now();
        }
    }
}

/// `newer`: with a state, of which a new file is made once what is newer takes so many bytes.
fn campaign(seed: u64, slow_disk: Option<&SlowDisk>, newer: Option<usize>, kills: &Kills) {
    let mut dice = Rng::with_seed(seed);
    let (report, input) = (REPORTS[seed as usize % REPORTS.len()], INPUTS[(seed / 4) as usize % INPUTS.len()]);
    let service = Service::with_faults(&["code=-1:0.03", "drop:0.01", "status=502:0.01"]);
    let place = match slow_disk {
        Some(disk) => disk.under(service.workplace()),
        None => service.workplace(),
    };
    let place = match newer {
        Some(bytes) => place.variable("_CONTACTSYNC_TEST_NEWER_BYTES", &bytes.to_string()),
        None => place,
    };
    // There a run takes a second and more to begin.
    let latest = if slow_disk.is_some() { 3_000_000 } else { 1_400_000 };
    let (text, valid) = rows(input, &mut dice);
    if input != "-" {
        place.file(input, &text);
    }
    let (rate, in_flight) = (format!("{RATE}/s"), IN_FLIGHT.to_string());
    let mut arguments = vec![
        "push",
        input,
        "--report",
        report,
        "--resume",
        "--rate",
        &rate,
        "--in-flight",
        &in_flight,
        "--retry-base",
        "1ms",
        "--retry-cap",
        "5ms",
        "--retries",
        "30",
        "--progress",
        "never",
    ];
    if newer.is_some() {
        // So that each row has a record.
        arguments.extend(["--state", "s.state", "--report-unchanged"]);
    }
    let mut killed = 0;
    for attempt in 0..4 {
        let moment = match dice.u8(..4) {
            0 if newer.is_some() && dice.bool() => Moment::Merging,
            0 => Moment::Syncing,
            1 if attempt > 0 => Moment::Resuming(Duration::from_micros(dice.u64(..60_000))),
            _ => Moment::After(Duration::from_micros(dice.u64(..latest))),
        };
        let mut running = start(&place, &arguments, input, &text);
        if !kill(&mut running, &place, report, moment) {
            running.finish();
            break;
        }
        running.finish();
        // What the service had been sent lands before the next try's.
        service.settle();
        killed += 1;
        let kind = match moment {
            Moment::After(_) => &kills.any,
            Moment::Syncing => &kills.syncing,
            Moment::Resuming(_) => &kills.resuming,
            Moment::Merging => &kills.merging,
        };
        kind.fetch_add(1, Relaxed);
    }
    let last = start(&place, &arguments, input, &text).finish();
    assert_eq!(last.status, Some(1), "seed {seed}: some rows are rejected\n{last}");
    assert_eq!(SlowDisk::was_waited_for(&place), slow_disk.is_some(), "seed {seed}");
    decided_once(&place, report, seed);
    nothing_missing_and_in_order(&service, &valid, killed, seed);
    if newer.is_some() {
        next_night(&service, &place, &mut dice, (seed, killed));
    }
}

/// A night behind those kills, with some rows of users that stand as they are and some of others: what the state holds of
/// them is true.
fn next_night(service: &Service, place: &Workplace, dice: &mut Rng, (seed, killed): (u64, u64)) {
    service.set_faults::<&str>(&[]);
    let held: BTreeMap<u64, u64> =
        service.record().contacts().iter().map(|(euid, contacts)| (*euid, row_of(contacts))).collect();
    let mut expected = held.clone();
    for row in expected.values_mut() {
        // As it is, another, or one that this user or another had before.
        match dice.u8(..4) {
            0 => *row += ROWS,
            1 => *row = 1 + dice.u64(..ROWS),
            _ => {}
        }
    }
    let changed = expected.iter().filter(|(euid, row)| held[euid] != **row).count() as u64;
    let rows = expected.iter().map(|(euid, row)| format!("{euid},{row}@example.com\n"));
    place.file("next.csv", std::iter::once("euid,email\n".to_owned()).chain(rows).collect::<String>());
    // An attempt without an answer may land behind a later row of its user, which isn't taken for known then.
    let uncertain = held.keys().filter(|euid| service.record().requests(**euid).len() > 1).count() as u64;
    let most = changed + uncertain + killed * (IN_FLIGHT + 2 * RATE);
    let mut sent = service.record().stats().requests;
    // What was set in the moment before a kill may be sent once more.
    for (report, least, most) in [("next.ndjson", changed, most), ("again.ndjson", 0, 0)] {
        let ran = place.run(&["push", "next.csv", "--state", "s.state", "--report", report, "--rate", "unlimited"]);
        let ran = ran.ends_with(0);
        let there: BTreeMap<u64, u64> =
            service.record().contacts().iter().map(|(euid, contacts)| (*euid, row_of(contacts))).collect();
        assert_eq!(there, expected, "seed {seed}: a change was skipped\n{ran}");
        let now = service.record().stats().requests;
        assert!((least..=most).contains(&(now - sent)), "seed {seed}: of {changed} changes {}\n{ran}", now - sent);
        sent = now;
    }
}

/// Each row has one record; what was unchanged may only stand beside the report, where a kill came before its record.
fn decided_once(place: &Workplace, report: &str, seed: u64) {
    let path = place.path(report);
    let records = report::ReportReader::open(&path).unwrap();
    let mut rows: Vec<u64> = records.map(|record| record.unwrap().origin.row).collect();
    rows.sort_unstable();
    let unchanged = &report::RunFile::read(&path).unwrap().unwrap().inputs[0].unchanged;
    let missing: Vec<u64> = (1..=ROWS).filter(|row| rows.binary_search(row).is_err()).collect();
    assert!(missing.iter().all(|row| unchanged.contains(*row)), "seed {seed}: {missing:?} have no record");
    rows.extend(&missing);
    rows.sort_unstable();
    assert_eq!(rows, (1..=ROWS).collect::<Vec<_>>(), "seed {seed}");
}

fn nothing_missing_and_in_order(service: &Service, valid: &[(u64, u64)], killed: u64, seed: u64) {
    let record = service.record();
    let last: BTreeMap<u64, u64> = valid.iter().map(|(row, euid)| (*euid, *row)).collect();
    let there: BTreeMap<u64, u64> =
        record.contacts().iter().map(|(euid, contacts)| (*euid, row_of(contacts))).collect();
    assert_eq!(there, last, "seed {seed}: the service has each user's last row");
    assert!(!record.any_overlap() || killed > 0, "seed {seed}: rows of one user overlapped");
    let mut accepted: BTreeMap<u64, u64> = BTreeMap::new();
    for euid in last.keys() {
        let requests = record.requests(*euid);
        let rows: Vec<u64> = requests.iter().map(|request| row_of(&request.contacts)).collect();
        let steps_back = rows.windows(2).filter(|pair| pair[1] < pair[0]).count() as u64;
        assert!(steps_back <= killed, "seed {seed}, user {euid}: {rows:?} after {killed} kills");
        for request in requests.iter().filter(|request| request.answered == 0) {
            *accepted.entry(row_of(&request.contacts)).or_default() += 1;
        }
    }
    assert_eq!(accepted.len(), valid.len(), "seed {seed}: every valid row was accepted");
    let twice: u64 = accepted.values().map(|times| times - 1).sum();
    // What was decided in the second before the last sync and what was in flight; the second factor is for a slow disk.
    assert!(twice <= killed * (IN_FLIGHT + 2 * RATE), "seed {seed}: {twice} rows were sent twice after {killed} kills");
}

fn campaigns(default: u64, slow_disk: Option<&SlowDisk>, with_state: bool) -> Kills {
    let (seeds, kills) = (Seeds::new(default), Kills::default());
    let slow_one = |seed: u64| slow_disk.filter(|_| seed % EACH_SLOW == EACH_SLOW - 1);
    // Often, seldom, and only at the end of a run.
    let newer = |seed: u64| with_state.then_some([500, 8_000, 64 << 20][seed as usize % 3]);
    seeds.each(|seed| campaign(seed, slow_one(seed), newer(seed), &kills));
    let slow = if slow_disk.is_some() {
        format!("{} on a slow disk", seeds.count / EACH_SLOW)
    } else {
        "slow_disk skipped: no C compiler, or another system than Linux".to_owned()
    };
    let told = format!("{} seeds, {slow}, kills by kind: {kills:?}\n", seeds.count);
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    kills
}

/// Seeds to try: a few, or as many as the environment says.
#[derive(Debug)]
pub(crate) struct Seeds {
    pub(crate) first: u64,
    pub(crate) count: u64,
}

impl Seeds {
    pub(crate) fn new(default: u64) -> Self {
        let number = |name| std::env::var(name).ok().map(|number| number.parse().unwrap());
        let first = number("CONTACTSYNC_FIRST_SEED").unwrap_or(0);
        Self { first, count: number("CONTACTSYNC_CRASH_SEEDS").unwrap_or(default) }
    }

    /// Tries each, a few at a time.
    pub(crate) fn each(&self, attempt: impl Fn(u64) + Sync) {
        let next = AtomicU64::new(self.first);
        let attempts = || {
            let seeds = std::iter::repeat_with(|| next.fetch_add(1, Relaxed));
            seeds.take_while(|seed| *seed < self.first + self.count).for_each(&attempt);
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(attempts)).collect();
            for thread in threads {
                // What the seed said is what is told last.
                thread.join().unwrap_or_else(|said| std::panic::resume_unwind(said));
            }
        });
    }
}

#[test]
fn killed_at_any_moment_it_resumes_and_loses_nothing() {
    let slow_disk = SlowDisk::build();
    let kills = campaigns(SEEDS, slow_disk.as_ref(), false);
    let [any, syncing, resuming] = [kills.any, kills.syncing, kills.resuming].map(AtomicU64::into_inner);
    let all = any + syncing + resuming;
    assert!(syncing * 10 >= all && resuming * 10 >= all, "of {all} kills {syncing} hit a sync, {resuming} a resume");
}

/// Also while a state is opened, committed to and made anew.
#[test]
fn killed_at_any_moment_a_state_is_never_wrong() {
    let slow_disk = SlowDisk::build();
    let kills = campaigns(SEEDS_WITH_STATE, slow_disk.as_ref(), true);
    let [any, syncing, resuming, merging] =
        [kills.any, kills.syncing, kills.resuming, kills.merging].map(AtomicU64::into_inner);
    let all = any + syncing + resuming + merging;
    assert!(all > 0, "none was killed");
    // Few seeds may miss what is over in a moment.
    let is_many = Seeds::new(SEEDS_WITH_STATE).count >= 100;
    let hits = merging * 40 >= all && resuming * 10 >= all;
    assert!(hits || !is_many, "of {all} kills {merging} hit a merge, {resuming} a resume");
}
