mod changes;

use std::{fs, io::Write};

use model::{Answered, Contacts, Decision, Origin};
use proptest::prelude::*;

use self::changes::{Change, VALUES, change, changed, decision, line};
use super::*;
use crate::{
    format::Encoding,
    parse::Parser,
    read::{ReadError, ReportReader},
    record,
    time::Times,
};

/// What a reader gives: records or gists as they come, and how it ends.
fn all<T>(mut next: impl FnMut() -> Result<Option<T>, ReadError>) -> (Vec<T>, Option<String>) {
    let mut records = Vec::new();
    loop {
        match next() {
            Ok(Some(record)) => records.push(record),
            Ok(None) => return (records, None),
            Err(error) => return (records, Some(format!("{error:?}"))),
        }
    }
}

fn packed(name: &str, pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut packed = Vec::new();
    for piece in pieces {
        if name.ends_with("gz") {
            let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::fast());
            encoder.write_all(piece).and_then(|()| encoder.finish()).unwrap();
        } else if name.ends_with("zst") {
            packed.extend(zstd::encode_all(&piece[..], 1).unwrap());
        } else {
            packed.extend(piece);
        }
    }
    packed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    /// Whatever is skimmed is a record for the parser too, and the same one.
    #[test]
    fn what_is_skimmed_is_what_the_parser_reads(
        records in prop::collection::vec((decision(), prop::collection::vec(change(), 0..3)), 1..6),
    ) {
        let (mut skimmer, mut parser) = (Skimmer::default(), Parser::new());
        for (record, changes) in &records {
            // As if one of its source had been read before.
            skimmer.expect(&record.origin.source);
            is_skimmed(&mut skimmer, &mut parser, &changed(&line(record), changes));
        }
    }

    /// What the journal writes is skimmed, but for what is rare: it would be slow else.
    #[test]
    fn what_the_journal_writes_is_skimmed(record in decision()) {
        let line = line(&record);
        let mut skimmer = Skimmer::default();
        skimmer.expect(&record.origin.source);
        let is_escaped = |text: &str| text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\'));
        let is_rare = is_escaped(&record.euid)
            || record.id.as_deref().is_some_and(is_escaped)
            || line.windows(2).any(|two| two == b"\\u")
            || [record.origin.row, record.origin.line, record.latency_ms.unwrap_or(0)].iter().any(|n| *n >= 10_u64.pow(19))
            || record.answered.code == Some(i64::MIN)
            || crate::rfc3339(record.at_ms).starts_with('9');
        prop_assert!(skimmer.skim(&line).is_some() || is_rare, "{}", String::from_utf8_lossy(&line));
    }

    /// A whole report, whatever stands in it: gists and records come alike, and so does its end; and each record is found
    /// again at the byte at which it is said to begin.
    #[test]
    fn a_report_reads_alike_record_by_record_and_gist_by_gist(
        records in prop::collection::vec(decision(), 1..12),
        // Each as likely as the other: nothing changed, a line, or the file.
        change in prop::option::of((any::<prop::sample::Index>(), change())),
        damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        cut in prop::option::of(any::<prop::sample::Index>()),
        blank in any::<bool>(),
        name in prop::sample::select(&["r.ndjson", "r.ndjson.gz", "r.ndjson.zst", "r.csv"][..]),
        ids in any::<bool>(),
    ) {
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        for (index, record) in records.iter().enumerate() {
            let mut piece = Vec::new();
            if name == "r.csv" {
                if index == 0 {
                    record::write_header(Encoding::Csv, ids, &mut piece);
                }
                let shown = record::Shown { contacts: true, id: ids };
                record::write(Encoding::Csv, record, shown, &mut Times::default(), &mut piece);
            } else {
                let changes = change.as_ref().filter(|(at, _)| at.index(records.len()) == index);
                piece.extend(changed(&line(record), changes.map(|(_, change)| change.clone()).as_slice()));
            }
            if blank {
                piece.extend(b" \r\n");
            }
            pieces.push(piece);
        }
        let mut bytes = packed(name, &pieces);
        if let Some((at, value)) = damage && !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Some(cut) = cut && !bytes.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, &bytes).unwrap();
        let mut whole = ReportReader::open(&path).unwrap();
        let (parsed, parsed_end) = all(|| whole.next().transpose());
        let mut skimming = ReportReader::open(&path).unwrap();
        let mut places = Vec::new();
        let mut index = 0;
        let (count, skimmed_end) = all(|| {
            let Some((began, gist)) = skimming.next_gist()? else { return Ok(None) };
            places.push(began);
            let is_same = parsed.get(index).is_some_and(|record| gist == Gist::of(record));
            index += 1;
            Ok(Some(is_same))
        });
        prop_assert!(count.len() == parsed.len() && count.iter().all(|same| *same), "{:?} of {}", count, parsed.len());
        prop_assert_eq!(skimmed_end, parsed_end);
        prop_assert_eq!(skimming.whole_bytes(), whole.whole_bytes());
        prop_assert_eq!(skimming.can_be_continued(), whole.can_be_continued());
        // In one go, and with others left out.
        for step in [1, 3] {
            let mut reader = ReportReader::open(&path).unwrap();
            for index in (0..parsed.len()).step_by(step) {
                reader.go_to(places[index], index as u64).unwrap();
                let found = reader.next().transpose().unwrap();
                prop_assert_eq!(found.as_ref(), parsed.get(index), "record {}", index);
            }
        }
    }
}

/// A record of row 1.
fn plain() -> Decision {
    Decision {
        origin: Origin { source: "a".into(), row: 1, line: 2 },
        euid: "7".into(),
        id: None,
        outcome: Outcome::Failed,
        reason: Some(Reason::Timeout),
        answered: Answered { code: Some(-1), message: Some("m".to_owned()), http_status: Some(200) },
        attempts: 1,
        latency_ms: Some(9),
        at_ms: 1_769_850_487_006,
        contacts: Some(Contacts::default()),
        raw: None,
    }
}

/// Skims the first line, and compares with the parser where that succeeds. Whether it did.
fn is_skimmed(skimmer: &mut Skimmer, parser: &mut Parser, bytes: &[u8]) -> bool {
    let Some(found) = skimmer.skim(bytes) else { return false };
    let line = bytes.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    assert_eq!(found.length, line.len(), "not the first line: {}", String::from_utf8_lossy(bytes));
    let parsed = parser.ndjson(line);
    let text = String::from_utf8_lossy(line);
    let parsed = parsed.unwrap_or_else(|fault| panic!("{text} is skimmed, and for the parser {fault:?}"));
    assert_eq!(skimmer.gist(&found), Gist::of(&parsed), "{text}");
    true
}

#[test]
fn any_value_in_any_field_is_skimmed_as_it_is_parsed() {
    let mut skimmer = Skimmer::default();
    skimmer.expect(&"a".into());
    let mut parser = Parser::new();
    for (id, fields, expected) in [(None, record::FIELDS.len(), 105), (Some("a-7"), record::FIELDS.len() + 1, 121)] {
        let line = line(&Decision { id: id.map(Into::into), ..plain() });
        let mut count = 0;
        for field in 0..fields {
            for value in 0..VALUES.len() {
                assert!(is_skimmed(&mut skimmer, &mut parser, &line), "as the journal writes it");
                count +=
                    usize::from(is_skimmed(&mut skimmer, &mut parser, &changed(&line, &[Change::Value(field, value)])));
            }
        }
        assert_eq!(count, expected, "so many of them are written as the journal could have");
    }
}

#[test]
fn times_behind_one_another_are_skimmed_as_they_are_parsed() {
    let times = [
        "2026-01-31T09:08:07.006Z",
        "2026-01-31T09:08:59.999Z",
        "2026-01-31T09:08:60.000Z",
        "2026-01-31T09:08:61.000Z",
        "2026-01-31T09:09:00.000Z",
        "2026-01-31T09:08:0a.000Z",
        "2026-01-31T09:08:07,006Z",
        "2026-01-31T09:08:07.006z",
        "2026-01-31T09:08:07.0060Z",
        "2026-01-31T09:08:07.06Z",
        "2026-01-31 09:08:07.006Z",
        "2026-02-29T09:08:07.006Z",
        "2024-02-29T09:08:07.006Z",
        "2026-01-31T24:00:00.000Z",
        "2026-13-01T00:00:00.000Z",
        "0000-01-01T00:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "1969-12-31T23:59:59.001Z",
        "9999-12-30T22:00:00.000Z",
        "9999-12-30T22:00:01.000Z",
        "-999-12-30T22:00:01.000Z",
    ];
    let line = line(&plain());
    let at = |time: &str| String::from_utf8_lossy(&line).replace("2026-01-31T09:08:07.006Z", time).into_bytes();
    let mut count = 0;
    for (first, second) in times.iter().flat_map(|first| times.iter().map(move |second| (first, second))) {
        let mut skimmer = Skimmer::default();
        skimmer.expect(&"a".into());
        is_skimmed(&mut skimmer, &mut Parser::new(), &at(first));
        count += usize::from(is_skimmed(&mut skimmer, &mut Parser::new(), &at(second)));
    }
    assert_eq!(count, 7 * times.len(), "of each first one");
}

#[test]
fn of_another_source_nothing_is_skimmed() {
    let whole = br#"{"source":"a","row":1,"line":2,"euid":"7","outcome":"synced","reason":"","code":0,"message":"success","http_status":200,"attempts":1,"latency_ms":9,"at":"2026-01-31T09:08:07.006Z","contacts":null,"raw":null}"#;
    let whole = [&whole[..], b"\n"].concat();
    let mut skimmer = Skimmer::default();
    assert!(skimmer.skim(&whole).is_none(), "no source is known yet");
    skimmer.expect(&"b".into());
    assert!(skimmer.skim(&whole).is_none());
    skimmer.expect(&"a".into());
    assert!(skimmer.skim(&whole).is_some());
    assert!(skimmer.skim(&whole[..whole.len() - 1]).is_none(), "without its line end it is torn");
    let twice = [&whole[..], &whole[..]].concat();
    assert_eq!(skimmer.skim(&twice).map(|found| found.length), Some(whole.len()), "no more than the first");
    skimmer.expect(&"".into());
    assert!(skimmer.skim(&whole).is_none());
}
