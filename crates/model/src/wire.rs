//! What goes over the wire, as the API documentation has it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::{Contacts, Euid};

/// Path of "Set Contact Information", below the base URL.
pub const CONTACT_PATH: &str = "v1/user/contact";
/// Path of "Obtain EUID", below the base URL.
pub const REGISTER_PATH: &str = "v1/user/register";
/// Path of "query user information", below the base URL.
pub const PROFILE_PATH: &str = "v1/user/profile";
/// Base URL of the Singapore data centre.
pub const BASE_SINGAPORE: &str = "https://ma-api.engagelab.com";
/// Base URL of the US Virginia data centre (named in the French overview only).
pub const BASE_VIRGINIA: &str = "https://ma-api-usva.engagelab.com";

/// Body of `POST /v1/user/contact`.
#[derive(Debug, Serialize)]
pub struct SetContact<'a> {
    /// The user.
    pub euid: Euid,
    /// Names and values.
    pub contacts: &'a Contacts,
}

/// Body of every answer. `code` 0 is success or partial success, anything else a failure.
#[derive(Debug, Serialize, Deserialize)]
pub struct Answer<'a> {
    /// See [`crate::ApiCode`].
    pub code: i64,
    /// `success`, or what went wrong.
    pub message: Cow<'a, str>,
}

/// Body of `POST /v1/user/register`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Register {
    /// `user_id`, `anonymous_id` or `registration_id`.
    pub identity_name: String,
    /// At most 100 values, each at most 256 characters.
    pub identity_values: Vec<String>,
}

/// One entry of the answer's `data`, which [`crate::registered`] reads; match by value, not by position.
#[derive(Debug, Serialize, Deserialize)]
pub struct Registered {
    /// The id that was asked for.
    pub identity_value: String,
    /// The user it belongs to.
    pub euid: u64,
}

/// Body of `POST /v1/user/profile`; [`crate::profile`] reads the answer.
#[derive(Debug, Serialize)]
pub struct ReadProfiles<'a> {
    /// Whom to read: 1 to [`crate::limits::MAX_PROFILE_EUIDS`].
    pub euid: &'a [Euid],
    /// The names of the contacts to return.
    pub contacts: &'a [&'a str],
}
