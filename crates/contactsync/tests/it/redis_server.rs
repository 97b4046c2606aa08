//! A real Redis (or Valkey) for a test.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

pub(crate) struct RedisServer {
    child: Child,
    port: u16,
    _folder: TempDir,
}

impl RedisServer {
    /// One that wants this password. None where no server is installed, with a word about it.
    pub(crate) fn with_password(password: &str) -> Option<Self> {
        let program = std::env::var("CONTACTSYNC_TEST_REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let found = Command::new(&program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !found.is_ok_and(|status| status.success()) {
            // Shown whether the test passes or not.
            std::io::stdout().write_all(format!("skipped: {program} isn't installed\n").as_bytes()).unwrap();
            return None;
        }
        // Somebody else may take a port between our look and its bind.
        for _ in 0..20 {
            let (port, folder) = (free_port(), TempDir::new().unwrap());
            let mut command = Command::new(&program);
            command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--requirepass", password]);
            command.args(["--save", "", "--appendonly", "no", "--dir"]).arg(folder.path());
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
            let is_ready = lines.any(|line| line.contains("eady to accept connections"));
            let server = Self { child, port, _folder: folder };
            if is_ready {
                // It writes on, and must not wait for a reader.
                std::thread::spawn(move || lines.for_each(drop));
                return Some(server);
            }
        }
        panic!("no server could be started");
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

/// One that nobody listens at.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
