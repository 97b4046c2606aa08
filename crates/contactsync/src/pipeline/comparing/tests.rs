use std::{collections::BTreeMap, fmt::Write as _, fs, io::Write as _, path::Path};

use model::{Answered, Decision, Origin, Outcome, RecordHead, Value};
use reader::{Input, ReaderOptions, open_all};
use report::{ContactsPolicy, Journal, JournalOptions, RunFile};

use super::*;

/// What a report says that decides these rows of a source, each of the EUID of its number.
fn decided(folder: &Path, source: &str, rows: impl IntoIterator<Item = u64>) -> Resumption {
    let path = folder.join("r.ndjson");
    let options = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false };
    let mut journal = Journal::create(&path, options).unwrap();
    for row in rows {
        journal.append(&Decision {
            origin: Origin { source: source.into(), row, line: row + 1 },
            euid: row.to_string().into(),
            id: None,
            outcome: Outcome::Synced,
            reason: None,
            answered: Answered::default(),
            attempts: 1,
            latency_ms: None,
            at_ms: 0,
            contacts: None,
            raw: None,
        });
    }
    journal.finish().unwrap();
    RunFile::new(&path, run(&[])).save().unwrap();
    Resumption::open(&path).unwrap().unwrap()
}

fn run(inputs: &[RunInput]) -> Run {
    let (command, target) = ("push".to_owned(), "sandbox".to_owned());
    Run {
        command,
        target,
        api_key: None,
        options: BTreeMap::new(),
        inputs: inputs.to_vec(),
        begun: None,
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    }
}

/// So many rows, each of the EUID of its number, and a run that has read them all.
fn input(path: &Path, rows: u64, pack: bool) -> (Vec<Input>, Run) {
    let mut text = "euid,email\n".to_owned();
    for row in 1..=rows {
        writeln!(text, "{row},{}@example.com", "x".repeat(200)).unwrap();
    }
    let mut bytes = text.into_bytes();
    if pack {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&bytes).unwrap();
        bytes = encoder.finish().unwrap();
    }
    fs::write(path, &bytes).unwrap();
    let source = path.display().to_string();
    let blake3 = blake3::hash(&bytes).to_hex().to_string();
    let marks = BTreeMap::from([(source.clone(), bytes.len() as u64)]);
    let inputs =
        open_all(&[path], &ReaderOptions { digest: true, marks: marks.into(), ..ReaderOptions::default() }).unwrap();
    (inputs, run(&[RunInput { source, bytes: bytes.len() as u64, blake3, ended: true, ..RunInput::default() }]))
}

fn rows(input: &mut Input) -> Vec<u64> {
    let (mut records, mut batch, mut rows) = (input.records().unwrap(), RecordBatch::default(), Vec::new());
    loop {
        let more = records.next_batch(&mut batch).unwrap();
        rows.extend(batch.iter().map(|record| record.row()));
        if !more {
            return rows;
        }
    }
}

#[test]
fn what_is_to_be_sent_of_a_file_is_kept_and_the_file_not_read_again() {
    for pack in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.csv");
        let (mut inputs, then) = input(&path, 3_000, pack);
        let resumption = decided(folder.path(), &path.display().to_string(), (1..=2_990).filter(|row| *row != 1_500));
        let choice = RowChoice::range(10, Some(2_985));
        let (passed, _) =
            compare_inputs(&mut inputs, &then, &resumption.decided, &choice, false, &mut |_, _| Ok(())).unwrap();
        let left_out = LeftOut { before: 10, behind: 5, ..LeftOut::default() };
        // Ten are skipped, 2,979 of those behind are decided, five lie behind the range.
        assert_eq!(passed, PassedOver { rows: 2_994, decided: 2_979, left_out });
        assert_eq!(rows(&mut inputs[0]), [1_500, 2_991, 2_992, 2_993, 2_994, 2_995]);
        assert_eq!(rows(&mut inputs[0]).len(), 3_000, "after that it is read as ever");
    }
}

#[test]
fn where_much_of_a_file_is_to_be_sent_it_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.csv");
    let (mut inputs, then) = input(&path, 40_000, false);
    let resumption = decided(folder.path(), &path.display().to_string(), [1, 40_000]);
    let choice = RowChoice::default();
    let (passed, _) =
        compare_inputs(&mut inputs, &then, &resumption.decided, &choice, false, &mut |_, _| Ok(())).unwrap();
    assert_eq!(passed, PassedOver::default());
    assert_eq!(rows(&mut inputs[0]).len(), 40_000);
}

#[test]
fn only_so_much_of_a_pipe_waits_in_memory() {
    let head = |row| RecordHead { row, line: row + 1, fault: None, euid: Value::Missing, fields: 0..0, raw: None };
    let batch = RecordBatch { records: (1..=10).map(head).collect(), source: "-".into(), ..RecordBatch::default() };
    let mut waiting = Held { batches: Vec::new(), bytes: MOST_HELD_BYTES - batch.bytes() };
    waiting.take(&batch, |_| true).unwrap();
    waiting.take(&batch, |_| false).unwrap();
    let refused = waiting.take(&batch, |row| row == 10).unwrap_err();
    assert!(refused.message.contains("more than 64 MiB") && refused.exit == crate::exit::Exit::Usage, "{refused:?}");
    assert!(refused.hint.is_some_and(|hint| hint.contains("--spool")));
}
