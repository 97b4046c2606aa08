//! A rate that is shared by Redis: who is let in, and what is said where nobody is.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use quota::{Secrets, Which};

use crate::{
    redis_server::{RedisServer, free_port},
    service::{Service, users},
    share_rate::{Other, failure},
    support::{Running, Workplace},
};

const PASSWORD: &str = "CONTACTSYNC_REDIS_PASSWORD";
const PASSWORD_FILE: &str = "CONTACTSYNC_REDIS_PASSWORD_FILE";

fn place(service: &Service) -> Workplace {
    let place = service.workplace();
    place.file("a.csv", users(20));
    place
}

#[test]
fn a_password_lets_in_comes_from_the_environment_and_is_never_told() {
    let Some(server) = RedisServer::with_password("hidden-word") else { return };
    let service = Service::with_faults(&[]);
    let url = server.url("night");
    let push = |report: &'static str| ["push", "a.csv", "-vv", "--share-rate", &url, "--report", report];
    let without = place(&service);
    let ran = without.run(&push("r.ndjson")).ends_with(2);
    let port = url.split(['/', ':', '?']).nth(4).unwrap();
    insta::assert_snapshot!(failure(&ran).replace(port, "PORT"), @r"
    error: `--share-rate`: Redis at 127.0.0.1:PORT (key night) wants a password: set CONTACTSYNC_REDIS_PASSWORD; nothing was sent
    hint: what to mend is at the server, in the address or in the password (CONTACTSYNC_REDIS_PASSWORD)
    ");
    assert!(!without.exists("r.ndjson") && service.record().stats().requests == 0);
    let wrong = place(&service).variable(PASSWORD, "other-word");
    wrong.run(&push("r.ndjson")).ends_with(2).says("doesn't take the user or password").never_says("other-word");
    assert!(!wrong.exists("r.ndjson"));

    let right = place(&service).variable(PASSWORD, "hidden-word");
    right.run(&push("r.ndjson")).ends_with(0).never_says("hidden-word").never_says("warning");
    assert_eq!(right.json_lines("r.ndjson").len(), 20);
    let by_file = place(&service).variable(PASSWORD_FILE, "password");
    by_file
        .run(&push("r.ndjson"))
        .ends_with(2)
        .says("CONTACTSYNC_REDIS_PASSWORD_FILE names password, which can't be read");
    by_file.file("password", "\n");
    by_file.run(&push("r.ndjson")).ends_with(2).says("the password of Redis is empty");
    by_file.file("password", "hidden-word\n");
    by_file.run(&push("r.ndjson")).ends_with(0).never_says("hidden-word");
    by_file.mode("password", 0o644);
    let ran = by_file.run(&push("s.ndjson")).ends_with(0).never_says("hidden-word");
    ran.says("warning: password holds a secret and can be read by others");
    let both = by_file.variable(PASSWORD, "hidden-word");
    both.run(&push("t.ndjson")).ends_with(2).says("are both set").never_says("hidden-word");
    // A file needs none.
    let by_disk = ["push", "a.csv", "--share-rate", "q.rate", "--report", "t.ndjson"];
    both.run(&by_disk).ends_with(0).never_says("both set");
}

#[test]
fn another_rate_at_a_server_is_refused_for_the_same_key_alone() {
    let Some(server) = RedisServer::with_password("hidden-word") else { return };
    let service = Service::with_faults(&[]);
    let place = place(&service).variable(PASSWORD, "hidden-word");
    let secrets = Secrets { password: Some("hidden-word".to_owned().into()), ca_cert_pem: None };
    let url = server.url("night");
    let other = Other::sharing(url.parse().unwrap(), Which::Sending, "50/s", secrets);
    let ran = place.run(&["push", "a.csv", "--share-rate", &url, "--report", "r.ndjson"]).ends_with(2);
    let said = failure(&ran);
    assert!(
        said.contains(" (key night): 1 other process shares it at the rate 50/s, and `--rate` is 100/s here"),
        "{ran}"
    );
    assert!(!place.exists("r.ndjson"));
    let doctor = place.run(&["doctor", "--share-rate", &url]).ends_with(2).never_says("hidden-word");
    assert!(doctor.stdout.contains("FAIL  shared rate    Redis at 127.0.0.1:"), "{doctor}");
    let another = server.url("morning");
    place.run(&["push", "a.csv", "--share-rate", &another, "--report", "r.ndjson"]).ends_with(0);
    other.leave();
    place.run(&["push", "a.csv", "--share-rate", &url, "--report", "s.ndjson"]).ends_with(0);
    let doctor = place.run(&["doctor", "--share-rate", &url]).ends_with(0).never_says("hidden-word");
    let line = doctor.stdout.lines().find(|line| line.starts_with("ok    shared rate    Redis at 127.0.0.1:")).unwrap();
    assert!(line.contains(" (key night) answers in ") && line.ends_with("at another rate than 100/s"), "{line}");
}

#[test]
fn a_server_that_is_out_of_reach_is_waited_for_and_then_ends_the_run() {
    let service = Service::with_faults(&[]);
    let place = place(&service);
    let port = free_port().to_string();
    let url = format!("redis://127.0.0.1:{port}?key=night");
    let push = ["push", "a.csv", "--share-rate", &url, "--report", "r.ndjson", "--outage-wait", "1s"];
    let ran = place.run(&push).ends_with(6);
    // The log says it too, with the time.
    let lines = ran.stderr.lines().take_while(|line| !line.contains("rows read"));
    let said = lines.filter(|line| !line.contains("  WARN ")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(said.replace(&port, "PORT"), @r"
    warning: the shared rate is out of reach: Redis at 127.0.0.1:PORT (key night) can't be reached: Connection refused (os error 111)
    hint: nothing starts until it answers; after 1 s the run stops (--outage-wait)
    error: stopped: the shared rate stayed out of reach for 1 s: Redis at 127.0.0.1:PORT (key night) can't be reached: Connection refused (os error 111)
    hint: check that what `--share-rate` names can be reached from here, then resume
    ");
    assert_eq!(service.record().stats().requests, 0);
    assert!(ran.stderr.contains("to go on: "), "{ran}");
    let doctor = place.run(&["doctor", "--share-rate", &url]).ends_with(6);
    assert!(doctor.stdout.contains("FAIL  shared rate    Redis at 127.0.0.1:"), "{doctor}");
    // Reading alone needs it too.
    let plan = ["push", "a.csv", "--dry-run", "--compare-service", "--share-rate", &url, "--outage-wait", "1s"];
    place.run(&plan).ends_with(6).says("the shared rate stayed out of reach for 1 s");
}

#[test]
fn who_is_refused_before_anything_was_asked_ends_as_if_refused_at_once() {
    let service = Service::with_faults(&[]);
    let place = place(&service).variable(PASSWORD, "hidden-word");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://127.0.0.1:{}?key=night", listener.local_addr().unwrap().port());
    let answers = Arc::new(AtomicBool::new(false));
    let does_answer = Arc::clone(&answers);
    // Hangs up at first, and lets nobody in later.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut bytes = [0; 1024];
            while does_answer.load(Ordering::SeqCst) && stream.read(&mut bytes).is_ok_and(|count| count > 0) {
                let _ = stream.write_all(b"-WRONGPASS hidden-word is not it\r\n");
            }
        }
    });
    let mut push = place.command(&["push", "a.csv", "--share-rate", &url, "--report", "r.ndjson"]);
    let mut running = Running::start(&mut push);
    running.until_it_says("after 900 s the run stops (--outage-wait)");
    answers.store(true, Ordering::SeqCst);
    let ran = running.finish().ends_with(2).never_says("hidden-word");
    assert!(failure(&ran).starts_with("error: stopped: the shared rate is refused: Redis at 127.0.0.1:"), "{ran}");
    assert_eq!(service.record().stats().requests, 0);
}

/// Hands on what goes to a server, each piece so much later.
fn far_away(url: &str, later: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = |url: &str| url.split([':', '?']).nth(2).unwrap().to_owned();
    let (near, server) = (listener.local_addr().unwrap().port().to_string(), port(url));
    let far = url.replace(&server, &near);
    std::thread::spawn(move || {
        for mut from in listener.incoming().map_while(Result::ok) {
            let Ok(mut to) = TcpStream::connect(format!("127.0.0.1:{server}")) else { return };
            let (mut back_from, mut back_to) = (to.try_clone().unwrap(), from.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut back_from, &mut back_to));
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = from.read(&mut bytes) {
                    std::thread::sleep(later);
                    let _ = to.write_all(&bytes[..count]);
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    far
}

#[test]
fn a_server_that_is_far_away_is_told_of_and_serves_all_the_same() {
    let Some(server) = RedisServer::with_password("hidden-word") else { return };
    let service = Service::with_faults(&[]);
    let place = place(&service).variable(PASSWORD, "hidden-word");
    let url = far_away(&server.url("night"), Duration::from_millis(150));
    let push = ["push", "a.csv", "--share-rate", &url, "--report", "r.ndjson"];
    place.run(&push).ends_with(0).says("ms; above 20 ms the whole rate may not be reached");
    assert_eq!(place.json_lines("r.ndjson").len(), 20);
}
