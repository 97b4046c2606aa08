//! Certificates that don't verify, over TLS on loopback: what is said of each. `certificates/make.sh` makes them.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use dispatcher::{Broken, HttpLines, HttpSettings, Line, Lines, Reply, Request};
use rustls::{
    ServerConfig, ServerConnection, Stream,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

/// Serves one connection under a certificate; returns the port.
fn server(certificate: CertificateDer<'static>) -> (u16, JoinHandle<()>) {
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut socket = listener.accept().unwrap().0;
        let mut connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = Stream::new(&mut connection, &mut socket);
        // A client that doesn't trust it hangs up.
        if stream.read(&mut [0; 1024]).is_ok_and(|read| read > 0) {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"code\":0}");
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, thread)
}

fn settings(host: &str, port: u16, authority: Option<&str>) -> HttpSettings {
    HttpSettings {
        base_url: format!("https://{host}:{port}").parse().unwrap(),
        api_key: "the-key".into(),
        api_secret: "the-secret".into(),
        timeout: Duration::from_secs(30),
        connect_timeout: Duration::from_secs(10),
        // Where none is given there must be some: a machine may have none of its own.
        ca_cert_pem: Some(std::fs::read(file(authority.unwrap_or("itself.pem"))).unwrap()),
        proxy: None,
        max_idle: 1,
    }
}

async fn send(host: &str, authority: Option<&str>, certificate: CertificateDer<'static>) -> Result<Reply, Broken> {
    let (port, thread) = server(certificate);
    let request = Request { path: "v1/user/contact", body: b"{}".to_vec(), fresh_connection: true };
    let ended = HttpLines::new(&settings(host, port, authority)).unwrap().line().send(request).await;
    thread.join().unwrap();
    ended
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(file(name)).unwrap()
}

const TRUSTED: Option<&str> = Some("authority.pem");

#[tokio::test(flavor = "multi_thread")]
async fn one_that_verifies_is_taken() {
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(send(host, TRUSTED, certificate("good.pem")).await.unwrap().status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_told_in_words_with_what_to_do() {
    let mut forged = certificate("good.pem").to_vec();
    // Within the signature, which comes last.
    *forged.last_mut().unwrap() ^= 1;
    let cases = [
        (
            TRUSTED,
            certificate("expired.pem"),
            "it expired at 2021-01-01T00:00:00Z, and this machine's clock says 2",
            "clock",
        ),
        (TRUSTED, certificate("not-yet.pem"), "it is valid from 2100-01-01T00:00:00Z on, and this machine's", "clock"),
        (
            TRUSTED,
            certificate("other-name.pem"),
            "it is not for 127.0.0.1, but for portal.example.com, *.example.net",
            "`--base-url`",
        ),
        (None, certificate("good.pem"), "an authority that this machine doesn't trust", "`--ca-cert FILE`"),
        (Some("itself.pem"), certificate("itself.pem"), "an authority's own certificate", "`--ca-cert FILE`"),
        (TRUSTED, certificate("other-purpose.pem"), "it is not one for servers", "replace the certificate"),
        (TRUSTED, CertificateDer::from(forged), "its signature is wrong", "`--ca-cert FILE`"),
    ];
    for (authority, certificate, what, advice) in cases {
        let ended = send("127.0.0.1", authority, certificate).await;
        let Err(Broken::Certificate(fault)) = &ended else { panic!("{what}: {ended:?}") };
        assert!(fault.to_string().contains(what), "{fault}, expected {what}");
        assert!(fault.advice().contains(advice), "{}, expected {advice}", fault.advice());
        let told = fault.to_string();
        assert!(!told.contains(['{', '"']) && !told.contains("Error"), "debug output: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_notified_under_such_a_certificate_is_told_of_in_words_too() {
    let (port, thread) = server(certificate("itself.pem"));
    let settings = settings("127.0.0.1", port, Some("itself.pem"));
    let error = dispatcher::post_json(&settings, &settings.base_url, b"{}".to_vec()).await.unwrap_err();
    assert!(error.contains("an authority's own certificate") && error.contains("--ca-cert"), "{error}");
    assert!(!error.contains("OtherError"), "{error}");
    thread.join().unwrap();
}
