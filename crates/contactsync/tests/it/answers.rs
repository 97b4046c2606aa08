//! What of an answer's words comes out: no credential, and on standard error no contact.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
};

use serde_json::json;

use crate::support::{Workplace, skipped};

const KEY: &str = "night-key-7f3a";
const SECRET: &str = "s3cr/et-word-91";
const CONTACT: &str = "somebody@example.com";

/// A portal that answers each request under this status with a page that repeats all of it, as JSON escapes it.
fn portal(status: u16) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The client may hang up when it has seen enough.
            let _ = stream.and_then(|stream| repeat(stream, status));
        }
    });
    url
}

fn repeat(mut stream: TcpStream, status: u16) -> std::io::Result<()> {
    let mut reader = BufReader::new(&stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head)? > 0 {}
    let length = head
        .to_lowercase()
        .split_once("content-length: ")
        .map_or(0, |(_, rest)| rest.lines().next().unwrap().trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let told = json!({"request": format!("{head}{}", String::from_utf8_lossy(&body)), "key": KEY, "secret": SECRET});
    let page = format!("<pre>{}</pre>", told.to_string().replace('/', "\\/"));
    let length = page.len();
    write!(stream, "HTTP/1.1 {status} Portal\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{page}")
}

#[test]
fn a_portal_that_repeats_the_request_puts_nothing_of_it_on_standard_error() {
    let encoded = "bmlnaHQta2V5LTdmM2E6czNjci9ldC13b3JkLTkx";
    for (status, exit, told) in [(401, 3, "(HTTP 401)"), (404, 6, "HTTP status"), (503, 6, "out of reach")] {
        let place = Workplace::new()
            .variable("ENGAGELAB_MA_BASE_URL", &portal(status))
            .variable("ENGAGELAB_MA_API_KEY", KEY)
            .variable("ENGAGELAB_MA_API_SECRET", SECRET);
        let rows: String = (1..=150).map(|euid| format!("{euid},{CONTACT}\n")).collect();
        place.file("a.csv", format!("euid,email\n{rows}"));
        let options = ["--rate", "unlimited", "--outage-wait", "500ms", "--retry-base", "1ms", "--retry-cap", "5ms"];
        let arguments = [
            &["push", "a.csv", "--report", "r.ndjson", "--summary", "s.json", "--log-format", "json", "-vvv"][..],
            &options,
        ];
        let mut ran = place.run(&arguments.concat()).ends_with(exit).says(told);
        for text in [CONTACT, "somebody", KEY, "night-key", SECRET, "s3cr", encoded, &encoded[..12]] {
            ran = ran.never_says(text);
        }
        let written = format!("{}{}", place.read("r.ndjson"), place.read("s.json"));
        assert_eq!(written.contains("[credentials]"), exit == 3 || status == 404, "{written}");
        for text in [KEY, "night-key", SECRET, "s3cr", encoded, &encoded[..12]] {
            assert!(!written.contains(text), "{text} in {written}");
        }
    }
}

#[test]
fn six_rows_against_a_closed_port_wait() {
    let place = Workplace::new()
        .variable("ENGAGELAB_MA_BASE_URL", "http://127.0.0.1:9")
        .variable("ENGAGELAB_MA_API_KEY", KEY)
        .variable("ENGAGELAB_MA_API_SECRET", SECRET);
    place.file("a.csv", crate::service::users(6));
    let options = ["--outage-wait", "1s", "--retry-base", "1ms", "--retry-cap", "5ms", "--summary", "s.json"];
    let arguments = [&["push", "a.csv", "--report", "r.ndjson"][..], &options];
    place.run(&arguments.concat()).ends_with(6).says("requests are held").says("--resume");
    let summary: serde_json::Value = serde_json::from_str(&place.read("s.json")).unwrap();
    let seen = ["stopped_by", "failed", "not_sent"].map(|name| summary[name].clone());
    assert_eq!(seen, [json!("outage"), json!(0), json!(6)]);
}

#[test]
fn a_file_of_authorities_that_is_of_no_use_is_exit_2_and_leaves_no_report() {
    let place = Workplace::new().variable("ENGAGELAB_MA_API_KEY", KEY).variable("ENGAGELAB_MA_API_SECRET", SECRET);
    place.file("a.csv", crate::service::users(6));
    place.file("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let arguments = ["push", "a.csv", "--ca-cert", "ca.pem", "--report", "r.ndjson"];
    place.run(&arguments).ends_with(2).says("certificate authorities could not be read");
    assert!(!place.exists("r.ndjson"));
}

#[test]
fn without_authorities_on_the_system_it_says_so_and_the_sandbox_works() {
    // Where the system's are looked for: as in a container that holds the program alone.
    let place = Workplace::new()
        .variable("SSL_CERT_FILE", "/nowhere/ca.pem")
        .variable("ENGAGELAB_MA_API_KEY", KEY)
        .variable("ENGAGELAB_MA_API_SECRET", SECRET);
    place.file("a.csv", crate::service::users(6));
    place.run(&["push", "--sandbox", "a.csv", "--report", "sandbox.ndjson"]).ends_with(0);
    if cfg!(target_os = "macos") {
        skipped("macOS has authorities of its own");
        return;
    }
    let ran = place.run(&["push", "a.csv", "--base-url", "https://127.0.0.1:9", "--report", "r.ndjson"]);
    ran.ends_with(2).says("no certificate authorities").says("--ca-cert");
    assert!(!place.exists("r.ndjson"));
}
