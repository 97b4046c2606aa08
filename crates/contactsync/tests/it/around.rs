//! Who hears of the end of a run, and who waits for whom.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread::JoinHandle,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    service::{Service, users},
    support::{Running, Workplace},
};

/// Answers as many requests with these statuses and gives back their bodies.
fn listener(statuses: &'static [u16]) -> (String, JoinHandle<Vec<Value>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hooks/secret-token", listener.local_addr().unwrap());
    let heard = std::thread::spawn(move || {
        let answer = |status: &u16| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            let body = loop {
                let count = stream.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..count]);
                let text = String::from_utf8_lossy(&request).to_lowercase();
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                assert!(head.starts_with("post /hooks/secret-token") && !head.contains("authorization"), "{head}");
                let length: usize =
                    head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
                if body.len() >= length {
                    break body.to_owned();
                }
            };
            stream
                .write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes())
                .unwrap();
            serde_json::from_str(&body).unwrap()
        };
        statuses.iter().map(answer).collect()
    });
    (address, heard)
}

fn place(service: &Service) -> Workplace {
    let place = service.workplace();
    place.file("a.csv", users(20));
    place
}

#[test]
fn the_summary_is_posted_at_the_end_and_holds_no_contact() {
    let service = Service::with_faults(&[]);
    let (address, heard) = listener(&[503, 200]);
    let place = place(&service).variable("CONTACTSYNC_NOTIFY", &address);
    let ran = place.run(&["push", "a.csv", "--report", "r.ndjson", "--resume"]).ends_with(0);
    ran.never_says("secret-token").never_says("could not be posted");
    let bodies = heard.join().unwrap();
    assert_eq!((&bodies[0], bodies[1]["synced"].as_u64()), (&bodies[1], Some(20)));
    assert!(!bodies[1].to_string().contains("example.com"));
}

#[test]
fn a_run_that_stopped_is_told_to_people_and_the_address_is_never_shown() {
    let service = Service::with_faults(&["code=55004:1"]);
    let (address, heard) = listener(&[200]);
    let place = place(&service);
    let push = [
        "push",
        "a.csv",
        "--report",
        "r.ndjson",
        "--max-failures",
        "1",
        "--notify-format",
        "slack",
        "--notify",
        &address,
    ];
    place.run(&push).ends_with(4).says("to go on: ").never_says("secret-token");
    let bodies = heard.join().unwrap();
    let text = bodies[0]["text"].as_str().unwrap();
    assert!(text.starts_with("contactsync: stopped by max_failures (status 4)\n```20 rows read"), "{text}");
    let shown = place.variable("CONTACTSYNC_NOTIFY", &address).run(&["config", "show"]).ends_with(0);
    shown.never_says("secret-token");
}

#[test]
fn a_run_that_a_limit_refuses_is_told_too() {
    let service = Service::with_faults(&[]);
    let place = place(&service);
    place.file("a.csv", users(40));
    place.file("s.json", "of the night before");
    for format in ["json", "slack"] {
        let (address, posted) = listener(&[200]);
        let push = ["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--min-rows", "999", "--notify"];
        let ran = place.run(&[&push[..], &[address.as_str(), "--notify-format", format]].concat()).ends_with(2);
        ran.says("the input has 40 rows, fewer than the 999 of `--min-rows`").says("nothing was sent");
        let posted = posted.join().unwrap();
        let written: Value = serde_json::from_str(&place.read("s.json")).unwrap();
        assert_eq!(
            (&written["exit_code"], &written["rows_read"], &written["not_sent"]),
            (&json!(2), &json!(40), &json!(40))
        );
        assert_eq!((&written["stopped_by"], &written["resumed_rows"]), (&Value::Null, &json!(0)));
        if format == "json" {
            assert_eq!(posted[0]["exit_code"], 2);
        } else {
            assert!(posted[0]["text"].as_str().unwrap().contains("refused by a limit, nothing was sent (status 2)"));
        }
    }
    assert_eq!(service.record().stats().requests, 0);
    assert!(!place.exists("r.ndjson"));
}

#[test]
fn who_can_not_be_told_changes_nothing_but_a_warning() {
    let service = Service::with_faults(&[]);
    let (address, heard) = listener(&[404]);
    let place = place(&service);
    let ran = place.run(&["push", "a.csv", "--report", "r.ndjson", "--notify", &address]).ends_with(0);
    ran.says("the summary could not be posted (`--notify`): HTTP 404").never_says("secret-token");
    heard.join().unwrap();
    for wrong in ["http://example.com/secret-token", "secret-token", "ftp://example.com/secret-token"] {
        let ran = place.run(&["push", "a.csv", "--report", "x.ndjson", "--notify", wrong]).ends_with(2);
        ran.says("the address of `--notify`").never_says("secret-token");
    }
}

#[test]
fn two_runs_with_one_lock_do_not_overlap() {
    let sick = Service::with_faults(&["hang:1"]);
    let first = place(&sick);
    let push = ["push", "a.csv", "--lock", "night.lock", "--report"];
    let mut running = Running::start(&mut first.command(&[&push[..], &["1.ndjson"]].concat()));
    running.until("a request is under way", || sick.record().stats().requests > 0);
    let ran = first.run(&[&push[..], &["2.ndjson"]].concat()).ends_with(2);
    ran.says("another run holds the lock night.lock; nothing was sent");
    assert!(!first.exists("2.ndjson"));
    running.signal(Signal::KILL);
    running.finish();
    let service = Service::with_faults(&[]);
    let after = first.variable("ENGAGELAB_MA_BASE_URL", &service.url());
    after.run(&[&push[..], &["3.ndjson"]].concat()).ends_with(0);
}

#[test]
fn a_summary_that_can_not_be_written_is_told_and_changes_only_what_went_well() {
    let service = Service::with_faults(&[]);
    let (address, heard) = listener(&[200]);
    let place = place(&service);
    let push = ["push", "a.csv", "--summary", "/dev/full", "--notify", &address, "--report", "r.ndjson"];
    place.run(&push).ends_with(5).says("the summary /dev/full can't be written").says("20 rows read");
    let posted = heard.join().unwrap();
    assert_eq!((&posted[0]["synced"], &posted[0]["exit_code"]), (&Value::from(20), &Value::from(5)));

    // A run that is finished already.
    let (address, heard) = listener(&[200]);
    let push = [&push[..5], &[&address, "--report", "r.ndjson", "--resume"]].concat();
    place.run(&push).ends_with(5).says("there is nothing left to send");
    assert_eq!(heard.join().unwrap()[0]["exit_code"], 5);

    let (address, heard) = listener(&[200]);
    let wrong = place.variable("ENGAGELAB_MA_API_SECRET", "wrong");
    let push = ["push", "a.csv", "--summary", "/dev/full", "--notify", &address, "--report", "2.ndjson"];
    wrong.run(&push).ends_with(3).says("the summary /dev/full can't be written").says("refuses the credentials");
    assert_eq!(heard.join().unwrap()[0]["exit_code"], 3);

    wrong.file("b.csv", "euid,email\nx,a@example.com\n");
    wrong.run(&["check", "b.csv", "--summary", "/dev/full"]).ends_with(5).says("can't be written");
}

#[test]
fn a_lock_that_is_another_output_or_an_input_is_refused_and_nothing_is_touched() {
    let service = Service::with_faults(&[]);
    let place = place(&service);
    let input = place.read("a.csv");
    for (lock, said) in [
        ("r.ndjson", "--report and --lock name the same file"),
        ("./r.ndjson.run", "the report's run file and --lock name the same file"),
        ("s.json", "--summary and --lock name the same file"),
        ("a.csv", "--lock a.csv would overwrite the input a.csv"),
    ] {
        let push = ["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--lock", lock];
        place.run(&push).ends_with(2).says(said);
        assert!(!place.exists("r.ndjson") && !place.exists("s.json") && !place.exists("r.ndjson.run"), "{lock}");
    }
    assert_eq!((place.read("a.csv"), service.record().stats().requests), (input, 0));
}

#[test]
fn what_another_run_holds_can_be_waited_for() {
    let place = Workplace::new();
    place.file("a.csv", users(3));
    let locked = |name: &str| {
        let file = std::fs::File::options().create(true).append(true).open(place.path(name)).unwrap();
        file.lock().unwrap();
        file
    };
    let push = ["push", "--sandbox", "a.csv", "--report", "r.ndjson", "--resume", "--lock", "l"];
    for (held, said) in [("l", "the lock l"), ("r.ndjson", "the report r.ndjson")] {
        let lock = locked(held);
        place.run(&push).ends_with(2).says("another run");
        place.run(&[&push[..], &["--lock-wait", "1ms"]].concat()).ends_with(2).says(said);

        let waiting = [&push[..], &["--lock-wait", "1h"]].concat();
        let (mut running, told) = told(&mut place.command(&waiting));
        let us = std::process::id();
        assert_eq!(told, format!("waiting for another run, process {us}, that holds {said} (--lock-wait)\n"));
        running.signal(Signal::TERM);
        running.finish().ends_with(143);

        let (running, _) = self::told(&mut place.command(&waiting));
        drop(lock);
        running.finish().ends_with(0);
    }
    assert_eq!(place.json_lines("r.ndjson").len(), 3);
}

/// Starts a program and waits for its first line on standard error.
fn told(command: &mut std::process::Command) -> (Running, String) {
    let mut running = Running::start(command);
    let line = running.until_it_says("\n");
    (running, line)
}
