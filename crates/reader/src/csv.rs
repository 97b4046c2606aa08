//! Records of delimited text: plain rows by the run, all others over `csv_core`. Lines are counted here, and a record's bytes
//! stay at hand until it is whole: a quote that never closes must not swallow the file.

mod escapes;
mod faults;
mod header;
mod unread;

use std::{borrow::Cow, mem, sync::Arc};

use model::{
    RecordBatch, RecordHead, Span, Value,
    limits::MAX_RECORD_BYTES,
    sheet::{self, unprotect_formulas, unprotect_id},
};

use self::{
    escapes::{Escaped, first_escape},
    header::refuse_key_of_sheet,
};
use crate::{
    batch::{BATCH_BYTES, BATCH_FIELDS, BATCH_RECORDS},
    csv_parser::{CsvParser, Next},
    delimiter::{separator_line, sniff},
    dump::Dump,
    error::{OpenError, ReadError},
    layout::Layout,
    naming::Naming,
    options::{Escapes, Format, Header, Quotes, ReaderOptions, RowKey},
    plain::{Enough, PlainRows},
    text::{Text, raw_text},
    window::LineCounter,
};

pub(crate) struct CsvRecords {
    parser: CsvParser,
    /// Where plain rows may come.
    plain: Option<PlainRows>,
    /// A record as it was parsed.
    parsed: Vec<u8>,
    #[cfg(test)]
    taken_by_the_run: usize,
    layout: Layout,
    flexible: bool,
    utf8: bool,
    row: u64,
    /// The encoding to hint at, once a row was not valid.
    hint: Option<&'static str>,
    apostrophes: Apostrophes,
    /// The key is an id of a sheet's, which stands behind an apostrophe.
    has_protected_ids: bool,
    escapes: Escaped,
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
        let quotes = options.quotes() == Quotes::Double;
        let escapes = options.escapes == Some(Escapes::Backslash);
        let dump = escapes.then(|| Dump::new(quotes));
        if escapes {
            text.lines = LineCounter::of_line_feeds();
        }
        // Rows are no header, and values hold commas.
        let rows_alone = escapes && options.header != Header::Present;
        let by_line = if rows_alone { None } else { separator_line(&mut text)? };
        let tab = (format == Format::Tsv || rows_alone).then_some(b'\t');
        let delimiter = match options.delimiter.or(by_line).or(tab) {
            Some(delimiter) => delimiter,
            None => sniff(&mut text, quotes)?,
        };
        let mut records = Self {
            parser: CsvParser::new(text, delimiter, quotes, MAX_RECORD_BYTES),
            plain: None,
            parsed: Vec::new(),
            #[cfg(test)]
            taken_by_the_run: 0,
            layout: Layout {
                width: 0,
                unnamed_from: 0,
                key: 0,
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
            has_protected_ids: false,
            escapes: if options.escapes.is_none() { Escaped::Watched } else { Escaped::Settled },
        };
        records.parser.dump = dump;
        let mut headers = match &options.header {
            Header::Absent { columns } => columns.iter().map(|name| name.trim().to_owned()).collect(),
            Header::Present => records.read_header(input)?,
        };
        if sheet::is_sheet(&headers) {
            refuse_key_of_sheet(input, &headers, naming)?;
            records.apostrophes = Apostrophes::Sheet;
            records.escapes = Escaped::Settled;
            records.has_protected_ids = naming.key() != RowKey::Euid;
            headers = headers.iter().map(|header| unprotect_formulas(header).into_owned()).collect();
        }
        records.layout = Layout::new(input, headers, naming)?;
        // The rows of a sheet may have to be changed.
        if records.apostrophes == Apostrophes::Data && dump.is_none() {
            records.plain = PlainRows::new(delimiter, quotes, records.layout.width, MAX_RECORD_BYTES);
        }
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

    /// Whether apostrophes in front of formulas are none of the values'.
    pub(crate) fn is_sheet(&self) -> bool {
        self.apostrophes != Apostrophes::Data
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether a record follows; blank lines before it are let go of.
    pub(crate) fn has_more(&mut self) -> Result<bool, ReadError> {
        self.parser.skip_empty_lines()
    }

    pub(crate) fn close(&mut self) {
        self.parser.text.close();
    }

    pub(crate) fn rows(&self) -> u64 {
        self.row
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.hint.take_if(|hint| !hint.is_empty()).inspect(|_| self.hint = Some(""))
    }

    /// The line of the first backslash that looks like a dump's escape, once.
    pub(crate) fn take_escape(&mut self) -> Option<u64> {
        let Escaped::Seen(line) = self.escapes else { return None };
        self.escapes = Escaped::Told;
        Some(line)
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        let more = self.fill_with_records(batch);
        if self.escapes == Escaped::Watched
            && let Some(line) = first_escape(batch)
        {
            self.escapes = Escaped::Seen(line);
        }
        more
    }

    fn fill_with_records(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(&self.layout.columns);
        batch.is_table = true;
        loop {
            if self.is_enough(batch) {
                return Ok(true);
            }
            self.take_plain(batch);
            if self.is_enough(batch) {
                return Ok(true);
            }
            let mut parsed = mem::take(&mut self.parsed);
            let more = self.take_next(batch, &mut parsed);
            self.parsed = parsed;
            if !more? {
                return Ok(false);
            }
        }
    }

    /// Whether a batch is handed on: it is full, or holds all there is. Who reads a pipe should not wait for the next rows
    /// with those that are there.
    fn is_enough(&self, batch: &RecordBatch) -> bool {
        batch.records.len() >= BATCH_RECORDS
            || batch.cells.len() >= BATCH_FIELDS
            || batch.text.len() >= BATCH_BYTES
            || (!batch.records.is_empty() && self.parser.text.window.bytes().is_empty())
    }

    /// Adds the plain rows that come next in the window. Their text is checked and taken as a whole.
    fn take_plain(&mut self, batch: &mut RecordBatch) {
        let Some(plain) = &mut self.plain else { return };
        let text = &mut self.parser.text;
        text.pass_empty_lines();
        let (bytes, line) = (text.window.bytes(), text.lines.line());
        let (records_before, cells_before, text_before) = (batch.records.len(), batch.cells.len(), batch.text.len());
        let rows_for_fields = (BATCH_FIELDS - cells_before).div_ceil(self.layout.sent.len().max(1));
        let rows = rows_for_fields.min(BATCH_RECORDS - records_before);
        let run = plain.scan(bytes, Enough { rows, bytes: BATCH_BYTES - text_before }, |fields, lines_before| {
            if fields[self.layout.unnamed_from..].iter().any(|field| field.start < field.end) {
                return false;
            }
            let cell = |index: usize| Span {
                start: (text_before + fields[index].start) as u32,
                end: (text_before + fields[index].end) as u32,
            };
            let first_cell = batch.cells.len() as u32;
            batch.cells.extend(self.layout.sent.iter().map(|(index, _)| cell(*index)));
            self.row += 1;
            batch.records.push(RecordHead {
                row: self.row,
                line: line + lines_before,
                fault: None,
                euid: Value::Text(cell(self.layout.key)),
                fields: first_cell..batch.cells.len() as u32,
                raw: None,
            });
            true
        });
        // Each row was found valid.
        let Ok(taken) = std::str::from_utf8(&bytes[..run.bytes]) else {
            self.row -= (batch.records.len() - records_before) as u64;
            batch.records.truncate(records_before);
            batch.cells.truncate(cells_before);
            return;
        };
        #[cfg(test)]
        {
            self.taken_by_the_run += batch.records.len() - records_before;
        }
        batch.text.push_str(taken);
        text.pass_lines(run.bytes, run.lines);
    }

    /// Adds the next record, whatever it is. False at the end of the input.
    fn take_next(&mut self, batch: &mut RecordBatch, parsed: &mut Vec<u8>) -> Result<bool, ReadError> {
        match self.parser.next(parsed, 0)? {
            Next::End => return Ok(false),
            Next::Record { bytes, fields, mut written } => {
                if self.apostrophes != Apostrophes::Data {
                    written = self.unprotect(&mut parsed[..written], fields);
                }
                self.take_record(batch, &parsed[..written], bytes, fields);
            }
            Next::UnclosedQuote { opened, last } => {
                self.take_first_line(batch, last, &format!("unclosed quote, opened on line {opened}"));
            }
            Next::TooManyLines { last } => {
                let fault =
                    format!("more than {MAX_RECORD_BYTES} bytes (1 MiB) in a record, most likely for a stray quote");
                self.take_first_line(batch, last, &fault);
            }
            Next::Malformed { bytes, column, fault } => self.take_malformed(batch, bytes, column, fault),
            Next::TooLong => self.take_too_long(batch)?,
        }
        Ok(true)
    }

    /// Takes the apostrophes before formulas and ids out of a record's fields. Returns how long its text is then.
    fn unprotect(&mut self, text: &mut [u8], fields: usize) -> usize {
        let (mut start, mut written) = (0, 0);
        for index in 0..fields {
            let end = self.parser.ends[index];
            let is_id = self.has_protected_ids && index == self.layout.key;
            let unprotect = if is_id { unprotect_id } else { unprotect_formulas };
            if let Ok(Cow::Owned(field)) = std::str::from_utf8(&text[start..end]).map(unprotect) {
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

    /// Adds a parsed record. All of its text is kept, or where it isn't valid the EUID.
    fn take_record(&mut self, batch: &mut RecordBatch, text: &[u8], bytes: usize, fields: usize) {
        let first_line = self.parser.text.lines.line();
        self.row += 1;
        let valid = self.valid(text, fields);
        let fault = self.fault(text, valid.is_some(), bytes, fields, first_line);
        let field = |index: usize| {
            let start = if index == 0 { 0 } else { self.parser.ends[index - 1] };
            (index < fields).then(|| start..self.parser.ends[index])
        };
        let at = batch.text.len();
        let cell = |start: usize, end: usize| Span { start: (at + start) as u32, end: (at + end) as u32 };
        let mut euid = Value::Missing;
        if let Some(range) = field(self.layout.key) {
            if valid.is_some() {
                euid = Value::Text(cell(range.start, range.end));
            } else if let Ok(alone) = std::str::from_utf8(&text[range]) {
                batch.text.push_str(alone);
                euid = Value::Text(cell(0, alone.len()));
            }
        }
        batch.text.push_str(valid.unwrap_or_default());
        let first_cell = batch.cells.len() as u32;
        if fault.is_none() {
            let sent = self.layout.sent.iter().map(|(index, _)| field(*index));
            batch.cells.extend(sent.map(|range| range.map_or(Span::MISSING, |range| cell(range.start, range.end))));
        }
        batch.records.push(RecordHead {
            row: self.row,
            line: first_line,
            euid,
            fields: first_cell..batch.cells.len() as u32,
            raw: fault.is_some().then(|| raw_text(&self.parser.text.window.bytes()[..bytes])),
            fault: fault.map(Box::new),
        });
        self.parser.text.pass(bytes);
    }

    /// The text of a record, where all of it is UTF-8 and the fields that matter begin and end between characters.
    fn valid<'t>(&self, text: &'t [u8], fields: usize) -> Option<&'t str> {
        let text = std::str::from_utf8(text).ok()?;
        let sent = self.layout.sent.iter().map(|(index, _)| *index);
        let all = sent.chain([self.layout.key]).filter(|index| *index < fields).all(|index| {
            text.is_char_boundary(self.parser.ends[index])
                && (index == 0 || text.is_char_boundary(self.parser.ends[index - 1]))
        });
        all.then_some(text)
    }
}

#[cfg(test)]
mod tests;
