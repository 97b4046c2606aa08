use crate::Reason;

/// What an API code says about the run (API documentation, table of return codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeClass {
    /// The request was accepted, wholly or in part.
    Accepted,
    /// The row is bad or refused; sending it again changes nothing.
    Refused,
    /// The server failed; the row is sent again.
    Again,
    /// Every further row would fail the same way; the run stops.
    Stop,
}

/// A documented code of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiCode {
    /// The number in the answer's body.
    pub code: i64,
    /// What it says about the run.
    pub class: CodeClass,
    /// The report's reason; none for a plain success.
    pub reason: Option<Reason>,
    /// What the documentation says it means.
    pub meaning: &'static str,
    /// What to do about it.
    pub advice: &'static str,
}

impl ApiCode {
    /// Every documented code.
    pub const ALL: &'static [Self] = &[
        code(
            0,
            CodeClass::Accepted,
            None,
            "success or partial success",
            "Nothing. Where the message isn't \"success\" the row bears the reason `partial`: compare the contact in the console.",
        ),
        code(
            -1,
            CodeClass::Again,
            Some(Reason::ServerError),
            "internal server error",
            "Nothing while it passes: the row is retried with backoff. Rows that used up their retries can be sent again later: `contactsync replay REPORT`.",
        ),
        code(
            40050,
            CodeClass::Stop,
            Some(Reason::Credentials),
            "authentication failed",
            "Check ENGAGELAB_MA_API_KEY and ENGAGELAB_MA_API_SECRET, and that the data centre (`--region`) is the one of the project.",
        ),
        code(
            50031,
            CodeClass::Stop,
            Some(Reason::Credentials),
            "project id invalid: API key or secret wrong",
            "Check the key and the secret of the API data source, and `--region`.",
        ),
        code(
            50034,
            CodeClass::Stop,
            Some(Reason::Credentials),
            "project does not exist: deleted, or key or secret wrong",
            "Look in the console whether the project still exists, then check key and secret.",
        ),
        code(
            50074,
            CodeClass::Stop,
            Some(Reason::Credentials),
            "API data source does not exist: deleted, or key or secret wrong",
            "Look in the console whether the API data source still exists, then check key and secret.",
        ),
        code(40007, CodeClass::Refused, Some(Reason::EuidEmpty), "EUID empty", "Fill in the EUID of the row."),
        code(
            55108,
            CodeClass::Refused,
            Some(Reason::EuidInvalid),
            "EUID invalid",
            "The number is well formed but EngageLab knows no such user: check from which project the EUID came.",
        ),
        code(
            55004,
            CodeClass::Refused,
            Some(Reason::ParametersInvalid),
            "business parameters invalid",
            "Read the message: it names the parameter. Mend the row and send it again.",
        ),
        code(
            55014,
            CodeClass::Refused,
            Some(Reason::ContactExists),
            "contact exists (Chinese edition of the documentation only)",
            "The contact belongs to a user already. Where that is what you want, count it as accepted: `--ok-code 55014`.",
        ),
        code(
            55101,
            CodeClass::Refused,
            Some(Reason::ApiOther),
            "more than 100 user identifier values (register only)",
            "This comes from `register` only; contactsync never sends more than 100.",
        ),
        code(
            55102,
            CodeClass::Refused,
            Some(Reason::NameInvalid),
            "attribute name invalid: empty, reserved characters, or too long",
            "Rename the contact: `--map 'Column=name'`.",
        ),
        code(
            55103,
            CodeClass::Refused,
            Some(Reason::ValueEmpty),
            "attribute value empty",
            "Fill in the value, or leave empty values out (`--empty skip`, the default).",
        ),
        code(
            55105,
            CodeClass::Refused,
            Some(Reason::ValueTooLong),
            "value longer than 256 characters",
            "Shorten the value; of `register`: the id.",
        ),
        code(
            55106,
            CodeClass::Refused,
            Some(Reason::ApiOther),
            "identifier name is not user_id, anonymous_id or registration_id (register only)",
            "The service doesn't know this kind of ids, and the run stops: check `--identify-by` against the identities of the project.",
        ),
        code(
            55107,
            CodeClass::Refused,
            Some(Reason::ApiOther),
            "identifier value empty (register only)",
            "The service takes the row's id for empty: look at it in the column of `--id-column`.",
        ),
    ];

    /// The documented code with this number.
    pub fn documented(number: i64) -> Option<&'static Self> {
        Self::ALL.iter().find(|entry| entry.code == number)
    }
}

const fn code(
    code: i64,
    class: CodeClass,
    reason: Option<Reason>,
    meaning: &'static str,
    advice: &'static str,
) -> ApiCode {
    ApiCode { code, class, reason, meaning, advice }
}
