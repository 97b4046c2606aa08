//! What people see on standard error: messages, log, progress. One printer writes all of it, so that lines stay whole,
//! a bar is not torn and control characters are escaped; a thread of its own does the writing, so that a standard error
//! that is closed, or that nobody reads, stops nothing. A log file gets the same, by the same way.

mod bar;
mod late_writer;
mod log;
mod log_file;
mod printer;
mod progress;
mod stdout;

pub(crate) use late_writer::LateWriter;
pub(crate) use log::start_log;
pub(crate) use log_file::LogFile;
pub(crate) use printer::{Printer, Style};
pub(crate) use progress::{Progress, ProgressStyle, Whole, Work};
pub(crate) use stdout::write_stdout;
