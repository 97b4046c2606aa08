//! Who watches a run from outside: a metrics file, and others that show the same. All take their figures from one place,
//! [`Figures`], which takes them from where the summary does: the report's tally and the live counters.

mod figures;
mod metrics_file;
#[cfg(feature = "otel")]
mod otlp;
mod prometheus;

use std::sync::{Arc, Mutex, PoisonError};

use dispatcher::Listener;
use jiff::Timestamp;
use model::Counters;
use report::{Decided, LiveTally, Requests};

use self::figures::Times;
pub(crate) use self::figures::{Ended, Figures};
#[cfg(feature = "otel")]
use self::otlp::Trace;
use crate::{
    exit::Exit,
    failure::Failure,
    last_words::LastWords,
    pipeline::{CarriedOver, RequestFigures, UnchangedRows},
    settings::SendingSettings,
    terminal::Printer,
};

/// What a run is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Inputs are compared and looked through; nothing is sent yet.
    Planning,
    /// Rows are sent, or read back.
    Sending,
    /// All is written down.
    Finishing,
}

/// What a run is, as far as it is known when it begins.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) command: &'static str,
    pub(crate) target: String,
    pub(crate) sandbox: bool,
    /// It reads what the service holds, and sends nothing.
    pub(crate) verifies: bool,
    /// Requests that may start in a second; infinite where there is no limit.
    pub(crate) rate_limit: f64,
}

/// Where the figures of a run come from, once there are any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) counters: Arc<Counters>,
    pub(crate) tally: LiveTally,
    /// Rows that were unchanged and have no record; none where each has one.
    pub(crate) unchanged: Option<UnchangedRows>,
    /// Rows that were unchanged get a record too.
    pub(crate) writes_unchanged: bool,
    pub(crate) requests: RequestFigures,
    pub(crate) before: Before,
}

impl Sources {
    /// Those of a run that does no more than an earlier try of it, which has read so many rows.
    pub(crate) fn of_decided(decided: &Decided, rows: u64, requests: Requests) -> Self {
        let tally = decided.whole_tally();
        let before = Before { rows, attempts: tally.attempts, superseded: decided.superseded(), requests };
        Self { tally: LiveTally::new(tally), before, ..Self::default() }
    }
}

/// What earlier tries left.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before {
    pub(crate) rows: u64,
    pub(crate) attempts: u64,
    pub(crate) superseded: u64,
    pub(crate) requests: Requests,
}

impl From<&CarriedOver> for Before {
    fn from(carried: &CarriedOver) -> Self {
        let CarriedOver { rows, attempts, requests, superseded, expired: _ } = *carried;
        Self { rows, attempts, superseded, requests }
    }
}

/// A run as it is watched. Clones are the same; where nobody watches it costs nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Monitor(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    about: About,
    started_at_ms: i64,
    known: Mutex<Known>,
    #[cfg(feature = "otel")]
    trace: Option<Mutex<Trace>>,
}

#[derive(Debug, Default)]
struct Known {
    sources: Option<Sources>,
    stopped_by: Option<&'static str>,
    /// When the run came to its end, where that was in an earlier try.
    finished_at_ms: Option<i64>,
}

impl Monitor {
    /// Begins to watch a run, where that is asked for. Its inputs are open and what it holds is locked: what is written from
    /// here on is nobody else's.
    pub(crate) fn start(
        command: &'static str,
        sending: &SendingSettings,
        printer: &Printer,
        last_words: &LastWords,
    ) -> Result<Self, Failure> {
        let settings = &sending.monitor;
        if !settings.is_wanted() {
            return Ok(Self::default());
        }
        let watched = Watched::new(About::of(command, sending));
        #[cfg(feature = "otel")]
        let watched = Watched {
            trace: settings.otlp.is_some().then(|| Trace::begin(command).map(Mutex::new)).transpose()?,
            ..watched
        };
        let watched = Arc::new(watched);
        // The one that may keep the end of the program waiting for longest is begun first, and so comes last.
        #[cfg(feature = "otel")]
        if let Some(settings) = &settings.otlp {
            otlp::start(settings, Arc::clone(&watched), printer, last_words)?;
        }
        if let Some(settings) = &settings.metrics_file {
            metrics_file::start(settings, Arc::clone(&watched), printer, last_words)?;
        }
        let monitor = Self(Some(watched));
        monitor.phase(Phase::Planning);
        Ok(monitor)
    }

    /// The same for a run whose inputs can't be opened: whoever watches hears of the end all the same.
    pub(crate) fn start_as_refused(
        command: &'static str,
        sending: &SendingSettings,
        printer: &Printer,
        last_words: &LastWords,
    ) -> Self {
        Self::start(command, sending, printer, last_words).unwrap_or_else(|unwatched| {
            // The run is refused by the other failure.
            printer.warning(&unwatched.message, unwatched.hint.as_deref());
            Self::default()
        })
    }

    /// From here on there are figures.
    pub(crate) fn follow(&self, sources: impl FnOnce() -> Sources) {
        if let Some(watched) = &self.0 {
            watched.known().sources = Some(sources());
        }
    }

    /// The run has come to this.
    pub(crate) fn phase(&self, phase: Phase) {
        #[cfg(feature = "otel")]
        if let Some(watched) = &self.0 {
            watched.with_trace(|trace| trace.phase(phase));
        }
        #[cfg(not(feature = "otel"))]
        let _ = (self, phase);
    }

    /// Who hears what happens to the sending, where anybody wants to.
    pub(crate) fn listener(&self) -> Option<Listener> {
        #[cfg(feature = "otel")]
        if let Some(watched) = self.0.as_ref().filter(|watched| watched.trace.is_some()) {
            let watched = Arc::clone(watched);
            return Some(Listener::new(move |happening| _ = watched.with_trace(|trace| trace.happened(happening))));
        }
        #[cfg(not(feature = "otel"))]
        let _ = self;
        None
    }

    /// What stopped the run, in the summary's word.
    pub(crate) fn stopped_by(&self, word: Option<&'static str>) {
        if let Some(watched) = &self.0 {
            watched.known().stopped_by = word;
        }
    }

    /// The run had come to its end before: there was nothing left to do.
    pub(crate) fn finished_earlier(&self, at_ms: Option<i64>) {
        if let Some(watched) = &self.0 {
            watched.known().finished_at_ms = at_ms;
        }
    }
}

#[cfg(feature = "otel")]
impl Watched {
    /// The run ended with this status, and with it its trace.
    fn end_trace(&self, exit: Exit) {
        let figures = self.figures(Some(exit));
        self.with_trace(|trace| trace.end(&figures, exit));
    }

    fn ended_spans(&self) -> Vec<opentelemetry_proto::tonic::trace::v1::Span> {
        self.with_trace(|trace| trace.ended()).unwrap_or_default()
    }

    fn forget_spans(&self, count: usize) {
        self.with_trace(|trace| trace.forget(count));
    }

    fn with_trace<T>(&self, act: impl FnOnce(&mut Trace) -> T) -> Option<T> {
        self.trace.as_ref().map(|trace| act(&mut trace.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Watched {
    fn new(about: About) -> Self {
        Self {
            about,
            started_at_ms: Timestamp::now().as_millisecond(),
            known: Mutex::default(),
            #[cfg(feature = "otel")]
            trace: None,
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is known now, or was as the program ended with this status.
    fn figures(&self, exit: Option<Exit>) -> Figures {
        let known = self.known();
        let sources = known.sources.clone().unwrap_or_default();
        let now = Timestamp::now().as_millisecond();
        let ended = exit.map(|exit| Ended { at_ms: now, exit, succeeded_at_ms: known.finished_at_ms.unwrap_or(now) });
        let stopped_by = known.stopped_by.or_else(|| exit.and_then(word_of));
        drop(known);
        Figures::of(&self.about, &sources, Times { started_at_ms: self.started_at_ms, at_ms: now, ended }, stopped_by)
    }
}

/// What stopped a run that ended with this status before it had begun to send.
fn word_of(exit: Exit) -> Option<&'static str> {
    match exit {
        Exit::Credentials => Some("credentials"),
        Exit::MaxFailures => Some("max_failures"),
        Exit::OutOfReach => Some("outage"),
        Exit::TimeWindow => Some("time"),
        Exit::Hangup | Exit::Interrupted | Exit::Terminated => Some("signal"),
        // Of the others either nothing stopped it, or more than one thing can have.
        Exit::Success | Exit::RowsFailed | Exit::Usage | Exit::ReadOrWrite | Exit::Bug => None,
    }
}

impl About {
    fn of(command: &'static str, sending: &SendingSettings) -> Self {
        let verifies = sending.verifies.is_some();
        let rate = if verifies { sending.dispatcher.profile_rate } else { sending.dispatcher.rate };
        Self {
            command,
            target: sending.target.name(),
            sandbox: matches!(sending.target, crate::settings::Target::Sandbox(_)),
            verifies,
            rate_limit: match rate {
                dispatcher::Rate::Limited { count, per } => count.get() as f64 / per.as_secs_f64(),
                dispatcher::Rate::Unlimited => f64::INFINITY,
            },
        }
    }
}
