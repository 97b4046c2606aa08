//! Charts as boxes and lines with their places, which the template draws as SVG.

use jiff::Timestamp;

use super::grouped;
use crate::{
    overview::{Bucket, Timeline},
    tally::Tally,
};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 220.0;
/// Room for labels: left of the grid, above it, below it.
const LEFT: f64 = 112.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 30.0;

/// A chart of bars.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) grid: Vec<GridLine>,
    pub(super) bars: Vec<Bar>,
    pub(super) ticks: Vec<Tick>,
}

pub(super) struct GridLine {
    pub(super) y: f64,
    pub(super) label: String,
}

pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) label: String,
}

pub(super) struct Tick {
    pub(super) x: String,
    pub(super) anchor: &'static str,
    pub(super) label: String,
}

/// Attempts over time, which are called so; none where nothing was sent.
pub(super) fn time_chart(attempts: &str, timeline: &Timeline) -> Option<Chart> {
    let buckets = timeline.buckets();
    let seconds = timeline.seconds();
    let values: Vec<(u64, String)> = buckets
        .iter()
        .map(|bucket| {
            let (time, requests) = (time_of(&bucket.at), grouped(bucket.requests));
            (bucket.requests, format!("{time}: {requests} {attempts}, {}", rows_of(bucket)))
        })
        .collect();
    let step = if seconds == 1 { "a second".to_owned() } else { format!("each {seconds} seconds") };
    let ends = [buckets.first()?, buckets.last()?].map(|bucket| time_of(&bucket.at));
    let title = format!("{}{} over time ({step})", attempts[..1].to_uppercase(), &attempts[1..]);
    bars(title, "requests", &values, &ends)
}

/// How the rows of a step ended, in the words of their command.
fn rows_of(bucket: &Bucket) -> String {
    let Bucket { accepted, landed, different, failed, .. } = *bucket;
    let is_of_verify = landed + different > 0;
    let parts = [
        (accepted, "accepted", accepted > 0 || !is_of_verify),
        (landed, "landed", is_of_verify),
        (different, "different", is_of_verify),
        (failed, "failed", true),
    ];
    let told = parts.into_iter().filter(|(.., is_told)| *is_told);
    let parts = told.enumerate().map(|(index, (rows, word, _))| {
        let noun = if index == 0 { " rows" } else { "" };
        format!("{}{noun} {word}", grouped(rows))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// How long answers took; none where nothing was sent.
pub(super) fn latency_chart(tally: &Tally) -> Option<Chart> {
    let buckets = tally.latency_buckets();
    let range = |(from, to, rows): &(u64, u64, u64)| {
        let range = if from == to { format!("{from} ms") } else { format!("{from} to {to} ms") };
        (*rows, format!("{range}: {} rows", grouped(*rows)))
    };
    let values: Vec<(u64, String)> = buckets.iter().map(range).collect();
    let ends = [format!("{} ms", buckets.first()?.0), format!("{} ms", buckets.last()?.1)];
    bars("Latency: rows by the time of their last attempt".to_owned(), "requests", &values, &ends)
}

fn bars(title: String, class: &'static str, values: &[(u64, String)], ends: &[String; 2]) -> Option<Chart> {
    let most = values.iter().map(|(value, _)| *value).max().filter(|most| *most > 0)?;
    let top = round_up(most);
    let (wide, high) = (WIDTH - LEFT, HEIGHT - TOP - BOTTOM);
    let grid = (0..=2).map(|part| GridLine {
        y: TOP + high * f64::from(part) / 2.0,
        label: grouped((top as f64 * (1.0 - f64::from(part) / 2.0)) as u64),
    });
    let slot = wide / values.len() as f64;
    let gap = if slot > 4.0 { 1.0 } else { 0.0 };
    let bars = values.iter().enumerate().filter(|(_, (value, _))| *value > 0).map(|(index, (value, label))| {
        let height = (*value as f64 / top as f64 * high).max(1.0);
        Bar {
            class,
            x: format!("{:.2}", LEFT + slot * index as f64),
            y: format!("{:.2}", TOP + high - height),
            width: format!("{:.2}", slot - gap),
            height: format!("{height:.2}"),
            label: label.clone(),
        }
    });
    let tick = |x: f64, anchor, label: &String| Tick { x: format!("{x:.0}"), anchor, label: label.clone() };
    let mut ticks = vec![tick(LEFT, "start", &ends[0])];
    if values.len() > 1 {
        let right = (LEFT + slot * values.len() as f64).min(WIDTH);
        ticks.push(tick(right, "end", &ends[1]));
    }
    Some(Chart { title, width: WIDTH, height: HEIGHT, left: LEFT, grid: grid.collect(), bars: bars.collect(), ticks })
}

/// The next round number: 2, 4, 6, 8 or 10 times a power of ten, so that its half is whole.
fn round_up(most: u64) -> u64 {
    let mut power = 1_u64;
    while power.saturating_mul(10) < most {
        power *= 10;
    }
    (2..=10).step_by(2).map(|times| times * power).find(|round| *round >= most).unwrap_or(most)
}

/// An RFC 3339 time as people read it.
fn time_of(at: &str) -> String {
    at.parse::<Timestamp>().map_or_else(|_| at.to_owned(), |at| at.strftime("%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_numbers_are_round() {
        let seen = [1, 2, 3, 9, 10, 11, 61, 99, 100, 850_000].map(round_up);
        assert_eq!(seen, [2, 2, 4, 10, 10, 20, 80, 100, 100, 1_000_000]);
    }

    #[test]
    fn rows_are_called_as_their_command_calls_them() {
        let bucket = |accepted, landed, different, failed| {
            let at = String::new();
            rows_of(&Bucket { at, requests: 9, accepted, landed, different, failed, rejected: 1 })
        };
        assert_eq!(bucket(2, 0, 0, 1), "2 rows accepted, 1 failed");
        assert_eq!(bucket(0, 0, 0, 1), "0 rows accepted, 1 failed");
        assert_eq!(bucket(0, 1, 5, 0), "1 rows landed, 5 different, 0 failed");
        assert_eq!(bucket(2, 0, 5, 0), "2 rows accepted, 0 landed, 5 different, 0 failed");
    }

    #[test]
    fn bars_stay_within_the_picture() {
        let values: Vec<(u64, String)> = (0..240).map(|value| (value, String::new())).collect();
        let chart = bars(String::new(), "requests", &values, &[String::new(), String::new()]).unwrap();
        for bar in &chart.bars {
            let [x, y, width, height] =
                [&bar.x, &bar.y, &bar.width, &bar.height].map(|text| text.parse::<f64>().unwrap());
            assert!(x >= LEFT && x + width <= WIDTH + 0.1 && y >= TOP - 0.1 && y + height <= HEIGHT - BOTTOM + 0.1);
        }
        assert!(bars(String::new(), "requests", &[(0, String::new())], &[String::new(), String::new()]).is_none());
    }
}
