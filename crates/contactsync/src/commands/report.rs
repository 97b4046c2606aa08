use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt::Write as _,
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use model::{Reason, escape_controls, shown_name};
use report::{
    Bucket, Filter, IdsOfRows, NameChanges, Night, Outcomes, Overview, PageOptions, Sheet, SheetError, SourceReport,
    Survey, attempts_of, page, rfc3339, share_line, unfinished, write_sheet,
};

use crate::{
    args::SurveyArgs,
    exit::Exit,
    failure::Failure,
    reports::{open_reports, refuse_overwriting_reports},
    settings::{Output, STANDARD_STREAM},
    terminal::{Printer, write_stdout},
};

/// Lines of a table's part.
const MOST_LINES: usize = 20;
/// Lines of the course over time, and how long the longest of their bars is.
const COURSE_LINES: usize = 12;
const COURSE_WIDTH: u64 = 40;

/// `report`: adds reports up.
pub(crate) fn report(args: &SurveyArgs, printer: &Printer) -> Result<(), Failure> {
    let reports = open_reports(&args.reports)?;
    refuse_outputs(&reports, args, printer)?;
    let filter = Filter {
        reasons: args.reason.clone(),
        codes: args.code.clone(),
        sources: args.source.clone(),
        outcomes: args.outcome.clone(),
    };
    let survey = Survey::of(reports, filter).map_err(report::ReportError::from)?;
    for (path, bytes) in &survey.torn {
        printer.warning(&format!("{} is torn after byte {bytes}: what follows is left out", path.display()), None);
    }
    for error in &survey.unread {
        printer.warning(&format!("{error}: rows that were unchanged there are in no figure"), None);
    }
    for warning in survey.shard_warnings() {
        printer.warning(&warning, None);
    }
    if let Some(path) = &args.csv {
        write_csv(&survey, path, printer)?;
    }
    if let Some(path) = &args.html {
        write_page(&survey, args.show_values, path)?;
        printer.note(&format!("wrote {}", path.display()));
    }
    if args.json {
        let json = serde_json::to_string(&survey.as_json(args.show_values));
        let json = json.map_err(|error| Failure::new(Exit::Bug, error))?;
        return write_stdout(format!("{json}\n").as_bytes());
    }
    if args.csv.is_none() && args.html.is_none() {
        return write_stdout(table(&survey, args.show_values).as_bytes());
    }
    Ok(())
}

fn refuse_outputs(reports: &[SourceReport], args: &SurveyArgs, printer: &Printer) -> Result<(), Failure> {
    let json = args.json.then(|| PathBuf::from(STANDARD_STREAM));
    let outputs = [("--csv", args.csv.clone()), ("--html", args.html.clone()), ("--json", json)];
    let outputs: Vec<(&str, PathBuf)> =
        outputs.into_iter().filter_map(|(option, path)| Some((option, path?))).chain(printer.outputs()).collect();
    refuse_overwriting_reports(reports, &outputs)
}

fn write_csv(survey: &Survey, path: &Path, printer: &Printer) -> Result<(), Failure> {
    let written = Output::new("sheet", path).write(|to| {
        write_sheet(survey, to).map_err(|error| match error {
            SheetError::Write(error) => error,
            // What was there stays.
            SheetError::Read(error) => io::Error::other(error),
        })
    });
    let Sheet { rows, protected, id_column } = written?;
    printer.note(&format!("wrote {rows} rows to {}", path.display()));
    if let (Some(column), Some(ids)) = (&id_column, &survey.ids) {
        tell_of_ids(ids, column, printer);
    }
    if protected > 0 {
        let text =
            format!("{protected} values have an apostrophe in front of what a spreadsheet would take for a formula");
        let hint = "`push` and `check` take it away again as long as the sheet has all its columns";
        printer.warning(&text, Some(hint));
    }
    if survey.overview.more_contacts {
        printer.warning("not all contacts have a column: there are more than 500, or one with too long a name", None);
    }
    Ok(())
}

/// How a sheet with ids is pushed: not always with the options of its inputs.
fn tell_of_ids(ids: &IdsOfRows, column: &str, printer: &Printer) {
    let (kind, shown) = (ids.kind.as_deref().unwrap_or("KIND"), shown_name(column));
    let with = format!("once mended it is pushed with `--identify-by {kind} --id-column {shown}`");
    match &ids.column {
        Some(input) if input != column => {
            let text = format!("the ids stand in the column {shown}: another column is called {}", shown_name(input));
            printer.warning(&text, Some(&with));
        }
        _ => printer.note(&format!("the ids stand in the column {shown}, behind apostrophes: {with}")),
    }
}

fn write_page(survey: &Survey, show_values: bool, path: &Path) -> Result<(), Failure> {
    let options =
        PageOptions { show_values, made_at_ms: Timestamp::now().as_millisecond(), version: env!("CARGO_PKG_VERSION") };
    Output::new("page", path).write(|to| to.write_all(page(survey, &options)?.as_bytes()))
}

/// What a terminal shows.
fn table(survey: &Survey, show_values: bool) -> String {
    let overview = &survey.overview;
    let mut text = String::new();
    let outcomes = overview.outcomes();
    let total = outcomes.total();
    let _ = writeln!(text, "{total} rows");
    if let (Some(unfinished), [_]) = (unfinished(&survey.nights), &survey.nights[..]) {
        let _ = writeln!(text, "{unfinished}");
    }
    for shards in survey.shards.iter().take(MOST_LINES) {
        let _ = writeln!(text, "{}", escape_controls(&shards.for_people()));
    }
    if let (Some(first), Some(last)) = (overview.timeline.first_at(), overview.timeline.last_at()) {
        let _ = writeln!(text, "decided from {} to {}", rfc3339(first), rfc3339(last));
    }
    let Outcomes { synced, unchanged, rejected, failed, valid, landed, different, superseded } = outcomes;
    let verified = outcomes.is_of_verify();
    for (name, rows, always) in [
        ("synced", synced, !verified),
        ("unchanged", unchanged, false),
        ("valid", valid, false),
        ("landed", landed, verified),
        ("superseded", superseded, false),
        ("different", different, verified),
        ("rejected", rejected, true),
        ("failed", failed, true),
    ] {
        if rows > 0 || always {
            let _ = writeln!(text, "{}", share_line(name, rows, total));
        }
    }
    nights(&mut text, &survey.nights);
    changes(&mut text, &overview.changes(show_values));
    reasons(&mut text, &overview.reasons(), if verified { Reason::advice_of_verify } else { Reason::advice });
    sources(&mut text, overview);
    columns(&mut text, &overview.columns(show_values));
    if overview.tally.attempts > 0 {
        let latency = overview.tally.latency();
        let attempts = attempts_of(&survey.nights);
        let _ = writeln!(text, "\n{attempts}: {}, {} of them retries", overview.tally.attempts, overview.tally.retries);
        let report::Latency { p50, p90, p99, max } = latency;
        let _ = writeln!(text, "latency of last attempts: p50 {p50} ms, p90 {p90} ms, p99 {p99} ms, max {max} ms");
        course(&mut text, attempts, &overview.timeline.buckets(), overview.timeline.seconds());
    }
    text
}

/// Several reports side by side.
fn nights(text: &mut String, nights: &[Night]) {
    if nights.len() < 2 {
        return;
    }
    let verified = nights.iter().any(|night| night.outcomes.is_of_verify());
    let more = |columns: [&str; 3]| {
        let [landed, superseded, different] = columns;
        if verified { format!(" {landed:>11} {superseded:>11} {different:>9}") } else { String::new() }
    };
    let head = more(["landed", "superseded", "different"]);
    let _ = writeln!(
        text,
        "\n  {:<19} {:>11} {:>11} {:>11}{head} {:>9} {:>9} {:>10} {:>12}  report",
        "began", "rows", "unchanged", "synced", "rejected", "failed", "requests", "took"
    );
    // The latest are looked for.
    let left_out = nights.len().saturating_sub(MOST_LINES);
    if left_out > 0 {
        let _ = writeln!(text, "  {left_out} earlier ones are left out");
    }
    for night in &nights[left_out..] {
        let began = night.began_at().map(rfc3339).unwrap_or_default();
        let began = began.get(..19).unwrap_or_default().replace('T', " ");
        let Outcomes { synced, unchanged, rejected, failed, valid, landed, different, superseded } = night.outcomes;
        let more = more([landed, superseded, different].map(|rows| rows.to_string()).each_ref().map(String::as_str));
        let (rows, requests, took) = (night.outcomes.total(), night.attempts, night.took());
        let (synced, report) = (synced + valid, night.report.display().to_string());
        let remark = Some(night.remark()).filter(|remark| !remark.is_empty());
        let remark = remark.map_or_else(String::new, |remark| format!(" ({remark})"));
        let report = escape_controls(&report);
        let _ = writeln!(
            text,
            "  {began:<19} {rows:>11} {unchanged:>11} {synced:>11}{more} {rejected:>9} {failed:>9} {requests:>10} {took:>12}  \
             {report}{remark}"
        );
    }
}

/// What changed of the rows that were to be sent.
fn changes(text: &mut String, changes: &[(Option<Cow<'_, str>>, NameChanges)]) {
    if changes.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{:>12} {:>12} {:>12}  contacts of the rows to be sent", "new", "changed", "cleared");
    for (name, NameChanges { new, changed, cleared }) in changes.iter().take(MOST_LINES) {
        let name = name.as_deref().map_or("(others)".into(), escape_controls);
        let _ = writeln!(text, "{new:>12} {changed:>12} {cleared:>12}  {name}");
    }
    more(text, changes.len());
}

fn reasons(text: &mut String, reasons: &[(Reason, u64)], advice: fn(Reason) -> &'static str) {
    if !reasons.is_empty() {
        text.push_str("\nreasons\n");
    }
    for (reason, rows) in reasons {
        let _ = writeln!(text, "  {:<20} {rows:>12}  {}", reason.as_str(), advice(*reason));
    }
}

fn sources(text: &mut String, overview: &Overview) {
    if overview.sources.is_empty() {
        return;
    }
    let verified = overview.outcomes().is_of_verify();
    let (good, head) = if verified { ("landed", format!(" {:>12}", "different")) } else { ("accepted", String::new()) };
    let _ = writeln!(text, "\n{:>12} {good:>12}{head} {:>12} {:>12}  source", "rows", "rejected", "failed");
    for (source, outcomes) in overview.sources.iter().take(MOST_LINES) {
        let (good, Outcomes { rejected, failed, different, .. }) = (outcomes.good(), outcomes);
        let different = if verified { format!(" {different:>12}") } else { String::new() };
        let source = escape_controls(source);
        let _ = writeln!(text, "{:>12} {good:>12}{different} {rejected:>12} {failed:>12}  {source}", outcomes.total());
    }
    more(text, overview.sources.len());
}

fn columns(text: &mut String, columns: &BTreeMap<Cow<'_, str>, u64>) {
    if columns.is_empty() {
        return;
    }
    text.push_str("\nrejected by column\n");
    let mut sorted: Vec<(&Cow<'_, str>, &u64)> = columns.iter().collect();
    sorted.sort_by_key(|(name, rows)| (std::cmp::Reverse(**rows), &***name));
    for (name, rows) in sorted.iter().take(MOST_LINES) {
        let _ = writeln!(text, "  {:<20} {rows:>12}", escape_controls(name));
    }
    more(text, columns.len());
}

fn more(text: &mut String, lines: usize) {
    if lines > MOST_LINES {
        let _ = writeln!(text, "  and {} more", lines - MOST_LINES);
    }
}

/// Attempts a second over time, in a few lines.
fn course(text: &mut String, attempts: &str, buckets: &[Bucket], seconds: u64) {
    let per_line = buckets.len().div_ceil(COURSE_LINES).max(1);
    let lines: Vec<(&str, u64)> = buckets
        .chunks(per_line)
        .map(|chunk| (chunk[0].at.as_str(), chunk.iter().map(|bucket| bucket.requests).sum()))
        .collect();
    let most = lines.iter().map(|(_, requests)| *requests).max().unwrap_or(0).max(1);
    let _ = writeln!(text, "\n{attempts} a second over time");
    for (at, requests) in lines {
        let rate = requests as f64 / (per_line as u64 * seconds) as f64;
        let bar = "#".repeat((requests * COURSE_WIDTH).div_ceil(most) as usize);
        let _ = writeln!(text, "  {}  {rate:>8.1}  {bar}", at.get(..19).unwrap_or(at));
    }
}
