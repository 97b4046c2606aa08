//! Under a rate: whether it is reached and kept, and what a request costs. The figures are the server's.

use super::{
    Bench,
    case::Spread,
    goals::{Bound, Goals},
    inputs,
    process::say,
    push::{IN_FLIGHT, push},
    server::Server,
};

/// A rate that is to be kept.
#[derive(Clone, Copy)]
struct Rate {
    per_second: u64,
    /// None: the program's own, a hundredth of the rate.
    burst: Option<u64>,
    /// The most CPU that a request may cost, in microseconds.
    cpu: Option<f64>,
}

const RATES: [Rate; 5] = [
    Rate { per_second: 100, burst: None, cpu: None },
    Rate { per_second: 500, burst: None, cpu: Some(80.0) },
    Rate { per_second: 500, burst: Some(1), cpu: None },
    Rate { per_second: 5_000, burst: None, cpu: Some(40.0) },
    Rate { per_second: 20_000, burst: None, cpu: None },
];
const SECONDS: u64 = 10;

impl Rate {
    fn burst(self) -> u64 {
        self.burst.unwrap_or((self.per_second / 100).max(2))
    }

    fn name(self) -> String {
        let Self { per_second, burst, .. } = self;
        burst.map_or_else(|| format!("{per_second}/s"), |burst| format!("{per_second}/s, --burst {burst}"))
    }
}

struct Paced {
    share: f64,
    /// The most in any second over what may start in it.
    peak: f64,
    cpu: f64,
    switches: f64,
}

/// The group `paced`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    let server = Server::counting(0)?;
    let seconds = bench.scaled(SECONDS, 3);
    let mut all: Vec<Vec<Paced>> = RATES.iter().map(|_| Vec::new()).collect();
    for _ in 0..bench.rounds {
        for (rate, runs) in RATES.into_iter().zip(&mut all) {
            runs.push(one(bench, &server, rate, rate.per_second * seconds)?);
        }
    }
    say("\n## push under a rate\n")?;
    say("| rate | share of it reached | most in a second ÷ (rate + burst) | CPU, µs a request | waits a request |")?;
    say("|---|---|---|---|---|")?;
    for (rate, runs) in RATES.into_iter().zip(&all) {
        let spread = |figure: fn(&Paced) -> f64| Spread::of(runs.iter().map(figure));
        let [share, peak, cpu, switches] =
            [spread(|run| run.share), spread(|run| run.peak), spread(|run| run.cpu), spread(|run| run.switches)];
        let shown: Vec<String> = [share, peak, cpu, switches]
            .iter()
            .flatten()
            .zip([4, 3, 1, 2])
            .map(|(figure, places)| figure.shown(places))
            .collect();
        let name = rate.name();
        say(&format!("| {name} | {} |", shown.join(" | ")))?;
        goals.expect(&format!("share of {name} reached"), share, Bound::AtLeast(0.985));
        goals.expect(&format!("share of {name} reached, no more"), share, Bound::AtMost(1.0));
        let most = peak.map(|peak| Spread { median: peak.most, ..peak });
        goals.expect(&format!("at {name}: most in a second ÷ (rate + burst), worst round"), most, Bound::AtMost(1.02));
        if let Some(most) = rate.cpu {
            goals.expect(&format!("at {name}: CPU, µs a request"), cpu, Bound::AtMost(most));
        }
    }
    Ok(())
}

fn one(bench: &Bench, server: &Server, rate: Rate, rows: u64) -> anyhow::Result<Paced> {
    let input = inputs::csv(bench, rows)?;
    server.arrivals()?;
    let (paced, burst) = (format!("{}/s", rate.per_second), rate.burst());
    let options = ["--rate", &paced, "--burst", &burst.to_string()];
    let options = if rate.burst.is_some() { &options[..] } else { &options[..2] };
    let sample = push(bench, &server.url, &input, rows, options, IN_FLIGHT)?;
    let arrivals = server.arrivals()?;
    let seconds = (arrivals.last_ns - arrivals.first_ns).max(1) as f64 / 1e9;
    // What the burst gives at the beginning is above the rate.
    let share = arrivals.count.saturating_sub(burst) as f64 / seconds / rate.per_second as f64;
    let peak = arrivals.peak as f64 / (rate.per_second + burst) as f64;
    Ok(Paced { share, peak, cpu: sample.cpu(), switches: sample.switches() })
}
