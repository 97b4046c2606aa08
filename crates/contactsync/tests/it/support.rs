//! Runs the built program in a folder of its own, with nothing of the caller's environment.

use std::{
    ffi::OsStr,
    fmt,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A folder to run the program in.
pub(crate) struct Workplace {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// Says that a test was skipped, and why, whether it passes or not.
pub(crate) fn skipped(why: &str) {
    std::io::stdout().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}

/// The signals that end a program, each with the status of that; not the one of a terminal that is gone where the tests
/// themselves run under `nohup`, which the program inherits.
pub(crate) fn ending_signals() -> Vec<(Signal, i32)> {
    let mut all = vec![(Signal::INT, 130), (Signal::TERM, 143)];
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    match ignored.and_then(|mask| u64::from_str_radix(mask, 16).ok()) {
        // Signals count from 1 on.
        Some(mask) if mask & (1 << (Signal::HUP.as_raw() - 1)) != 0 => skipped("SIGHUP is ignored here"),
        _ => all.push((Signal::HUP, 129)),
    }
    all
}

/// What a run left behind.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), variables: Vec::new() }
    }

    /// Sets a variable for all runs from here on.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Writes a file, mode 0600.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        self.mode(name, 0o600);
        path
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        std::fs::set_permissions(self.path(name), PermissionsExt::from_mode(mode)).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Its text, or nothing while it isn't there.
    pub(crate) fn read_if_there(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The lines of a file, each as JSON.
    pub(crate) fn json_lines(&self, name: &str) -> Vec<serde_json::Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_contactsync"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("HOME", self.path("home")).envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ran {
        finish(self.command(arguments).spawn().unwrap())
    }

    pub(crate) fn run_with_stdin<A: AsRef<OsStr>>(&self, arguments: &[A], stdin: &[u8]) -> Ran {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        let bytes = stdin.to_owned();
        let writer = std::thread::spawn(move || {
            // The program may end before it has read everything.
            let _ = pipe.write_all(&bytes);
        });
        let ran = finish(child);
        writer.join().unwrap();
        ran
    }
}

/// A program that goes on until it is stopped; ended with the test that started it.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().unwrap()))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&mut self, signal: Signal) {
        kill_process(Pid::from_child(self.child()), signal).unwrap();
    }

    /// Waits for a condition. Fails the test, showing what the program said, where it has ended before.
    #[track_caller]
    pub(crate) fn until(&mut self, what: &str, mut condition: impl FnMut() -> bool) {
        while !condition() {
            let has_ended = self.child().try_wait().unwrap().is_some();
            // The last thing it did may be what was waited for.
            let is_in_vain = has_ended && !condition();
            assert!(!is_in_vain, "ended before {what}\n{}", finish(self.0.take().unwrap()));
            std::thread::yield_now();
        }
    }

    /// Waits until what it says on standard error ends with this text, and gives all that was said since it was asked
    /// last. Fails the test where the program says no more.
    #[track_caller]
    pub(crate) fn until_it_says(&mut self, text: &str) -> String {
        let mut said = Vec::new();
        let mut byte = [0];
        while !said.ends_with(text.as_bytes()) {
            let read = self.child().stderr.as_mut().unwrap().read(&mut byte).unwrap();
            assert_ne!(read, 0, "never said: {text}\n{}", String::from_utf8_lossy(&said));
            said.push(byte[0]);
        }
        String::from_utf8(said).unwrap()
    }

    /// Waits until it ends; its standard input stays open for as long.
    pub(crate) fn finish(mut self) -> Ran {
        let mut child = self.0.take().unwrap();
        let stdin = child.stdin.take();
        let ran = finish(child);
        drop(stdin);
        ran
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a child and gathers what it wrote.
pub(crate) fn finish(child: Child) -> Ran {
    let output = child.wait_with_output().unwrap();
    Ran {
        status: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Ran {
    /// Fails the test, showing everything, where the status is another one.
    #[track_caller]
    pub(crate) fn ends_with(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self}");
        self
    }

    /// Fails the test where standard error doesn't hold this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "not said: {text}\n{self}");
        self
    }

    /// Fails the test where either stream holds this text.
    #[track_caller]
    pub(crate) fn never_says(self, text: &str) -> Self {
        assert!(!self.stderr.contains(text) && !self.stdout.contains(text), "said: {text}\n{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status: {:?}", self.status)?;
        writeln!(f, "--- standard output\n{}--- standard error\n{}---", self.stdout, self.stderr)
    }
}

/// A file of the repository's `fixtures` folder.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures").join(name)
}
