use std::{
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use model::Shard;
use reader::{FileId, InputName};
use report::{ContactsPolicy, Journal, JournalOptions, ReportError, RunFile, destination, folder_of, is_special};

use super::output::{Output, STANDARD_STREAM};
use crate::{
    args::{ContactsChoice, ReportArgs},
    failure::Failure,
};

/// The option of the summary.
const SUMMARY: &str = "--summary";

/// What is written down, and where.
#[derive(Debug, Clone)]
pub(crate) struct ReportSettings {
    /// The report; none: no report is written.
    pub(crate) path: Option<PathBuf>,
    /// Replace one that exists.
    pub(crate) force: bool,
    /// Which records hold the contacts.
    pub(crate) contacts: ContactsPolicy,
    /// Rows are keyed by ids, which have a field of their own.
    pub(crate) ids: bool,
    /// Write a record for rows that were unchanged, too.
    pub(crate) unchanged: bool,
    /// Where the summary goes as JSON, if anywhere.
    pub(crate) summary: Option<Output>,
}

impl ReportSettings {
    /// Those of a push, which always writes a report.
    pub(crate) fn of_push(args: &ReportArgs, shard: Option<Shard>) -> Result<Self, Failure> {
        let mut settings = Self::of_check(args)?;
        settings.path.get_or_insert_with(|| {
            let mut stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
            // The shards of an input are begun in one second.
            if let Some(shard) = shard {
                stamp += &format!("-shard-{}-of-{}", shard.number(), shard.count());
            }
            // A second run in the same second gets a name of its own.
            let names = std::iter::once(stamp.clone()).chain((2..).map(|number| format!("{stamp}-{number}")));
            let mut paths = names.map(|name| PathBuf::from(format!("contactsync-report-{name}.ndjson")));
            paths.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_default()
        });
        Ok(settings)
    }

    /// Those of a check, which writes one where it is named.
    pub(crate) fn of_check(args: &ReportArgs) -> Result<Self, Failure> {
        Ok(Self {
            path: args.report.clone(),
            force: args.force,
            contacts: match args.report_contacts.unwrap_or(ContactsChoice::Failed) {
                ContactsChoice::Failed => ContactsPolicy::Failed,
                ContactsChoice::Always => ContactsPolicy::Always,
                ContactsChoice::Never => ContactsPolicy::Never,
            },
            ids: false,
            unchanged: false,
            summary: args.summary.as_deref().map(|path| Output::of("summary", path)).transpose()?,
        })
    }
}

impl ReportSettings {
    /// What is written, each with the option that asks for it.
    pub(crate) fn outputs(&self) -> Vec<(&'static str, PathBuf)> {
        let beside = self.path.iter().filter(|path| **path != Path::new(STANDARD_STREAM));
        let report = self.path.iter().map(|path| ("--report", path.clone()));
        let beside = beside.map(|path| ("the report's run file", RunFile::path_of(path)));
        let summary = self.summary.iter().map(|summary| (SUMMARY, summary.path().to_owned()));
        report.chain(beside).chain(summary).collect()
    }

    /// Refuses a report that is there already and may not be replaced: before any input is waited for.
    pub(crate) fn refuse_existing(&self, path: &Path) -> Result<(), ReportError> {
        if path == Path::new(STANDARD_STREAM) { Ok(()) } else { report::refuse_existing(path, self.force) }
    }

    /// Begins the report that lies at this path, or goes to standard output.
    pub(crate) fn journal(&self, path: &Path) -> Result<Journal, ReportError> {
        if path != Path::new(STANDARD_STREAM) {
            return Journal::create(path, self.journal_options());
        }
        let stream = io::stdout().as_fd().try_clone_to_owned();
        let stream = stream.map_err(|cause| ReportError::Write { path: path.to_owned(), cause })?;
        Journal::to_stream(path, File::from(stream), self.journal_options())
    }

    /// What is written of each decision.
    pub(crate) fn journal_options(&self) -> JournalOptions {
        JournalOptions { force: self.force, contacts: self.contacts, ids: self.ids }
    }
}

/// A file that is read, which no output may replace.
#[derive(Debug)]
pub(crate) struct ReadFile {
    /// What it is to the command: an input, a report.
    pub(crate) what: &'static str,
    /// As it was given.
    pub(crate) name: String,
    /// Where it lies, or would; nothing for a device.
    pub(crate) identity: Option<Identity>,
}

/// Exit 2 where an output is also a file that is read, or two outputs are one file: writing would destroy what is still
/// needed. Each output is named by the option that asked for it.
pub(crate) fn refuse_shared_outputs(read: &[ReadFile], outputs: &[(&str, PathBuf)]) -> Result<(), Failure> {
    let mut earlier: Vec<(&str, Identity)> = Vec::new();
    for (option, path) in outputs {
        let Some(identity) = Identity::of(path) else { continue };
        let is_it = |read: &&ReadFile| read.identity.as_ref().is_some_and(|read| read.lies_at(&identity));
        if let Some(ReadFile { what, name, .. }) = read.iter().find(is_it) {
            let path = path.display();
            let message = match identity {
                Identity::Pipe(..) => format!("{option} {path} is the pipe that the {what} {name} comes from"),
                Identity::Name(_) => format!("{option} {path} would lie where the {what} {name} is missing"),
                _ => format!("{option} {path} would overwrite the {what} {name}"),
            };
            return Err(Failure::usage(message).with_hint("name another file".to_owned()));
        }
        if let Identity::Pipe(..) = identity {
            // Two outputs can share one.
            continue;
        }
        if let Some((other, _)) = earlier.iter().find(|(_, other)| *other == identity) {
            if identity == Identity::Stdout {
                return Err(Failure::usage(format!("{other} and {option} can't both go to standard output")));
            }
            return Err(Failure::usage(format!("{other} and {option} name the same file, {}", path.display())));
        }
        earlier.push((option, identity));
    }
    let mut replacing = outputs.iter().filter(|(option, _)| [SUMMARY, "--csv", "--html"].contains(option));
    replacing.try_for_each(|(option, path)| refuse_losing(option, path))
}

/// How a state begins, a report in each of its forms, and what lies beside one.
const KEPT: [&[u8]; 6] = [
    b"contactsyncstate",
    b"{\"source\":",
    b"source,row,line,euid,",
    b"{\"format\":",
    // Compressed: nothing is that replaces what lies there.
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
];

/// Exit 2 where what is no report would replace a state or a report: a name given by mistake must not cost one.
fn refuse_losing(option: &str, path: &Path) -> Result<(), Failure> {
    if is_special(path) || path == Path::new(STANDARD_STREAM) {
        return Ok(());
    }
    let mut beginning = Vec::new();
    let longest = KEPT.iter().map(|it| it.len()).max().unwrap_or_default();
    // What can't be read is no file of ours.
    let _ = File::open(path).and_then(|file| file.take(longest as u64).read_to_end(&mut beginning));
    if !KEPT.iter().any(|kept| beginning.starts_with(kept)) {
        return Ok(());
    }
    let message = format!("{option} {} would replace a state or a report that lies there", path.display());
    Err(Failure::usage(message).with_hint("name another file, or remove this one".to_owned()))
}

/// What a path stands for: a file that is there, or a name in a folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Stdout,
    File(u64, u64),
    Pipe(u64, u64),
    Name(PathBuf),
}

impl Identity {
    /// Of a report that is read.
    pub(crate) fn of_file((dev, ino): FileId) -> Self {
        Self::File(dev, ino)
    }

    /// Of an input, also where it is missing.
    pub(crate) fn of_input(name: &InputName) -> Option<Self> {
        let missing = || Self::of(name.path()).filter(|it| !name.is_stdin() && matches!(it, Self::Name(_)));
        name.file_id().map(Self::of_file).or_else(missing)
    }

    /// Whether both are the same file, pipe or name.
    pub(super) fn lies_at(&self, other: &Self) -> bool {
        match (self.file_id(), other.file_id()) {
            (Some(id), Some(other)) => id == other,
            _ => self == other,
        }
    }

    /// Device and inode of what is there.
    fn file_id(&self) -> Option<FileId> {
        match self {
            Self::File(dev, ino) | Self::Pipe(dev, ino) => Some((*dev, *ino)),
            Self::Stdout | Self::Name(_) => None,
        }
    }

    /// None for devices, which can be shared, and where nothing can be told.
    pub(super) fn of(path: &Path) -> Option<Self> {
        if path == Path::new(STANDARD_STREAM) {
            return Some(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Some(Self::File(metadata.dev(), metadata.ino())),
            Ok(metadata) if metadata.file_type().is_fifo() => Some(Self::Pipe(metadata.dev(), metadata.ino())),
            Ok(_) => None,
            Err(_) => {
                // A link may lead to where another output is about to be.
                let path = destination(path);
                Some(Self::Name(fs::canonicalize(folder_of(&path)).ok()?.join(path.file_name()?)))
            }
        }
    }
}
