use std::{
    collections::BTreeMap,
    fmt::Write,
    path::{Path, PathBuf},
};

use model::{Reason, Shard, escape_controls};
use serde::Serialize;

use crate::run_file::Requests;

/// What can stop a run: the words of `stopped_by`.
pub const STOPPED_BY: [&str; 7] = ["signal", "credentials", "max_failures", "outage", "time", "input", "report"];

/// Why a row that failed or differed is `expired`, for people.
pub const EXPIRED: &str = "decided too long ago (--max-age), or before their user was last set (--state)";

/// What became of a run, for programs; [`Summary::for_people`] for people.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Summary {
    /// Rows read: those of all outcomes, and those that were not decided.
    pub rows_read: u64,
    /// Rows that the API accepted.
    pub synced: u64,
    /// Rows that were not sent, since the service has what they hold.
    pub unchanged: u64,
    /// Rows that validation refused; never sent.
    pub rejected: u64,
    /// Rows that the API refused, or that were given up.
    pub failed: u64,
    /// Rows that were read and not decided; `--resume` sends them.
    pub not_sent: u64,
    /// Of a replay: rows left alone, since a later row of their EUID was accepted. Of a verify: rows that later rows replace.
    pub superseded: u64,
    /// Of a replay: rows left alone, since they were decided too long ago.
    pub expired: u64,
    /// Requests for rows; of a verify those that read users.
    pub attempts: u64,
    /// Of these, those after the first.
    pub retries: u64,
    /// How long the last try took.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub elapsed_seconds: f64,
    /// Rows decided a second, in the last try.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub rows_per_second: f64,
    /// What stopped the run; null where nothing did.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::stopped_by"))]
    pub stopped_by: Option<&'static str>,
    /// The exit status that the run ends with.
    pub exit_code: u8,
    /// Rows by reason, of all that have one.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::reasons"))]
    pub reasons: BTreeMap<String, u64>,
    /// Rows sent by the code of their last answer.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::codes"))]
    pub codes: BTreeMap<String, u64>,
    /// Latency of last attempts.
    pub latency_ms: Latency,
    /// The report, as it was given.
    pub report: String,
    /// The base URL, or `sandbox`.
    pub target: String,
    /// Whether it was a sandbox: nothing left the machine.
    pub sandbox: bool,
    /// Rows that earlier tries had decided.
    pub resumed_rows: u64,
    /// The version of the program.
    pub version: &'static str,
    /// When the last try began: RFC 3339 in UTC.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub started_at: String,
    /// When it ended.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    pub finished_at: String,
    /// How far each input was read.
    pub inputs: Vec<InputSummary>,
    /// Requests that read users, retries included.
    pub profile_requests: u64,
    /// Requests that asked for EUIDs, retries included.
    pub register_requests: u64,
    /// Of a verify.
    #[serde(flatten)]
    #[cfg_attr(feature = "schema", schemars(skip))]
    pub verified: Option<Verified>,
    /// Users that the state knows and no row had; null where that isn't known.
    pub vanished: Option<u64>,
    /// Whose rows these are, where not everybody's: `K/N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::shard"))]
    pub shard: Option<Shard>,
    /// Where they are listed, if anywhere: for people only.
    #[serde(skip)]
    pub vanished_listed: Option<PathBuf>,
}

/// What a verify found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verified {
    /// Rows of which the service holds all that they answer for.
    pub landed: u64,
    /// Rows of which it doesn't.
    pub different: u64,
    /// What `not_sent` is elsewhere.
    pub not_checked: u64,
}

/// Latency of last attempts, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct Latency {
    /// Half of them took no longer.
    pub p50: u64,
    /// Nine in ten.
    pub p90: u64,
    /// Ninety-nine in a hundred.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// How far an input was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct InputSummary {
    /// As given.
    pub source: String,
    /// Rows read from it.
    pub rows: u64,
    /// Bytes read from it, as they lie in the file.
    pub bytes: u64,
}

/// What became of a check.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
pub struct CheckSummary {
    /// Rows read: the valid and the rejected ones.
    pub rows_read: u64,
    /// Rows that nothing is wrong with.
    pub valid: u64,
    /// Rows that validation refuses.
    pub rejected: u64,
    /// How long it took.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub elapsed_seconds: f64,
    /// Rows read a second.
    #[cfg_attr(feature = "schema", schemars(range(min = 0)))]
    pub rows_per_second: f64,
    /// Rows by reason.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::reasons"))]
    pub reasons: BTreeMap<String, u64>,
    /// The exit status that it ends with.
    pub exit_code: u8,
    /// Whose rows these are, where not everybody's: `K/N`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::shard"))]
    pub shard: Option<Shard>,
}

impl Summary {
    /// Whether every row read is in exactly one of the outcomes.
    pub fn balances(&self) -> bool {
        let verified = self.verified.map_or(0, |it| it.landed + it.different + it.not_checked + self.superseded);
        self.rows_read == self.synced + self.unchanged + self.rejected + self.failed + self.not_sent + verified
    }

    /// A few lines for a terminal or a mail. `next_steps`: commands to go on with.
    pub fn for_people(&self, next_steps: &[String]) -> String {
        let time = duration(self.elapsed_seconds);
        let mut text = format!("{} rows{} read in {time}\n", self.rows_read, of_shard(self.shard));
        for (name, rows, always) in self.outcomes() {
            if rows > 0 || always {
                let _ = writeln!(text, "{}", share_line(name, rows, self.rows_read));
            }
        }
        let superseded = if self.verified.is_some() { 0 } else { self.superseded };
        for (rows, what) in [
            (self.resumed_rows, "of them were decided before this try"),
            (superseded, "failed or differed and were left alone: a later row of the same EUID was accepted"),
            (self.expired, &format!("failed or differed and were left alone: {EXPIRED}")),
        ] {
            if rows > 0 {
                let _ = writeln!(text, "  {rows} {what}");
            }
        }
        let advice = if self.verified.is_some() { Reason::advice_of_verify } else { Reason::advice };
        for (name, rows) in &self.reasons {
            let advice = Reason::parse(name).map_or("", advice);
            let _ = writeln!(text, "    {name:<18} {rows:>10}  {advice}");
        }
        if let Some(users) = self.vanished.filter(|users| *users > 0) {
            let listed = listed_in(self.vanished_listed.as_deref());
            let are = if users == 1 { "user that the state knows is" } else { "users that the state knows are" };
            let _ = writeln!(text, "  {users} {are} in no row{listed}");
        }
        if self.attempts > 0 {
            let Latency { p50, p99, max, .. } = self.latency_ms;
            let _ = writeln!(
                text,
                "{} requests, {} of them retries; {:.0} rows/s; latency p50 {p50} ms, p99 {p99} ms, max {max} ms",
                self.attempts, self.retries, self.rows_per_second
            );
        }
        for (requests, what) in [
            (self.register_requests, "asked for EUIDs"),
            (if self.verified.is_some() { 0 } else { self.profile_requests }, "read users"),
        ] {
            if requests > 0 {
                let _ = writeln!(text, "{requests} {} {what}", if requests == 1 { "request" } else { "requests" });
            }
        }
        let _ = writeln!(text, "report: {}", escape_controls(&self.report));
        for step in next_steps {
            let _ = writeln!(text, "{step}");
        }
        let _ = if self.sandbox {
            let place = if self.target == "sandbox" { String::new() } else { format!(" at {}", self.target) };
            write!(text, "target: the sandbox{place}; nothing left this machine")
        } else {
            write!(text, "target: {}", self.target)
        };
        text
    }
}

impl Summary {
    /// The same where so many rows were read and not decided.
    #[must_use]
    pub fn open(mut self, rows: u64) -> Self {
        match &mut self.verified {
            Some(verified) => verified.not_checked = rows,
            None => self.not_sent = rows,
        }
        self
    }

    /// The same with these requests. Where rows share their requests, these are all there are.
    #[must_use]
    pub fn of_requests(mut self, requests: Requests) -> Self {
        (self.profile_requests, self.register_requests) = (requests.profile, requests.register);
        if self.verified.is_some() {
            (self.attempts, self.retries) = (requests.profile, requests.retries);
        }
        self
    }

    /// Rows by outcome, and which of these are told also where there are none.
    fn outcomes(&self) -> Vec<(&'static str, u64, bool)> {
        let bad = [("rejected", self.rejected, true), ("failed", self.failed, true)];
        let (good, open) = match self.verified {
            None => {
                let good = vec![("synced", self.synced, true), ("unchanged", self.unchanged, false)];
                (good, ("not sent", self.not_sent, false))
            }
            Some(Verified { landed, different, not_checked }) => {
                let good = vec![
                    ("landed", landed, true),
                    ("superseded", self.superseded, false),
                    ("different", different, true),
                ];
                (good, ("not checked", not_checked, false))
            }
        };
        good.into_iter().chain(bad).chain([open]).collect()
    }
}

/// Where vanished users are listed, or how they can be: the end of a line about them.
pub fn listed_in(list: Option<&Path>) -> String {
    match list {
        Some(list) if list == Path::new("-") => ", listed on standard output".to_owned(),
        Some(list) => format!(", listed in {}", escape_controls(&list.display().to_string())),
        None => " (--report-vanished lists them)".to_owned(),
    }
}

/// A line of a table of outcomes: its name, its rows, and their share of all rows.
pub fn share_line(name: &str, rows: u64, of: u64) -> String {
    let share = if of > 0 { rows as f64 * 100.0 / of as f64 } else { 0.0 };
    format!("  {name:<11} {rows:>11}  {share:5.1} %")
}

/// Whose rows were read, behind their number: nothing where everybody's were.
pub fn of_shard(shard: Option<Shard>) -> String {
    shard.map_or_else(String::new, |shard| format!(" of shard {shard}"))
}

/// A time as people say it: `1.5 s`, `2 min 5 s`, `3 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
