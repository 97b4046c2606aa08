use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use model::{
    limits::{MAX_ANSWER_BYTES, MAX_DATA_ANSWER_BYTES},
    wire::{PROFILE_PATH, REGISTER_PATH},
};
use reqwest::{
    Client, Method, Response, Url,
    header::{self, ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HOST, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::{Instant, Sleep, sleep_until};
use zeroize::Zeroizing;

use crate::{
    certificate::CertificateFault,
    client::{TransportError, USER_AGENT, causes, client, fresh_client},
    retry_after::{http_date, retry_after},
    reuse::KnownConnections,
    scrub::{Extent, ScrubbedAnswers, Scrubber, percent_decoded},
    settings::HttpSettings,
    transport::{Broken, Line, Lines, Reply, Request},
};

/// Lines over HTTP/1.1, by reqwest and rustls. Those of one share a pool: where little is to be sent, few connections do.
#[derive(Debug, Clone)]
pub struct HttpLines {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
}

/// What doesn't change from request to request, nor from runtime to runtime.
#[derive(Debug)]
struct Shared {
    settings: HttpSettings,
    base_url: String,
    headers: HeaderMap,
    scrubber: Scrubber,
    fresh: Client,
}

/// Connections that are kept.
#[derive(Debug)]
struct Pool {
    client: Client,
    answered: KnownConnections,
}

impl HttpLines {
    /// Sets up the client; connects nowhere yet.
    pub fn new(settings: &HttpSettings) -> Result<Self, TransportError> {
        let pair =
            Zeroizing::new(format!("{}:{}", settings.api_key.expose_secret(), settings.api_secret.expose_secret()));
        let shared = Shared {
            settings: settings.clone(),
            base_url: settings.base_url.as_str().trim_end_matches('/').to_owned(),
            headers: headers(&settings.base_url, &pair)?,
            scrubber: Scrubber::new(secrets(settings, &pair)),
            fresh: fresh_client(settings)?,
        };
        Ok(Self { shared: Arc::new(shared), pool: Arc::new(Pool::new(client(settings, settings.max_idle)?)) })
    }

    /// Asks for the base URL's head on a new connection, without credentials: whether anybody answers, and with which
    /// `Date`. Any answer will do.
    pub async fn reach(&self) -> Result<Reply, Broken> {
        let asked = self.shared.fresh.head(format!("{}/", self.shared.base_url)).send().await;
        let response = asked.map_err(|error| self.shared.broken(error, false))?;
        Ok(Reply { date: date(response.headers(), Timestamp::now()), ..head(&response) })
    }
}

impl Lines for HttpLines {
    type Line = HttpLine;

    fn line(&self) -> HttpLine {
        let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
        HttpLine { shared, pool, urls: Vec::new(), deadline: None, answers: ScrubbedAnswers::default() }
    }

    fn for_runtime(&self) -> Self {
        // Such a client was set up before; if it can't be any more, a shared one is only slower.
        let pool = client(&self.shared.settings, self.shared.settings.max_idle).map(Pool::new);
        Self { shared: Arc::clone(&self.shared), pool: pool.map_or_else(|_| Arc::clone(&self.pool), Arc::new) }
    }
}

/// A worker's line over HTTP.
#[derive(Debug)]
pub struct HttpLine {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// The URLs that were asked, by their paths: reading one costs as much as all headers.
    urls: Vec<(&'static str, Url)>,
    /// Set anew for each request, which costs less than one of its own.
    deadline: Option<Pin<Box<Sleep>>>,
    answers: ScrubbedAnswers,
}

/// Why there is no answer.
enum Fault {
    Late,
    Http(reqwest::Error),
}

impl From<reqwest::Error> for Fault {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error)
    }
}

impl Line for HttpLine {
    async fn send(&mut self, request: Request) -> Result<Reply, Broken> {
        let is_kept = !request.fresh_connection;
        self.exchange(request).await.map_err(|fault| match fault {
            Fault::Late => Broken::Timeout(self.shared.settings.timeout),
            Fault::Http(error) => {
                let had_answered = is_kept && self.pool.answered.forget(&error);
                self.shared.broken(error, had_answered)
            }
        })
    }
}

impl HttpLine {
    async fn exchange(&mut self, Request { path, body, fresh_connection }: Request) -> Result<Reply, Fault> {
        let mut request = reqwest::Request::new(Method::POST, self.url(path).map_err(Fault::Http)?);
        request.headers_mut().clone_from(&self.shared.headers);
        *request.body_mut() = Some(body.into());
        let client = if fresh_connection { &self.shared.fresh } else { &self.pool.client };
        let until = Instant::now() + self.shared.settings.timeout;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(until)));
        deadline.as_mut().reset(until);
        let mut response = before(deadline, client.execute(request)).await?;
        if !fresh_connection {
            self.pool.answered.note(response.extensions());
        }
        let mut reply = head(&response);
        let mut extent = Extent::Cut;
        let most = most_bytes(path);
        while reply.body.len() < most {
            match before(deadline, response.chunk()).await {
                Ok(Some(chunk)) => {
                    let room = most - reply.body.len();
                    reply.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
                }
                Ok(None) => {
                    extent = Extent::Whole;
                    break;
                }
                Err(_) if says_enough(reply.status) => {
                    reply.broke_off = true;
                    break;
                }
                Err(fault) => return Err(fault),
            }
        }
        reply.body = self.answers.scrub(&self.shared.scrubber, reply.body, extent);
        Ok(reply)
    }

    fn url(&mut self, path: &'static str) -> Result<Url, reqwest::Error> {
        if let Some((_, url)) = self.urls.iter().find(|(known, _)| *known == path) {
            return Ok(url.clone());
        }
        let asked = self.pool.client.post(format!("{}/{path}", self.shared.base_url)).build()?;
        self.urls.push((path, asked.url().clone()));
        Ok(asked.url().clone())
    }
}

/// What comes of it before the deadline.
async fn before<T>(
    deadline: &mut Pin<Box<Sleep>>,
    answer: impl Future<Output = Result<T, reqwest::Error>>,
) -> Result<T, Fault> {
    tokio::select! {
        biased;
        ended = answer => Ok(ended?),
        () = deadline.as_mut() => Err(Fault::Late),
    }
}

impl Pool {
    fn new(client: Client) -> Self {
        Self { client, answered: KnownConnections::default() }
    }
}

impl Shared {
    fn broken(&self, error: reqwest::Error, had_answered: bool) -> Broken {
        if error.is_timeout() && !error.is_connect() {
            return Broken::Timeout(self.settings.timeout);
        }
        let error = error.without_url();
        if let Some(fault) = CertificateFault::behind(&error) {
            return Broken::Certificate(fault);
        }
        let answer_begun = !error.is_request() || hyper_error(&error).is_some_and(hyper::Error::is_parse);
        let stale_connection = had_answered && !error.is_connect() && !answer_begun;
        Broken::Network { cause: self.scrubber.text(causes(&error)), stale_connection }
    }
}

/// The headers of every request. All that the client would add are among them, so that it need not.
fn headers(base_url: &Url, pair: &str) -> Result<HeaderMap, TransportError> {
    let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
    let mut authorization =
        HeaderValue::try_from(format!("Basic {}", encoded.as_str())).map_err(|_| TransportError::Credentials)?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::with_capacity(8);
    let host = base_url.host_str().map(|host| match base_url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    });
    if let Some(Ok(host)) = host.map(HeaderValue::try_from) {
        headers.insert(HOST, host);
    }
    headers.insert(AUTHORIZATION, authorization);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    Ok(headers)
}

/// Everything that is secret, in each form in which it is sent.
fn secrets(settings: &HttpSettings, pair: &str) -> Vec<SecretString> {
    let encoded = |pair: &str| SecretString::from(STANDARD.encode(pair).trim_end_matches('='));
    let mut secrets =
        vec![settings.api_key.clone(), settings.api_secret.clone(), SecretString::from(pair), encoded(pair)];
    let proxy = settings.proxy.as_ref().and_then(|proxy| Url::parse(proxy.expose_secret()).ok());
    if let Some((user, password)) = proxy.as_ref().and_then(|proxy| Some((proxy.username(), proxy.password()?))) {
        let [user, plain] = [user, password].map(percent_decoded);
        secrets.extend([SecretString::from(password), encoded(&format!("{user}:{plain}")), SecretString::from(plain)]);
    }
    secrets
}

/// How much of an answer is read, by the path that was asked.
fn most_bytes(path: &str) -> usize {
    if [PROFILE_PATH, REGISTER_PATH].contains(&path) { MAX_DATA_ANSWER_BYTES } else { MAX_ANSWER_BYTES }
}

/// Whether a status says what there is to do also where the body breaks off.
fn says_enough(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 429 | 500..=599)
}

/// Of the headers only what can be read as what it is to be is kept: a number, or a date. That of the answer counts only
/// beside one until which to wait.
fn head(response: &Response) -> Reply {
    let mut reply = Reply { status: response.status().as_u16(), ..Reply::default() };
    if response.headers().contains_key(RETRY_AFTER) {
        let now = Timestamp::now();
        reply.retry_after =
            text(response.headers(), RETRY_AFTER).filter(|value| retry_after(value, None, now).is_some());
        reply.date = date(response.headers(), now);
    }
    reply
}

fn date(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    text(headers, DATE).filter(|value| http_date(value, now).is_some())
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn hyper_error(error: &reqwest::Error) -> Option<&hyper::Error> {
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        next = cause.source();
    }
    None
}
