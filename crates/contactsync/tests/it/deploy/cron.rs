//! The crontab: read as cron reads it, and its lines run by the shell with what it sets and nothing else.

use std::{
    collections::BTreeMap,
    fs::File,
    process::{Command, Stdio},
};

use sandbox::SandboxOptions;

use super::{in_place, nightly, search_path, text};
use crate::{
    service::{Service, users},
    support::{Ran, Workplace, finish},
};

/// What cron makes of the file: variables, and commands with their times and users.
struct Crontab {
    variables: BTreeMap<String, String>,
    jobs: Vec<(Vec<String>, String, String)>,
}

impl Crontab {
    fn read() -> Self {
        let (mut variables, mut jobs) = (BTreeMap::new(), Vec::new());
        let text = text("cron/contactsync");
        assert!(text.ends_with('\n'), "cron leaves out a last line without an end");
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if line.starts_with(|first: char| first.is_ascii_uppercase()) {
                let (name, value) = line.split_once('=').unwrap();
                variables.insert(name.to_owned(), value.to_owned());
                continue;
            }
            let fields: Vec<&str> = line.splitn(7, ' ').collect();
            let [times @ .., user, command] = &fields[..] else { panic!("{line}") };
            // Behind one that isn't escaped stands the command's standard input.
            assert!(!command.replace("\\%", "").contains('%'), "{command}");
            assert!(command.len() < 990, "longer than cron takes");
            let times = times.iter().map(|time| (*time).to_owned()).collect();
            jobs.push((times, (*user).to_owned(), command.replace("\\%", "%")));
        }
        Self { variables, jobs }
    }

    /// Runs the command that holds this word.
    fn run(&self, place: &Workplace, word: &str) -> Ran {
        let (_, _, command) = self.jobs.iter().find(|(_, _, command)| command.contains(word)).unwrap();
        let mut shell = Command::new(&self.variables["SHELL"]);
        shell
            .args(["-c", &in_place(place, command)])
            .env_clear()
            .env("HOME", "/nonexistent")
            .env("LOGNAME", "contactsync");
        shell.envs(self.variables.iter().map(|(name, value)| (name, in_place(place, value))));
        shell.env("PATH", search_path(place)).current_dir(place.path(""));
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        finish(shell.spawn().unwrap())
    }

    /// Runs a try, and gives what is mailed.
    fn mail(&self, place: &Workplace) -> String {
        let ran = self.run(place, "contactsync push");
        format!("{}{}", ran.stdout, ran.stderr)
    }
}

#[test]
fn lines_are_whole_and_secrets_are_in_files() {
    let crontab = Crontab::read();
    assert_eq!(crontab.jobs.len(), 2);
    for (times, user, _) in &crontab.jobs {
        assert!(times.len() == 5 && user == "contactsync", "{times:?} {user}");
        for time in times {
            assert!(time.chars().all(|it| it.is_ascii_digit() || "*/-,".contains(it)), "{time}");
        }
    }
    for name in ["SHELL", "PATH", "MAILTO", "ENGAGELAB_MA_API_KEY_FILE", "ENGAGELAB_MA_API_SECRET_FILE"] {
        assert!(crontab.variables.contains_key(name), "{name}");
    }
    assert!(!crontab.variables.keys().any(|name| name.ends_with("_KEY") || name.ends_with("_SECRET")));
    assert!(crontab.jobs[0].2.starts_with("umask 077;"));
}

#[test]
fn tries_of_a_night_mail_what_somebody_must_know() {
    let crontab = Crontab::read();
    let place = Workplace::new();
    // Nobody listens there.
    nightly(&place, "http://127.0.0.1:9", "outage_wait = \"1ms\"\nretry_base = \"1ms\"\n", &users(300));
    let away = crontab.mail(&place);
    assert!(away.contains("stayed out of reach"), "{away}");

    let service = Service::start(SandboxOptions::default());
    nightly(&place, &service.url(), "", &users(300));
    place.file("etc/contactsync/nightly.secret", "of-last-year\n");
    let refused = crontab.mail(&place);
    assert!(refused.contains("refuses the credentials") && !refused.contains("of-last-year"), "{refused}");
    assert_eq!(crontab.mail(&place), "", "told once");

    begin_a_night(&place);
    nightly(&place, &service.url(), "max_duration = \"1ms\"\n", &users(300));
    assert_eq!(crontab.mail(&place), "", "the window is over");
    nightly(&place, &service.url(), "", &users(300));
    assert_eq!(crontab.mail(&place), "", "all is well");
    assert_eq!(service.record().contacts().len(), 300);
    let sent = service.record().stats().requests;
    assert_eq!(
        (crontab.mail(&place), service.record().stats().requests),
        (String::new(), sent),
        "nothing is left to do"
    );

    begin_a_night(&place);
    let faulty = users(300).replace("\n7,", "\nseven,");
    nightly(&place, &service.url(), "", &faulty);
    let told = crontab.mail(&place);
    assert!(told.contains("euid_invalid") && told.contains("unchanged"), "{told}");
    assert_eq!(crontab.mail(&place), "", "told once");
}

#[test]
fn a_try_that_is_at_it_is_left_alone() {
    let crontab = Crontab::read();
    let service = Service::start(SandboxOptions::default());
    let place = Workplace::new();
    nightly(&place, &service.url(), "", &users(10));
    let lock = File::create(place.path("var/lib/contactsync/nightly/lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(crontab.mail(&place), "");
    assert_eq!(service.record().stats().requests, 0);
    lock.unlock().unwrap();
    assert_eq!(crontab.mail(&place), "");
    assert_eq!(service.record().contacts().len(), 10);
}

#[test]
fn old_reports_go_and_the_state_stays() {
    let crontab = Crontab::read();
    let place = Workplace::new();
    in_place(&place, "");
    let folder = "var/lib/contactsync/nightly";
    let old = ["2026-01-01.ndjson.zst", "2026-01-01.ndjson.zst.run", "2026-01-01.json", "2026-01-01.over"];
    for name in old.iter().chain(&["contacts.state", "lock"]) {
        place.file(&format!("{folder}/{name}"), "");
        let mut touch = Command::new("touch");
        assert!(touch.args(["-d", "40 days ago"]).arg(place.path(folder).join(name)).status().unwrap().success());
    }
    place.file(&format!("{folder}/2026-12-01.json"), "");
    crontab.run(&place, "find ").ends_with(0);
    let mut left: Vec<_> = std::fs::read_dir(place.path(folder)).unwrap().map(|it| it.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["2026-12-01.json", "contacts.state", "lock", "reports"]);
}

/// As on another day: the files of the night before are gone, the state is there.
fn begin_a_night(place: &Workplace) {
    for file in std::fs::read_dir(place.path("var/lib/contactsync/nightly")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with("20") {
            std::fs::remove_file(path).unwrap();
        }
    }
}
