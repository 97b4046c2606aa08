//! `--spool`: what can be read only once is first copied to where it can be read again.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::MetadataExt,
    process::Stdio,
};

use rustix::process::Signal;

use crate::{
    service::{Service, users},
    support::{Running, Workplace, finish},
};

fn named_pipe(place: &Workplace, name: &str) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, place.path(name), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

#[test]
fn a_pipe_is_looked_at_like_a_file() {
    let place = Workplace::new();
    let late = "{\"euid\":1,\"email\":\"a@example.com\"}\n{\"euid\":2,\"emial\":\"b@example.com\"}\n";
    let ran = place.run_with_stdin(&["check", "-"], late.as_bytes()).ends_with(1);
    ran.says("key_unknown");
    let ran = place.run_with_stdin(&["check", "-", "--spool"], late.as_bytes()).ends_with(2);
    ran.says("-: has a column that is no known contact: \"emial\"").says("did you mean \"email\"");
    let ran = place.run_with_stdin(&["check", "-", "--spool", "--progress", "plain"], users(30_000).as_bytes());
    ran.ends_with(0).says("30000 rows read");
    // A file needs no copy, so no folder for one either.
    place.file("a.csv", users(3));
    place.run(&["check", "a.csv", "--spool", "--temp-dir", "absent"]).ends_with(0);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "nothing is left behind");
}

#[test]
fn pipes_that_are_written_one_after_the_other_do_not_wait_for_each_other() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    named_pipe(&place, "one.csv");
    named_pipe(&place, "two.csv");
    let paths = [place.path("one.csv"), place.path("two.csv")];
    let writer = std::thread::spawn(move || {
        for (number, path) in (1..).zip(paths) {
            // More than a pipe holds.
            let rows = users(5_000).replace('\n', &format!("\n{number}"));
            let rows = rows.trim_end_matches(|c| c != '\n');
            OpenOptions::new().write(true).open(path).unwrap().write_all(rows.as_bytes()).unwrap();
        }
    });
    let push = ["push", "one.csv", "two.csv", "--spool", "--report", "r.ndjson", "--rate", "unlimited"];
    place.run(&push).ends_with(0).says("10000 rows read");
    writer.join().unwrap();
    assert_eq!(service.record().contacts().len(), 10_000);
}

#[test]
fn a_spooled_pipe_is_resumed_like_a_file() {
    let service = Service::with_faults(&["code=55004:0.5"]);
    let place = service.workplace();
    let push = ["push", "-", "--spool", "--report", "r.ndjson", "--resume", "--rate", "unlimited"];
    let rows = users(3_000);
    place.run_with_stdin(&[&push[..], &["--max-failures", "50"]].concat(), rows.as_bytes()).ends_with(4);
    place.run_with_stdin(&push, rows.replacen("user2@", "user3@", 1).as_bytes()).ends_with(2).says("are others now");
    // The same rows may come from where they are not spooled.
    let plain: Vec<&str> = push.iter().copied().filter(|word| *word != "--spool").collect();
    place.run_with_stdin(&[&plain[..], &["--max-failures", "200"]].concat(), rows.as_bytes()).ends_with(4);
    place.run_with_stdin(&push, rows.as_bytes()).ends_with(1);
    let mut decided: Vec<u64> =
        place.json_lines("r.ndjson").iter().map(|record| record["row"].as_u64().unwrap()).collect();
    decided.sort_unstable();
    assert_eq!(decided, (1..=3_000).collect::<Vec<_>>());
    assert_eq!(service.record().stats().requests, 3_000, "nothing is sent twice");
}

#[test]
fn the_copy_lies_where_it_is_asked_for_and_nobody_else_can_open_it() {
    let place = Workplace::new();
    fs::create_dir(place.path("private")).unwrap();
    fs::create_dir(place.path("reports")).unwrap();
    for (options, folder) in [(&["--temp-dir", "private"][..], "private"), (&[], "reports")] {
        let report = format!("reports/{folder}.ndjson");
        let push = [&["push", "-", "--sandbox", "--spool", "--report", &report], options].concat();
        let mut running = Running::start(place.command(&push).stdin(Stdio::piped()));
        // More than the pipe holds: once it is written the copy was begun. The pipe stays open.
        running.child().stdin.as_mut().unwrap().write_all(users(10_000).as_bytes()).unwrap();
        // Other processes of the user may not look into this one, the superuser may.
        if let Ok(files) = fs::read_dir(format!("/proc/{}/fd", running.child().id())) {
            let folder = fs::canonicalize(place.path(folder)).unwrap();
            let copies = files.filter_map(|file| {
                let path = file.unwrap().path();
                let target = fs::read_link(&path).ok()?;
                target.starts_with(&folder).then(|| fs::metadata(path).unwrap())
            });
            let copies: Vec<_> = copies.collect();
            assert_eq!(copies.len(), 1, "in {}", folder.display());
            assert_eq!((copies[0].mode() & 0o777, copies[0].nlink()), (0o600, 0));
        }
        running.signal(Signal::KILL);
        running.finish();
        assert_eq!(fs::read_dir(place.path("reports")).unwrap().count(), 0, "nothing is left behind");
    }
    assert_eq!(fs::read_dir(place.path("private")).unwrap().count(), 0);
}

#[test]
fn a_folder_without_room_is_told_and_nothing_is_sent() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    let absent = ["push", "-", "--spool", "--temp-dir", "absent"];
    place.run_with_stdin(&absent, users(3).as_bytes()).ends_with(2).says("absent").says("--temp-dir");
    let program = env!("CARGO_BIN_EXE_contactsync");
    for command in ["push", "check"] {
        // A limit on the size of files, in blocks of 512 bytes, in place of a full disk.
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", &format!("ulimit -f 100 && exec {program} {command} - --spool")]);
        shell.current_dir(place.path("")).env_clear().envs([
            ("ENGAGELAB_MA_BASE_URL", service.url().as_str()),
            ("ENGAGELAB_MA_API_KEY", "sandbox-key"),
            ("ENGAGELAB_MA_API_SECRET", "sandbox-secret"),
        ]);
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // It ends before it has read everything.
        let _ = pipe.write_all(users(50_000).as_bytes());
        drop(pipe);
        finish(child).ends_with(5).says("could not be spooled to its end").says("--temp-dir");
    }
    assert_eq!(service.record().stats().requests, 0);
    assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn a_signal_while_inputs_are_waited_for_ends_at_once() {
    for arguments in [
        &["push", "fifo", "--sandbox"][..],
        &["push", "fifo", "--sandbox", "--spool"],
        &["check", "fifo"],
        &["check", "fifo", "--spool", "--summary", "s.json"],
    ] {
        let place = Workplace::new();
        named_pipe(&place, "fifo");
        let mut running = Running::start(&mut place.command(arguments));
        // Waits until the program has opened the other end; it says no more than the header.
        let mut pipe = OpenOptions::new().write(true).open(place.path("fifo")).unwrap();
        if arguments.contains(&"--spool") {
            // More than the pipe holds: it copies.
            pipe.write_all(users(10_000).as_bytes()).unwrap();
        }
        running.signal(Signal::TERM);
        running.finish().ends_with(143);
        assert_eq!(fs::read_dir(place.path("")).unwrap().count(), 1, "{arguments:?}: nothing was begun");
    }
}

#[test]
fn a_signal_while_nobody_opens_the_pipe_ends_at_once() {
    let place = Workplace::new();
    named_pipe(&place, "fifo");
    let push = ["push", "fifo", "--sandbox", "--lock", "lock"];
    let mut running = Running::start(&mut place.command(&push));
    // The lock is taken once signals are listened to.
    running.until("the lock is taken", || place.exists("lock"));
    running.signal(Signal::INT);
    running.finish().ends_with(130);
}

/// Nobody writes these pipes: what can be said without them isn't waited for.
#[test]
fn what_is_wrong_with_an_output_is_found_before_a_pipe_is_waited_for() {
    let place = Workplace::new();
    named_pipe(&place, "in.csv");
    place.file("old.ndjson", "mine");
    for command in [&["push", "--sandbox"][..], &["check"]] {
        for spool in [&[][..], &["--spool"]] {
            let run = |options: &[&str]| place.run(&[command, &["in.csv"], spool, options].concat()).ends_with(2);
            run(&["--report", "old.ndjson"]).says("the report old.ndjson exists already").says("--force");
            for output in ["--report", "--summary"] {
                run(&[output, "in.csv"]).says("in.csv is the pipe that the input in.csv comes from");
            }
        }
    }
    assert_eq!(place.read("old.ndjson"), "mine");
}
