//! The HTTP transport against servers of a few lines, on loopback. Several threads: a connection that was given up is
//! closed by the client's own task, while the test waits for the server.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use dispatcher::{Broken, HttpSettings, HttpTransport, Request, Transport};

fn settings(base_url: &str) -> HttpSettings {
    HttpSettings {
        base_url: base_url.parse().unwrap(),
        api_key: "the-key".into(),
        api_secret: "the-secret".into(),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(10),
        ca_cert_pem: None,
        proxy: None,
        max_idle: 4,
    }
}

fn request() -> Request {
    Request { path: "v1/user/contact", body: br#"{"euid":1}"#.to_vec(), fresh_connection: false }
}

/// Serves one connection after the other with `serve`; returns the base URL.
fn server(connections: usize, serve: impl Fn(usize, TcpStream) + Send + 'static) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        for n in 0..connections {
            serve(n, listener.accept().unwrap().0);
        }
    });
    (url, thread)
}

/// Reads one request: its head in lower case, and its body.
fn read_request(stream: &TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the client hung up: {head}");
    }
    let head = head.to_lowercase();
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn answer(stream: &mut TcpStream, head: &str, body: &str) {
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_bears_path_credentials_and_body() {
    let (url, thread) = server(1, |_, mut stream| {
        let (head, body) = read_request(&stream);
        assert!(head.starts_with("post /base/v1/user/contact http/1.1"), "{head}");
        // base64 of the-key:the-secret, in lower case like the whole head
        assert!(head.contains("authorization: basic dghllwtletp0agutc2vjcmv0"), "{head}");
        assert!(head.contains("content-type: application/json"));
        assert_eq!(body, r#"{"euid":1}"#);
        answer(&mut stream, "HTTP/1.1 429 Slow\r\nRetry-After: 3\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT", "busy");
    });
    let reply = HttpTransport::new(&settings(&format!("{url}/base/"))).unwrap().send(request()).await.unwrap();
    assert_eq!((reply.status, reply.retry_after.as_deref()), (429, Some("3")));
    assert_eq!((reply.date.as_deref(), &*reply.body), (Some("Thu, 01 Jan 2026 00:00:00 GMT"), &b"busy"[..]));
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_read_up_to_64_kib_and_a_redirect_is_not_followed() {
    let (url, thread) = server(1, |_, mut stream| {
        read_request(&stream);
        let head = "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:1/";
        // The client may hang up when it has enough.
        let _ = write!(stream, "{head}\r\nContent-Length: 300000\r\n\r\n{}", "x".repeat(300_000));
    });
    let reply = HttpTransport::new(&settings(&url)).unwrap().send(request()).await.unwrap();
    assert_eq!((reply.status, reply.body.len()), (307, 64 << 10));
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_kept_connection_can_be_stale() {
    let (url, thread) = server(2, |n, mut stream| {
        read_request(&stream);
        if n == 0 {
            answer(&mut stream, "HTTP/1.1 200 OK", "{}");
            read_request(&stream);
        }
        // Closed without an answer: once a kept connection, once a new one.
    });
    let transport = HttpTransport::new(&settings(&url)).unwrap();
    assert_eq!(transport.send(request()).await.unwrap().status, 200);
    for expected in [true, false] {
        match transport.send(request()).await {
            Err(Broken::Network { stale_connection, .. }) => assert_eq!(stale_connection, expected),
            other => panic!("{other:?}"),
        }
    }
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_takes_a_fresh_connection() {
    let (url, thread) = server(2, |_, mut stream| {
        read_request(&stream);
        answer(&mut stream, "HTTP/1.1 200 OK", "{}");
    });
    let transport = HttpTransport::new(&settings(&url)).unwrap();
    for _ in 0..2 {
        let request = Request { fresh_connection: true, ..request() };
        assert_eq!(transport.send(request).await.unwrap().status, 200);
    }
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_a_timeout_and_a_closed_port_is_the_network() {
    let (url, thread) = server(1, |_, stream| {
        read_request(&stream);
        // Holds the connection until the client gives up.
        let _ = (&stream).read(&mut [0]);
    });
    let hasty = HttpSettings { timeout: Duration::from_millis(50), ..settings(&url) };
    assert!(matches!(HttpTransport::new(&hasty).unwrap().send(request()).await, Err(Broken::Timeout(_))));
    thread.join().unwrap();
    let result = HttpTransport::new(&settings(&url)).unwrap().send(request()).await;
    assert!(matches!(result, Err(Broken::Network { stale_connection: false, .. })), "{result:?}");
}

#[test]
fn credentials_are_scrubbed_and_never_shown() {
    let transport = HttpTransport::new(&settings("http://127.0.0.1:1")).unwrap();
    let encoded = "dGhlLWtleTp0aGUtc2VjcmV0";
    let text = transport.scrub(format!("key the-key secret the-secret basic {encoded}"));
    assert_eq!(text, "key [credentials] secret [credentials] basic [credentials]");
    let shown = format!("{transport:?} {:?}", settings("http://127.0.0.1:1"));
    for secret in ["the-key", "the-secret", encoded] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_file_without_certificates_is_refused() {
    let settings = HttpSettings { ca_cert_pem: Some(b"no certificate".to_vec()), ..settings("https://example.com") };
    assert!(HttpTransport::new(&settings).is_err());
}
