use std::time::Duration;

use proptest::prelude::*;

use super::*;

/// A rate and a burst, as the engine plans them.
fn terms(per_second: u64, burst: u64) -> Terms {
    let interval = Duration::from_nanos(1_010_000_000 / per_second);
    let burst = burst.max(per_second / 500);
    Terms::new(interval, interval * (burst - 1) as u32, format!("{per_second}/s"))
}

/// One that could use the whole rate.
fn busy(per_second: u64) -> PodPlan {
    PodPlan {
        in_flight: (per_second / 5).max(64) as u32,
        latency: (20 * MS, 120 * MS),
        from: 0,
        killed: Vec::new(),
        told_to_wait: None,
    }
}

fn scenario(per_second: u64, burst: u64, pods: usize) -> Scenario {
    Scenario {
        seed: 1,
        time: 30 * SECOND,
        terms: terms(per_second, burst),
        pods: vec![busy(per_second); pods],
        way: (MS / 10, MS / 2),
        late: 1_200_000,
        outages: Vec::new(),
        jumps: Vec::new(),
    }
}

#[track_caller]
fn assert_fair(share: &Share, least: f64) {
    let even = share.by_pod.iter().sum::<u64>() as f64 / share.by_pod.len() as f64;
    for (pod, count) in share.by_pod.iter().enumerate() {
        assert!(*count as f64 >= least * even, "pod {pod} has {count} of {even}: {share:?}");
    }
}

#[test]
fn the_sum_keeps_the_rate_and_uses_it() {
    for (per_second, burst) in [(10, 2), (100, 2), (1_000, 10), (5_000, 50)] {
        for pods in [1, 3, 30] {
            for way in [(5_000, 30_000), (MS / 10, MS / 2), (MS, 3 * MS)] {
                let played = play(&Scenario { way, time: 15 * SECOND, ..scenario(per_second, burst, pods) });
                let what = format!("{per_second}/s, {pods} pods, {way:?}");
                let most = played.most_in_a_second();
                assert!(most <= per_second + burst, "{what}: {most} in a second");
                let share = played.share(5 * SECOND, 15 * SECOND);
                assert!(share.use_of_rate >= 0.97, "{what}: {share:?}");
                if per_second >= 100 {
                    assert_fair(&share, 0.8);
                }
            }
        }
    }
}

#[test]
fn a_round_trip_serves_many_rows() {
    let played = play(&scenario(5_000, 50, 3));
    assert!(played.starts.len() > 100_000 && played.asks * 5 < played.starts.len() as u64, "{} asks", played.asks);
}

#[test]
fn who_can_use_little_gets_it() {
    let lights =
        [(1, 1), (1, 2), (1, 5), (2, 5), (4, 5), (1, 10), (2, 10), (4, 10), (1, 20), (1, 50), (2, 100), (1, 500)];
    for (in_flight, latency) in lights {
        for (per_second, pods) in [(100, 2), (500, 2), (500, 3), (500, 30), (1_000, 3), (3_000, 10), (5_000, 2)] {
            for light in [1, pods / 2] {
                let mut scenario = scenario(per_second, 5, pods);
                scenario.time = 15 * SECOND;
                let little = PodPlan { in_flight, latency: (latency * MS, latency * MS), ..busy(per_second) };
                scenario.pods[..light].fill(little);
                let share = play(&scenario).share(5 * SECOND, 15 * SECOND);
                let could = 10.0 * f64::from(in_flight) * 1_000.0 / latency as f64;
                let even = 10.0 * per_second as f64 / pods as f64;
                let what = format!("{light} of {pods} with {in_flight} in flight, {latency} ms, {per_second}/s");
                for got in &share.by_pod[..light] {
                    assert!(*got as f64 >= 0.5 * could.min(even), "{what}: {got} of {could} and {even}");
                }
                assert!(share.use_of_rate >= 0.97, "{what}: {share:?}");
            }
        }
    }
}

#[test]
fn who_is_killed_costs_the_others_little_and_who_comes_takes_part_at_once() {
    let mut scenario = scenario(500, 5, 30);
    for (index, pod) in scenario.pods.iter_mut().enumerate() {
        let first = SECOND + index as Time * 1_400 * MS / 30;
        pod.killed = (0..20).map(|nth| first + nth * 1_400 * MS).map(|at| (at, Some(at + 700 * MS))).collect();
    }
    let played = play(&scenario);
    assert!(played.most_in_a_second() <= 505, "{}", played.most_in_a_second());
    let share = played.share(2 * SECOND, 28 * SECOND);
    // Twenty deaths a second cost a start each.
    assert!(share.use_of_rate >= 0.93, "{share:?}");
    assert_fair(&share, 0.5);
}

#[test]
fn a_place_that_fails_over_gives_no_second_burst() {
    for comes_back_from in [None, Some(0), Some(10 * MS), Some(200 * MS), Some(3 * SECOND)] {
        for gap in [2 * MS, 300 * MS, 4 * SECOND] {
            for (per_second, pods) in [(100, 30), (1_000, 3), (1_000, 30)] {
                let from = 10 * SECOND + 137 * MS;
                let outages = vec![Outage { from, to: from + gap, comes_back_from }];
                let played =
                    play(&Scenario { outages, time: 25 * SECOND, ..scenario(per_second, per_second / 50, pods) });
                let what = format!("{comes_back_from:?}, {gap}, {per_second}, {pods}");
                let most = played.most_in_a_second();
                assert!(most <= per_second + per_second / 50, "{what}: {most} in a second");
                let alone = played.within(from + 120 * MS, from + gap.max(120 * MS));
                assert!(alone.is_empty(), "{what}: {} started without a place", alone.len());
                // Who was refused asks again half a second later.
                let share = played.share(from + gap + SECOND, 25 * SECOND);
                assert!(share.use_of_rate >= 0.96, "{what}: {share:?}");
            }
        }
    }
}

#[test]
fn a_wait_that_the_service_asked_for_holds_for_all() {
    for (per_second, pods) in [(100, 30), (1_000, 3)] {
        let mut scenario = scenario(per_second, 20, pods);
        scenario.pods[1].told_to_wait = Some((10 * SECOND, 3 * SECOND));
        // Also where the place forgets it.
        let from = 11 * SECOND;
        scenario.outages.push(Outage { from, to: from + 400 * MS, comes_back_from: None });
        let played = play(&scenario);
        assert_eq!((played.waits.len(), played.started_in_a_wait()), (1, 0));
        let share = played.share(13 * SECOND + 200 * MS, 25 * SECOND);
        assert!(share.use_of_rate >= 0.96, "{share:?}");
    }
}

#[test]
fn a_clock_that_jumps_makes_neither_a_burst_nor_a_stall() {
    const HOUR: Time = 3_600 * SECOND;
    for by in [HOUR, -HOUR, 30 * SECOND, -30 * SECOND] {
        let jumps = vec![(10 * SECOND, by), (20 * SECOND, -by)];
        let played = play(&Scenario { jumps, ..scenario(500, 5, 5) });
        assert!(played.most_in_a_second() <= 505, "{by}: {}", played.most_in_a_second());
        for second in 8..28 {
            let share = played.share(second * SECOND, (second + 1) * SECOND);
            assert!(share.use_of_rate >= 0.95, "{by}, second {second}: {share:?}");
        }
    }
}

#[test]
fn a_small_step_back_of_the_clock_costs_no_more_than_its_length() {
    let played = play(&Scenario { jumps: vec![(10 * SECOND, -900 * MS)], ..scenario(500, 5, 5) });
    assert!(played.most_in_a_second() <= 505);
    let share = played.share(11 * SECOND, 28 * SECOND);
    assert!(share.use_of_rate >= 0.97, "{share:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    /// Whoever takes part, comes and goes, however long ways are and whatever becomes of the place.
    #[test]
    fn no_second_holds_more_than_rate_and_burst(
        seed in any::<u64>(),
        per_second in 5_u64..2_000,
        burst in 2_u64..50,
        pods in prop::collection::vec((1_u32..80, 1_i64..300, 0_i64..8_000, prop::option::of(500_i64..9_000)), 1..12),
        way in 0_i64..3_000,
        late in 0_i64..4_000,
        outage in prop::option::of((3_000_i64..7_000, 0_i64..2_000, prop::option::of(0_i64..500))),
        jump in prop::option::of((1_000_i64..9_000, -4_000_000_i64..4_000_000)),
    ) {
        let plan = |(in_flight, latency, from, killed): (u32, Time, Time, Option<Time>)| PodPlan {
            in_flight,
            latency: (latency * MS / 2, latency * MS),
            from: from * MS,
            killed: killed.map(|at| (from * MS + at * MS, Some(from * MS + at * MS + 100 * MS))).into_iter().collect(),
            told_to_wait: None,
        };
        let played = play(&Scenario {
            seed,
            time: 10 * SECOND,
            terms: terms(per_second, burst),
            pods: pods.into_iter().map(plan).collect(),
            way: (way * 500, way * 1_000),
            late: late * 1_000,
            outages: outage
                .map(|(from, takes, back)| Outage {
                    from: from * MS,
                    to: (from + takes) * MS,
                    comes_back_from: back.map(|back| back * MS),
                })
                .into_iter()
                .collect(),
            jumps: jump.map(|(at, by)| (at * MS, by * MS)).into_iter().collect(),
        });
        prop_assert!(!played.starts.is_empty());
        // A jump of the clock may pass for so much time; what was planned before it is used beside what comes after.
        let jumped = if jump.is_some() { burst.max(per_second / 500) + per_second / 50 + 2 } else { 0 };
        let most = played.most_in_a_second();
        prop_assert!(most <= per_second + burst.max(per_second / 500) + jumped, "{most}");
        prop_assert!(played.refused.is_empty());
    }
}

#[test]
fn a_place_that_is_far_away_serves_slowly_and_not_never() {
    for (round_trip, pods, least) in
        [(20, 1, 0.97), (40, 3, 0.97), (60, 1, 0.3), (100, 1, 0.2), (200, 1, 0.1), (300, 3, 0.1), (500, 1, 0.04)]
    {
        for per_second in [60, 500] {
            let way = (round_trip * MS / 2 - MS, round_trip * MS / 2 + MS);
            let played = play(&Scenario { way, time: 20 * SECOND, ..scenario(per_second, 2, pods) });
            let share = played.share(5 * SECOND, 20 * SECOND);
            assert!(share.use_of_rate >= least, "{round_trip} ms, {pods} pods, {per_second}/s: {share:?}");
            assert!(played.most_in_a_second() <= per_second + 2);
        }
    }
}
