use dispatcher::is_loopback;
use model::wire::{BASE_SINGAPORE, BASE_VIRGINIA};
use url::Url;

use crate::{args::Region, failure::Failure};

/// The URL below which the paths of the API lie.
pub(crate) fn base_url(given: Option<&str>, region: Option<Region>, allow_insecure: bool) -> Result<Url, Failure> {
    let text = given.unwrap_or(match region.unwrap_or(Region::Sg) {
        Region::Sg => BASE_SINGAPORE,
        Region::Usva => BASE_VIRGINIA,
    });
    // Much of what is no base URL holds a password all the same, so what was given is not quoted.
    let url = Url::parse(text.trim()).map_err(|error| Failure::usage(format!("the base URL is no URL: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let hint = "credentials go into ENGAGELAB_MA_API_KEY and ENGAGELAB_MA_API_SECRET".to_owned();
        return Err(Failure::usage("the base URL holds user info").with_hint(hint));
    }
    if url.query().is_some() || url.fragment().is_some() {
        let hint = "the paths of the API are put behind it".to_owned();
        return Err(Failure::usage("the base URL has a query or a fragment").with_hint(hint));
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(_)) if allow_insecure || is_loopback(&url) => Ok(url),
        ("http", Some(host)) => {
            let hint = "use https://, or say `--allow-insecure-http` where the network between is yours".to_owned();
            let message = format!("http://{host} would carry credentials and contacts unencrypted to another machine");
            Err(Failure::usage(message).with_hint(hint))
        }
        _ => Err(Failure::usage("the base URL doesn't begin with https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, allow_insecure: bool) -> Result<String, String> {
        base_url(Some(text), None, allow_insecure).map(|url| url.to_string()).map_err(|failure| failure.message)
    }

    #[test]
    fn regions() {
        let of = |region| base_url(None, region, false).unwrap().to_string();
        assert_eq!(of(None), "https://ma-api.engagelab.com/");
        assert_eq!(of(Some(Region::Sg)), "https://ma-api.engagelab.com/");
        assert_eq!(of(Some(Region::Usva)), "https://ma-api-usva.engagelab.com/");
        let given = base_url(Some("https://example.com"), Some(Region::Usva), false).unwrap();
        assert_eq!(given.as_str(), "https://example.com/");
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for loopback in ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80/api", "http://127.9.9.9"] {
            assert!(of(loopback, false).is_ok(), "{loopback}");
        }
        for other in ["http://example.com", "http://127.0.0.1.example.com", "http://10.0.0.1", "http://0.0.0.0"] {
            assert!(of(other, false).unwrap_err().contains("unencrypted"), "{other}");
            assert!(of(other, true).is_ok(), "{other}");
        }
    }

    #[test]
    fn what_is_no_base_is_refused_and_no_password_is_quoted() {
        for wrong in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://key:secret-word@example.com",
            "https://key@example.com",
            "https://example.com/?a=b",
            "https://example.com/#a",
            "://key:secret-word@",
            "mailto:secret-word@example.com",
            "secret-word:secret-word@example.com",
        ] {
            assert!(!of(wrong, true).unwrap_err().contains("secret-word"), "{wrong}");
        }
    }
}
