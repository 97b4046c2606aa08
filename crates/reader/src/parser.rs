//! Which format an input has, and the parser that reads it.

use std::{io::Read, path::Path};

use model::RecordBatch;

use crate::{
    csv::CsvRecords,
    encoding::{Encoding, decode},
    error::{OpenError, ReadError},
    json_array::JsonRecords,
    naming::Naming,
    ndjson::NdjsonRecords,
    options::{Format, ReaderOptions},
    text::{ChangeCheck, Text},
    window::Window,
};

/// The parser of one input.
pub(crate) enum Parser {
    Csv(Box<CsvRecords>),
    Ndjson(Box<NdjsonRecords>),
    Json(Box<JsonRecords>),
}

impl Parser {
    /// A parser over any source of bytes that are not compressed, and the format it turned out to have.
    pub(crate) fn open(
        name: &str,
        source: Box<dyn Read + Send>,
        changed: ChangeCheck,
        format: Option<Format>,
        options: &ReaderOptions,
        naming: &Naming,
    ) -> Result<(Self, Format), OpenError> {
        let broken = |cause| OpenError::Read(ReadError::Broken { input: name.to_owned(), line: 1, cause });
        let (source, encoding) = decode(source, options.encoding).map_err(broken)?;
        let mut text = Text::new(Window::new(source), name, changed);
        let format = match format {
            Some(format) => format,
            None => detect(name, &mut text)?,
        };
        if format == Format::Json && first_byte(&mut text)? == Some(b'{') {
            return Err(OpenError::Format {
                input: name.to_owned(),
                format: "a JSON object, not an array",
                hint: "for an object a line: `--format ndjson`; for an object that holds an array: `jq -c '.data[]' FILE | contactsync … -`",
            });
        }
        let utf8 = encoding == Encoding::UTF_8;
        let parser = match format {
            Format::Json => Self::Json(Box::new(JsonRecords::new(text, naming.clone(), utf8))),
            Format::Ndjson => Self::Ndjson(Box::new(NdjsonRecords::new(text, naming.clone(), utf8))),
            Format::Csv | Format::Tsv => {
                Self::Csv(Box::new(CsvRecords::open(text, name, format, options, naming, utf8)?))
            }
        };
        Ok((parser, format))
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        match self {
            Self::Csv(records) => records.fill(batch),
            Self::Ndjson(records) => records.fill(batch),
            Self::Json(records) => records.fill(batch),
        }
    }

    /// Lets go of the file, which was read to its end.
    pub(crate) fn close(&mut self) {
        match self {
            Self::Csv(records) => records.close(),
            Self::Ndjson(records) => records.close(),
            Self::Json(records) => records.close(),
        }
    }

    /// Records so far.
    pub(crate) fn rows(&self) -> u64 {
        match self {
            Self::Csv(records) => records.rows(),
            Self::Ndjson(records) => records.rows(),
            Self::Json(records) => records.rows(),
        }
    }

    /// Whether apostrophes of a sheet of rows to be mended were taken away since the last call.
    pub(crate) fn take_unprotected(&mut self) -> bool {
        match self {
            Self::Csv(records) => records.take_unprotected(),
            Self::Ndjson(_) | Self::Json(_) => false,
        }
    }

    /// The line of the first backslash that looks like a dump's escape where nobody said what it is, once.
    pub(crate) fn take_escape(&mut self) -> Option<u64> {
        match self {
            Self::Csv(records) => records.take_escape(),
            Self::Ndjson(_) | Self::Json(_) => None,
        }
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        match self {
            Self::Csv(records) => records.take_hint(),
            Self::Ndjson(records) => records.take_hint(),
            Self::Json(_) => None,
        }
    }
}

/// The format of an input of which nobody said it: by the name's extension, else by the first byte that is not blank.
fn detect(name: &str, text: &mut Text) -> Result<Format, ReadError> {
    let lower = name.to_ascii_lowercase();
    let plain = lower.strip_suffix(".gz").or_else(|| lower.strip_suffix(".zst")).unwrap_or(&lower);
    let is_json = match Path::new(plain).extension().and_then(|extension| extension.to_str()) {
        Some("csv") => return Ok(Format::Csv),
        Some("tsv") => return Ok(Format::Tsv),
        Some("ndjson" | "jsonl") => return Ok(Format::Ndjson),
        Some("json") => true,
        _ => false,
    };
    Ok(match first_byte(text)? {
        Some(b'{') => Format::Ndjson,
        Some(b'[') => Format::Json,
        _ if is_json => Format::Json,
        _ => Format::Csv,
    })
}

/// The first byte that is not blank, if one comes within the length of a record. It stays in the window.
fn first_byte(text: &mut Text) -> Result<Option<u8>, ReadError> {
    loop {
        let bytes = text.window.bytes();
        let first = bytes.iter().copied().find(|byte| !byte.is_ascii_whitespace());
        if first.is_some() || bytes.len() > model::limits::MAX_RECORD_BYTES || !text.fill()? {
            return Ok(first);
        }
    }
}
