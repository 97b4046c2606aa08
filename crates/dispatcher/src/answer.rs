use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

/// An answer's body with a `code` that is an integer, or its digits as a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Body<'a> {
    pub(crate) code: i64,
    /// The message's text; where it is something else, that as it stands.
    pub(crate) message: Option<Cow<'a, str>>,
}

impl<'a> Body<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Raw<'a> {
            #[serde(borrow)]
            code: &'a RawValue,
            #[serde(borrow)]
            message: Option<&'a RawValue>,
        }
        let text = text.trim_start_matches('\u{feff}').trim_start_matches([' ', '\t', '\n', '\r']);
        // serde would also take an array of the two.
        let raw: Raw<'a> = serde_json::from_str(text).ok().filter(|_| text.starts_with('{'))?;
        let code = match serde_json::from_str::<String>(raw.code.get()) {
            Ok(digits) if digits.starts_with('+') => return None,
            Ok(digits) => digits.parse().ok()?,
            Err(_) => raw.code.get().parse().ok()?,
        };
        let message = raw
            .message
            .map(|message| serde_json::from_str(message.get()).map_or(Cow::Borrowed(message.get()), Cow::Owned));
        Some(Self { code, message })
    }

    pub(crate) fn is_plain_success(&self) -> bool {
        self.message.as_deref().is_none_or(|message| message.trim().eq_ignore_ascii_case("success"))
    }
}
