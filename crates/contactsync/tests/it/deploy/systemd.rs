//! The units: what becomes of each status, and a night of tries, as systemd would start them. Under a real systemd they are
//! started by `systemd_nights`.

use std::{collections::BTreeSet, process::Command, time::Duration};

use rustix::process::Signal;
use sandbox::SandboxOptions;
use serde_json::Value;

use super::{all_well, if_installed, in_place, nightly, repository, text};
use crate::{
    kubernetes::statuses,
    service::{Service, users},
    support::{Running, Workplace},
};

/// A unit, line by line: section, name, value.
struct Unit(Vec<(String, String, String)>);

impl Unit {
    fn read(name: &str) -> Self {
        let text = text(&format!("systemd/{name}")).replace("\\\n", " ");
        let mut section = String::new();
        let mut lines = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut section);
            } else {
                let (name, value) = line.split_once('=').unwrap_or_else(|| panic!("no setting: {line}"));
                lines.push((section.clone(), name.to_owned(), value.to_owned()));
            }
        }
        Self(lines)
    }

    fn all(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(_, it, _)| it == name).map(|(_, _, value)| value.as_str()).collect()
    }

    /// The value of a setting that is there once.
    fn only(&self, name: &str) -> &str {
        let [value] = self.all(name)[..] else { panic!("{name}: {:?}", self.all(name)) };
        value
    }

    fn numbers(&self, name: &str) -> BTreeSet<i32> {
        self.only(name).split_whitespace().map(|number| number.parse().unwrap()).collect()
    }
}

fn service() -> Unit {
    Unit::read("contactsync@.service")
}

/// What is started, with systemd's `%` words of the job `nightly` in their places.
fn expanded(text: &str) -> String {
    let words =
        [("%i", "nightly"), ("%d", "/etc/contactsync/credentials"), ("%S", "/var/lib"), ("%t", "/run"), ("%%", "%")];
    words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(word, value))
}

#[test]
fn every_status_is_decided_on() {
    let unit = service();
    // `RestartForceExitStatus` is refused with another type than these, where it never ends by itself or at once.
    assert_eq!((unit.only("Type"), unit.only("Restart")), ("exec", "on-failure"));
    let [succeeds, forced, prevented] =
        ["SuccessExitStatus", "RestartForceExitStatus", "RestartPreventExitStatus"].map(|name| unit.numbers(name));
    for status in statuses() {
        let is_success = status == 0 || succeeds.contains(&status);
        let tried_again = !prevented.contains(&status) && (forced.contains(&status) || !is_success);
        let expected = match status {
            0 | 7 => (true, false),
            1..=5 | 70 => (false, false),
            6 | 129 | 130 => (false, true),
            // Of `systemctl stop` no other try is made, whatever is said here.
            143 => (true, true),
            other => panic!("what is to become of a run that ends with {other}?"),
        };
        assert_eq!((is_success, tried_again), expected, "{status}");
    }
    assert!(prevented.contains(&203), "a program that isn't there is told at once");
    assert_eq!(unit.only("OnFailure"), "contactsync-failed@%i.service");
    let [burst, pause] = [unit.only("StartLimitBurst"), unit.only("RestartSec")];
    let tries: u64 = burst.parse().unwrap();
    // An outage costs a try a quarter of an hour: a night's window is gone through.
    assert!((8..=30).contains(&tries) && pause == "10min", "{tries}");
    assert_eq!(unit.only("StartLimitIntervalSec"), "12h", "below a day, or the next night would be refused");
}

#[test]
fn what_is_under_way_is_finished_before_it_is_killed() {
    let unit = service();
    let words = unit.only("ExecStart").to_owned();
    let grace: u64 = words.split("--grace=").nth(1).unwrap().trim_end_matches('s').parse().unwrap();
    let given: u64 = unit.only("TimeoutStopSec").parse().unwrap();
    assert!(given >= grace + 20 && unit.only("KillSignal") == "SIGTERM", "{given} s");
}

#[test]
fn credentials_come_from_systemd_and_stand_in_no_command() {
    let unit = service();
    let environment = unit.all("Environment").concat();
    for (variable, name, file) in
        [("ENGAGELAB_MA_API_KEY_FILE", "api_key", "key"), ("ENGAGELAB_MA_API_SECRET_FILE", "api_secret", "secret")]
    {
        assert!(environment.contains(&format!("{variable}=%d/{name}")), "{environment}");
        assert!(unit.all("LoadCredential").contains(&format!("{name}:/etc/contactsync/%i.{file}").as_str()));
    }
    assert_eq!((unit.only("DynamicUser"), unit.only("ProtectSystem")), ("yes", "strict"));
}

#[test]
fn the_timer_makes_up_for_a_night_and_spreads_jobs() {
    let timer = Unit::read("contactsync@.timer");
    assert_eq!((timer.only("Persistent"), timer.only("WantedBy")), ("true", "timers.target"));
    assert!(!timer.only("RandomizedDelaySec").is_empty() && timer.all("OnCalendar").len() == 1);
}

/// Starts what `ExecStart` says.
fn start(place: &Workplace, night: &str) -> Running {
    let unit = service();
    let exports = unit.all("Environment").into_iter().find_map(|it| it.strip_prefix("EXPORTS=")).unwrap();
    let words = expanded(unit.only("ExecStart")).replace("$EXPORTS", &expanded(exports)).replace("${NIGHT}", night);
    let words = in_place(place, &words);
    assert!(!words.contains(['$', '%']), "{words}");
    let mut words = words.split_whitespace();
    let program = words.next().unwrap();
    assert!(std::path::Path::new(program).exists(), "{program}");
    let mut command = place.command(&words.collect::<Vec<_>>());
    for variable in unit.all("Environment").iter().flat_map(|line| line.split_whitespace()) {
        let (name, value) = variable.split_once('=').unwrap();
        if name != "EXPORTS" {
            command.env(name, in_place(place, &expanded(value)));
        }
    }
    command.current_dir(place.path("var/lib/contactsync/nightly"));
    Running::start(&mut command)
}

#[test]
fn tries_of_a_night_go_on_and_the_next_night_begins_anew() {
    let service = Service::start(SandboxOptions { latency: Duration::from_millis(5), ..SandboxOptions::default() });
    let place = Workplace::new();
    nightly(&place, &service.url(), "", &users(1_000));
    place.file("etc/contactsync/credentials/api_key", "sandbox-key\n");
    place.file("etc/contactsync/credentials/api_secret", "sandbox-secret\n");
    let report = "var/lib/contactsync/nightly/reports/2026-12-01.ndjson.zst";
    let mut first = start(&place, "2026-12-01");
    first.until("something is written", || std::fs::metadata(place.path(report)).is_ok_and(|file| file.len() > 100));
    first.signal(Signal::KILL);
    assert_eq!(first.finish().status, None);
    start(&place, "2026-12-01").finish().ends_with(0).says("resuming").never_says("read by others");
    let summary = |night: &str| -> Value {
        serde_json::from_str(&place.read(&format!("var/lib/contactsync/nightly/reports/{night}.json"))).unwrap()
    };
    let told = summary("2026-12-01");
    assert!(told["synced"] == 1_000 && told["resumed_rows"].as_u64().unwrap() > 0, "{told}");
    // The name of the export is the same, what is in it is tonight's.
    place.file("srv/contactsync/nightly.csv", users(1_001));
    start(&place, "2026-12-02").finish().ends_with(0);
    let told = summary("2026-12-02");
    assert!(told["rows_read"] == 1_001 && told["unchanged"].as_u64().unwrap() > 500, "{told}");
    assert!(
        place
            .read("var/lib/contactsync-metrics/nightly.prom")
            .contains("contactsync_rows_read_total{sync=\"nightly\"} 1001")
    );
}

#[test]
fn the_night_keeps_its_name_from_one_try_to_the_next() {
    let unit = service();
    assert_eq!((unit.only("RuntimeDirectory"), unit.only("RuntimeDirectoryPreserve")), ("contactsync/%i", "restart"));
    assert_eq!(unit.only("EnvironmentFile"), "-%t/contactsync/%i/night");
    let line = expanded(unit.only("ExecStartPre"));
    let script = line.strip_prefix("/bin/sh -c '").and_then(|line| line.strip_suffix('\'')).unwrap();
    let place = Workplace::new();
    let run = || {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", script]).env("RUNTIME_DIRECTORY", place.path("")).env("TZ", "UTC");
        all_well(&shell.output().unwrap());
        place.read("night")
    };
    let named = run();
    let date = named.strip_prefix("NIGHT=").unwrap().trim_end();
    assert!(date.len() == 10 && date.split('-').count() == 3, "{named}");
    place.file("night", "NIGHT=2026-11-30\n");
    assert_eq!(run(), "NIGHT=2026-11-30\n", "behind midnight, too");
}

#[test]
fn the_units_are_in_order_and_closed_off() {
    let place = Workplace::new();
    for name in ["contactsync@.service", "contactsync@.timer", "contactsync-failed@.service"] {
        // It looks at whether the program is there.
        let unit = text(&format!("systemd/{name}")).replace("/usr/bin/contactsync", env!("CARGO_BIN_EXE_contactsync"));
        place.file(name, unit);
    }
    for name in ["contactsync@nightly.service", "contactsync@nightly.timer", "contactsync-failed@nightly.service"] {
        let mut verify = Command::new("systemd-analyze");
        verify.arg("verify").arg(place.path(name)).env("SYSTEMD_UNIT_PATH", format!("{}:", place.path("").display()));
        let Some(output) = if_installed(&mut verify) else { return };
        let said = all_well(&output);
        assert!(!said.contains("contactsync"), "{said}");
    }
    // What is left: it needs the network, and a group for the exports. 2.0 is where systemd's "OK" begins to end.
    for (name, threshold) in [("contactsync@.service", "15"), ("contactsync-failed@.service", "65")] {
        let mut security = Command::new("systemd-analyze");
        security.args(["security", "--offline=yes", "--no-pager"]).arg(format!("--threshold={threshold}"));
        security.arg(repository("deploy/systemd").join(name));
        all_well(&if_installed(&mut security).unwrap());
    }
}
