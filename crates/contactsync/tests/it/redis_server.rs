//! A real Redis (or Valkey) for a test.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::support::skipped;

pub(crate) struct RedisServer {
    program: String,
    password: String,
    child: Child,
    port: u16,
    folder: TempDir,
}

impl RedisServer {
    /// One that wants this password. None where no server is installed, with a word about it.
    pub(crate) fn with_password(password: &str) -> Option<Self> {
        let program = std::env::var("CONTACTSYNC_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let found = Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            skipped(&format!("{program} isn't installed"));
            return None;
        }
        // Somebody else may take a port between our look and its bind.
        for _ in 0..20 {
            let (port, folder) = (free_port(), TempDir::new().unwrap());
            if let Some(child) = serve(&program, password, port, &folder) {
                return Some(Self { program, password: password.to_owned(), child, port, folder });
            }
        }
        panic!("no server could be started");
    }

    /// It is gone, with all that it knew.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// An empty one comes in its place.
    pub(crate) fn start_again(&mut self) {
        let child = serve(&self.program, &self.password, self.port, &self.folder);
        self.child = child.expect("nobody has taken its port");
    }

    pub(crate) fn url(&self, key: &str) -> String {
        format!("redis://127.0.0.1:{}?key={key}", self.port)
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// None where it ends at once: its port is taken.
fn serve(program: &str, password: &str, port: u16, folder: &TempDir) -> Option<Child> {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--requirepass", password]);
    command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    if !lines.any(|line| line.contains("eady to accept connections")) {
        let _ = child.wait();
        return None;
    }
    // It writes on, and must not wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    Some(child)
}

/// One that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
