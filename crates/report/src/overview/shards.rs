//! Which shards of which inputs the reports hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use model::Shard;
use serde::Serialize;

use crate::run_file::Run;

/// Ranges of shards that are named one by one.
const MOST_RANGES: usize = 10;
/// Warnings of shards.
const MOST_WARNINGS: usize = 10;

/// The reports of an input that was divided into shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ShardsOfInput {
    /// The inputs, as given.
    pub inputs: Vec<String>,
    /// By into how many shards they were divided: one number, unless something is amiss.
    pub by_count: BTreeMap<u32, ShardsThere>,
    /// Whether there is a report of the whole input, too, which came to its end.
    pub whole: bool,
}

/// The shards of one number of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct ShardsThere {
    /// Those whose reports are there.
    pub there: BTreeSet<u32>,
    /// Those whose reports are not.
    pub missing: BTreeSet<u32>,
    /// Those whose reports are there, and none of them is of a run that came to its end.
    pub unfinished: BTreeSet<u32>,
}

/// Runs that read the same input, as far as that can be told.
#[derive(Debug)]
struct Group<'a> {
    runs: Vec<(&'a Run, Shard)>,
    /// What the whole input was; none where no run has read all of it.
    whole: Option<Vec<&'a str>>,
}

impl Group<'_> {
    fn has(&self, shard: Shard) -> bool {
        self.runs.iter().any(|(_, there)| *there == shard)
    }

    /// How long before or after the first run of the group another one began, in milliseconds.
    fn distance(&self, run: &Run) -> i64 {
        let began = |run: &Run| Some(run.begun.as_ref()?.parse::<Timestamp>().ok()?.as_millisecond());
        let first = self.runs.first().and_then(|(first, _)| began(first));
        first.zip(began(run)).map_or(i64::MAX, |(first, this)| first.abs_diff(this).try_into().unwrap_or(i64::MAX))
    }
}

/// What these runs say. A replay reads no input.
pub(super) fn shards_of(runs: &[Option<Run>]) -> Vec<ShardsOfInput> {
    let of_inputs = || runs.iter().flatten().filter(|run| run.command != "replay");
    let sharded: Vec<(&Run, Shard)> = of_inputs().filter_map(|run| Some((run, run.shard()?))).collect();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let (whole, part): (Vec<_>, Vec<_>) = sharded.into_iter().partition(|(run, _)| whole_input(run).is_some());
    for (run, shard) in whole {
        let whole = whole_input(run);
        let same = |group: &&mut Group<'_>| group.whole == whole && is_of_same_kind(group, run);
        match groups.iter_mut().find(same) {
            Some(group) => group.runs.push((run, shard)),
            None => groups.push(Group { runs: vec![(run, shard)], whole }),
        }
    }
    for (run, shard) in part {
        let lacks =
            |group: &&mut Group<'_>| is_of_same_kind(group, run) && has_same_sources(group, run) && !group.has(shard);
        match groups.iter_mut().filter(lacks).min_by_key(|group| group.distance(run)) {
            Some(group) => group.runs.push((run, shard)),
            None => groups.push(Group { runs: vec![(run, shard)], whole: None }),
        }
    }
    let undivided: Vec<&Run> = of_inputs().filter(|run| run.shard().is_none() && run.finished.is_some()).collect();
    groups.iter().map(|group| ShardsOfInput::of(group, &undivided)).collect()
}

/// The digests of all inputs of a run, where it has read all of each.
fn whole_input(run: &Run) -> Option<Vec<&str>> {
    run.inputs.iter().map(|input| input.ended.then_some(input.blake3.as_str())).collect()
}

fn is_of_same_kind(group: &Group<'_>, run: &Run) -> bool {
    group.runs.first().is_some_and(|(first, _)| first.command == run.command && first.target == run.target)
}

fn has_same_sources(group: &Group<'_>, run: &Run) -> bool {
    let sources = |run: &Run| run.inputs.iter().map(|input| input.source.clone()).collect::<Vec<_>>();
    group.runs.first().is_some_and(|(first, _)| sources(first) == sources(run))
}

impl ShardsOfInput {
    fn of(group: &Group<'_>, undivided: &[&Run]) -> Self {
        let inputs = group
            .runs
            .first()
            .map_or_else(Vec::new, |(run, _)| run.inputs.iter().map(|input| input.source.clone()).collect());
        let mut by_count: BTreeMap<u32, ShardsThere> = BTreeMap::new();
        let mut finished: BTreeSet<Shard> = BTreeSet::new();
        for (run, shard) in &group.runs {
            by_count.entry(shard.count()).or_default().there.insert(shard.number());
            finished.extend(run.finished.as_ref().map(|_| *shard));
        }
        for (count, ShardsThere { there, missing, unfinished }) in &mut by_count {
            missing.extend((0..*count).filter(|number| !there.contains(number)));
            let is_unfinished =
                |number: &u32| !Shard::new(*number, *count).is_ok_and(|shard| finished.contains(&shard));
            unfinished.extend(there.iter().copied().filter(is_unfinished));
        }
        let takes_all = |run: &Run| ["--skip", "--limit"].iter().all(|option| !run.options.contains_key(*option));
        let is_whole = |run: &&Run| group.whole == whole_input(run) && is_of_same_kind(group, run) && takes_all(run);
        let whole = group.whole.is_some() && undivided.iter().any(is_whole);
        Self { inputs, by_count, whole }
    }

    /// Which there are, for people: `shards 0-2 of 4 of a.csv; not finished: shard 1 of 4`. Names may hold control characters.
    pub fn for_people(&self) -> String {
        let all: Vec<String> = self.by_count.iter().map(|(count, shards)| told(&shards.there, *count)).collect();
        let unfinished = self.by_count.iter().filter(|(_, shards)| !shards.unfinished.is_empty());
        let unfinished: Vec<String> = unfinished.map(|(count, shards)| told(&shards.unfinished, *count)).collect();
        let unfinished =
            if unfinished.is_empty() { String::new() } else { format!("; not finished: {}", unfinished.join(" and ")) };
        let whole = if self.whole { ", and the whole of it" } else { "" };
        format!("{} of {}{whole}{unfinished}", all.join(" and "), self.inputs.join(", "))
    }

    fn warnings(&self) -> impl Iterator<Item = String> {
        let inputs = self.inputs.join(", ");
        let differ = (self.by_count.len() > 1).then(|| {
            let counts: Vec<String> = self.by_count.keys().map(u32::to_string).collect();
            format!("{inputs}: there are reports of shards of {}: a row is in one of each", counts.join(" and of "))
        });
        let doubled = self.whole.then(|| format!("{inputs}: there is a report of the whole, too: a row is in both"));
        // What is missing of the shards is in that one.
        let lacking = self.by_count.iter().filter(|_| !self.whole);
        let lacking = lacking.flat_map(move |(count, ShardsThere { missing, unfinished, .. })| {
            let missing = (!missing.is_empty()).then(|| {
                format!(
                    "{inputs}: no report of {}: what no other report has of it is in no figure",
                    told(missing, *count)
                )
            });
            let unfinished = (!unfinished.is_empty()).then(|| {
                format!(
                    "{inputs}: {} did not come to the end, so that rows are in no figure: go on with `--resume`",
                    told(unfinished, *count)
                )
            });
            missing.into_iter().chain(unfinished)
        });
        differ.into_iter().chain(doubled).chain(lacking)
    }
}

/// Shards that are missing or came to no end, and inputs that were divided in several ways; each once.
pub(super) fn warnings(all: &[ShardsOfInput]) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for warning in all.iter().flat_map(ShardsOfInput::warnings) {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    let more = warnings.len().saturating_sub(MOST_WARNINGS);
    if more > 0 {
        warnings.truncate(MOST_WARNINGS);
        warnings.push(format!("there is more of the like of shards: {more}"));
    }
    warnings
}

/// Some of so many shards: `shard 3 of 4`, `shards 0-2, 5 of 8`.
fn told(shards: &BTreeSet<u32>, count: u32) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in shards {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let shown = |(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    let mut parts: Vec<String> = ranges.iter().take(MOST_RANGES).map(shown).collect();
    if ranges.len() > MOST_RANGES {
        parts.push("…".to_owned());
    }
    let shards = if shards.len() == 1 { "shard" } else { "shards" };
    format!("{shards} {} of {count}", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_file::{Finished, Requests, RunInput};

    #[expect(clippy::unnecessary_wraps, reason = "some reports have no run beside them")]
    fn run(command: &str, shard: &str, begun: u32, source: &str, digest: Option<&str>) -> Option<Run> {
        let (blake3, ended) = (digest.unwrap_or("of a part").to_owned(), digest.is_some());
        Some(Run {
            command: command.to_owned(),
            target: "sandbox".to_owned(),
            api_key: None,
            options: [("--shard".to_owned(), shard.to_owned())].into(),
            begun: Some(format!("2026-01-31T09:{begun:02}:00Z")),
            inputs: vec![RunInput { source: source.to_owned(), blake3, ended, ..RunInput::default() }],
            comparison: None,
            requests: Requests::default(),
            finished: ended.then(|| Finished { at: "2026-01-31T10:00:00Z".to_owned(), rows: 1, vanished: None }),
        })
    }

    fn said(runs: &[Option<Run>]) -> (Vec<String>, Vec<String>) {
        let all = shards_of(runs);
        (all.iter().map(ShardsOfInput::for_people).collect(), warnings(&all))
    }

    #[test]
    fn shards_of_one_input_stand_together_and_what_is_missing_is_told() {
        let push = |shard, digest| run("push", shard, 0, "a.csv", digest);
        let all = ["0/4", "3/4", "1/4", "2/4"].map(|shard| push(shard, Some("x")));
        assert_eq!(said(&all), (vec!["shards 0-3 of 4 of a.csv".to_owned()], vec![]));
        let (there, warnings) = said(&all[..3]);
        assert_eq!(there, ["shards 0-1, 3 of 4 of a.csv"]);
        assert_eq!(warnings, ["a.csv: no report of shard 2 of 4: what no other report has of it is in no figure"]);
        let (there, warnings) = said(&[push("1/4", Some("x")), push("0/8", Some("x")), None]);
        assert_eq!(there, ["shard 1 of 4 and shard 0 of 8 of a.csv"]);
        assert_eq!(warnings[0], "a.csv: there are reports of shards of 4 and of 8: a row is in one of each");
        assert_eq!(warnings.len(), 3);
        assert_eq!(said(&[push("", Some("x")), None]), (vec![], vec![]), "not divided");
        // All of its rows are there, some of them twice.
        let (there, warnings) = said(&[push("0/2", Some("x")), push("", Some("x"))]);
        assert_eq!(there, ["shard 0 of 2 of a.csv, and the whole of it"]);
        assert_eq!(warnings, ["a.csv: there is a report of the whole, too: a row is in both"]);
        let part = push("", Some("x")).map(|run| Run {
            options: [("--skip".to_owned(), "35".to_owned()), ("--shard".to_owned(), String::new())].into(),
            ..run
        });
        for other in [push("", Some("y")), push("", None), run("verify", "", 0, "a.csv", Some("x")), part] {
            let (there, warnings) = said(&[push("0/2", Some("x")), other]);
            assert_eq!(there, ["shard 0 of 2 of a.csv"]);
            assert_eq!(warnings, ["a.csv: no report of shard 1 of 2: what no other report has of it is in no figure"]);
        }
        let of_replay = run("replay", "0/4", 0, "r.ndjson", Some("y"));
        assert_eq!(said(&[of_replay]), (vec![], vec![]), "it reads reports");
    }

    #[test]
    fn nights_of_one_name_are_told_apart_and_a_run_that_broke_off_belongs_to_the_nearest() {
        let push = |shard, begun, digest| run("push", shard, begun, "a.csv", digest);
        let runs = [
            push("0/2", 1, Some("first")),
            push("1/2", 2, Some("first")),
            push("0/2", 20, Some("second")),
            push("1/2", 21, None),
            push("0/2", 40, Some("third")),
        ];
        let (there, warnings) = said(&runs);
        let second = "shards 0-1 of 2 of a.csv; not finished: shard 1 of 2";
        assert_eq!(there, ["shards 0-1 of 2 of a.csv", second, "shard 0 of 2 of a.csv"]);
        let torn = "a.csv: shard 1 of 2 did not come to the end, so that rows are in no figure: go on with `--resume`";
        assert_eq!(
            warnings,
            [torn, "a.csv: no report of shard 1 of 2: what no other report has of it is in no figure"]
        );
        // One that was begun again, and finished then, is finished.
        let broken_off = push("1/2", 22, Some("second")).map(|run| Run { finished: None, ..run });
        let again = [push("0/2", 20, Some("second")), broken_off, push("1/2", 23, Some("second"))];
        assert_eq!(said(&again), (vec!["shards 0-1 of 2 of a.csv".to_owned()], vec![]));
        assert_eq!(said(&again[..2]), (vec![second.to_owned()], vec![torn.to_owned()]));
        // Where none has read all, the name is all that is known.
        let (there, _) = said(&[push("0/2", 1, None), push("1/2", 2, None), run("push", "1/2", 3, "b.csv", None)]);
        let a = "shards 0-1 of 2 of a.csv; not finished: shards 0-1 of 2";
        assert_eq!(there, [a, "shard 1 of 2 of b.csv; not finished: shard 1 of 2"]);
        // What was pushed and what was verified are two things.
        let (there, _) = said(&[push("0/2", 1, Some("x")), run("verify", "1/2", 1, "a.csv", Some("x"))]);
        assert_eq!(there.len(), 2);
    }

    #[test]
    fn very_many_shards_are_told_in_few_words() {
        let one = run("push", "7/100000", 0, "a.csv", Some("x"));
        assert_eq!(
            said(&[one]).1,
            ["a.csv: no report of shards 0-6, 8-99999 of 100000: what no other report has of it is in no figure"]
        );
        let odd: BTreeSet<u32> = (0..100).filter(|number| number % 2 == 1).collect();
        assert_eq!(told(&odd, 100), "shards 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, … of 100");
        let many: Vec<_> =
            (0..30).map(|night| run("push", "0/2", 0, &format!("{night}.csv"), Some(&format!("{night}")))).collect();
        let (there, warnings) = said(&many);
        assert_eq!((there.len(), warnings.len()), (30, MOST_WARNINGS + 1));
        assert_eq!(warnings[MOST_WARNINGS], "there is more of the like of shards: 20");
    }
}
