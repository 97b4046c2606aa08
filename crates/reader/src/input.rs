use std::{collections::HashSet, ffi::OsStr, io, sync::Arc};

use model::RecordBatch;

use crate::{
    asked::AskedNames,
    compression::{self, Foreign, Opened},
    error::{MissingName, OpenError, ReadError, UnknownColumns},
    naming::Naming,
    objects::Look,
    opening::{Handle, InputName, OpenInput, identify},
    options::{Format, ReaderOptions},
    parser::Parser,
    raw::{Meter, Metered},
    records::Records,
};

/// Opens every input once, in order, and looks at headers and first records: [`identify`], [`OpenInput::open`] and
/// [`look_at_all`] for who has nothing to do in between.
pub fn open_all<N: AsRef<OsStr>>(names: &[N], options: &ReaderOptions) -> Result<Vec<Input>, OpenError> {
    let names: Vec<InputName> = names.iter().map(InputName::new).collect();
    identify(&names)?;
    let opened = names.iter().map(OpenInput::open).collect::<Result<_, _>>()?;
    Ok(look_at_all(opened, options)?.inputs)
}

/// Inputs that were looked at.
#[derive(Debug)]
pub struct LookedAt {
    /// In their order.
    pub inputs: Vec<Input>,
    /// What the user should know about them.
    pub warnings: Vec<String>,
    /// The names that the options give: reading goes on to look for those that didn't come up.
    pub asked: AskedNames,
}

/// Looks at headers and first records of all inputs, so that what is wrong with any of them shows before anything is
/// sent. What was looked at of a pipe is kept.
pub fn look_at_all(opened: Vec<OpenInput>, options: &ReaderOptions) -> Result<LookedAt, OpenError> {
    let (options, naming) = (Arc::new(options.clone()), Arc::new(Naming::new(options)));
    let mut inputs = Vec::with_capacity(opened.len());
    let (mut unknown, mut names) = (Vec::new(), NamesThere::default());
    for file in opened {
        let (input, unknown_here) = Input::look(file, &options, &naming, &mut names)?;
        inputs.push(input);
        unknown.extend(unknown_here);
    }
    // A mistyped name may well be why a column is unknown, so it comes first.
    let mut warnings = names.missing(&naming)?;
    if !unknown.is_empty() {
        return Err(OpenError::Unknown(unknown));
    }
    warnings.extend(idle_options(&inputs, &options));
    Ok(LookedAt { inputs, warnings, asked: naming.asked().clone() })
}

/// A warning of options that say how delimited text is read, where no input is any.
fn idle_options(inputs: &[Input], options: &ReaderOptions) -> Option<String> {
    let idle: Vec<&str> = options.of_delimited_text().collect();
    let is_json = |input: &Input| matches!(input.format, Format::Ndjson | Format::Json);
    let first = inputs.first().filter(|_| !idle.is_empty() && inputs.iter().all(is_json))?;
    let others = if inputs.len() > 1 { ", as are the others" } else { "" };
    Some(format!("{}: for CSV and TSV alone, and {} is JSON{others}", idle.join(", "), first.name))
}

/// Names of columns and keys that were found in inputs with records, in order of appearance.
#[derive(Default)]
struct NamesThere {
    names: Vec<String>,
    /// Whether there is an input with records, and whether such a one may have further keys in later records.
    any_records: bool,
    may_have_more: bool,
}

impl NamesThere {
    /// Warnings of names that the user gave and that didn't come up yet; an error where they can't, or where one is
    /// mistyped.
    fn missing(mut self, naming: &Naming) -> Result<Vec<String>, OpenError> {
        let asked = naming.asked().unseen();
        if asked.is_empty() || !self.any_records {
            return Ok(Vec::new());
        }
        let mut seen = HashSet::new();
        self.names.retain(|name| seen.insert(name.clone()));
        let missing = asked.into_iter().map(|asked| naming.missing(asked, &self.names));
        let is_typo = |missing: &MissingName| !self.may_have_more || missing.near.is_some();
        let (mut missing, not_yet): (Vec<MissingName>, Vec<MissingName>) = missing.partition(is_typo);
        // What is mistyped comes before what is missing because of it.
        missing.sort_by_key(|missing| missing.near.is_none());
        if !missing.is_empty() {
            return Err(OpenError::NoSuchNames { missing, columns: self.names });
        }
        let warning = |missing: &MissingName| format!("no input has shown the name {}, until now", missing.asked);
        Ok(not_yet.iter().map(warning).collect())
    }
}

/// An input that was opened and looked at.
pub struct Input {
    name: Arc<str>,
    file: OpenInput,
    format: Format,
    options: Arc<ReaderOptions>,
    naming: Arc<Naming>,
    source: Source,
    sheet: bool,
}

/// Where records come from.
enum Source {
    /// A file: from its beginning, unless records were given back.
    File(Option<Box<Records>>),
    /// A pipe: what was looked at can't be read again. None while somebody reads it.
    Pipe(Option<Box<Records>>),
}

impl Input {
    /// The input as given.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Bytes on disk; none where it isn't a file.
    pub fn size(&self) -> Option<u64> {
        self.file.size()
    }

    /// Whether it is a file that can be read again.
    pub fn is_regular_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// The same file once more, to be read beside this one or before it: from its beginning, and without a digest. What
    /// was read before a change of the file is told as ever. None of what can be read only once.
    pub fn again(&self) -> Option<io::Result<Self>> {
        let options = ReaderOptions { digest: false, marks: Arc::default(), ..(*self.options).clone() };
        self.again_by(Arc::new(options))
    }

    /// The same, with digests as far as they were asked for: to be compared with an earlier try.
    pub fn again_to_compare(&self) -> Option<io::Result<Self>> {
        self.again_by(Arc::clone(&self.options))
    }

    fn again_by(&self, options: Arc<ReaderOptions>) -> Option<io::Result<Self>> {
        if !self.is_regular_file() {
            return None;
        }
        let again = |file| Self {
            name: Arc::clone(&self.name),
            file,
            format: self.format,
            options,
            naming: Arc::clone(&self.naming),
            source: Source::File(None),
            sheet: self.sheet,
        };
        Some(self.file.again().map(again))
    }

    /// Whether it is a sheet of rows to be mended (`report --csv`), whose cells are empty also where there was nothing.
    pub fn is_sheet(&self) -> bool {
        self.sheet
    }

    /// Starts to read records: a file from its beginning, each time; a pipe with what was looked at, once. Where records
    /// were given back they go on as they are, once.
    pub fn records(&mut self) -> Result<Records, ReadError> {
        let broken = |cause| ReadError::Broken { input: self.name.to_string(), line: 1, cause };
        let (Source::File(kept) | Source::Pipe(kept)) = &mut self.source;
        if let Some(records) = kept.take() {
            return Ok(*records);
        }
        if let Source::Pipe(_) = self.source {
            return Err(broken(io::Error::other("it can be read only once")));
        }
        let meter = self.options.meter(&self.name);
        let file = self.file.at_start().map_err(broken)?;
        let (parser, _) =
            open_parser(&self.name, &self.file, file, &meter, Some(self.format), &self.options, &self.naming).map_err(
                |error| match error {
                    OpenError::Read(error) => error,
                    other => broken(io::Error::other(other.to_string())),
                },
            )?;
        Ok(Records::new(Arc::clone(&self.name), parser, meter))
    }

    /// Takes records back, which [`Input::records`] then gives out again as they are.
    pub fn give_back(&mut self, records: Records) {
        let (Source::File(kept) | Source::Pipe(kept)) = &mut self.source;
        *kept = Some(Box::new(records));
    }

    fn look(
        file: OpenInput,
        options: &Arc<ReaderOptions>,
        naming: &Arc<Naming>,
        names: &mut NamesThere,
    ) -> Result<(Self, Option<UnknownColumns>), OpenError> {
        let name = Arc::clone(file.name().source());
        let broken = |cause| OpenError::Unreadable { input: name.to_string(), cause };
        let meter = options.meter(&name);
        let handle = if file.is_once() { file.handle() } else { file.at_start() }.map_err(broken)?;
        let (mut parser, format) = open_parser(&name, &file, handle, &meter, options.format, options, naming)?;
        let keep = file.is_once();
        let (mut unknown, mut ahead, mut sheet) = (None, None, false);
        let mut look = Look::default();
        match &mut parser {
            Parser::Csv(records) => {
                unknown.clone_from(&records.layout().unknown);
                sheet = records.is_sheet();
                // Where the input breaks off before its first record, reading it says so.
                if !naming.asked().all_seen() && records.has_more().unwrap_or(false) {
                    names.any_records = true;
                    names.names.extend(records.layout().headers.iter().cloned());
                }
            }
            Parser::Ndjson(records) => {
                match records.look(keep, &mut look) {
                    Ok(()) if look.is_envelope || (look.records > 0 && look.objects == 0) => {
                        return Err(not_ndjson(&name, look.first_byte));
                    }
                    Err(error) if keep => return Err(error.into()),
                    // Where a file breaks off, what is whole before is still to be read; the break shows again then.
                    Ok(()) | Err(_) => {}
                }
            }
            Parser::Json(records) if keep => {
                let mut first = RecordBatch { source: Arc::clone(&name), ..RecordBatch::default() };
                let more = records.look_at_first(&mut first, &mut look)?;
                ahead = Some((first, (!more).then_some(Ok(()))));
            }
            // The same holds here.
            Parser::Json(records) => _ = records.look(&mut look),
        }
        if look.records > 0 {
            names.any_records = true;
            names.may_have_more = true;
            names.names.extend(look.keys.into_names());
        }
        if !look.unknown.is_empty() {
            unknown = Some(UnknownColumns::new(&name, look.unknown, look.has_key, naming));
        }
        let source = if keep {
            let mut records = Records::new(Arc::clone(&name), parser, meter);
            if let Some((first, end)) = ahead {
                records.put_back(vec![first], end);
            }
            Source::Pipe(Some(Box::new(records)))
        } else {
            Source::File(None)
        };
        let input =
            Self { name, format, options: Arc::clone(options), naming: Arc::clone(naming), source, file, sheet };
        Ok((input, unknown))
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").field("name", &self.name).field("format", &self.format).finish_non_exhaustive()
    }
}

/// Puts decompressor, decoder and parser on top of a file.
fn open_parser(
    name: &str,
    opened: &OpenInput,
    handle: Handle,
    meter: &Arc<Meter>,
    format: Option<Format>,
    options: &ReaderOptions,
    naming: &Naming,
) -> Result<(Parser, Format), OpenError> {
    let changed =
        opened.change_check_of(&handle).map_err(|cause| OpenError::Unreadable { input: name.to_owned(), cause })?;
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
        Foreign::Parquet => (
            "a Parquet file",
            "have duckdb write it as CSV: `duckdb -c \"copy (select * from 'FILE') to '/dev/stdout' (format csv, header)\" | contactsync … -`",
        ),
    };
    OpenError::Format { input: name.to_owned(), format, hint }
}
