//! The servers that benchmarks talk to, each a process of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::{process::installed, serving::Arrivals};

/// A server that runs; ends when dropped.
pub(crate) struct Server {
    child: Child,
    /// Its base URL.
    pub(crate) url: String,
    /// Held, since a pipe that nobody holds is an error to whoever writes to it.
    said: Option<Box<dyn Read>>,
}

impl Server {
    /// contactsync's own sandbox.
    pub(crate) fn sandbox(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["sandbox", "--listen", "127.0.0.1:0", "--latency", "0ms"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let said = child.stderr.take().context("the sandbox's standard error")?;
        Self::listening(child, said)
    }

    /// The benchmarks' own, which answers after so many milliseconds and counts.
    pub(crate) fn counting(latency_ms: u64) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "--latency-ms", &latency_ms.to_string()]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let said = child.stdout.take().context("the server's standard output")?;
        Self::listening(child, said)
    }

    /// nginx with one worker, answering every `POST` with plain success; none where it isn't installed.
    pub(crate) fn nginx(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some(program) = installed("nginx") else { return Ok(None) };
        let folder = folder.join("nginx");
        fs::create_dir_all(&folder)?;
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        fs::write(folder.join("nginx.conf"), nginx_configuration(port))?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf")).arg("-e").arg(folder.join("errors"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut server = Self { child, url: format!("http://127.0.0.1:{port}"), said: None };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if server.child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(10) {
                bail!("nginx does not start: {}", fs::read_to_string(folder.join("errors")).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Some(server))
    }

    /// A server that says its URL in a line of its own.
    fn listening(child: Child, said: impl Read + 'static) -> anyhow::Result<Self> {
        let mut server = Self { child, url: String::new(), said: None };
        let mut said = BufReader::new(said);
        let mut line = String::new();
        while !line.contains("http://") {
            line.clear();
            if said.read_line(&mut line)? == 0 {
                bail!("a server does not start");
            }
        }
        let at = line.find("http://").unwrap_or_default();
        line.split_off(at).trim().trim_end_matches('/').clone_into(&mut server.url);
        server.said = Some(Box::new(said));
        Ok(server)
    }

    /// What arrived at [`Server::counting`] since this was last asked.
    pub(crate) fn arrivals(&self) -> anyhow::Result<Arrivals> {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host)?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the server's answer has no body")?;
        Ok(serde_json::from_str(body)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // nginx takes its worker with it when it is asked, not when it is killed.
        let asked = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM);
        if asked.is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn nginx_configuration(port: u16) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    keepalive_requests 1000000000;
    default_type application/json;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{ return 200 '{{\"code\":0,\"message\":\"success\"}}'; }}
    }}
}}
"
    )
}
