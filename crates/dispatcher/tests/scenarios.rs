//! What the server does and what must be seen, from the files in `scenarios/`, on paused time.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU64,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use dispatcher::{Broken, MaxFailures, Rate, Reply, Settings, StopCause};
use model::{Outcome, Reason};
use serde::Deserialize;
use support::{Answer, MS, Ran, Seen, network, ok, peak, reply, run};
use tokio::time::Instant;

/// A scenario file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// What it shows.
    what: String,
    rows: u64,
    /// Rows take turns over so many EUIDs; without it each has its own.
    euids: Option<u64>,
    signal_after: Option<Time>,
    #[serde(default)]
    settings: Given,
    /// What the server does: the first rule that fits answers, else it accepts.
    #[serde(default)]
    server: Vec<Rule>,
    expect: Expected,
}

/// Settings that are not the default; the rate is unlimited.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    per_second: Option<u64>,
    burst: Option<u32>,
    in_flight: Option<usize>,
    retries: Option<u32>,
    retry_base: Option<Time>,
    retry_cap: Option<Time>,
    outage_wait: Option<Time>,
    grace: Option<Time>,
    max_failures: Option<u64>,
    ok_codes: Vec<i64>,
    retry_codes: Vec<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    from: Option<Time>,
    until: Option<Time>,
    /// First and last EUID.
    euids: Option<[u64; 2]>,
    /// First and last attempt for the EUID.
    attempts: Option<[u32; 2]>,
    /// Each so manieth request.
    every: Option<u64>,
    takes: Option<Time>,
    #[serde(default = "ok_status")]
    status: u16,
    code: Option<i64>,
    body: Option<String>,
    retry_after: Option<String>,
    date: Option<String>,
    /// `network`, `stale`, `timeout` or `certificate`: there is no answer.
    broken: Option<String>,
}

fn ok_status() -> u16 {
    200
}

/// What must be seen; what isn't named is not looked at, but for order per EUID, books and in-flight, which always are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    synced: Option<u64>,
    failed: Option<u64>,
    not_sent: Option<u64>,
    /// `outage`, `credentials`, `max_failures` or `signal`; without it the run must not stop.
    stopped_by: Option<String>,
    reasons: Option<BTreeMap<String, u64>>,
    took_at_least: Option<Time>,
    took_at_most: Option<Time>,
    attempts_at_most: Option<u64>,
    /// Most attempts that any failed row made.
    attempts_of_failed: Option<u32>,
    most_in_a_second: Option<u64>,
    /// No request starts after the first and before the second of these.
    #[serde(default)]
    silence: Vec<[Time; 2]>,
    /// Between these all requests are probes: one at a time, on fresh connections, of one row after the other.
    probes: Option<[Time; 2]>,
}

/// A time as `500ms`, `7s` or `15m`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Time(Duration);

impl TryFrom<String> for Time {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let digits = text.trim_end_matches(char::is_alphabetic);
        let number: u64 = digits.parse().map_err(|_| format!("no time: {text}"))?;
        Ok(Self(match &text[digits.len()..] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_mins(number),
            unit => return Err(format!("no unit of time: {unit}")),
        }))
    }
}

impl Given {
    fn settings(&self) -> Settings {
        let default = Settings::default();
        let time = |given: Option<Time>, default| given.map_or(default, |time| time.0);
        let rate = self.per_second.map_or(Rate::Unlimited, |count| Rate::Limited {
            count: NonZeroU64::new(count).unwrap(),
            per: Duration::from_secs(1),
        });
        Settings {
            rate,
            burst: self.burst.unwrap_or_else(|| rate.default_burst()),
            in_flight: self.in_flight.unwrap_or(default.in_flight),
            retries: self.retries.unwrap_or(default.retries),
            retry_base: time(self.retry_base, default.retry_base),
            retry_cap: time(self.retry_cap, default.retry_cap),
            outage_wait: time(self.outage_wait, default.outage_wait),
            grace: time(self.grace, default.grace),
            max_failures: self.max_failures.map_or(MaxFailures::None, MaxFailures::Rows),
            ok_codes: self.ok_codes.clone(),
            retry_codes: self.retry_codes.clone(),
        }
    }
}

impl Rule {
    fn fits(&self, at: Duration, euid: u64, attempt: u32, nth: u64) -> bool {
        self.from.is_none_or(|from| at >= from.0)
            && self.until.is_none_or(|until| at < until.0)
            && self.euids.is_none_or(|[first, last]| (first..=last).contains(&euid))
            && self.attempts.is_none_or(|[first, last]| (first..=last).contains(&attempt))
            && self.every.is_none_or(|every| nth.is_multiple_of(every))
    }

    fn answer(&self) -> Answer {
        match self.broken.as_deref() {
            None => {}
            Some("network") => return network(false),
            Some("stale") => return network(true),
            Some("timeout") => return Err(Broken::Timeout(Duration::from_secs(30))),
            Some("certificate") => return Err(Broken::Certificate("expired".to_owned())),
            Some(other) => panic!("no such end: {other}"),
        }
        let body = self.code.map(|code| format!("{{\"code\":{code},\"message\":\"said\"}}"));
        let body = body.or_else(|| self.body.clone()).unwrap_or_default();
        Ok(Reply {
            status: self.status,
            retry_after: self.retry_after.clone(),
            date: self.date.clone(),
            body: body.into_bytes(),
        })
    }
}

fn scenarios() -> Vec<(String, Scenario)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let scenario = toml::from_str(&std::fs::read_to_string(&path).unwrap());
        (name.clone(), scenario.unwrap_or_else(|error| panic!("{name}: {error}")))
    };
    paths.into_iter().map(read).collect()
}

fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(work)
}

async fn play(scenario: Scenario) -> (Ran, Settings, Expected) {
    let Scenario { rows, euids, signal_after, settings, server, expect, .. } = scenario;
    let settings = settings.settings();
    let (began, nth) = (Instant::now(), AtomicU64::new(0));
    let euids = (0..rows).map(move |row| 1 + row % euids.unwrap_or(u64::MAX));
    let ran = run(settings.clone(), euids, signal_after.map(|time| time.0), move |euid, attempt| {
        let nth = nth.fetch_add(1, Relaxed) + 1;
        let rule = server.iter().find(|rule| rule.fits(began.elapsed(), euid, attempt, nth));
        let takes = rule.and_then(|rule| rule.takes).map_or(MS, |time| time.0);
        (takes, rule.map_or_else(ok, Rule::answer))
    });
    (ran.await, settings, expect)
}

/// Everything that is not as expected, in words.
fn faults(ran: &Ran, settings: &Settings, expect: &Expected) -> Vec<String> {
    let mut faults = always(ran, settings);
    let mut check = |what: &str, seen: String, expected: String, holds: bool| {
        if !holds {
            faults.push(format!("{what}: {seen}, expected {expected}"));
        }
    };
    let count = |outcome| ran.decisions.iter().filter(|decision| decision.outcome == outcome).count() as u64;
    for (what, seen, expected) in [
        ("synced", count(Outcome::Synced), expect.synced),
        ("failed", count(Outcome::Failed), expect.failed),
        ("not sent", ran.not_sent, expect.not_sent),
    ] {
        check(what, seen.to_string(), format!("{expected:?}"), expected.is_none_or(|expected| expected == seen));
    }
    let stopped = ran.cause.as_ref().map(|cause| match cause {
        StopCause::Outage(_) => "outage",
        StopCause::Credentials(_) => "credentials",
        StopCause::MaxFailures(_) => "max_failures",
        StopCause::Signal(_) => "signal",
        StopCause::Input(_) | StopCause::Report(_) => "something else",
    });
    let by = expect.stopped_by.as_deref();
    check("stopped by", format!("{stopped:?}"), format!("{by:?}"), stopped == by);
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    for reason in ran.reasons().into_iter().flatten() {
        *reasons.entry(reason.as_str().to_owned()).or_default() += 1;
    }
    let wanted = expect.reasons.as_ref();
    check("reasons", format!("{reasons:?}"), format!("{wanted:?}"), wanted.is_none_or(|wanted| *wanted == reasons));
    let (least, most) = (expect.took_at_least, expect.took_at_most);
    let in_time = least.is_none_or(|least| ran.took >= least.0) && most.is_none_or(|most| ran.took <= most.0);
    check("took", format!("{:?}", ran.took), format!("{least:?} to {most:?}"), in_time);
    for (what, seen, most) in [
        ("attempts", ran.seen.len() as u64, expect.attempts_at_most),
        ("in a second", peak(&ran.seen) as u64, expect.most_in_a_second),
    ] {
        check(what, seen.to_string(), format!("at most {most:?}"), most.is_none_or(|most| seen <= most));
    }
    let failed = ran.decisions.iter().filter(|decision| decision.outcome == Outcome::Failed);
    let tried: Vec<u32> = failed.map(|decision| decision.attempts).collect();
    let each = expect.attempts_of_failed;
    check(
        "attempts of failed rows",
        format!("{tried:?}"),
        format!("{each:?}"),
        each.is_none_or(|each| tried.iter().all(|tried| *tried == each)),
    );
    for [from, until] in &expect.silence {
        let broken = ran.seen.iter().find(|seen| seen.start > from.0 && seen.start < until.0);
        check("silence", format!("{broken:?}"), format!("{from:?} to {until:?}"), broken.is_none());
    }
    if let Some([from, until]) = expect.probes {
        let probes: Vec<&Seen> = ran.seen.iter().filter(|seen| seen.start >= from.0 && seen.start < until.0).collect();
        let one_by_one = probes.windows(2).all(|pair| pair[0].end <= pair[1].start && pair[0].euid != pair[1].euid);
        let holds = probes.len() > 2 && one_by_one && probes.iter().all(|probe| probe.fresh);
        check("probes", format!("{probes:?}"), "one at a time, fresh, in turn".to_owned(), holds);
    }
    faults
}

/// What holds in every scenario; the books are checked by the harness.
fn always(ran: &Ran, settings: &Settings) -> Vec<String> {
    let mut faults = Vec::new();
    let mut last: HashMap<u64, (u64, Duration)> = HashMap::new();
    for seen in &ran.seen {
        let row: u64 = seen.value.split('@').next().unwrap().parse().unwrap();
        if let Some((before, ended)) = last.insert(seen.euid, (row, seen.end))
            && (before > row || ended > seen.start)
        {
            faults.push(format!("order of EUID {}: row {row} after {before}", seen.euid));
        }
    }
    let under_way = |at: Duration| ran.seen.iter().filter(|seen| seen.start <= at && at < seen.end).count();
    let most = ran.seen.iter().step_by(7).map(|seen| under_way(seen.start)).max().unwrap_or(0);
    if most > settings.in_flight {
        faults.push(format!("{most} in flight of {}", settings.in_flight));
    }
    if let Rate::Limited { count, .. } = settings.rate
        && peak(&ran.seen) as u64 > count.get() + u64::from(settings.burst)
    {
        faults.push(format!("{} in a second", peak(&ran.seen)));
    }
    faults
}

#[test]
fn every_scenario_ends_as_it_says() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 20, "only {} scenarios were found", scenarios.len());
    let mut wrong = Vec::new();
    for (name, scenario) in scenarios {
        let what = scenario.what.clone();
        let (ran, settings, expect) = on_paused_time(play(scenario));
        let faults = faults(&ran, &settings, &expect);
        if !faults.is_empty() {
            wrong.push(format!("{name}: {what}\n  {}", faults.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Fault = (&'static str, fn() -> Answer);

/// The kinds of faults, each as an answer.
fn kinds() -> Vec<Fault> {
    vec![
        ("code -1", || reply(200, r#"{"code":-1,"message":"internal"}"#)),
        ("502", || reply(502, "<html>bad gateway</html>")),
        ("drop", || network(true)),
        ("timeout", || Err(Broken::Timeout(Duration::from_secs(30)))),
        ("garbage", || reply(200, "{\"cod")),
        ("429", || reply(429, "")),
        ("429 with a wait", || Ok(Reply { status: 429, retry_after: Some("1".to_owned()), ..Reply::default() })),
        ("503 with a wait", || Ok(Reply { status: 503, retry_after: Some("2".to_owned()), ..Reply::default() })),
    ]
}

#[test]
fn any_two_kinds_of_faults_together_cost_no_row() {
    for (one, first) in kinds() {
        for (other, second) in kinds() {
            let settings = Settings {
                rate: Rate::Limited { count: NonZeroU64::new(400).unwrap(), per: Duration::from_secs(1) },
                burst: 4,
                retries: 20,
                ..Settings::default()
            };
            let nth = AtomicU64::new(0);
            let euids = (0..400_u64).map(|row| 1 + row % 90);
            let ran = on_paused_time(run(settings.clone(), euids, None, move |euid, attempt| {
                let nth = nth.fetch_add(1, Relaxed);
                let answer = match (euid * 7 + u64::from(attempt) * 5 + nth) % 11 {
                    0 | 1 => first(),
                    2 => second(),
                    _ => ok(),
                };
                (MS * (1 + attempt % 5), answer)
            }));
            let mut faults = always(&ran, &settings);
            let synced = ran.decisions.iter().filter(|decision| decision.outcome == Outcome::Synced).count();
            if synced != 400 || ran.cause.is_some() {
                faults.push(format!("{synced} of 400 rows, stopped by {:?}", ran.cause));
            }
            assert!(faults.is_empty(), "{one} and {other}: {faults:?}");
        }
    }
}

#[test]
fn a_reason_in_a_scenario_is_one_there_is() {
    for (name, scenario) in scenarios() {
        for word in scenario.expect.reasons.unwrap_or_default().keys() {
            assert!(Reason::parse(word).is_some(), "{name}: {word}");
        }
    }
}
