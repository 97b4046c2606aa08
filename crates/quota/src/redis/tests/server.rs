//! A real server for a test, and what may stand between it and a client.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener as StdListener,
    process::{Child, Command, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader as AsyncReader, copy_bidirectional},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// The program that is tested against; another one can be named.
fn program() -> String {
    std::env::var("CONTACTSYNC_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned())
}

pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    options: Vec<String>,
    variables: Vec<(String, String)>,
    folder: TempDir,
}

impl Server {
    /// None where no server is installed, with a word about it.
    pub(super) fn start(options: &[&str]) -> Option<Self> {
        Self::start_with(options, &[])
    }

    pub(super) fn start_with(options: &[&str], variables: &[(&str, &str)]) -> Option<Self> {
        let found = Command::new(program()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            println!("skipped: {} isn't installed", program());
            return None;
        }
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let options: Vec<_> = options.iter().map(|option| (*option).to_owned()).collect();
        let variables: Vec<_> = variables.iter().map(owned).collect();
        let folder = tempfile::tempdir().unwrap();
        // Somebody else may take the port between our look and its bind.
        for _ in 0..20 {
            let port = free_port();
            if let Some(child) = spawn(port, &options, &variables, &folder) {
                return Some(Self { child, port, options, variables, folder });
            }
        }
        panic!("no server could be started");
    }

    /// Whether it was built with TLS.
    pub(super) fn knows_tls() -> bool {
        let port = free_port().to_string();
        let output = Command::new(program()).args(["--tls-port", &port, "--port", "0"]).output();
        // It ends at once: for want of TLS, or of a certificate.
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("No tls-cert-file configured"))
    }

    /// Ends it, and starts an empty one at the same address.
    pub(super) fn restart_empty(&mut self) {
        self.end();
        self.child = spawn(self.port, &self.options, &self.variables, &self.folder).expect("the port is free again");
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// A connection for the test's own commands.
    pub(super) async fn commands(&self) -> MultiplexedConnection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

pub(super) fn free_port() -> u16 {
    StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that says that it is ready; none where it ended instead. A port among the options is used instead of the given one,
/// `PORT` in them is replaced by it.
fn spawn(port: u16, options: &[String], variables: &[(String, String)], folder: &TempDir) -> Option<Child> {
    let port = port.to_string();
    let mut command = Command::new(program());
    if !options.iter().any(|option| option == "--port") {
        command.args(["--port", &port]);
    }
    if !options.iter().any(|option| option == "--bind") {
        command.args(["--bind", "127.0.0.1"]);
    }
    command.args(options.iter().map(|option| option.replace("PORT", &port)));
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
    command.envs(variables.iter().cloned());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (ready, is_ready) = mpsc::sync_channel(1);
    // It writes on, and must not wait for a reader.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if line.contains("eady to accept connections") {
                let _ = ready.try_send(());
            }
        }
    });
    if is_ready.recv_timeout(Duration::from_mins(1)).is_err() {
        let _ = child.kill();
        let _ = child.wait();
        return None;
    }
    Some(child)
}

/// An address that leads to one server or another, as a name does at a failover.
pub(super) struct Relay {
    pub(super) port: u16,
    target: Arc<watch::Sender<u16>>,
}

impl Relay {
    pub(super) async fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(watch::Sender::new(server.port));
        let targets = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut changes = targets.subscribe();
                tokio::spawn(async move {
                    let port = *changes.borrow_and_update();
                    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = changes.changed() => {}
                    }
                });
            }
        });
        Self { port, target }
    }

    /// From now on it leads to that one; connections to the other are cut.
    pub(super) fn lead_to(&self, server: &Server) {
        self.target.send_replace(server.port);
    }

    /// The same, but for connections that there are.
    pub(super) fn lead_newcomers_to(&self, server: &Server) {
        self.target.send_if_modified(|port| {
            *port = server.port;
            false
        });
    }
}

/// A server that answers the same to all but some commands, which are fine.
pub(super) async fn always(answer: &'static str, fine: &'static [&'static str]) -> u16 {
    let instead = move |command: &[String]| Some(if fine.contains(&command[0].as_str()) { "+OK\r\n" } else { answer });
    serve(instead, 0).await
}

/// Stands before a server and answers what `instead` has an answer for.
pub(super) async fn before(
    server: &Server,
    instead: impl Fn(&[String]) -> Option<&'static str> + Send + Sync + 'static,
) -> u16 {
    serve(instead, server.port).await
}

async fn serve(instead: impl Fn(&[String]) -> Option<&'static str> + Send + Sync + 'static, target: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let instead = Arc::new(instead);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let instead = Arc::clone(&instead);
            tokio::spawn(async move {
                let (from_client, mut to_client) = client.into_split();
                let mut from_client = AsyncReader::new(from_client);
                let mut server = None;
                while let Some(command) = read_command(&mut from_client).await {
                    if let Some(answer) = instead(&command) {
                        to_client.write_all(answer.as_bytes()).await.unwrap();
                        continue;
                    }
                    if server.is_none() {
                        let stream = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                        let (read, write) = stream.into_split();
                        server = Some((AsyncReader::new(read), write));
                    }
                    pass_on(&command, server.as_mut().unwrap(), &mut to_client).await;
                }
            });
        }
    });
    port
}

/// An array of strings, as clients send them.
async fn read_command(client: &mut AsyncReader<OwnedReadHalf>) -> Option<Vec<String>> {
    let count = read_line(client).await?.strip_prefix('*')?.parse().ok()?;
    let mut command = Vec::new();
    for _ in 0..count {
        let length: usize = read_line(client).await?.strip_prefix('$')?.parse().ok()?;
        let mut bytes = vec![0; length + 2];
        client.read_exact(&mut bytes).await.ok()?;
        bytes.truncate(length);
        command.push(String::from_utf8(bytes).ok()?);
    }
    Some(command)
}

/// Without its end.
async fn read_line(stream: &mut AsyncReader<OwnedReadHalf>) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

/// Lets the server answer: a line, a string, or an array of strings.
async fn pass_on(
    command: &[String],
    server: &mut (AsyncReader<OwnedReadHalf>, OwnedWriteHalf),
    client: &mut OwnedWriteHalf,
) {
    let mut request = format!("*{}\r\n", command.len());
    for part in command {
        request.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    server.1.write_all(request.as_bytes()).await.unwrap();
    let mut missing = 1;
    while missing > 0 {
        let Some(line) = read_line(&mut server.0).await else { return };
        client.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        missing -= 1;
        if let Some(count) = line.strip_prefix('*') {
            missing += count.parse::<i64>().unwrap().max(0);
        } else if let Some(length) = line.strip_prefix('$').and_then(|length| length.parse::<usize>().ok()) {
            let mut bytes = vec![0; length + 2];
            server.0.read_exact(&mut bytes).await.unwrap();
            client.write_all(&bytes).await.unwrap();
        }
    }
}
