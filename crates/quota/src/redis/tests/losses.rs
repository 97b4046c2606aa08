//! Servers that restart, fail over, stop, forget the script, don't allow it the time; and questions that are dropped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use rustix::process::Signal;

use super::{
    KEY, MILLISECOND, client, first_ask, next_ask,
    server::{Relay, Server, before},
};
use crate::{Ask, FRESH, error::QuotaError, redis::ANSWER_TIMEOUT};

#[tokio::test]
async fn a_server_that_restarts_empty_starts_without_a_burst() {
    let Some(mut server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    assert_eq!((first.planned - first.now, first.starts), (FRESH, 5));
    server.restart_empty();
    // The connection is gone, and nobody notices.
    let second = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
    assert_ne!(second.known.generation, first.known.generation);
    assert_eq!((second.planned - second.now, second.now, second.known.sequence), (FRESH, 0, 1));
}

#[tokio::test]
async fn a_failover_to_an_empty_server_starts_without_a_burst() {
    let (Some(old), Some(new)) = (Server::start(&[]), Server::start(&[])) else { return };
    let relay = Relay::to(&old).await;
    let (mut one, mut other) = (client(relay.port), client(relay.port));
    let first = one.ask(first_ask("one")).await.unwrap().reply;
    let also = other.ask(first_ask("other")).await.unwrap().reply;
    assert_eq!(also.known.generation, first.known.generation);
    relay.lead_to(&new);
    let first_again = one.ask(next_ask("one", first.known)).await.unwrap().reply;
    let also_again = other.ask(next_ask("other", also.known)).await.unwrap().reply;
    assert_ne!(first_again.known.generation, first.known.generation);
    assert_eq!(also_again.known.generation, first_again.known.generation);
    assert_eq!(first_again.planned - first_again.now, FRESH);
    assert!(also_again.planned >= first_again.planned + 5 * 10 * MILLISECOND, "{also_again:?}");
}

#[tokio::test]
async fn a_failover_to_an_older_state_plans_nothing_twice() {
    let (Some(old), Some(new)) = (Server::start(&[]), Server::start(&[])) else { return };
    let relay = Relay::to(&old).await;
    let mut redis = client(relay.port);
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    // So far the other one has followed.
    let state: Vec<u8> = redis::cmd("DUMP").arg(KEY).query_async(&mut old.commands().await).await.unwrap();
    redis::cmd("RESTORE").arg(KEY).arg(0).arg(state).exec_async(&mut new.commands().await).await.unwrap();
    let lost = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
    assert_eq!((lost.known.sequence, lost.known.generation), (2, first.known.generation));
    relay.lead_to(&new);
    let after = redis.ask(next_ask("a", lost.known)).await.unwrap().reply;
    assert_ne!(after.known.generation, lost.known.generation);
    assert!(after.planned >= after.now + FRESH, "{after:?}");
}

#[tokio::test]
async fn a_demoted_primary_is_left_for_the_new_one() {
    let (Some(old), Some(new)) = (Server::start(&[]), Server::start(&[])) else { return };
    let relay = Relay::to(&old).await;
    let (mut by_name, mut by_address) = (client(relay.port), client(old.port));
    let known = by_name.ask(first_ask("a")).await.unwrap().reply.known;
    by_address.ask(first_ask("b")).await.unwrap();
    let demotion = ["127.0.0.1".to_owned(), new.port.to_string()];
    redis::cmd("REPLICAOF").arg(&demotion).exec_async(&mut old.commands().await).await.unwrap();
    relay.lead_newcomers_to(&new);
    // The connection still leads to the old one, a new one doesn't.
    by_name.ask(next_ask("a", known)).await.unwrap();
    let error = by_address.ask(next_ask("b", known)).await.unwrap_err();
    assert!(matches!(&error, QuotaError::Unreachable(what) if what.contains("is a replica")), "{error:?}");
    redis::cmd("REPLICAOF").arg(&["NO", "ONE"]).exec_async(&mut old.commands().await).await.unwrap();
    by_address.ask(next_ask("b", known)).await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_is_out_of_reach_until_it_goes_on() {
    let Some(server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    server.signal(Signal::STOP);
    // Nothing but the time-out can happen now, so time may run ahead to it.
    tokio::time::pause();
    for _ in 0..2 {
        let error = redis.ask(next_ask("a", first.known)).await.unwrap_err();
        assert!(matches!(&error, QuotaError::Unreachable(what) if what.contains("within")), "{error:?}");
    }
    tokio::time::resume();
    server.signal(Signal::CONT);
    let after = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
    assert_eq!(after.known.generation, first.known.generation);
    assert!(after.planned >= first.planned + 50 * MILLISECOND, "{after:?}");
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_no_outage() {
    let Some(server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    let closed: u32 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut server.commands().await)
        .await
        .unwrap();
    assert_eq!(closed, 1);
    redis.ask(next_ask("a", first.known)).await.unwrap();
}

#[tokio::test]
async fn a_dropped_question_leaves_no_answer_for_the_next() {
    let Some(server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    redis.ask(first_ask("a")).await.unwrap();
    let mut dropped = 0;
    for member in ["b", "c", "d"] {
        tokio::select! {
            biased;
            _ = redis.ask(first_ask(member)) => {}
            // It got as far as a single look lets it.
            () = std::future::ready(()) => dropped += 1,
        }
        let answer = redis.ask(Ask { want: 0, peek: true, ..first_ask("a") }).await.unwrap();
        assert_eq!(answer.reply.starts, 0, "{answer:?}");
    }
    assert_eq!(dropped, 3);
}

#[tokio::test]
async fn a_server_that_forgets_the_script_is_told_it_again() {
    let Some(server) = Server::start(&[]) else { return };
    let mut redis = client(server.port);
    let mut commands = server.commands().await;
    let first = redis.ask(first_ask("a")).await.unwrap().reply;
    redis::cmd("SCRIPT").arg("FLUSH").exec_async(&mut commands).await.unwrap();
    let second = redis.ask(next_ask("a", first.known)).await.unwrap().reply;
    assert_eq!(second.known.sequence, 2);
    // It is told once, and then knows it.
    let calls = async |commands: &mut _| {
        let told: String = redis::cmd("INFO").arg("commandstats").query_async(commands).await.unwrap();
        told.lines().filter(|line| line.starts_with("cmdstat_eval:")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = calls(&mut commands).await;
    assert!(before[0].contains("calls=2,"), "{before:?}");
    redis.ask(next_ask("a", second.known)).await.unwrap();
    assert!(calls(&mut commands).await[0].contains("calls=2,"));
}

#[tokio::test]
async fn a_server_that_keeps_the_time_from_scripts_is_asked_for_it() {
    let Some(server) = Server::start(&[]) else { return };
    let (refused, times) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counts = (Arc::clone(&refused), Arc::clone(&times));
    // How Redis says it, without a time after the thirteen arguments; and how another might.
    for refusal in [
        "-ERR This Redis command is not allowed from script script: f_1, on @user_script:17.\r\n",
        "-@user_script: 17: Write commands not allowed after non deterministic commands.\r\n",
    ] {
        let counts = counts.clone();
        let port = before(&server, move |command| {
            let is_script = ["EVAL", "EVALSHA"].contains(&command[0].as_str());
            counts.1.fetch_add(usize::from(command[0] == "TIME"), Ordering::SeqCst);
            (is_script && command.len() < 4 + 15).then(|| {
                counts.0.fetch_add(1, Ordering::SeqCst);
                refusal
            })
        })
        .await;
        refused.store(0, Ordering::SeqCst);
        times.store(0, Ordering::SeqCst);
        let mut redis = client(port);
        let mut commands = server.commands().await;
        redis::cmd("FLUSHALL").exec_async(&mut commands).await.unwrap();
        let began = Instant::now();
        let first = redis.ask(first_ask("a")).await.unwrap();
        assert_eq!((first.reply.planned - first.reply.now, first.reply.starts), (FRESH, 5));
        let second = redis.ask(next_ask("a", first.reply.known)).await.unwrap();
        assert!(second.sent > first.got && second.got > second.sent && first.sent > began);
        // That is remembered: tried once, then asked for each time.
        assert_eq!((refused.load(Ordering::SeqCst), times.load(Ordering::SeqCst)), (1, 2));
        // What the server's clock said stands there.
        let (seconds, now): (u64, (u64, u64)) = (
            redis::cmd("HGET").arg(KEY).arg("seen_s").query_async(&mut commands).await.unwrap(),
            redis::cmd("TIME").query_async(&mut commands).await.unwrap(),
        );
        assert!(now.0 - seconds < 60 + ANSWER_TIMEOUT.as_secs(), "{seconds} {now:?}");
    }
}
