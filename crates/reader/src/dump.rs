//! Records of what databases dump: a backslash escapes, and a line feed that isn't escaped always ends the record. Lines end
//! as the first one does, with LF or CRLF; a CR elsewhere is part of a value, which `mysql --batch` doesn't escape. What
//! ends otherwise is no record: nobody knows whether that is a value's.

use std::fmt::{self, Display};

use crate::{
    csv_parser::{CsvParser, Next},
    error::ReadError,
};

/// How a dump is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dump {
    /// A field may stand in quotes.
    quotes: bool,
    /// Whether lines end with CRLF, once one has ended.
    crlf: Option<bool>,
    /// Where they do, the line before ended with a line feed alone, and what comes next may be the rest of it.
    is_torn: bool,
    /// How much of a record that is too long was gone over.
    passed: usize,
}

/// What is wrong with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DumpFault {
    /// A backslash before this letter or digit.
    NoEscape(char),
    /// A backslash with nothing behind it.
    EscapesNothing,
    /// A quote that is open at the end of the line.
    Unclosed,
    /// Text between a closing quote and the next delimiter.
    BehindQuote,
    /// The last line has no end.
    Unterminated,
    /// The line ends with CRLF, and the first one with LF.
    CarriageReturn,
    /// The line, or the one before, ends with LF, and the first one with CRLF.
    LineFeedAlone,
}

impl Display for DumpFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEscape(letter) => {
                write!(f, "\\{letter} is no escape that a dump has: are its backslashes data? (`--escape none`)")
            }
            Self::EscapesNothing => f.write_str("a backslash at its end escapes nothing: it was cut short"),
            Self::Unclosed => f.write_str("unclosed quote: a line end within a value is escaped in a dump"),
            Self::BehindQuote => f.write_str("text behind a closing quote"),
            Self::Unterminated => {
                f.write_str("the last line has no line end, which each line of a dump has: it may have been cut short")
            }
            Self::CarriageReturn => f.write_str(
                "a carriage return before the line end, where the first line has none: is it the value's, or do lines end in two \
                 ways? Let all end alike, or dump a column last that doesn't end so",
            ),
            Self::LineFeedAlone => f.write_str(
                "a line feed without a carriage return, where the first line has both: is it a value's, or do lines end in two \
                 ways? Let all end alike, with LF",
            ),
        }
    }
}

impl Dump {
    /// Of a dump no line of which was read.
    pub(crate) fn new(quotes: bool) -> Self {
        Self { quotes, crlf: None, is_torn: false, passed: 0 }
    }

    /// Takes note of how a line ends. Returns what is wrong with it, if that isn't as the first one did.
    fn end_line(&mut self, has_cr: bool) -> Option<DumpFault> {
        let expects_cr = *self.crlf.get_or_insert(has_cr);
        let was_torn = std::mem::replace(&mut self.is_torn, expects_cr && !has_cr);
        match (expects_cr, has_cr) {
            (true, has_cr) => (!has_cr || was_torn).then_some(DumpFault::LineFeedAlone),
            (false, true) => Some(DumpFault::CarriageReturn),
            (false, false) => None,
        }
    }
}

/// Looks for the line feed that ends a record.
#[derive(Default)]
struct Scan {
    /// How far it came; never between a backslash and what it escapes.
    at: usize,
    /// The byte that was escaped last.
    escaped: Option<usize>,
}

impl Scan {
    /// Where it stands.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(rest) = bytes.get(self.at..) {
            let Some(next) = memchr::memchr2(b'\n', b'\\', rest) else {
                self.at = bytes.len();
                return None;
            };
            self.at += next;
            if bytes[self.at] == b'\n' {
                return Some(self.at);
            }
            if self.at + 1 == bytes.len() {
                return None;
            }
            self.escaped = Some(self.at + 1);
            self.at += 2;
        }
        None
    }

    /// Whether a CR that isn't escaped stands before it.
    fn has_cr(&self, bytes: &[u8], end: usize) -> bool {
        end > 0 && bytes[end - 1] == b'\r' && self.escaped != Some(end - 1)
    }
}

impl CsvParser {
    /// The next record of a dump.
    pub(crate) fn next_of_dump(&mut self, mut dump: Dump, arena: &mut Vec<u8>, used: usize) -> Result<Next, ReadError> {
        if !self.skip_empty_lines_of_dump(&mut dump)? {
            return Ok(Next::End);
        }
        let mut scan = Scan::default();
        let (mut end, mut is_terminated) = (None, true);
        while end.is_none() && scan.at <= self.longest + 1 {
            end = scan.end(self.text.window.bytes());
            if end.is_none() && !self.text.fill()? {
                is_terminated = false;
                end = Some(self.text.window.bytes().len());
            }
        }
        dump.passed = scan.at;
        self.dump = Some(dump);
        let Some(end) = end.filter(|end| *end <= self.longest + 1) else { return Ok(Next::TooLong) };
        let has_cr = is_terminated && scan.has_cr(self.text.window.bytes(), end);
        let record = &self.text.window.bytes()[..end - usize::from(has_cr)];
        if record.len() > self.longest {
            return Ok(Next::TooLong);
        }
        let fault = if is_terminated { dump.end_line(has_cr) } else { None };
        self.dump = Some(dump);
        let bytes = end + usize::from(is_terminated);
        if let Some(fault) = fault {
            return Ok(Next::Malformed { bytes, column: None, fault });
        }
        let mut fields = Fields { rest: record, delimiter: self.delimiter, dump, count: 0 };
        arena.truncate(used);
        loop {
            let more = fields.take(arena);
            if self.ends.len() <= fields.count {
                self.ends.resize(fields.count * 2 + 1, 0);
            }
            match more {
                Err(fault) => return Ok(Next::Malformed { bytes, column: Some(fields.count), fault }),
                Ok(more) => {
                    self.ends[fields.count] = arena.len() - used;
                    fields.count += 1;
                    if !more {
                        break;
                    }
                }
            }
        }
        if !is_terminated {
            let fault = DumpFault::Unterminated;
            return Ok(Next::Malformed { bytes, column: Some(fields.count - 1), fault });
        }
        Ok(Next::Record { bytes, fields: fields.count, written: arena.len() - used })
    }

    /// Lets go of blank lines before a record of a dump. Before the first record they say nothing of line ends.
    pub(crate) fn skip_empty_lines_of_dump(&mut self, dump: &mut Dump) -> Result<bool, ReadError> {
        loop {
            let blank = match self.text.window.bytes() {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [] | [b'\r'] => {
                    if !self.text.fill()? {
                        return Ok(!self.text.window.bytes().is_empty());
                    }
                    continue;
                }
                _ => return Ok(true),
            };
            dump.is_torn = dump.crlf == Some(true) && blank == 1;
            self.dump = Some(*dump);
            self.text.pass(blank);
        }
    }

    /// Lets go of a record of a dump that is too long, with its line end. Returns its bytes without that, and its last line.
    pub(crate) fn skip_record_of_dump(&mut self, mut dump: Dump) -> Result<(u64, u64), ReadError> {
        let (mut bytes, mut last) = (0, None);
        let mut scan = Scan { at: dump.passed, escaped: None };
        loop {
            let end = scan.end(self.text.window.bytes());
            let passed = end.unwrap_or(scan.at);
            last = self.text.window.bytes()[..passed].last().copied().or(last);
            self.text.pass(passed);
            bytes += passed as u64;
            scan = Scan::default();
            let is_over = end.is_none() && !self.text.fill()?;
            if is_over {
                let rest = self.text.window.bytes().len();
                self.text.pass(rest);
                bytes += rest as u64;
            }
            let line = self.text.lines.line();
            if end.is_some() {
                dump.end_line(last == Some(b'\r'));
                self.dump = Some(dump);
                self.text.pass(1);
            }
            if is_over || end.is_some() {
                return Ok((bytes, line));
            }
        }
    }
}

/// The fields of a record, one by one.
struct Fields<'r> {
    rest: &'r [u8],
    delimiter: u8,
    dump: Dump,
    count: usize,
}

impl Fields<'_> {
    /// Adds the next field's text. Returns whether a further one follows.
    fn take(&mut self, text: &mut Vec<u8>) -> Result<bool, DumpFault> {
        if self.dump.quotes && self.rest.first() == Some(&b'"') {
            self.rest = &self.rest[1..];
            return self.take_quoted(text);
        }
        // A null is empty, as in JSON.
        if let Some(behind) = self.rest.strip_prefix(b"\\N")
            && behind.first().is_none_or(|next| *next == self.delimiter)
        {
            self.rest = behind;
        }
        loop {
            let Some(next) = memchr::memchr2(self.delimiter, b'\\', self.rest) else {
                text.extend_from_slice(self.rest);
                self.rest = &[];
                return Ok(false);
            };
            let byte = self.rest[next];
            text.extend_from_slice(&self.rest[..next]);
            self.rest = &self.rest[next + 1..];
            if byte == self.delimiter {
                return Ok(true);
            }
            text.push(self.escaped()?);
        }
    }

    fn take_quoted(&mut self, text: &mut Vec<u8>) -> Result<bool, DumpFault> {
        loop {
            let Some(next) = memchr::memchr2(b'"', b'\\', self.rest) else { return Err(DumpFault::Unclosed) };
            let byte = self.rest[next];
            text.extend_from_slice(&self.rest[..next]);
            self.rest = &self.rest[next + 1..];
            if byte == b'\\' {
                text.push(self.escaped()?);
                continue;
            }
            match self.rest.split_first() {
                None => return Ok(false),
                Some((b'"', rest)) => {
                    text.push(b'"');
                    self.rest = rest;
                }
                Some((next, rest)) if *next == self.delimiter => {
                    self.rest = rest;
                    return Ok(true);
                }
                Some(_) => return Err(DumpFault::BehindQuote),
            }
        }
    }

    /// What the byte behind a backslash stands for. Where a letter or digit has no meaning, readers of dumps differ.
    fn escaped(&mut self) -> Result<u8, DumpFault> {
        let Some((byte, rest)) = self.rest.split_first() else { return Err(DumpFault::EscapesNothing) };
        self.rest = rest;
        Ok(match byte {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'0' => 0,
            b'b' => 8,
            b'f' => 12,
            b'v' => 11,
            b'Z' => 26,
            other if other.is_ascii_alphanumeric() => return Err(DumpFault::NoEscape(char::from(*other))),
            other => *other,
        })
    }
}
