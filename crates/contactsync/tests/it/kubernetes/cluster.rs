//! A cluster of one machine: each pod a process with what Kubernetes would give it, killed in every way, and started again as the
//! rules of its job say.

use std::{io::Write, path::Path};

use rustix::process::Signal;

use super::{
    CONTACTSYNC,
    manifests::only,
    pods::Pod,
    policy::{Action, Failed, action, tries},
};
use crate::{
    service::Service,
    support::{Ran, Running, Workplace},
};

/// What befalls a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It takes too much memory.
    Killed,
    /// Somebody deletes the pod.
    Stopped,
    /// Its machine is drained.
    Evicted,
    /// Its machine is cut off, and another pod started before it ends.
    CutOff,
    /// Its time is over.
    TimeOver,
    /// It can't reach the service, from the beginning.
    OutOfReach,
}

/// What a shard came to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shard {
    pub(super) succeeded: bool,
    /// How it ended, one try after the other.
    pub(super) statuses: Vec<Option<i32>>,
    pub(super) counted: u64,
}

/// A cluster of one machine, its volumes folders of a place.
pub(super) struct Cluster {
    pub(super) place: Workplace,
    /// What is set beyond the manifests: where the service is.
    variables: Vec<(&'static str, String)>,
    _redis: Option<Running>,
}

impl Cluster {
    pub(super) fn start(service: &Service) -> Self {
        let place = Workplace::new();
        place.file("secrets/engagelab/api-key", "sandbox-key\n");
        place.file("secrets/engagelab/api-secret", "sandbox-secret\n");
        place.file("secrets/redis/password", "hidden-word\n");
        let redis = redis(&place);
        if redis.is_none() {
            std::io::stdout()
                .write_all(b"no redis-server here, or a build without Redis: played with a quota in a file\n")
                .unwrap();
        }
        let in_file = place.path("quota").display().to_string();
        let (redis, quota) = redis.map_or((None, in_file), |(redis, quota)| (Some(redis), quota));
        let variables = vec![("ENGAGELAB_MA_BASE_URL", service.url()), ("CONTACTSYNC_SHARE_RATE", quota)];
        Self { place, variables, _redis: redis }
    }

    pub(super) fn start_pod(&self, pod: Pod<'_>, container: &str, variables: &[(&str, &str)]) -> Running {
        let mut command = pod.command(&self.place, container);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        Running::start(command.envs(variables.iter().copied()))
    }

    /// How long a file of a volume is.
    fn length(&self, path: &str) -> u64 {
        std::fs::metadata(self.place.path(path)).map_or(0, |metadata| metadata.len())
    }

    /// Tries a shard until it succeeds or is given up.
    pub(super) fn play(&self, pod: Pod<'_>, troubles: &[Trouble], variables: &[(&str, &str)]) -> Shard {
        let job = pod.object.job().unwrap();
        let mut shard = Shard { succeeded: false, statuses: Vec::new(), counted: 0 };
        let mut troubles = troubles.iter().copied();
        // Started while the one before still ran.
        let mut next: Option<Running> = None;
        loop {
            let trouble = troubles.next();
            let mut running = next
                .take()
                .unwrap_or_else(|| self.start_pod(pod, CONTACTSYNC, &[variables, troubled(trouble)].concat()));
            let failed = match trouble {
                Some(Trouble::CutOff) => {
                    self.until_it_sends(pod, &mut running);
                    let mut replacement = self.start_pod(pod, CONTACTSYNC, variables);
                    replacement.until_it_says("(--lock-wait)");
                    running.signal(Signal::KILL);
                    drop(running);
                    next = Some(replacement);
                    Failed { status: None, disrupted: true }
                }
                Some(Trouble::Killed | Trouble::Stopped | Trouble::Evicted) => {
                    self.until_it_sends(pod, &mut running);
                    running.signal(if trouble == Some(Trouble::Killed) { Signal::KILL } else { Signal::TERM });
                    Failed { status: Some(status(&running.finish())), disrupted: trouble == Some(Trouble::Evicted) }
                }
                None | Some(Trouble::TimeOver | Trouble::OutOfReach) => {
                    let ran = running.finish();
                    if ran.status == Some(0) {
                        shard.statuses.push(ran.status);
                        shard.succeeded = true;
                        return shard;
                    }
                    Failed { status: Some(status(&ran)), disrupted: false }
                }
            };
            shard.statuses.push(failed.status);
            match action(job, CONTACTSYNC, failed) {
                Action::GiveUp => return shard,
                Action::Ignore => {}
                Action::Count => shard.counted += 1,
            }
            if shard.counted > tries(job) {
                return shard;
            }
        }
    }

    /// Waits until the report is longer than before.
    fn until_it_sends(&self, pod: Pod<'_>, running: &mut Running) {
        let report = report_of(pod);
        let before = self.length(&report);
        running.until("it reports", || self.length(&report) > before);
    }
}

/// What makes the trouble, where it is made from outside the program.
fn troubled(trouble: Option<Trouble>) -> &'static [(&'static str, &'static str)] {
    match trouble {
        Some(Trouble::TimeOver) => &[("CONTACTSYNC_MAX_DURATION", "200ms")],
        // Nobody listens there. Without retries no outage would be told from rows that fail.
        Some(Trouble::OutOfReach) => &[
            ("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9"),
            ("CONTACTSYNC_OUTAGE_WAIT", "1ms"),
            ("CONTACTSYNC_RETRIES", "5"),
        ],
        _ => &[],
    }
}

/// The status of a container: killed by a signal, it is that and 128.
fn status(ran: &Ran) -> i32 {
    ran.status.unwrap_or(128 + 9)
}

pub(super) fn report_of(pod: Pod<'_>) -> String {
    match pod.index {
        Some(index) => format!("claims/reports/{}-{index}/report.ndjson", pod.job),
        None => format!("claims/nightly/{}.ndjson.zst", pod.job),
    }
}

/// The Redis of the manifest, on a free port; none where it isn't installed, or the program can't speak with one.
fn redis(place: &Workplace) -> Option<(Running, String)> {
    let is_installed = ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].iter().any(|it| Path::new(it).exists());
    if !is_installed || !cfg!(feature = "redis") {
        return None;
    }
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let object = only("redis.yaml", "Deployment");
    let container = object.container("redis");
    let words = |name: &str| container[name].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
    let words: Vec<String> = words("command").chain(words("args")).collect();
    let script = words[2]
        .replace("/run/secrets/redis", &place.path("secrets/redis").display().to_string())
        .replace("port 6379", &format!("port {port}\nbind 127.0.0.1"));
    assert_ne!(script, words[2]);
    let mut command = std::process::Command::new(&words[0]);
    command
        .args([&words[1], &script])
        .current_dir(place.path(""))
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin");
    command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    let mut running = Running::start(&mut command);
    running.until("the Redis listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let quota = only("quota.yaml", "ConfigMap");
    let address = quota.value["data"]["CONTACTSYNC_SHARE_RATE"].as_str().unwrap();
    Some((running, address.replace("//redis:6379/", &format!("//127.0.0.1:{port}/"))))
}

/// The rows of this many users in turn, each with another value.
pub(super) fn export(rows: u64, users: u64) -> String {
    let line = |row: u64| format!("{},{row}@example.com,\n", 1 + (row - 1) % users);
    std::iter::once("euid,email,mobile_phone\n".to_owned()).chain((1..=rows).map(line)).collect()
}
