use std::{
    collections::HashSet,
    fs::{File, Metadata},
    io::{self, Seek},
    os::{fd::AsFd, unix::fs::MetadataExt},
    sync::Arc,
};

use model::RecordBatch;

use crate::{
    compression::{self, Foreign, Opened},
    error::{OpenError, ReadError, UnknownColumns},
    naming::Naming,
    objects::Look,
    options::{Format, ReaderOptions},
    parser::Parser,
    raw::{Meter, Metered},
    records::Records,
    text::ChangeCheck,
};

/// Opens every input once, in order, and looks at headers and first records, so that what is wrong with any of them
/// shows before anything is sent.
pub fn open_all(names: &[String], options: &ReaderOptions) -> Result<Vec<Input>, OpenError> {
    let naming = Naming::new(options);
    let mut inputs = Vec::with_capacity(names.len());
    let mut seen = HashSet::new();
    let mut unknown = Vec::new();
    for name in names {
        if !seen.insert(Identity::Name(name.clone())) {
            return Err(OpenError::Twice(name.clone()));
        }
        let file = open(name)?;
        if let Some(id) = file.regular_id()
            && !seen.insert(Identity::File(id))
        {
            return Err(OpenError::Twice(name.clone()));
        }
        let (input, unknown_here) = Input::look(name, file, options, &naming)?;
        inputs.push(input);
        unknown.extend(unknown_here);
    }
    if unknown.is_empty() { Ok(inputs) } else { Err(OpenError::Unknown(unknown)) }
}

#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Name(String),
    File((u64, u64)),
}

/// An input that was opened and looked at.
pub struct Input {
    name: Arc<str>,
    file: OpenFile,
    format: Format,
    options: ReaderOptions,
    naming: Naming,
    notices: Vec<String>,
    source: Source,
}

/// Where records come from.
enum Source {
    /// A file, each time from its beginning.
    File,
    /// A pipe: what was looked at can't be read again. None while somebody reads it.
    Pipe(Option<Box<Records>>),
}

impl Input {
    /// The input as given.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Bytes on disk; none for a pipe.
    pub fn size(&self) -> Option<u64> {
        self.file.is_regular().then_some(self.file.metadata.len())
    }

    /// Whether it is a file that can be read again.
    pub fn is_regular_file(&self) -> bool {
        matches!(self.source, Source::File)
    }

    /// Device and inode, to tell whether an output is the same file.
    pub fn file_id(&self) -> Option<(u64, u64)> {
        self.file.regular_id()
    }

    /// What the user should know about it.
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Starts to read records: a file from its beginning, each time; a pipe with what was looked at, once, unless its
    /// records are given back.
    pub fn records(&mut self) -> Result<Records, ReadError> {
        let broken = |cause| ReadError::Broken { input: self.name.to_string(), line: 1, cause };
        if let Source::Pipe(records) = &mut self.source {
            return match records.take() {
                Some(records) => Ok(*records),
                None => Err(broken(io::Error::other("it can be read only once"))),
            };
        }
        let meter = self.options.meter(&self.name);
        let mut file = self.file.file.try_clone().map_err(broken)?;
        file.rewind().map_err(broken)?;
        let (parser, _) =
            open_parser(&self.name, &self.file, file, &meter, Some(self.format), &self.options, &self.naming).map_err(
                |error| match error {
                    OpenError::Read(error) => error,
                    other => broken(io::Error::other(other.to_string())),
                },
            )?;
        Ok(Records::new(Arc::clone(&self.name), parser, meter))
    }

    /// Takes a pipe's records back, which [`Input::records`] then gives out again as they are.
    pub fn give_back(&mut self, records: Records) {
        if let Source::Pipe(kept) = &mut self.source {
            *kept = Some(Box::new(records));
        }
    }

    fn look(
        name: &str,
        file: OpenFile,
        options: &ReaderOptions,
        naming: &Naming,
    ) -> Result<(Self, Option<UnknownColumns>), OpenError> {
        let broken = |cause| OpenError::Unreadable { input: name.to_owned(), cause };
        let meter = options.meter(name);
        let handle = file.file.try_clone().map_err(broken)?;
        let (mut parser, format) = open_parser(name, &file, handle, &meter, options.format, options, naming)?;
        let keep = !file.is_seekable();
        let (mut unknown, mut notices, mut ahead) = (None, Vec::new(), None);
        match &mut parser {
            Parser::Csv(records) => {
                unknown.clone_from(&records.layout().unknown);
                notices.extend(records.layout().missing_notice(name));
            }
            Parser::Ndjson(records) => {
                let mut look = Look::default();
                match records.look(keep, &mut look) {
                    Ok(()) if look.is_envelope || (look.records > 0 && look.objects == 0) => {
                        return Err(not_ndjson(name, look.first_byte));
                    }
                    Err(error) if keep => return Err(error.into()),
                    // Where a file breaks off, what is whole before is still to be read; the break shows again then.
                    Ok(()) | Err(_) => {}
                }
                let names = look.unknown;
                unknown = (!names.is_empty()).then(|| UnknownColumns { input: name.to_owned(), names });
            }
            Parser::Json(records) => {
                let mut look = Look::default();
                if keep {
                    let mut first = RecordBatch { source: name.into(), ..RecordBatch::default() };
                    let more = records.look_at_first(&mut first, &mut look)?;
                    ahead = Some((first, (!more).then_some(Ok(()))));
                } else {
                    // Where a file breaks off, what is whole before is still to be read; the break shows again then.
                    let _ = records.look(&mut look);
                }
                let names = look.unknown;
                unknown = (!names.is_empty()).then(|| UnknownColumns { input: name.to_owned(), names });
            }
        }
        let name: Arc<str> = name.into();
        let source = if keep {
            let mut records = Records::new(Arc::clone(&name), parser, meter);
            if let Some((first, end)) = ahead {
                records.put_back(vec![first], end);
            }
            Source::Pipe(Some(Box::new(records)))
        } else {
            Source::File
        };
        let input = Self { name, format, options: options.clone(), naming: naming.clone(), notices, source, file };
        Ok((input, unknown))
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

/// An opened file with what was known of it then.
struct OpenFile {
    file: File,
    metadata: Metadata,
    is_stdin: bool,
}

impl OpenFile {
    fn is_regular(&self) -> bool {
        self.metadata.is_file()
    }

    /// Standard input may stand anywhere in its file, and who gave it may go on with it.
    fn is_seekable(&self) -> bool {
        self.is_regular() && !self.is_stdin
    }

    fn regular_id(&self) -> Option<(u64, u64)> {
        self.is_regular().then(|| (self.metadata.dev(), self.metadata.ino()))
    }

    /// Compares size and time with those at the opening.
    fn change_check(&self) -> io::Result<ChangeCheck> {
        if !self.is_regular() {
            return Ok(Box::new(|| None));
        }
        let file = self.file.try_clone()?;
        let (size, modified) = (self.metadata.len(), (self.metadata.mtime(), self.metadata.mtime_nsec()));
        Ok(Box::new(move || match file.metadata() {
            Ok(now) if now.len() != size => Some("its size changed"),
            Ok(now) if (now.mtime(), now.mtime_nsec()) != modified => Some("it was written to"),
            Ok(_) => None,
            Err(_) => Some("it could no longer be looked at"),
        }))
    }
}

fn open(name: &str) -> Result<OpenFile, OpenError> {
    let unreadable = |cause| OpenError::Unreadable { input: name.to_owned(), cause };
    let is_stdin = name == "-";
    let file = if is_stdin {
        File::from(io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?)
    } else {
        File::open(name).map_err(unreadable)?
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_dir() {
        return Err(OpenError::Folder(name.to_owned()));
    }
    Ok(OpenFile { file, metadata, is_stdin })
}

/// Puts decompressor, decoder and parser on top of a file.
fn open_parser(
    name: &str,
    opened: &OpenFile,
    handle: File,
    meter: &Arc<Meter>,
    format: Option<Format>,
    options: &ReaderOptions,
    naming: &Naming,
) -> Result<(Parser, Format), OpenError> {
    let changed = opened.change_check().map_err(|cause| OpenError::Unreadable { input: name.to_owned(), cause })?;
    let broken = |cause| OpenError::Read(ReadError::Broken { input: name.to_owned(), line: 1, cause });
    let source = match compression::open(Metered::new(handle, Arc::clone(meter))).map_err(broken)? {
        Opened::Text(source) => source,
        Opened::Foreign(foreign) => return Err(foreign_format(name, foreign)),
    };
    Parser::open(name, source, changed, format, options, naming)
}

fn not_ndjson(name: &str, first_byte: Option<u8>) -> OpenError {
    let (format, hint) = match first_byte {
        Some(b'{') => (
            "JSON, but not an object a line (NDJSON)",
            "for an object that holds an array: `jq -c '.data[]' FILE | contactsync … -`",
        ),
        Some(b'[') => ("JSON, but not an object a line (NDJSON)", "for an array of objects: `--format json`"),
        _ => ("no NDJSON, where each line is a JSON object", "check `--format` and the file's extension"),
    };
    OpenError::Format { input: name.to_owned(), format, hint }
}

fn foreign_format(name: &str, foreign: Foreign) -> OpenError {
    let (format, hint) = match foreign {
        Foreign::Zip => ("a zip or xlsx file", "save the sheet as CSV (UTF-8), or unzip the file first"),
        Foreign::Xz => ("xz-compressed", "decompress it on the way: `xz -dc FILE | contactsync … -`"),
        Foreign::Bzip2 => ("bzip2-compressed", "decompress it on the way: `bzip2 -dc FILE | contactsync … -`"),
        Foreign::LongZstd => (
            "zstd-compressed with a window of more than 128 MiB (`--long`)",
            "decompress it on the way: `zstd -dc --long=31 FILE | contactsync … -`",
        ),
        Foreign::Parquet => ("a Parquet file", "write it as NDJSON or CSV, for example with duckdb or pandas"),
    };
    OpenError::Format { input: name.to_owned(), format, hint }
}
