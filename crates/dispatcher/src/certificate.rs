//! What is wrong with a server's certificate, in words.

use std::{error::Error, fmt, io};

use jiff::Timestamp;
use model::escape_controls;
use rustls::{CertificateError, pki_types::UnixTime};

/// A certificate that doesn't verify: what is wrong with it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFault {
    what: String,
    advice: String,
}

/// Most names of a certificate that are told, and how much of each.
const MOST_NAMES: usize = 10;
const MOST_NAME_CHARS: usize = 100;

const CLOCK: &str =
    "set this machine's clock if it is wrong; else whoever runs the server has to renew the certificate";
const AUTHORITY: &str = "where a proxy opens TLS, or the server is your own, name the authority's file: `--ca-cert FILE`; \
                         else check `--base-url`: this may not be the service";
const ADDRESS: &str = "check the host in `--base-url`, and the proxy: this may not be the service";
const OWNER: &str = "whoever runs the server, or the proxy that opens TLS, has to replace the certificate";

impl CertificateFault {
    /// A fault in these words.
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: advice.into() }
    }

    /// What to do about it.
    pub fn advice(&self) -> &str {
        &self.advice
    }

    /// Where that is what broke a connection. TLS errors travel inside `io::Error`, whose `source` skips them.
    pub(crate) fn behind(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(cause) = next {
            let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            let tls = cause.downcast_ref::<rustls::Error>().or_else(|| inner?.downcast_ref());
            if let Some(rustls::Error::InvalidCertificate(fault)) = tls {
                return Some(Self::of(fault));
            }
            next = match inner {
                Some(inner) => Some(inner as &(dyn Error + 'static)),
                None => cause.source(),
            };
        }
        None
    }

    fn of(error: &CertificateError) -> Self {
        use CertificateError as Fault;
        match error {
            Fault::ExpiredContext { time, not_after } => {
                let [time, not_after] = [*time, *not_after].map(moment);
                Self::new(format!("it expired at {not_after}, and this machine's clock says {time}"), CLOCK)
            }
            Fault::Expired => Self::new("it has expired, or its dates contradict each other", CLOCK),
            Fault::NotValidYetContext { time, not_before } => {
                let [time, not_before] = [*time, *not_before].map(moment);
                Self::new(format!("it is valid from {not_before} on, and this machine's clock says {time}"), CLOCK)
            }
            Fault::NotValidYet => Self::new("it isn't valid yet", CLOCK),
            Fault::NotValidForNameContext { expected, presented } => {
                let asked = expected.to_str();
                Self::new(format!("it is not for {asked}, but for {}", names(presented)), ADDRESS)
            }
            Fault::NotValidForName => Self::new("it is for another name", ADDRESS),
            Fault::UnknownIssuer => {
                Self::new("it was issued by an authority that this machine doesn't trust, or by itself", AUTHORITY)
            }
            Fault::Revoked => Self::new("its issuer has revoked it", OWNER),
            Fault::BadSignature => {
                Self::new("its signature is wrong: it was not issued by the authority it names", AUTHORITY)
            }
            Fault::BadEncoding => Self::new("it can't be read", OWNER),
            Fault::UnhandledCriticalExtension => Self::new("it makes a condition that isn't known here", OWNER),
            Fault::InvalidPurpose | Fault::InvalidPurposeContext { .. } => {
                Self::new("it is not one for servers", OWNER)
            }
            Fault::UnsupportedSignatureAlgorithmContext { .. }
            | Fault::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::new("it is signed in a way that is not taken, an outdated one most likely", OWNER)
            }
            Fault::UnknownRevocationStatus
            | Fault::ExpiredRevocationList
            | Fault::ExpiredRevocationListContext { .. }
            | Fault::InvalidOcspResponse => Self::new("whether it was revoked can't be told", OWNER),
            other => Self::of_verifier(other),
        }
    }

    /// What the verifier says in names of its own.
    fn of_verifier(error: &CertificateError) -> Self {
        let name = match error {
            CertificateError::Other(other) => other.to_string(),
            _ => String::new(),
        };
        match name.as_str() {
            "CaUsedAsEndEntity" => Self::new(
                "it is an authority's own certificate, not one that an authority gave to a server (self-signed, most likely)",
                "let the server have a certificate of its own, issued by that authority, and name the authority's file: \
                 `--ca-cert FILE`; else check `--base-url`: this may not be the service",
            ),
            "EndEntityUsedAsCa" => Self::new("it was issued by a certificate that is not an authority's", AUTHORITY),
            "NameConstraintViolation" => Self::new("its authority may not issue certificates for this name", ADDRESS),
            "PathLenConstraintViolated" | "MaximumPathDepthExceeded" | "MaximumPathBuildCallsExceeded" => {
                Self::new("too many authorities stand between it and one that is trusted", OWNER)
            }
            "UnsupportedCertVersion" => Self::new("it is of an outdated version, not X.509 v3", OWNER),
            "UnsupportedCriticalExtension" => Self::new("it makes a condition that isn't known here", OWNER),
            // How the platform's verifier puts a purpose other than that of a server.
            "certificate had invalid extensions" => Self::new("it is not one for servers", OWNER),
            _ => Self::new("it breaks the rules for certificates of servers", OWNER),
        }
    }
}

impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

fn moment(time: UnixTime) -> String {
    let since = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(since).map_or_else(|_| "a time beyond the year 9999".to_owned(), |time| time.to_string())
}

/// The names as the verifier lists them, `DnsName("a.example")`, in plain.
fn names(presented: &[String]) -> String {
    let plain = |name: &String| {
        let name = name.split_once('(').map_or(name.as_str(), |(_, rest)| rest.trim_end_matches(')'));
        escape_controls(name.trim_matches('"')).chars().take(MOST_NAME_CHARS).collect()
    };
    let mut told: Vec<String> = presented.iter().take(MOST_NAMES).map(plain).collect();
    if presented.len() > MOST_NAMES {
        told.push(format!("{} more", presented.len() - MOST_NAMES));
    }
    if told.is_empty() { "no name at all".to_owned() } else { told.join(", ") }
}
