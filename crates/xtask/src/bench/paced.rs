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

/// Requests a second, and how many of them may cost how many µs of CPU each.
const RATES: [(u64, Option<f64>); 4] = [(100, None), (500, Some(80.0)), (5_000, Some(40.0)), (20_000, None)];
const SECONDS: u64 = 10;

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
        for ((rate, _), runs) in RATES.into_iter().zip(&mut all) {
            runs.push(one(bench, &server, rate, rate * seconds)?);
        }
    }
    say("\n## push under a rate, for each\n")?;
    say(
        "| rate, /s | share of it reached | most in a second ÷ (rate + burst) | CPU, µs a request | waits a request |",
    )?;
    say("|---|---|---|---|---|")?;
    for ((rate, cpu_goal), runs) in RATES.into_iter().zip(&all) {
        let spread = |figure: fn(&Paced) -> f64| Spread::of(runs.iter().map(figure));
        let figures =
            [spread(|run| run.share), spread(|run| run.peak), spread(|run| run.cpu), spread(|run| run.switches)];
        let shown: Vec<String> =
            figures.iter().flatten().zip([4, 3, 1, 2]).map(|(figure, places)| figure.shown(places)).collect();
        say(&format!("| {rate} | {} |", shown.join(" | ")))?;
        let [share, peak, cpu, _] = figures;
        goals.expect(&format!("share of {rate}/s reached"), share, Bound::AtLeast(0.985));
        goals.expect(&format!("share of {rate}/s reached, no more"), share, Bound::AtMost(1.0));
        let most = peak.map(|peak| Spread { median: peak.most, ..peak });
        goals.expect(
            &format!("at {rate}/s: most in a second ÷ (rate + burst), worst round"),
            most,
            Bound::AtMost(1.02),
        );
        if let Some(most) = cpu_goal {
            goals.expect(&format!("at {rate}/s: CPU, µs a request"), cpu, Bound::AtMost(most));
        }
    }
    Ok(())
}

fn one(bench: &Bench, server: &Server, rate: u64, rows: u64) -> anyhow::Result<Paced> {
    let input = inputs::csv(bench, rows)?;
    server.arrivals()?;
    let sample = push(bench, &server.url, &input, rows, &["--rate", &format!("{rate}/s")], IN_FLIGHT)?;
    let arrivals = server.arrivals()?;
    let burst = (rate / 100).max(2);
    // What the burst gives at the beginning is above the rate.
    let share = arrivals.count.saturating_sub(burst) as f64
        / ((arrivals.last_ns - arrivals.first_ns).max(1) as f64 / 1e9)
        / rate as f64;
    let peak = arrivals.peak as f64 / (rate + burst) as f64;
    Ok(Paced { share, peak, cpu: sample.cpu(), switches: sample.switches() })
}
