use std::{borrow::Cow, collections::BTreeMap};

use model::Shard;
use serde::Serialize;

use super::{Bucket, Outcomes, ShardsOfInput, Survey};
use crate::{comparison::NameChanges, summary::Latency, time::rfc3339};

/// What reports come to.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub(crate) struct Json<'a> {
    /// Rows that were decided, each once.
    rows: u64,
    #[serde(flatten)]
    outcomes: Outcomes,
    /// Rows by reason.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::reasons"))]
    reasons: &'a BTreeMap<String, u64>,
    /// Rows by the code of their last answer.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::codes"))]
    codes: &'a BTreeMap<String, u64>,
    /// Rows by outcome, for each source.
    sources: BTreeMap<&'a str, Outcomes>,
    /// Rejected rows by the column that their message names.
    columns: BTreeMap<Cow<'a, str>, u64>,
    /// Requests for these rows; of a verify reads of rows.
    attempts: u64,
    /// Of these, those after the first.
    retries: u64,
    /// Latency of last attempts.
    latency_ms: Latency,
    /// When the first row was decided: RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time_or_null"))]
    first_at: Option<String>,
    /// When the last one was.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time_or_null"))]
    last_at: Option<String>,
    /// Seconds that each step of the timeline covers.
    seconds_per_bucket: u64,
    /// The course over time, in equal steps.
    timeline: Vec<Bucket>,
    /// Contacts that were to be sent, by name.
    changes: BTreeMap<Cow<'a, str>, NameChanges>,
    /// Those of further names.
    changes_of_others: NameChanges,
    /// Which shards of which inputs the reports hold.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<ShardsOfInput>"))]
    shards: &'a [ShardsOfInput],
    /// Each report by itself.
    reports: Vec<NightJson>,
}

/// One report by itself.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
struct NightJson {
    /// The report, as it was given.
    report: String,
    /// Whose rows it holds, where not everybody's: `K/N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::shard"))]
    shard: Option<Shard>,
    /// Rows that were decided.
    rows: u64,
    #[serde(flatten)]
    outcomes: Outcomes,
    /// Requests for these rows.
    attempts: u64,
    /// Of these, those after the first.
    retries: u64,
    /// When its run began, as far as that is known: RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time_or_null"))]
    began_at: Option<String>,
    /// When its run came to its end; null where it didn't, or nobody knows.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time_or_null"))]
    finished_at: Option<String>,
    /// How long it took from its first record on.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
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
