use std::{borrow::Cow, collections::BTreeMap};

use model::Shard;
use serde::Serialize;

use super::{Bucket, Outcomes, ShardsOfInput, Survey};
use crate::{comparison::NameChanges, summary::Latency, time::rfc3339};

#[derive(Serialize)]
struct Json<'a> {
    rows: u64,
    #[serde(flatten)]
    outcomes: Outcomes,
    reasons: &'a BTreeMap<String, u64>,
    codes: &'a BTreeMap<String, u64>,
    sources: BTreeMap<&'a str, Outcomes>,
    columns: BTreeMap<Cow<'a, str>, u64>,
    attempts: u64,
    retries: u64,
    latency_ms: Latency,
    first_at: Option<String>,
    last_at: Option<String>,
    seconds_per_bucket: u64,
    timeline: Vec<Bucket>,
    changes: BTreeMap<Cow<'a, str>, NameChanges>,
    changes_of_others: NameChanges,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    shards: &'a [ShardsOfInput],
    reports: Vec<NightJson>,
}

/// One report by itself.
#[derive(Serialize)]
struct NightJson {
    report: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<Shard>,
    rows: u64,
    #[serde(flatten)]
    outcomes: Outcomes,
    attempts: u64,
    retries: u64,
    began_at: Option<String>,
    finished_at: Option<String>,
    seconds: Option<f64>,
}

impl Survey {
    /// For programs.
    pub fn as_json(&self, show_values: bool) -> impl Serialize + '_ {
        let overview = &self.overview;
        let (mut changes, mut changes_of_others) = (BTreeMap::new(), NameChanges::default());
        for (name, figures) in overview.changes(show_values) {
            match name {
                Some(name) => _ = changes.insert(name, figures),
                None => changes_of_others = figures,
            }
        }
        let nights = self.nights.iter().map(|night| NightJson {
            report: night.report.display().to_string(),
            shard: night.shard,
            rows: night.outcomes.total(),
            outcomes: night.outcomes,
            attempts: night.attempts,
            retries: night.retries,
            began_at: night.began_at().map(rfc3339),
            finished_at: night.finished_at().map(rfc3339),
            seconds: night.seconds(),
        });
        Json {
            rows: overview.tally.total(),
            outcomes: overview.outcomes(),
            reasons: &overview.tally.reasons,
            codes: &overview.tally.codes,
            sources: overview.sources.iter().map(|(source, outcomes)| (&**source, *outcomes)).collect(),
            columns: overview.columns(show_values),
            attempts: overview.tally.attempts,
            retries: overview.tally.retries,
            latency_ms: overview.tally.latency(),
            first_at: overview.timeline.first_at().map(rfc3339),
            last_at: overview.timeline.last_at().map(rfc3339),
            seconds_per_bucket: overview.timeline.seconds(),
            timeline: overview.timeline.buckets(),
            changes,
            changes_of_others,
            shards: &self.shards,
            reports: nights.collect(),
        }
    }
}
