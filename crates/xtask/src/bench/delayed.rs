//! Behind a server that takes its time.

use super::{
    Bench,
    case::{Case, run_all},
    goals::{Bound, Goals},
    inputs,
    peers::{self, Work},
    push::{OURS, add, bare, push, sample},
    server::Server,
};

/// Milliseconds until an answer, requests under way, rows.
const DELAYS: [(u64, usize, u64); 2] = [(20, 64, 30_000), (200, 512, 25_000)];

/// The group `delayed`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    for (latency_ms, in_flight, full) in DELAYS {
        // With fewer, what is measured is how connections are made.
        let rows = bench.scaled(full, in_flight as u64 * 10);
        let server = Server::counting(latency_ms)?;
        let input = inputs::csv(bench, rows)?;
        let url = format!("{}/v1/user/contact", server.url);
        let work = Work { bench, url: &url, input: &input, rows, in_flight };
        let mut cases = vec![
            Case::new(OURS, || push(bench, &server.url, &input, rows, &["--rate", "unlimited"], in_flight)),
            Case::new("reqwest, bare loop", || bare(bench, "reqwest", &url, rows, in_flight, 1)),
            Case::new("hyper `SendRequest`, bare loop", || bare(bench, "hyper", &url, rows, in_flight, 1)),
        ];
        if bench.peers {
            add(&mut cases, "oha", peers::oha(&work), |command| sample(bench, command, rows))?;
        }
        let results = run_all(bench, cases)?;
        results.print(&format!("Behind {latency_ms} ms, {in_flight} in flight"), "row")?;
        let what = format!("behind {latency_ms} ms ÷ oha, {in_flight} in flight");
        goals.expect(&what, results.ratio(OURS, "oha"), Bound::AtLeast(0.98));
    }
    Ok(())
}
