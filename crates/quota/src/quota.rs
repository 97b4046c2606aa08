use std::time::{Duration, Instant};

use crate::{
    error::QuotaError,
    file::SharedFile,
    ledger::{Ask, Reply},
    member::{Granted, Member, Step},
    place::{Place, Which},
    terms::{Terms, Wait},
};

/// A process's part in a shared rate. It is there for others from the first ask on, and gone when it leaves or wasn't heard of
/// for ten seconds.
#[derive(Debug)]
pub struct Quota {
    member: Member,
    backend: Backend,
    /// The process's clock is told from then on.
    origin: Instant,
}

#[derive(Debug)]
enum Backend {
    File(SharedFile),
    #[cfg(feature = "redis")]
    Redis(Box<crate::redis::SharedRedis>),
}

/// An answer, with the moments between which it was made.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) reply: Reply,
    pub(crate) sent: Instant,
    pub(crate) got: Instant,
}

impl Quota {
    /// Shares one of the rates of a place under these terms. `name` is the process's own, letters and digits. Nothing is asked
    /// yet.
    pub fn new(place: Place, which: Which, name: String, terms: Terms, secrets: Secrets) -> Result<Self, QuotaError> {
        let backend = match place {
            Place::File(path) => Backend::File(SharedFile::new(path, which)),
            #[cfg(feature = "redis")]
            Place::Redis(address) => Backend::Redis(Box::new(crate::redis::SharedRedis::new(address, which, secrets)?)),
            #[cfg(not(feature = "redis"))]
            Place::Redis(_) => {
                return Err(QuotaError::Refused(
                    "this build can't speak with Redis: it lacks the feature `redis`".to_owned(),
                ));
            }
        };
        #[cfg(not(feature = "redis"))]
        drop(secrets);
        Ok(Self { member: Member::new(name, terms), backend, origin: Instant::now() })
    }

    /// Asks for starts beside those that it has, and says for how long nobody is to start. May take its time; dropped in
    /// between, it may have lost what was given.
    pub async fn ask(&mut self, want: u32, hold: Wait) -> Result<Granted, QuotaError> {
        let now = self.local(Instant::now());
        let ask = match self.member.step(want, hold, now, nonce()) {
            Step::Ask(ask) => ask,
            Step::WaitUntil(at) => return Ok(Granted::nothing_before(at, now)),
        };
        match self.backend.ask(ask).await {
            Ok(Answer { reply, sent, got }) => Ok(self.member.answered(&reply, self.local(sent), self.local(got))),
            Err(error) => {
                self.member.forget();
                Err(error)
            }
        }
    }

    /// Whether the place can be reached and others share it at the same rate, if at all; and for how long nobody is to start.
    /// Changes nothing there.
    pub async fn look(&mut self) -> Result<Wait, QuotaError> {
        let now = self.local(Instant::now());
        let Step::Ask(ask) = self.member.step(0, Wait::default(), now, nonce()) else { return Ok(Wait::default()) };
        self.backend.ask(Ask { peek: true, ..ask }).await.map(|answer| answer.reply.wait)
    }

    /// Others needn't reckon with it any more.
    pub async fn leave(&mut self) -> Result<(), QuotaError> {
        self.backend.leave(self.member.name()).await
    }

    /// The rate that the process names.
    pub fn terms(&self) -> &Terms {
        self.member.terms()
    }

    /// A time of [`Granted`] or of [`crate::Starts`] on the clock that the process has.
    pub fn instant(&self, local: i64) -> Instant {
        let time = Duration::from_nanos(local.unsigned_abs());
        let instant = if local < 0 { self.origin.checked_sub(time) } else { self.origin.checked_add(time) };
        // A year is as good as for ever.
        instant.unwrap_or(self.origin + Duration::from_hours(24 * 365))
    }

    fn local(&self, instant: Instant) -> i64 {
        i64::try_from(instant.saturating_duration_since(self.origin).as_nanos()).unwrap_or(i64::MAX / 4)
    }
}

impl Backend {
    async fn ask(&mut self, ask: Ask) -> Result<Answer, QuotaError> {
        match self {
            Self::File(file) => file.ask(ask).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.ask(ask).await,
        }
    }

    async fn leave(&mut self, member: &str) -> Result<(), QuotaError> {
        match self {
            Self::File(file) => file.leave(member).await,
            #[cfg(feature = "redis")]
            Self::Redis(redis) => redis.leave(member).await,
        }
    }
}

/// What a place may need to be let in.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    /// The password of Redis.
    pub password: Option<secrecy::SecretString>,
    /// Further certificate authorities to trust, PEM.
    pub ca_cert_pem: Option<Vec<u8>>,
}

/// At least 1, and exact in a script's floating point.
fn nonce() -> u64 {
    let random = getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()));
    (random >> 11).max(1)
}
