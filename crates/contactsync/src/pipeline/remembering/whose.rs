//! Whose rows a state knows of. Each user's go into one state: where two know something of the same user, what one of them
//! sets makes the other one wrong.

use state::Meta;

use crate::{failure::Failure, settings::StateShard};

/// Whose rows are to be sent.
#[derive(Debug, Clone)]
pub(crate) enum Whose {
    /// Those of inputs: of a shard, or of everybody.
    Inputs(Option<StateShard>),
    /// Those of reports, as far as their runs tell. The rows themselves are looked at too.
    Reports(Vec<Option<StateShard>>),
}

impl Whose {
    /// The shard to which a state belongs from now on. Exit 2 where it belongs to another one. A state of which nothing was
    /// ever known belongs to none.
    pub(super) fn shard_of(&self, meta: &Meta, path: &str) -> Result<Option<String>, Failure> {
        let then = meta.api_key.is_some().then_some(&meta.shard);
        match (self, then) {
            (Self::Inputs(now), None) => Ok(now.map(|now| now.to_string())),
            (Self::Inputs(now), Some(then)) => {
                let now = now.map(|now| now.to_string());
                if now == *then { Ok(now) } else { Err(belongs_to_others(path, then.as_deref(), now.as_deref())) }
            }
            // Its rows have to be of that shard.
            (Self::Reports(_), Some(Some(then))) => Ok(Some(then.clone())),
            (Self::Reports(reports), Some(None)) => match reports.iter().flatten().next() {
                None => Ok(None),
                Some(now) => Err(belongs_to_others(path, None, Some(&now.to_string()))),
            },
            (Self::Reports(reports), None) => match &reports[..] {
                [first, others @ ..] if others.iter().all(|other| other == first) => {
                    Ok(first.map(|shard| shard.to_string()))
                }
                _ => {
                    let message =
                        "the reports are of several shards, of which each has a state of its own; nothing was sent";
                    Err(Failure::usage(message).with_hint(EACH_ITS_OWN.to_owned()))
                }
            },
        }
    }
}

/// What to do with reports of several shards.
pub(crate) const EACH_ITS_OWN: &str = "replay the report of each shard by itself, with the state of that shard";

fn belongs_to_others(path: &str, then: Option<&str>, now: Option<&str>) -> Failure {
    let of = |shard: Option<&str>| shard.map_or_else(|| "all users".to_owned(), |shard| format!("shard {shard}"));
    let message =
        format!("the state {path} belongs to {}, and the rows are of {}; nothing was sent", of(then), of(now));
    let hint = match (then, now) {
        (Some(then), None) => {
            let shard = then.split(' ').next().unwrap_or(then);
            format!("say `--shard {shard}`, or name another state with `--state`")
        }
        (_, _) => {
            "name another file with `--state`, one for each shard; where the number of shards has changed, begin new \
                   ones, whose first runs send every row"
                .to_owned()
        }
    };
    Failure::usage(message).with_hint(hint)
}
