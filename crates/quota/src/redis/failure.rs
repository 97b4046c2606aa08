//! What went wrong with a server, in words that hold no secret.

use std::{error::Error, fmt, io, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError};
use secrecy::{ExposeSecret, SecretString};

use crate::{error::QuotaError, place::RedisAddress};

/// So much of a server's own words is told.
const MOST_CHARS: usize = 200;

/// What went wrong.
#[derive(Debug)]
pub(super) enum Failure {
    /// The host's name.
    NotFound(io::Error),
    NotReached(io::Error),
    NotConnected(Duration),
    NoAnswer(Duration),
    /// TLS needs a name or an address that a certificate can have.
    NoTlsName,
    Tls(io::Error),
    NotLetIn {
        error: RedisError,
        gave_password: bool,
    },
    NoDatabase(RedisError),
    /// What the server answered, or what broke the connection.
    Other(RedisError),
}

/// What a server's error means.
enum Meaning {
    /// It may pass.
    Passing(&'static str),
    /// It stays so.
    Lasting(&'static str),
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// Whether a new connection may help at once: it broke, or leads to a server that is no primary any more.
    pub(super) fn is_of_connection(&self) -> bool {
        let Self::Other(error) = self else { return false };
        error.is_io_error() || code_and_text(error).is_some_and(|(code, _)| ["READONLY", "MASTERDOWN"].contains(&code))
    }

    /// In words. `is_known`: it was Redis already, so that what isn't may pass.
    pub(super) fn told(self, address: &RedisAddress, password: Option<&SecretString>, is_known: bool) -> QuotaError {
        let passing = |what: fmt::Arguments<'_>| QuotaError::Unreachable(format!("{address} {what}"));
        let lasting = |what: fmt::Arguments<'_>| QuotaError::Refused(format!("{address} {what}"));
        match self {
            Self::NotFound(error) => passing(format_args!("can't be found: {error}")),
            Self::NotReached(error) => passing(format_args!("can't be reached: {error}")),
            Self::NotConnected(time) if address.tls && !is_known => {
                passing(format_args!("let nobody in within {} seconds, and may not speak TLS", time.as_secs()))
            }
            Self::NotConnected(time) => passing(format_args!("let nobody in within {} seconds", time.as_secs())),
            Self::NoAnswer(time) => passing(format_args!("gave no answer within {} seconds", time.as_secs())),
            Self::NoTlsName => lasting(format_args!("has a name that no certificate can be for")),
            Self::Tls(error) => match certificate_fault(&error) {
                Some(fault) => lasting(format_args!("has a certificate that doesn't verify: {fault}")),
                None if is_known || !is_of_tls(&error) => passing(format_args!("broke off TLS: {error}")),
                None => lasting(format_args!("can't agree on TLS, if it speaks it at all: {error}")),
            },
            // Some servers repeat what they were given.
            Self::NotLetIn { error, gave_password } if is_from_server(&error) => match meaning(&error) {
                Some(Meaning::Passing(what)) => passing(format_args!("{what}")),
                Some(Meaning::Lasting(what)) if error.code() == Some("DENIED") => lasting(format_args!("{what}")),
                _ if gave_password => lasting(format_args!("doesn't take the user or password")),
                _ => lasting(format_args!("wants a password for this user: {PASSWORD}")),
            },
            Self::NoDatabase(error) if is_forbidden(&error) => lasting(format_args!(
                "doesn't let its user choose a database (SELECT): grant him that, or leave `/{}` out of the address",
                address.database
            )),
            Self::NoDatabase(error) if is_from_server(&error) && meaning(&error).is_none() => {
                lasting(format_args!("has no such database: {}", scrubbed(&error, password)))
            }
            Self::NotLetIn { error, .. } | Self::NoDatabase(error) | Self::Other(error) => match meaning(&error) {
                Some(Meaning::Passing(what)) => passing(format_args!("{what}")),
                Some(Meaning::Lasting(what)) => lasting(format_args!("{what}")),
                None if is_from_server(&error) => {
                    passing(format_args!("answered an error: {}", scrubbed(&error, password)))
                }
                None if wants_client_certificate(&error) => {
                    lasting(format_args!("wants a certificate of its client, which contactsync has none of"))
                }
                None if error.is_io_error() && !is_known && !address.tls => {
                    passing(format_args!("broke the connection off: {error} (for TLS write rediss://)"))
                }
                None if error.is_io_error() => passing(format_args!("broke the connection off: {error}")),
                None if is_known => passing(format_args!("answers otherwise than Redis does")),
                None => lasting(format_args!("isn't Redis, by what it answers; for TLS write rediss://")),
            },
        }
    }
}

const PASSWORD: &str = "set CONTACTSYNC_REDIS_PASSWORD";

/// The server doesn't know the script yet.
pub(super) fn is_unknown_script(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// The user may not do that.
pub(super) fn is_forbidden(error: &RedisError) -> bool {
    error.code() == Some("NOPERM")
}

/// Perhaps it doesn't let scripts ask for the time, or write once they have.
pub(super) fn may_be_about_time(error: &RedisError) -> bool {
    is_from_server(error) && !is_unknown_script(error) && meaning(error).is_none()
}

fn is_from_server(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

/// A server's name for an error, and its words. Up to version 6.2 what goes wrong within a script has neither in its place:
/// `@user_script: 91: -READONLY You can't write against a read only replica.`
fn code_and_text(error: &RedisError) -> Option<(&str, &str)> {
    let (code, text) = (error.code()?, error.detail().unwrap_or_default());
    if !code.starts_with("@user_script") {
        return Some((code, text));
    }
    let within = text.split_once(": ").map_or(text, |(_, within)| within).trim_start_matches('-');
    Some((within.split(' ').next().unwrap_or_default(), within))
}

fn meaning(error: &RedisError) -> Option<Meaning> {
    use Meaning::{Lasting, Passing};
    let (code, text) = code_and_text(error)?;
    let text = text.to_ascii_lowercase();
    let code = match code {
        // So it is told what a script may not do.
        _ if text.contains("user executing the script") || text.contains("acl failure") => "NOPERM",
        code => code,
    };
    Some(match code {
        "LOADING" => Passing("is still loading its data"),
        "READONLY" => Passing("is a replica, and can't be written"),
        "MASTERDOWN" => Passing("is a replica that has lost its primary"),
        "OOM" => Passing("has no memory left"),
        "BUSY" => Passing("is busy with somebody's script"),
        "MISCONF" => Passing("takes no writes, since it can't save its data"),
        "NOREPLICAS" => Passing("takes no writes, since too few replicas follow it"),
        "TRYAGAIN" | "CLUSTERDOWN" => Passing("is a cluster that is down or moves its keys"),
        "ERR" if text.contains("max number of clients") => Passing("has room for no further client"),
        "NOAUTH" => Lasting("wants a password: set CONTACTSYNC_REDIS_PASSWORD"),
        "WRONGPASS" => Lasting("doesn't take the user or password"),
        "NOPERM" => Lasting(
            "doesn't let its user do what sharing a rate takes: EVALSHA, EVAL, TIME, HGETALL, HSET, HDEL and PEXPIRE on keys \
             that begin with `contactsync:`",
        ),
        "DENIED" => Lasting("lets in nobody from other machines: it has no password (protected mode)"),
        "MOVED" | "ASK" | "CROSSSLOT" => {
            Lasting("is one node of a cluster, and another has the key: name that node, or a server that is no cluster")
        }
        "WRONGTYPE" => Lasting("holds something else under this key: choose another"),
        "ERR" if text.starts_with("unknown command") || text.contains("unknown redis command") => {
            Lasting("lacks a command that sharing a rate takes: EVALSHA, EVAL, TIME, HGETALL, HSET, HDEL or PEXPIRE")
        }
        _ => return None,
    })
}

/// A server's own words, without control characters and the password.
fn scrubbed(error: &RedisError, password: Option<&SecretString>) -> String {
    let words = [error.code(), error.detail()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let secret = password.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty());
    let words = secret.map_or_else(|| words.clone(), |secret| words.replace(secret, "***"));
    words.chars().filter(|character| !character.is_control()).take(MOST_CHARS).collect()
}

fn certificate_fault(error: &io::Error) -> Option<String> {
    match tls_error(error)? {
        rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer) => {
            Some("its authority isn't trusted here (name the authority's file: `--ca-cert FILE`)".to_owned())
        }
        rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))
            if other.to_string() == "CaUsedAsEndEntity" =>
        {
            let what = "it is an authority's own, self-signed most likely; give the server one that the authority issued to it";
            Some(what.to_owned())
        }
        rustls::Error::InvalidCertificate(fault) => Some(fault.to_string()),
        _ => None,
    }
}

fn is_of_tls(error: &io::Error) -> bool {
    tls_error(error).is_some()
}

/// TLS errors travel inside those of input and output.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// Where TLS 1.3 is spoken, that is told only with the first answer.
fn wants_client_certificate(error: &RedisError) -> bool {
    let inner = error.source().and_then(|source| source.downcast_ref::<Arc<dyn Error + Send + Sync>>());
    let tls = inner.and_then(|inner| inner.downcast_ref::<io::Error>()).and_then(tls_error);
    matches!(tls, Some(rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired)))
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
