#![expect(clippy::print_stdout, reason = "a test that is skipped says so")]

mod access;
mod clocks;
mod losses;
mod same_as_ledger;
mod server;
mod sharing;

use super::SharedRedis;
use crate::{
    ledger::{Ask, Identity},
    place::{RedisAddress, Which},
    quota::Secrets,
    terms::Wait,
};

const MILLISECOND: i64 = 1_000_000;
const KEY: &str = "contactsync:{tests}:sending";

fn address(port: u16) -> RedisAddress {
    RedisAddress { tls: false, user: None, host: "127.0.0.1".to_owned(), port, database: 0, key: "tests".to_owned() }
}

fn client(port: u16) -> SharedRedis {
    SharedRedis::new(address(port), Which::Sending, Secrets::default()).unwrap()
}

/// Wants ten starts of a hundred a second, and is heard of for the first time.
fn first_ask(member: &str) -> Ask {
    Ask {
        member: member.to_owned(),
        interval: 10_000_000,
        label: "100/s".to_owned(),
        want: 10,
        span: 50 * MILLISECOND,
        earliest: 0,
        wait: Wait::default(),
        quiet: None,
        known: Identity::default(),
        nonce: 1 + u64::from(member.len() as u32),
        peek: false,
    }
}

/// The same, half a second later, of who knows so much.
fn next_ask(member: &str, known: Identity) -> Ask {
    Ask { quiet: Some(500 * MILLISECOND), known, nonce: known.generation + 1, ..first_ask(member) }
}
