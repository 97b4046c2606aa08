//! What the server does and what must be seen, from the files in `scenarios/`, on paused time.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::{BTreeMap, HashMap},
    num::NonZeroU64,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use dispatcher::{Broken, CertificateFault, MaxFailures, Rate, Reply, Settings, StopCause};
use model::{Outcome, Reason};
use serde::Deserialize;
use support::{Answer, MS, Ran, Seen, network, ok, peak, reply, run};
use tokio::time::Instant;

/// How long an attempt that times out takes.
const TIMEOUT: Duration = Duration::from_secs(30);

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

/// Settings that are not the default; the rate is unlimited, and no number of failures stops the run.
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

/// What the server does with the requests that fit; where it says nothing of the answer, it accepts.
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
    /// Without it a millisecond; 30 seconds where it ends in a timeout.
    takes: Option<Time>,
    status: Option<u16>,
    code: Option<i64>,
    message: Option<String>,
    /// In place of code and message.
    body: Option<String>,
    retry_after: Option<String>,
    date: Option<String>,
    /// The body broke off.
    #[serde(default)]
    broke_off: bool,
    /// `network`, `stale`, `timeout` or `certificate`: there is no answer.
    broken: Option<String>,
}

/// What must be seen; what isn't named is not looked at, but for order per EUID, books, rate and in-flight, which always
/// are.
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
    /// So many requests are under way at the busiest moment.
    in_flight: Option<usize>,
    /// No request starts after the first and before the second of these.
    #[serde(default)]
    silence: Vec<[Time; 2]>,
    /// Nobody starts between this EUID's first attempt and its second.
    all_wait_with: Option<u64>,
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
            profile_rate: default.profile_rate,
            most_rows: default.most_rows,
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
            Some("timeout") => return Err(Broken::Timeout(TIMEOUT)),
            Some("certificate") => return Err(Broken::Certificate(CertificateFault::new("expired", "renew it"))),
            Some(other) => panic!("no such end: {other}"),
        }
        if self.status.is_none() && self.code.is_none() && self.body.is_none() {
            return ok();
        }
        let message = self.message.as_deref().unwrap_or("said");
        let body = self.code.map(|code| serde_json::json!({ "code": code, "message": message }).to_string());
        Ok(Reply {
            status: self.status.unwrap_or(200),
            retry_after: self.retry_after.clone(),
            date: self.date.clone(),
            body: self.body.clone().or(body).unwrap_or_default().into_bytes(),
            broke_off: self.broke_off,
        })
    }

    fn takes(&self) -> Duration {
        let unsaid = if self.broken.as_deref() == Some("timeout") { TIMEOUT } else { MS };
        self.takes.map_or(unsaid, |time| time.0)
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

/// The same every time: no time passes but what is waited for, and the jitter of the backoff has a fixed seed.
fn on_paused_time<T>(work: impl Future<Output = T>) -> T {
    fastrand::seed(9);
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
        (rule.map_or(MS, Rule::takes), rule.map_or_else(ok, Rule::answer))
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
        StopCause::Outage { .. } => "outage",
        StopCause::Credentials(_) => "credentials",
        StopCause::MaxFailures(_) => "max_failures",
        StopCause::Signal(_) => "signal",
        _ => "something else",
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
    let busiest = busiest(&ran.seen);
    let wanted = expect.in_flight;
    check("in flight", busiest.to_string(), format!("{wanted:?}"), wanted.is_none_or(|wanted| wanted == busiest));
    for [from, until] in &expect.silence {
        let broken = ran.seen.iter().find(|seen| seen.start > from.0 && seen.start < until.0);
        check("silence", format!("{broken:?}"), format!("{from:?} to {until:?}"), broken.is_none());
    }
    if let Some(euid) = expect.all_wait_with {
        let mut attempts = ran.seen.iter().filter(|seen| seen.euid == euid);
        let from = attempts.next().map_or(Duration::MAX, |first| first.end);
        // When the wait is over it is over for all, so others may be a moment ahead.
        let until = attempts.next().map_or(Duration::ZERO, |second| second.start.saturating_sub(MS * 50));
        let early = ran.seen.iter().find(|seen| seen.start > from && seen.start < until);
        check("all wait", format!("{early:?}"), format!("{from:?} to {until:?}"), from < until && early.is_none());
    }
    if let Some([from, until]) = expect.probes {
        let probes: Vec<&Seen> = ran.seen.iter().filter(|seen| seen.start >= from.0 && seen.start < until.0).collect();
        let one_by_one = probes.windows(2).all(|pair| pair[0].end <= pair[1].start && pair[0].euid != pair[1].euid);
        let holds = probes.len() > 2 && one_by_one && probes.iter().all(|probe| probe.fresh);
        check("probes", format!("{probes:?}"), "one at a time, fresh, in turn".to_owned(), holds);
    }
    faults
}

/// Most requests under way at once.
fn busiest(seen: &[Seen]) -> usize {
    let mut changes: Vec<(Duration, isize)> = seen.iter().flat_map(|seen| [(seen.start, 1), (seen.end, -1)]).collect();
    // Of one moment the ends come first: what has ended makes room.
    changes.sort_unstable();
    let (mut now, mut most) = (0, 0);
    for (_, change) in changes {
        now += change;
        most = most.max(now);
    }
    most.unsigned_abs()
}

fn row_of(seen: &Seen) -> u64 {
    seen.value.split('@').next().unwrap().parse().unwrap()
}

/// What holds in every scenario; that the figures add up is checked by the harness.
fn always(ran: &Ran, settings: &Settings) -> Vec<String> {
    let mut faults = Vec::new();
    let mut last: HashMap<u64, (u64, Duration)> = HashMap::new();
    let mut tries: HashMap<u64, u32> = HashMap::new();
    for seen in &ran.seen {
        let row = row_of(seen);
        *tries.entry(row).or_default() += 1;
        if let Some((before, ended)) = last.insert(seen.euid, (row, seen.end))
            && (before > row || ended > seen.start)
        {
            faults.push(format!("order of EUID {}: row {row} after {before}", seen.euid));
        }
    }
    // Each is taken out, so a row that is decided twice doesn't find its attempts again.
    for decision in &ran.decisions {
        let row = decision.origin.row;
        let arrived = tries.remove(&row);
        if arrived != Some(decision.attempts) {
            faults.push(format!("row {row} says {} attempts, {arrived:?} arrived", decision.attempts));
        }
    }
    let most = busiest(&ran.seen);
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
            for (often, seldom) in [(20, 5), (10, 10)] {
                let settings = Settings {
                    rate: Rate::Limited { count: NonZeroU64::new(400).unwrap(), per: Duration::from_secs(1) },
                    burst: 4,
                    // With five, a few of all these rows would draw six faults in a row.
                    retries: 20,
                    ..Settings::default()
                };
                let dice = Mutex::new(fastrand::Rng::with_seed(often));
                let euids = (0..400_u64).map(|row| 1 + row % 90);
                let ran = on_paused_time(run(settings.clone(), euids, None, move |_, attempt| {
                    let thrown = dice.lock().unwrap().u64(..100);
                    let answer = match thrown {
                        _ if thrown < often => first(),
                        _ if thrown < often + seldom => second(),
                        _ => ok(),
                    };
                    let takes =
                        if matches!(answer, Err(Broken::Timeout(_))) { TIMEOUT } else { MS * (1 + attempt % 5) };
                    (takes, answer)
                }));
                let mut faults = always(&ran, &settings);
                let synced = ran.decisions.iter().filter(|decision| decision.outcome == Outcome::Synced).count();
                if synced != 400 || ran.cause.is_some() {
                    faults.push(format!("{synced} of 400 rows, stopped by {:?}", ran.cause));
                }
                let made = ran.seen.len();
                if made < 440 {
                    faults.push(format!("{made} attempts: hardly a fault was seen"));
                }
                assert!(faults.is_empty(), "{often} % {one} and {seldom} % {other}: {faults:?}");
            }
        }
    }
}

#[test]
fn a_scenario_goes_the_same_way_each_time() {
    let starts = |scenario| {
        let (ran, ..) = on_paused_time(play(scenario));
        ran.seen.iter().map(|seen| (seen.start, seen.euid)).collect::<Vec<_>>()
    };
    for ((name, once), (_, again)) in scenarios().into_iter().zip(scenarios()) {
        assert!(starts(once) == starts(again), "{name}");
    }
}

#[test]
fn a_key_that_there_is_not_is_an_error() {
    let whole = "what = \"\"\nrows = 1\n[settings]\n[[server]]\n[expect]\n";
    assert!(toml::from_str::<Scenario>(whole).is_ok());
    for place in ["what", "[settings]\n", "[[server]]\n", "[expect]\n"] {
        let at = whole.find(place).unwrap() + if place == "what" { 0 } else { place.len() };
        let (before, after) = whole.split_at(at);
        let error = toml::from_str::<Scenario>(&format!("{before}sinced = 1\n{after}")).unwrap_err();
        assert!(error.to_string().contains("unknown field `sinced`"), "{place}: {error}");
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
