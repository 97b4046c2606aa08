//! The way of a row through a push: reading and validating ([`intake`]), or reading failed rows of reports
//! ([`replayed`]); sending (the dispatcher); writing the report ([`journaling`]). [`send()`] joins them, [`outcome`] draws
//! up what they left behind; a [`canary`] may stand in between; before a resumed run [`comparing`] makes sure that it is the
//! same run, and [`continuing`] goes on from where it stopped.

mod canary;
mod clearing;
mod comparing;
mod continuing;
mod intake;
mod journaling;
mod notify;
mod outcome;
mod questions;
mod remembering;
mod replayed;
mod resolving;
mod send;
mod service;
mod service_reading;
mod sharing;
mod unchanged;
mod verifying;
mod window;
mod write_behind;

use std::sync::Arc;

use async_channel::Sender;
use dispatcher::{Intake, Stop};
use model::Counters;

use crate::terminal::Printer;

pub(crate) use comparing::{PassedOver, Reopened, Resumed, compare_inputs, refuse_another_command, refuse_another_run};
pub(crate) use continuing::{
    CarriedOver, Refused, carry_over, finished_earlier, open_journal, report_path, tell_refused,
};
pub(crate) use journaling::RequestFigures;
pub(crate) use outcome::{per_second, stopped_by};
pub(crate) use questions::with_asker;
pub(crate) use remembering::{EACH_ITS_OWN, Remembered, Rereading, Uncertain, Whose, uncertain_users, usage_of};
pub(crate) use resolving::{OwnIds, ask_ahead};
pub(crate) use send::{Job, RowSource, send};
pub(crate) use service_reading::{Comparer, Reading, Told, read_users};
pub(crate) use sharing::{look_at_shared_rate, slow_answer, timed_look, told_to_wait};
pub(crate) use unchanged::UnchangedRows;
pub(crate) use window::WindowGuard;

/// Where rows that were taken in go, and what has to know of them.
struct RowSink {
    rows: Sender<Vec<Intake>>,
    counters: Arc<Counters>,
    stop: Stop,
    printer: Printer,
}
