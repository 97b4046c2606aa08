use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use model::{Answered, Decision, Origin, Outcome, Reason};
use report::{
    Chosen, ContactsPolicy, Decided, ReadError, ReplayChoice, ReplayPlan, ReportReader, Resumption, Run, RunFile,
    SourceReport, Tally,
};
use tempfile::TempDir;

/// Names that the first byte chooses from; the text of the last four is packed here, in pieces.
const NAMES: [&str; 10] = [
    "r.ndjson",
    "r.csv",
    "r.ndjson.gz",
    "r.csv.gz",
    "r.ndjson.zst",
    "r.csv.zst",
    "packed.ndjson.gz",
    "packed.csv.gz",
    "packed.ndjson.zst",
    "packed.csv.zst",
];
const FIRST_PACKED: usize = 6;

thread_local! {
    static FOLDER: TempDir = folder();
}

/// A report: the first byte chooses its name. Of one that is packed here the next three say how, and what is lost.
pub fn report(data: &[u8]) {
    is_resumed(data);
}

/// The same; whether a run could go on with it as it stands in the data.
pub fn is_resumed(data: &[u8]) -> bool {
    let &[kind, ref rest @ ..] = data else { return false };
    let kind = usize::from(kind) % NAMES.len();
    let path = FOLDER.with(|folder| folder.path().join(NAMES[kind]));
    if kind < FIRST_PACKED {
        check(&path, rest)
    } else if let &[lines, cut, damage, ref text @ ..] = rest {
        check_packed(&path, text, usize::from(lines), usize::from(cut), damage)
    } else {
        false
    }
}

/// What reading gave: records, and what kept from reading on.
struct Reading {
    records: Vec<Decision>,
    error: Option<ReadError>,
    whole_bytes: u64,
}

/// Whether it was resumed.
fn check(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).expect("a file of our own");
    let Reading { mut records, error, whole_bytes } = read(path);
    replayed(path, &records);
    assert!(whole_bytes <= bytes.len() as u64, "{whole_bytes} bytes are whole of {}", bytes.len());
    let is_torn = matches!(error, Some(ReadError::Torn { .. }));
    if is_torn {
        fs::write(path, &bytes[..whole_bytes as usize]).expect("a file of our own");
        let cut = read(path);
        assert!(cut.error.is_none(), "cut to {whole_bytes} bytes: {:?}", cut.error);
        // What stood in the torn piece of a compressed report is lost with it.
        assert!(records.starts_with(&cut.records), "cut to {whole_bytes} bytes");
        assert!(is_compressed(bytes) || cut.records.len() == records.len(), "cut to {whole_bytes} bytes");
        records.truncate(cut.records.len());
        fs::write(path, bytes).expect("a file of our own");
    }
    let Ok(resumption) = Resumption::open(path) else {
        assert_eq!(fs::read(path).expect("it is there"), bytes, "refused and changed");
        return false;
    };
    let opened = resumption.expect("it is there");
    assert!(error.is_none() || is_torn, "resumed over {error:?}");
    assert_eq!(fs::read(path).expect("it is there"), bytes, "changed before it is written on");
    let (mut journal, decided) = opened.into_journal(ContactsPolicy::Failed).expect("memory takes everything");
    let written = decided.whole_tally().total();
    assert!(written <= records.len() as u64, "{written} rows from {} records", records.len());
    assert_eq!(journal.tally().total(), decided.rows());
    for Origin { source, row, .. } in records.iter().map(|record| &record.origin) {
        assert!(decided.last_row(source).is_some_and(|last| last >= *row), "row {row} of {source:?} is lost");
    }
    decides(&decided, &records);
    assert!(read(path).is(&records), "resumed");
    let resumed = fs::read(path).expect("it is there");

    records.push(further());
    journal.append(&further());
    journal.finish().expect("memory takes everything");
    assert!(read(path).is(&records), "written on after a resume");

    fs::write(path, &resumed).expect("a file of our own");
    let again = Resumption::open(path).expect("it was resumed before").expect("it is there");
    assert_eq!(again.torn_bytes(), 0);
    let (journal, decided_again) = again.into_journal(ContactsPolicy::Failed).expect("memory takes everything");
    drop(journal);
    assert_eq!(fs::read(path).expect("it is there"), resumed, "resumed twice");
    assert_eq!((decided.rows(), decided.superseded()), (decided_again.rows(), decided_again.superseded()));
    true
}

/// A resume, which skims what it can, must find decided what the records say that were read whole.
fn decides(decided: &Decided, records: &[Decision]) {
    let mut last: HashMap<(&str, u64, &str), &Decision> = HashMap::new();
    for record in records {
        last.insert((&record.origin.source, record.origin.row, keyed_by(record)), record);
    }
    let mut tally = Tally::default();
    let mut rows: HashMap<(&str, u64), bool> = HashMap::new();
    for ((source, row, _), record) in last {
        tally.add(record);
        let again = record.outcome == Outcome::Failed
            && matches!(record.reason, Some(Reason::Credentials | Reason::HttpStatus));
        *rows.entry((source, row)).or_default() |= !again;
    }
    // One that is sent again may be superseded.
    assert!(rows.iter().all(|((source, row), is_decided)| !is_decided || decided.contains(source, *row)));
    for (source, row) in rows.keys() {
        for beside in [row.wrapping_sub(1), row.wrapping_add(1), row ^ 64] {
            assert!(rows.contains_key(&(source, beside)) || !decided.contains(source, beside), "row {beside}");
        }
    }
    let found = decided.whole_tally();
    assert_eq!((&found.reasons, &found.codes), (&tally.reasons, &tally.codes));
    assert_eq!((found.attempts, found.retries), (tally.attempts, tally.retries));
    assert!(Outcome::ALL.iter().all(|outcome| found.rows(*outcome) == tally.rows(*outcome)));
}

/// What tells a row from others of its number: the id, where it has one, else the EUID.
fn keyed_by(record: &Decision) -> &str {
    record.id.as_deref().filter(|id| !id.is_empty()).unwrap_or(&record.euid)
}

/// What a replay takes from where it skimmed it must be failed records, each of them once.
fn replayed(path: &Path, records: &[Decision]) {
    let choice = ReplayChoice { chosen: Chosen::All, include_superseded: true, max_age: Duration::MAX };
    let source = SourceReport::open(path).expect("it is there");
    let Ok(plan) = ReplayPlan::make(&[source], None, &choice, 0, |_| None) else { return };
    let planned = plan.rows();
    let rows: Vec<Decision> =
        plan.into_rows().and_then(Iterator::collect).expect("what was read before can be read again");
    assert_eq!(rows.len() as u64, planned);
    let mut seen = HashSet::new();
    for row in &rows {
        assert!(row.outcome == Outcome::Failed && row.contacts.is_some() && records.contains(row));
        assert!(seen.insert((&row.origin.source, row.origin.row, keyed_by(row))), "sent twice");
    }
    let failed = |record: &&Decision| record.outcome == Outcome::Failed;
    let key = |record: &Decision| (Arc::clone(&record.origin.source), record.origin.row, keyed_by(record).to_owned());
    let wanted: HashSet<_> = records.iter().filter(failed).map(key).collect();
    assert!(rows.iter().all(|row| wanted.contains(&key(row))));
}

/// A report as a run writes it, a piece at each sync, of which the end is then missing, zero or something else.
fn check_packed(path: &Path, text: &[u8], lines: usize, cut: usize, damage: u8) -> bool {
    let mut packed = Vec::new();
    // Where each piece ends, in the text and in the file.
    let mut ends = vec![(0, 0)];
    let mut end = 0;
    let breaks: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    for piece in breaks.chunks(1 + lines % 8) {
        let piece = piece.concat();
        end += piece.len();
        pack(path, &piece, &mut packed);
        ends.push((end, packed.len()));
    }
    packed.truncate(packed.len() - cut.min(packed.len()));
    let place = packed.len() * usize::from(damage & 0x7f) / 128;
    match damage {
        0 => {}
        1..0x80 => packed[place..].fill(0),
        _ => packed[place..].iter_mut().take(1).for_each(|byte| *byte ^= 0x55),
    }
    let sound = if damage == 0 { packed.len() } else { place };
    let is_resumed = check(path, &packed);
    // Only where the text itself has no fault is the rest certain.
    let plain = path.with_extension("");
    fs::write(&plain, text).expect("a file of our own");
    let expected = read(&plain);
    let kept = ends.iter().rev().find(|(_, end)| *end <= sound).map_or(0, |(end, _)| *end);
    fs::write(&plain, &text[..kept]).expect("a file of our own");
    let safe = read(&plain);
    let is_csv = path.to_string_lossy().contains(".csv.");
    let is_named_rightly = text.first() == Some(if is_csv { &b's' } else { &b'{' });
    if !is_named_rightly || expected.error.is_some() || safe.error.is_some() || damage >= 0x80 {
        return is_resumed;
    }
    fs::write(path, &packed).expect("a file of our own");
    let resumption = Resumption::open(path).expect("a report that lost its end").expect("it is there");
    resumption.into_journal(ContactsPolicy::Failed).expect("memory takes everything");
    let found = read(path);
    assert!(found.records.starts_with(&safe.records), "of {} records in whole pieces", safe.records.len());
    assert!(expected.records.starts_with(&found.records), "records from nowhere");
    is_resumed
}

fn pack(path: &Path, piece: &[u8], packed: &mut Vec<u8>) {
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut encoder = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
        encoder.write_all(piece).and_then(|()| encoder.finish()).expect("memory takes everything");
    } else {
        let mut encoder = zstd::Encoder::new(packed, 1).expect("a level there is");
        encoder.include_checksum(true).and_then(|()| encoder.write_all(piece)).expect("memory takes everything");
        encoder.finish().expect("memory takes everything");
    }
}

fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f]) || bytes.starts_with(&[0x28])
}

impl Reading {
    fn is(&self, records: &[Decision]) -> bool {
        self.error.is_none() && self.records == records
    }
}

fn read(path: &Path) -> Reading {
    let mut report = ReportReader::open(path).expect("it can be read");
    let (mut records, mut error) = (Vec::new(), None);
    for record in &mut report {
        match record {
            Ok(record) => records.push(record),
            Err(fault) => error = Some(fault),
        }
    }
    assert!(report.next().is_none(), "the end is the end");
    let whole_bytes = match &error {
        Some(ReadError::Read { .. }) => panic!("{error:?}"),
        Some(ReadError::Torn { whole_bytes, .. }) => *whole_bytes,
        _ => report.whole_bytes(),
    };
    Reading { records, error, whole_bytes }
}

/// A record to be written behind others.
fn further() -> Decision {
    Decision {
        origin: Origin { source: Arc::from("further, \"in\""), row: u64::MAX, line: 7 },
        euid: "7".into(),
        id: None,
        outcome: Outcome::Synced,
        reason: None,
        answered: Answered { code: Some(0), message: Some("success".to_owned()), http_status: Some(200) },
        attempts: 1,
        latency_ms: Some(3),
        at_ms: 1_769_850_487_006,
        contacts: None,
        raw: None,
    }
}

/// A folder with what must lie beside a report; in memory where that is at hand, since each report is synced.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    let folder = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).expect("a folder for temporary files");
    for name in NAMES {
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
        RunFile::new(&folder.path().join(name), run).save().expect("a folder of our own");
    }
    folder
}
