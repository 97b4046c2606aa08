use dispatcher::{HttpSettings, is_loopback};
use secrecy::ExposeSecret;
use url::Url;

use super::target::Target;
use crate::{
    args::{AroundArgs, NotifyFormat, RequestArgs},
    failure::Failure,
};

/// Who hears of the end of a run.
#[derive(Clone)]
pub(crate) struct NotifySettings {
    /// Where the summary is posted; may hold a token.
    pub(crate) address: Url,
    /// What is posted.
    pub(crate) format: NotifyFormat,
    /// How to get there.
    pub(crate) http: HttpSettings,
}

impl NotifySettings {
    /// What the arguments say.
    pub(super) fn of(args: &AroundArgs, requests: &RequestArgs) -> Result<Option<Self>, Failure> {
        let Some(text) = &args.notify else { return Ok(None) };
        // The address is not quoted: it may hold a token.
        let address = Url::parse(text.expose_secret().trim());
        let address =
            address.map_err(|error| Failure::usage(format!("the address of `--notify` is no URL: {error}")))?;
        let is_safe = match address.scheme() {
            "https" => true,
            "http" => requests.allow_insecure_http || is_loopback(&address),
            _ => false,
        };
        if !is_safe || address.host_str().is_none() {
            return Err(Failure::usage("the address of `--notify` doesn't begin with https://"));
        }
        let http = Target::http_for(requests, address.clone())?;
        Ok(Some(Self { address, format: args.notify_format.unwrap_or(NotifyFormat::Json), http }))
    }
}

impl std::fmt::Debug for NotifySettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NotifySettings").field("format", &self.format).finish_non_exhaustive()
    }
}
