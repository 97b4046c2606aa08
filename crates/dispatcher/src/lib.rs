//! The heart: sends contacts under a rate, an in-flight limit, order per EUID, retries and the outage rule.
//!
//! In go rows from the validator ([`Intake`]), out come [`model::Decision`]s, in order of decision. [`run`] ends when
//! every row was decided, or when the run was asked to [`Stop`] and nothing is under way any more.

mod settings;
mod stop;

pub use settings::{DEFAULT_OUTAGE_WAIT, HttpSettings, MaxFailures, Rate, Settings};
pub use stop::{Stop, StopCause};
