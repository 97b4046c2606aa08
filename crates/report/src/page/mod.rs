//! One self-contained page: what happened in one sentence, charts, reasons with advice, the rows that failed.
//!
//! Nothing is loaded from anywhere: style and script stand in the page, and its policy allows just these two, by their
//! digests. Without script everything is there but search and sorting.

mod charts;
mod nights;

use std::{borrow::Cow, io};

use askama::Template;
use jiff::Timestamp;
use model::{Decision, Outcome, Reason, escape_controls};

use crate::{
    mask::masked,
    overview::{Outcomes, Overview, ShardsOfInput, Survey, attempts_of, unfinished},
    summary::duration,
    time::rfc3339,
};
use charts::{Chart, latency_chart, time_chart};
use nights::{ChangeLine, NightLine, change_lines, night_lines};

const STYLE: &str = include_str!("../../templates/page.css");
const SCRIPT: &str = include_str!("../../templates/page.js");
/// SHA-256 of the two, in base 64; a test compares them.
const STYLE_DIGEST: &str = "bZdyQJ8PsnHA3QrG+YGSyoIn8eT918ESJboF8LRPVzc=";
const SCRIPT_DIGEST: &str = "HUQrV0TJUWE5lRUXJyr+Yu2E63l0WXj5Ipw8eu/W9eU=";
/// Longest text in a cell: a value may have a mebibyte.
const MOST_CHARS: usize = 300;
/// Contacts of a row that are shown.
const MOST_CONTACTS: usize = 20;
/// Tables of sources and columns end after so many rows.
const MOST_LINES: usize = 50;

/// What a page is made with.
#[derive(Debug, Clone)]
pub struct PageOptions {
    /// Show contact values, and messages as they are.
    pub show_values: bool,
    /// When, in milliseconds since 1970.
    pub made_at_ms: i64,
    /// Which program made it.
    pub version: &'static str,
}

#[derive(Template)]
#[template(path = "page.html")]
struct Page<'a> {
    policy: String,
    style: &'a str,
    script: &'a str,
    title: String,
    sentence: String,
    period: String,
    shards: String,
    warnings: Vec<String>,
    outcome_bar: Vec<Part>,
    outcomes: Vec<OutcomeLine>,
    time_chart: Option<Chart>,
    latency_chart: Option<Chart>,
    latency: String,
    reasons: Vec<ReasonLine>,
    nights: Vec<NightLine>,
    verified: bool,
    changes: Vec<ChangeLine>,
    changes_shown: String,
    sources: Vec<SourceLine>,
    columns: Vec<ColumnLine>,
    rows: Vec<RowLine>,
    /// They are keyed by ids, at least some.
    ids: bool,
    shown: String,
    masking: &'static str,
    footer: String,
}

struct Part {
    class: &'static str,
    x: String,
    width: String,
    label: String,
}

struct OutcomeLine {
    class: &'static str,
    name: &'static str,
    rows: String,
    share: String,
}

struct ReasonLine {
    name: &'static str,
    rows: String,
    meaning: Vec<TextPart>,
    advice: Vec<TextPart>,
}

/// A piece of a text: words, or something to type.
struct TextPart {
    is_code: bool,
    text: &'static str,
}

struct SourceLine {
    name: String,
    rows: String,
    accepted: String,
    different: String,
    rejected: String,
    failed: String,
}

struct ColumnLine {
    name: String,
    rows: String,
}

struct RowLine {
    source: String,
    line: u64,
    row: u64,
    euid: String,
    id: String,
    outcome: &'static str,
    reason: &'static str,
    message: String,
    contacts: Vec<ContactLine>,
    at: String,
}

struct ContactLine {
    name: String,
    value: String,
}

/// The page of a survey.
pub fn page(survey: &Survey, options: &PageOptions) -> io::Result<String> {
    let overview = &survey.overview;
    let outcomes = overview.outcomes();
    let all = outcomes.to_be_looked_at();
    let rows: Vec<RowLine> = overview.rows.iter().map(|record| row(record, options.show_values)).collect();
    let shown = if (rows.len() as u64) < all {
        format!("The first {} of {} rows; contactsync report --csv FILE writes all.", rows.len(), grouped(all))
    } else {
        String::new()
    };
    let latency = overview.tally.latency();
    let attempts = attempts_of(&survey.nights);
    let (changes, changes_shown) = change_lines(overview, options.show_values);
    let page = Page {
        policy: format!(
            "default-src 'none'; style-src 'sha256-{STYLE_DIGEST}'; script-src 'sha256-{SCRIPT_DIGEST}'; \
             base-uri 'none'; form-action 'none'"
        ),
        style: STYLE,
        script: SCRIPT,
        title: title(overview),
        sentence: sentence(outcomes, unfinished(&survey.nights).as_deref()),
        period: period(overview),
        shards: shards(survey),
        warnings: warnings(survey),
        outcome_bar: outcome_bar(outcomes),
        outcomes: outcome_lines(outcomes),
        time_chart: time_chart(attempts, &overview.timeline),
        latency_chart: latency_chart(&overview.tally),
        latency: format!(
            "{} {attempts}, {} of them retries. Half took at most {} ms, 9 of 10 at most {} ms, 99 of 100 at most {} ms, \
             the longest {} ms (last attempt of each row).",
            grouped(overview.tally.attempts),
            grouped(overview.tally.retries),
            latency.p50,
            latency.p90,
            latency.p99,
            latency.max
        ),
        reasons: overview.reasons().into_iter().map(|line| reason_line(line, outcomes.is_of_verify())).collect(),
        nights: night_lines(&survey.nights),
        verified: survey.nights.iter().any(|night| night.outcomes.is_of_verify()),
        changes,
        changes_shown,
        sources: overview
            .sources
            .iter()
            .take(MOST_LINES)
            .map(|(name, outcomes)| source_line(name, *outcomes))
            .collect(),
        columns: column_lines(overview, options.show_values),
        rows,
        shown,
        ids: overview.rows.iter().any(|record| record.id.is_some()),
        masking: if options.show_values { "" } else { "Contact values are masked; --show-values shows them." },
        footer: format!("Made by contactsync {} at {}.", options.version, rfc3339(options.made_at_ms)),
    };
    page.render().map_err(io::Error::other)
}

fn warnings(survey: &Survey) -> Vec<String> {
    let torn = survey.torn.iter().map(|(path, bytes)| {
        format!("{} is torn after byte {bytes}: what follows is not in here.", text(&path.display().to_string()))
    });
    let unread = survey
        .unread
        .iter()
        .map(|error| format!("{}: rows that were unchanged there are not in here.", text(&error.to_string())));
    let shards = survey.shard_warnings().into_iter().map(|warning| format!("{}.", text(&warning)));
    torn.chain(unread).chain(shards).collect()
}

fn title(overview: &Overview) -> String {
    let mut sources = overview.sources.keys();
    match (sources.next(), sources.next()) {
        (None, _) => "an empty report".to_owned(),
        (Some(only), None) => text(only).into_owned(),
        (Some(first), Some(_)) => format!("{} and {} more", text(first), overview.sources.len() - 1),
    }
}

/// What happened, in a sentence or two. `unfinished`: that some of it is still open.
fn sentence(outcomes: Outcomes, unfinished: Option<&str>) -> String {
    let lead = unfinished.map_or_else(String::new, |unfinished| format!("{unfinished}. "));
    lead + &sentence_of_rows(outcomes, unfinished.is_none())
}

fn sentence_of_rows(outcomes: Outcomes, is_whole: bool) -> String {
    let total = outcomes.total();
    let rows = |rows: u64| if rows == 1 { "1 row".to_owned() } else { format!("{} rows", grouped(rows)) };
    let Outcomes { synced, unchanged, rejected, failed, valid, landed, different, superseded } = outcomes;
    if total == 0 {
        return "The report has no row.".to_owned();
    }
    let good = [
        (synced, "accepted"),
        (unchanged, "unchanged"),
        (valid, "valid"),
        (landed, "landed"),
        (superseded, "superseded by later rows"),
    ];
    let bad = [(different, "different"), (rejected, "rejected before sending"), (failed, "failed")];
    if outcomes.to_be_looked_at() == 0 {
        let all: Vec<String> =
            good.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", rows(*n))).collect();
        return format!("{}: {}.", if is_whole { "All is well" } else { "Until then" }, all.join(", "));
    }
    let parts = good.iter().chain(&bad).filter(|(n, _)| *n > 0).map(|(n, what)| format!("{} {what}", grouped(*n)));
    format!("Of {}: {}.", rows(total), parts.collect::<Vec<_>>().join(", "))
}

/// Which shards these are, where inputs were divided.
fn shards(survey: &Survey) -> String {
    let all: Vec<String> = survey.shards.iter().take(MOST_LINES).map(ShardsOfInput::for_people).collect();
    if all.is_empty() { String::new() } else { format!("Of {}.", cut(&all.join("; "))) }
}

fn period(overview: &Overview) -> String {
    let (Some(first), Some(last)) = (overview.timeline.first_at(), overview.timeline.last_at()) else {
        return String::new();
    };
    let day = |at: i64| Timestamp::from_millisecond(at).map(|at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string());
    let took = duration((last - first) as f64 / 1_000.0);
    let (first, last) = (day(first).unwrap_or_default(), day(last).unwrap_or_default());
    format!("Decided from {first} to {last} ({took}).")
}

fn outcome_bar(outcomes: Outcomes) -> Vec<Part> {
    let total = outcomes.total();
    if total == 0 {
        let label = "no row".to_owned();
        return vec![Part { class: "none", x: "0".to_owned(), width: "1000".to_owned(), label }];
    }
    let mut x = 0.0;
    let mut parts = Vec::new();
    for (class, rows) in by_name(outcomes).into_iter().filter(|(_, rows)| *rows > 0) {
        // One row of ten million is still to be seen.
        let width = (rows as f64 * 1_000.0 / total as f64).max(3.0);
        let label = format!("{class}: {} rows, {}", grouped(rows), share(rows, total));
        parts.push((class, x, width, label));
        x += width;
    }
    let shrink = 1_000.0 / x;
    let part = |(class, x, width, label): (&'static str, f64, f64, String)| Part {
        class,
        x: format!("{:.2}", x * shrink),
        width: format!("{:.2}", width * shrink),
        label,
    };
    parts.into_iter().map(part).collect()
}

fn by_name(outcomes: Outcomes) -> [(&'static str, u64); 8] {
    let Outcomes { synced, unchanged, rejected, failed, valid, landed, different, superseded } = outcomes;
    [
        ("synced", synced),
        ("unchanged", unchanged),
        ("valid", valid),
        ("landed", landed),
        ("superseded", superseded),
        ("different", different),
        ("rejected", rejected),
        ("failed", failed),
    ]
}

fn outcome_lines(outcomes: Outcomes) -> Vec<OutcomeLine> {
    let total = outcomes.total();
    let always: &[&str] =
        if outcomes.is_of_verify() { &["landed", "different", "failed"] } else { &["synced", "rejected", "failed"] };
    let lines = by_name(outcomes).into_iter();
    lines
        .filter(|(name, rows)| *rows > 0 || always.contains(name))
        .map(|(name, rows)| OutcomeLine { class: name, name, rows: grouped(rows), share: share(rows, total) })
        .collect()
}

fn reason_line((reason, rows): (Reason, u64), verified: bool) -> ReasonLine {
    let parts = |text: &'static str| {
        let parts = [false, true].into_iter().cycle().zip(text.split('`'));
        parts.map(|(is_code, text)| TextPart { is_code, text }).collect()
    };
    ReasonLine {
        name: reason.as_str(),
        rows: grouped(rows),
        meaning: parts(reason.meaning()),
        advice: parts(if verified { reason.advice_of_verify() } else { reason.advice() }),
    }
}

fn source_line(name: &str, outcomes: Outcomes) -> SourceLine {
    SourceLine {
        name: cut(name),
        rows: grouped(outcomes.total()),
        accepted: grouped(outcomes.good()),
        different: grouped(outcomes.different),
        rejected: grouped(outcomes.rejected),
        failed: grouped(outcomes.failed),
    }
}

fn column_lines(overview: &Overview, show_values: bool) -> Vec<ColumnLine> {
    let mut columns: Vec<(Cow<'_, str>, u64)> = overview.columns(show_values).into_iter().collect();
    columns.sort_by(|(name, rows), (other, others)| (others, name).cmp(&(rows, other)));
    let line = |(name, rows): (Cow<'_, str>, u64)| ColumnLine { name: cut(&name), rows: grouped(rows) };
    columns.into_iter().take(MOST_LINES).map(line).collect()
}

fn row(record: &Decision, show_values: bool) -> RowLine {
    let record = if show_values { Cow::Borrowed(record) } else { Cow::Owned(masked(record)) };
    let contacts = record.contacts.iter().flat_map(model::Contacts::iter);
    let mut contacts: Vec<ContactLine> =
        contacts.take(MOST_CONTACTS).map(|(name, value)| ContactLine { name: cut(name), value: cut(value) }).collect();
    if let Some(raw) = &record.raw {
        contacts.push(ContactLine { name: "the row as read".to_owned(), value: cut(raw) });
    }
    RowLine {
        source: cut(&record.origin.source),
        line: record.origin.line,
        row: record.origin.row,
        euid: cut(&record.euid),
        id: cut(record.id.as_deref().unwrap_or_default()),
        outcome: match record.outcome {
            Outcome::Rejected => "rejected",
            Outcome::Different => "different",
            _ => "failed",
        },
        reason: record.reason.map_or("", Reason::as_str),
        message: cut(record.answered.message.as_deref().unwrap_or_default()),
        contacts,
        at: rfc3339(record.at_ms).replace('T', " "),
    }
}

/// A text as it can be shown: control characters and bidirectional marks as escapes, and not too long.
fn cut(whole: &str) -> String {
    match whole.char_indices().nth(MOST_CHARS) {
        None => text(whole).into_owned(),
        Some((at, _)) => format!("{}… ({} characters)", text(&whole[..at]), grouped(whole.chars().count() as u64)),
    }
}

fn text(text: &str) -> Cow<'_, str> {
    escape_controls(text)
}

fn share(rows: u64, total: u64) -> String {
    if total == 0 {
        return String::new();
    }
    let percent = rows as f64 * 100.0 / total as f64;
    match percent {
        // Neither none nor all.
        ..0.1 if rows > 0 => "< 0.1 %".to_owned(),
        99.9.. if rows < total => "> 99.9 %".to_owned(),
        _ => format!("{percent:.1} %"),
    }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_STANDARD};
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_just_this_style_and_this_script() {
        for (name, text, digest) in [("style", STYLE, STYLE_DIGEST), ("script", SCRIPT, SCRIPT_DIGEST)] {
            assert_eq!(BASE64_STANDARD.encode(Sha256::digest(text)), digest, "the {name} changed: this is its digest");
            assert!(!text.contains("</"), "it would end its element");
        }
    }

    #[test]
    fn one_sentence_says_what_happened() {
        let of =
            |synced, rejected, failed| sentence(Outcomes { synced, rejected, failed, ..Outcomes::default() }, None);
        assert_eq!(of(0, 0, 0), "The report has no row.");
        assert_eq!(of(1, 0, 0), "All is well: 1 row accepted.");
        assert_eq!(
            of(9_999_999, 0, 1),
            "Of 10\u{202f}000\u{202f}000 rows: 9\u{202f}999\u{202f}999 accepted, 1 failed."
        );
        assert_eq!(of(0, 3, 2), "Of 5 rows: 3 rejected before sending, 2 failed.");
        let verified = |landed, superseded, different| {
            sentence(Outcomes { landed, different, superseded, ..Outcomes::default() }, None)
        };
        assert_eq!(verified(3, 0, 0), "All is well: 3 rows landed.");
        assert_eq!(verified(3, 1, 0), "All is well: 3 rows landed, 1 row superseded by later rows.");
        assert_eq!(verified(3, 1, 1), "Of 5 rows: 3 landed, 1 superseded by later rows, 1 different.");
        let stopped =
            |synced| sentence(Outcomes { synced, ..Outcomes::default() }, Some("The run did not come to its end"));
        assert_eq!(stopped(189), "The run did not come to its end. Until then: 189 rows accepted.");
        assert_eq!(stopped(0), "The run did not come to its end. The report has no row.");
    }

    #[test]
    fn a_share_says_neither_none_nor_all_where_it_is_not() {
        let seen = [(0, 3), (1, 10_000), (9_999, 10_000), (3, 3), (1, 3)].map(|(rows, total)| share(rows, total));
        assert_eq!(seen, ["0.0 %", "< 0.1 %", "> 99.9 %", "100.0 %", "33.3 %"]);
    }

    #[test]
    fn the_smallest_part_is_still_to_be_seen_and_the_bar_is_full() {
        let parts = outcome_bar(Outcomes { synced: 9_999_998, rejected: 1, failed: 1, ..Outcomes::default() });
        let widths: Vec<f64> = parts.iter().map(|part| part.width.parse().unwrap()).collect();
        assert!(widths.iter().all(|width| *width > 2.5) && (widths.iter().sum::<f64>() - 1_000.0).abs() < 0.1);
    }
}
