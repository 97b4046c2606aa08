//! Runs that are killed at random moments and resumed until they end. More seeds: `cargo xtask crash`.

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
    /// So long after the start of a resume, which takes about as long to compare and cut.
    Resuming(Duration),
}

/// Kills by kind: at any time, while syncing, while resuming.
#[derive(Debug, Default)]
struct Kills {
    any: AtomicU64,
    syncing: AtomicU64,
    resuming: AtomicU64,
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
    let started = Instant::now();
    // A run saves as it starts; the moment meant is that of a later sync.
    let begun = Duration::from_millis(100);
    loop {
        let is_time = match moment {
            Moment::After(time) | Moment::Resuming(time) => started.elapsed() >= time,
            Moment::Syncing => started.elapsed() >= begun && saving.exists(),
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

fn campaign(seed: u64, slow_disk: Option<&SlowDisk>, kills: &Kills) {
    let mut dice = Rng::with_seed(seed);
    let (report, input) = (REPORTS[seed as usize % REPORTS.len()], INPUTS[(seed / 4) as usize % INPUTS.len()]);
    let service = Service::with_faults(&["code=-1:0.03", "drop:0.01", "status=502:0.01"]);
    let place = match slow_disk {
        Some(disk) => disk.under(service.workplace()),
        None => service.workplace(),
    };
    // There a run takes a second and more to begin.
    let latest = if slow_disk.is_some() { 3_000_000 } else { 1_400_000 };
    let (text, valid) = rows(input, &mut dice);
    if input != "-" {
        place.file(input, &text);
    }
    let (rate, in_flight) = (format!("{RATE}/s"), IN_FLIGHT.to_string());
    let arguments = [
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
    let mut killed = 0;
    for attempt in 0..4 {
        let moment = match dice.u8(..4) {
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
        killed += 1;
        let kind = match moment {
            Moment::After(_) => &kills.any,
            Moment::Syncing => &kills.syncing,
            Moment::Resuming(_) => &kills.resuming,
        };
        kind.fetch_add(1, Relaxed);
    }
    let last = start(&place, &arguments, input, &text).finish();
    assert_eq!(last.status, Some(1), "seed {seed}: some rows are rejected\n{last}");
    assert_eq!(SlowDisk::was_waited_for(&place), slow_disk.is_some(), "seed {seed}");
    decided_once(&place, report, seed);
    nothing_missing_and_in_order(&service, &valid, killed, seed);
}

/// Each row has one record.
fn decided_once(place: &Workplace, report: &str, seed: u64) {
    let records = report::ReportReader::open(&place.path(report)).unwrap();
    let mut rows: Vec<u64> = records.map(|record| record.unwrap().origin.row).collect();
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

#[test]
fn killed_at_any_moment_it_resumes_and_loses_nothing() {
    let seeds = std::env::var("CONTACTSYNC_CRASH_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let (next, kills) = (AtomicU64::new(0), Kills::default());
    let slow_disk = SlowDisk::build();
    let slow_one = |seed: u64| slow_disk.as_ref().filter(|_| seed % EACH_SLOW == EACH_SLOW - 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let seeds = std::iter::repeat_with(|| next.fetch_add(1, Relaxed)).take_while(|seed| *seed < seeds);
                seeds.for_each(|seed| campaign(seed, slow_one(seed), &kills));
            });
        }
    });
    let [any, syncing, resuming] = [&kills.any, &kills.syncing, &kills.resuming].map(|kind| kind.load(Relaxed));
    let all = any + syncing + resuming;
    let slow = if slow_disk.is_some() {
        format!("{} on a slow disk", seeds / EACH_SLOW)
    } else {
        "slow_disk skipped: no C compiler, or another system than Linux".to_owned()
    };
    let told = format!("{seeds} seeds, {slow}, {all} kills: {syncing} while syncing, {resuming} while resuming\n");
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    assert!(syncing * 10 >= all && resuming * 10 >= all, "of {all} kills {syncing} hit a sync, {resuming} a resume");
}
