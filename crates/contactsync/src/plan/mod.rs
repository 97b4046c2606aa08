//! The plan: what a push would do, found out by reading the whole input before anything is sent. It is made where an
//! option needs it: a limit on the whole input ([`Limits`]), or `--dry-run`.

mod counted;
mod known;
mod limits;
mod names;
mod pass;
mod reading;
mod summary;

pub(crate) use counted::Counted;
pub(crate) use known::Known;
pub(crate) use limits::Limits;
pub(crate) use pass::{Pass, Shown};
pub(crate) use reading::ServiceLook;
pub(crate) use summary::PlanSummary;
