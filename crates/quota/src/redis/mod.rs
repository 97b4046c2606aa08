//! The ledger in Redis or Valkey: a hash, changed by one script on the server's clock.

mod connection;
mod failure;
mod script;
mod tls;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis::RedisError;
use secrecy::SecretString;

use crate::{
    error::QuotaError,
    ledger::{Ask, OtherRate},
    place::{RedisAddress, Which},
    quota::{Answer, Secrets},
};
use connection::Connection;
use failure::Failure;

/// To find the server, connect, agree on TLS and be let in. Whoever isn't heard of for ten seconds is gone: a second try fits in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The script takes some tens of microseconds. A server that needs longer than this is stuck, or isn't there any more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);

/// A rate in Redis.
#[derive(Debug)]
pub(crate) struct SharedRedis {
    address: RedisAddress,
    key: String,
    password: Option<SecretString>,
    tls: Option<Arc<rustls::ClientConfig>>,
    /// Whether this was Redis already.
    is_known: bool,
    /// Taken while something is asked, and put back once its answer was read to its end: no answer meets another's question.
    open: Option<Connection>,
}

impl SharedRedis {
    /// Connects to nobody yet.
    pub(crate) fn new(address: RedisAddress, which: Which, secrets: Secrets) -> Result<Self, QuotaError> {
        // In a cluster all that belongs to a name lies on one node.
        let key = format!("contactsync:{{{}}}:{}", address.key, which.as_str());
        let tls = if address.tls { Some(tls::config(secrets.ca_cert_pem.as_deref())?) } else { None };
        Ok(Self { address, key, password: secrets.password, tls, is_known: false, open: None })
    }

    pub(crate) async fn ask(&mut self, ask: Ask) -> Result<Answer, QuotaError> {
        Ok(self.run(Asking { ask, called: Instant::now() }).await??)
    }

    pub(crate) async fn leave(&mut self, member: &str) -> Result<(), QuotaError> {
        self.run(Leaving { member }).await
    }

    /// Runs an errand at the server. A connection that was closed while nobody used it, or leads to a server that is no primary
    /// any more, is no outage: it is run once more by a new one.
    async fn run<E: Errand>(&mut self, errand: E) -> Result<E::Done, QuotaError> {
        let was_open = self.open.is_some();
        let mut done = self.run_once(&errand).await;
        if was_open && done.as_ref().is_err_and(Failure::is_of_connection) {
            done = self.run_once(&errand).await;
        }
        done.map_err(|failure| failure.told(&self.address, self.password.as_ref(), self.is_known))
    }

    async fn run_once<E: Errand>(&mut self, errand: &E) -> Result<E::Done, Failure> {
        let mut connection = match self.open.take() {
            Some(connection) => connection,
            None => tokio::time::timeout(CONNECT_TIMEOUT, self.connect())
                .await
                .map_err(|_| Failure::NotConnected(CONNECT_TIMEOUT))??,
        };
        let done = tokio::time::timeout(ANSWER_TIMEOUT, errand.run(&mut connection, &self.key))
            .await
            .map_err(|_| Failure::NoAnswer(ANSWER_TIMEOUT))??;
        self.is_known = true;
        self.open = Some(connection);
        Ok(done)
    }

    async fn connect(&self) -> Result<Connection, Failure> {
        let stream = connection::reach(&self.address.host, self.address.port).await?;
        let mut connection = match &self.tls {
            Some(config) => Connection::new(tls::wrap(config, &self.address.host, stream).await?).await?,
            None => Connection::new(stream).await?,
        };
        if self.password.is_some() || self.address.user.is_some() {
            let let_in = connection.authenticate(self.address.user.as_deref(), self.password.as_ref()).await;
            let_in.map_err(|error| Failure::NotLetIn { error, gave_password: self.password.is_some() })?;
        } else {
            connection.greet().await?;
        }
        if self.address.database != 0 {
            connection.select(self.address.database).await.map_err(Failure::NoDatabase)?;
        }
        Ok(connection)
    }
}

/// What is done over a connection, if need be once more over another.
trait Errand {
    type Done;
    fn run(
        &self,
        connection: &mut Connection,
        key: &str,
    ) -> impl Future<Output = Result<Self::Done, RedisError>> + Send;
}

struct Asking {
    ask: Ask,
    called: Instant,
}

impl Errand for Asking {
    type Done = Result<Answer, OtherRate>;
    async fn run(&self, connection: &mut Connection, key: &str) -> Result<Self::Done, RedisError> {
        connection.ask(key, &self.ask, self.called).await
    }
}

struct Leaving<'a> {
    member: &'a str,
}

impl Errand for Leaving<'_> {
    type Done = ();
    async fn run(&self, connection: &mut Connection, key: &str) -> Result<(), RedisError> {
        connection.leave(key, self.member).await
    }
}

#[cfg(test)]
mod tests;
