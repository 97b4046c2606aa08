use std::{
    cell::Cell,
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle as BarStyle};
use model::Counters;
use reader::Input;

use super::printer::Printer;
use crate::args::ProgressChoice;

/// How often a bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(200);
/// Steps of a bar.
const BAR_LENGTH: u64 = 1_000;
/// The pace beside a bar is that of once to twice so long.
const PACE_OVER: Duration = Duration::from_secs(2);
/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What progress looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProgressStyle {
    /// A bar with figures behind it.
    Bar,
    /// A line now and then.
    Lines,
    /// Nothing.
    Hidden,
}

impl ProgressStyle {
    /// What was chosen, or what suits standard error.
    pub(crate) fn of(choice: Option<ProgressChoice>, printer: &Printer) -> Self {
        let style = printer.style();
        match choice.unwrap_or(ProgressChoice::Auto) {
            _ if style.quiet => Self::Hidden,
            ProgressChoice::Never => Self::Hidden,
            ProgressChoice::Bar => Self::Bar,
            ProgressChoice::Auto if !style.json && style.draws => Self::Bar,
            ProgressChoice::Auto | ProgressChoice::Plain => Self::Lines,
        }
    }
}

/// Draws the counters of a run from a thread of its own, until it is dropped.
#[derive(Default)]
pub(crate) struct Progress {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts drawing.
    pub(crate) fn start(
        style: ProgressStyle,
        printer: &Printer,
        counters: Arc<Counters>,
        whole: Whole,
        work: Work,
    ) -> Self {
        if style == ProgressStyle::Hidden {
            return Self::default();
        }
        let view = View { counters, whole, work, started: Instant::now(), share: Cell::default() };
        let (stop, stopped) = sync_channel::<()>(0);
        let printer = printer.clone();
        let draw = move || match style {
            ProgressStyle::Hidden => {}
            ProgressStyle::Lines => {
                let mut last = view.figures();
                while stopped.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let now = view.figures();
                    printer.progress(&now.line(&last, &view));
                    last = now;
                }
            }
            ProgressStyle::Bar => {
                let bar = view.bar(&printer);
                printer.set_bar(Some(bar.clone()));
                let (mut earlier, mut later) = (view.figures(), view.figures());
                while stopped.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let now = view.figures();
                    let line = now.line(&earlier, &view);
                    printer.draw(|| {
                        bar.set_position((view.share.get() * BAR_LENGTH as f64) as u64);
                        bar.set_message(line);
                        bar.tick();
                    });
                    if now.elapsed.saturating_sub(later.elapsed) >= PACE_OVER {
                        (earlier, later) = (later, now);
                    }
                }
                printer.set_bar(None);
                bar.finish_and_clear();
            }
        };
        // Without a thread there is no progress to see, and nothing else is lost.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(draw).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A drawing thread that panicked has nothing more to say.
            let _ = thread.join();
        }
    }
}

/// What is done with rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// They are only read and validated.
    Checks,
    /// They are sent.
    Sends,
    /// It is looked at what the service holds of them.
    Verifies,
}

/// How much there is to be done, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Whole {
    /// The size of all inputs.
    pub(crate) bytes: Option<u64>,
    /// The most rows there can be.
    pub(crate) rows: Option<u64>,
}

impl Whole {
    /// All of these inputs, or as many of their rows as are taken.
    pub(crate) fn of(inputs: &[Input], rows: Option<u64>) -> Self {
        Self { bytes: inputs.iter().map(Input::size).sum(), rows }
    }
}

struct View {
    counters: Arc<Counters>,
    whole: Whole,
    work: Work,
    started: Instant,
    /// The largest share that was shown: it never goes back.
    share: Cell<f64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    elapsed: Duration,
    elsewhere: u64,
    bytes: u64,
    seen: u64,
    skipped: u64,
    decided_before: u64,
    rows: u64,
    in_flight: u64,
    synced: u64,
    unchanged: u64,
    failed: u64,
    rejected: u64,
    landed: u64,
    different: u64,
    superseded: u64,
    settling: u64,
}

impl View {
    fn figures(&self) -> Figures {
        let counters = &*self.counters;
        Figures {
            elapsed: self.started.elapsed(),
            // First: there are never more of them than rows that were seen.
            elsewhere: Counters::get(&counters.rows_elsewhere),
            bytes: Counters::get(&counters.bytes_read),
            seen: Counters::get(&counters.rows_seen),
            skipped: Counters::get(&counters.rows_skipped),
            decided_before: Counters::get(&counters.rows_decided_before),
            rows: Counters::get(&counters.rows_read),
            in_flight: Counters::get(&counters.in_flight),
            synced: Counters::get(&counters.synced),
            unchanged: Counters::get(&counters.unchanged),
            failed: Counters::get(&counters.failed),
            rejected: Counters::get(&counters.rejected),
            landed: Counters::get(&counters.landed),
            different: Counters::get(&counters.different),
            superseded: Counters::get(&counters.superseded),
            settling: Counters::get(&counters.settling),
        }
    }

    fn bar(&self, printer: &Printer) -> ProgressBar {
        let (bar, template) = match self.whole {
            Whole { bytes: None, rows: None } => (ProgressBar::no_length(), "{spinner} {msg}"),
            _ => (ProgressBar::new(BAR_LENGTH), "{bar:24} {msg}"),
        };
        bar.set_draw_target(printer.bar_target());
        match BarStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }
}

impl Figures {
    /// The rows that are done with: decided where rows are sent or verified, else read.
    fn done(&self, work: Work) -> u64 {
        let verified = self.landed + self.different + self.superseded;
        match work {
            Work::Checks => self.rows,
            Work::Sends | Work::Verifies => self.synced + self.unchanged + verified + self.failed + self.rejected,
        }
    }

    fn line(&self, earlier: &Self, view: &View) -> String {
        let seconds = self.elapsed.saturating_sub(earlier.elapsed).as_secs_f64().max(0.001);
        let done = self.done(view.work);
        let rate = done.saturating_sub(earlier.done(view.work)) as f64 / seconds;
        let share = self.share(view);
        let mut parts = Vec::new();
        if let Some(share) = share {
            // Rounded down: all is done only once it is.
            parts.push(format!("{:.0} %", (share * 100.0).floor()));
        }
        parts.push(format!("{done} rows, {rate:.0}/s"));
        let figures: &[(&str, u64)] = match view.work {
            Work::Checks => &[],
            Work::Sends => &[("synced", self.synced), ("unchanged", self.unchanged), ("failed", self.failed)],
            Work::Verifies => &[
                ("landed", self.landed),
                ("superseded", self.superseded),
                ("different", self.different),
                ("failed", self.failed),
            ],
        };
        if view.work != Work::Checks {
            parts.push(format!("{} in flight", self.in_flight));
        }
        let is_told = |(name, rows): &&(&str, u64)| *rows > 0 || !matches!(*name, "unchanged" | "superseded");
        parts.extend(figures.iter().filter(is_told).map(|(name, rows)| format!("{rows} {name}")));
        parts.push(format!("{} rejected", self.rejected));
        if self.settling > 0 {
            parts.push(format!("{} to be read once more", self.settling));
        }
        if let Some(left) = self.time_left(share, rate, view.work) {
            parts.push(format!("{} left", in_words(left)));
        }
        parts.join(", ")
    }

    /// The share of the input that is decided, where anything can be said of it. What was read ahead is no part of it: the
    /// bytes read count by the share of their rows that is done with.
    fn share(&self, view: &View) -> Option<f64> {
        let taken = (self.done(view.work) + self.decided_before) as f64;
        let of_bytes = view.whole.bytes.filter(|bytes| *bytes > 0).map(|bytes| {
            let read = (self.bytes as f64 / bytes as f64).min(1.0);
            // With rows of other shards there is nothing to do.
            match self.seen.saturating_sub(self.elsewhere) {
                0 if self.seen > 0 => read,
                own => read * ((taken + self.skipped as f64) / own.max(1) as f64).min(1.0),
            }
        });
        // A limit may come before the end of the input.
        let of_rows = view.whole.rows.map(|rows| if rows == 0 { 1.0 } else { (taken / rows as f64).min(1.0) });
        let share = of_bytes.into_iter().chain(of_rows).reduce(f64::max)?.max(view.share.get());
        view.share.set(share);
        Some(share)
    }

    /// From the mean pace so far, without what was left out. Rows that were unchanged cost nothing and tell nothing of those
    /// that are sent: behind them the present pace counts, where it is lower.
    fn time_left(&self, share: Option<f64>, rate: f64, work: Work) -> Option<Duration> {
        let (share, done) = (share?, self.done(work));
        let taken = done + self.decided_before + self.skipped;
        let own = share * done as f64 / taken.max(1) as f64;
        if self.elapsed < Duration::from_secs(2) || own < 0.001 {
            return None;
        }
        let by_mean = self.elapsed.as_secs_f64() * (1.0 - share) / own;
        let by_present = taken as f64 * (1.0 - share) / share / rate;
        let is_slower = self.unchanged > 0 && by_present.is_finite();
        Duration::try_from_secs_f64(if is_slower { by_mean.max(by_present) } else { by_mean }).ok()
    }
}

fn in_words(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3_600, seconds % 3_600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(bytes: Option<u64>, rows: Option<u64>, work: Work) -> View {
        let whole = Whole { bytes, rows };
        View { counters: Arc::default(), whole, work, started: Instant::now(), share: Cell::default() }
    }

    #[test]
    fn a_line_says_share_pace_and_time_left() {
        let earlier = Figures { elapsed: Duration::from_secs(10), synced: 100, ..Figures::default() };
        let now = Figures {
            elapsed: Duration::from_secs(20),
            bytes: 500,
            seen: 400,
            rows: 400,
            in_flight: 64,
            synced: 180,
            failed: 15,
            rejected: 5,
            ..Figures::default()
        };
        assert_eq!(
            now.line(&earlier, &view(Some(1_000), None, Work::Sends)),
            "25 %, 200 rows, 10/s, 64 in flight, 180 synced, 15 failed, 5 rejected, 1m00s left"
        );
    }

    #[test]
    fn of_a_verify_what_was_found_is_told() {
        let now = Figures {
            elapsed: Duration::from_secs(1),
            landed: 5,
            different: 1,
            superseded: 2,
            in_flight: 3,
            ..Figures::default()
        };
        assert_eq!(
            now.line(&Figures::default(), &view(None, None, Work::Verifies)),
            "8 rows, 8/s, 3 in flight, 5 landed, 2 superseded, 1 different, 0 failed, 0 rejected"
        );
    }

    #[test]
    fn what_was_read_ahead_is_not_done() {
        let view = view(Some(1_000), None, Work::Sends);
        // All of a small file is read at once.
        let share = |done, seen, bytes| Figures { bytes, seen, synced: done, ..Figures::default() }.share(&view);
        assert_eq!(share(0, 1_200, 1_000), Some(0.0));
        assert_eq!(share(100, 1_200, 1_000), Some(100.0 / 1_200.0));
        // Nor does it go back, where longer rows follow.
        assert_eq!(share(100, 1_300, 1_000), Some(100.0 / 1_200.0));
        assert_eq!(share(1_300, 1_300, 1_000), Some(1.0));
    }

    #[test]
    fn unchanged_rows_make_no_pace() {
        let at = |seconds, synced| Figures {
            elapsed: Duration::from_secs(seconds),
            bytes: 1_000,
            seen: 23_000,
            unchanged: 20_000,
            synced,
            ..Figures::default()
        };
        let line = at(10, 1_000).line(&at(8, 800), &view(Some(1_000), None, Work::Sends));
        assert!(line.ends_with("20s left") || line.ends_with("19s left"), "{line}");
        // Where nothing moves, the mean is all that is known.
        let line = at(10, 1_000).line(&at(8, 1_000), &view(Some(1_000), None, Work::Sends));
        assert!(line.ends_with("0s left"), "{line}");
    }

    #[test]
    fn all_but_one_is_not_all() {
        let now = Figures { bytes: 10, seen: 1_000, synced: 999, ..Figures::default() };
        assert!(now.line(&Figures::default(), &view(Some(10), None, Work::Sends)).starts_with("99 %, "));
    }

    #[test]
    fn rows_left_out_are_done_with_and_tell_nothing_of_the_pace() {
        let now = Figures {
            elapsed: Duration::from_secs(10),
            bytes: 500,
            seen: 500,
            skipped: 100,
            decided_before: 300,
            synced: 100,
            ..Figures::default()
        };
        // Half of the bytes, of which a fifth took ten seconds.
        let line = now.line(&Figures::default(), &view(Some(1_000), None, Work::Sends));
        assert!(line.starts_with("50 %, 100 rows") && line.ends_with("50s left"), "{line}");
    }

    #[test]
    fn of_a_shard_its_own_rows_count() {
        let at = |elsewhere, synced| Figures {
            elapsed: Duration::from_secs(10),
            bytes: 500,
            seen: 1_000,
            elsewhere,
            synced,
            ..Figures::default()
        };
        // Half of the bytes, of whose 250 own rows 50 are done.
        let line = at(750, 50).line(&Figures::default(), &view(Some(1_000), None, Work::Sends));
        assert!(line.starts_with("10 %, 50 rows") && line.ends_with("1m30s left"), "{line}");
        assert_eq!(at(1_000, 0).share(&view(Some(1_000), None, Work::Sends)), Some(0.5), "there are none");
        assert_eq!(Figures::default().share(&view(Some(1_000), None, Work::Sends)), Some(0.0));
    }

    #[test]
    fn a_limit_or_the_rows_of_a_replay_are_a_whole_too() {
        let now = Figures { bytes: 10, seen: 1_000, synced: 50, decided_before: 25, ..Figures::default() };
        assert_eq!(now.share(&view(Some(1_000), Some(100), Work::Sends)), Some(0.75));
        assert_eq!(now.share(&view(None, Some(150), Work::Sends)), Some(0.5));
        assert_eq!(now.share(&view(None, Some(0), Work::Sends)), Some(1.0));
    }

    #[test]
    fn nothing_is_promised_without_a_size() {
        let now = Figures { elapsed: Duration::from_secs(10), rows: 50, rejected: 2, ..Figures::default() };
        assert_eq!(now.line(&Figures::default(), &view(None, None, Work::Checks)), "50 rows, 5/s, 2 rejected");
    }

    #[test]
    fn times_in_words() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!((words(59), words(60), words(3_661)), ("59s".into(), "1m00s".into(), "1h01m".into()));
    }
}
