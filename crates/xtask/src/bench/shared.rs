//! Many processes on one rate: how much of it they use together, what arrives in a second at most, what each gets.

use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{
    Bench,
    case::Spread,
    goals::{Bound, Goals},
    inputs::csv,
    process::{installed, remove, say},
    server::Server,
};

/// Attempts a second that the processes share, and how many may start at once by default.
const RATE: u64 = 300;
const BURST: u64 = 3;
/// By then all take part.
const BEFORE: Duration = Duration::from_secs(4);

/// What happens while they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Nothing,
    /// One after the other is killed, and another takes its place.
    Kills,
    /// The server that keeps the rate is killed, and an empty one comes back in its place.
    FailsOver,
}

/// The group `shared`.
pub(crate) fn measure(bench: &Bench, goals: &mut Goals) -> anyhow::Result<()> {
    say(&format!("\n## {RATE}/s shared by several processes\n"))?;
    say(
        "| place | processes | | use of the rate | most in a second | least and most share |\n|---|---|---|---|---|---|",
    )?;
    let mut all = Vec::new();
    for server in [None, Some("redis-server"), Some("valkey-server")] {
        let program =
            server.and_then(|name| std::env::var_os(variable(name)).map(PathBuf::from).or_else(|| installed(name)));
        if let (Some(name), None) = (server, &program) {
            say(&format!("| {name} is not installed | | | | | |"))?;
            continue;
        }
        for processes in [3, 30] {
            for event in [Event::Nothing, Event::Kills, Event::FailsOver] {
                all.extend(case(bench, program.as_deref(), processes, event)?);
            }
        }
    }
    goals.expect("use of a shared rate", Spread::of(all.iter().filter_map(|kept| kept.used)), Bound::AtLeast(0.97));
    goals.expect(
        "most in a second ÷ rate and burst, at the server",
        Spread::of(all.iter().map(|kept| kept.peak)),
        Bound::AtMost(1.0),
    );
    Ok(())
}

/// Names a program that isn't on the path.
fn variable(server: &str) -> &'static str {
    if server.starts_with("valkey") { "CONTACTSYNC_BENCH_VALKEY" } else { "CONTACTSYNC_BENCH_REDIS" }
}

/// How a rate was kept.
struct Kept {
    /// How much of it was used; none where something happened that may cost some of it.
    used: Option<f64>,
    /// The most that arrived in a second, as a share of rate and burst.
    peak: f64,
}

/// One run of so many processes; none where it can't be had.
fn case(bench: &Bench, program: Option<&Path>, processes: usize, event: Event) -> anyhow::Result<Option<Kept>> {
    let file = bench.path("shared-rate");
    remove(&file)?;
    let mut store = program.map(|program| Store::start(bench, program)).transpose()?;
    if store.is_none() && event == Event::FailsOver {
        return Ok(None);
    }
    let place = store.as_ref().map_or_else(|| file.display().to_string(), Store::url);
    let sandbox = Server::sandbox(&bench.program)?;
    let measured = Duration::from_secs(bench.scaled(20, 5));
    let run = Run { bench, url: &sandbox.url, place: &place, time: BEFORE + measured + Duration::from_secs(2) };
    let mut pods = (0..processes).map(|number| run.start(number, 0)).collect::<anyhow::Result<Vec<_>>>()?;
    std::thread::sleep(BEFORE);
    let (before, begun) = (stats(&sandbox.url)?, Instant::now());
    match (event, &mut store) {
        (Event::Kills, _) => {
            for nth in 1..=10 {
                std::thread::sleep(measured / 11);
                let number = nth % processes;
                pods[number].kill()?;
                pods[number].wait()?;
                pods[number] = run.start(number, nth)?;
            }
        }
        (Event::FailsOver, Some(store)) => {
            std::thread::sleep(measured / 3);
            store.begin_anew()?;
        }
        _ => {}
    }
    std::thread::sleep(measured.saturating_sub(begun.elapsed()));
    let (after, took) = (stats(&sandbox.url)?, begun.elapsed());
    for pod in &mut pods {
        pod.wait()?;
    }
    let requests = |stats: &Value| stats["requests"].as_u64().context("the sandbox's figures");
    let used = (requests(&after)? - requests(&before)?) as f64 / (RATE as f64 * took.as_secs_f64());
    let peak = stats(&sandbox.url)?["peak_in_a_second"].as_u64().context("the sandbox's figures")?;
    let shares = if event == Event::Nothing { run.shares(processes)? } else { "–".to_owned() };
    let name = program.and_then(Path::file_name).map_or("file".into(), |name| name.to_string_lossy());
    let what = match event {
        Event::Nothing => "",
        Event::Kills => "ten are killed, others come",
        Event::FailsOver => "fails over to an empty one",
    };
    say(&format!("| {name} | {processes} | {what} | {used:.3} | {peak} of {} | {shares} |", RATE + BURST))?;
    let peak = peak as f64 / (RATE + BURST) as f64;
    Ok(Some(Kept { used: (event == Event::Nothing).then_some(used), peak }))
}

/// What all processes of a case have in common.
struct Run<'a> {
    bench: &'a Bench,
    url: &'a str,
    place: &'a str,
    time: Duration,
}

impl Run<'_> {
    fn start(&self, number: usize, again: usize) -> anyhow::Result<Child> {
        let input = csv(self.bench, 100_000)?;
        let report = self.bench.path(&format!("shared-{number}-{again}.ndjson"));
        let mut command = self.bench.contactsync("push");
        command.arg(input).args(["--base-url", self.url, "--share-rate", self.place]);
        command.args(["--rate", &format!("{RATE}/s"), "--burst", &BURST.to_string()]);
        command.args(["--max-duration", &format!("{}ms", self.time.as_millis())]);
        command.arg("--report").arg(report).arg("--force").arg("--summary").arg(self.summary(number));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.spawn()?)
    }

    fn summary(&self, number: usize) -> PathBuf {
        self.bench.path(&format!("shared-{number}.json"))
    }

    /// The least and the most that a process had, as multiples of an even share.
    fn shares(&self, processes: usize) -> anyhow::Result<String> {
        let attempts = (0..processes).map(|number| {
            let summary: Value = serde_json::from_slice(&fs::read(self.summary(number))?)?;
            summary["attempts"].as_f64().context("a summary's attempts")
        });
        let attempts = attempts.collect::<anyhow::Result<Vec<f64>>>()?;
        let even = attempts.iter().sum::<f64>() / processes as f64;
        let spread = Spread::of(attempts.into_iter().map(|count| count / even)).context("no process")?;
        Ok(format!("{:.2}–{:.2}", spread.least, spread.most))
    }
}

fn stats(url: &str) -> anyhow::Result<Value> {
    let host = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "GET /_sandbox/stats HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("the sandbox's answer has no body")?;
    Ok(serde_json::from_str(body)?)
}

/// A server of Redis or Valkey; ends when dropped.
struct Store {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Store {
    fn start(bench: &Bench, program: &Path) -> anyhow::Result<Self> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let (program, folder) = (program.to_owned(), bench.folder.clone());
        let child = serve(&program, &folder, port)?;
        Ok(Self { program, folder, port, child })
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}?key=bench", self.port)
    }

    fn begin_anew(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = serve(&self.program, &self.folder, self.port)?;
        Ok(())
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn serve(program: &Path, folder: &Path, port: u16) -> anyhow::Result<Child> {
    let mut command = Command::new(program);
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let mut child = command.arg("--dir").arg(folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let begun = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait()?.is_some() || begun.elapsed() > Duration::from_secs(10) {
            bail!("{} does not start", program.display());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(child)
}
