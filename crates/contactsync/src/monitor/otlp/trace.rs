//! One trace a run: a span for it, one for each phase, one for each time that sending is held. None for rows: what they hold
//! is nobody's business here, and there are too many.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dispatcher::Happening;
use opentelemetry_proto::tonic::{
    common::v1::KeyValue,
    trace::v1::{
        Span, Status,
        span::{Event, SpanKind},
        status::StatusCode,
    },
};

use super::messages::{boolean, integer, text};
use crate::{
    exit::Exit,
    failure::Failure,
    monitor::{Figures, Phase},
};

/// So many spans wait for a collector that doesn't take them, and so many events are in one.
const MOST: usize = 512;

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::Sending => "sending",
            Self::Finishing => "finishing",
        }
    }
}

/// The trace of a run as it grows.
#[derive(Debug)]
pub(crate) struct Trace {
    id: [u8; 16],
    begun: Instant,
    begun_at: Duration,
    spans: u64,
    run: Option<Span>,
    phase: Option<Span>,
    hold: Option<Span>,
    /// What has ended and is still to be delivered.
    ended: Vec<Span>,
}

impl Trace {
    /// Begins with the run.
    pub(crate) fn begin(command: &str) -> Result<Self, Failure> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|error| Failure::usage(format!("there is no random trace id: {error}")))?;
        let mut trace = Self {
            id,
            begun: Instant::now(),
            begun_at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            spans: 0,
            run: None,
            phase: None,
            hold: None,
            ended: Vec::new(),
        };
        trace.run = Some(trace.span(format!("contactsync {command}"), None));
        Ok(trace)
    }

    /// Goes on to a phase.
    pub(crate) fn phase(&mut self, phase: Phase) {
        self.end_phase();
        self.phase = Some(self.span(phase.name().to_owned(), id_of(self.run.as_ref())));
    }

    /// Something happened to the sending.
    pub(crate) fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Held if self.hold.is_none() => {
                self.hold = Some(self.span("held".to_owned(), id_of(self.phase.as_ref())));
            }
            Happening::Held => {}
            Happening::GoesOn => self.end_hold(),
            Happening::Waits(time) => {
                let at = self.now();
                let ms = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
                if let Some(phase) = self.phase.as_mut().filter(|phase| phase.events.len() < MOST) {
                    phase.events.push(Event {
                        time_unix_nano: at,
                        name: "wait".to_owned(),
                        attributes: vec![integer("contactsync.wait_ms", ms)],
                        dropped_attributes_count: 0,
                    });
                }
            }
        }
    }

    /// The run ended like this.
    pub(crate) fn end(&mut self, figures: &Figures, exit: Exit) {
        self.end_phase();
        let Some(mut run) = self.run.take() else { return };
        run.attributes = attributes(figures, exit);
        if exit != Exit::Success {
            let message = figures.stopped_by.unwrap_or_default().to_owned();
            run.status = Some(Status { message, code: StatusCode::Error.into() });
        }
        self.end_span(run);
    }

    /// What has ended and was not delivered.
    pub(crate) fn ended(&self) -> Vec<Span> {
        self.ended.clone()
    }

    /// So many of these were delivered.
    pub(crate) fn forget(&mut self, count: usize) {
        self.ended.drain(..count.min(self.ended.len()));
    }

    fn end_phase(&mut self) {
        self.end_hold();
        if let Some(phase) = self.phase.take() {
            self.end_span(phase);
        }
    }

    fn end_hold(&mut self) {
        if let Some(hold) = self.hold.take() {
            self.end_span(hold);
        }
    }

    fn end_span(&mut self, span: Span) {
        let span = Span { end_time_unix_nano: self.now(), ..span };
        // The span of the run comes last, and is wanted most.
        if self.ended.len() < MOST || span.parent_span_id.is_empty() {
            self.ended.push(span);
        }
    }

    /// Begins one below the span of this id.
    fn span(&mut self, name: String, parent: Option<Vec<u8>>) -> Span {
        self.spans += 1;
        let mut id = blake3::Hasher::new();
        id.update(&self.id).update(&self.spans.to_le_bytes());
        Span {
            trace_id: self.id.to_vec(),
            span_id: id.finalize().as_bytes()[..8].to_vec(),
            parent_span_id: parent.unwrap_or_default(),
            name,
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: self.now(),
            ..Span::default()
        }
    }

    /// Nanoseconds since 1970; they never go back, whatever is done to the clock.
    fn now(&self) -> u64 {
        u64::try_from((self.begun_at + self.begun.elapsed()).as_nanos()).unwrap_or(u64::MAX)
    }
}

fn id_of(span: Option<&Span>) -> Option<Vec<u8>> {
    span.map(|span| span.span_id.clone())
}

fn attributes(figures: &Figures, exit: Exit) -> Vec<KeyValue> {
    let count = |rows: u64| i64::try_from(rows).unwrap_or(i64::MAX);
    let about = &figures.about;
    let mut all = vec![
        text("contactsync.command", about.command),
        text("contactsync.target", &about.target),
        boolean("contactsync.sandbox", about.sandbox),
        integer("contactsync.exit_code", exit.code().into()),
        integer("contactsync.rows_read", count(figures.rows_read)),
        integer("contactsync.retries", count(figures.retries)),
    ];
    all.extend(
        figures
            .rows_by_outcome()
            .map(|(outcome, rows)| integer(&format!("contactsync.rows.{}", outcome.as_str()), count(rows))),
    );
    all.extend(figures.stopped_by.map(|cause| text("contactsync.stopped_by", cause)));
    all
}
