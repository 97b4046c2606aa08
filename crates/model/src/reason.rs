/// Where a reason comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonClass {
    /// The validator, before anything is sent.
    Validation,
    /// The API's code.
    Api,
    /// What lies between here and the API.
    Transport,
    /// What the service holds, compared with the row.
    Comparison,
}

/// Why a row ended as it did: the words of the report's `reason`. Five of them have two sources, the validator and the
/// API; the outcome (`rejected` or `failed`) tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is described below")]
pub enum Reason {
    MalformedRow,
    EncodingInvalid,
    KeyUnknown,
    EuidEmpty,
    EuidInvalid,
    IdEmpty,
    IdInvalid,
    IdTooLong,
    NameInvalid,
    ValueEmpty,
    ValueTooLong,
    ValueInvalid,
    NoContacts,
    Partial,
    ParametersInvalid,
    ContactExists,
    IdUnknown,
    ServerError,
    Credentials,
    ApiOther,
    Network,
    Timeout,
    RateLimited,
    Http5xx,
    HttpStatus,
    BadResponse,
    UserMissing,
    ValueMissing,
    ValueDiffers,
}

/// What is known about a reason.
struct Description {
    name: &'static str,
    class: ReasonClass,
    /// Whether time alone can cure it: sending the row again later may help.
    curable: bool,
    meaning: &'static str,
    advice: &'static str,
}

impl Reason {
    /// All of them: the validator's in the order in which it checks, then the API's, the transport's, and those of `verify`.
    pub const ALL: [Self; 29] = [
        Self::MalformedRow,
        Self::EncodingInvalid,
        Self::KeyUnknown,
        Self::EuidEmpty,
        Self::EuidInvalid,
        Self::IdEmpty,
        Self::IdInvalid,
        Self::IdTooLong,
        Self::NameInvalid,
        Self::ValueEmpty,
        Self::ValueTooLong,
        Self::ValueInvalid,
        Self::NoContacts,
        Self::Partial,
        Self::ParametersInvalid,
        Self::ContactExists,
        Self::IdUnknown,
        Self::ServerError,
        Self::Credentials,
        Self::ApiOther,
        Self::Network,
        Self::Timeout,
        Self::RateLimited,
        Self::Http5xx,
        Self::HttpStatus,
        Self::BadResponse,
        Self::UserMissing,
        Self::ValueMissing,
        Self::ValueDiffers,
    ];

    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        self.description().name
    }

    /// The reason a word stands for.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Where it comes from in the first place.
    pub fn class(self) -> ReasonClass {
        self.description().class
    }

    /// Whether time can cure it: sending the row again later may help.
    pub fn curable(self) -> bool {
        self.description().curable
    }

    /// What it means.
    pub fn meaning(self) -> &'static str {
        self.description().meaning
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        self.description().advice
    }

    /// What to do about it where a verify says so: it sends nothing, and of a row that it could not compare nothing says that
    /// it has to be sent.
    pub fn advice_of_verify(self) -> &'static str {
        match self {
            Self::RateLimited => {
                "The row was not compared. Lower `--profile-rate`, then verify again, with another `--report`."
            }
            Self::Partial => {
                "The service says that its answer isn't whole, so the row was not compared. Verify again, with another `--report`."
            }
            Self::HttpStatus => {
                "The row was not compared. Check `--base-url` and proxies, then verify again, with another `--report`."
            }
            Self::ParametersInvalid | Self::ContactExists | Self::IdUnknown | Self::ApiOther => {
                "The row was not compared. Read the message; then verify again, with another `--report`."
            }
            Self::ServerError | Self::Network | Self::Timeout | Self::Http5xx | Self::BadResponse => {
                "The row was not compared. Verify again later, with another `--report`."
            }
            _ => self.advice(),
        }
    }

    fn description(self) -> Description {
        use ReasonClass::{Api, Comparison, Transport, Validation};
        let describe = |name, class, curable, meaning, advice| Description { name, class, curable, meaning, advice };
        match self {
            Self::MalformedRow => describe(
                "malformed_row",
                Validation,
                false,
                "The text is not a record: more or fewer fields than the header, an unclosed quote, invalid JSON, duplicate keys, or more than 1 MiB.",
                "Look at `raw` and the line named in the message, mend the export. Rows that merely lack trailing fields: `--flexible`.",
            ),
            Self::EncodingInvalid => describe(
                "encoding_invalid",
                Validation,
                false,
                "The row has bytes that are not valid in the input's encoding.",
                "Name the file's encoding, for example `--encoding windows-1252`.",
            ),
            Self::KeyUnknown => describe(
                "key_unknown",
                Validation,
                false,
                "An NDJSON row has a key that was neither known nor seen when the inputs were looked at.",
                "Choose what is sent: `--contacts NAME,…` for exactly these, or `--all-columns`.",
            ),
            Self::EuidEmpty => describe(
                "euid_empty",
                Validation,
                false,
                "The EUID is missing, null or blank (API code 40007 says the same).",
                "Fill in the EUID, or check `--euid-column`.",
            ),
            Self::EuidInvalid => describe(
                "euid_invalid",
                Validation,
                false,
                "The EUID is not a whole number from 1 to 9223372036854775807; or, where the row failed, the API knows no such user (code 55108).",
                "Where the row was rejected, export ids as text, not as numbers: spreadsheets and dataframes turn them into 1.03625E+07 or 10362473.0. Where the API refused it, check from which project the EUID came; with `--identify-by` the next push asks for the id's EUID again.",
            ),
            Self::IdEmpty => describe(
                "id_empty",
                Validation,
                false,
                "The id is missing, null, blank, or a text that stands for nothing, like `NULL`, `None` or `N/A`. Registering it would create a user that can't be taken back.",
                "Fill in the id, or check `--id-column`. Where such a text is an id: `--allow-id TEXT`.",
            ),
            Self::IdInvalid => describe(
                "id_invalid",
                Validation,
                false,
                "The id is no text or whole number, is in scientific notation, ends in `.0`, or has a control character: most likely a program turned it into something else.",
                "Export ids as text, not as numbers.",
            ),
            Self::IdTooLong => describe(
                "id_too_long",
                Validation,
                false,
                "The id has more than 256 characters (API code 55105 says the same).",
                "Check that `--id-column` names the right column.",
            ),
            Self::NameInvalid => describe(
                "name_invalid",
                Validation,
                false,
                "A contact name is empty, has a control character or is too long (API code 55102 says the same).",
                "Rename the column or key: `--map 'Column=name'`.",
            ),
            Self::ValueEmpty => describe(
                "value_empty",
                Validation,
                false,
                "A value is empty or blank (API code 55103 says the same).",
                "Fill it in, or use `--empty skip` (the default), which leaves empty values out of the request.",
            ),
            Self::ValueTooLong => describe(
                "value_too_long",
                Validation,
                false,
                "A value has more than 256 characters (API code 55105 says the same).",
                "Shorten the value; `--max-value-chars N` changes the limit checked here. Where the message says that an EUID was asked for, it is the id that is too long.",
            ),
            Self::ValueInvalid => describe(
                "value_invalid",
                Validation,
                false,
                "A value is not text, has a NUL, is an e-mail address or a phone number with a line end in it, or is a phone number that a spreadsheet or dataframe turned into a decimal number.",
                "Export phone numbers as text. A line end: look for a stray quote, which joins rows.",
            ),
            Self::NoContacts => describe(
                "no_contacts",
                Validation,
                false,
                "Nothing is left to send: every contact of the row is empty.",
                "Nothing, where the user has no contact; else check `--contacts` and `--null`.",
            ),
            Self::Partial => describe(
                "partial",
                Api,
                false,
                "The API answered code 0 with a message other than \"success\": it may have stored only a part.",
                "Read the message and compare the user's contacts in the console.",
            ),
            Self::ParametersInvalid => describe(
                "parameters_invalid",
                Api,
                false,
                "The API calls the parameters invalid (code 55004).",
                "Read the message, mend the row and send it again. Where it says that an EUID was asked for, it is the id that is refused.",
            ),
            Self::ContactExists => describe(
                "contact_exists",
                Api,
                false,
                "The API says that the contact exists (code 55014, in the Chinese documentation only).",
                "Look at the user in the console. To count it as accepted: `--ok-code 55014`. After an attempt without an answer it may mean that the first attempt landed.",
            ),
            Self::IdUnknown => describe(
                "id_unknown",
                Api,
                false,
                "The API accepted the request for EUIDs, but gave none for this id.",
                "Look for the user in the console. To ask again: `contactsync replay REPORT --identify-by KIND --reason id_unknown`.",
            ),
            Self::ServerError => describe(
                "server_error",
                Api,
                true,
                "The API reported an internal error (code -1) on every attempt.",
                "Send the row again later: `contactsync replay REPORT`.",
            ),
            Self::Credentials => describe(
                "credentials",
                Api,
                true,
                "The API refuses the credentials or the project (codes 40050, 50031, 50034, 50074, HTTP 401 or 403). The run stops.",
                "Check the API key, the secret and `--region`, then go on with the run: the same command with `--resume`.",
            ),
            Self::ApiOther => describe(
                "api_other",
                Api,
                false,
                "The API answered a code that its documentation doesn't list.",
                "Read the message. Where the code passes with time: `--retry-code CODE`; where it means success: `--ok-code CODE`.",
            ),
            Self::Network => describe(
                "network",
                Transport,
                true,
                "No answer: the connection could not be made, or broke.",
                "Check network, proxy and firewall, then send the row again: `contactsync replay REPORT`.",
            ),
            Self::Timeout => describe(
                "timeout",
                Transport,
                true,
                "No answer in time (`--timeout`). The request may have been carried out all the same.",
                "Send the row again later: `contactsync replay REPORT`.",
            ),
            Self::RateLimited => describe(
                "rate_limited",
                Transport,
                true,
                "The API asked for fewer requests (HTTP 429, or a `--retry-code`) on every attempt.",
                "Lower `--rate`, then send the row again: `contactsync replay REPORT`.",
            ),
            Self::Http5xx => describe(
                "http_5xx",
                Transport,
                true,
                "A gateway or the server failed (HTTP 408 or 5xx) on every attempt.",
                "Send the row again later: `contactsync replay REPORT`.",
            ),
            Self::HttpStatus => describe(
                "http_status",
                Transport,
                false,
                "An HTTP status without a code of the API: a wrong path, a portal, or a gateway that refuses the request.",
                "Check `--base-url` and proxies, then send the row again: `--resume` where the run stopped, else `contactsync replay REPORT --reason http_status`.",
            ),
            Self::BadResponse => describe(
                "bad_response",
                Transport,
                true,
                "A successful HTTP status with something else than the API's JSON in it, on every attempt.",
                "Check that nothing answers in the API's place, then send the row again: `contactsync replay REPORT`.",
            ),
            Self::UserMissing => describe(
                "user_missing",
                Comparison,
                false,
                "The service was asked for the user and has no entry for it; or, with `--identify-by`, the state doesn't know whose the id is, and nobody was asked.",
                "Check that the EUID is one of this project, or that `--state` names the state of the push. To send the row again: `contactsync replay REPORT`, with `--identify-by` where rows are keyed by ids (it asks for EUIDs, which may create users).",
            ),
            Self::ValueMissing => describe(
                "value_missing",
                Comparison,
                false,
                "A contact of the row is not there.",
                "To send the row again: `contactsync replay REPORT`.",
            ),
            Self::ValueDiffers => describe(
                "value_differs",
                Comparison,
                false,
                "A contact of the row has another value there, or one that was to be cleared is there.",
                "Where the service merely writes values otherwise (`+`, blanks, letter case): `--compare loose`, which doesn't help where a contact was to be cleared. To send the row again: `contactsync replay REPORT`.",
            ),
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows are counted by it.
    #[test]
    fn each_stands_at_its_number() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, number, "{}", reason.as_str());
        }
    }

    #[test]
    fn words_are_distinct_and_read_back() {
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.as_str()), Some(reason));
        }
    }
}
