//! Servers that a test starts: on loopback, in a folder of their own, gone with the test however it ends.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

pub(super) struct Server {
    child: Child,
    how_to_stop: Signal,
    folder: TempDir,
}

/// A user to run as.
#[derive(Clone, Copy)]
pub(super) struct User(Option<(u32, u32)>);

impl User {
    pub(super) fn ourselves() -> Self {
        Self(None)
    }

    /// This one where we may become another, which databases ask for; else ourselves.
    pub(super) fn named(name: &str) -> Option<Self> {
        if !geteuid().is_root() {
            return Some(Self(None));
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let line = users.lines().find_map(|line| line.strip_prefix(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(1).map(|field| field.parse().unwrap());
        Some(Self(Some((fields.next()?, fields.next()?))))
    }

    /// A command that it runs.
    pub(super) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Self(Some((user, group))) = self {
            command.uid(user).gid(group);
        }
        command
    }

    /// An empty folder of its own.
    pub(super) fn folder(self) -> TempDir {
        let folder = TempDir::new().unwrap();
        if let Self(Some((user, group))) = self {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        folder
    }
}

impl Server {
    /// Starts it, and waits for the line of standard error in which it says that it is ready.
    pub(super) fn start(mut command: Command, ready: &str, how_to_stop: Signal, folder: TempDir) -> (Self, String) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let server = Self { child, how_to_stop, folder };
        let mut said = Vec::new();
        let line = lines.by_ref().find(|line| {
            said.push(line.clone());
            line.contains(ready)
        });
        let line = line.unwrap_or_else(|| panic!("the server ended:\n{}", said.join("\n")));
        // It writes on, and must not wait for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        (server, line)
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), self.how_to_stop);
        let _ = self.child.wait();
    }
}
