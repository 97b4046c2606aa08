use std::{fmt, io, net::SocketAddr, time::Instant};

use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, aio::MultiplexedConnection};
use secrecy::{ExposeSecret, SecretString};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
};

use super::{CONNECT_TIMEOUT, failure, failure::Failure, script};
use crate::{
    ledger::{Ask, OtherRate},
    quota::Answer,
};

/// A connection that is let in.
pub(super) struct Connection {
    commands: MultiplexedConnection,
    /// Writes and reads. It would go on for as long as an answer is missing.
    driver: JoinHandle<()>,
    /// The server doesn't allow the script to ask for the time.
    tells_time: bool,
}

/// A TCP connection to one of the host's addresses, tried one after the other, each for its share of the time.
pub(super) async fn reach(host: &str, port: u16) -> Result<TcpStream, Failure> {
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, port)).await.map_err(Failure::NotFound)?.collect();
    let share = CONNECT_TIMEOUT / (addresses.len() as u32).max(1);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
    for address in addresses {
        match tokio::time::timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true).map_err(Failure::NotReached)?;
                return Ok(stream);
            }
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(Failure::NotReached(last))
}

impl Connection {
    /// Over a stream; nothing is said yet.
    pub(super) async fn new(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Result<Self, RedisError> {
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (commands, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
        Ok(Self { commands, driver: tokio::spawn(driver), tells_time: false })
    }

    pub(super) async fn authenticate(
        &mut self,
        user: Option<&str>,
        password: Option<&SecretString>,
    ) -> Result<(), RedisError> {
        let mut command = redis::cmd("AUTH");
        if let Some(user) = user {
            command.arg(user);
        }
        // A user without a password takes any.
        command.arg(password.map_or("", |password| password.expose_secret()));
        command.exec_async(&mut self.commands).await
    }

    /// A server that wants a password says so only to a short command, and hangs up at a longer one.
    pub(super) async fn greet(&mut self) -> Result<(), RedisError> {
        match redis::cmd("PING").exec_async(&mut self.commands).await {
            Err(error) if failure::is_forbidden(&error) => Ok(()),
            done => done,
        }
    }

    pub(super) async fn select(&mut self, database: u32) -> Result<(), RedisError> {
        redis::cmd("SELECT").arg(database).exec_async(&mut self.commands).await
    }

    /// What comes of an ask that was made at a time.
    pub(super) async fn ask(
        &mut self,
        key: &str,
        ask: &Ask,
        made: Instant,
    ) -> Result<Result<Answer, OtherRate>, RedisError> {
        if !self.tells_time {
            match self.run(key, ask, made, &[]).await {
                Err(error) if failure::may_be_about_time(&error) => self.tells_time = true,
                done => return done,
            }
        }
        // The ledger's clock stands at this time or a later one that another brought: after the question, in any case.
        let asked = Instant::now();
        let time: [String; 2] = redis::cmd("TIME").query_async(&mut self.commands).await?;
        let done = self.run(key, ask, made, &time).await?;
        Ok(done.map(|answer| Answer { sent: asked, ..answer }))
    }

    /// Runs the script, which the server may not know yet.
    async fn run(
        &mut self,
        key: &str,
        ask: &Ask,
        made: Instant,
        time: &[String],
    ) -> Result<Result<Answer, OtherRate>, RedisError> {
        let (answer, sent) = match self.run_by(script::by_hash(), key, ask, made, time).await {
            Err(error) if failure::is_unknown_script(&error) => {
                self.run_by(script::by_text(), key, ask, made, time).await?
            }
            done => done?,
        };
        let got = Instant::now();
        Ok(script::reply(&answer)?.map(|reply| Answer { reply, sent, got }))
    }

    async fn run_by(
        &mut self,
        mut command: Cmd,
        key: &str,
        ask: &Ask,
        made: Instant,
        time: &[String],
    ) -> Result<(Vec<String>, Instant), RedisError> {
        let sent = Instant::now();
        // Connecting took time that is surely over as well.
        let since = i64::try_from(sent.duration_since(made).as_nanos()).unwrap_or(i64::MAX);
        script::add_arguments(&mut command, key, ask, since);
        command.arg(time);
        Ok((command.query_async(&mut self.commands).await?, sent))
    }

    pub(super) async fn leave(&mut self, key: &str, member: &str) -> Result<(), RedisError> {
        redis::cmd("HDEL").arg(key).arg(script::field_of(member)).exec_async(&mut self.commands).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("tells_time", &self.tells_time).finish_non_exhaustive()
    }
}
