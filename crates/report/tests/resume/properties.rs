//! Any course of a journal, any bytes, any text.

use proptest::prelude::*;

use super::*;

/// What happens to a journal.
#[derive(Debug, Clone)]
enum Step {
    Append(u8),
    Write,
    Sync,
    /// The machine goes down: of what was not synced only a part is there, and the rest of it may be zeros.
    Crash {
        keep: f64,
        zeros: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1_u8..40).prop_map(Step::Append),
        2 => Just(Step::Write),
        2 => Just(Step::Sync),
        1 => (0.0..1.0, any::<bool>()).prop_map(|(keep, zeros)| Step::Crash { keep, zeros }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Against an oracle, over a file that loses what was not synced: nothing synced is ever lost, nothing is there that
    /// was not written, in order, and a resume finds exactly the rows that the file holds.
    #[test]
    fn any_course_of_appends_syncs_and_crashes_keeps_what_was_synced(
        name in prop::sample::select(&NAMES[..]),
        steps in prop::collection::vec(step(), 1..30),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut journal = create(&path);
        let (mut next, mut synced_rows, mut synced_bytes) = (1_u64, 0_usize, 0_u64);
        // What was ever appended, cut back to what survived each crash.
        let mut written: Vec<u64> = Vec::new();
        for step in steps.into_iter().chain([Step::Crash { keep: 0.5, zeros: true }]) {
            match step {
                Step::Append(rows) => for _ in 0..rows {
                    journal.append(&synced(next));
                    written.push(next);
                    next += 1;
                },
                Step::Write => journal.write().unwrap(),
                Step::Sync => {
                    journal.sync().unwrap();
                    synced_rows = written.len();
                    synced_bytes = fs::metadata(&path).unwrap().len();
                }
                Step::Crash { keep, zeros } => {
                    drop(journal);
                    let mut bytes = fs::read(&path).unwrap();
                    let unsynced = bytes.len() - synced_bytes as usize;
                    let kept = synced_bytes as usize + (unsynced as f64 * keep) as usize;
                    let size = if zeros { bytes.len() } else { kept };
                    bytes.truncate(kept);
                    bytes.resize(size, 0);
                    fs::write(&path, bytes).unwrap();
                    let (resumed, decided) = resume(&path).unwrap();
                    let there = rows(&path);
                    prop_assert!(there.len() >= synced_rows, "{} rows of {synced_rows} synced ones", there.len());
                    prop_assert_eq!(&there[..], &written[..there.len()], "what is there was written, in order");
                    prop_assert_eq!(decided.rows(), there.len() as u64);
                    prop_assert!(there.iter().all(|row| decided.contains("Kunden, alle.csv", *row)));
                    prop_assert_eq!(resumed.tally().total(), there.len() as u64);
                    written.truncate(there.len());
                    (synced_rows, synced_bytes) = (there.len(), fs::metadata(&path).unwrap().len());
                    journal = resumed;
                }
            }
        }
    }

    /// Whatever bytes stand in a report: no panic, what is read before the torn end is read again once it is cut, and
    /// what is resumed can be read.
    #[test]
    fn any_bytes_are_records_or_a_fault(
        name in prop::sample::select(&NAMES[..]),
        at in 0.0..1.0,
        replacement in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut journal = create(&path);
        for row in 1..=8 {
            journal.append(&decision(row, Outcome::Failed, Some(Reason::Timeout)));
            if row % 3 == 0 {
                journal.sync().unwrap();
            }
        }
        journal.finish().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        let start = (bytes.len() as f64 * at) as usize;
        let end = (start + replacement.len()).min(bytes.len());
        bytes.splice(start..end, replacement);
        fs::write(&path, &bytes).unwrap();
        if let Ok((journal, decided)) = resume(&path) {
            journal.finish().unwrap();
            let distinct: BTreeSet<(std::sync::Arc<str>, u64)> =
                read(&path).into_iter().map(|record| (record.origin.source, record.origin.row)).collect();
            prop_assert_eq!(decided.rows(), distinct.len() as u64);
        } else {
            prop_assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }

    /// Any text in any field comes back.
    #[test]
    fn any_text_comes_back(
        name in prop::sample::select(&NAMES[..2]),
        source in "\\PC{1,20}", euid in any::<String>(), message in ".{1,30}", key in any::<String>(), value in any::<String>(),
        raw in ".{1,20}",
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut contacts = Contacts::default();
        contacts.push(key.as_str().into(), &value);
        let written = Decision {
            origin: Origin { source: source.as_str().into(), row: u64::MAX, line: 1 },
            euid: euid.into(),
            answered: model::Answered { code: Some(i64::MIN), message: Some(message), http_status: Some(599) },
            contacts: Some(contacts),
            raw: Some(raw.into()),
            ..decision(1, Outcome::Failed, Some(Reason::ApiOther))
        };
        let mut journal = create(&path);
        journal.append(&written);
        journal.finish().unwrap();
        prop_assert_eq!(read(&path), [written]);
    }
}
