//! A report that was cut, overwritten or killed is written on, and loses nothing that was synced.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod properties;
#[path = "../support/mod.rs"]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, OpenOptions},
    io::{Seek, SeekFrom, Write},
    path::Path,
};

use model::{Contacts, Decision, Origin, Outcome, Reason};
use report::{ContactsPolicy, Journal, JournalOptions, ReadError, ReportError, ReportReader, Resumption, Run, RunFile};
use support::decision;

const OPTIONS: JournalOptions = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false };
const NAMES: [&str; 6] = ["r.ndjson", "r.csv", "r.ndjson.gz", "r.csv.gz", "r.ndjson.zst", "r.csv.zst"];

/// An accepted row.
fn synced(row: u64) -> Decision {
    decision(row, Outcome::Synced, None)
}

/// Creates a report with a `.run` file beside it.
fn create(path: &Path) -> Journal {
    let run = Run {
        command: "push".to_owned(),
        target: "sandbox".to_owned(),
        api_key: None,
        options: BTreeMap::new(),
        inputs: Vec::new(),
        begun: None,
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    };
    RunFile::new(path, run).save().unwrap();
    Journal::create(path, OPTIONS).unwrap()
}

fn resume(path: &Path) -> Result<(Journal, report::Decided), ReportError> {
    Resumption::open(path)?.unwrap().into_journal(ContactsPolicy::Failed)
}

fn read(path: &Path) -> Vec<Decision> {
    ReportReader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

fn rows(path: &Path) -> Vec<u64> {
    read(path).iter().map(|record| record.origin.row).collect()
}

#[test]
fn what_was_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let unreadable = Decision {
        contacts: None,
        raw: Some("1,\"\r\n\u{0}\u{fffd}".into()),
        euid: " 0x1\r\n".into(),
        ..decision(3, Outcome::Rejected, Some(Reason::MalformedRow))
    };
    let bare = Decision {
        answered: model::Answered { code: None, message: None, http_status: None },
        latency_ms: None,
        ..decision(4, Outcome::Failed, Some(Reason::Network))
    };
    let all = [synced(1), decision(2, Outcome::Failed, Some(Reason::Timeout)), unreadable, bare];
    for name in NAMES {
        let path = folder.path().join(name);
        let mut journal = create(&path);
        for decision in &all {
            journal.append(decision);
            journal.sync().unwrap();
        }
        journal.finish().unwrap();
        assert_eq!(read(&path), all, "{name}");
        let renamed = folder.path().join(format!("{name}.bak"));
        fs::copy(&path, &renamed).unwrap();
        assert_eq!(read(&renamed), all, "the content tells the format: {name}");
    }
}

/// Cuts the report, or overwrites its end with zeros, at every byte of its last two records.
#[test]
fn cut_or_zeroed_at_any_byte_it_resumes_to_the_same_end() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut journal = create(&path);
        let mut ends = Vec::new();
        for row in 1..=4 {
            let reason = (row % 2 == 0).then_some(Reason::Timeout);
            journal.append(&decision(row, if row % 2 == 0 { Outcome::Failed } else { Outcome::Synced }, reason));
            journal.sync().unwrap();
            ends.push(fs::metadata(&path).unwrap().len());
        }
        drop(journal);
        let (whole, expected) = (fs::read(&path).unwrap(), read(&path));
        for at in ends[1]..=ends[3] {
            for zeros in [false, true] {
                let mut torn = whole[..at as usize].to_vec();
                if zeros {
                    torn.resize(whole.len(), 0);
                }
                fs::write(&path, &torn).unwrap();
                let (mut journal, decided) = resume(&path).unwrap();
                // The end of a gzip member may be zeros anyway.
                let is_there = |end: &&u64| torn.get(..**end as usize) == whole.get(..**end as usize);
                let kept = ends.iter().filter(is_there).count() as u64;
                assert_eq!(decided.rows(), kept, "{name}, byte {at}, zeros {zeros}");
                for decision in &expected[kept as usize..] {
                    journal.append(decision);
                }
                journal.finish().unwrap();
                assert_eq!(read(&path), expected, "{name}, byte {at}, zeros {zeros}");
            }
        }
    }
}

/// The same for the beginning: even a header that was never written whole is no obstacle.
#[test]
fn a_report_without_a_whole_record_begins_anew() {
    for name in NAMES {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut journal = create(&path);
        journal.append(&synced(1));
        journal.finish().unwrap();
        let whole = fs::read(&path).unwrap();
        fs::remove_file(RunFile::path_of(&path)).unwrap();
        for at in 0..whole.len() {
            for zeros in [false, true] {
                let mut torn = whole[..at].to_vec();
                if zeros {
                    torn.resize(whole.len(), 0);
                }
                if torn == whole {
                    // A gzip member ends with zeros.
                    continue;
                }
                fs::write(&path, &torn).unwrap();
                let (mut journal, decided) = resume(&path).unwrap();
                assert!(decided.is_empty(), "{name}, byte {at}, zeros {zeros}");
                journal.append(&synced(1));
                journal.finish().unwrap();
                assert_eq!(rows(&path), [1], "{name}, byte {at}, zeros {zeros}");
            }
        }
    }
}

#[test]
fn a_file_that_is_no_report_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("r.ndjson", "euid,email\n1,a@example.com\n"),
        ("r.ndjson", "{\"source\":1}\n"),
        ("r.ndjson", "[\"a.csv\",1,2,\"1\",\"synced\",\"\",0,null,200,1,5,\"2026-01-31T09:08:07.006Z\",null,null]\n"),
        ("r.csv", "source,row\n"),
        ("r.csv", "{}\n"),
        ("r.ndjson.gz", "plain\n"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = Resumption::open(&path).unwrap_err();
        assert!(matches!(error, ReportError::Read(ReadError::Foreign { .. })), "{name}: {error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    // A report of this kind, but under a name of another.
    let path = folder.path().join("s.ndjson");
    let mut journal = create(&path);
    journal.append(&synced(1));
    journal.finish().unwrap();
    fs::rename(&path, folder.path().join("s.csv")).unwrap();
    assert!(matches!(Resumption::open(&folder.path().join("s.csv")), Err(ReportError::OtherFormat(_))));
}

#[test]
fn a_csv_with_other_columns_is_read_but_not_written_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.csv");
    let mut journal = create(&path);
    journal.append(&synced(1));
    journal.finish().unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let (header, record) = text.split_once('\n').unwrap();
    let further = format!("id,{header}\n7,{record}");
    let swapped = text.replace("row,line", "line,row");
    for other in [further, swapped] {
        fs::write(&path, &other).unwrap();
        assert_eq!(read(&path).len(), 1);
        assert!(matches!(Resumption::open(&path), Err(ReportError::OtherFormat(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), other);
    }
}

#[test]
fn an_empty_member_at_the_beginning_is_no_header() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.csv.gz");
    create(&path).finish().unwrap();
    let empty = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()).finish().unwrap();
    fs::write(&path, empty).unwrap();
    let (mut journal, _) = resume(&path).unwrap();
    journal.append(&synced(1));
    journal.finish().unwrap();
    assert_eq!(rows(&path), [1]);
}

#[test]
fn a_report_with_records_is_not_resumed_without_its_run_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut journal = create(&path);
    journal.append(&synced(1));
    journal.finish().unwrap();
    fs::remove_file(RunFile::path_of(&path)).unwrap();
    assert!(matches!(Resumption::open(&path), Err(ReportError::WithoutRun(_))));
}

#[test]
fn damage_long_before_the_end_is_not_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut journal = create(&path);
    journal.append(&synced(1));
    journal.finish().unwrap();
    let mut file = OpenOptions::new().write(true).open(&path).unwrap();
    file.seek(SeekFrom::End(70 << 20)).unwrap();
    file.write_all(b"{}\n").unwrap();
    let size = file.metadata().unwrap().len();
    assert!(matches!(Resumption::open(&path), Err(ReportError::Damaged { .. })));
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
}

#[test]
fn one_at_a_time_and_no_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let journal = create(&path);
    assert!(matches!(Resumption::open(&path), Err(ReportError::Locked(_))));
    drop(journal);
    assert!(Resumption::open(&path).unwrap().is_some());
    assert!(Resumption::open(&folder.path().join("none.ndjson")).unwrap().is_none());
    assert!(matches!(Resumption::open(Path::new("/dev/null")), Err(ReportError::NotResumable(_))));
}

/// Writes these records and says what is decided then.
fn decided(folder: &tempfile::TempDir, records: &[Decision]) -> report::Decided {
    let path = folder.path().join("r.ndjson");
    let mut journal = create(&path);
    for record in records {
        journal.append(record);
    }
    journal.finish().unwrap();
    Resumption::open(&path).unwrap().unwrap().decided
}

#[test]
fn what_lay_in_the_run_is_sent_again_unless_a_later_row_of_the_euid_was_accepted() {
    let failed = |row, reason| decision(row, Outcome::Failed, Some(reason));
    let of_euid = |euid: &str, record: Decision| Decision { euid: euid.into(), ..record };
    let folder = tempfile::tempdir().unwrap();
    let resumed = decided(
        &folder,
        &[
            failed(1, Reason::HttpStatus),
            failed(2, Reason::Credentials),
            failed(3, Reason::Timeout),
            of_euid("77", failed(4, Reason::HttpStatus)),
            of_euid("077", synced(5)),
            of_euid("78", synced(6)),
            of_euid("78", failed(7, Reason::HttpStatus)),
        ],
    );
    let source = "Kunden, alle.csv";
    let contains: Vec<u64> = (1..=7).filter(|row| resumed.contains(source, *row)).collect();
    assert_eq!((contains, resumed.superseded(), resumed.rows()), (vec![3, 4, 5, 6], 1, 4));
    assert_eq!(resumed.tally().rows(Outcome::Failed), 2);
    assert_eq!((resumed.last_row(source), resumed.whole_tally().total()), (Some(7), 7));
    // The last record of a row counts.
    let folder = tempfile::tempdir().unwrap();
    let again = decided(&folder, &[failed(1, Reason::HttpStatus), synced(1)]);
    assert_eq!((again.rows(), again.tally().total(), again.whole_tally().total()), (1, 1, 1));
}

#[test]
fn an_older_row_that_was_sent_again_supersedes_no_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let of = |row: u64, reason: Option<Reason>| {
        let outcome = if reason.is_none() { Outcome::Synced } else { Outcome::Failed };
        let record = decision(row, outcome, reason);
        Decision { euid: "7".into(), origin: Origin { source: "a.csv".into(), row, line: row + 1 }, ..record }
    };
    // Both met a wrong path; then the older was sent again, and the run was stopped before the newer was.
    let wrong_path = Some(Reason::HttpStatus);
    let decided = decided(&folder, &[of(1, wrong_path), of(5, wrong_path), of(1, None)]);
    assert!(decided.contains("a.csv", 1) && !decided.contains("a.csv", 5));
    assert_eq!((decided.rows(), decided.superseded()), (1, 0));
}

#[test]
fn the_first_row_that_differs_is_named() {
    let records: Vec<Decision> = (1..=200).filter(|row| row % 3 == 0).map(synced).collect();
    let folder = tempfile::tempdir().unwrap();
    let resumed = decided(&folder, &records);
    let compare = |euid: &dyn Fn(u64) -> String, last: u64| {
        let mut comparison = resumed.compare_keys(false);
        for row in 1..=last {
            comparison.see("Kunden, alle.csv", row, &euid(row))?;
        }
        comparison.finish()
    };
    assert!(compare(&|row| row.to_string(), 200).is_ok());
    // Rows without a record may differ.
    assert!(compare(&|row| if row % 3 == 0 { row.to_string() } else { "x".to_owned() }, 200).is_ok());
    let shifted = compare(&|row| if row >= 100 { (row + 1).to_string() } else { row.to_string() }, 200);
    assert!(matches!(shifted, Err(ReportError::OtherEuid { row: 102, .. })), "{shifted:?}");
    assert!(matches!(compare(&|row| row.to_string(), 150), Err(ReportError::MissingRow { .. })));
}

/// The torn end is left out wherever the report is looked at.
#[test]
fn what_differs_is_named_also_where_the_end_is_torn() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let path = folder.path().join(name);
        let mut journal = create(&path);
        for row in 1..=3 {
            journal.append(&synced(row));
            journal.sync().unwrap();
        }
        drop(journal);
        let size = fs::metadata(&path).unwrap().len();
        OpenOptions::new().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
        let resumed = Resumption::open(&path).unwrap().unwrap();
        let mut comparison = resumed.decided.compare_keys(false);
        for (row, euid) in [(1, "1"), (2, "9"), (3, "3")] {
            comparison.see("Kunden, alle.csv", row, euid).unwrap();
        }
        let found = comparison.finish();
        assert!(matches!(found, Err(ReportError::OtherEuid { row: 2, .. })), "{name}: {found:?}");
    }
}

/// An EUID that is no number isn't in a report without contacts; it is no difference to the input either.
#[test]
fn a_report_without_contacts_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    create(&path).finish().unwrap();
    let mut journal = Resumption::open(&path).unwrap().unwrap().into_journal(ContactsPolicy::Never).unwrap().0;
    let rejected = decision(1, Outcome::Rejected, Some(Reason::EuidInvalid));
    journal.append(&Decision { euid: "a@example.com".into(), ..rejected });
    journal.append(&synced(2));
    journal.finish().unwrap();
    assert!(!fs::read_to_string(&path).unwrap().contains("a@example.com"));
    let resumed = Resumption::open(&path).unwrap().unwrap();
    let mut euids = resumed.decided.compare_keys(false);
    euids.see("Kunden, alle.csv", 1, "a@example.com").unwrap();
    euids.see("Kunden, alle.csv", 2, "2").unwrap();
    euids.finish().unwrap();
    let mut euids = resumed.decided.compare_keys(false);
    euids.see("Kunden, alle.csv", 1, "a@example.com").unwrap();
    euids.see("Kunden, alle.csv", 2, "3").unwrap();
    assert!(matches!(euids.finish(), Err(ReportError::OtherEuid { row: 2, .. })));
}

#[test]
fn what_a_check_wrote_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    for name in NAMES {
        let path = folder.path().join(name);
        let mut journal = create(&path);
        journal.append(&synced(1));
        journal.append(&decision(2, Outcome::Valid, None));
        journal.finish().unwrap();
        let before = fs::read(&path).unwrap();
        assert!(matches!(Resumption::open(&path), Err(ReportError::OfCheck(_))), "{name}");
        assert_eq!(fs::read(&path).unwrap(), before);
    }
}
