//! Never a skipped change: many nights of exports that change, with faults, kills, resumes and replays at random, all with
//! one state. What the service holds is asked of the service, never of the program. More seeds: `cargo xtask crash`.

mod export;
mod night;

use std::{io::Write, sync::atomic::AtomicU64};

use fastrand::Rng;
use sandbox::SandboxOptions;

use self::{export::Exporter, night::World};
use crate::{crash::Seeds, service::Service};

/// How many worlds, each with a seed of its own.
const SEEDS: u64 = 12;
const NIGHTS: u64 = 5;
const USERS: u64 = 60;

/// What happened, over all worlds.
#[derive(Debug, Default)]
struct Happened {
    kills: AtomicU64,
    /// Nights that came to their end, and rows of these that weren't sent.
    nights: AtomicU64,
    unchanged: AtomicU64,
    /// Runs that went on where one was killed.
    resumed: AtomicU64,
    replayed: AtomicU64,
    /// Requests that were carried out and not answered, or carried out in part.
    lost: AtomicU64,
    partial: AtomicU64,
}

fn world(seed: u64, happened: &Happened) {
    let mut dice = Rng::with_seed(seed);
    let forget_omitted = dice.u8(..3) == 0;
    let latency = std::time::Duration::from_millis(dice.u64(..3));
    let service = Service::start(SandboxOptions { forget_omitted, latency, seed, ..SandboxOptions::default() });
    let mut place = service.workplace();
    if dice.bool() {
        place = place.variable("_CONTACTSYNC_TEST_NEWER_BYTES", &dice.u64(..4_000).to_string());
    }
    let exporter = Exporter::new(USERS, &mut dice);
    let mut world = World { seed, night: 0, dice, service, place, exporter, forget_omitted, happened };
    for _ in 0..NIGHTS {
        world.night();
    }
    world.quiet_nights();
}

#[test]
fn no_change_is_skipped_whatever_happens_in_many_nights() {
    let (seeds, happened) = (Seeds::new(SEEDS), Happened::default());
    seeds.each(|seed| world(seed, &happened));
    let seeds = seeds.count;
    let told = format!("{seeds} seeds: {happened:?}\n");
    std::io::stdout().write_all(told.as_bytes()).unwrap();
    let Happened { kills, nights, unchanged, resumed, replayed, lost, partial } = happened;
    for count in [kills, nights, unchanged, resumed, replayed, lost, partial] {
        assert!(count.into_inner() > 0 || seeds < SEEDS, "something never happened: {told}");
    }
}
