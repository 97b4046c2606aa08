use std::{
    io::{self, IsTerminal},
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle as BarStyle};
use model::Counters;

use super::printer::Printer;
use crate::args::ProgressChoice;

/// How often a bar is drawn.
const BAR_EVERY: Duration = Duration::from_millis(200);
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
            ProgressChoice::Auto if !style.json && io::stderr().is_terminal() => Self::Bar,
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
    /// Starts drawing. `total_bytes` is the size of all inputs, where it is known; `sends`: rows are sent, not only
    /// checked.
    pub(crate) fn start(
        style: ProgressStyle,
        printer: &Printer,
        counters: Arc<Counters>,
        total_bytes: Option<u64>,
        sends: bool,
    ) -> Self {
        if style == ProgressStyle::Hidden {
            return Self::default();
        }
        let view = View { counters, total_bytes, sends, started: Instant::now() };
        let (stop, stopped) = sync_channel::<()>(0);
        let printer = printer.clone();
        let draw = move || match style {
            ProgressStyle::Hidden => {}
            ProgressStyle::Lines => {
                let mut last = view.figures();
                while stopped.recv_timeout(LINE_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let now = view.figures();
                    printer.note(&now.line(&last, &view));
                    last = now;
                }
            }
            ProgressStyle::Bar => {
                let bar = view.bar();
                printer.set_bar(Some(bar.clone()));
                let (mut earlier, mut later) = (view.figures(), view.figures());
                while stopped.recv_timeout(BAR_EVERY) == Err(RecvTimeoutError::Timeout) {
                    let now = view.figures();
                    bar.set_position(now.bytes);
                    bar.set_message(now.line(&earlier, &view));
                    bar.tick();
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

struct View {
    counters: Arc<Counters>,
    total_bytes: Option<u64>,
    sends: bool,
    started: Instant,
}

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    elapsed: Duration,
    bytes: u64,
    rows: u64,
    in_flight: u64,
    synced: u64,
    unchanged: u64,
    failed: u64,
    rejected: u64,
}

impl View {
    fn figures(&self) -> Figures {
        let counters = &*self.counters;
        Figures {
            elapsed: self.started.elapsed(),
            bytes: Counters::get(&counters.bytes_read),
            rows: Counters::get(&counters.rows_read),
            in_flight: Counters::get(&counters.in_flight),
            synced: Counters::get(&counters.synced),
            unchanged: Counters::get(&counters.unchanged),
            failed: Counters::get(&counters.failed),
            rejected: Counters::get(&counters.rejected),
        }
    }

    fn bar(&self) -> ProgressBar {
        let (bar, template) = match self.total_bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:24} {msg}"),
            None => (ProgressBar::no_length(), "{spinner} {msg}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr());
        match BarStyle::with_template(template) {
            Ok(style) => bar.with_style(style.progress_chars("=> ")),
            Err(_) => bar,
        }
    }
}

impl Figures {
    /// The rows that are done with: decided where rows are sent, else read.
    fn done(&self, sends: bool) -> u64 {
        if sends { self.synced + self.unchanged + self.failed + self.rejected } else { self.rows }
    }

    fn line(&self, earlier: &Self, view: &View) -> String {
        let seconds = self.elapsed.saturating_sub(earlier.elapsed).as_secs_f64().max(0.001);
        let done = self.done(view.sends);
        let rate = done.saturating_sub(earlier.done(view.sends)) as f64 / seconds;
        let share = view.total_bytes.filter(|total| *total > 0).map(|total| self.bytes as f64 / total as f64);
        let mut parts = Vec::new();
        if let Some(share) = share {
            parts.push(format!("{:.0} %", (share * 100.0).min(100.0)));
        }
        parts.push(format!("{done} rows, {rate:.0}/s"));
        if view.sends {
            parts.push(format!("{} in flight", self.in_flight));
            parts.push(format!("{} synced", self.synced));
            if self.unchanged > 0 {
                parts.push(format!("{} unchanged", self.unchanged));
            }
            parts.push(format!("{} failed", self.failed));
        }
        parts.push(format!("{} rejected", self.rejected));
        if let Some(left) = self.time_left(share, view.sends) {
            parts.push(format!("{} left", in_words(left)));
        }
        parts.join(", ")
    }

    /// From the mean pace so far: rows that were read and are not done yet count as input that is still to come.
    fn time_left(&self, share_read: Option<f64>, sends: bool) -> Option<Duration> {
        let share_done = share_read? * self.done(sends) as f64 / self.rows.max(1) as f64;
        if self.elapsed < Duration::from_secs(2) || share_done < 0.001 {
            return None;
        }
        let left = self.elapsed.as_secs_f64() * (1.0 - share_done.min(1.0)) / share_done;
        Duration::try_from_secs_f64(left).ok()
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

    #[test]
    fn a_line_says_share_pace_and_time_left() {
        let view = View { counters: Arc::default(), total_bytes: Some(1_000), sends: true, started: Instant::now() };
        let earlier = Figures { elapsed: Duration::from_secs(10), synced: 100, ..Figures::default() };
        let now = Figures {
            elapsed: Duration::from_secs(20),
            bytes: 500,
            rows: 400,
            in_flight: 64,
            synced: 180,
            failed: 15,
            rejected: 5,
            unchanged: 0,
        };
        assert_eq!(
            now.line(&earlier, &view),
            "50 %, 200 rows, 10/s, 64 in flight, 180 synced, 15 failed, 5 rejected, 1m00s left"
        );
    }

    #[test]
    fn nothing_is_promised_without_a_size() {
        let view = View { counters: Arc::default(), total_bytes: None, sends: false, started: Instant::now() };
        let now = Figures { elapsed: Duration::from_secs(10), rows: 50, rejected: 2, ..Figures::default() };
        assert_eq!(now.line(&Figures::default(), &view), "50 rows, 5/s, 2 rejected");
    }

    #[test]
    fn times_in_words() {
        let words = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!((words(59), words(60), words(3_661)), ("59s".into(), "1m00s".into(), "1h01m".into()));
    }
}
