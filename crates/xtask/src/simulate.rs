use std::{io::Write, num::NonZeroU64, time::Duration};

use anyhow::{Context, ensure};
use clap::Args;
use dispatcher::Rate;
use quota::{
    Terms,
    simulation::{MS, Outage, PodPlan, SECOND, Scenario, Time, play},
};

/// How long a play takes, on paper.
const PLAYED: Time = 60 * SECOND;
/// What is looked at: by then everybody takes part.
const FROM: Time = 10 * SECOND;

#[derive(Debug, Args)]
pub(crate) struct SimulateArgs {
    /// Processes that share the rate
    #[arg(long, default_value_t = 100)]
    pods: usize,
    /// Starts a second
    #[arg(long, default_value = "500")]
    rate: NonZeroU64,
    /// The same plays the same
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Plays the scenes of docs/scaling.md and writes a line for each.
pub(crate) fn simulate(args: &SimulateArgs) -> anyhow::Result<()> {
    ensure!(args.pods > 1, "a rate is shared by two at least");
    let mut out = std::io::stdout().lock();
    let rate = args.rate.get();
    let burst = u64::from(of(args.rate).default_burst());
    writeln!(out, "{} pods, {rate}/s, burst {burst}, {} s on paper clocks", args.pods, PLAYED / SECOND)?;
    writeln!(out, "{:<44} {:>8} {:>13} {:>12} {:>13}", "", "use", "peak in 1 s", "even share", "asks a second")?;
    for (name, scenario) in scenes(args)? {
        let played = play(&scenario);
        let share = played.share(FROM, PLAYED);
        let even = share.by_pod.iter().sum::<u64>() as f64 / share.by_pod.len() as f64;
        let least = share.by_pod.iter().min().copied().unwrap_or_default() as f64 / even;
        let most = share.by_pod.iter().max().copied().unwrap_or_default() as f64 / even;
        writeln!(
            out,
            "{name:<44} {:>8.3} {:>13} {:>12} {:>13.0}",
            share.use_of_rate,
            format!("{} of {}", played.most_in_a_second(), rate + burst),
            format!("{least:.2}-{most:.2}"),
            played.asks as f64 / (PLAYED / SECOND) as f64,
        )?;
        ensure!(played.most_in_a_second() <= rate + burst, "more started in a second than rate and burst");
        ensure!(played.refused.is_empty(), "somebody was refused");
    }
    Ok(())
}

fn of(rate: NonZeroU64) -> Rate {
    Rate::Limited { count: rate, per: Duration::from_secs(1) }
}

fn scenes(args: &SimulateArgs) -> anyhow::Result<Vec<(&'static str, Scenario)>> {
    let rate = of(args.rate);
    let plan = rate.plan(rate.default_burst()).context("the rate is no limit")?;
    let pod = PodPlan { in_flight: 64, latency: (50 * MS, 200 * MS), from: 0, killed: Vec::new(), told_to_wait: None };
    let undisturbed = Scenario {
        seed: args.seed,
        time: PLAYED,
        terms: Terms::new(plan.interval, plan.burst_time, format!("{}/s", args.rate)),
        pods: vec![pod; args.pods],
        way: (MS / 10, MS / 2),
        late: 1_200_000,
        outages: Vec::new(),
        jumps: Vec::new(),
    };
    let mut random = fastrand::Rng::with_seed(args.seed);
    let mut dying = undisturbed.clone();
    for pod in dying.pods.iter_mut().take(args.pods / 5) {
        // Killed twice at random, and back two seconds later.
        let mut at = random.i64(FROM..PLAYED / 2);
        for _ in 0..2 {
            pod.killed.push((at, Some(at + 2 * SECOND)));
            at += random.i64(3 * SECOND..PLAYED / 2);
        }
    }
    let gone = |comes_back_from| Outage { from: 20 * SECOND, to: 20 * SECOND + 800 * MS, comes_back_from };
    let mut light = undisturbed.clone();
    for pod in light.pods.iter_mut().skip(args.pods / 2) {
        *pod = PodPlan { in_flight: 1, ..pod.clone() };
    }
    Ok(vec![
        ("all could use the whole rate", undisturbed.clone()),
        ("the same, 20 ms to the server and back", Scenario { way: (9 * MS, 11 * MS), ..undisturbed.clone() }),
        ("half of them have one request in flight", light),
        ("a fifth of them is killed twice", dying),
        ("Redis is gone for 0.8 s, comes back empty", Scenario { outages: vec![gone(None)], ..undisturbed.clone() }),
        (
            "Redis fails over to a replica 50 ms behind",
            Scenario { outages: vec![gone(Some(50 * MS))], ..undisturbed.clone() },
        ),
        (
            "the server's clock jumps by an hour and back",
            Scenario { jumps: vec![(20 * SECOND, 3_600 * SECOND), (40 * SECOND, -3_600 * SECOND)], ..undisturbed },
        ),
    ])
}
