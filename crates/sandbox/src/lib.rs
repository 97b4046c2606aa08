//! An imitation of the EngageLab MA API on this machine, with faults on demand and a record of what arrived.
//!
//! In go HTTP requests as the API documentation has them, out come answers with the documented codes. What the
//! documentation says is checked is checked; what it doesn't say is not invented. Every code is answered under HTTP
//! 200, since the documentation names no status.

mod arrivals;
mod check;
mod euids;
mod fault;
mod options;
mod record;
mod server;
mod shape;

pub use fault::{Fault, FaultError};
pub use options::{Limit, Recording, SandboxOptions};
pub use record::{Arrived, AskedId, Record, Stats};
pub use server::{Sandbox, StartError};
pub use shape::{NoSuchShape, ProfileShape};
