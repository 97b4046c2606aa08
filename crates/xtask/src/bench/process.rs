//! Runs a command and says what it took.
//!
//! The system counts CPU, switches and peak memory of a process's ended children. So each command runs below a small
//! process of its own, which has no other child, and whose memory is too little to be taken for the command's.

use std::{
    ffi::OsString,
    fs::File,
    io::{Write, stdout},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

/// Options of `measured`.
#[derive(Debug, Args)]
pub(crate) struct MeasuredArgs {
    /// Where the figures are written
    figures: PathBuf,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What a command took.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// From its start to its end.
    pub(crate) seconds: f64,
    /// User and system time of all its threads, in microseconds.
    pub(crate) cpu_us: f64,
    /// How often a thread of it waited for something.
    pub(crate) switches: f64,
    pub(crate) peak_kib: f64,
    /// When it was started, in nanoseconds since 1970-01-01T00:00:00Z.
    pub(crate) started_ns: u64,
}

/// Runs a command that must succeed. What it writes to standard output is kept in a file.
pub(crate) fn measure(command: &Command, folder: &std::path::Path) -> anyhow::Result<(Usage, PathBuf)> {
    let [figures, output, errors] = ["figures.json", "stdout", "stderr"].map(|name| folder.join(name));
    let mut wrapped = Command::new(std::env::current_exe()?);
    wrapped.arg("measured").arg(&figures).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(current) = command.get_current_dir() {
        wrapped.current_dir(current);
    }
    wrapped.stdin(Stdio::null()).stdout(File::create(&output)?).stderr(File::create(&errors)?);
    let ended = wrapped.status()?;
    if !ended.success() {
        let said = std::fs::read_to_string(&errors).unwrap_or_default();
        bail!("{} ended with {ended}: {}", command.get_program().display(), said.trim());
    }
    let text = std::fs::read(&figures).context("the figures of a run can't be read")?;
    Ok((serde_json::from_slice(&text)?, output))
}

/// `measured`: the small process between the benchmark and a command.
pub(crate) fn measured(args: &MeasuredArgs) -> anyhow::Result<()> {
    let Some((program, rest)) = args.command.split_first() else { bail!("a command is needed") };
    let started_ns = unix_ns();
    let started = Instant::now();
    let ended = Command::new(program).args(rest).status()?;
    let seconds = started.elapsed().as_secs_f64();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let us = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64;
    let figures = Usage {
        seconds,
        cpu_us: us(usage.user_time()) + us(usage.system_time()),
        switches: usage.voluntary_context_switches() as f64,
        peak_kib: usage.max_rss() as f64,
        started_ns,
    };
    std::fs::write(&args.figures, serde_json::to_vec(&figures)?)?;
    if !ended.success() {
        bail!("{ended}");
    }
    Ok(())
}

/// The time of day.
pub(crate) fn unix_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
}

/// A line on standard output.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{line}")?)
}

/// Takes a file away, if it is there.
pub(crate) fn remove(path: &std::path::Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Where a program of this name lies, if it is installed. Servers often lie where only administrators look.
pub(crate) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")]);
    folders.map(|folder| folder.join(name)).find(|program| program.is_file())
}
