use std::{error::Error, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use model::limits::MAX_ANSWER_BYTES;
use reqwest::{
    Certificate, Client, ClientBuilder, Proxy, Response, StatusCode, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use crate::{
    certificate::CertificateFault,
    retry_after::{http_date, retry_after},
    reuse::{NewConnections, with_connection_watch},
    scrub::{Extent, Scrubber, percent_decoded},
    settings::HttpSettings,
    transport::{Broken, Line, Lines, Reply, Request},
};

/// Connections idle for longer are closed: common load balancers close theirs after 60 to 75 seconds, and a request on
/// a connection that is being closed is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Lines over HTTP/1.1, by reqwest and rustls.
#[derive(Debug, Clone)]
pub struct HttpLines(Arc<Shared>);

/// A worker's line over HTTP.
#[derive(Debug, Clone)]
pub struct HttpLine(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    base_url: String,
    authorization: HeaderValue,
    scrubber: Scrubber,
    kept: Client,
    fresh: Client,
    timeout: Duration,
}

/// Why the transport could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The file given as certificate authority holds none.
    #[error("the certificate authorities could not be read: {0}")]
    CaCert(String),
    /// The proxy's URL.
    #[error("the proxy can't be used: its URL is not one of http://, https:// with a host")]
    Proxy,
    /// The API key or secret.
    #[error("the API key or secret holds characters that can't be sent")]
    Credentials,
    /// Anything else.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
}

impl HttpLines {
    /// Sets up the client; connects nowhere yet.
    pub fn new(settings: &HttpSettings) -> Result<Self, TransportError> {
        let pair =
            Zeroizing::new(format!("{}:{}", settings.api_key.expose_secret(), settings.api_secret.expose_secret()));
        let encoded = Zeroizing::new(STANDARD.encode(pair.as_bytes()));
        let mut authorization =
            HeaderValue::try_from(format!("Basic {}", encoded.as_str())).map_err(|_| TransportError::Credentials)?;
        authorization.set_sensitive(true);
        let build = |max_idle| {
            client(settings, max_idle)?.build().map_err(|error| match CertificateFault::behind(&error) {
                Some(fault) => TransportError::CaCert(format!("one of them can't be used: {fault}")),
                None => TransportError::Client(causes(&error.without_url())),
            })
        };
        Ok(Self(Arc::new(Shared {
            base_url: settings.base_url.as_str().trim_end_matches('/').to_owned(),
            authorization,
            scrubber: Scrubber::new(secrets(settings, &pair)),
            kept: build(settings.max_idle)?,
            fresh: build(0)?,
            timeout: settings.timeout,
        })))
    }

    /// Asks for the base URL's head on a new connection, without credentials: whether anybody answers, and with which
    /// `Date`. Any answer will do.
    pub async fn reach(&self) -> Result<Reply, Broken> {
        let asked = self.0.fresh.head(format!("{}/", self.0.base_url)).send().await;
        asked.map(|response| head(&response)).map_err(|error| self.0.broken(error, true))
    }
}

impl Shared {
    async fn exchange(&self, request: Request) -> Result<Reply, reqwest::Error> {
        let client = if request.fresh_connection { &self.fresh } else { &self.kept };
        let mut response = client
            .post(format!("{}/{}", self.base_url, request.path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(request.body)
            .send()
            .await?;
        let mut reply = head(&response);
        let mut extent = Extent::Cut;
        while reply.body.len() < MAX_ANSWER_BYTES {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => {
                    extent = Extent::Whole;
                    break;
                }
                Err(_) if says_enough(reply.status) => {
                    reply.broke_off = true;
                    break;
                }
                Err(error) => return Err(error),
            };
            let room = MAX_ANSWER_BYTES - reply.body.len();
            reply.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        reply.body = self.scrubber.body(reply.body, extent);
        Ok(reply)
    }
}

/// Posts JSON to an address, without credentials, by the same way as requests go: proxy, authorities, timeouts. Returns the
/// HTTP status. The address may hold a secret, so no error shows it.
pub async fn post_json(settings: &HttpSettings, address: &Url, body: Vec<u8>) -> Result<u16, String> {
    let settings = HttpSettings { base_url: address.clone(), ..settings.clone() };
    let built = client(&settings, 0).map_err(|error| error.to_string())?.build();
    let client = built.map_err(|error| causes(&error.without_url()))?;
    let content_type = HeaderValue::from_static("application/json");
    let posted = client.post(address.clone()).header(CONTENT_TYPE, content_type).body(body).send().await;
    posted.map(|response| response.status().as_u16()).map_err(|error| match CertificateFault::behind(&error) {
        Some(fault) => format!("the server's certificate doesn't verify: {fault} ({})", fault.advice()),
        None => causes(&error.without_url()),
    })
}

impl Lines for HttpLines {
    type Line = HttpLine;

    fn line(&self) -> HttpLine {
        HttpLine(Arc::clone(&self.0))
    }

    fn for_runtime(&self) -> Self {
        self.clone()
    }
}

impl Line for HttpLine {
    async fn send(&mut self, request: Request) -> Result<Reply, Broken> {
        let connections = NewConnections::default();
        let result = with_connection_watch(&connections, self.0.exchange(request)).await;
        result.map_err(|error| self.0.broken(error, connections.any()))
    }
}

impl Shared {
    fn broken(&self, error: reqwest::Error, connected_anew: bool) -> Broken {
        if error.is_timeout() && !error.is_connect() {
            return Broken::Timeout(self.timeout);
        }
        let error = error.without_url();
        if let Some(fault) = CertificateFault::behind(&error) {
            return Broken::Certificate(fault);
        }
        let answer_begun = !error.is_request() || hyper_error(&error).is_some_and(hyper::Error::is_parse);
        let stale_connection = !connected_anew && !error.is_connect() && !answer_begun;
        Broken::Network { cause: self.scrubber.text(causes(&error)), stale_connection }
    }
}

fn client(settings: &HttpSettings, max_idle: usize) -> Result<ClientBuilder, TransportError> {
    let mut builder = Client::builder()
        .user_agent(concat!("contactsync/", env!("CARGO_PKG_VERSION")))
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        // Every attempt is counted here, so none may be made behind our back.
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(max_idle)
        .timeout(settings.timeout)
        .connect_timeout(settings.connect_timeout)
        .connector_layer(NewConnections::layer());
    if let Some(pem) = &settings.ca_cert_pem {
        let authorities = Certificate::from_pem_bundle(pem).map_err(|error| TransportError::CaCert(causes(&error)))?;
        if authorities.is_empty() {
            return Err(TransportError::CaCert("the file holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    if is_loopback(&settings.base_url) {
        builder = builder.no_proxy();
    } else if let Some(proxy) = &settings.proxy {
        // The error would show the URL, and with it a password.
        builder = builder.proxy(Proxy::all(proxy.expose_secret()).map_err(|_| TransportError::Proxy)?);
    }
    Ok(builder)
}

/// Whether a URL's host is this machine.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
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

/// Whether a status says what there is to do also where the body breaks off.
fn says_enough(status: u16) -> bool {
    matches!(status, 401 | 403 | 408 | 429 | 500..=599)
}

/// Of the headers only what can be read as what it is to be is kept: a number, or a date.
fn head(response: &Response) -> Reply {
    let text = |headers: &HeaderMap, name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let status: StatusCode = response.status();
    let now = Timestamp::now();
    Reply {
        status: status.as_u16(),
        retry_after: text(response.headers(), RETRY_AFTER).filter(|value| retry_after(value, None, now).is_some()),
        date: text(response.headers(), DATE).filter(|value| http_date(value, now).is_some()),
        ..Reply::default()
    }
}

/// The chain of causes in one line. The outermost says only that a request failed, so it is left out where there is more.
fn causes(error: &reqwest::Error) -> String {
    let mut messages: Vec<String> = Vec::new();
    let mut next: Option<&dyn Error> = error.source();
    while let Some(cause) = next {
        let message = cause.to_string();
        if !messages.iter().any(|earlier| earlier.ends_with(&message)) {
            messages.push(message);
        }
        next = cause.source();
    }
    if messages.is_empty() { error.to_string() } else { messages.join(": ") }
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
