//! Where the records of delimited text begin and end, and what their fields are: over `csv_core`, whose record may go on
//! for ever where a quote stays open.

use std::ops::Range;

use csv_core::ReadRecordResult;

use crate::{
    dump::{Dump, DumpFault},
    error::ReadError,
    quotes::{QuoteScan, is_open_behind},
    text::Text,
};

/// What is parsed at once has at least so much room.
const ROOM: usize = 512;

/// Parses record by record. The bytes of a record stay in the window until who asked for it lets go of them.
pub(crate) struct CsvParser {
    pub(crate) text: Text,
    /// Ends of the current record's fields, within its part of the arena.
    pub(crate) ends: Vec<usize>,
    core: csv_core::Reader,
    pub(crate) delimiter: u8,
    quotes: QuoteScan,
    /// A field may stand in quotes; else these are data.
    has_quotes: bool,
    /// Longest record, in bytes.
    pub(crate) longest: usize,
    /// It is a dump, which is read in another way.
    pub(crate) dump: Option<Dump>,
    /// All bytes ever parsed.
    #[cfg(test)]
    work: u64,
}

/// What stands at the front of the window.
pub(crate) enum Next {
    /// A record of so many bytes in the window.
    Record { bytes: usize, fields: usize, written: usize },
    /// A quoted field, opened on this line, that never closes and would take all up to that line.
    UnclosedQuote { opened: u64, last: u64 },
    /// A record whose first line is too long.
    TooLong,
    /// A record that is too long, over several lines, and stands outside quotes where it gets so; up to that line.
    TooManyLines { last: u64 },
    /// A record of a dump of so many bytes, and what is wrong with it, or from a column on.
    Malformed { bytes: usize, column: Option<usize>, fault: DumpFault },
    /// Nothing.
    End,
}

/// How the first line of the window ends.
enum FirstLine {
    /// With a line end, so many bytes with its first byte.
    Ended(usize),
    /// With the input, so many bytes.
    Last(usize),
    /// Not within the length of a record.
    TooLong,
}

/// Where a record ends that stands within quotes at the end of its first line.
enum RecordEnd {
    /// Behind so many bytes.
    At(usize),
    /// Not within the length of a record, and not for an open quote.
    TooFar,
    /// A quote stays open as far as a record can go, or up to the end of the input.
    Nowhere,
}

/// How far a record is parsed.
#[derive(Debug, Clone, Copy, Default)]
struct Parsed {
    bytes: usize,
    fields: usize,
    /// Bytes in the arena.
    written: usize,
    whole: bool,
}

impl Parsed {
    fn record(self) -> Next {
        Next::Record { bytes: self.bytes, fields: self.fields, written: self.written }
    }
}

impl CsvParser {
    /// A parser of records of at most so many bytes.
    pub(crate) fn new(text: Text, delimiter: u8, has_quotes: bool, longest: usize) -> Self {
        let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter).quoting(has_quotes).build();
        begin(&mut core);
        Self {
            text,
            ends: vec![0; 64],
            core,
            delimiter,
            quotes: QuoteScan::new(delimiter),
            has_quotes,
            longest,
            dump: None,
            #[cfg(test)]
            work: 0,
        }
    }

    /// Lets go of empty lines. False where nothing follows.
    pub(crate) fn skip_empty_lines(&mut self) -> Result<bool, ReadError> {
        match self.dump {
            Some(mut dump) => self.skip_empty_lines_of_dump(&mut dump),
            None => self.text.skip_empty_lines(),
        }
    }

    /// Lets go of a record that is too long, up to the next line end. Returns its bytes, and its last line.
    pub(crate) fn skip_too_long(&mut self) -> Result<(u64, u64), ReadError> {
        if let Some(dump) = self.dump {
            return self.skip_record_of_dump(dump);
        }
        self.give_up();
        self.text.pass(self.longest);
        let bytes = self.longest as u64 + self.text.skip_line()?;
        Ok((bytes, self.text.lines.line()))
    }

    /// Parses the next record into the arena, from `used` on. Its bytes stay in the window. Each byte is parsed once: a
    /// record that goes on behind its first line is parsed further only where it is known to end.
    pub(crate) fn next(&mut self, arena: &mut Vec<u8>, used: usize) -> Result<Next, ReadError> {
        if let Some(dump) = self.dump {
            return self.next_of_dump(dump, arena, used);
        }
        if !self.text.skip_empty_lines()? {
            return Ok(Next::End);
        }
        let mut parsed = Parsed::default();
        let line = self.text.lines.line();
        let end = match self.first_line()? {
            FirstLine::TooLong => return Ok(Next::TooLong),
            FirstLine::Last(length)
                if self.has_quotes && is_open_behind(self.delimiter, &self.text.window.bytes()[..length]) =>
            {
                return Ok(Next::UnclosedQuote { opened: line, last: line });
            }
            FirstLine::Last(length) => length,
            FirstLine::Ended(length) => {
                self.parse(&mut parsed, length, arena, used);
                if parsed.whole {
                    return Ok(parsed.record());
                }
                match self.end_of_record(length)? {
                    RecordEnd::At(end) => end,
                    RecordEnd::TooFar => return Ok(Next::TooManyLines { last: self.quotes.last_line() }),
                    RecordEnd::Nowhere => {
                        let line_end = self.text.passed() + length as u64;
                        let opened = self.quotes.opened_behind(line_end).unwrap_or(line);
                        return Ok(Next::UnclosedQuote { opened, last: self.quotes.last_line() });
                    }
                }
            }
        };
        self.parse(&mut parsed, end, arena, used);
        if !parsed.whole {
            // Nothing tells the parser that the input is over, as an empty slice.
            self.parse_slice(&mut parsed, end..end, arena, used);
        }
        Ok(parsed.record())
    }

    /// The first line of the window, with the byte that ends it.
    fn first_line(&mut self) -> Result<FirstLine, ReadError> {
        let mut seen = 0;
        loop {
            let all = self.text.window.bytes().len();
            match self.text.line_length(seen) {
                Some(length) if length <= self.longest => return Ok(FirstLine::Ended(length + 1)),
                Some(_) => return Ok(FirstLine::TooLong),
                None if all > self.longest => return Ok(FirstLine::TooLong),
                None => seen = all,
            }
            if !self.text.fill()? {
                return Ok(FirstLine::Last(all));
            }
        }
    }

    /// Where the record ends whose first line has so many bytes and ends within quotes.
    fn end_of_record(&mut self, first_line: usize) -> Result<RecordEnd, ReadError> {
        let start = self.text.passed();
        let line_end = start + first_line as u64;
        if !self.quotes.covers(line_end) {
            let mut lines = self.text.lines.clone();
            lines.pass(&self.text.window.bytes()[..first_line]);
            self.quotes.start(line_end, lines);
        }
        loop {
            if let Some(end) = self.quotes.end() {
                return Ok(RecordEnd::At((end - start) as usize));
            }
            let scanned = (self.quotes.at() - start) as usize;
            if scanned > self.longest {
                return Ok(if self.quotes.is_open(false) { RecordEnd::Nowhere } else { RecordEnd::TooFar });
            }
            let bytes = self.text.window.bytes();
            let end = bytes.len().min(self.longest + 1);
            if scanned < end {
                self.quotes.read(&bytes[scanned..end]);
            } else if !self.text.fill()? {
                return Ok(if self.quotes.is_open(true) { RecordEnd::Nowhere } else { RecordEnd::At(end) });
            }
        }
    }

    /// Parses on up to a place in the window, or to the record's end.
    fn parse(&mut self, parsed: &mut Parsed, end: usize, arena: &mut Vec<u8>, used: usize) {
        while !parsed.whole && parsed.bytes < end {
            self.parse_slice(parsed, parsed.bytes..end, arena, used);
        }
    }

    fn parse_slice(&mut self, parsed: &mut Parsed, slice: Range<usize>, arena: &mut Vec<u8>, used: usize) {
        loop {
            let needed = used + parsed.written + ROOM;
            if arena.len() < needed {
                arena.resize(needed * 2, 0);
            }
            let input = &self.text.window.bytes()[slice.start.max(parsed.bytes)..slice.end];
            let (result, read, wrote, ended) =
                self.core.read_record(input, &mut arena[used + parsed.written..], &mut self.ends[parsed.fields..]);
            parsed.bytes += read;
            parsed.written += wrote;
            parsed.fields += ended;
            #[cfg(test)]
            {
                self.work += read as u64;
            }
            match result {
                ReadRecordResult::OutputFull => {}
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::InputEmpty => return,
                ReadRecordResult::Record | ReadRecordResult::End => {
                    parsed.whole = true;
                    return;
                }
            }
        }
    }

    /// Has the parser forget the record it stands in.
    pub(crate) fn give_up(&mut self) {
        self.core.reset();
        begin(&mut self.core);
    }
}

/// Has a new parser read a record, since it takes a byte order mark off the very first.
fn begin(core: &mut csv_core::Reader) {
    let _ = core.read_record(b"x\n", &mut [0; 16], &mut [0; 16]);
}

#[cfg(test)]
mod tests;
