//! Decides locally what may leave the machine.
//!
//! In goes a [`model::Record`], out comes [`Accepted`] (a view of the record that turns into a [`model::Contact`], or where
//! rows are keyed by ids into a [`model::Unresolved`]) or a [`model::Rejection`]. Pure: no I/O, and a good record costs no allocation. What depends on
//! a column alone is found out once for its header.

mod columns;
mod euid;
mod glance;
mod id;
mod repeated;
mod rules;
mod sharding;
mod validator;
mod value;

pub use id::{IdRules, stands_for_nothing, trimmed_id};
pub use rules::{EmptyValues, Rules};
pub use sharding::{Place, Sharding};
pub use validator::{Accepted, Key, Validator, would_send};
