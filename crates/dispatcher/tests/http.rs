//! The HTTP lines against servers of a few lines, on loopback. Several threads: a connection that was given up is
//! closed by the client's own task, while the test waits for the server.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread::JoinHandle,
    time::Duration,
};

use dispatcher::{Broken, HttpLines, HttpSettings, Line, Lines, Request};

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
    let reply = HttpLines::new(&settings(&format!("{url}/base/"))).unwrap().line().send(request()).await.unwrap();
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
    let reply = HttpLines::new(&settings(&url)).unwrap().line().send(request()).await.unwrap();
    assert_eq!((reply.status, reply.body.len()), (307, 64 << 10));
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_holds_users_is_read_up_to_8_mib() {
    let (url, thread) = server(4, |n, mut stream| {
        read_request(&stream);
        let long = "x".repeat(if n < 2 { 300_000 } else { 9 << 20 });
        // The client may hang up when it has enough.
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    });
    for (path, length) in [
        ("v1/user/profile", 300_000),
        ("v1/user/register", 300_000),
        ("v1/user/profile", 8 << 20),
        ("v1/user/contact", 64 << 10),
    ] {
        let reply = HttpLines::new(&settings(&url)).unwrap().line().send(Request { path, ..request() }).await.unwrap();
        assert_eq!((reply.status, reply.body.len(), reply.broke_off), (200, length, false), "{path}");
    }
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
    let lines = HttpLines::new(&settings(&url)).unwrap();
    let mut line = lines.line();
    assert_eq!(line.send(request()).await.unwrap().status, 200);
    for expected in [true, false] {
        match line.send(request()).await {
            Err(Broken::Network { stale_connection, .. }) => assert_eq!(stale_connection, expected),
            other => panic!("{other:?}"),
        }
    }
    thread.join().unwrap();
}

/// A kept connection comes free while another is being opened, and the request goes over that one.
#[tokio::test]
async fn a_kept_connection_is_one_also_where_another_was_being_opened() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    // Whoever isn't accepted keeps others from connecting.
    let listener = socket.listen(0).unwrap().into_std().unwrap();
    listener.set_nonblocking(false).unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..2 {
            read_request(&stream);
            answer(&mut stream, "HTTP/1.1 200 OK", "{}");
        }
        read_request(&stream);
        listener
    });
    let lines = HttpLines::new(&settings(&format!("http://{address}"))).unwrap();
    let (mut one, mut other) = (lines.line(), lines.line());
    assert_eq!(one.send(request()).await.unwrap().status, 200);
    let waiting = TcpStream::connect(address).unwrap();
    let (answered, broken) = tokio::join!(one.send(request()), other.send(request()));
    assert_eq!(answered.unwrap().status, 200);
    assert!(matches!(broken, Err(Broken::Network { stale_connection: true, .. })), "{broken:?}");
    drop((thread.join().unwrap(), waiting));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_another_runtime_share_no_connection() {
    let (url, thread) = server(2, |n, mut stream| {
        std::thread::spawn(move || {
            read_request(&stream);
            answer(&mut stream, "HTTP/1.1 200 OK", &n.to_string());
            // Until the client hangs up.
            let _ = stream.read(&mut [0]);
        });
    });
    let lines = HttpLines::new(&settings(&url)).unwrap();
    assert_eq!(lines.line().send(request()).await.unwrap().body, b"0");
    assert_eq!(lines.for_runtime().line().send(request()).await.unwrap().body, b"1");
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_takes_a_fresh_connection() {
    let (url, thread) = server(2, |_, mut stream| {
        read_request(&stream);
        answer(&mut stream, "HTTP/1.1 200 OK", "{}");
    });
    let lines = HttpLines::new(&settings(&url)).unwrap();
    let mut line = lines.line();
    for _ in 0..2 {
        let request = Request { fresh_connection: true, ..request() };
        assert_eq!(line.send(request).await.unwrap().status, 200);
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
    assert!(matches!(HttpLines::new(&hasty).unwrap().line().send(request()).await, Err(Broken::Timeout(_))));
    thread.join().unwrap();
    let result = HttpLines::new(&settings(&url)).unwrap().line().send(request()).await;
    assert!(matches!(result, Err(Broken::Network { stale_connection: false, .. })), "{result:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_body_falls_silent_status_and_headers_still_count() {
    for (head, is_told) in [("HTTP/1.1 429 Slow\r\nRetry-After: 7", true), ("HTTP/1.1 200 OK", false)] {
        let (url, thread) = server(1, move |_, mut stream| {
            read_request(&stream);
            write!(stream, "{head}\r\nContent-Length: 500\r\n\r\n{{\"code\":0}}").unwrap();
            // Holds the connection until the client gives up.
            let _ = stream.read(&mut [0]);
        });
        let hasty = HttpSettings { timeout: Duration::from_secs(1), ..settings(&url) };
        let ended = HttpLines::new(&hasty).unwrap().line().send(request()).await;
        match ended {
            Ok(reply) => assert!(is_told && reply.broke_off && reply.retry_after.is_some(), "{reply:?}"),
            Err(Broken::Timeout(after)) => assert!(!is_told && after == hasty.timeout),
            other => panic!("{other:?}"),
        }
        thread.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_timeout_the_next_request_has_its_whole_time() {
    let (url, thread) = server(2, |n, mut stream| {
        read_request(&stream);
        if n == 1 {
            answer(&mut stream, "HTTP/1.1 200 OK", "{}");
        }
        // Until the client gives up, or is done.
        let _ = stream.read(&mut [0]);
    });
    let mut line = HttpLines::new(&HttpSettings { timeout: Duration::from_secs(1), ..settings(&url) }).unwrap().line();
    assert!(matches!(line.send(request()).await, Err(Broken::Timeout(_))));
    assert_eq!(line.send(request()).await.unwrap().status, 200);
    drop(line);
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_scrubbed_from_what_arrives_and_never_shown() {
    let encoded = "dGhlLWtleTp0aGUtc2VjcmV0";
    // Plain, as JSON escapes it, and cut by the limit of what is read.
    let escaped = "\\u0074he\\u002dkey, Basic dGhlLWtleTp0aGUtc2VjcmV\\u0030";
    let plain = format!("{{\"code\":7,\"message\":\"key the-key secret the-secret, {escaped}, basic {encoded}\"}}");
    let cut = format!("{}Basic {}", "x".repeat((64 << 10) - 18), encoded);
    let bodies = [plain, cut];
    let (url, thread) = server(2, move |n, mut stream| {
        read_request(&stream);
        // The client may hang up when it has enough.
        let _ = write!(stream, "HTTP/1.1 400 No\r\nContent-Length: {}\r\n\r\n{}", bodies[n].len(), bodies[n]);
    });
    let lines = HttpLines::new(&settings(&url)).unwrap();
    let mut line = lines.line();
    let fresh = || Request { fresh_connection: true, ..request() };
    let body = String::from_utf8(line.send(fresh()).await.unwrap().body).unwrap();
    let expected = "key [credentials] secret [credentials], [credentials], Basic [credentials], basic [credentials]";
    assert_eq!(body, format!("{{\"code\":7,\"message\":\"{expected}\"}}"));
    let body = String::from_utf8(line.send(fresh()).await.unwrap().body).unwrap();
    assert!(body.ends_with("xBasic [credentials]"), "{}", &body[body.len() - 40..]);
    let shown = format!("{lines:?} {line:?} {:?}", settings("http://127.0.0.1:1"));
    for secret in ["the-key", "the-secret", encoded] {
        assert!(!shown.contains(secret), "{shown}");
    }
    thread.join().unwrap();
}

/// What comes of an answer whose body breaks off.
async fn broken_off(head: &'static str) -> Result<dispatcher::Reply, Broken> {
    let (url, thread) = server(1, move |_, mut stream| {
        read_request(&stream);
        write!(stream, "{head}\r\nContent-Length: 500\r\n\r\n{{\"code\":0}}").unwrap();
    });
    let ended = HttpLines::new(&settings(&url)).unwrap().line().send(request()).await;
    thread.join().unwrap();
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_body_breaks_off_status_and_headers_still_count() {
    for (head, status) in [
        ("HTTP/1.1 401 No", 401),
        ("HTTP/1.1 403 No", 403),
        ("HTTP/1.1 408 Slow", 408),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7", 429),
        ("HTTP/1.1 503 Down\r\nRetry-After: Thursday, 01-Jan-26 00:00:07 GMT", 503),
        ("HTTP/1.1 599 Odd", 599),
    ] {
        let reply = broken_off(head).await.unwrap();
        assert_eq!(
            (reply.status, reply.broke_off, reply.retry_after.is_some()),
            (status, true, head.contains("Retry"))
        );
    }
    for head in ["HTTP/1.1 200 OK", "HTTP/1.1 302 Elsewhere", "HTTP/1.1 404 Nowhere", "HTTP/1.1 400 No"] {
        let ended = broken_off(head).await;
        assert!(matches!(ended, Err(Broken::Network { stale_connection: false, .. })), "{head}: {ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_are_kept_only_where_they_are_what_they_are_to_be() {
    let (url, thread) = server(1, |_, mut stream| {
        read_request(&stream);
        answer(&mut stream, "HTTP/1.1 429 Slow\r\nRetry-After: the-key\r\nDate: the-secret", "");
    });
    let reply = HttpLines::new(&settings(&url)).unwrap().line().send(request()).await.unwrap();
    assert_eq!((reply.retry_after, reply.date), (None, None));
    thread.join().unwrap();
}

#[test]
fn a_file_without_certificates_is_refused_in_words() {
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (pem, words) in [("no certificate", "holds no certificate"), (empty, "it can't be read")] {
        let ca_cert_pem = Some(pem.as_bytes().to_vec());
        let error = HttpLines::new(&HttpSettings { ca_cert_pem, ..settings("https://example.com") }).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("BadEncoding"), "{error}");
    }
}
