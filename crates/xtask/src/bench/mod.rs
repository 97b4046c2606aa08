//! `cargo xtask bench`: how quick contactsync is, beside what else could do the work, in one run.
//!
//! Machines differ and are never quiet, so every case runs in rounds, one after the other and backwards in every
//! second round, and what is worth reading are ratios between runs of the same round.

mod case;
mod check;
mod clients;
mod delayed;
mod goals;
mod ids;
mod inputs;
mod nightly;
mod nights;
mod paced;
mod peers;
mod process;
mod push;
mod records;
mod report;
mod server;
mod serving;
mod shared;
mod start;
mod users;
mod verify;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};

pub(crate) use self::{
    check::{BaselineArgs, baseline},
    clients::{ClientArgs, client},
    process::{MeasuredArgs, measured},
    report::{ReadArgs, read as read_report},
    serving::{ServeArgs, serve},
};
use self::{goals::Goals, process::say};

/// Options of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// What to measure [default: all]
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// A look rather than a measurement: a twentieth of the size, two rounds
    #[arg(long)]
    quick: bool,
    /// Sizes as a multiple of the full ones
    #[arg(long, conflicts_with = "quick")]
    scale: Option<f64>,
    /// How often each case runs [default: 5]
    #[arg(long)]
    rounds: Option<usize>,
    /// Measure this program rather than build the release
    #[arg(long)]
    program: Option<PathBuf>,
    /// Leave the other tools out
    #[arg(long)]
    no_peers: bool,
}

/// Cases that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Group {
    /// 100,000 rows as quick as they go, beside other clients
    Push,
    /// A server that takes 20 ms, and one that takes 200 ms, for each answer
    Delayed,
    /// 100 to 20,000 requests a second
    Paced,
    /// `check` beside bare parsers
    Check,
    /// `--resume` behind ten million decided rows
    Resume,
    /// `replay` over ten million records
    Replay,
    /// The page of ten million records
    Report,
    /// Ten million rows with `--state`, beside an anti-join
    Nightly,
    /// Rows keyed by ids of one's own, beside the same rows keyed by EUIDs
    Ids,
    /// Reading back what the service holds of ten million rows, and comparing instead of sending
    Verify,
    /// Three and thirty processes on one rate, by a file, Redis and Valkey
    Shared,
    /// How long until something happens
    Start,
}

/// What all groups need.
struct Bench {
    /// The program that is measured.
    program: PathBuf,
    /// Where inputs and outputs lie.
    folder: PathBuf,
    scale: f64,
    rounds: usize,
    peers: bool,
}

impl Bench {
    /// So much of a full size, at least `least`.
    fn scaled(&self, full: u64, least: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(least)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The program, with what every run needs.
    fn contactsync(&self, command: &str) -> Command {
        let mut made = Command::new(&self.program);
        made.arg(command).arg("-q");
        // The sandbox's own; the other servers look at none.
        made.env("ENGAGELAB_MA_API_KEY", "sandbox-key").env("ENGAGELAB_MA_API_SECRET", "sandbox-secret");
        // A configuration of somebody's must not be measured.
        made.current_dir(&self.folder).env("XDG_CONFIG_HOME", &self.folder);
        made
    }
}

/// `bench`.
pub(crate) fn bench(args: &BenchArgs) -> anyhow::Result<()> {
    let folder = target().join("bench");
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be created", folder.display()))?;
    let program = match &args.program {
        Some(program) => program.canonicalize().with_context(|| format!("{} is not there", program.display()))?,
        None => build()?,
    };
    let scale = args.scale.unwrap_or(if args.quick { 0.05 } else { 1.0 });
    let rounds = args.rounds.unwrap_or(if args.quick { 2 } else { 5 }).max(1);
    let bench = Bench { program, folder: folder.canonicalize()?, scale, rounds, peers: !args.no_peers };
    let all: Vec<Group> = Group::value_variants().to_vec();
    let groups = if args.groups.is_empty() { &all } else { &args.groups };
    let mut goals = Goals::default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    say(&format!("{cores} cores, {rounds} rounds, {scale} × the full sizes; median (least–most)"))?;
    for group in groups {
        if let Some(load) = load() {
            say(&format!("\n(load of the machine before this: {load})"))?;
        }
        match group {
            Group::Push => push::measure_group(&bench, &mut goals)?,
            Group::Delayed => delayed::measure(&bench, &mut goals)?,
            Group::Paced => paced::measure(&bench, &mut goals)?,
            Group::Check => check::measure(&bench, &mut goals)?,
            Group::Resume => records::resume(&bench, &mut goals)?,
            Group::Replay => records::replay(&bench, &mut goals)?,
            Group::Report => report::measure(&bench)?,
            Group::Nightly => nightly::measure(&bench, &mut goals)?,
            Group::Ids => ids::measure(&bench, &mut goals)?,
            Group::Verify => verify::measure(&bench, &mut goals)?,
            Group::Shared => shared::measure(&bench, &mut goals)?,
            Group::Start => start::measure(&bench, &mut goals)?,
        }
    }
    goals.print()
}

/// How many processes wanted to run in the last minute, where the system says it: figures of a busy machine are worth less.
fn load() -> Option<String> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    Some(text.split_whitespace().next()?.to_owned())
}

fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// The commands that are measured are built as they are shipped.
fn build() -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo).args(["build", "--release", "--locked", "--package", "contactsync"]).status()?;
    if !built.success() {
        bail!("contactsync can't be built");
    }
    Ok(target().join("release/contactsync").canonicalize()?)
}
