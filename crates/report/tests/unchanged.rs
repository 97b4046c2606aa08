//! Rows that were unchanged: beside the report, in it, or both.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{collections::BTreeMap, fs, path::Path};

use model::{Decision, Outcome, Reason};
use proptest::prelude::*;
use report::{
    ContactsPolicy, Finished, Journal, JournalOptions, ReportError, Resumption, RowSet, Run, RunFile, RunInput,
};
use support::decision;

const SOURCE: &str = "Kunden, alle.csv";

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Nothing,
    Synced,
    Failed,
    /// Failed, so that it is sent again.
    Stopped,
    /// Unchanged, in the report alone, beside it alone, or both.
    Recorded,
    Beside,
    Both,
    /// Failed so that it is sent again, and then it was unchanged.
    StoppedThenBeside,
}

use Fate::{Beside, Both, Failed, Nothing, Recorded, Stopped, StoppedThenBeside, Synced};

impl Fate {
    fn record(self, row: u64) -> Option<Decision> {
        match self {
            Nothing | Beside => None,
            Synced => Some(decision(row, Outcome::Synced, None)),
            Failed => Some(decision(row, Outcome::Failed, Some(Reason::Timeout))),
            Stopped | StoppedThenBeside => Some(decision(row, Outcome::Failed, Some(Reason::HttpStatus))),
            Recorded | Both => Some(decision(row, Outcome::Unchanged, None)),
        }
    }

    fn is_beside(self) -> bool {
        matches!(self, Beside | Both | StoppedThenBeside)
    }

    fn is_unchanged(self) -> bool {
        self.is_beside() || self == Recorded
    }

    fn is_decided(self) -> bool {
        !matches!(self, Nothing | Stopped)
    }
}

fn run(beside: impl IntoIterator<Item = u64>) -> Run {
    let mut unchanged = RowSet::default();
    for row in beside {
        unchanged.insert(row..row + 1);
    }
    Run {
        command: "push".to_owned(),
        target: "sandbox".to_owned(),
        api_key: None,
        options: BTreeMap::new(),
        inputs: vec![RunInput { source: SOURCE.to_owned(), unchanged, ..RunInput::default() }],
        begun: None,
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    }
}

/// A report of these rows, of which the records of the first so many are whole.
fn write(path: &Path, fates: &[(u64, Fate)], whole: usize) {
    let options = JournalOptions { force: true, contacts: ContactsPolicy::Failed, ids: false };
    let mut journal = Journal::create(path, options).unwrap();
    for record in fates[..whole].iter().filter_map(|(row, fate)| fate.record(*row)) {
        journal.append(&record);
    }
    journal.finish().unwrap();
    let beside = fates.iter().filter(|(_, fate)| fate.is_beside()).map(|(row, _)| *row);
    RunFile::new(path, run(beside)).save().unwrap();
}

fn fates() -> impl Strategy<Value = Vec<(u64, Fate)>> {
    let fate = prop_oneof![
        Just(Nothing),
        Just(Synced),
        Just(Failed),
        Just(Stopped),
        Just(Recorded),
        Just(Beside),
        Just(Both),
        Just(StoppedThenBeside)
    ];
    prop::collection::vec((1_u64..90, fate), 0..60).prop_map(|steps| {
        let mut row = 0;
        let next = |(step, fate)| {
            row += step;
            (row, fate)
        };
        steps.into_iter().map(next).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_row_is_decided_once_and_lost_records_never_make_one_unchanged(
        fates in fates(),
        whole in any::<prop::sample::Index>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.ndjson");
        let whole = if fates.is_empty() { 0 } else { whole.index(fates.len() + 1) };
        write(&path, &fates, whole);
        let lose = |(at, (row, fate)): (usize, &(u64, Fate))| match fate {
            _ if at < whole => (*row, *fate),
            Beside | Both | StoppedThenBeside => (*row, Beside),
            _ => (*row, Nothing),
        };
        let known: Vec<(u64, Fate)> = fates.iter().enumerate().map(lose).collect();
        let count = |is: &dyn Fn(Fate) -> bool| known.iter().filter(|(_, fate)| is(*fate)).count() as u64;
        let resumption = Resumption::open(&path).unwrap().unwrap();
        let decided = &resumption.decided;
        let unchanged = count(&Fate::is_unchanged);
        for (row, fate) in &known {
            prop_assert_eq!(decided.contains(SOURCE, *row), fate.is_decided(), "row {} {:?}", row, fate);
            prop_assert_eq!(decided.unchanged(SOURCE).contains(*row), fate.is_unchanged(), "row {} {:?}", row, fate);
        }
        prop_assert_eq!(decided.unchanged(SOURCE).len(), unchanged);
        prop_assert_eq!(decided.rows(), count(&Fate::is_decided));
        prop_assert_eq!(decided.rows_of(SOURCE), decided.rows());
        prop_assert_eq!(decided.tally().rows(Outcome::Unchanged), unchanged);
        prop_assert_eq!(decided.tally().rows(Outcome::Synced), count(&|fate| fate == Synced));
        prop_assert_eq!(decided.whole_tally().total(), count(&|fate| fate != Nothing));
        prop_assert_eq!(decided.last_row(SOURCE), known.iter().filter(|(_, fate)| *fate != Nothing).map(|(row, _)| *row).max());
        prop_assert_eq!(resumption.run.is_some(), count(&|fate| fate != Nothing) > 0);
        let mut euids = decided.compare_keys(false);
        let mut next = known.iter().peekable();
        for row in 1..=known.last().map_or(0, |(row, _)| *row) {
            let fate = next.next_if(|(at, _)| *at == row).map_or(Nothing, |(_, fate)| *fate);
            // Of a row that has no record nobody knows the EUID.
            let euid = if fate.record(row).is_some() { row.to_string() } else { "x".to_owned() };
            prop_assert_eq!(euids.see(SOURCE, row, &euid).unwrap(), fate.is_decided());
        }
        euids.finish().unwrap();
        let (journal, decided) = resumption.into_journal(ContactsPolicy::Failed).unwrap();
        prop_assert_eq!(journal.tally().total(), decided.rows());
    }
}

#[test]
fn a_night_without_a_record_is_resumed_as_the_run_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    write(&path, &[(1, Beside), (2, Beside)], 2);
    let resumption = Resumption::open(&path).unwrap().unwrap();
    assert_eq!((resumption.decided.rows(), resumption.run.map(|run| run.inputs.len())), (2, Some(1)));
}

#[test]
fn a_set_that_was_damaged_is_refused_and_one_that_is_not_there_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    write(&path, &[(1, Synced), (2, Beside), (3, Beside)], 3);
    let beside = RunFile::path_of(&path);
    let text = fs::read_to_string(&beside).unwrap();
    let (before, behind) = text.split_once("\"unchanged\":\"").unwrap();
    let (set, rest) = behind.split_once('"').unwrap();
    for at in 0..set.len() {
        let letter = if &set[at..=at] == "B" { "C" } else { "B" };
        let other = format!("{before}\"unchanged\":\"{}{letter}{}\"{rest}", &set[..at], &set[at + 1..]);
        fs::write(&beside, other).unwrap();
        assert!(matches!(Resumption::open(&path), Err(ReportError::ForeignRun(_))), "letter {at}");
    }
    for other in ["\"\"", "7", "null", "[1,2]", "\"AA==\"", "\"not base64\""] {
        fs::write(&beside, format!("{before}\"unchanged\":{other}{rest}")).unwrap();
        assert!(matches!(Resumption::open(&path), Err(ReportError::ForeignRun(_))), "{other}");
    }
    fs::write(&beside, format!("{}{rest}", before.trim_end_matches(','))).unwrap();
    assert_eq!(Resumption::open(&path).unwrap().unwrap().decided.rows(), 1);
}

#[test]
fn a_large_set_is_saved_and_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let mut all = run([]);
    let mut random = 7_u64;
    for row in 1..=3_000_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if random >> 63 == 0 {
            all.inputs[0].unchanged.insert(row..row + 1);
        }
    }
    all.finished = Some(Finished { at: "2026-01-31T09:08:07.006Z".to_owned(), rows: 1, vanished: None });
    let rows = all.inputs[0].unchanged.len();
    RunFile::new(&path, all).save().unwrap();
    let bytes = fs::metadata(RunFile::path_of(&path)).unwrap().len();
    assert!(bytes > 400_000 && bytes < 600_000, "{bytes}");
    assert_eq!(RunFile::read(&path).unwrap().unwrap().inputs[0].unchanged.len(), rows);
}
