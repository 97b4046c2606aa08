//! Several members on a real server.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{client, server::Server};
use crate::{
    member::{Member, Step},
    terms::{Terms, Wait},
};

const MEMBERS: usize = 6;
const PER_MEMBER: usize = 40;

/// Starts that the ledger has planned, in its own time.
#[derive(Debug, Clone, Copy)]
struct Planned {
    first: i64,
    count: u32,
}

/// Asks as a process does until it was given so many leases.
async fn share(port: u16, name: String, terms: Terms, origin: Instant) -> Vec<Planned> {
    let local = |instant: Instant| instant.duration_since(origin).as_nanos() as i64;
    let (mut redis, mut member) = (client(port), Member::new(name, terms));
    let mut planned = Vec::new();
    while planned.len() < PER_MEMBER {
        let ask = match member.step(1_000, Wait::default(), local(Instant::now()), 42) {
            Step::Ask(ask) => ask,
            Step::WaitUntil(at) => {
                let at = origin + Duration::from_nanos(at as u64);
                tokio::time::sleep_until(at.into()).await;
                continue;
            }
        };
        let answer = redis.ask(ask).await.unwrap();
        let reply = answer.reply;
        member.answered(&reply, local(answer.sent), local(answer.got));
        assert_eq!((reply.known.generation, reply.wait), (42, Wait::default()));
        if reply.starts > 0 {
            planned.push(Planned { first: reply.planned, count: reply.starts });
        }
    }
    redis.leave(member.name()).await.unwrap();
    planned
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_get_starts_that_follow_each_other() {
    let Some(server) = Server::start(&[]) else { return };
    let terms = Terms::new(Duration::from_micros(500), Duration::from_millis(10), "2000/s".to_owned());
    let (origin, lag) = (Instant::now(), terms.lag as i64);
    let mut sharing = JoinSet::new();
    for number in 0..MEMBERS {
        sharing.spawn(share(server.port, format!("m{number}"), terms.clone(), origin));
    }
    let shares = sharing.join_all().await;
    assert_eq!(shares.len(), MEMBERS);
    let mut all: Vec<Planned> = shares.concat();
    assert!(shares.iter().all(|share| share.len() == PER_MEMBER), "{shares:?}");
    all.sort_by_key(|planned| planned.first);
    for pair in all.windows(2) {
        let end = pair[0].first + i64::from(pair[0].count) * 500_000;
        assert!(pair[1].first >= end, "{pair:?}");
    }
    // So in any second there are at most as many as the rate and the burst have.
    let starts: Vec<i64> =
        all.iter().flat_map(|planned| (0..planned.count).map(|n| planned.first + i64::from(n) * 500_000)).collect();
    let most = (1_000_000_000 + lag) / 500_000;
    assert!(!starts.is_empty());
    for (index, start) in starts.iter().enumerate() {
        let until = starts[index..].partition_point(|later| *later < start + 1_000_000_000);
        assert!(until as i64 <= most, "{until}");
    }
    // Whoever has left isn't reckoned with.
    let fields: Vec<String> =
        redis::cmd("HKEYS").arg(super::KEY).query_async(&mut server.commands().await).await.unwrap();
    assert!(!fields.is_empty() && !fields.iter().any(|field| field.starts_with("m:")), "{fields:?}");
}
