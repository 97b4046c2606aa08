use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;

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

/// Which signal came, if any did. The first asks the run to stop; a second one ends the process at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct Signals {
    first: Arc<AtomicU8>,
    stop: CancellationToken,
}

impl Signals {
    /// Listens from now on. `end` is called with the status when a second signal comes.
    pub(crate) fn listen(end: fn(Exit)) -> io::Result<Self> {
        let signals = Self::default();
        let ignores_hangup = hangup_is_ignored();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let handle = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Without a listener this one ends the process; so the write that hits a file-size limit fails instead.
        let file_too_large = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
        let mut hangup = if ignores_hangup { None } else { Some(signal(SignalKind::hangup())?) };
        drop(handle);
        let heard = signals.clone();
        let listen = async move {
            let _file_too_large = file_too_large;
            loop {
                let signal = tokio::select! {
                    Some(()) = interrupt.recv() => Signal::Interrupt,
                    Some(()) = terminate.recv() => Signal::Terminate,
                    Some(()) = async { hangup.as_mut()?.recv().await } => Signal::Hangup,
                    else => return,
                };
                if heard.first.compare_exchange(0, signal as u8, SeqCst, SeqCst).is_err() {
                    end(signal.exit());
                }
                heard.stop.cancel();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen))?;
        Ok(signals)
    }

    /// The first signal that came.
    pub(crate) fn received(&self) -> Option<Signal> {
        Signal::of_number(self.first.load(SeqCst))
    }

    /// Waits for the first signal.
    pub(crate) async fn wait(&self) {
        self.stop.cancelled().await;
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
