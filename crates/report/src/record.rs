//! A decision as a record of the report.

use model::{Contacts, Decision, Reason};

use crate::{
    format::Encoding,
    text::{csv_field, json_contacts, json_string, number},
    time::Times,
};

/// The fields, named once: as JSON, as the columns of CSV, for their schema, and for whoever reads them. The one in the
/// middle is there only where rows are keyed by it.
macro_rules! fields {
    (
        $life:lifetime,
        $(#[$first_is:meta])* $first:ident: $first_type:ty,
        $($(#[$before_is:meta])* $before:ident: $before_type:ty),+;
        $(#[$id_is:meta])* $id:ident: $id_type:ty;
        $($(#[$is:meta])* $name:ident: $type:ty),+ $(,)?
    ) => {
        #[cfg_attr(test, derive(serde::Serialize))]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(deny_unknown_fields))]
        pub(crate) struct Record<$life> {
            $(#[$first_is])*
            $first: $first_type,
            $($(#[$before_is])* $before: $before_type,)+
            $(#[$id_is])*
            #[cfg_attr(any(test, feature = "schema"), serde(skip_serializing_if = "Option::is_none"))]
            $id: Option<$id_type>,
            $($(#[$is])* $name: $type),+
        }

        /// The names of the fields that every record has, in their order.
        pub(crate) const FIELDS: &[&str] =
            &[stringify!($first), $(stringify!($before),)+ $(stringify!($name)),+];

        /// The field of the organisation's own id.
        pub(crate) const ID: &str = stringify!($id);

        /// What stands at the beginning of CSV.
        pub(crate) const HEADER: &str =
            concat!(stringify!($first), $(",", stringify!($before),)+ $(",", stringify!($name)),+, "\n");

        /// The same where rows are keyed by ids.
        pub(crate) const HEADER_WITH_IDS: &str = concat!(
            stringify!($first), $(",", stringify!($before),)+ ",", stringify!($id), $(",", stringify!($name)),+, "\n"
        );

        impl Record<'_> {
            fn write_json(&self, buffer: &mut Vec<u8>) {
                buffer.extend_from_slice(concat!("{\"", stringify!($first), "\":").as_bytes());
                self.$first.write_json(buffer);
                $(
                    buffer.extend_from_slice(concat!(",\"", stringify!($before), "\":").as_bytes());
                    self.$before.write_json(buffer);
                )+
                if let Some(id) = self.$id {
                    buffer.extend_from_slice(concat!(",\"", stringify!($id), "\":").as_bytes());
                    id.write_json(buffer);
                }
                $(
                    buffer.extend_from_slice(concat!(",\"", stringify!($name), "\":").as_bytes());
                    self.$name.write_json(buffer);
                )+
                buffer.extend_from_slice(b"}\n");
            }

            fn write_csv(&self, buffer: &mut Vec<u8>) {
                self.$first.write_csv(buffer);
                $(
                    buffer.push(b',');
                    self.$before.write_csv(buffer);
                )+
                if let Some(id) = self.$id {
                    buffer.push(b',');
                    id.write_csv(buffer);
                }
                $(
                    buffer.push(b',');
                    self.$name.write_csv(buffer);
                )+
                buffer.push(b'\n');
            }
        }
    };
}

fields! {
    'a,
    /// The input as it was given; `-` is standard input.
    source: &'a str,
    /// The data record of that input, from 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    row: u64,
    /// The physical line on which it starts; a header is line 1.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    line: u64,
    /// As it stood in the input, empty where it is missing; with `--identify-by` the number obtained.
    euid: &'a str;
    /// The organisation's own id; only in reports of runs with `--identify-by`.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    id: &'a str;
    /// How the row ended.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::outcome"))]
    outcome: Word<'a>,
    /// Why; empty for a plain success. `contactsync explain` knows each.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::reason"))]
    reason: Word<'a>,
    /// The code of the last answer.
    code: Option<i64>,
    /// The message of the last answer, without credentials; for a rejected row the validator's.
    message: Option<&'a str>,
    /// The HTTP status of the last answer.
    #[cfg_attr(feature = "schema", schemars(range(min = 100, max = 999)))]
    http_status: Option<u16>,
    /// Attempts made; 0 means never sent.
    attempts: u32,
    /// Milliseconds that the last attempt took.
    latency_ms: Option<u64>,
    /// When the row was decided: RFC 3339 in UTC, with milliseconds.
    #[cfg_attr(feature = "schema", schemars(schema_with = "crate::schema::time"))]
    at: Word<'a>,
    /// What was sent or would have been, by contact name.
    #[cfg_attr(feature = "schema", schemars(with = "Option<std::collections::BTreeMap<String, String>>"))]
    contacts: Option<&'a Contacts>,
    /// The text of a row that could not be read, at most 4 KiB.
    #[cfg_attr(feature = "schema", schemars(length(max = 4096)))]
    raw: Option<&'a str>,
}

/// A text that neither JSON nor CSV has to escape.
#[cfg_attr(test, derive(serde::Serialize))]
struct Word<'a>(&'a str);

/// What stands in a field.
trait Field {
    fn write_json(&self, buffer: &mut Vec<u8>);
    fn write_csv(&self, buffer: &mut Vec<u8>);
}

impl Field for &str {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        json_string(self, buffer);
    }

    fn write_csv(&self, buffer: &mut Vec<u8>) {
        csv_field(self, buffer);
    }
}

impl Field for Word<'_> {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        buffer.push(b'"');
        buffer.extend_from_slice(self.0.as_bytes());
        buffer.push(b'"');
    }

    fn write_csv(&self, buffer: &mut Vec<u8>) {
        buffer.extend_from_slice(self.0.as_bytes());
    }
}

macro_rules! numbers {
    ($($type:ty),+) => {
        $(impl Field for $type {
            fn write_json(&self, buffer: &mut Vec<u8>) {
                number(u64::from(*self), buffer);
            }

            fn write_csv(&self, buffer: &mut Vec<u8>) {
                number(u64::from(*self), buffer);
            }
        })+
    };
}

numbers!(u16, u32, u64);

impl Field for i64 {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        if *self < 0 {
            buffer.push(b'-');
        }
        number(self.unsigned_abs(), buffer);
    }

    fn write_csv(&self, buffer: &mut Vec<u8>) {
        self.write_json(buffer);
    }
}

impl Field for &Contacts {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        json_contacts(self, buffer);
    }

    fn write_csv(&self, buffer: &mut Vec<u8>) {
        let mut json = Vec::new();
        json_contacts(self, &mut json);
        csv_field(&String::from_utf8_lossy(&json), buffer);
    }
}

impl<T: Field> Field for Option<T> {
    fn write_json(&self, buffer: &mut Vec<u8>) {
        match self {
            Some(field) => field.write_json(buffer),
            None => buffer.extend_from_slice(b"null"),
        }
    }

    fn write_csv(&self, buffer: &mut Vec<u8>) {
        if let Some(field) = self {
            field.write_csv(buffer);
        }
    }
}

/// What of a decision is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The contacts.
    pub(crate) contacts: bool,
    /// The organisation's own id: rows are keyed by it.
    pub(crate) id: bool,
}

/// Writes what stands at the beginning of a report; `ids`: of one whose rows are keyed by ids.
pub(crate) fn write_header(encoding: Encoding, ids: bool, buffer: &mut Vec<u8>) {
    if encoding == Encoding::Csv {
        buffer.extend_from_slice(if ids { HEADER_WITH_IDS } else { HEADER }.as_bytes());
    }
}

/// Writes one record.
pub(crate) fn write(encoding: Encoding, decision: &Decision, shown: Shown, times: &mut Times, buffer: &mut Vec<u8>) {
    let record = Record::of(decision, shown, times.text(decision.at_ms));
    match encoding {
        Encoding::Ndjson => record.write_json(buffer),
        Encoding::Csv => record.write_csv(buffer),
    }
}

impl<'a> Record<'a> {
    fn of(decision: &'a Decision, shown: Shown, at: &'a str) -> Self {
        Self {
            source: &decision.origin.source,
            row: decision.origin.row,
            line: decision.origin.line,
            euid: &decision.euid,
            id: shown.id.then(|| decision.id.as_deref().unwrap_or_default()),
            outcome: Word(decision.outcome.as_str()),
            reason: Word(decision.reason.map_or("", Reason::as_str)),
            code: decision.answered.code,
            message: decision.answered.message.as_deref(),
            http_status: decision.answered.http_status,
            attempts: decision.attempts,
            latency_ms: decision.latency_ms,
            at: Word(at),
            contacts: decision.contacts.as_ref().filter(|_| shown.contacts),
            raw: decision.raw.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{Answered, Origin, Outcome};
    use proptest::prelude::*;

    use super::*;
    use crate::time::rfc3339;

    /// Texts with everything that one of the formats minds, at every place of eight bytes.
    fn text() -> impl Strategy<Value = String> {
        let any_text = prop::collection::vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect());
        prop_oneof![
            2 => "[ -~]{0,30}",
            2 => "[a-z]{0,17}[\u{0}-\u{1f}\"\\\\,\r\n\u{7f}\u{80}\u{9f}ü😀]{0,2}[a-z]{0,9}",
            1 => "[\"\\\\,\r\n\u{0}-\u{3}]{0,9}",
            1 => any_text,
        ]
    }

    fn decision() -> impl Strategy<Value = Decision> {
        let texts = (text(), text(), prop::option::of(text()), prop::option::of(text()), prop::option::of(text()));
        let numbers = (any::<u64>(), any::<u64>(), any::<u32>(), prop::option::of(any::<u64>()));
        let answer = (prop::option::of(any::<i64>()), prop::option::of(any::<u16>()));
        let contacts = prop::option::of(prop::collection::vec((text(), text()), 0..4));
        let of = (0..Outcome::ALL.len(), prop::option::of(0..Reason::ALL.len()));
        (texts, numbers, answer, contacts, of, any::<i64>()).prop_map(
            |((source, euid, id, message, raw), (row, line, attempts, latency_ms), answer, contacts, of, at_ms)| {
                Decision {
                    origin: Origin { source: source.into(), row, line },
                    euid: euid.into(),
                    id: id.map(Into::into),
                    outcome: Outcome::ALL[of.0],
                    reason: of.1.map(|reason| Reason::ALL[reason]),
                    answered: Answered { code: answer.0, message, http_status: answer.1 },
                    attempts,
                    latency_ms,
                    at_ms,
                    contacts: contacts
                        .map(|pairs| pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect()),
                    raw: raw.map(Into::into),
                }
            },
        )
    }

    /// The same by `serde_json` and `csv`.
    fn written_at_length(decision: &Decision, shown: Shown) -> (Vec<u8>, Vec<u8>) {
        let at = rfc3339(decision.at_ms);
        let record = Record::of(decision, shown, &at);
        let mut json = serde_json::to_vec(&record).unwrap();
        json.push(b'\n');
        let number = |number: Option<String>| number.unwrap_or_default();
        let (row, line) = (record.row.to_string(), record.line.to_string());
        let before = [record.source, &row, &line, record.euid].into_iter().chain(record.id).map(str::to_owned);
        let behind = [
            record.outcome.0,
            record.reason.0,
            &number(record.code.map(|code| code.to_string())),
            record.message.unwrap_or_default(),
            &number(record.http_status.map(|status| status.to_string())),
            &record.attempts.to_string(),
            &number(record.latency_ms.map(|latency| latency.to_string())),
            record.at.0,
            &number(record.contacts.map(|contacts| serde_json::to_string(contacts).unwrap())),
            record.raw.unwrap_or_default(),
        ]
        .map(str::to_owned);
        let fields: Vec<String> = before.chain(behind).collect();
        let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        csv.write_record(fields).unwrap();
        (json, csv.into_inner().unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_record_is_written_as_serde_and_csv_write_it(decision in decision(), contacts in any::<bool>(), id in any::<bool>()) {
            let shown = Shown { contacts, id };
            let (json, csv) = written_at_length(&decision, shown);
            for (encoding, expected) in [(Encoding::Ndjson, json), (Encoding::Csv, csv)] {
                let mut written = Vec::new();
                write(encoding, &decision, shown, &mut Times::default(), &mut written);
                prop_assert_eq!(String::from_utf8(written).unwrap(), String::from_utf8(expected).unwrap());
            }
        }
    }

    #[test]
    fn no_word_of_a_record_has_to_be_escaped() {
        let words =
            Outcome::ALL.map(Outcome::as_str).into_iter().chain(Reason::ALL.iter().map(|reason| reason.as_str()));
        for word in words {
            assert!(
                word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
                "{word}"
            );
        }
    }
}
