use std::{
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use model::Decision;

use crate::{
    format::{Compression, Encoding, ReportFormat},
    gist::Gist,
    parse::{Fault, Parser, may_begin_report},
    record::{HEADER, HEADER_WITH_IDS},
    skim::{Skimmed, Skimmer},
    source::{Bytes, SourceReport},
    unpack::Unpacked,
};

/// Longer than any record: an input record has at most 1 MiB, and escapes make it some times longer.
const LONGEST_RECORD: usize = 16 << 20;

/// Why a report can't be read on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system said so.
    #[error("the report {} can't be read: {cause}", path.display())]
    Read {
        /// Which report.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder, or what can't be read twice.
    #[error("{} is {}, not a report", path.display(), if *is_folder { "a folder" } else { "a pipe or a device" })]
    NotAFile {
        /// What was named.
        path: PathBuf,
        /// Whether it is a folder; else it is a pipe or a device.
        is_folder: bool,
    },
    /// What follows is no whole record: the run was killed, or is writing.
    #[error("the report {} is torn after byte {whole_bytes}", path.display())]
    Torn {
        /// Which report.
        path: PathBuf,
        /// So much of the file can stand: it ends with a whole record, and where it is compressed with a whole gzip
        /// member or zstd frame.
        whole_bytes: u64,
    },
    /// It is no report, or one of a later version.
    #[error("{} is not a report that this version can read: record {record}: {what}", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Which record, from 1.
        record: u64,
        /// What is wrong with it.
        what: String,
    },
}

impl ReadError {
    /// What to do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Read { cause, .. } if cause.kind() == io::ErrorKind::NotFound => {
                Some("check the name: a run prints that of its report at its end".to_owned())
            }
            Self::Read { .. } => None,
            Self::NotAFile { is_folder: true, .. } => Some("name the reports in it, as FOLDER/*.ndjson".to_owned()),
            Self::NotAFile { .. } => Some("copy it into a file first".to_owned()),
            Self::Torn { .. } => Some("resume the run: its report is then cut to the last whole record".to_owned()),
            Self::Foreign { .. } => Some("name a report that this version of contactsync wrote".to_owned()),
        }
    }
}

/// The records of a report in the order in which they stand, NDJSON or CSV, compressed or not, whatever its name.
///
/// Memory doesn't depend on its size. After an error it ends; a torn end comes as [`ReadError::Torn`] behind the whole
/// records. In CSV a message without text can't be told from none.
pub struct ReportReader {
    path: PathBuf,
    input: BufReader<Unpacked>,
    encoding: Encoding,
    parser: Parser,
    skimmer: Skimmer,
    /// The record that is being read; reused.
    bytes: Vec<u8>,
    /// The record read last, where it could not be skimmed for its gist.
    parsed: Option<Decision>,
    /// Records begun so far, the header of CSV not counted.
    records: u64,
    /// Where the last of them begins, in bytes without the compression.
    began: u64,
    /// Bytes, without the compression, of all whole records so far.
    whole: u64,
    /// The last place after a whole record at which the file can be cut.
    cut: u64,
    /// The header of CSV is the journal's own.
    own_header: bool,
    /// It has the column of ids.
    has_id_column: bool,
    ended: bool,
}

impl ReportReader {
    /// Opens a report.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        SourceReport::open(path)?.records()
    }

    /// Reads a report's bytes, which lie at this path.
    pub(crate) fn over(path: &Path, bytes: Bytes) -> Result<Self, ReadError> {
        let failed = |cause| ReadError::Read { path: path.to_owned(), cause };
        let mut input = BufReader::with_capacity(64 << 10, Unpacked::new(bytes, path).map_err(failed)?);
        let first = input.fill_buf().map(|bytes| bytes.first().copied());
        let encoding = match first {
            Ok(Some(b'{')) => Encoding::Ndjson,
            Ok(Some(b's')) => Encoding::Csv,
            Err(cause) if input.get_ref().failed_by_system() => return Err(failed(cause)),
            _ => ReportFormat::of(path).encoding,
        };
        let path = path.to_owned();
        let parser = Parser::new();
        Ok(Self {
            path,
            input,
            encoding,
            parser,
            skimmer: Skimmer::default(),
            bytes: Vec::new(),
            parsed: None,
            records: 0,
            began: 0,
            whole: 0,
            cut: 0,
            own_header: false,
            has_id_column: false,
            ended: false,
        })
    }

    /// How the file is written: what its content says, not its name.
    pub fn format(&self) -> ReportFormat {
        ReportFormat { encoding: self.encoding, compression: self.compression() }
    }

    /// Whether it is written as the journal writes it today, so that records can be appended: a CSV may have further
    /// columns, or others in their places. Asked for at its end.
    pub(crate) fn can_be_continued(&self) -> bool {
        self.encoding == Encoding::Ndjson || !self.is_begun() || self.own_header
    }

    /// Whether a header of CSV, if it has one, has the column of ids: records that follow must have it then, and only then.
    pub(crate) fn has_id_column(&self) -> Option<bool> {
        (self.encoding == Encoding::Csv && self.is_begun()).then_some(self.has_id_column)
    }

    /// Whether anything whole was in it.
    pub(crate) fn is_begun(&self) -> bool {
        self.whole > 0
    }

    /// The last place, in bytes of the file, at which it can be cut behind the records read so far.
    pub fn whole_bytes(&self) -> u64 {
        self.cut
    }

    fn compression(&self) -> Compression {
        self.input.get_ref().compression()
    }

    /// The gist of the next record, and where it begins, in bytes without the compression. What is written as the journal
    /// writes it is only skimmed; all else, and every error, comes by [`Iterator::next`].
    pub(crate) fn next_gist(&mut self) -> Result<Option<(u64, Gist<'_>)>, ReadError> {
        if let Some(skimmed) = self.skim() {
            return Ok(Some((self.began, self.skimmer.gist(&skimmed))));
        }
        self.parsed = self.next().transpose()?;
        if let Some(record) = &self.parsed {
            self.skimmer.expect(&record.origin.source);
        }
        Ok(self.parsed.as_ref().map(|record| (self.began, Gist::of(record))))
    }

    /// Skims the next record, if it lies in memory as a whole.
    fn skim(&mut self) -> Option<Skimmed> {
        if self.ended || self.encoding == Encoding::Csv {
            return None;
        }
        let skimmed = self.skimmer.skim(self.input.buffer())?;
        self.input.consume(skimmed.length);
        self.records += 1;
        self.began = self.whole;
        self.whole += skimmed.length as u64;
        self.note_cut();
        Some(skimmed)
    }

    /// Goes on with the record that begins there, not before those that were read: so many stand before it.
    pub(crate) fn go_to(&mut self, began: u64, place: u64) -> Result<(), ReadError> {
        if self.begin()? && self.whole < began && self.compression() == Compression::None {
            let ahead = usize::try_from(began - self.whole).unwrap_or(usize::MAX);
            let in_memory = self.input.buffer().len().min(ahead);
            self.input.consume(in_memory);
            if in_memory < ahead {
                self.input.get_mut().go_to(began);
            }
            (self.whole, self.records) = (began, place);
            self.note_cut();
        }
        while self.records < place && self.next_gist()?.is_some() {}
        Ok(())
    }

    /// Reads the header of CSV, where it was not. False where there is none.
    fn begin(&mut self) -> Result<bool, ReadError> {
        if self.encoding == Encoding::Csv && self.whole == 0 {
            if !self.next_bytes()? {
                return Ok(false);
            }
            let header = self.parser.csv_header(&self.bytes);
            self.has_id_column = self.bytes == HEADER_WITH_IDS.as_bytes();
            self.own_header = self.has_id_column || self.bytes == HEADER.as_bytes();
            self.accept(header)?;
        }
        Ok(true)
    }

    fn next_record(&mut self) -> Result<Option<Decision>, ReadError> {
        if !self.begin()? {
            return Ok(None);
        }
        loop {
            if !self.next_bytes()? {
                return Ok(None);
            }
            if self.bytes.trim_ascii().is_empty() {
                self.accept(Ok(()))?;
                continue;
            }
            self.records += 1;
            self.began = self.whole;
            let decision = match self.encoding {
                Encoding::Ndjson => self.parser.ndjson(&self.bytes),
                Encoding::Csv => self.parser.csv_record(&self.bytes),
            };
            return self.accept(decision).map(Some);
        }
    }

    /// Takes note of where a whole record ends.
    fn accept<T>(&mut self, parsed: Result<T, Fault>) -> Result<T, ReadError> {
        let parsed = parsed.map_err(|fault| match fault {
            Fault::NotWhole => self.torn(),
            Fault::Foreign(_) if !self.input.get_mut().piece_is_whole() => self.torn(),
            Fault::Foreign(what) => self.foreign(what),
        })?;
        self.whole += self.bytes.len() as u64;
        self.note_cut();
        Ok(parsed)
    }

    fn note_cut(&mut self) {
        if let Some(cut) = self.input.get_mut().cut_at(self.whole) {
            self.cut = cut;
        }
    }

    /// Reads the bytes of the next record, its line end included; false at the end of the report.
    fn next_bytes(&mut self) -> Result<bool, ReadError> {
        self.bytes.clear();
        let mut quotes = 0;
        loop {
            let line = self.bytes.len();
            let left = (LONGEST_RECORD + 1).saturating_sub(line) as u64;
            let read = self.input.by_ref().take(left).read_until(b'\n', &mut self.bytes);
            match read {
                Err(cause) if self.input.get_ref().failed_by_system() => {
                    return Err(ReadError::Read { path: self.path.clone(), cause });
                }
                Err(_) => return Err(self.torn()),
                Ok(0) if self.bytes.is_empty() => {
                    self.note_cut();
                    return Ok(false);
                }
                Ok(read) if read == 0 || !self.bytes.ends_with(b"\n") || self.bytes.len() > LONGEST_RECORD => {
                    return Err(self.torn());
                }
                Ok(_) => {}
            }
            if self.encoding == Encoding::Ndjson {
                return Ok(true);
            }
            // In CSV a line end within quotes belongs to the text.
            quotes += self.bytes.iter().skip(line).filter(|byte| **byte == b'"').count();
            if quotes % 2 == 0 {
                return Ok(true);
            }
        }
    }

    /// What is not whole right at the beginning may be another file altogether.
    fn torn(&mut self) -> ReadError {
        self.note_cut();
        if self.whole == 0 && !may_begin_report(&self.bytes) && self.input.get_mut().piece_is_whole() {
            return self.foreign("it doesn't begin like a report".to_owned());
        }
        ReadError::Torn { path: self.path.clone(), whole_bytes: self.cut }
    }

    fn foreign(&self, what: String) -> ReadError {
        ReadError::Foreign { path: self.path.clone(), record: self.records.max(1), what }
    }
}

impl Iterator for ReportReader {
    type Item = Result<Decision, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.next_record().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::fmt::Debug for ReportReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReportReader").field("path", &self.path).field("records", &self.records).finish_non_exhaustive()
    }
}
