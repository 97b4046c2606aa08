//! Servers whose clock is wrong, or is set in mid-run.

use std::{path::Path, process::Command};

use super::{MILLISECOND, client, first_ask, next_ask, server::Server};
use crate::{Ask, FRESH, Reply};

/// The library that fakes the time of whoever loads it.
fn library() -> Option<String> {
    let output = Command::new("faketime").args(["-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]).output();
    let found = output.ok().map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let library = found.filter(|library| !library.is_empty());
    if library.is_none() {
        println!("skipped: faketime isn't installed");
    }
    library
}

/// With a clock that is off by what stands in a file: `+2h`.
fn server_with_clock(file: &Path) -> Option<Server> {
    // The server's own allocator asks for the time before it can be faked: the system's is put before it.
    let library = format!("{}:libc.so.6", library()?);
    let file = file.to_str().unwrap();
    Server::start_with(
        &[],
        &[
            ("LD_PRELOAD", &library),
            ("FAKETIME_TIMESTAMP_FILE", file),
            ("FAKETIME_NO_CACHE", "1"),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ],
    )
}

async fn clock_of(server: &Server) -> i64 {
    let (seconds, micros): (i64, i64) = redis::cmd("TIME").query_async(&mut server.commands().await).await.unwrap();
    seconds * 1_000_000_000 + micros * 1_000
}

fn real_clock() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
}

/// Sets the server's clock, and waits until it has seen that.
async fn set_clock(server: &Server, file: &Path, by: &str, nanos: i64) {
    std::fs::write(file, by).unwrap();
    while (clock_of(server).await - real_clock() - nanos).abs() > WHILE {
        tokio::task::yield_now().await;
    }
}

const HOUR: i64 = 3_600_000_000_000;
/// A machine under load may take so long between two looks.
const WHILE: i64 = 60_000_000_000;

#[tokio::test]
async fn a_clock_that_is_hours_wrong_is_as_good_as_any() {
    for (by, nanos) in [("-5h", -5 * HOUR), ("+70h", 70 * HOUR)] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), by).unwrap();
        let Some(server) = server_with_clock(file.path()) else { return };
        let off = clock_of(&server).await - real_clock();
        assert!((off - nanos).abs() < WHILE, "{off}");
        let mut redis = client(server.port);
        let first = redis.ask(first_ask("a")).await.unwrap().reply;
        let second = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
        assert_eq!((first.now, first.planned), (0, FRESH));
        assert!(second.now < WHILE && second.planned >= first.planned + 50 * MILLISECOND, "{second:?}");
    }
}

/// What is answered before and after the clock was set three hours forward.
async fn around_a_jump(asks: impl Fn(&Reply) -> Ask) -> Option<(Reply, Reply)> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "+0").unwrap();
    let server = server_with_clock(file.path())?;
    let mut redis = client(server.port);
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    let before = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
    set_clock(&server, file.path(), "+3h", 3 * HOUR).await;
    let after = redis.ask(asks(&before)).await.unwrap().reply;
    Some((before, after))
}

/// What was planned before may still be used: nothing is planned for that time, and for no more.
#[track_caller]
fn assert_neither_early_nor_late(before: &Reply, after: &Reply) {
    let ahead = before.planned + 50 * MILLISECOND - before.now;
    assert!(ahead >= FRESH, "nothing to look at: {before:?}");
    assert_eq!(after.planned - after.now, FRESH, "{before:?}, {after:?}");
}

#[tokio::test]
async fn a_clock_that_is_set_forward_lets_nobody_start_early_or_late() {
    let Some((before, after)) = around_a_jump(|before| next_ask("a", before.known)).await else { return };
    // It is no time at all: what is planned goes on as if nothing had been.
    assert_eq!((after.now, after.planned), (before.now, before.planned + 50 * MILLISECOND), "{before:?}");
}

#[tokio::test]
async fn a_newcomer_after_it_starts_nothing_early_either() {
    let Some((before, after)) = around_a_jump(|_| first_ask("b")).await else { return };
    assert_neither_early_nor_late(&before, &after);
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nobody_up() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "+0").unwrap();
    let Some(server) = server_with_clock(file.path()) else { return };
    let mut redis = client(server.port);
    let mut known = redis.ask(first_ask("a")).await.unwrap().reply;
    set_clock(&server, file.path(), "-3h", -3 * HOUR).await;
    for _ in 0..2 {
        let reply = redis.ask(next_ask("a", known.known)).await.unwrap().reply;
        assert!(reply.now >= known.now && reply.planned >= known.planned + 50 * MILLISECOND, "{reply:?}");
        known = reply;
    }
    // The ledger's clock goes on from there with the server's.
    let before = clock_of(&server).await;
    let reply = redis.ask(next_ask("a", known.known)).await.unwrap().reply;
    let while_asked = clock_of(&server).await - before;
    assert!(while_asked >= 0 && reply.now > known.now, "{reply:?} after {known:?}");
}
