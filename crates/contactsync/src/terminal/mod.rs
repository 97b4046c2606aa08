//! What people see on standard error: messages, log, progress. One printer writes all of it, so that lines stay whole,
//! a bar is not torn, control characters are escaped and a closed standard error stops nothing.

mod log;
mod printer;
mod progress;
mod stdout;

pub(crate) use log::start_log;
pub(crate) use printer::{Printer, Style};
pub(crate) use progress::{Progress, ProgressStyle, Whole};
pub(crate) use stdout::write_stdout;
