use std::{
    fs::{self, File, TryLockError},
    io::Read,
    net::ToSocketAddrs,
    path::{Path, PathBuf},
};

use dispatcher::{Broken, HttpLines, HttpSettings, Reply, is_loopback};
use jiff::Timestamp;
use model::escape_controls;
use report::RunFile;
use state::{Meta, State, StateError};

use crate::{
    args::DoctorArgs,
    exit::Exit,
    failure::Failure,
    layers::{Environment, Layers, Setting},
    settings::{Credentials, ReportSettings, Target},
    terminal::write_stdout,
};

/// A clock that is off by more breaks the order of reports and may break TLS.
const MOST_SECONDS_OFF: i64 = 60;
/// So much of an input is looked at to estimate its rows.
const SAMPLE_BYTES: u64 = 256 << 10;
/// A record of the report, on the average.
const RECORD_BYTES: u64 = 260;
/// What compression makes of an export, roughly.
const COMPRESSED: u64 = 8;

/// One line of what was found.
struct Finding {
    what: &'static str,
    said: String,
    /// What to do, and with which status to end; none: it is well.
    fault: Option<(String, Exit)>,
}

/// `doctor`: looks at everything that a push needs, without sending a contact.
pub(crate) fn doctor(args: &DoctorArgs, settings: &[Setting], layers: &Layers) -> Result<Exit, Failure> {
    let mut findings = vec![configuration(settings)];
    if args.sending.requests.sandbox {
        findings.push(well("network", "the sandbox runs in the process of the push: nothing to check"));
    } else {
        findings.push(credentials(layers));
        match Target::without_credentials(&args.sending.requests, settings) {
            Ok(http) => network(&http, layers.environment(), &mut findings)?,
            Err(failure) => findings.push(ill("target", failure.message, failure.hint, failure.exit)),
        }
    }
    let report = ReportSettings::of_push(&args.report)?;
    if let Some(path) = &report.path {
        findings.push(place_of(path, report.force));
        // Only a file takes room.
        if fs::metadata(path).map_or(true, |metadata| metadata.is_file()) {
            findings.push(room_for(path, &args.inputs));
        }
    }
    if let Some(path) = &args.state {
        let target =
            Target::of(&args.sending.requests, sandbox::SandboxOptions::default(), settings, layers, &mut Vec::new());
        state_at(path, target.ok().as_ref(), &mut findings);
    }
    write_stdout(told(&findings).as_bytes())?;
    Ok(findings.iter().find_map(|finding| finding.fault.as_ref()).map_or(Exit::Success, |(_, exit)| *exit))
}

fn well(what: &'static str, said: impl Into<String>) -> Finding {
    Finding { what, said: said.into(), fault: None }
}

fn ill(what: &'static str, said: impl Into<String>, hint: Option<String>, exit: Exit) -> Finding {
    Finding { what, said: said.into(), fault: Some((hint.unwrap_or_default(), exit)) }
}

fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { what, said, fault } in findings {
        let mark = if fault.is_some() { "FAIL" } else { "ok" };
        text += &format!("{mark:<5} {what:<14} {}\n", escape_controls(said));
        for line in fault.iter().flat_map(|(hint, _)| hint.lines()) {
            text += &format!("{:21}{}\n", "", escape_controls(line));
        }
    }
    text
}

/// Whoever comes here has a configuration that can be read.
fn configuration(settings: &[Setting]) -> Finding {
    let mut sources: Vec<String> = settings.iter().map(|setting| setting.source.to_string()).collect();
    sources.dedup();
    let said = if sources.is_empty() { "defaults only".to_owned() } else { format!("from {}", sources.join(", ")) };
    well("configuration", said)
}

fn credentials(layers: &Layers) -> Finding {
    match (Credentials::look_up(layers), Credentials::sources(layers)) {
        (Ok(credentials), Ok([(_, key), (_, secret)])) => {
            let from = |source: Option<crate::layers::Source>| source.map_or_else(String::new, |it| it.to_string());
            let warnings = credentials.warnings.into_iter().map(|warning| format!("; {warning}"));
            let warnings: String = warnings.collect();
            well("credentials", format!("key from {}, secret from {}{warnings}", from(key), from(secret)))
        }
        (Err(failure), _) | (_, Err(failure)) => ill("credentials", failure.message, failure.hint, failure.exit),
    }
}

fn network(http: &HttpSettings, environment: &Environment, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let url = &http.base_url;
    findings.push(well("target", url.as_str().trim_end_matches('/')));
    let proxy = if is_loopback(url) { None } else { proxy_of(http, environment) };
    let host = url.host_str().unwrap_or_default();
    match &proxy {
        Some(source) => findings.push(well("proxy", format!("as {source} says; it looks names up"))),
        None => findings.push(name_of(host, url.port_or_known_default().unwrap_or(443))),
    }
    let cannot_start = |error| Failure::new(Exit::OutOfReach, format!("the network can't be tried: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot_start)?;
    let lines = HttpLines::new(http).map_err(Failure::usage)?;
    let asked_at = Timestamp::now();
    match runtime.block_on(lines.reach()) {
        Ok(reply) => {
            let secure = if url.scheme() == "https" { "its certificate verifies, " } else { "" };
            findings
                .push(well("connection", format!("{secure}it answers (HTTP {}: any answer will do)", reply.status)));
            findings.push(clock(&reply, asked_at));
        }
        Err(broken) => {
            let hint = match &broken {
                Broken::Certificate(fault) => fault.advice(),
                Broken::Timeout(_) => "check firewall and proxy (`--proxy`)",
                Broken::Network { .. } => "check `--base-url`, `--region`, firewall and proxy (`--proxy`)",
            };
            findings.push(ill("connection", broken.to_string(), Some(hint.to_owned()), Exit::OutOfReach));
        }
    }
    Ok(())
}

/// Where a proxy is set, if one is.
fn proxy_of(http: &HttpSettings, environment: &Environment) -> Option<String> {
    if http.proxy.is_some() {
        return Some("`--proxy` or CONTACTSYNC_PROXY".to_owned());
    }
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    names.into_iter().find(|name| environment.is_set(name)).map(str::to_owned)
}

fn name_of(host: &str, port: u16) -> Finding {
    let plain = host.trim_start_matches('[').trim_end_matches(']');
    match (plain, port).to_socket_addrs() {
        Ok(addresses) => well("name", format!("{host} is known, addresses: {}", addresses.count())),
        Err(error) => {
            let hint = "check the spelling of `--base-url`, and the name servers of this machine".to_owned();
            ill("name", format!("{host} can't be looked up: {error}"), Some(hint), Exit::OutOfReach)
        }
    }
}

fn clock(reply: &Reply, asked_at: Timestamp) -> Finding {
    let date = reply.date.as_deref().and_then(|date| dispatcher::http_date(date, asked_at));
    let Some(date) = date else { return well("clock", "the server doesn't say its time: not compared") };
    let off = asked_at.as_second() - date.as_second();
    if off.abs() <= MOST_SECONDS_OFF {
        return well("clock", format!("{} s apart from the server's", off.abs()));
    }
    let which = if off > 0 { "ahead of" } else { "behind" };
    let hint = "set it (NTP): the times in reports decide which record is the later one".to_owned();
    ill("clock", format!("{} s {which} the server's", off.abs()), Some(hint), Exit::Usage)
}

/// Whether the report can be written where it is to lie.
fn place_of(path: &Path, force: bool) -> Finding {
    let name = path.display().to_string();
    let folder = report::folder_of(path);
    match fs::metadata(path) {
        // Opening a pipe would wait for whoever reads it.
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => return place_of_special(path),
        Ok(metadata) if metadata.is_dir() => {
            let hint = "name a file in it with `--report`".to_owned();
            return ill("report", format!("{name} is a folder"), Some(hint), Exit::Usage);
        }
        _ => {}
    }
    if let Ok(file) = File::open(path) {
        if matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)) {
            let hint = "wait for it, or choose another name with `--report`".to_owned();
            return ill("report", format!("another run is writing {name}"), Some(hint), Exit::Usage);
        }
        let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file && !force {
            let finished = matches!(RunFile::read(path), Ok(Some(run)) if run.finished.is_some());
            let what = if finished { "a finished run" } else { "a run" };
            return well(
                "report",
                format!("{name} exists, of {what}: go on with `--resume`, or replace it with `--force`"),
            );
        }
    }
    match try_folder(folder) {
        Ok(()) => well("report", format!("{} can be written to", folder.display())),
        Err(error) => {
            let hint = "choose another place with `--report`".to_owned();
            ill("report", format!("{} can't be written to: {error}", folder.display()), Some(hint), Exit::ReadOrWrite)
        }
    }
}

/// Whether files can be made in a folder.
fn try_folder(folder: &Path) -> std::io::Result<()> {
    // A process with the same number may have left its own behind.
    let stamp = Timestamp::now().as_nanosecond();
    let probe = folder.join(format!(".contactsync-doctor-{}-{stamp}", std::process::id()));
    File::options().write(true).create_new(true).open(&probe)?;
    // What can't be removed is an empty file.
    let _ = fs::remove_file(&probe);
    Ok(())
}

/// Whether the state is there, whole, free, that of this target and key, and can be written anew.
fn state_at(path: &Path, target: Option<&Target>, findings: &mut Vec<Finding>) {
    let folder = report::folder_of(path);
    let writable = try_folder(folder).map_err(|error| {
        let hint =
            "a state is written anew beside itself: choose another place with `--state`, or let this user write \
                    there"
                .to_owned();
        ill("state", format!("{} can't be written to: {error}", folder.display()), Some(hint), Exit::Usage)
    });
    let state = match State::open_existing(path) {
        Ok(state) => state,
        Err(StateError::Missing(path)) => {
            let first = well("state", format!("{} is not there: the first run makes it", path.display()));
            return findings.push(writable.err().unwrap_or(first));
        }
        Err(error) => return findings.push(ill("state", error.to_string(), error.hint(), Exit::Usage)),
    };
    let figures = match state.figures() {
        Ok(figures) => figures,
        Err(error) => return findings.push(ill("state", error.to_string(), error.hint(), Exit::Usage)),
    };
    let said = format!("{} holds {} contacts of {} users", path.display(), figures.contacts, figures.euids);
    findings.push(match writable.and_then(|()| bound_to(&state.meta(), target)) {
        Ok(bound) => well("state", format!("{said}, {bound}")),
        Err(fault) => fault,
    });
    if let Ok(disk) = rustix::fs::statvfs(folder) {
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        let said = format!("{} MiB free, {} MiB needed to write the state anew", mib(free), mib(figures.bytes));
        findings.push(if free > figures.bytes {
            well("room for it", said)
        } else {
            let hint = "free some, or move the state to a disk that has room".to_owned();
            ill("room for it", said, Some(hint), Exit::ReadOrWrite)
        });
    }
}

/// Whether a state belongs to where the push goes.
fn bound_to(meta: &Meta, target: Option<&Target>) -> Result<String, Finding> {
    let Some(then) = &meta.target else { return Ok("bound to nothing yet".to_owned()) };
    let Some(target) = target else { return Ok(format!("bound to {then}: not compared, as there are no credentials")) };
    let now = target.name();
    if *then != now {
        let hint = "name another file in `--state`, one for each service; where the same service has another address \
                    now: `contactsync state rebind`"
            .to_owned();
        return Err(ill("state", format!("it is bound to {then}, not to {now}"), Some(hint), Exit::Usage));
    }
    if meta.api_key.as_ref().is_some_and(|key| *key != target.key_fingerprint()) {
        let hint = "where the key of the same project was changed: `contactsync state rebind`".to_owned();
        return Err(ill("state", "it is bound to another API key", Some(hint), Exit::Usage));
    }
    Ok(format!("bound to {then}"))
}

/// A pipe or a device, to which a report can be written too.
fn place_of_special(path: &Path) -> Finding {
    let name = path.display();
    match rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        Ok(()) => well("report", format!("{name} is a pipe or a device: no such report can be resumed")),
        Err(error) => {
            let hint = "choose another place with `--report`".to_owned();
            ill("report", format!("{name} can't be written to: {error}"), Some(hint), Exit::ReadOrWrite)
        }
    }
}

/// Whether the disk has room for the report of these inputs.
fn room_for(path: &Path, inputs: &[PathBuf]) -> Finding {
    let folder = report::folder_of(path);
    let free = match rustix::fs::statvfs(folder) {
        Ok(disk) => disk.f_bavail.saturating_mul(disk.f_frsize),
        Err(error) => return well("room", format!("the disk of {} doesn't tell: {error}", folder.display())),
    };
    let mut rows = 0;
    for input in inputs {
        match rows_of(input) {
            Ok(of_input) => rows += of_input,
            Err(error) => {
                let hint = "check the name, and who may read it".to_owned();
                return ill("room", format!("{} can't be read: {error}", input.display()), Some(hint), Exit::Usage);
            }
        }
    }
    let needed = rows * RECORD_BYTES;
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    if needed <= free {
        let for_inputs = if inputs.is_empty() {
            "; name the inputs to compare".to_owned()
        } else {
            format!(", about {} MiB are needed for some {rows} rows", mib(needed))
        };
        return well("room", format!("{} MiB free{for_inputs}", mib(free)));
    }
    let hint =
        "free some, choose another place, or let the report be compressed: `--report NAME.ndjson.zst`".to_owned();
    let said = format!("{} MiB free, about {} MiB needed for some {rows} rows", mib(free), mib(needed));
    ill("room", said, Some(hint), Exit::ReadOrWrite)
}

/// How many rows a file has, by its size and the lines at its beginning. A pipe tells nothing.
fn rows_of(input: &Path) -> std::io::Result<u64> {
    if input == Path::new("-") {
        return Ok(0);
    }
    let metadata = fs::metadata(input)?;
    if !metadata.is_file() {
        return Ok(0);
    }
    let mut sample = Vec::new();
    File::open(input)?.take(SAMPLE_BYTES).read_to_end(&mut sample)?;
    let packed = sample.starts_with(&[0x1f, 0x8b]) || sample.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if packed {
        // Some 50 bytes a row, as exports of contacts have.
        return Ok(metadata.len() * COMPRESSED / 50);
    }
    let lines = (sample.split(|byte| *byte == b'\n').count() as u64 - 1).max(1);
    Ok(metadata.len() * lines / (sample.len().max(1) as u64))
}
