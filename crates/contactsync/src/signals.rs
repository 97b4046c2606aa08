use std::{
    io,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{exit::Exit, last_words::LastWords};

/// A signal that stops a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGHUP.
    Hangup = 1,
    /// SIGINT.
    Interrupt = 2,
    /// SIGTERM.
    Terminate = 15,
}

impl Signal {
    /// Its number.
    pub(crate) fn number(self) -> i32 {
        self as i32
    }

    /// The status of a run that it stopped.
    pub(crate) fn exit(self) -> Exit {
        match self {
            Self::Hangup => Exit::Hangup,
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Self::Hangup, Self::Interrupt, Self::Terminate].into_iter().find(|signal| *signal as u8 == number)
    }
}

/// Hears signals. The first ends the process at once, whatever it is doing, but while somebody stops gracefully
/// ([`Signals::gracefully`]): then the first asks for that, and the second ends the process.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    heard: Arc<Heard>,
    last_words: LastWords,
    end: fn(Exit),
}

/// How long an end at once waits for each of those who have something left to do.
const LAST_WORDS: Duration = Duration::from_millis(250);

/// What comes again so soon is the same signal: `timeout` sends it to the program, and then to its group.
const ONE_SIGNAL: Duration = Duration::from_millis(30);

#[derive(Debug, Default)]
struct Heard {
    first: AtomicU8,
    first_at: OnceLock<Instant>,
    /// How many there are that stop gracefully.
    graceful: AtomicUsize,
    stop: CancellationToken,
}

/// As long as it lives the first signal doesn't end the process: whoever holds it watches [`Signals::wait`].
#[derive(Debug)]
pub(crate) struct Graceful(Signals);

impl Drop for Graceful {
    fn drop(&mut self) {
        self.0.heard.graceful.fetch_sub(1, SeqCst);
    }
}

impl Signals {
    /// Listens from now on. `end` ends the process with a status, once what was said is written.
    pub(crate) fn listen(last_words: LastWords, end: fn(Exit)) -> io::Result<Self> {
        let signals = Self { heard: Arc::default(), last_words, end };
        let ignores_hangup = hangup_is_ignored();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let handle = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Without a listener this one ends the process; so the write that hits a file-size limit fails instead.
        let file_too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        let mut hangup = if ignores_hangup { None } else { Some(signal(SignalKind::hangup())?) };
        drop(handle);
        let listener = signals.clone();
        let listen = async move {
            let _file_too_large = file_too_large;
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    Some(()) = async { hangup.as_mut()?.recv().await } => Signal::Hangup,
                    else => return,
                };
                listener.hear(signal);
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen))?;
        Ok(signals)
    }

    fn hear(&self, signal: Signal) {
        let first_at = *self.heard.first_at.get_or_init(Instant::now);
        let is_second = self.heard.first.compare_exchange(0, signal as u8, SeqCst, SeqCst).is_err();
        if is_second && self.received() == Some(signal) && first_at.elapsed() < ONE_SIGNAL {
            return;
        }
        // A program that is ending by itself ends within a moment.
        let is_ending = !is_second && self.last_words.are_said();
        if is_second || (self.heard.graceful.load(SeqCst) == 0 && !is_ending) {
            // The first cause decides.
            self.end(self.received().unwrap_or(signal).exit());
        }
        self.heard.stop.cancel();
    }

    /// Ends the process at once.
    pub(crate) fn end(&self, exit: Exit) {
        (self.end)(self.last_words.say(exit, LAST_WORDS));
    }

    /// What is to be done before the program ends.
    pub(crate) fn last_words(&self) -> &LastWords {
        &self.last_words
    }

    /// From here on, until what is returned is dropped, the first signal asks for a stop.
    pub(crate) fn gracefully(&self) -> Graceful {
        self.heard.graceful.fetch_add(1, SeqCst);
        Graceful(self.clone())
    }

    /// The first signal that came.
    pub(crate) fn received(&self) -> Option<Signal> {
        Signal::of_number(self.heard.first.load(SeqCst))
    }

    /// Waits for the first signal.
    pub(crate) async fn wait(&self) {
        self.heard.stop.cancelled().await;
    }
}

/// Whether SIGHUP was ignored when the process started, as under nohup; it then stays so. Where the system doesn't tell
/// it is taken as not ignored.
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // Signals are counted from 1, bits from 0.
    mask.is_some_and(|mask| mask & 1 << (Signal::Hangup.number() - 1) != 0)
}
