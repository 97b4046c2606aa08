//! Plain lines by the run, against every line parsed.

use model::Span;
use proptest::prelude::*;

use super::*;
use crate::{
    options::{ReaderOptions, Selection},
    pieces::Pieces,
    plain_objects::PlainObjects,
    window::Window,
};

/// What came of an input.
#[derive(Debug, PartialEq)]
struct Got {
    /// All there is to the records.
    rows: Vec<String>,
    /// Names that the options give and that didn't come up.
    unseen: Vec<String>,
}

/// And how many records came in runs.
fn read(bytes: &[u8], piece: usize, options: &ReaderOptions, by_the_run: bool) -> (Got, u64) {
    let source = Pieces::of(bytes, piece);
    let text = Text::new(Window::new(Box::new(source)), "in", Box::new(|| None));
    let naming = Naming::new(options);
    let mut records = NdjsonRecords::new(text, naming.clone(), true);
    if !by_the_run {
        records.objects.plain = PlainObjects::new(0);
    }
    let mut rows = Vec::new();
    let mut batch = RecordBatch::default();
    loop {
        batch.clear();
        let more = records.fill(&mut batch).unwrap();
        let mut in_rows = 0;
        for (record, head) in batch.iter().zip(&batch.records) {
            let fields: Vec<_> = record.fields().collect();
            let columns: Vec<_> = (0..record.len()).map(|index| record.column(index)).collect();
            let model::RecordHead { row, line, fault, raw, .. } = head;
            in_rows += fields.len();
            rows.push(format!("{row}@{line} {:?} {fields:?} {columns:?} {fault:?} {raw:?}", record.euid()));
        }
        assert_eq!(batch.fields.len(), in_rows, "fields of no row");
        if !more {
            let unseen = naming.asked().unseen().iter().map(ToString::to_string).collect();
            return (Got { rows, unseen }, records.objects.taken_by_the_run);
        }
    }
}

/// Reads in pieces of all kinds. Returns how many records came in runs at most.
fn same(bytes: &[u8], options: &ReaderOptions) -> u64 {
    let (expected, none) = read(bytes, usize::MAX, options, false);
    assert_eq!(none, 0);
    let mut most = 0;
    for piece in [usize::MAX, 1, 7, 16, 61] {
        let (got, by_the_run) = read(bytes, piece, options, true);
        assert_eq!(got, expected, "in pieces of {piece}: {}", bytes.escape_ascii());
        most = most.max(by_the_run);
    }
    most
}

/// What comes before: each key is parsed once before lines with it are plain.
const FIRST: &str = r#"{"euid":1,"contacts":{"email":"a","mobile_phone":"b","own":"c"}}
{"euid":1,"email":"a","MOBILE_PHONE":"b"}
{"ignored":"x","euid":1}
"#;
const BEHIND: &str = "[\"what comes last is never plain\"]\n";

#[test]
fn what_is_plain_is_taken_by_the_run() {
    let options = ReaderOptions {
        selection: Selection::Exactly(vec!["email".into(), "mobile_phone".into()]),
        ..ReaderOptions::default()
    };
    for (line, expected) in [
        (r#"{"euid":"123","contacts":{"email":"a@example.com","mobile_phone":"+12025550101"}}"#, 1),
        (r#"{ "contacts" : { "own" : "ü 😀" , "email" : null } , "euid" : 9223372036854775808 } "#, 1),
        ("{\"euid\":-0,\"email\":\"\",\"MOBILE_PHONE\":123456789012345678901234567890}\r", 1),
        (r#"{"email":"no euid"}"#, 1),
        (r#"{"euid":null,"ignored":7,"email":"a","contacts":{"mobile_phone":"b"}}"#, 1),
        ("\n\r\n{\"euid\":1,\"email\":\"a\"}", 1),
        // And what isn't.
        (r#"{"euid":1,"email":"a\u0062"}"#, 0),
        (r#"{"euid":1,"em\u0061il":"a"}"#, 0),
        (r#"{"euid":1,"email":"a","email":"b"}"#, 0),
        (r#"{"euid":1,"email":"a","contacts":{"email":"b"}}"#, 0),
        (r#"{"euid":1,"mobile_phone":"a","MOBILE_PHONE":"b"}"#, 0),
        (r#"{"euid":1,"contacts":{},"contacts":{}}"#, 0),
        (r#"{"euid":1,"ignored":1,"ignored":2}"#, 0),
        (r#"{"euid":1,"euid":2}"#, 0),
        (r#"{"euid":1,"email":true}"#, 0),
        (r#"{"euid":1,"email":1.0}"#, 0),
        (r#"{"euid":01,"email":1}"#, 0),
        (r#"{"euid":-,"email":1}"#, 0),
        (r#"{"euid":1,"email":["a"]}"#, 0),
        (r#"{"euid":1,"email":"a"} x"#, 0),
        (r#"{"euid":1,"email":"a"}}"#, 0),
        (r#"{"euid":1,"email":"a",}"#, 0),
        (r#"{"euid":1 "email":"a"}"#, 0),
        (r#"{"euid":1,"email" "a"}"#, 0),
        (r#"{"euid":1,"email":nullx}"#, 0),
        (r#"{"euid":1,"never_seen":"a"}"#, 0),
        ("{\"euid\":1,\"email\":\"a\tb\"}", 0),
    ] {
        let text = format!("{FIRST}{line}\n{BEHIND}");
        assert_eq!(same(text.as_bytes(), &options), expected, "{line}");
        // Keys that didn't come before are not known.
        assert_eq!(same(format!("{line}\n{BEHIND}").as_bytes(), &options), 0, "{line}");
    }
}

#[test]
fn a_line_is_as_long_as_a_record_may_be_and_valid() {
    let options = ReaderOptions::default();
    let mut batch = RecordBatch::default();
    let mut objects = Objects::new(Naming::new(&options), true);
    let first = br#"{"euid":1,"email":"a"}"#;
    objects.take(&mut batch, first, 1);
    for over in [0, 1] {
        let long = format!("{{\"euid\":1,\"email\":\"{}\"}}", "x".repeat(MAX_RECORD_BYTES - 21 + over));
        assert_eq!(long.len(), MAX_RECORD_BYTES + over);
        let run = objects.take_plain(&mut batch, format!("{long}\n{BEHIND}").as_bytes(), 1);
        assert_eq!(run.lines, u64::from(over == 0));
        batch.clear();
    }
    // A byte that isn't valid must not cost the lines before it.
    for at in 0..20 {
        let mut text = [b'x'; 20];
        text[at] = 0xff;
        let behind = [&b"\n{\"euid\":1,\"email\":\""[..], &text, b"\"}\n", BEHIND.as_bytes()].concat();
        assert_eq!(objects.take_plain(&mut batch, &[&first[..], b"\n", first, &behind].concat(), 1).lines, 2);
    }
}

#[test]
fn all_keys_may_be_contacts() {
    let options = ReaderOptions { selection: Selection::All, ..ReaderOptions::default() };
    let first = r#"{"euid":1,"own":"a","a\"b":"c"}
{"euid":1,"contacts":{"own":"a","a\\b":"c"}}
"#;
    for (line, expected) in [
        (r#"{"euid":1,"own":"a"}"#, 1),
        (r#"{"euid":1,"contacts":{"own":"a"}}"#, 1),
        (r#"{"euid":1,"own":"a","contacts":{"own":"a"}}"#, 0),
        (r#"{"euid":1,"a"b":"c"}"#, 0),
        (r#"{"euid":1,"a\"b":"c"}"#, 0),
        (r#"{"euid":1,"contacts":{"a\b":"c"}}"#, 0),
        (r#"{"euid":1,"contacts":{"a\\b":"c"}}"#, 0),
    ] {
        assert_eq!(same(format!("{first}{line}\n{BEHIND}").as_bytes(), &options), expected, "{line}");
    }
}

/// More keys than there are bits, and texts of keys that are long.
#[test]
fn keys_beyond_those_that_can_be_known() {
    let options = ReaderOptions { selection: Selection::All, ..ReaderOptions::default() };
    let line = |keys: std::ops::Range<usize>| {
        let members: Vec<_> = keys.map(|key| format!("\"key{key}\":\"{key}\"")).collect();
        format!("{{\"euid\":1,{}}}\n", members.join(","))
    };
    let long = format!("{{\"euid\":1,\"{}\":\"x\"}}\n", "k".repeat(300));
    let lines = [line(0..100), line(0..100), line(0..63), line(62..64), line(0..1), long.clone(), long];
    assert_eq!(same(format!("{}{BEHIND}", lines.concat()).as_bytes(), &options), 2);
}

fn part() -> impl Strategy<Value = &'static [u8]> {
    let parts: Vec<&'static [u8]> = vec![
        b"{",
        b"}",
        b"}\n",
        b"}\n{",
        b"}}\n",
        b":",
        b",",
        b" ",
        b"\t",
        b"\n",
        b"\r\n",
        b"\r",
        b"\"",
        b"\\",
        b"\\\"",
        b"[",
        b"]",
        b"\"euid\":",
        b"\"EUID\":",
        b"\"email\":",
        b"\"Email\":",
        b"\"mobile_phone\":",
        b"\"contacts\":{",
        b"\"own\":",
        b"\"a b\":",
        b"\" euid\":",
        b"\"x\":",
        b"\"\":",
        b"\"\xc3\xbc\":",
        b"\"em\\u0061il\":",
        b"null",
        b"nul",
        b"true",
        b"1",
        b"12,",
        b"-0",
        b"007",
        b"1.5",
        b"1e3",
        b"\"a\"",
        b"\"a\",",
        b"\"a@example.com\",",
        b"\"\xc3\xbc\",",
        b"\"\xff\",",
        b"\"\xc3",
        b"\"a\\nb\",",
        b"\"\0\",",
        b"\"\x7f\",",
        b"{\"euid\":1,\"email\":\"a\"}\n",
        b"{\"euid\":\"2\",\"contacts\":{\"email\":\"a\",\"own\":\"b\"}}\r\n",
        b"{\"euid\":3,\"x\":1,\"email\":null}\n",
        b"{\"euid\":12345678,\"contacts\":{\"email\":\"a@example.com\",\"mobile_phone\":\"+12025550101\"}}\n",
    ];
    prop::sample::select(parts)
}

fn options() -> impl Strategy<Value = ReaderOptions> {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let selections = vec![
        Selection::Known,
        Selection::All,
        Selection::Exactly(names(&["email", "x"])),
        Selection::Exactly(names(&["own", "never", "Mobile_phone"])),
    ];
    let maps = vec![vec![], vec![("x", "email")], vec![("own", "EUID")], vec![("a b", "own"), ("never", "x")]];
    (prop::sample::select(selections), prop::sample::select(maps), any::<bool>()).prop_map(|(selection, map, id)| {
        let map = map.into_iter().map(|(from, to)| (from.to_owned(), to.to_owned())).collect();
        let key_column = if id { "own" } else { "euid" }.to_owned();
        ReaderOptions { key_column, map, selection, ..ReaderOptions::default() }
    })
}

/// Members of an object that may be plain.
fn member() -> impl Strategy<Value = String> {
    let keys = vec![
        "euid",
        "EUID",
        "email",
        "Email",
        "mobile_phone",
        "own",
        "x",
        " x ",
        "ü",
        "",
        "a b",
        "em\\u0061il",
        "contacts",
    ];
    let values = vec![
        "null",
        "1",
        "-12",
        "0",
        "00",
        "1.0",
        "\"\"",
        "\"a\"",
        "\"a@example.com\"",
        "\"ü\"",
        "\"a\\tb\"",
        "true",
        "[]",
        "{}",
        "{\"email\":\"a\"}",
        "{ \"own\" : 1, \"x\":null}",
        "{\"Email\":\"b\",\"email\":\"c\"}",
        "{\"a\":{}}",
        "\"\u{7f}\"",
        "nul",
        "\"",
    ];
    let (keys, values) = (prop::sample::select(keys), prop::sample::select(values));
    let blanks = prop::sample::select(vec!["", "", "", " ", "\t", "  "]);
    (keys, values, blanks).prop_map(|(key, value, blank)| format!("{blank}\"{key}\"{blank}:{blank}{value}{blank}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn runs_are_what_lines_are(options in options(), parts in prop::collection::vec(part(), 0..60)) {
        same(&parts.concat(), &options);
    }

    #[test]
    fn runs_of_objects_are_what_objects_are(
        options in options(),
        objects in prop::collection::vec(prop::collection::vec(member(), 0..6), 0..12),
        repeated in prop::collection::vec(0_usize..12, 0..12),
    ) {
        let objects: Vec<String> = objects.iter().map(|members| format!("{{{}}}\n", members.join(","))).collect();
        let again = repeated.iter().filter_map(|index| objects.get(*index));
        let text: String = objects.iter().chain(again).map(String::as_str).collect();
        same(text.as_bytes(), &options);
    }
}

#[test]
fn batches_of_runs_keep_within_their_bounds() {
    let mut text = String::new();
    for row in 0..5_000 {
        text += &format!("{{\"euid\":{row},\"email\":\"{}\"}}\n", "x".repeat(row % 700));
    }
    assert!(same(text.as_bytes(), &ReaderOptions::default()) > 4_900);
    let fields = (0..60).map(|key| format!(",\"c{key}\":\"\"")).collect::<String>();
    let text = format!("{{\"euid\":1{fields}}}\n").repeat(2_000);
    let options = ReaderOptions { selection: Selection::All, ..ReaderOptions::default() };
    assert!(same(text.as_bytes(), &options) > 1_950);
}

/// A contact's name that is the key lies in the text of the line.
#[test]
fn names_of_their_own_are_not_copied() {
    let mut batch = RecordBatch::default();
    let mut objects = Objects::new(Naming::new(&ReaderOptions::default()), true);
    let line = br#"{"euid":1,"contacts":{"own":"a"}}"#;
    objects.take(&mut batch, line, 1);
    batch.clear();
    batch.text.push_str("before");
    objects.take_plain(&mut batch, &[&line[..], b"\n"].concat(), 1);
    assert_eq!(batch.fields[0].name, model::Name::Own(Span { start: 6 + 23, end: 6 + 26 }));
}
