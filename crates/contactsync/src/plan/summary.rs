use std::{collections::BTreeMap, path::Path, time::Duration};

use dispatcher::Rate;
use model::{Shard, shown_name};
use report::{CheckSummary, duration, listed_in};
use serde::Serialize;

use super::{counted::Counted, names::NameCount};
use crate::{books::lines_for_people, exit::Exit};

/// Names that people are told; programs get them all.
const MOST_TOLD: usize = 20;

/// What a push would do, for programs; [`PlanSummary::for_people`] for people.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct PlanSummary {
    #[serde(flatten)]
    check: CheckSummary,
    /// Rows that earlier tries have decided.
    resumed_rows: u64,
    /// Rows that would not be sent, since what they hold is known to be there.
    unchanged: u64,
    /// Rows that would be sent.
    to_send: u64,
    /// Of these, those that would clear a contact.
    clears: u64,
    /// Contacts that would be sent, by name.
    names: BTreeMap<String, NameCount>,
    /// Those of further names.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "NameCount"))]
    other_names: Option<NameCount>,
    /// With `--identify-by`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "IdsNotKnown"))]
    ids_not_known: Option<IdsNotKnown>,
    /// Users that the state knows and no row has; null where that isn't known.
    vanished: Option<u64>,
    /// How long it takes at the least; null at an unlimited rate.
    #[cfg_attr(test, schemars(range(min = 0)))]
    seconds_at_rate: Option<f64>,
    /// The base URL, or `sandbox`.
    target: String,
}

/// Ids whose EUIDs would be asked for.
#[derive(Debug, Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
struct IdsNotKnown {
    /// Rows that have one.
    rows: u64,
    /// Each counted once; null without a state.
    ids: Option<u64>,
}

impl PlanSummary {
    /// Of what was counted in so much time, and would be sent at this rate.
    pub(crate) fn new(
        counted: &mut Counted,
        shard: Option<Shard>,
        rate: Rate,
        target: String,
        elapsed: Duration,
        exit: Exit,
    ) -> Self {
        let (names, others) = counted.names.all();
        let names = names.iter().map(|(name, count)| (name.to_string(), *count)).collect();
        let others = Some(others).filter(|others| *others != NameCount::default());
        Self {
            check: counted.books.summary(elapsed, exit, shard),
            resumed_rows: counted.decided,
            unchanged: counted.unchanged,
            to_send: counted.to_send,
            clears: counted.clears,
            names,
            other_names: others,
            ids_not_known: counted.ids.map(|ids| IdsNotKnown { rows: ids.not_known, ids: ids.distinct }),
            vanished: counted.vanished,
            seconds_at_rate: seconds_at(rate, counted.to_send),
            target,
        }
    }

    /// Lines for a terminal. `has_state`: what would be sent was compared with what was sent before. `list`: where
    /// vanished users are listed.
    pub(crate) fn for_people(&self, rate: Rate, has_state: bool, list: Option<&Path>, never_seen: &[String]) -> String {
        let mut lines = lines_for_people(&self.check);
        for (name, rows, is_told) in [
            ("decided", self.resumed_rows, self.resumed_rows > 0),
            ("unchanged", self.unchanged, has_state),
            ("to send", self.to_send, true),
        ] {
            if is_told {
                lines.push(report::share_line(name, rows, self.check.rows_read));
            }
        }
        if !self.names.is_empty() {
            lines.extend(self.table());
        }
        if self.clears > 0 {
            lines.push(format!("{} rows would clear a contact", self.clears));
        }
        if let Some(IdsNotKnown { rows, ids }) = self.ids_not_known {
            let in_rows = if rows == 1 { "1 row".to_owned() } else { format!("{rows} rows") };
            lines.push(match ids {
                Some(0) => "ids not known: none".to_owned(),
                Some(ids) => {
                    format!("ids not known: {ids}, in {in_rows}; a push asks for them, which may create users")
                }
                None => {
                    format!(
                        "without a state no id is known, in {in_rows}; a push asks for them, which may create users"
                    )
                }
            });
        }
        if let Some(vanished) = self.vanished.filter(|vanished| *vanished > 0) {
            let who = if vanished == 1 { "user" } else { "users" };
            let unasked = self.ids_not_known.is_some_and(|ids| ids.rows > 0);
            let place = match (unasked, vanished) {
                (true, 1) => "has no row with an id that it knows",
                (true, _) => "have no row with an id that it knows",
                (false, 1) => "is not in the input",
                (false, _) => "are not in the input",
            };
            lines.push(format!("{vanished} {who} that the state knows {place}{}", listed_in(list)));
        }
        match (rate, self.seconds_at_rate) {
            (_, None) => lines.push("at an unlimited rate it takes as long as the service does".to_owned()),
            (rate, Some(seconds)) => {
                lines.push(format!("at {} it takes {} at least", rate_for_people(rate), duration(seconds)));
            }
        }
        lines.extend(never_seen.iter().cloned());
        lines.push(format!("target: {}; this was a dry run, and nothing was sent", self.target));
        lines.join("\n")
    }

    fn table(&self) -> Vec<String> {
        let line = |name: &str, columns: [&str; 4]| {
            let [new, changed, cleared, unknown] = columns;
            format!("    {name:<30} {new:>12} {changed:>12} {cleared:>12} {unknown:>12}")
        };
        let counts =
            |count: &NameCount| [count.new, count.changed, count.cleared, count.unknown].map(|n| n.to_string());
        let mut lines = vec![line("by contact", ["new", "changed", "cleared", "not known"])];
        for (name, count) in self.names.iter().take(MOST_TOLD) {
            lines.push(line(&shown_name(name), counts(count).each_ref().map(String::as_str)));
        }
        let left = self.names.len().saturating_sub(MOST_TOLD);
        if left > 0 {
            lines.push(format!("    and {left} further contacts"));
        }
        lines
    }
}

/// So long it takes to start so many requests; none at an unlimited rate.
fn seconds_at(rate: Rate, requests: u64) -> Option<f64> {
    match rate {
        Rate::Unlimited => None,
        Rate::Limited { count, per } => Some(requests as f64 * per.as_secs_f64() / count.get() as f64),
    }
}

fn rate_for_people(rate: Rate) -> String {
    match rate {
        Rate::Unlimited => "an unlimited rate".to_owned(),
        Rate::Limited { count, per } => {
            let unit = match per.as_secs() {
                1 => "a second",
                60 => "a minute",
                _ => "an hour",
            };
            format!("{count} requests {unit}")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    #[test]
    fn how_long_it_takes_is_said_for_every_rate() {
        let limited = |count, seconds| Rate::Limited {
            count: NonZeroU64::new(count).unwrap(),
            per: Duration::from_secs(seconds),
        };
        for (rate, requests, seconds, said) in [
            (limited(100, 1), 1_000_000, Some(10_000.0), "100 requests a second"),
            (limited(30, 60), 45, Some(90.0), "30 requests a minute"),
            (limited(500, 3_600), 0, Some(0.0), "500 requests an hour"),
            (Rate::Unlimited, 5, None, "an unlimited rate"),
        ] {
            assert_eq!(seconds_at(rate, requests), seconds);
            assert_eq!(rate_for_people(rate), said);
        }
    }
}
