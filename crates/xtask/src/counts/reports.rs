//! Reading a report again, counted.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, ensure};
use model::{Answered, Contacts, Decision, Origin, Outcome, Reason};
use report::{
    Chosen, ContactsPolicy, Journal, JournalOptions, ReplayChoice, ReplayPlan, ReportReader, Resumption, Run, RunFile,
    SourceReport,
};

use crate::generate::FIRST_EUID;

/// Records of the report, which is read over and over.
const RECORDS: u64 = 2_500;
const AT_MS: i64 = 1_769_850_487_006;

/// Every record becomes a decision.
pub(super) fn read(rows: u64) -> anyhow::Result<()> {
    over("read", rows, |path| Ok(ReportReader::open(path)?.flatten().count() as u64))
}

/// What is decided is found out for a resume.
pub(super) fn resume(rows: u64) -> anyhow::Result<()> {
    over("resume", rows, |path| Ok(Resumption::open(path)?.context("a report")?.decided.rows()))
}

/// The only record that failed is found, and whether it is to be sent again.
pub(super) fn replay(rows: u64) -> anyhow::Result<()> {
    let choice = ReplayChoice { chosen: Chosen::Curable, include_superseded: false, max_age: Duration::MAX };
    over("replay", rows, |path| {
        let plan = ReplayPlan::make(&[SourceReport::open(path)?], None, &choice, AT_MS, |_| None)?;
        Ok(plan.rows() * RECORDS)
    })
}

fn over(step: &str, rows: u64, look: impl Fn(&Path) -> anyhow::Result<u64>) -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("contactsync-{step}-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let looked = written(&folder).and_then(|path| {
        for _ in 0..rows / RECORDS {
            let seen = look(&path)?;
            ensure!(seen == RECORDS, "{seen} records were seen and not {RECORDS}");
        }
        Ok(())
    });
    fs::remove_dir_all(&folder)?;
    looked
}

fn written(folder: &Path) -> anyhow::Result<PathBuf> {
    let path = folder.join("r.ndjson");
    let mut journal =
        Journal::create(&path, JournalOptions { force: false, contacts: ContactsPolicy::Failed, ids: false })?;
    for row in 1..=RECORDS {
        let fails = row == RECORDS / 2;
        let mut contacts = Contacts::default();
        contacts.push("email".into(), "chloe.123456@example.com");
        journal.append(&Decision {
            origin: Origin { source: "contacts.csv".into(), row, line: row + 1 },
            euid: (FIRST_EUID + row).to_string().into(),
            id: None,
            outcome: if fails { Outcome::Failed } else { Outcome::Synced },
            reason: fails.then_some(Reason::Timeout),
            answered: Answered {
                code: (!fails).then_some(0),
                message: (!fails).then(|| "success".to_owned()),
                http_status: (!fails).then_some(200),
            },
            attempts: 1,
            latency_ms: Some(20 + row % 90),
            at_ms: AT_MS + row as i64,
            contacts: Some(contacts),
            raw: None,
        });
    }
    journal.finish()?;
    let (command, target, options) = ("push".to_owned(), "sandbox".to_owned(), BTreeMap::new());
    RunFile::new(
        &path,
        Run {
            command,
            target,
            api_key: None,
            options,
            inputs: Vec::new(),
            begun: None,
            comparison: None,
            finished: None,
            requests: report::Requests::default(),
        },
    )
    .save()?;
    Ok(path)
}
