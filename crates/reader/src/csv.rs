//! Records of delimited text, over `csv_core`. Lines are counted here, and a record's bytes stay at hand until it is
//! whole: a quote that never closes must not swallow the file.

use std::{borrow::Cow, mem, ops::Range, sync::Arc};

use model::{
    Field, Name, Reason, RecordBatch, RecordHead, Rejection, Span, Value,
    limits::MAX_RECORD_BYTES,
    sheet::{self, unprotect_formulas},
};

use crate::{
    batch::{BATCH_BYTES, BATCH_FIELDS, BATCH_RECORDS},
    csv_parser::{CsvParser, Next},
    delimiter::{separator_line, sniff},
    encoding,
    error::{OpenError, ReadError},
    layout::Layout,
    naming::Naming,
    options::{Format, Header, ReaderOptions},
    text::{Text, lines, raw_text},
};

pub(crate) struct CsvRecords {
    parser: CsvParser,
    layout: Layout,
    flexible: bool,
    utf8: bool,
    row: u64,
    /// The encoding to hint at, once a row was not valid.
    hint: Option<&'static str>,
    apostrophes: Apostrophes,
}

/// What apostrophes in front of formulas are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Apostrophes {
    /// Data, like all else.
    Data,
    /// None of the values': this is a sheet of rows to be mended.
    Sheet,
    /// The same, and some were taken away since that was last asked for.
    TakenAway,
}

impl CsvRecords {
    /// Reads the header, or takes the user's columns for it. `utf8`: the text was not decoded from another encoding.
    pub(crate) fn open(
        mut text: Text,
        input: &str,
        format: Format,
        options: &ReaderOptions,
        naming: &Naming,
        utf8: bool,
    ) -> Result<Self, OpenError> {
        let by_line = separator_line(&mut text)?;
        let tab = (format == Format::Tsv).then_some(b'\t');
        let delimiter = match options.delimiter.or(by_line).or(tab) {
            Some(delimiter) => delimiter,
            None => sniff(&mut text)?,
        };
        let mut records = Self {
            parser: CsvParser::new(text, delimiter, MAX_RECORD_BYTES),
            layout: Layout {
                width: 0,
                unnamed_from: 0,
                euid: 0,
                sent: Vec::new(),
                columns: Arc::default(),
                headers: Vec::new(),
                unknown: None,
            },
            flexible: options.flexible,
            utf8,
            row: 0,
            hint: None,
            apostrophes: Apostrophes::Data,
        };
        let mut headers = match &options.header {
            Header::Absent { columns } => columns.iter().map(|name| name.trim().to_owned()).collect(),
            Header::Present => records.read_header(input)?,
        };
        // Nobody else's CSV has all of them.
        if sheet::COLUMNS.iter().all(|name| headers.iter().any(|header| header == name)) {
            records.apostrophes = Apostrophes::Sheet;
            headers = headers.iter().map(|header| unprotect_formulas(header).into_owned()).collect();
        }
        records.layout = Layout::new(input, headers, naming)?;
        Ok(records)
    }

    /// Whether apostrophes of a sheet were taken away since the last call.
    pub(crate) fn take_unprotected(&mut self) -> bool {
        let taken = self.apostrophes == Apostrophes::TakenAway;
        if taken {
            self.apostrophes = Apostrophes::Sheet;
        }
        taken
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a record follows; blank lines before it are let go of.
    pub(crate) fn has_more(&mut self) -> Result<bool, ReadError> {
        self.parser.text.skip_empty_lines()
    }

    pub(crate) fn rows(&self) -> u64 {
        self.row
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.hint.take_if(|hint| !hint.is_empty()).inspect(|_| self.hint = Some(""))
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(&self.layout.columns);
        let mut arena = mem::take(&mut batch.text).into_bytes();
        let mut used = 0;
        let more = loop {
            let full =
                batch.records.len() >= BATCH_RECORDS || batch.fields.len() >= BATCH_FIELDS || used >= BATCH_BYTES;
            // Who reads a pipe should not wait for the next rows with those that are there.
            if full || (!batch.records.is_empty() && self.parser.text.window.bytes().is_empty()) {
                break Ok(true);
            }
            match self.parser.next(&mut arena, used) {
                Ok(Next::End) => break Ok(false),
                Ok(Next::Record { bytes, fields, mut written }) => {
                    if self.apostrophes != Apostrophes::Data {
                        written = self.unprotect(&mut arena[used..used + written], fields);
                    }
                    let text = self.take_record(batch, &arena[used..used + written], used, bytes, fields);
                    arena.copy_within(used + text.start..used + text.end, used);
                    used += text.len();
                }
                Ok(Next::UnclosedQuote { opened, last }) => {
                    self.take_first_line(batch, last, &format!("unclosed quote, opened on line {opened}"));
                }
                Ok(Next::TooManyLines { last }) => {
                    let fault = format!(
                        "more than {MAX_RECORD_BYTES} bytes (1 MiB) in a record, most likely for a stray quote"
                    );
                    self.take_first_line(batch, last, &fault);
                }
                Ok(Next::TooLong) => {
                    if let Err(error) = self.take_too_long(batch) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(error),
            }
        };
        arena.truncate(used);
        batch.text = String::from_utf8(arena).unwrap_or_else(|error| unreachable_text(batch, error));
        more
    }

    /// Takes the apostrophes before formulas out of a record's fields. Returns how long its text is then.
    fn unprotect(&mut self, text: &mut [u8], fields: usize) -> usize {
        let (mut start, mut written) = (0, 0);
        for index in 0..fields {
            let end = self.parser.ends[index];
            if let Ok(Cow::Owned(field)) = std::str::from_utf8(&text[start..end]).map(unprotect_formulas) {
                text[written..written + field.len()].copy_from_slice(field.as_bytes());
                written += field.len();
                self.apostrophes = Apostrophes::TakenAway;
            } else {
                text.copy_within(start..end, written);
                written += end - start;
            }
            self.parser.ends[index] = written;
            start = end;
        }
        written
    }

    /// Adds a parsed record. Returns the part of its text that is kept: all, or where it isn't valid the EUID.
    fn take_record(
        &mut self,
        batch: &mut RecordBatch,
        text: &[u8],
        at: usize,
        bytes: usize,
        fields: usize,
    ) -> Range<usize> {
        let first_line = self.parser.text.lines.line();
        self.row += 1;
        let valid = self.is_valid(text, fields);
        let fault = self.fault(text, valid, bytes, fields, first_line);
        let field = |index: usize| {
            let start = if index == 0 { 0 } else { self.parser.ends[index - 1] };
            (index < fields).then(|| start..self.parser.ends[index])
        };
        let euid = field(self.layout.euid).filter(|euid| valid || std::str::from_utf8(&text[euid.clone()]).is_ok());
        let kept = if valid { 0..text.len() } else { euid.clone().unwrap_or(0..0) };
        let value = |range: Option<Range<usize>>| match range {
            Some(range) => Value::Text(Span {
                start: (at + range.start - kept.start) as u32,
                end: (at + range.end - kept.start) as u32,
            }),
            None => Value::Missing,
        };
        let first_field = batch.fields.len() as u32;
        if fault.is_none() {
            let sent = self.layout.sent.iter();
            batch
                .fields
                .extend(sent.map(|(index, column)| Field { name: Name::Column(*column), value: value(field(*index)) }));
        }
        batch.records.push(RecordHead {
            row: self.row,
            line: first_line,
            euid: value(euid),
            fields: first_field..batch.fields.len() as u32,
            raw: fault.is_some().then(|| raw_text(&self.parser.text.window.bytes()[..bytes])),
            fault: fault.map(Box::new),
        });
        self.parser.text.pass(bytes);
        kept
    }

    /// Whether all text is UTF-8 and the fields that matter begin and end between characters.
    fn is_valid(&self, text: &[u8], fields: usize) -> bool {
        let Ok(text) = std::str::from_utf8(text) else { return false };
        let sent = self.layout.sent.iter().map(|(index, _)| *index);
        sent.chain([self.layout.euid]).filter(|index| *index < fields).all(|index| {
            text.is_char_boundary(self.parser.ends[index])
                && (index == 0 || text.is_char_boundary(self.parser.ends[index - 1]))
        })
    }

    /// What is wrong with a parsed record, if anything.
    fn fault(&mut self, text: &[u8], valid: bool, bytes: usize, fields: usize, first_line: u64) -> Option<Rejection> {
        let width = self.layout.width;
        if fields != width && !(self.flexible && self.extra_fields_are_empty(fields)) {
            let mut end = self.parser.text.lines.clone();
            end.pass(text_without_end(&self.parser.text.window.bytes()[..bytes]));
            let place = lines(first_line, end.line());
            let advice = if fields < width {
                "the row may have been cut short; `--flexible` takes missing fields as empty"
            } else {
                "a value that holds the delimiter needs quotes"
            };
            let plural = if fields == 1 { "field" } else { "fields" };
            return Some(Rejection::new(
                Reason::MalformedRow,
                format!("{place}: {fields} {plural} where the header has {width}: {advice}"),
            ));
        }
        if let Some(index) = (self.layout.unnamed_from..fields.min(width)).find(|index| !self.is_blank(text, *index)) {
            return Some(Rejection::new(
                Reason::MalformedRow,
                format!("line {first_line}: column {} has a value and no name in the header", index + 1),
            ));
        }
        if valid { None } else { Some(self.invalid(text, bytes, fields)) }
    }

    fn extra_fields_are_empty(&self, fields: usize) -> bool {
        (self.layout.width..fields).all(|index| self.parser.ends[index] == self.parser.ends[index.saturating_sub(1)])
    }

    fn is_blank(&self, text: &[u8], index: usize) -> bool {
        let start = if index == 0 { 0 } else { self.parser.ends[index - 1] };
        text[start..self.parser.ends[index]].trim_ascii().is_empty()
    }

    fn invalid(&mut self, text: &[u8], bytes: usize, fields: usize) -> Rejection {
        let mut start = 0;
        for index in 0..fields {
            let field = &text[start..self.parser.ends[index]];
            start = self.parser.ends[index];
            if let Err(error) = std::str::from_utf8(field) {
                let column = self.layout.describe(index);
                if !self.utf8 {
                    return Rejection::new(
                        Reason::EncodingInvalid,
                        format!("{column} has bytes that are not valid in this encoding: check `--encoding`"),
                    );
                }
                let likely = encoding::likely(&self.parser.text.window.bytes()[..bytes]);
                self.hint.get_or_insert(likely);
                let byte = field[error.valid_up_to()];
                return Rejection::new(
                    Reason::EncodingInvalid,
                    format!(
                        "{column} has the byte 0x{byte:02X}, which is not valid UTF-8: name the file's encoding, most likely `--encoding {likely}`"
                    ),
                );
            }
        }
        Rejection::new(
            Reason::EncodingInvalid,
            "the row is not valid UTF-8: name the file's encoding with `--encoding`",
        )
    }

    /// Takes the first line of a record that would go on up to a far line, and goes on behind it.
    fn take_first_line(&mut self, batch: &mut RecordBatch, last: u64, fault: &str) {
        self.parser.give_up();
        let length = self.parser.text.line_length(0).unwrap_or(self.parser.text.window.bytes().len());
        let line = self.parser.text.lines.line();
        let message = format!(
            "{fault}: it would have swallowed {}; this line alone is rejected and reading goes on with the next",
            lines(line, last)
        );
        self.push_unread(batch, Rejection::new(Reason::MalformedRow, message), length);
        self.parser.text.pass(length);
    }

    fn take_too_long(&mut self, batch: &mut RecordBatch) -> Result<(), ReadError> {
        self.parser.give_up();
        let line = self.parser.text.lines.line();
        let shown = self.parser.text.window.bytes().len().min(MAX_RECORD_BYTES);
        let raw = raw_text(&self.parser.text.window.bytes()[..shown]);
        self.parser.text.pass(MAX_RECORD_BYTES);
        let bytes = MAX_RECORD_BYTES as u64 + self.parser.text.skip_line()?;
        let place = lines(line, self.parser.text.lines.line());
        let message = format!("{place}: the record has {bytes} bytes, more than {MAX_RECORD_BYTES} (1 MiB)");
        self.push_head(batch, Rejection::new(Reason::MalformedRow, message), line, raw);
        Ok(())
    }

    fn push_unread(&mut self, batch: &mut RecordBatch, fault: Rejection, bytes: usize) {
        let raw = raw_text(&self.parser.text.window.bytes()[..bytes]);
        self.push_head(batch, fault, self.parser.text.lines.line(), raw);
    }

    fn push_head(&mut self, batch: &mut RecordBatch, fault: Rejection, line: u64, raw: Box<str>) {
        self.row += 1;
        let fields = batch.fields.len() as u32;
        batch.records.push(RecordHead {
            row: self.row,
            line,
            fault: Some(Box::new(fault)),
            euid: Value::Missing,
            fields: fields..fields,
            raw: Some(raw),
        });
    }

    fn read_header(&mut self, input: &str) -> Result<Vec<String>, OpenError> {
        let header_fault = |fault: String| OpenError::Header { input: input.to_owned(), fault };
        let mut arena = Vec::new();
        match self.parser.next(&mut arena, 0)? {
            Next::End => Err(OpenError::Empty(input.to_owned())),
            Next::UnclosedQuote { .. } => Err(header_fault("a quote in it is never closed".to_owned())),
            Next::TooLong | Next::TooManyLines { .. } => Err(header_fault("it is longer than 1 MiB".to_owned())),
            Next::Record { bytes, fields, .. } => {
                let mut start = 0;
                let mut headers = Vec::with_capacity(fields);
                for end in &self.parser.ends[..fields] {
                    let Ok(header) = std::str::from_utf8(&arena[start..*end]) else {
                        let likely = encoding::likely(&self.parser.text.window.bytes()[..bytes]);
                        let fault = format!(
                            "column {} is not valid in this encoding, most likely `--encoding {likely}`",
                            headers.len() + 1
                        );
                        return Err(header_fault(fault));
                    };
                    headers.push(header.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned());
                    start = *end;
                }
                self.parser.text.pass(bytes);
                Ok(headers)
            }
        }
    }
}

/// All that goes into the arena was checked; should a check be wrong one day, nothing is sent from that batch.
fn unreachable_text(batch: &mut RecordBatch, error: std::string::FromUtf8Error) -> String {
    for head in &mut batch.records {
        head.euid = Value::Missing;
        head.fields = 0..0;
        head.fault.get_or_insert_with(|| {
            Box::new(Rejection::new(Reason::EncodingInvalid, "the row stands among bytes that are not valid UTF-8"))
        });
    }
    drop(error);
    String::new()
}

fn text_without_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &bytes[..end]
}
