//! The file beside a report that says what its run is about, so that a resume can tell whether it is the same.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use model::Shard;
use serde::{Deserialize, Serialize};

use crate::{comparison::Comparison, error::ReportError, file::replace_through, row_set::RowSet};

/// What is written today; a later version may know others.
const FORMAT: u32 = 1;
/// Longer than any; what is longer is something else. A bit for each of 1.5 thousand million rows has room.
const LONGEST: u64 = 256 << 20;

/// So many inputs are named where they differ.
const MOST_NAMED: usize = 20;

/// What decides which rows a run sends, where to, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// `push`, `replay` or `verify`.
    pub command: String,
    /// The base URL, or `sandbox`.
    pub target: String,
    /// Fingerprint of the API key under which a row was accepted; none before that.
    pub api_key: Option<String>,
    /// The options that decide what is sent, as they were given.
    pub options: BTreeMap<String, String>,
    /// When its first try began, as RFC 3339 UTC time.
    #[serde(default)]
    pub begun: Option<String>,
    /// The inputs in their order.
    pub inputs: Vec<RunInput>,
    /// What the comparison of its rows came to, where they are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Requests that no row tells of.
    #[serde(default, skip_serializing_if = "Requests::is_none")]
    pub requests: Requests,
    /// How it ended, where it came to its end.
    pub finished: Option<Finished>,
}

/// Requests that many rows share.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requests {
    /// Those that read users.
    pub profile: u64,
    /// Those that obtain EUIDs.
    pub register: u64,
    /// Of a verify: those of its reads that were attempts after the first.
    pub retries: u64,
}

impl Requests {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// How far an input was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// As given.
    pub source: String,
    /// Bytes read, as they lie in the file. No row behind them is decided.
    pub bytes: u64,
    /// BLAKE3 of these bytes, in hexadecimal digits; empty where none were read.
    pub blake3: String,
    /// Whether they are the whole input.
    pub ended: bool,
    /// Rows that equal what the service holds: decided, whether they have a record or not. None lies behind those bytes.
    #[serde(default, skip_serializing_if = "RowSet::is_empty")]
    pub unchanged: RowSet,
}

/// The end of a finished run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// When, as RFC 3339 UTC time.
    pub at: String,
    /// How many rows its report decides.
    pub rows: u64,
    /// Users that the state knew and no row had, where that was known.
    #[serde(default)]
    pub vanished: Option<u64>,
}

impl Run {
    /// The shard whose rows it takes; none where it takes all.
    pub fn shard(&self) -> Option<Shard> {
        self.options.get("--shard")?.parse().ok()
    }

    /// What differs between this run, which was begun, and one that is to go on with it; empty where nothing does.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut all = Vec::new();
        let mut compare = |what: &str, then: &str, now: &str| {
            if then != now {
                let [then, now] = [then, now].map(|text| if text.is_empty() { "not given" } else { text });
                all.push(format!("{what}: then {then}, now {now}"));
            }
        };
        compare("the command", &self.command, &now.command);
        compare("the target", &self.target, &now.target);
        let names: Vec<&String> = self.options.keys().chain(now.options.keys()).collect();
        for name in names.iter().enumerate().filter(|(at, name)| !names[..*at].contains(name)).map(|(_, name)| *name) {
            let [then, now] = [self, now].map(|run| run.options.get(name).map_or("", String::as_str));
            compare(name, then, now);
        }
        let sources = |run: &Self| run.inputs.iter().map(|input| input.source.clone()).collect::<Vec<_>>();
        let (then, now) = (sources(self), sources(now));
        // Further inputs may follow.
        if !now.starts_with(&then) {
            // Of a long list the first that differs is enough.
            let same = then.iter().zip(&now).take_while(|(then, now)| then == now).count();
            if then.len().max(now.len()) <= MOST_NAMED {
                compare("the inputs", &then.join(" "), &now.join(" "));
            } else {
                let what = format!("the inputs, from number {} on", same + 1);
                compare(&what, then.get(same).map_or("", String::as_str), now.get(same).map_or("", String::as_str));
            }
        }
        all
    }
}

/// The file that holds a [`Run`]: `<report>.run`, JSON, mode 0600, replaced whole each time.
#[derive(Debug)]
pub struct RunFile {
    path: PathBuf,
    run: Run,
    /// What is on the disk.
    saved: Option<Run>,
}

impl RunFile {
    /// Its place beside a report.
    pub fn path_of(report: &Path) -> PathBuf {
        let mut name = report.as_os_str().to_owned();
        name.push(".run");
        name.into()
    }

    /// Reads the one beside a report; none where there is none.
    pub fn read(report: &Path) -> Result<Option<Run>, ReportError> {
        #[derive(Deserialize)]
        struct Stored {
            format: u32,
            #[serde(flatten)]
            run: Run,
        }
        let path = Self::path_of(report);
        let mut text = String::new();
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened,
        };
        let read = file.and_then(|file| file.take(LONGEST).read_to_string(&mut text));
        if let Err(cause) = read {
            return Err(ReportError::Open { path, cause });
        }
        match serde_json::from_str::<Stored>(&text) {
            Ok(stored) if stored.format == FORMAT => Ok(Some(stored.run)),
            _ => Err(ReportError::ForeignRun(path)),
        }
    }

    /// Takes away the one beside a report, where there is one.
    pub fn remove(report: &Path) -> Result<(), ReportError> {
        let path = Self::path_of(report);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|cause| ReportError::Write { path, cause }),
        }
    }

    /// One that is not yet on the disk.
    pub fn new(report: &Path, run: Run) -> Self {
        Self { path: Self::path_of(report), run, saved: None }
    }

    /// What it holds.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// What it will hold after the next [`RunFile::save`].
    pub fn run_mut(&mut self) -> &mut Run {
        &mut self.run
    }

    /// Writes and syncs it, where anything changed. Whatever happens meanwhile, the old or the new one is there.
    pub fn save(&mut self) -> Result<(), ReportError> {
        #[derive(Serialize)]
        struct Stored<'a> {
            format: u32,
            #[serde(flatten)]
            run: &'a Run,
        }
        if self.saved.as_ref() == Some(&self.run) {
            return Ok(());
        }
        let failed = |cause| ReportError::Write { path: self.path.clone(), cause };
        let stored = serde_json::to_vec(&Stored { format: FORMAT, run: &self.run });
        let mut text = stored.map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        // Whoever saves holds the lock of the report, so one name is enough; a killed run may have left it behind.
        let temporary = self.path.with_added_extension("new");
        let _ = fs::remove_file(&temporary);
        replace_through(&temporary, &self.path, |file| file.write_all(&text)).map_err(failed)?;
        self.saved = Some(self.run.clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn run() -> Run {
        Run {
            command: "push".to_owned(),
            target: "https://ma-api.engagelab.com".to_owned(),
            api_key: None,
            options: BTreeMap::from([("--trim".to_owned(), "on".to_owned())]),
            inputs: vec![RunInput { source: "a.csv".to_owned(), ..RunInput::default() }],
            begun: None,
            comparison: None,
            finished: None,
            requests: Requests::default(),
        }
    }

    #[test]
    fn what_differs_is_named() {
        let then = run();
        assert!(then.differences(&run()).is_empty());
        let mut now = run();
        now.target = "sandbox".to_owned();
        now.options = BTreeMap::from([("--map".to_owned(), "a=b".to_owned())]);
        now.inputs[0].source = "b.csv".to_owned();
        assert_eq!(
            then.differences(&now),
            [
                "the target: then https://ma-api.engagelab.com, now sandbox",
                "--trim: then on, now not given",
                "--map: then not given, now a=b",
                "the inputs: then a.csv, now b.csv",
            ]
        );
    }

    #[test]
    fn further_inputs_may_follow_and_how_far_they_were_read_is_no_difference() {
        let (mut then, mut now) = (run(), run());
        then.inputs[0].bytes = 7;
        now.inputs.push(RunInput { source: "b.csv".to_owned(), ..RunInput::default() });
        assert!(then.differences(&now).is_empty());
        assert_eq!(now.differences(&then), ["the inputs: then a.csv b.csv, now a.csv"]);
    }

    #[test]
    fn what_was_saved_is_read_and_is_only_its_owners() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let report = folder.path().join("r.ndjson");
        assert_eq!(RunFile::read(&report).expect("none"), None);
        let mut file = RunFile::new(&report, run());
        file.save().expect("a place to write");
        file.run_mut().finished =
            Some(Finished { at: "2026-01-31T09:08:07.006Z".to_owned(), rows: 5, vanished: Some(2) });
        file.save().expect("a place to write");
        assert_eq!(RunFile::read(&report).expect("one").as_ref(), Some(file.run()));
        let mode = fs::metadata(RunFile::path_of(&report)).expect("it is there").permissions().mode();
        assert_eq!((mode & 0o777, fs::read_dir(folder.path()).expect("a folder").count()), (0o600, 1));
    }

    #[test]
    fn what_is_something_else_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let report = folder.path().join("r.ndjson");
        for text in ["", "{}", "\0\0\0", r#"{"format":2,"command":"push"}"#] {
            fs::write(RunFile::path_of(&report), text).expect("a place to write");
            assert!(matches!(RunFile::read(&report), Err(ReportError::ForeignRun(_))), "{text}");
        }
    }
}
