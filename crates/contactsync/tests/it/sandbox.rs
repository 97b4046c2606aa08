use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
};

use rustix::process::Signal;

use crate::support::{Running, Workplace};

/// Starts a sandbox and waits until it says where it listens.
fn start(place: &Workplace, arguments: &[&str]) -> (Running, SocketAddr, String) {
    let arguments: Vec<&str> = ["sandbox", "--listen", "127.0.0.1:0"].iter().chain(arguments).copied().collect();
    let mut sandbox = Running::start(&mut place.command(&arguments));
    let mut stderr = BufReader::new(sandbox.child().stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C") {
        assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
    }
    sandbox.child().stderr = Some(stderr.into_inner());
    let address = said.lines().find_map(|line| line.strip_prefix("listening on http://")).unwrap();
    (sandbox, address.parse().unwrap(), said)
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_serves_until_a_signal_comes() {
    let place = Workplace::new();
    let (mut sandbox, address, said) = start(&place, &[]);
    assert!(said.contains("key:      sandbox-key\nsecret:   sandbox-secret\n"), "{said}");
    assert!(get(address, "/_sandbox/stats").starts_with("HTTP/1.1 200 OK"), "{said}");
    sandbox.signal(Signal::INT);
    sandbox.finish().ends_with(130);
    let (mut sandbox, ..) = start(&place, &[]);
    sandbox.signal(Signal::TERM);
    sandbox.finish().ends_with(143);
}

#[test]
fn credentials_that_were_given_are_not_repeated() {
    let place = Workplace::new().variable("CONTACTSYNC_SANDBOX_API_SECRET", "hidden-word");
    let (mut sandbox, _, said) = start(&place, &["--api-key", "other-word"]);
    assert!(said.contains("key:      as given\nsecret:   as given\n"), "{said}");
    sandbox.signal(Signal::INT);
    sandbox.finish().ends_with(130).never_says("hidden-word");
}

#[test]
fn an_address_in_use_is_an_error_of_usage() {
    let place = Workplace::new();
    let (mut sandbox, address, _) = start(&place, &[]);
    place.run(&["sandbox", "--listen", &address.to_string()]).ends_with(2).says("`--listen 127.0.0.1:0`");
    sandbox.signal(Signal::INT);
    sandbox.finish().ends_with(130);
}

#[test]
fn its_settings_come_from_the_layers_too() {
    let place = Workplace::new().variable("CONTACTSYNC_SANDBOX_LIMIT", "x").variable("CONTACTSYNC_LIMIT", "5");
    place
        .run(&["sandbox"])
        .ends_with(2)
        .says("invalid value 'x' for '--limit <RATE>'")
        .says("CONTACTSYNC_SANDBOX_LIMIT");
}

#[test]
fn an_empty_value_clears_its_contact_or_is_refused() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_API_KEY", "sandbox-key")
        .variable("ENGAGELAB_MA_API_SECRET", "sandbox-secret");
    for (options, status, left) in [
        (&[][..], 0, r#""contacts":{"mobile_phone":"+12025550101"}"#),
        (&["--refuse-empty"], 1, r#""contacts":{"email":"a@example.com","mobile_phone":"+12025550101"}"#),
    ] {
        let (mut sandbox, address, _) = start(&place, options);
        let url = format!("http://{address}");
        let push = ["push", "a.csv", "--base-url", &url, "--report", "r.ndjson", "--force", "--empty", "clear"];
        let held = || get(address, "/_sandbox/contacts/1");
        place.file("a.csv", "euid,email,mobile_phone\n1,a@example.com,+12025550101\n");
        place.run(&push).ends_with(0);
        assert!(held().contains(r#""contacts":{"email":"a@example.com","mobile_phone":"+12025550101"}"#), "{}", held());
        place.file("a.csv", "euid,email\n1,\n");
        place.run(&[&push[..], &["--max-clears", "1"]].concat()).ends_with(status);
        assert!(held().contains(left), "{}", held());
        sandbox.signal(Signal::INT);
        sandbox.finish().ends_with(130);
    }
}

#[test]
fn how_it_lists_users_and_what_it_stores_can_be_chosen() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_API_KEY", "sandbox-key")
        .variable("ENGAGELAB_MA_API_SECRET", "sandbox-secret");
    let (mut sandbox, address, said) =
        start(&place, &["--profile-shape", "plain", "--profile-limit", "2/h", "--normalise", "--fault", "unstored:0"]);
    let url = format!("http://{address}");
    assert!(said.contains(&format!("{url}/_sandbox/ids/user_id/ID")), "{said}");
    place.file("a.csv", "euid,email,mobile_phone\n1,Ann@example.com,+1 201-555-0101\n");
    place.run(&["push", "a.csv", "--base-url", &url]).ends_with(0);
    let held = get(address, "/_sandbox/contacts/1");
    assert!(held.contains(r#""contacts":{"email":"ann@example.com","mobile_phone":"12015550101"}"#), "{held}");
    for status in [0, 0, 6] {
        let ran = place.run(&["doctor", "--euid", "1", "--base-url", &url]).ends_with(status);
        assert_eq!(ran.stdout.contains("      \"email\": text\n"), status == 0, "{ran}");
    }
    assert!(get(address, "/_sandbox/stats").contains(r#""profile_requests":3"#));
    assert!(get(address, "/_sandbox/ids/user_id/a/b").starts_with("HTTP/1.1 404"));
    sandbox.signal(Signal::INT);
    sandbox.finish().ends_with(130);
    place.run(&["sandbox", "--profile-shape", "round"]).ends_with(2).says("it is one of object, nulls");
    place.run(&["sandbox", "--fault", "fly:1"]).ends_with(2).says("is no fault");
    place.run(&["push", "a.csv", "--sandbox-profile-limit", "none"]).ends_with(2).says("--sandbox");
}

#[test]
fn the_sandbox_of_a_run_that_reads_back_keeps_users() {
    let place = Workplace::new();
    place.file("a.csv", "euid,email\n1,ann@example.com\n1,ann@example.com\n1,bob@example.com\n");
    let push = ["push", "a.csv", "--sandbox", "--compare-service", "--summary", "-"];
    let ran = place.run(&[&push[..], &["--report", "r.ndjson"]].concat()).ends_with(0);
    assert!(ran.stdout.contains(r#""synced":2"#) && ran.stdout.contains(r#""unchanged":1"#), "{ran}");
    place.run(&[&push[..], &["--dry-run"]].concat()).ends_with(0);
    // Nobody is there yet.
    place.run(&["verify", "a.csv", "--sandbox", "--report", "v.ndjson", "--settle", "0"]).ends_with(1);
    let reasons: Vec<String> = place.json_lines("v.ndjson").iter().map(|row| row["reason"].to_string()).collect();
    assert!(reasons.contains(&"\"user_missing\"".to_owned()), "{reasons:?}");
}
