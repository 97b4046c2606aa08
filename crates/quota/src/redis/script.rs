//! The script's arguments and its answer.

use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, RedisError, Script};

use crate::{
    ledger::{Ask, Identity, OtherRate, Reply},
    terms::Wait,
};

const TEXT: &str = include_str!("script.lua");
static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(TEXT));

/// Runs it where the server knows it.
pub(super) fn by_hash() -> Cmd {
    let mut command = redis::cmd("EVALSHA");
    command.arg(SCRIPT.get_hash());
    command
}

/// Runs it, and lets the server know it.
pub(super) fn by_text() -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(TEXT);
    command
}

/// All but the time, of an ask that was made so many nanoseconds before.
pub(super) fn add_arguments(command: &mut Cmd, key: &str, ask: &Ask, since: i64) {
    command.arg(1).arg(key);
    command.arg(&ask.member).arg(ask.interval).arg(&ask.label).arg(ask.want).arg(ask.span).arg(ask.earliest);
    command.arg(ask.wait.nanos.min(i64::MAX as u64 / 2)).arg(u8::from(ask.wait.asked));
    command.arg(ask.quiet.map(|quiet| quiet.saturating_add(since).to_string()).unwrap_or_default());
    command.arg(ask.known.generation).arg(ask.known.sequence).arg(ask.nonce).arg(u8::from(ask.peek));
}

/// The field of the hash that a member has.
pub(super) fn field_of(member: &str) -> String {
    format!("m:{member}")
}

/// What the script says.
pub(super) fn reply(answer: &[String]) -> Result<Result<Reply, OtherRate>, RedisError> {
    let read = match answer.first().map(String::as_str) {
        Some("starts") => starts(answer).map(Ok),
        Some("other") => other(answer).map(Err),
        _ => None,
    };
    read.ok_or_else(|| RedisError::from((ErrorKind::UnexpectedReturnType, "the script's answer can't be read")))
}

/// Times and counts that the script can say exactly; what lies beyond isn't from it.
const EXACT: i64 = 1 << 53;

fn starts(answer: &[String]) -> Option<Reply> {
    let number = |text: &String| text.parse().ok().filter(|number: &i64| (-EXACT..=EXACT).contains(number));
    let [_, generation, sequence, now, planned, starts, sharers, wait, asked] = answer else { return None };
    Some(Reply {
        known: Identity { generation: generation.parse().ok()?, sequence: sequence.parse().ok()? },
        now: number(now)?,
        planned: number(planned)?,
        starts: starts.parse().ok()?,
        sharers: sharers.parse().ok()?,
        wait: Wait { nanos: number(wait)?.try_into().ok()?, asked: asked == "1" },
    })
}

fn other(answer: &[String]) -> Option<OtherRate> {
    let [_, label, members] = answer else { return None };
    Some(OtherRate { label: label.clone(), members: members.parse().ok()? })
}

#[cfg(test)]
mod answer_tests {
    use super::*;

    fn read(numbers: [&str; 7]) -> bool {
        let answer = ["starts"].into_iter().chain(numbers).chain(["1"]).map(str::to_owned);
        reply(&answer.collect::<Vec<_>>()).is_ok()
    }

    #[test]
    fn what_no_script_can_have_said_is_no_answer() {
        assert!(read(["7", "1", "5", "9", "1", "1", "0"]));
        for odd in ["9223372036854775807", "-9223372036854775808", "9007199254740993", "x", ""] {
            assert!(!read(["7", "1", odd, "9", "1", "1", "0"]), "{odd}");
            assert!(!read(["7", "1", "5", odd, "1", "1", "0"]), "{odd}");
            assert!(!read(["7", "1", "5", "9", "1", "1", odd]), "{odd}");
        }
        assert!(!read(["7", "1", "5", "9", "-1", "1", "0"]) && !read(["7", "1", "5", "9", "1", "1", "-1"]));
    }
}
