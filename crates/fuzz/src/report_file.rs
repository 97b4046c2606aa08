use std::{cell::OnceCell, collections::BTreeMap, fs, path::Path};

use model::Decision;
use report::{ContactsPolicy, ReadError, ReportReader, Resumption, Run, RunFile};
use tempfile::TempDir;

/// Names that the first byte chooses from: how a report of that name would be written.
const NAMES: [&str; 6] = ["r.ndjson", "r.csv", "r.ndjson.gz", "r.csv.gz", "r.ndjson.zst", "r.csv.zst"];

thread_local! {
    static FOLDER: OnceCell<TempDir> = const { OnceCell::new() };
}

/// A report: the first byte chooses its name.
#[expect(clippy::missing_panics_doc, reason = "that is what it is for")]
pub fn report(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    FOLDER.with(|folder| {
        let folder = folder.get_or_init(|| tempfile::tempdir().expect("a temporary folder"));
        let path = folder.path().join(NAMES[usize::from(*choice) % NAMES.len()]);
        fs::write(&path, data).expect("a place to write");
        begin_run(&path);
        look(&path, data);
    });
}

fn look(path: &Path, data: &[u8]) {
    let (read, error) = read(path);
    if let Some(ReadError::Torn { whole_bytes, .. }) = &error {
        assert!(*whole_bytes <= data.len() as u64);
        fs::write(path, &data[..*whole_bytes as usize]).expect("a place to write");
        let (cut, error) = self::read(path);
        assert!(error.is_none(), "what is whole is not: {error:?}");
        assert!(read.starts_with(&cut), "records changed by cutting the file");
        fs::write(path, data).expect("a place to write");
    }
    let resumed = Resumption::open(path).map(|resumption| resumption.expect("it is there"));
    let Ok(resumption) = resumed else {
        assert_eq!(fs::read(path).expect("it is there"), data, "what can't be resumed is left as it is");
        return;
    };
    let Ok((journal, decided)) = resumption.into_journal(ContactsPolicy::Failed) else { return };
    let rows = decided.rows();
    journal.finish().expect("a place to write");
    let (whole, error) = self::read(path);
    assert!(error.is_none() && whole.len() as u64 >= rows, "{error:?}");
    let again = Resumption::open(path).expect("it was resumed before").expect("it is there");
    assert_eq!((again.torn_bytes(), again.decided.rows()), (0, rows), "resuming twice changes nothing");
}

fn read(path: &Path) -> (Vec<Decision>, Option<ReadError>) {
    let (mut records, mut fault) = (Vec::new(), None);
    match ReportReader::open(path) {
        Ok(reader) => {
            for record in reader {
                match record {
                    Ok(record) => records.push(record),
                    Err(error) => fault = Some(error),
                }
            }
        }
        Err(error) => fault = Some(error),
    }
    (records, fault)
}

fn begin_run(path: &Path) {
    if RunFile::path_of(path).exists() {
        return;
    }
    let run = Run {
        command: "push".to_owned(),
        target: "sandbox".to_owned(),
        api_key: None,
        options: BTreeMap::new(),
        inputs: Vec::new(),
        finished: None,
    };
    RunFile::new(path, run).save().expect("a place to write");
}
