use std::time::Duration;

use dispatcher::{HttpSettings, is_loopback};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::target::Target;
use crate::{
    args::{AroundArgs, RequestArgs},
    failure::Failure,
    layers::Layers,
};

/// The standard variables that are obeyed; those of OpenTelemetry that say where and as whom.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE_ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// A delivery takes no longer: the next one comes soon.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where traces and metrics are delivered over OTLP: `--otlp-endpoint`.
#[derive(Debug, Clone)]
pub(crate) struct OtlpSettings {
    /// Where metrics go.
    pub(crate) metrics: Url,
    /// Where spans go.
    pub(crate) traces: Url,
    /// What goes along; secrets may be among them.
    pub(crate) headers: Vec<(String, SecretString)>,
    /// Who says all this.
    pub(crate) attributes: Vec<(String, String)>,
    /// How to get there.
    pub(crate) http: HttpSettings,
}

impl OtlpSettings {
    /// What the arguments and the environment say; none where nothing is delivered.
    pub(super) fn of(args: &AroundArgs, requests: &RequestArgs, layers: &Layers) -> Result<Option<Self>, Failure> {
        let environment = layers.environment();
        if environment.text(DISABLED)?.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let (endpoint, name) = match (&args.otlp_endpoint, environment.text(ENDPOINT)?) {
            (Some(given), _) => (given.expose_secret().to_owned(), "`--otlp-endpoint`"),
            (None, Some(standard)) => (standard, ENDPOINT),
            (None, None) => return Ok(None),
        };
        let endpoint = endpoint_of(&endpoint, name, requests.allow_insecure_http)?;
        let below = |path: &str| {
            let mut url = endpoint.clone();
            url.set_path(&format!("{}{path}", endpoint.path().trim_end_matches('/')));
            url
        };
        let headers = pairs(environment.text(HEADERS)?.as_deref(), HEADERS)?;
        let http = Target::http_for(requests, endpoint.clone())?;
        let http = HttpSettings { timeout: TIMEOUT.min(http.timeout), ..http };
        Ok(Some(Self {
            metrics: below("/v1/metrics"),
            traces: below("/v1/traces"),
            headers: headers.into_iter().map(|(name, value)| (name, value.into())).collect(),
            attributes: attributes(
                pairs(environment.text(RESOURCE_ATTRIBUTES)?.as_deref(), RESOURCE_ATTRIBUTES)?,
                environment.text(SERVICE_NAME)?,
            ),
            http,
        }))
    }
}

/// The same rules as for the base URL. What was given is not quoted: it may hold a password.
fn endpoint_of(text: &str, name: &str, allow_insecure: bool) -> Result<Url, Failure> {
    let url = Url::parse(text.trim()).map_err(|error| Failure::usage(format!("{name} is no URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let hint = format!("what the collector wants goes into {HEADERS}");
        return Err(Failure::usage(format!("{name} holds user info")).with_hint(hint));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let hint = "/v1/traces and /v1/metrics are put behind it".to_owned();
        return Err(Failure::usage(format!("{name} has a query or a fragment")).with_hint(hint));
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(_)) if allow_insecure || is_loopback(&url) => Ok(url),
        ("http", Some(host)) => {
            let message =
                format!("{name}: http://{host} would carry figures and headers unencrypted to another machine");
            let hint = "use https://, a collector on this machine, or `--allow-insecure-http` where the network between is yours";
            Err(Failure::usage(message).with_hint(hint.to_owned()))
        }
        _ => Err(Failure::usage(format!("{name} doesn't begin with https:// or http://"))),
    }
}

/// `name=value` by commas, percent-encoded. Nothing of it is quoted.
fn pairs(text: Option<&str>, name: &str) -> Result<Vec<(String, String)>, Failure> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| Some((key.to_owned(), decoded(value.trim())?)))?
    };
    let parts = text.unwrap_or_default().split(',').map(str::trim).filter(|part| !part.is_empty());
    let pairs: Option<Vec<_>> = parts.map(pair).collect();
    let hint = "name=value, one behind the other with commas; commas and % in a value as %2C and %25".to_owned();
    pairs.ok_or_else(|| Failure::usage(format!("{name} is not what it should be")).with_hint(hint))
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            digit(rest.next()?)? * 16 + digit(rest.next()?)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).ok()
}

fn attributes(given: Vec<(String, String)>, name: Option<String>) -> Vec<(String, String)> {
    let mut all = given;
    if let Some(name) = name {
        all.retain(|(key, _)| key != "service.name");
        all.push(("service.name".to_owned(), name));
    }
    for (key, value) in [("service.name", "contactsync"), ("service.version", env!("CARGO_PKG_VERSION"))] {
        if !all.iter().any(|(known, _)| known == key) {
            all.push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_endpoint_keeps_the_rules_of_the_base_url_and_is_never_quoted() {
        let of = |text: &str, insecure| endpoint_of(text, "it", insecure).map_err(|failure| failure.message);
        for good in
            ["https://example.com", "https://example.com:4318/otlp/", "http://127.0.0.1:4318", "http://localhost:1"]
        {
            assert!(of(good, false).is_ok(), "{good}");
        }
        assert!(of("http://example.com", false).is_err() && of("http://example.com", true).is_ok());
        for wrong in [
            "",
            "example.com:4318",
            "grpc://example.com",
            "https://a:secret-word@example.com",
            "https://example.com/?secret-word",
        ] {
            assert!(!of(wrong, true).unwrap_err().contains("secret-word"), "{wrong}");
        }
    }

    #[test]
    fn pairs_are_decoded_and_what_is_none_is_not_quoted() {
        let of = |text| pairs(Some(text), "it").map_err(|failure| failure.message);
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(of("a=b, c = d%20%2Ce=f,"), Ok(vec![pair("a", "b"), pair("c", "d ,e=f")]));
        assert_eq!(of(""), Ok(vec![]));
        for wrong in ["secret-word", "=secret-word", "a=secret-word%2", "a=secret-word%zz", "a=%ff"] {
            assert!(!of(wrong).unwrap_err().contains("secret-word"), "{wrong}");
        }
    }

    #[test]
    fn the_service_has_a_name() {
        let value = |all: &[(String, String)]| all.iter().find(|(key, _)| key == "service.name").unwrap().1.clone();
        let given = vec![("service.name".to_owned(), "b".to_owned())];
        assert_eq!(value(&attributes(vec![], None)), "contactsync");
        assert_eq!(value(&attributes(given.clone(), None)), "b");
        assert_eq!(value(&attributes(given, Some("c".to_owned()))), "c");
    }
}
