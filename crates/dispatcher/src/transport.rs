use std::{future::Future, time::Duration};

use crate::certificate::CertificateFault;

/// A way to the service that one worker owns: bytes out, an answer or a broken exchange back. Knows bytes, headers and
/// time, and no policy; so a second kind of request is another path and another body. What it hands on holds no
/// credentials, whatever the other side wrote.
pub trait Line: Send + 'static {
    /// Sends one request. Dropping the future abandons the attempt.
    fn send(&mut self, request: Request) -> impl Future<Output = Result<Reply, Broken>> + Send;
}

/// Makes lines. Those made by one may share connections, which belong to the runtime in which they were opened: another
/// runtime has its own.
pub trait Lines: Send + Sync + 'static {
    /// What it makes.
    type Line: Line;

    /// A line for one worker.
    fn line(&self) -> Self::Line;

    /// Lines to the same service that share no connection with these, for another runtime.
    #[must_use]
    fn for_runtime(&self) -> Self;
}

/// The kinds of requests there are. The outage rule counts the ends of each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestKind {
    /// Sets a user's contacts.
    Contact,
    /// Obtains users by ids.
    Register,
    /// Reads users.
    Profile,
}

impl RequestKind {
    /// All of them, in order.
    pub const ALL: [Self; 3] = [Self::Contact, Self::Register, Self::Profile];

    /// The quota that it counts against.
    pub(crate) fn quota(self) -> Quota {
        match self {
            Self::Contact | Self::Register => Quota::Sending,
            Self::Profile => Quota::Reading,
        }
    }
}

/// What the service limits by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quota {
    Sending,
    Reading,
}

impl Quota {
    pub(crate) const ALL: [Self; 2] = [Self::Sending, Self::Reading];
}

/// Something of each quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ByQuota<T> {
    pub(crate) sending: T,
    pub(crate) reading: T,
}

impl<T> ByQuota<T> {
    pub(crate) fn get(&self, quota: Quota) -> &T {
        match quota {
            Quota::Sending => &self.sending,
            Quota::Reading => &self.reading,
        }
    }

    pub(crate) fn get_mut(&mut self, quota: Quota) -> &mut T {
        match quota {
            Quota::Sending => &mut self.sending,
            Quota::Reading => &mut self.reading,
        }
    }
}

/// A `POST` of a JSON body.
#[derive(Debug, Clone)]
pub struct Request {
    /// Path below the base URL.
    pub path: &'static str,
    /// JSON.
    pub body: Vec<u8>,
    /// Use no kept connection: what is asked is whether the service can be reached.
    pub fresh_connection: bool,
}

/// What came back: any HTTP answer.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Header `Retry-After`, as it stands.
    pub retry_after: Option<String>,
    /// Header `Date`, as it stands.
    pub date: Option<String>,
    /// The body's first [`model::limits::MAX_ANSWER_BYTES`], or [`model::limits::MAX_DATA_ANSWER_BYTES`] where users were
    /// asked for.
    pub body: Vec<u8>,
    /// The body broke off: what it says doesn't count, only status and headers do.
    pub broke_off: bool,
}

/// No answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Broken {
    /// Nothing came in time.
    #[error("no answer within {}", seconds(.0))]
    Timeout(Duration),
    /// The server's certificate doesn't verify.
    #[error("the server's certificate doesn't verify: {0}")]
    Certificate(CertificateFault),
    /// The connection could not be made, or broke.
    #[error("{cause}")]
    Network {
        /// What the system said.
        cause: String,
        /// A kept connection died before any byte of an answer: most likely the server had closed it when idle.
        stale_connection: bool,
    },
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_secs_f64())
}
