//! A decision as a record of the report.

use model::{Contacts, Decision, Reason};
use serde::Serialize;

use crate::{format::Encoding, time::rfc3339};

/// The fields, named once: as JSON, as the columns of CSV, and for whoever reads them.
macro_rules! fields {
    ($life:lifetime, $first:ident: $first_type:ty, $($name:ident: $type:ty),+ $(,)?) => {
        #[derive(Serialize)]
        struct Record<$life> {
            $first: $first_type,
            $($name: $type),+
        }

        /// The names of the fields in their order.
        pub(crate) const FIELDS: &[&str] = &[stringify!($first), $(stringify!($name)),+];

        /// What stands at the beginning of CSV.
        pub(crate) const HEADER: &str = concat!(stringify!($first), $(",", stringify!($name)),+, "\n");
    };
}

fields! {
    'a,
    source: &'a str,
    row: u64,
    line: u64,
    euid: &'a str,
    outcome: &'static str,
    reason: &'static str,
    code: Option<i64>,
    message: Option<&'a str>,
    http_status: Option<u16>,
    attempts: u32,
    latency_ms: Option<u64>,
    at: String,
    contacts: Option<&'a Contacts>,
    raw: Option<&'a str>,
}

/// Writes what stands at the beginning of a report.
pub(crate) fn write_header(encoding: Encoding, buffer: &mut Vec<u8>) {
    if encoding == Encoding::Csv {
        buffer.extend_from_slice(HEADER.as_bytes());
    }
}

/// Writes one record; `contacts` says whether the contacts are shown.
pub(crate) fn write(encoding: Encoding, decision: &Decision, contacts: bool, buffer: &mut Vec<u8>) {
    let record = Record {
        source: &decision.origin.source,
        row: decision.origin.row,
        line: decision.origin.line,
        euid: &decision.euid,
        outcome: decision.outcome.as_str(),
        reason: decision.reason.map_or("", Reason::as_str),
        code: decision.answered.code,
        message: decision.answered.message.as_deref(),
        http_status: decision.answered.http_status,
        attempts: decision.attempts,
        latency_ms: decision.latency_ms,
        at: rfc3339(decision.at_ms),
        contacts: decision.contacts.as_ref().filter(|_| contacts),
        raw: decision.raw.as_deref(),
    };
    match encoding {
        Encoding::Ndjson => {
            serde_json::to_writer(&mut *buffer, &record).expect("texts and numbers always serialise");
            buffer.push(b'\n');
        }
        Encoding::Csv => write_csv(&record, buffer),
    }
}

fn write_csv(record: &Record<'_>, buffer: &mut Vec<u8>) {
    let number = |number: Option<String>| number.unwrap_or_default();
    let contacts = record.contacts.map(|contacts| serde_json::to_string(contacts).expect("texts always serialise"));
    let fields = [
        record.source,
        &record.row.to_string(),
        &record.line.to_string(),
        record.euid,
        record.outcome,
        record.reason,
        &number(record.code.map(|code| code.to_string())),
        record.message.unwrap_or_default(),
        &number(record.http_status.map(|status| status.to_string())),
        &record.attempts.to_string(),
        &number(record.latency_ms.map(|latency| latency.to_string())),
        &record.at,
        contacts.as_deref().unwrap_or_default(),
        record.raw.unwrap_or_default(),
    ];
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(buffer);
    writer.write_record(fields).and_then(|()| Ok(writer.flush()?)).expect("a buffer in memory takes everything");
}
