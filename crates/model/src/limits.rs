//! Limits of the API and of this tool, in one place.

/// Longest value the API accepts, in Unicode scalar values (API documentation, code 55105).
pub const MAX_VALUE_CHARS: usize = 256;
/// Longest contact name that is sent, in Unicode scalar values (code 55102 speaks of "too long" without a number).
pub const MAX_NAME_CHARS: usize = 256;
/// Most ids one `register` request may hold (API documentation, code 55101).
pub const MAX_REGISTER_IDS: usize = 100;
/// Most users one `profile` request may ask for (API documentation).
pub const MAX_PROFILE_EUIDS: usize = 100;
/// Longest input record, in bytes, after decoding.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// Records of an NDJSON file that are looked at before the first request.
pub const LOOK_AHEAD_RECORDS: u64 = 1_000;
/// Longest `raw` in a report record, in bytes.
pub const MAX_RAW_BYTES: usize = 4 << 10;
/// Longest `message` of an answer in a report record, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 1 << 10;
/// Longest piece of a value that a message quotes, in characters.
pub const MAX_QUOTED_CHARS: usize = 40;
/// Most bytes that are read of an answer that says how a request went.
pub const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Most bytes that are read of an answer that holds data, of up to 100 users (`profile`, `register`).
pub const MAX_DATA_ANSWER_BYTES: usize = 8 << 20;
/// Contact names that EngageLab documents (SDK documentation of ma-flutter-plugin), in their documented spelling.
pub const KNOWN_CONTACTS: [&str; 4] = ["email", "mobile_phone", "landline_phone", "whatsapp_phone"];
/// Names of columns or keys that a message lists.
pub const MAX_NAMES_SHOWN: usize = 20;
/// Most shards that rows are divided into.
pub const MOST_SHARDS: u32 = 100_000;
