//! The report as a file: what is in it, whose it is, and what happens when it can't be written.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{io::Read, os::unix::fs::PermissionsExt, path::Path};

use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};
use proptest::prelude::*;
use report::{ContactsPolicy, Journal, JournalOptions, ReportError, Tally};

const OPTIONS: JournalOptions = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false };

fn decision(row: u64, outcome: Outcome) -> Decision {
    let mut contacts = Contacts::default();
    contacts.push("email".into(), "a,\"b\"@example.com");
    Decision {
        origin: Origin { source: "rows.csv".into(), row, line: row + 1 },
        euid: row.to_string().into(),
        id: None,
        outcome,
        reason: (outcome != Outcome::Synced).then_some(Reason::ServerError),
        answered: Answered { code: Some(-1), message: Some("a\nb".to_owned()), http_status: Some(200) },
        attempts: 3,
        latency_ms: Some(row),
        at_ms: 1_769_850_487_006,
        contacts: Some(contacts),
        raw: None,
    }
}

fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_string(&mut text).map(drop).unwrap(),
        "zst" => text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
        _ => text = String::from_utf8(bytes).unwrap(),
    }
    text
}

#[test]
fn records_have_every_field_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for (name, expected) in [
        (
            "r.ndjson",
            r#"{"source":"rows.csv","row":1,"line":2,"euid":"1","outcome":"failed","reason":"server_error","code":-1,"message":"a\nb","http_status":200,"attempts":3,"latency_ms":1,"at":"2026-01-31T09:08:07.006Z","contacts":{"email":"a,\"b\"@example.com"},"raw":null}"#,
        ),
        (
            "r.csv",
            "source,row,line,euid,outcome,reason,code,message,http_status,attempts,latency_ms,at,contacts,raw\nrows.csv,1,2,1,failed,server_error,-1,\"a\nb\",200,3,1,2026-01-31T09:08:07.006Z,\"{\"\"email\"\":\"\"a,\\\"\"b\\\"\"@example.com\"\"}\",",
        ),
    ] {
        for ending in ["", ".gz", ".zst"] {
            let path = folder.path().join(format!("{name}{ending}"));
            let mut journal = Journal::create(&path, OPTIONS).unwrap();
            journal.append(&decision(1, Outcome::Failed));
            // What is synced can be read while the journal goes on.
            journal.sync().unwrap();
            assert_eq!(text(&path), format!("{expected}\n"), "{name}{ending}");
            journal.append(&decision(2, Outcome::Synced));
            journal.finish().unwrap();
            assert!(text(&path).starts_with(expected) && text(&path).contains("synced"), "{name}{ending}");
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_report_is_never_overwritten_and_written_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let forced = JournalOptions { force: true, ..OPTIONS };
    let journal = Journal::create(&path, OPTIONS).unwrap();
    assert!(matches!(Journal::create(&path, OPTIONS), Err(ReportError::Locked(_))));
    assert!(matches!(Journal::create(&path, forced), Err(ReportError::Locked(_))));
    journal.finish().unwrap();
    std::fs::write(&path, "old").unwrap();
    assert!(matches!(Journal::create(&path, OPTIONS), Err(ReportError::AlreadyExists(_))));
    let kept = std::fs::File::open(&path).unwrap();
    Journal::create(&path, forced).unwrap().finish().unwrap();
    assert_eq!(text(&path), "");
    assert_eq!(std::io::read_to_string(kept).unwrap(), "old", "whoever reads the old file still has it whole");
}

#[test]
fn only_what_was_handed_to_the_file_is_counted() {
    let mut journal = Journal::create(Path::new("/dev/full"), OPTIONS).unwrap();
    journal.append(&decision(1, Outcome::Synced));
    assert!(matches!(journal.sync(), Err(ReportError::Write { .. })));
    assert_eq!((journal.tally().total(), journal.unwritten()), (0, 1));
}

#[test]
fn a_file_that_was_removed_or_replaced_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    for replace in [false, true] {
        let mut journal = Journal::create(&path, JournalOptions { force: true, ..OPTIONS }).unwrap();
        journal.append(&decision(1, Outcome::Synced));
        journal.sync().unwrap();
        std::fs::remove_file(&path).unwrap();
        if replace {
            std::fs::write(&path, "another").unwrap();
        }
        assert!(matches!(journal.sync(), Err(ReportError::Replaced(_))), "{replace}");
    }
}

#[test]
fn a_message_that_repeats_a_value_loses_it_under_never() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut journal = Journal::create(&path, JournalOptions { contacts: ContactsPolicy::Never, ..OPTIONS }).unwrap();
    let mut failed = decision(1, Outcome::Failed);
    failed.answered.message = Some("a,\"b\"@example.com is taken".to_owned());
    journal.append(&failed);
    // Half of it, in other letters, and as part of a longer text.
    failed.answered.message = Some("no user EXAMPLE.COM, found 'x' in <a,\\\"b\\\"@example.com>".to_owned());
    journal.append(&failed);
    let rejected = Decision {
        euid: "+12025550101".into(),
        answered: Answered { message: Some("too long; found \"x; found \\\"y".to_owned()), ..Answered::default() },
        raw: Some("+12025550101,x".into()),
        ..decision(2, Outcome::Rejected)
    };
    journal.append(&rejected);
    journal.finish().unwrap();
    let text = text(&path);
    assert!(text.contains(r#""message":"[value] is taken""#), "{text}");
    assert!(text.contains(r#""euid":"","outcome":"rejected""#) && text.contains(r#""message":"too long","#), "{text}");
    for value in ["xample", "XAMPLE", "12025550101", "found", "contacts\":{", "raw\":\""] {
        assert!(!text.replace(", found [value]", "").contains(value), "{value} in {text}");
    }
}

proptest! {
    /// A tally of parts is the tally of the whole.
    #[test]
    fn tallies_add_up(outcomes in prop::collection::vec(0_usize..4, 0..100), cut in 0_usize..100) {
        let decisions: Vec<Decision> =
            outcomes.iter().enumerate().map(|(row, outcome)| decision(row as u64, Outcome::ALL[*outcome])).collect();
        let tally = |decisions: &[Decision]| {
            let mut tally = Tally::default();
            for decision in decisions {
                tally.add(decision);
            }
            tally
        };
        let (first, second) = decisions.split_at(cut.min(decisions.len()));
        let mut parts = tally(first);
        parts.merge(&tally(second));
        let whole = tally(&decisions);
        prop_assert_eq!((parts.total(), &parts.reasons, &parts.codes), (whole.total(), &whole.reasons, &whole.codes));
        prop_assert_eq!((parts.attempts, parts.retries, parts.latency()), (whole.attempts, whole.retries, whole.latency()));
    }
}
