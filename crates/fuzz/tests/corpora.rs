//! The entries over their corpora, over all fixtures, and over random mutations of these. More of them:
//! `CONTACTSYNC_FUZZ_ROUNDS=100000 cargo test --release -p contactsync-fuzz`.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use fastrand::Rng;

/// Mutations tried for each entry.
const ROUNDS: u64 = 700;
/// Larger ones make it slow, and reach nothing new.
const MOST_BYTES: usize = 20_000;
/// What parsers stumble over.
const TOKENS: [&[u8]; 20] = [
    b"\"",
    b"\"\"",
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b",",
    b";",
    b"{",
    b"}",
    b"[",
    b"\\",
    b"\\ud800",
    b"\\u0000",
    b"\"euid\":",
    b"9223372036854775807",
    b"1e999",
    b"sep=;\n",
];

/// The files of a folder, which is named from this crate's.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Every fixture behind each of these choices; `!` is nothing special.
fn fixtures(choices: &[&[u8]]) -> Vec<Vec<u8>> {
    let files = files("../../fixtures");
    choices.iter().flat_map(|choice| files.iter().map(|bytes| [choice, bytes.as_slice()].concat())).collect()
}

/// Options of the readers: all of them in turn, also those that a second byte chooses.
const OPTIONS: [&[u8]; 9] =
    [b"!", b"\x0a", b"\xa0\x07", b"\xa5\x1f", b"\xe2\xb7", b"\x88\x22", b"\x80\x00", b"\x83\x03", b"\xc4\xc7"];

fn mutate(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut data = seeds[rng.usize(..seeds.len())].clone();
    data.truncate(MOST_BYTES);
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=data.len());
        let end = (at + rng.usize(..40)).min(data.len());
        match rng.u8(..8) {
            0 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(..8)),
            1 => drop(data.splice(at..at, TOKENS[rng.usize(..TOKENS.len())].iter().copied())),
            2 => drop(data.drain(at..end)),
            3 => {
                let span = data[at..end].to_vec();
                drop(data.splice(at..at, span));
            }
            4 => data.truncate(at),
            5 => data[at..end].fill(0),
            6 => {
                let other = &seeds[rng.usize(..seeds.len())];
                let from = rng.usize(..=other.len());
                data.truncate(at);
                data.extend(other[from..].iter().take(MOST_BYTES));
            }
            _ => drop(data.splice(at..end, std::iter::repeat_with(|| rng.u8(..)).take(5).collect::<Vec<_>>())),
        }
    }
    data
}

#[track_caller]
fn run(name: &str, seeds: &[Vec<u8>], entry: fn(&[u8])) {
    assert!(seeds.len() > 5, "{name} has no corpus");
    let attempt = |data: &[u8], what: String| {
        let ended = catch_unwind(AssertUnwindSafe(|| entry(data)));
        assert!(ended.is_ok(), "{name}: {what}: {}", data.escape_ascii());
    };
    for (number, data) in seeds.iter().enumerate() {
        attempt(data, format!("seed file {number}"));
    }
    let rounds = std::env::var("CONTACTSYNC_FUZZ_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    for seed in 0..rounds {
        attempt(&mutate(seeds, &mut Rng::with_seed(seed)), format!("mutation {seed}"));
    }
}

#[test]
fn csv() {
    run("csv", &[files("corpus/csv"), fixtures(&OPTIONS)].concat(), entries::csv);
}

#[test]
fn dump() {
    let choices: [&[u8]; 5] = [b"\x00", b"\x06", b"\x14", b"\x19", b"\x8a"];
    run("dump", &[files("corpus/dump"), fixtures(&choices)].concat(), entries::dump);
}

#[test]
fn ndjson() {
    run("ndjson", &[files("corpus/ndjson"), fixtures(&OPTIONS)].concat(), entries::ndjson);
}

#[test]
fn json() {
    run("json", &[files("corpus/json"), fixtures(&OPTIONS)].concat(), entries::json);
}

#[test]
fn answer() {
    run("answer", &files("corpus/answer"), entries::answer);
}

#[test]
fn report() {
    let plain = files("corpus/report");
    // The same as a run would have packed it: a record, or three, at each sync; whole, cut, or with a damaged end.
    let packings: [&[u8]; 6] = [
        b"\x06\x00\x00\x00",
        b"\x07\x02\x05\x00",
        b"\x08\x00\x09\x00",
        b"\x09\x02\x00\x60",
        b"\x06\x00\x00\x70",
        b"\x08\x00\x00\xd0",
    ];
    // A report that is refused is looked at no further: these are not refused.
    for name in ["again", "csv", "csv-torn", "ndjson", "torn", "zeros"] {
        let seed = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/report").join(name)).unwrap();
        assert!(entries::report_is_resumed(&seed), "{name} is refused");
        let is_csv = name.starts_with("csv");
        for packing in packings.iter().filter(|packing| (packing[0] % 2 == 1) == is_csv && packing[3] == 0) {
            let packed = [packing, &seed[1..]].concat();
            assert!(entries::report_is_resumed(&packed), "{name} packed as {packing:?} is refused");
        }
    }
    let packed = plain.iter().flat_map(|seed| packings.map(|packing| [packing, &seed[1..]].concat()));
    let names: [&[u8]; 6] = [b"\x00", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"];
    let seeds: Vec<Vec<u8>> = plain.iter().cloned().chain(packed).chain(fixtures(&names)).collect();
    run("report", &seeds, entries::report);
}
