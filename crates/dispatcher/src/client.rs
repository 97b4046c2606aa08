//! How the HTTP client is set up.

use std::{error::Error, time::Duration};

use reqwest::{
    Certificate, Client, ClientBuilder, Proxy, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{certificate::CertificateFault, settings::HttpSettings};

/// Connections idle for longer are closed: common load balancers close theirs after 60 to 75 seconds, and a request on
/// a connection that is being closed is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

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
    /// A header of the user's.
    #[error("a header holds characters that can't be sent")]
    Header,
    /// Nothing that a certificate could be checked against.
    #[error(
        "this system has no certificate authorities to check the service's certificate against: install them (the package \
         ca-certificates), or name a file of them with `--ca-cert`"
    )]
    NoAuthorities,
    /// Anything else.
    #[error("the HTTP client could not be set up: {0}")]
    Client(String),
}

/// User agent of every request.
pub(crate) const USER_AGENT: &str = concat!("contactsync/", env!("CARGO_PKG_VERSION"));

/// A client that keeps so many connections, without a limit of its own on the time for an answer.
pub(crate) fn client(settings: &HttpSettings, max_idle: usize) -> Result<Client, TransportError> {
    build(builder(settings, max_idle)?)
}

/// A client that opens a connection for each request, which may take the time of one attempt.
pub(crate) fn fresh_client(settings: &HttpSettings) -> Result<Client, TransportError> {
    build(builder(settings, 0)?.timeout(settings.timeout))
}

fn build(builder: ClientBuilder) -> Result<Client, TransportError> {
    builder.build().map_err(|error| match CertificateFault::behind(&error) {
        Some(fault) => TransportError::CaCert(format!("one of them can't be used: {fault}")),
        None => match causes(&error.without_url()) {
            // Told in words alone.
            cause if cause.contains("No CA certificates were loaded") => TransportError::NoAuthorities,
            cause => TransportError::Client(cause),
        },
    })
}

fn builder(settings: &HttpSettings, max_idle: usize) -> Result<ClientBuilder, TransportError> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        // Every attempt is counted here, so none may be made behind our back.
        .retry(reqwest::retry::never())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(max_idle)
        .connect_timeout(settings.connect_timeout);
    if let Some(pem) = &settings.ca_cert_pem {
        let authorities = Certificate::from_pem_bundle(pem).map_err(|error| TransportError::CaCert(causes(&error)))?;
        if authorities.is_empty() {
            return Err(TransportError::CaCert("the file holds no certificate".to_owned()));
        }
        builder = builder.tls_certs_merge(authorities);
    }
    if is_loopback(&settings.base_url) {
        builder = builder.no_proxy();
        if settings.base_url.scheme() == "http" {
            // Nothing is checked against authorities, so that a system without any has its sandbox.
            builder = builder.tls_certs_only([]);
        }
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

/// Posts JSON to an address, without credentials, by the same way as requests go: proxy, authorities, timeouts. Returns the
/// HTTP status. The address may hold a secret, so no error shows it.
pub async fn post_json(settings: &HttpSettings, address: &Url, body: Vec<u8>) -> Result<u16, String> {
    let settings = HttpSettings { base_url: address.clone(), ..settings.clone() };
    let poster = Poster::new(&settings, &[]).map_err(|error| error.to_string())?;
    poster.post(address, "application/json", body).await
}

/// Posts to others than the API, by the same way as requests go: proxy, authorities, timeouts. Never with credentials of ours.
#[derive(Debug, Clone)]
pub struct Poster(Client);

impl Poster {
    /// One for addresses below the base URL, with further headers, which may hold secrets.
    pub fn new(settings: &HttpSettings, headers: &[(String, SecretString)]) -> Result<Self, TransportError> {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(name.as_str()).map_err(|_| TransportError::Header)?;
            let mut value = HeaderValue::try_from(value.expose_secret()).map_err(|_| TransportError::Header)?;
            value.set_sensitive(true);
            all.append(name, value);
        }
        build(builder(settings, 1)?.timeout(settings.timeout).default_headers(all)).map(Self)
    }

    /// Returns the HTTP status. The address may hold a secret, so no error shows it.
    pub async fn post(&self, address: &Url, content_type: &'static str, body: Vec<u8>) -> Result<u16, String> {
        let content_type = HeaderValue::from_static(content_type);
        let posted = self.0.post(address.clone()).header(CONTENT_TYPE, content_type).body(body).send().await;
        posted.map(|response| response.status().as_u16()).map_err(|error| match CertificateFault::behind(&error) {
            Some(fault) => format!("the server's certificate doesn't verify: {fault} ({})", fault.advice()),
            None => causes(&error.without_url()),
        })
    }
}

/// The chain of causes in one line. The outermost says only that a request failed, so it is left out where there is more.
pub(crate) fn causes(error: &reqwest::Error) -> String {
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
