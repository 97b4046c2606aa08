//! Bare loops over the HTTP clients, one body over and over: what a client can do where nothing else is to be done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Uri,
    body::Bytes,
    client::conn::http1,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, runtime::Builder};

/// As long as a request with an e-mail address and a phone.
pub(crate) const BODY: &str =
    r#"{"euid":10000000001,"contacts":{"email":"chloe.123456@example.com","mobile_phone":"+12015550123"}}"#;
/// The sandbox's credentials.
pub(crate) const CREDENTIALS: &str = "Basic c2FuZGJveC1rZXk6c2FuZGJveC1zZWNyZXQ=";

/// Options of `client`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ClientArgs {
    #[arg(value_enum)]
    client: Client,
    url: String,
    #[arg(long)]
    requests: u64,
    #[arg(long)]
    in_flight: usize,
    /// 1: one for all cores; more: each on a thread of its own
    #[arg(long)]
    runtimes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// reqwest, a client for each runtime
    Reqwest,
    /// hyper's `SendRequest`, a connection for each worker
    Hyper,
}

/// `client`: sends so many requests and ends.
pub(crate) fn client(args: &ClientArgs) -> anyhow::Result<()> {
    let left = Arc::new(AtomicU64::new(args.requests));
    if args.runtimes <= 1 {
        return Builder::new_multi_thread().enable_all().build()?.block_on(workers(args, args.in_flight, left));
    }
    let mut threads = Vec::new();
    for thread in 0..args.runtimes {
        let (args, left) = (args.clone(), Arc::clone(&left));
        let in_flight = args.in_flight / args.runtimes + usize::from(thread < args.in_flight % args.runtimes);
        threads.push(std::thread::spawn(move || {
            Builder::new_current_thread().enable_all().build()?.block_on(workers(&args, in_flight, left))
        }));
    }
    for thread in threads {
        let Ok(ended) = thread.join() else { bail!("a thread panicked") };
        ended?;
    }
    Ok(())
}

async fn workers(args: &ClientArgs, in_flight: usize, left: Arc<AtomicU64>) -> anyhow::Result<()> {
    let client = reqwest_client(args.in_flight)?;
    let mut tasks = Vec::new();
    for _ in 0..in_flight {
        let (url, left, client) = (args.url.clone(), Arc::clone(&left), client.clone());
        tasks.push(match args.client {
            Client::Reqwest => tokio::spawn(over_reqwest(client, url, left)),
            Client::Hyper => tokio::spawn(over_hyper(url, left)),
        });
    }
    for task in tasks {
        task.await??;
    }
    Ok(())
}

fn reqwest_client(in_flight: usize) -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .http1_only()
        .no_proxy()
        .tcp_nodelay(true)
        .timeout(Duration::from_secs(30))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .pool_max_idle_per_host(in_flight)
        .build()
}

/// Whether one more is to be sent.
fn takes_one(left: &AtomicU64) -> bool {
    left.try_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
}

async fn over_reqwest(client: reqwest::Client, url: String, left: Arc<AtomicU64>) -> anyhow::Result<()> {
    let url = reqwest::Url::parse(&url)?;
    while takes_one(&left) {
        let request = client
            .post(url.clone())
            .header(AUTHORIZATION, HeaderValue::from_static(CREDENTIALS))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(BODY);
        let response = request.send().await?.error_for_status()?;
        std::hint::black_box(response.bytes().await?);
    }
    Ok(())
}

async fn over_hyper(url: String, left: Arc<AtomicU64>) -> anyhow::Result<()> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().context("the URL has no host")?.as_str().to_owned();
    let host = HeaderValue::try_from(&authority)?;
    let stream = TcpStream::connect(&authority).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    while takes_one(&left) {
        sender.ready().await?;
        let request = Request::post(uri.path())
            .header(HOST, host.clone())
            .header(AUTHORIZATION, HeaderValue::from_static(CREDENTIALS))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(Full::new(Bytes::from_static(BODY.as_bytes())))?;
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            bail!("answered with {}", response.status());
        }
        std::hint::black_box(response.into_body().collect().await?.to_bytes());
    }
    Ok(())
}
