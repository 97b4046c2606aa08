//! The heart: sends contacts under a rate, an in-flight limit, order per EUID, retries and the outage rule.
//!
//! In go rows from the validator ([`Intake`]), out come [`model::Decision`]s, in order of decision. [`Dispatcher::run`] ends
//! when every row was decided, or when the run was asked to [`Stop`] and nothing is under way any more. Requests go over
//! [`Line`]s, one a worker: those of [`HttpLines`] in earnest, scripted ones in tests.
//!
//! Rows are pulled. `admission` lets in as many as there is room for, to lanes by EUID; whose turn has come is ready; workers
//! (`worker`) take what is ready, as far as the `pace` gives leave, and send it over their own line. All that they share is
//! one `scheduler`, which decides and never waits; the `timer` is the only one that waits for time to pass.

mod admission;
mod answer;
mod asked;
mod asker;
mod asking;
mod backoff;
mod canary;
mod certificate;
mod client;
mod effects;
mod failures;
mod handing_on;
mod happening;
mod http;
mod idle;
mod intake;
mod job;
mod lanes;
mod leave;
mod memory;
mod mint;
mod minting;
mod outage;
mod outbox;
mod pace;
mod ready;
mod recalling;
mod renamed;
mod resolver;
mod resolving;
mod retry_after;
mod reuse;
mod room;
mod run;
mod scheduler;
mod scrub;
mod settings;
mod shared;
mod stop;
mod timer;
mod transport;
mod verdict;
mod worker;

pub use asked::{Asked, Ended};
pub use asker::Asker;
pub use canary::{Canary, CanaryWatch};
pub use certificate::CertificateFault;
pub use client::{Poster, TransportError, is_loopback, post_json};
pub use happening::{Happening, Listener};
pub use http::{HttpLine, HttpLines};
pub use intake::Intake;
pub use memory::{Batches, BoxFuture, Memory, Recall, Recalled, Turn};
pub use mint::{Lease, Mint, MintAsk, MintError, Minted, Pause, Plan};
pub use resolver::{Resolver, Unresolvable};
pub use retry_after::http_date;
pub use run::{Dispatched, Dispatcher};
pub use settings::{DEFAULT_OUTAGE_WAIT, HttpSettings, MaxFailures, Rate, Settings};
pub use stop::{Stop, StopCause};
pub use transport::{Broken, Line, Lines, Reply, Request, RequestKind};
pub use verdict::{Codes, Denial, Verdict, Wait, judge};
