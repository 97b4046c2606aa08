//! The nouns of contactsync: what every other crate speaks and none of them owns.
//!
//! A row enters as bytes, becomes a [`Record`], then a [`Contact`] or a [`Rejection`], then an answer of the API, then
//! a [`Decision`] in the report. Those types, the reasons a row can end for ([`Reason`]), the API's codes
//! ([`ApiCode`]), its wire format ([`wire`]) and answers ([`profile`], [`registered`]) and the limits ([`limits`]) live here. No I/O, no async.

mod code;
mod contact;
mod counters;
mod decision;
mod escape;
mod euid;
mod identity;
mod json;
pub mod limits;
mod numbers;
mod origin;
mod path_text;
pub mod profile;
mod reason;
mod record;
pub mod registered;
mod rejection;
mod shard;
pub mod sheet;
mod unknown_shape;
pub mod wire;

pub use code::{ApiCode, CodeClass};
pub use contact::{Contact, Contacts, Unresolved};
pub use counters::Counters;
pub use decision::{Answered, Decision, Outcome};
pub use escape::{escape_controls, excerpt, looks_like_a_value, shown_name, shown_names};
pub use euid::{Euid, EuidFault};
pub use identity::IdentityKind;
pub use numbers::{NumberHasher, NumberMap, mixed};
pub use origin::Origin;
pub use path_text::path_text;
pub use reason::{Reason, ReasonClass};
pub use record::{Column, Field, Name, Record, RecordBatch, RecordHead, Span, Value, ValueRef};
pub use rejection::Rejection;
pub use shard::{Shard, ShardFault};
pub use unknown_shape::UnknownShape;
