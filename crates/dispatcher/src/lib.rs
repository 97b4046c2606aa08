//! The heart: sends contacts under a rate, an in-flight limit, order per EUID, retries and the outage rule.
//!
//! In go rows from the validator ([`Intake`]), out come [`model::Decision`]s, in order of decision. [`run`] ends when
//! every row was decided, or when the run was asked to [`Stop`] and nothing is under way any more. Requests go through
//! [`Lines`]: [`HttpLines`] in earnest, scripted ones in tests.
//!
//! The layers, outside in: row permit, lane, attempt loop, outage gate, in-flight permit, rate token, timeout, HTTP.

mod answer;
mod attempts;
mod backoff;
mod certificate;
mod client;
mod failures;
mod http;
mod lanes;
mod outage;
mod pace;
mod retry_after;
mod reuse;
mod run;
mod scrub;
mod settings;
mod stop;
mod transport;
mod verdict;

pub use certificate::CertificateFault;
pub use client::{TransportError, is_loopback, post_json};
pub use http::{HttpLine, HttpLines};
pub use retry_after::http_date;
pub use run::{Dispatched, Intake, run};
pub use settings::{DEFAULT_OUTAGE_WAIT, HttpSettings, MaxFailures, Rate, Settings};
pub use stop::{Stop, StopCause};
pub use transport::{Broken, Line, Lines, Reply, Request, RequestKind};
pub use verdict::{Codes, Denial, Verdict, Wait, judge};
