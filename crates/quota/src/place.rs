use std::{fmt, path::PathBuf};

use url::Url;

/// Where a rate is shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file on a local disk: for the processes of one machine.
    File(PathBuf),
    /// Redis or Valkey.
    Redis(RedisAddress),
}

/// A server of Redis or Valkey, without its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisAddress {
    /// Over TLS.
    pub tls: bool,
    /// User; none: the default one.
    pub user: Option<String>,
    /// Host, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Number of the database.
    pub database: u32,
    /// The name of what is shared.
    pub key: String,
}

/// Which of the two rates of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// That of requests that send contacts or register ids.
    Sending,
    /// That of requests that read users.
    Reading,
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Nothing.
    #[error("a file, or redis://HOST[:PORT][/DB]?key=NAME (rediss:// for TLS)")]
    Neither,
    /// A URL of another kind.
    #[error("what stands before :// must be redis, or rediss for TLS: redis://HOST[:PORT][/DB]?key=NAME")]
    OtherScheme,
    /// A server was meant, and this would be the name of a file.
    #[error(
        "this looks like an address: write redis://HOST[:PORT][/DB]?key=NAME (rediss:// for TLS); a file of such a name is \
         written with its folder, as ./NAME"
    )]
    LikeAnAddress,
    /// A password in the URL.
    #[error("a password in the URL can be seen in the process list: put it into CONTACTSYNC_REDIS_PASSWORD")]
    Password,
    /// The name of what is shared is missing.
    #[error("`?key=NAME` is missing: all who name it share the rate")]
    NoKey,
    /// Too long, or with a control character or a brace.
    #[error("the key must have 1 to 200 characters, without braces and control characters")]
    BadKey,
    /// Host, port or database.
    #[error("{0}")]
    BadAddress(&'static str),
    /// What a URL can't hold; the words don't repeat it.
    #[error("the address can't be read: {0}")]
    Unreadable(url::ParseError),
}

impl std::str::FromStr for Place {
    type Err = PlaceError;

    /// Never repeats the text: it may hold a password.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        if text.trim().is_empty() {
            return Err(PlaceError::Neither);
        }
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        let tls = match scheme.as_deref() {
            None if looks_like_address(text) => return Err(PlaceError::LikeAnAddress),
            None => return Ok(Self::File(PathBuf::from(text))),
            Some("redis") => false,
            Some("rediss") => true,
            Some(_) => return Err(PlaceError::OtherScheme),
        };
        let authority = text.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?', '#']).next();
        if authority.is_some_and(|authority| authority.matches('@').count() > 1) {
            return Err(PlaceError::BadAddress(
                "an `@` too many: a user's is written %40, and a password goes into CONTACTSYNC_REDIS_PASSWORD",
            ));
        }
        let url = Url::parse(text).map_err(PlaceError::Unreadable)?;
        if url.password().is_some() {
            return Err(PlaceError::Password);
        }
        let decoded = |text: &str| percent_decoded(text).ok_or(PlaceError::BadAddress("the user can't be read"));
        let user = Some(url.username()).filter(|user| !user.is_empty()).map(decoded).transpose()?;
        if user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(PlaceError::Password);
        }
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(PlaceError::BadAddress("the host is missing"));
        }
        let database = match url.path().trim_start_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| PlaceError::BadAddress("the database is a number, as in /0"))?,
        };
        if url.fragment().is_some() {
            return Err(PlaceError::BadAddress("`#` ends the address: write it as %23"));
        }
        let mut key = None;
        for (name, value) in url.query_pairs() {
            if name != "key" || key.is_some() {
                return Err(PlaceError::BadAddress("`?key=NAME` is all that may follow"));
            }
            key = Some(value.into_owned());
        }
        let key = key.ok_or(PlaceError::NoKey)?;
        let is_odd = |character: char| character.is_control() || matches!(character, '{' | '}');
        if key.is_empty() || key.chars().count() > 200 || key.chars().any(is_odd) {
            return Err(PlaceError::BadKey);
        }
        Ok(Self::Redis(RedisAddress { tls, user, host, port: url.port().unwrap_or(6379), database, key }))
    }
}

/// Whether a text without `://` means a server. As the name of a file, each machine would begin one of its own and have the
/// whole rate; and messages would repeat what may hold a password.
fn looks_like_address(text: &str) -> bool {
    let names_folder = text.starts_with("./") || text.starts_with("../") || text.starts_with('/');
    if names_folder && !text.starts_with("//") {
        return false;
    }
    let is_scheme =
        |text: &str| ["redis", "rediss", "valkey", "valkeys"].iter().any(|it| text.eq_ignore_ascii_case(it));
    let authority = text.trim_start_matches('/').split(['/', '?']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map_or("", |(_, port)| port);
    authority.split_once(':').is_some_and(|(scheme, _)| is_scheme(scheme))
        || (!port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
        || text.contains('@')
        || text.contains("?key=")
}

/// None where it isn't UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    // The library decodes queries, where these two mean something.
    let text = text.replace('+', "%2B").replace('&', "%26");
    let pair = format!("x={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Redis(address) => address.fmt(f),
        }
    }
}

impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(f, "Redis at {open}{}{close}:{} (key {})", self.host, self.port, self.key)
    }
}

impl Which {
    /// As it stands in the place.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Reading => "reading",
        }
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
