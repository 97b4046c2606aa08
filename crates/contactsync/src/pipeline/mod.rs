//! The way of a row through a push: reading and validating ([`intake`]), or reading failed rows of reports
//! ([`replayed`]); sending (the dispatcher); writing the report ([`journaling`]). [`send()`] joins them, [`end`] draws up
//! what they left behind; a [`canary`] may stand in between; before a resumed run [`comparing`] makes sure that it is the same run.

mod canary;
mod comparing;
mod end;
mod intake;
mod journaling;
mod notify;
mod replayed;
mod send;
mod service;

use std::sync::Arc;

use async_channel::Sender;
use dispatcher::{Intake, Stop};
use model::Counters;

use crate::terminal::Printer;

pub(crate) use comparing::{compare_inputs, refuse_another_run};
pub(crate) use end::{finished_before, replay_step};
pub(crate) use notify::notify;
pub(crate) use send::{Job, Rows, TakenOver, send};

/// What whoever takes rows in needs for handing them on.
struct Way {
    rows: Sender<Vec<Intake>>,
    counters: Arc<Counters>,
    stop: Stop,
    printer: Printer,
}
