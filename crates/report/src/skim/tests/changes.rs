//! Records as the journal may have to write them, and what may become of their bytes.

use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};
use proptest::prelude::*;

use crate::{format::Encoding, record, time::Times};

/// What may stand where a value stands.
pub(super) const VALUES: [&str; 65] = [
    "null",
    "true",
    "0",
    "-0",
    "00",
    "007",
    "-7",
    "-07",
    "1e3",
    "1E0",
    "1.0",
    "+1",
    " 1",
    "",
    "18446744073709551615",
    "18446744073709551616",
    "9999999999999999999",
    "99999999999999999999",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "4294967295",
    "4294967296",
    "65535",
    "65536",
    "[]",
    "{}",
    r#"{"a":1}"#,
    r#"{"a":"b"}"#,
    r#"{"a":"b",}"#,
    r#"{"a":"b" }"#,
    r#"{"a":"b","a":"c"}"#,
    r#"{"a":null}"#,
    r#"{"a\"}":"\u007d"}"#,
    r#"{"a""b"}"#,
    r#"{"a":"b"#,
    r#""""#,
    r#"" ""#,
    r#""7""#,
    r#""007""#,
    r#""9223372036854775808""#,
    r#""18446744073709551617""#,
    r#""a\u0041""#,
    r#""\ud83d\ude00""#,
    r#""\ud83d""#,
    r#""\"""#,
    r#""\\""#,
    r#""\\\""#,
    r#""\/\b\f\n\r\t""#,
    r#""\q""#,
    r#""\u12""#,
    "\"\0\"",
    "\"\t\"",
    "\"ü\u{7f}\u{2028}\"",
    r#"",\"row\":2,\"line\":3,\"raw\":null}""#,
    r#""synced""#,
    r#""synced2""#,
    r#""Synced""#,
    r#""timeout""#,
    r#""2026-02-30T09:08:07.006Z""#,
    r#""2026-01-31T09:08:60.006Z""#,
    r#""9999-12-30T22:00:01.000Z""#,
    r#""2026-01-31t09:08:07.006Z""#,
    r#""2026-01-31T09:08:07.006+01:00""#,
];

/// What happens to a record.
#[derive(Debug, Clone)]
pub(super) enum Change {
    /// A field has another value.
    Value(usize, usize),
    Swap(usize, usize),
    Twice(usize),
    Drop(usize),
    /// Another key, or blanks about it.
    Key(usize, &'static str),
    /// Bytes take the place of some.
    Bytes(prop::sample::Index, usize, Vec<u8>),
    /// A digit becomes another one.
    Digit(prop::sample::Index, u8),
    CrLf,
    Cut(prop::sample::Index),
}

pub(super) fn change() -> impl Strategy<Value = Change> {
    let field = 0..=record::FIELDS.len();
    let bytes = prop_oneof![
        Just(Vec::new()),
        prop::collection::vec(any::<u8>(), 1..4),
        prop::sample::select(vec!["\"", "\\", "\n", "\r", " ", "0", "-", "}", "{", ",", ":", "\u{0}", "\u{e9}", "9"])
            .prop_map(|text| text.as_bytes().to_vec()),
    ];
    prop_oneof![
        4 => (field.clone(), 0..VALUES.len()).prop_map(|(field, value)| Change::Value(field, value)),
        1 => (field.clone(), field.clone()).prop_map(|(a, b)| Change::Swap(a, b)),
        1 => field.clone().prop_map(Change::Twice),
        1 => field.clone().prop_map(Change::Drop),
        1 => (field, prop::sample::select(vec!["\"x\"", " \"row\"", "\"ro\\u0077\"", "\"row\" ", ""]))
            .prop_map(|(field, key)| Change::Key(field, key)),
        3 => (any::<prop::sample::Index>(), 0_usize..3, bytes).prop_map(|(at, length, bytes)| Change::Bytes(at, length, bytes)),
        4 => (any::<prop::sample::Index>(), b'0'..=b'9').prop_map(|(at, digit)| Change::Digit(at, digit)),
        1 => Just(Change::CrLf),
        1 => any::<prop::sample::Index>().prop_map(Change::Cut),
    ]
}

pub(super) fn decision() -> impl Strategy<Value = Decision> {
    let text = || prop_oneof![3 => "[a-z ]{0,12}", 1 => "\\PC{0,6}", 1 => any::<String>()];
    let source = prop_oneof![6 => Just("a.csv".to_owned()), 2 => Just("Größe \"x\"\n.csv".to_owned()), 1 => text()];
    let row = prop_oneof![4 => 1_u64..500, 1 => any::<u64>()];
    let euid = prop_oneof![4 => (1_u64..1_000).prop_map(|euid| euid.to_string()), 1 => text()];
    let id = prop::option::of(prop_oneof![4 => "[a-zA-Z0-9@.-]{0,12}", 1 => text()]);
    let reasons = prop::sample::select(Reason::ALL.to_vec());
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let latency = prop_oneof![4 => prop::option::of(0_u64..90), 1 => any::<Option<u64>>()];
    // In a minute or two, most of them.
    let at_ms = prop_oneof![
        6 => 1_769_850_487_006_i64..1_769_850_587_006,
        1 => -62_135_596_800_000_i64..253_402_207_200_000,
    ];
    let contacts = prop::option::of(prop::collection::vec((text(), text()), 0..3));
    let answer = (any::<Option<i64>>(), prop::option::of(text()), any::<Option<u16>>());
    let tries = (prop_oneof![4 => 0_u32..9, 1 => any::<u32>()], latency, at_ms);
    let whole = (
        source,
        row,
        (euid, id),
        outcome,
        prop::option::of(reasons),
        answer,
        tries,
        contacts,
        prop::option::of(text()),
    );
    whole.prop_map(
        |(source, row, (euid, id), outcome, reason, answer, (attempts, latency_ms, at_ms), contacts, raw)| {
            let (code, message, http_status) = answer;
            let contacts = contacts.map(|pairs| {
                let mut contacts = Contacts::default();
                for (name, value) in &pairs {
                    contacts.push(name.as_str().into(), value);
                }
                contacts
            });
            Decision {
                origin: Origin { source: source.as_str().into(), row, line: row.wrapping_add(1) },
                euid: euid.into(),
                id: id.map(Into::into),
                outcome,
                reason,
                answered: Answered { code, message, http_status },
                attempts,
                latency_ms,
                at_ms,
                contacts,
                raw: raw.map(Into::into),
            }
        },
    )
}

pub(super) fn line(decision: &Decision) -> Vec<u8> {
    let mut bytes = Vec::new();
    let shown = record::Shown { contacts: true, id: decision.id.is_some() };
    record::write(Encoding::Ndjson, decision, shown, &mut Times::default(), &mut bytes);
    bytes
}

/// Keys and values as they are written.
fn fields(line: &[u8]) -> Vec<(String, String)> {
    let text = str::from_utf8(line).unwrap();
    let values: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    let mut names = record::FIELDS.to_vec();
    if values.contains_key(record::ID) {
        names.insert(4, record::ID);
    }
    let mut at = 1;
    let field = |(index, name): (usize, &&str)| {
        let key = format!("\"{name}\"");
        let begin = at + key.len() + 1;
        let next = names.get(index + 1).map_or_else(|| "}\n".to_owned(), |name| format!(",\"{name}\":"));
        // Where a text holds the same it is not the end of the value.
        let ends = text[begin..].match_indices(&next).map(|(end, _)| begin + end);
        let mut whole = ends.filter(|end| {
            serde_json::from_str::<serde_json::Value>(&text[begin..*end]).is_ok_and(|value| value == values[*name])
        });
        let end = whole.next().unwrap();
        at = end + 1;
        (key, text[begin..end].to_owned())
    };
    names.iter().enumerate().map(field).collect()
}

pub(super) fn changed(line: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut fields = fields(line);
    for change in changes {
        let count = fields.len();
        match *change {
            Change::Value(field, value) => fields[field % count].1 = VALUES[value].to_owned(),
            Change::Swap(a, b) => fields.swap(a % count, b % count),
            Change::Twice(field) => fields.push(fields[field % count].clone()),
            Change::Drop(field) if count > 1 => _ = fields.remove(field % count),
            Change::Key(field, key) => fields[field % count].0 = key.to_owned(),
            _ => {}
        }
    }
    let fields: Vec<String> = fields.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let mut line = format!("{{{}}}\n", fields.join(",")).into_bytes();
    for change in changes {
        if line.is_empty() {
            break;
        }
        match change {
            Change::Bytes(at, length, bytes) => {
                let at = at.index(line.len());
                let end = line.len().min(at + length);
                line.splice(at..end, bytes.iter().copied());
            }
            Change::Digit(at, digit) => {
                let digits: Vec<usize> = (0..line.len()).filter(|at| line[*at].is_ascii_digit()).collect();
                if !digits.is_empty() {
                    line[digits[at.index(digits.len())]] = *digit;
                }
            }
            Change::CrLf if line.ends_with(b"\n") => _ = line.splice(line.len() - 1.., *b"\r\n"),
            Change::Cut(at) => line.truncate(at.index(line.len())),
            _ => {}
        }
    }
    line
}
