//! One rate for several processes: whoever names the same place shares it, on one machine by a file ([`Place::File`]), across
//! machines by Redis or Valkey ([`Place::Redis`]).
//!
//! In goes how many starts are wanted and for how long the service asked everybody to wait ([`Quota::ask`]); out come starts,
//! each with the time for which it is planned, and what others were asked to wait ([`Granted`]).
//!
//! At the place lies a [`Ledger`]: up to when starts are planned, who shares the rate, until when nobody starts. It is read
//! and written under a lock, or by one script in Redis, which does the same. Starts are planned one after the other on the
//! ledger's own clock, which only ever goes forward and leaves out what is no time (somebody who sets a clock). A process
//! ([`Member`]) plans a few starts ahead, at most 50 ms of the rate or one start, uses each from its time on, and loses what
//! it doesn't use soon after. So whoever dies costs the others no more, and turns go round.
//!
//! [`Ledger`] and [`Member`] are pure, with time as an argument: all of it can be played on paper clocks.

mod error;
mod file;
mod ledger;
mod member;
mod place;
mod quota;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
mod terms;

pub use error::QuotaError;
pub use ledger::{Ask, FRESH, Identity, LONGEST_LEASE, Ledger, OtherRate, Reply};
pub use member::{Granted, Member, Starts, Step};
pub use place::{Place, PlaceError, RedisAddress, Which};
pub use quota::{Quota, Secrets};
pub use terms::{Terms, Wait};
