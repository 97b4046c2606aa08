//! Reports of runs whose rows are keyed by ids of the organisation's own.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{Decision, Origin, Outcome, Reason};
use report::{
    Chosen, ContactsPolicy, Journal, JournalOptions, ReplayChoice, ReplayPlan, ReportError, ReportReader, Resumption,
    Run, RunFile, SourceReport,
};
use support::decision;
use tempfile::TempDir;

const NAMES: [&str; 4] = ["r.ndjson", "r.csv", "r.ndjson.zst", "r.csv.gz"];
const OPTIONS: JournalOptions = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: true };
const SOURCE: &str = "a, \"b\".csv";

/// A record of a row, its EUID (none: `""`) and its id.
fn record(row: u64, euid: &str, id: &str, outcome: Outcome, reason: Option<Reason>) -> Decision {
    Decision {
        origin: Origin { source: SOURCE.into(), row, line: row + 1 },
        euid: euid.into(),
        id: Some(id.into()),
        ..decision(row, outcome, reason)
    }
}

fn failed(row: u64, euid: &str, id: &str, reason: Reason) -> Decision {
    record(row, euid, id, Outcome::Failed, Some(reason))
}

fn synced(row: u64, euid: &str, id: &str) -> Decision {
    record(row, euid, id, Outcome::Synced, None)
}

fn report(folder: &TempDir, name: &str, records: &[Decision]) -> PathBuf {
    let path = folder.path().join(name);
    let mut journal = Journal::create(&path, OPTIONS).unwrap();
    for record in records {
        journal.append(record);
    }
    journal.finish().unwrap();
    let run = Run {
        command: "push".to_owned(),
        target: "sandbox".to_owned(),
        api_key: None,
        options: BTreeMap::new(),
        inputs: Vec::new(),
        begun: None,
        comparison: None,
        requests: report::Requests::default(),
        finished: None,
    };
    RunFile::new(&path, run).save().unwrap();
    path
}

fn read(path: &Path) -> Vec<Decision> {
    ReportReader::open(path).unwrap().map(Result::unwrap).collect()
}

#[test]
fn what_is_written_with_ids_is_read_with_them_also_where_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let ids = ["crm-1", "", "a \"b\", \n c", "Zoë", "=1+1", "\u{7f}"];
    let records: Vec<Decision> = (1..).zip(ids).map(|(row, id)| failed(row, "", id, Reason::Network)).collect();
    for name in NAMES {
        let path = report(&folder, name, &records[..3]);
        // Who goes on says nothing of ids: the header of CSV does.
        let options = JournalOptions { ids: !name.contains("csv"), ..OPTIONS };
        let (mut journal, _) = Resumption::open(&path).unwrap().unwrap().into_journal(options).unwrap();
        for record in &records[3..] {
            journal.append(record);
        }
        journal.finish().unwrap();
        assert_eq!(read(&path), records, "{name}");
    }
    // A report without ids is as it ever was, whatever the decisions hold.
    let path = folder.path().join("plain.csv");
    let mut journal = Journal::create(&path, JournalOptions { ids: false, ..OPTIONS }).unwrap();
    journal.append(&records[0]);
    journal.finish().unwrap();
    assert_eq!(read(&path), [Decision { id: None, ..records[0].clone() }]);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("crm-1"));
}

#[test]
fn a_resume_compares_ids_and_not_euids() {
    let folder = tempfile::tempdir().unwrap();
    let records = [
        synced(1, "7", "crm-1"),
        failed(2, "", "crm-2", Reason::IdUnknown),
        record(3, "", "", Outcome::Rejected, Some(Reason::IdInvalid)),
        synced(200, "9", "crm-200"),
    ];
    for name in NAMES {
        let path = report(&folder, name, &records);
        let resumed = Resumption::open(&path).unwrap().unwrap();
        let compared = |ids: [&str; 4]| {
            let mut keys = resumed.decided.compare_keys(true);
            for (row, id) in [1, 2, 3, 200].into_iter().zip(ids) {
                assert!(keys.see(SOURCE, row, id)?, "decided");
            }
            keys.finish()
        };
        compared(["crm-1", "crm-2", "whatever", "crm-200"]).unwrap();
        for (ids, other) in [
            (["crm-2", "crm-1", "", "crm-200"], 1),
            (["crm-1", "CRM-2", "", "crm-200"], 2),
            (["7", "crm-2", "", "crm-200"], 1),
            (["crm-1", "crm-2", "", ""], 200),
        ] {
            let found = compared(ids);
            assert!(
                matches!(found, Err(ReportError::OtherId { row, .. }) if row == other),
                "{name} {ids:?}: {found:?}"
            );
            assert!(!found.unwrap_err().to_string().contains("crm"), "an id is shown to nobody");
        }
        assert!(matches!(resumed.decided.compare_keys(true).finish(), Err(ReportError::MissingRow { .. })));
    }
}

/// Rows are of one user by the id, by the EUID, or by both.
#[test]
fn a_row_that_would_be_sent_again_gives_way_to_a_later_one_of_its_user() {
    let again = Reason::Credentials;
    for (row, later, gives_way) in [
        (failed(1, "", "x", again), synced(2, "5", "x"), true),
        (failed(1, "5", "x", again), synced(2, "5", "y"), true),
        (failed(1, "5", "x", again), synced(2, "6", "x"), true),
        (failed(1, "5", "x", again), record(2, "5", "x", Outcome::Unchanged, None), true),
        (failed(1, "", "x", again), synced(2, "5", "y"), false),
        (failed(1, "5", "x", again), synced(2, "6", "y"), false),
        (failed(1, "", "5", again), synced(2, "5", "y"), false),
        (failed(1, "5", "x", again), failed(2, "5", "x", Reason::Timeout), false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        for name in NAMES {
            let path = report(&folder, name, &[row.clone(), later.clone()]);
            let resumed = Resumption::open(&path).unwrap().unwrap();
            let decided = &resumed.decided;
            assert_eq!(decided.contains(SOURCE, 1), gives_way, "{row:?} {later:?}");
            assert_eq!((decided.superseded(), decided.rows()), (u64::from(gives_way), 1 + u64::from(gives_way)));
            assert_eq!(decided.whole_tally().total(), 2);
            // One that stands further up is no later one.
            let path = report(&folder, &format!("up.{name}"), &[later.clone(), row.clone()]);
            let resumed = Resumption::open(&path).unwrap().unwrap();
            assert!(!resumed.decided.contains(SOURCE, 1) && resumed.decided.superseded() == 0);
        }
    }
}

/// What a replay of these reports sends, as row and id in order, and how many of them have no EUID and are superseded.
fn planned(reports: &[&[Decision]], chosen: Chosen) -> (Vec<(u64, String)>, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let paths =
        reports.iter().zip(NAMES).map(|(records, name)| report(&folder, &format!("{}-{name}", records.len()), records));
    let sources: Vec<SourceReport> = paths.map(|path| SourceReport::open(&path).unwrap()).collect();
    let choice = ReplayChoice { chosen, include_superseded: false, max_age: Duration::from_hours(24) };
    let plan = ReplayPlan::make(&sources, None, &choice, 1_769_850_487_006, |_| None).unwrap();
    assert!(plan.has_ids);
    let counts = (plan.without_euid, plan.superseded);
    let rows = plan.into_rows().unwrap().map(Result::unwrap);
    (rows.map(|row| (row.origin.row, row.id.unwrap().to_string())).collect(), counts.0, counts.1)
}

#[test]
fn a_replay_knows_rows_and_users_by_their_ids() {
    let row = |row: u64, id: &str| (row, id.to_owned());
    let timeout = Reason::Timeout;
    // What was decided twice is known by its id, whether there was an EUID already or not.
    let first = [failed(1, "", "x", Reason::Network), failed(2, "8", "y", timeout)];
    assert_eq!(planned(&[&first], Chosen::Curable), (vec![row(1, "x"), row(2, "y")], 1, 0));
    assert_eq!(planned(&[&first, &[synced(1, "7", "x")]], Chosen::Curable), (vec![row(2, "y")], 0, 0));
    let later = [failed(1, "7", "x", timeout)];
    assert_eq!(planned(&[&first[..1], &later], Chosen::Curable), (vec![row(1, "x")], 0, 0));
    // Another export under the same name: another row.
    assert_eq!(planned(&[&first[..1], &[synced(1, "7", "z")]], Chosen::Curable), (vec![row(1, "x")], 1, 0));
    // A later row of its user, by id or by EUID.
    assert_eq!(planned(&[&[failed(1, "", "x", timeout), synced(2, "7", "x")]], Chosen::Curable), (vec![], 0, 1));
    assert_eq!(planned(&[&[failed(1, "7", "x", timeout), synced(2, "7", "y")]], Chosen::Curable), (vec![], 0, 1));
    assert_eq!(planned(&[&[failed(1, "7", "x", timeout), synced(2, "9", "x")]], Chosen::Curable), (vec![], 0, 1));
    // An id that looks like another one's EUID is none.
    assert_eq!(
        planned(&[&[failed(1, "", "7", timeout), synced(2, "7", "y")]], Chosen::Curable),
        (vec![row(1, "7")], 1, 0)
    );
    let unknown = Chosen::These { reasons: vec![Reason::IdUnknown], codes: Vec::new() };
    let both = [failed(1, "", "x", Reason::IdUnknown), failed(2, "8", "y", timeout)];
    assert_eq!(planned(&[&both], unknown), (vec![row(1, "x")], 1, 0));
}
