//! `--files-from`: inputs that a list names.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use serde_json::Value;

use crate::{
    service::{Service, users},
    support::Workplace,
};

fn sources(place: &Workplace) -> Vec<String> {
    let summary: Value = serde_json::from_str(&place.read("s.json")).unwrap();
    summary["inputs"].as_array().unwrap().iter().map(|input| input["source"].as_str().unwrap().to_owned()).collect()
}

fn row(place: &Workplace, name: &str, euid: u64) {
    place.file(name, format!("euid,email\n{euid},user{euid}@example.com\n"));
}

#[test]
fn inputs_of_a_list_come_in_its_order_behind_those_given() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    for (euid, name) in (1..).zip(["given.csv", "b.csv", "folder/a a.csv", "#c.csv"]) {
        row(&place, name, euid);
    }
    std::fs::write(place.path("").join(OsStr::from_bytes(b"\xff.csv")), "euid,email\n9,nine@example.com\n").unwrap();
    let names = ["b.csv", "folder/a a.csv", "./#c.csv"];
    let lines = b"\r\n# a comment\r\n  \r\nb.csv\r\nfolder/a a.csv\r\n\xff.csv\r\n./#c.csv";
    place.file("lists/list.txt", lines);
    let expected = ["given.csv", names[0], names[1], "\\xFF.csv", names[2]];
    for (command, number) in [("push", 1), ("check", 2)] {
        let report = format!("r{number}.ndjson");
        let options = ["--report", &report, "--summary", "s.json"];
        place.run(&[&[command, "given.csv", "--files-from", "lists/list.txt"], &options[..]].concat()).ends_with(0);
        if command == "push" {
            assert_eq!(sources(&place), expected);
        }
    }
    assert_eq!(service.record().stats().requests, 5);
    place.run_with_stdin(&["verify", "given.csv", "--files-from", "-", "--summary", "s.json"], lines).ends_with(0);
    assert_eq!(sources(&place), expected);
    // A NUL in it: then nothing else ends a name, and nothing is a comment.
    let nul = b"#c.csv\0folder/a a.csv\0\xff.csv\0";
    place.run_with_stdin(&["verify", "--files-from", "-", "--summary", "s.json"], nul).ends_with(0);
    assert_eq!(sources(&place), ["#c.csv", "folder/a a.csv", "\\xFF.csv"]);
}

#[test]
fn what_is_wrong_with_a_list_is_said_with_its_line() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    row(&place, "a.csv", 1);
    row(&place, "b.csv", 2);
    std::fs::hard_link(place.path("b.csv"), place.path("other.csv")).unwrap();
    let refused = |list: &[u8], said: &str| {
        place.file("list.txt", list);
        for command in ["push", "check", "verify"] {
            let ran = place.run(&[command, "a.csv", "--files-from", "list.txt"]).ends_with(2);
            assert!(ran.stderr.contains(said), "{said}\n{ran}");
        }
        let ran = place.run_with_stdin(&["check", "a.csv", "--files-from", "-"], list).ends_with(2);
        ran.says(&said.replace("list.txt", "standard input"));
    };
    refused(b"b.csv\n\nabsent.csv\n", "list.txt, line 3: absent.csv: there is no such file");
    refused(b"b.csv\n1,a@example.com\n", "list.txt, line 2: what stands there: there is no such file");
    refused(b"10000000001\tAnn\n", "list.txt, line 1: what stands there: there is no such file");
    refused(b"10000000001\n", "list.txt, line 1: what stands there: there is no such file");
    refused(b"b.csv\n*.csv\n", "no pattern and no ~ is replaced in it");
    refused(b"./\n", "list.txt, line 1: ./: is a folder");
    refused(b"b.csv\nb.csv\n", "list.txt, line 2: b.csv: is the same as b.csv (list.txt, line 1)");
    refused(b"b.csv\nother.csv\n", "list.txt, line 2: other.csv: is the same as b.csv (list.txt, line 1)");
    refused(b"./a.csv\n", "list.txt, line 1: ./a.csv: is the same as a.csv, which is given too");
    refused(b"a.csv\n", "list.txt, line 1: a.csv: is given twice");
    refused(b"a\0b.csv\0", "list.txt, line 1: a: there is no such file");
    refused(b"# nothing\n\n", "the list of `--files-from`, list.txt, names no input");
    refused(b"", "names no input");
    refused(b"\xff\xfea\0.\0", "is UTF-16");
    refused(&[b'x'; 5_000], "has 5000 bytes in line 1, more than any file's name");
    let absent = place.run(&["check", "--files-from", "absent.txt"]).ends_with(2);
    absent.says("absent.txt, can't be read: No such file").says("check the spelling");
    let folder = place.run(&["check", "--files-from", "."]).ends_with(2);
    folder.says("can't be read: Is a directory").says("a list holds names of inputs, one a line");
    place.run(&["check"]).ends_with(2).says("<INPUT>");
    for (input, list) in [("-", &b"b.csv\n"[..]), ("a.csv", b"-\n")] {
        let ran = place.run_with_stdin(&["push", input, "--files-from", "-"], list).ends_with(2);
        ran.says("standard input can't be an input and the list of `--files-from` too");
    }
    place.file("list.txt", "b.csv\n");
    let ran = place.run(&["push", "--files-from", "list.txt", "--report", "list.txt", "--force"]).ends_with(2);
    ran.says("--report list.txt would overwrite the list of inputs list.txt");
    assert_eq!(service.record().stats().requests, 0);
    // A list in a file may name standard input.
    place.file("list.txt", "b.csv\n-\n");
    place.run_with_stdin(&["push", "--files-from", "list.txt"], b"euid,email\n3,c@example.com\n").ends_with(0);
    assert_eq!(service.record().stats().requests, 2);
}

#[test]
fn a_configuration_may_name_a_list_but_not_that_of_the_current_folder() {
    let place = Workplace::new();
    row(&place, "a.csv", 1);
    place.file("list.txt", "a.csv\n");
    place.file("c.toml", "files_from = \"list.txt\"\n");
    place.run(&["check", "--config", "c.toml"]).ends_with(0).says("1 rows read");
    place.file("contactsync.toml", "files_from = \"list.txt\"\n");
    place.run(&["check"]).ends_with(2).says("may not set `files_from`");
}

#[test]
fn a_resume_compares_the_inputs_of_a_list() {
    let service = Service::with_faults(&["code=55004:0.3"]);
    let place = service.workplace();
    place.file("a.csv", users(60));
    place.file("b.csv", users(90).replace('\n', "\n7").trim_end_matches('7'));
    row(&place, "c.csv", 5);
    place.file("list.txt", "a.csv\nb.csv\n");
    let push = |inputs: &[&str], more: &[&str]| {
        let fixed = ["push", "--report", "r.ndjson", "--resume", "--in-flight", "1", "--rate", "unlimited"];
        place.run(&[&fixed, inputs, more].concat())
    };
    push(&["--files-from", "list.txt"], &["--max-failures", "9"]).ends_with(4).says("--files-from list.txt");
    // Others, or in another order.
    for other in ["b.csv\na.csv\n", "a.csv\n", "a.csv\nc.csv\n"] {
        place.file("list.txt", other);
        push(&["--files-from", "list.txt"], &[]).ends_with(2);
    }
    // The same ones, however they are named.
    push(&["a.csv", "b.csv"], &[]).ends_with(1).says("resuming");
    assert_eq!(place.read("r.ndjson").lines().count(), 150);
    place.file("list.txt", "\n# all\na.csv\nb.csv\n");
    push(&["--files-from", "list.txt"], &[]).ends_with(1).says("this run finished at");
}

/// More files than may be open at once, also where a file is replaced before its turn.
#[test]
fn many_files_are_not_all_open_at_once() {
    let service = Service::with_faults(&[]);
    let place = service.workplace();
    for euid in 1..=400 {
        row(&place, &format!("in/{euid:03}.csv"), euid);
    }
    let script = |command: &str| {
        let program = env!("CARGO_BIN_EXE_contactsync");
        let line = format!(
            "ulimit -n 200; ls in/* | \"{program}\" {command} --files-from - --in-flight 4 --rate unlimited --report"
        );
        let shell = place.command::<&str>(&[]);
        let mut sh = std::process::Command::new("sh");
        sh.args(["-c", &format!("{line} r.ndjson --resume")]).current_dir(place.path(""));
        sh.env_clear().env("PATH", "/usr/bin:/bin").stdout(std::process::Stdio::piped());
        sh.envs(shell.get_envs().filter_map(|(name, value)| Some((name, value?))));
        crate::support::finish(sh.stderr(std::process::Stdio::piped()).spawn().unwrap())
    };
    script("push").ends_with(0).says("400 rows read");
    assert_eq!(service.record().stats().requests, 400);
    script("push").ends_with(0).says("this run finished at");
}
