//! Which rows of earlier reports are sent again.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod support;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use model::{
    Decision, Euid, Origin, Outcome,
    Reason::{self, BadResponse, Credentials, Http5xx, Network, RateLimited, ServerError, Timeout},
};
use report::{
    Chosen, ContactsPolicy, Journal, JournalOptions, ReplayChoice, ReplayPlan, ReportError, Run, RunFile, SourceReport,
};
use support::decision;
use tempfile::TempDir;

const CURABLE: ReplayChoice =
    ReplayChoice { chosen: Chosen::Curable, include_superseded: false, max_age: Duration::from_hours(24) };
const HOUR: i64 = 3_600_000;
/// When the plans are made.
const NOW: i64 = 1_000 * HOUR;

/// A record: row, EUID, how many hours ago, what became of it.
fn record(row: u64, euid: u64, hours_ago: i64, outcome: Outcome, reason: Option<Reason>) -> Decision {
    Decision {
        origin: Origin { source: "a.csv".into(), row, line: row + 1 },
        euid: euid.to_string().into(),
        at_ms: NOW - hours_ago * HOUR,
        ..decision(row, outcome, reason)
    }
}

fn failed(row: u64, euid: u64, hours_ago: i64) -> Decision {
    record(row, euid, hours_ago, Outcome::Failed, Some(Reason::Timeout))
}

fn synced(row: u64, euid: u64, hours_ago: i64) -> Decision {
    record(row, euid, hours_ago, Outcome::Synced, None)
}

fn report(folder: &TempDir, name: &str, records: &[Decision]) -> PathBuf {
    let path = folder.path().join(name);
    let options = JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false };
    let mut journal = Journal::create(&path, options).unwrap();
    for record in records {
        journal.append(record);
    }
    journal.finish().unwrap();
    path
}

/// What a replay of these reports sends, as row and EUID in order, with the counts of superseded and expired rows.
fn planned(reports: &[&[Decision]], choice: &ReplayChoice) -> (Vec<(u64, u64)>, u64, u64) {
    let folder = tempfile::tempdir().unwrap();
    let names = ["1.ndjson", "2.csv.gz", "3.csv", "4.ndjson.zst"];
    let paths = reports.iter().zip(names).map(|(records, name)| report(&folder, name, records));
    let sources: Vec<SourceReport> = paths.map(|path| SourceReport::open(&path).unwrap()).collect();
    let plan = ReplayPlan::make(&sources, None, choice, NOW, |_| None).unwrap();
    let counts = (plan.superseded, plan.expired, plan.rows());
    let rows = rows(plan);
    assert_eq!(rows.len() as u64, counts.2);
    (rows, counts.0, counts.1)
}

/// How many rows a replay of these reports leaves alone because nobody could compare them.
fn not_compared(reports: &[&[Decision]], choice: &ReplayChoice) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let paths = reports.iter().zip(["1.ndjson", "2.csv"]).map(|(records, name)| report(&folder, name, records));
    let sources: Vec<SourceReport> = paths.map(|path| SourceReport::open(&path).unwrap()).collect();
    ReplayPlan::make(&sources, None, choice, NOW, |_| None).unwrap().not_compared
}

fn rows(plan: ReplayPlan) -> Vec<(u64, u64)> {
    plan.into_rows()
        .unwrap()
        .map(|record| {
            let record = record.unwrap();
            assert!(record.contacts.is_some());
            (record.origin.row, record.euid.parse().unwrap())
        })
        .collect()
}

#[test]
fn what_time_can_cure_is_sent_and_the_choice_may_be_another() {
    let all: Vec<Decision> =
        (1..).zip(Reason::ALL).map(|(row, reason)| record(row, row, 1, Outcome::Failed, Some(reason))).collect();
    let chosen = |chosen| -> Vec<Reason> {
        let (rows, ..) = planned(&[&all], &ReplayChoice { chosen, ..CURABLE });
        rows.iter().map(|(row, _)| Reason::ALL[*row as usize - 1]).collect()
    };
    let mut curable = chosen(Chosen::Curable);
    curable.sort_by_key(|reason| reason.as_str());
    assert_eq!(curable, [BadResponse, Credentials, Http5xx, Network, RateLimited, ServerError, Timeout]);
    assert_eq!(chosen(Chosen::All).len(), Reason::ALL.len());
    let these = Chosen::These { reasons: vec![Reason::Partial], codes: Vec::new() };
    assert_eq!(chosen(these), [Reason::Partial]);
    let these = Chosen::These { reasons: Vec::new(), codes: vec![-1] };
    assert_eq!(chosen(these).len(), Reason::ALL.len(), "all records of this test have the code -1");
}

#[test]
fn what_was_not_refused_or_given_up_is_never_sent() {
    let records = [
        synced(1, 1, 1),
        record(2, 2, 1, Outcome::Rejected, Some(Reason::ValueTooLong)),
        record(3, 3, 1, Outcome::Unchanged, None),
    ];
    let choice = ReplayChoice { chosen: Chosen::All, include_superseded: true, ..CURABLE };
    assert_eq!(planned(&[&records], &choice), (vec![], 0, 0));
}

fn different(row: u64, euid: u64, hours_ago: i64) -> Decision {
    record(row, euid, hours_ago, Outcome::Different, Some(Reason::ValueDiffers))
}

fn landed(row: u64, euid: u64, hours_ago: i64) -> Decision {
    record(row, euid, hours_ago, Outcome::Landed, None)
}

#[test]
fn of_a_verify_what_differs_is_sent_and_what_was_never_compared_is_not() {
    let verify = [
        landed(1, 1, 1),
        different(2, 2, 1),
        failed(3, 3, 1),
        record(4, 4, 1, Outcome::Superseded, None),
        record(5, 5, 1, Outcome::Rejected, Some(Reason::EuidEmpty)),
        record(6, 6, 1, Outcome::Different, Some(Reason::UserMissing)),
    ];
    let sent = |chosen| planned(&[&verify], &ReplayChoice { chosen, ..CURABLE }).0;
    assert_eq!(sent(Chosen::Curable), [(2, 2), (6, 6)]);
    assert_eq!(sent(Chosen::All), [(2, 2), (3, 3), (6, 6)]);
    let these = |reasons: &[Reason]| Chosen::These { reasons: reasons.to_vec(), codes: Vec::new() };
    assert_eq!(sent(these(&[Reason::UserMissing])), [(6, 6)]);
    assert_eq!(sent(these(&[Timeout, Reason::ValueDiffers])), [(2, 2), (3, 3)]);
    let choice = ReplayChoice { max_age: Duration::from_mins(30), ..CURABLE };
    assert_eq!(planned(&[&verify], &choice), (vec![], 0, 2));
    assert_eq!(not_compared(&[&verify], &CURABLE), 1);
    assert_eq!(not_compared(&[&verify], &ReplayChoice { chosen: Chosen::All, ..CURABLE }), 0, "it is sent");
    for later in [landed(3, 3, 0), different(3, 3, 0)] {
        assert_eq!(not_compared(&[&[later], &verify], &CURABLE), 0, "a later verify compared it");
    }
    assert_eq!(not_compared(&[&[failed(3, 3, 5)], &verify], &CURABLE), 0, "it failed in a push, and is sent");
}

#[test]
fn a_push_beside_its_verify_is_judged_by_what_was_found_there() {
    let push = [synced(1, 1, 5), failed(2, 2, 5), failed(3, 3, 5), failed(4, 4, 5), synced(5, 5, 5), synced(6, 5, 5)];
    // Of the fourth nothing is known; the fifth row answers for what the sixth leaves out.
    let verify = [different(1, 1, 2), landed(2, 2, 2), different(3, 3, 2), failed(4, 4, 2), different(5, 5, 2)];
    let rows = vec![(4, 4), (1, 1), (3, 3), (5, 5)];
    for order in [[&push[..], &verify], [&verify, &push]] {
        assert_eq!(planned(&order, &CURABLE), (rows.clone(), 0, 0));
    }
    // A later night has set what one of them would set, and what was sent again has landed.
    let later = [synced(9, 1, 1), synced(3, 3, 1)];
    assert_eq!(planned(&[&push, &verify, &later], &CURABLE), (vec![(4, 4), (5, 5)], 1, 0));
}

#[test]
fn the_later_record_of_a_row_counts_in_whatever_order_the_reports_come() {
    let (first, second) = ([failed(1, 1, 5), failed(2, 2, 5)], [synced(1, 1, 4), failed(2, 2, 4)]);
    assert_eq!(planned(&[&first, &second], &CURABLE), (vec![(2, 2)], 0, 0));
    assert_eq!(planned(&[&second, &first], &CURABLE), (vec![(2, 2)], 0, 0));
    // In one report that which stands further down, also after the clock was set back.
    assert_eq!(planned(&[&[failed(1, 1, 3), synced(1, 1, 4)]], &CURABLE), (vec![], 0, 0));
}

#[test]
fn nights_are_kept_apart() {
    // Row 1 is another user's tonight.
    let (monday, tuesday) = ([failed(1, 1, 20)], [synced(1, 2, 1), failed(2, 3, 1)]);
    assert_eq!(planned(&[&monday, &tuesday], &CURABLE), (vec![(1, 1), (2, 3)], 0, 0));
}

#[test]
fn an_old_value_is_not_written_over_a_new_one() {
    let superseded = [failed(1, 7, 5), synced(9, 7, 4)];
    assert_eq!(planned(&[&superseded], &CURABLE), (vec![], 1, 0));
    let included = ReplayChoice { include_superseded: true, ..CURABLE };
    assert_eq!(planned(&[&superseded], &included), (vec![(1, 7)], 0, 0));
    // Over nights, in whatever order the reports come; a row that failed after the accepted one is the newer.
    let (monday, tuesday) = ([failed(1, 7, 20), failed(2, 8, 20)], [synced(3, 7, 1), failed(1, 8, 1)]);
    assert_eq!(planned(&[&monday, &tuesday], &CURABLE), (vec![(2, 8), (1, 8)], 1, 0));
    assert_eq!(planned(&[&tuesday, &monday], &CURABLE), (vec![(2, 8), (1, 8)], 1, 0));
    assert_eq!(planned(&[&[synced(1, 7, 5), failed(9, 7, 4)]], &CURABLE), (vec![(9, 7)], 0, 0));
}

#[test]
fn rows_of_one_euid_go_in_the_order_in_which_they_were_decided() {
    let (monday, tuesday) = ([failed(9, 7, 20), failed(10, 8, 19)], [failed(1, 7, 2), failed(2, 8, 1)]);
    let expected = vec![(9, 7), (10, 8), (1, 7), (2, 8)];
    assert_eq!(planned(&[&tuesday, &monday], &CURABLE), (expected, 0, 0));
    // Two reports of one time: one has the rows between those of the other.
    let (first, second) = ([failed(1, 1, 9), failed(3, 1, 7)], [failed(2, 1, 8), failed(4, 1, 6)]);
    assert_eq!(planned(&[&second, &first], &CURABLE).0, [(1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[test]
fn what_was_decided_long_ago_is_left_alone() {
    let records = [failed(1, 1, 25), failed(2, 2, 24), failed(3, 3, -1)];
    assert_eq!(planned(&[&records], &CURABLE), (vec![(2, 2), (3, 3)], 0, 1));
    let patient = ReplayChoice { max_age: Duration::MAX, ..CURABLE };
    assert_eq!(planned(&[&records], &patient).0.len(), 3);
}

#[test]
fn a_replay_that_goes_on_sends_nothing_twice_and_its_own_rows_are_no_newer_for_being_sent() {
    let folder = tempfile::tempdir().unwrap();
    let night = report(&folder, "night.ndjson", &[failed(1, 7, 5), failed(2, 7, 4), failed(3, 8, 3), failed(4, 9, 3)]);
    let refused = record(4, 9, 0, Outcome::Failed, Some(Reason::HttpStatus));
    let own = report(&folder, "own.ndjson", &[synced(1, 7, 0), failed(3, 8, 0), refused]);
    let sources = [SourceReport::open(&night).unwrap()];
    let plan = ReplayPlan::make(&sources, Some(&SourceReport::open(&own).unwrap()), &CURABLE, NOW, |_| None).unwrap();
    assert_eq!((plan.superseded, rows(plan)), (0, vec![(2, 7), (4, 9)]));
}

#[test]
fn what_was_decided_before_its_user_was_set_is_left_alone() {
    const HOUR: i64 = 3_600_000;
    let folder = tempfile::tempdir().unwrap();
    let night = report(&folder, "night.ndjson", &[failed(1, 7, 5), failed(2, 7, 4), failed(3, 8, 3)]);
    let sources = [SourceReport::open(&night).unwrap()];
    let planned = |set_at: i64| {
        let set_at = |euid: Euid| (euid.get() == 7).then_some(set_at);
        let plan = ReplayPlan::make(&sources, None, &CURABLE, NOW, set_at).unwrap();
        (plan.expired, rows(plan))
    };
    assert_eq!(planned(NOW - 6 * HOUR), (0, vec![(1, 7), (2, 7), (3, 8)]));
    assert_eq!(planned(NOW - 9 * HOUR / 2), (1, vec![(2, 7), (3, 8)]));
    assert_eq!(planned(NOW), (2, vec![(3, 8)]));
}

#[test]
fn reports_without_contacts_and_reports_that_are_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("never.ndjson");
    let options = JournalOptions { force: false, contacts: ContactsPolicy::Never, ids: false };
    let mut journal = Journal::create(&path, options).unwrap();
    journal.append(&failed(1, 1, 1));
    assert!(matches!(SourceReport::open(&path).unwrap().hold(), Err(ReportError::BeingWritten(_))));
    journal.finish().unwrap();
    let sources = [SourceReport::open(&path).unwrap()];
    let plan = ReplayPlan::make(&sources, None, &CURABLE, NOW, |_| None);
    assert!(matches!(plan, Err(ReportError::WithoutContacts { record: 1, .. })));
}

#[test]
fn a_torn_end_is_named_and_what_is_whole_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = report(&folder, "r.ndjson", &[failed(1, 1, 1), failed(2, 2, 1)]);
    let size = std::fs::metadata(&path).unwrap().len();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size - 1).unwrap();
    let sources = [SourceReport::open(&path).unwrap()];
    let plan = ReplayPlan::make(&sources, None, &CURABLE, NOW, |_| None).unwrap();
    assert_eq!(plan.torn.len(), 1);
    assert_eq!(rows(plan), [(1, 1)]);
}

/// What was opened is what is read, also the third time: the plan, the digest and the rows are of one file.
#[test]
fn a_report_that_is_replaced_or_grows_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson.gz");
    let write = |path: &Path, rows: std::ops::RangeInclusive<u64>| {
        let options = JournalOptions { force: true, contacts: ContactsPolicy::Failed, ids: false };
        let mut journal = Journal::create(path, options).unwrap();
        rows.for_each(|row| journal.append(&decision(row, Outcome::Failed, Some(Reason::Timeout))));
        journal.finish().unwrap();
    };
    write(&path, 1..=3);
    let source = SourceReport::open(&path).unwrap();
    let (before, held) = (source.as_input().unwrap(), source.file_id().unwrap());
    let plan = ReplayPlan::make(std::slice::from_ref(&source), None, &CURABLE, NOW, |_| None).unwrap();
    write(&path, 7..=9);
    assert_eq!(source.as_input().unwrap(), before);
    let rows: Vec<u64> = plan.into_rows().unwrap().map(|row| row.unwrap().origin.row).collect();
    assert_eq!((rows, source.file_id().unwrap()), (vec![1, 2, 3], held));

    let mut grown = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
    let source = SourceReport::open(&path).unwrap();
    std::io::Write::write_all(&mut grown, &std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(source.records().unwrap().count(), 3, "what was there when it was opened");
}

#[test]
fn what_is_no_file_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    for (path, said) in [(folder.path(), "is a folder"), (Path::new("/dev/null"), "is a pipe or a device")] {
        let refused = SourceReport::open(path).unwrap_err();
        assert!(refused.to_string().contains(said) && refused.hint().is_some(), "{refused}");
    }
}

#[test]
fn an_older_row_that_was_sent_again_supersedes_no_newer_one_and_goes_before_it() {
    let wrong_path = |row| record(row, 7, 2, Outcome::Failed, Some(Reason::HttpStatus));
    // A resume sent the older row again, behind the record of the newer one.
    assert_eq!(planned(&[&[wrong_path(1), failed(5, 7, 2), synced(1, 7, 1)]], &CURABLE), (vec![(5, 7)], 0, 0));
    let all = ReplayChoice { chosen: Chosen::All, ..CURABLE };
    let failed_again = [wrong_path(1), failed(5, 7, 2), wrong_path(1)];
    assert_eq!(planned(&[&failed_again], &all), (vec![(1, 7), (5, 7)], 0, 0));
}

#[test]
fn a_row_that_an_earlier_replay_sent_keeps_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let push = report(&folder, "push.ndjson", &[failed(1, 7, 3), failed(5, 7, 3), failed(2, 8, 3), failed(6, 8, 3)]);
    let replay = report(&folder, "replay.ndjson", &[synced(1, 7, 1), failed(2, 8, 1)]);
    let sources = [&replay, &push].map(|path| SourceReport::open(path).unwrap());
    let run = Run {
        command: "replay".to_owned(),
        target: "sandbox".to_owned(),
        api_key: None,
        options: BTreeMap::new(),
        inputs: vec![sources[1].as_input().unwrap()],
        begun: None,
        comparison: None,
        finished: None,
        requests: report::Requests::default(),
    };
    RunFile::new(&replay, run).save().unwrap();
    let plan = ReplayPlan::make(&sources, None, &CURABLE, NOW, |_| None).unwrap();
    assert_eq!(plan.superseded, 0);
    assert_eq!(rows(plan), [(5, 7), (2, 8), (6, 8)]);
}
