//! The way of a row through a push: reading and validating ([`intake`]), sending (the dispatcher), writing the report
//! ([`journaling`]).

mod intake;
mod journaling;

pub(crate) use intake::{Intaken, take_in};
pub(crate) use journaling::{JournalEnd, Journaling};
