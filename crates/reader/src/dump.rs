//! Records of what databases dump: a backslash escapes, or nothing does, and a line end that isn't escaped always ends the
//! record. Lines end as the first one does, with LF or CRLF; a CR alone is part of a value, which `mysql --batch` doesn't
//! escape.

use std::fmt::{self, Display};

use crate::{
    csv_parser::{CsvParser, Next},
    error::ReadError,
};

/// How a dump is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dump {
    /// A backslash escapes; else it is data, as all else.
    pub(crate) escapes: bool,
    /// A field may stand in quotes.
    pub(crate) quotes: bool,
    /// Whether lines end with CRLF, once one has ended.
    crlf: Option<bool>,
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
        }
    }
}

impl Dump {
    /// None where that is a CSV as any other.
    pub(crate) fn new(escapes: bool, quotes: bool) -> Option<Self> {
        (escapes || !quotes).then_some(Self { escapes, quotes, crlf: None, passed: 0 })
    }
}

/// Looks for the line end that ends a record.
#[derive(Default)]
struct Scan {
    /// How far it came; never between a backslash and what it escapes.
    at: usize,
    /// The byte that was escaped last.
    escaped: Option<usize>,
}

impl Scan {
    /// Where the line feed stands.
    fn end(&mut self, bytes: &[u8], dump: &mut Dump) -> Option<usize> {
        while let Some(rest) = bytes.get(self.at..) {
            let next = if dump.escapes { memchr::memchr2(b'\n', b'\\', rest) } else { memchr::memchr(b'\n', rest) };
            let Some(next) = next else {
                self.at = bytes.len();
                return None;
            };
            let at = self.at + next;
            if bytes[at] == b'\\' {
                self.at = at;
                if at + 1 == bytes.len() {
                    return None;
                }
                self.escaped = Some(at + 1);
                self.at = at + 2;
                continue;
            }
            let is_crlf = at > 0 && bytes[at - 1] == b'\r' && self.escaped != Some(at - 1);
            let ends_with_crlf = *dump.crlf.get_or_insert(is_crlf);
            if is_crlf || !ends_with_crlf {
                return Some(at);
            }
            self.at = at + 1;
        }
        None
    }
}

impl CsvParser {
    /// The next record of a dump.
    pub(crate) fn next_of_dump(&mut self, mut dump: Dump, arena: &mut Vec<u8>, used: usize) -> Result<Next, ReadError> {
        if !self.skip_empty_lines()? {
            return Ok(Next::End);
        }
        let mut scan = Scan::default();
        let (mut end, mut is_terminated) = (None, true);
        while end.is_none() && scan.at <= self.longest + 1 {
            end = scan.end(self.text.window.bytes(), &mut dump);
            if end.is_none() && !self.text.fill()? {
                is_terminated = false;
                end = Some(self.text.window.bytes().len());
            }
        }
        dump.passed = scan.at;
        self.dump = Some(dump);
        let Some(end) = end.filter(|end| *end <= self.longest + 1) else { return Ok(Next::TooLong) };
        let is_crlf = is_terminated && dump.crlf == Some(true);
        let record = &self.text.window.bytes()[..end - usize::from(is_crlf)];
        if record.len() > self.longest {
            return Ok(Next::TooLong);
        }
        let bytes = end + usize::from(is_terminated);
        let mut fields = Fields { rest: record, delimiter: self.delimiter, dump, count: 0 };
        arena.truncate(used);
        loop {
            let more = fields.take(arena);
            if self.ends.len() <= fields.count {
                self.ends.resize(fields.count * 2 + 1, 0);
            }
            match more {
                Err(fault) => return Ok(Next::Malformed { bytes, column: fields.count, fault }),
                Ok(more) => {
                    self.ends[fields.count] = arena.len() - used;
                    fields.count += 1;
                    if !more {
                        break;
                    }
                }
            }
        }
        if dump.escapes && !is_terminated && !self.is_header {
            let fault = DumpFault::Unterminated;
            return Ok(Next::Malformed { bytes, column: fields.count - 1, fault });
        }
        Ok(Next::Record { bytes, fields: fields.count, written: arena.len() - used })
    }

    /// Lets go of blank lines before a record of a dump.
    pub(crate) fn skip_empty_lines_of_dump(&mut self) -> Result<bool, ReadError> {
        loop {
            let blank = match self.text.window.bytes() {
                [b'\n', ..] => 1,
                [b'\r', b'\n', ..] => 2,
                [] | [b'\r'] => {
                    if !self.text.fill()? {
                        return Ok(!self.text.window.bytes().is_empty());
                    }
                    0
                }
                _ => return Ok(true),
            };
            self.text.pass(blank);
        }
    }

    /// Lets go of a record of a dump that is too long, up to the line end behind it. Returns its bytes.
    pub(crate) fn skip_record_of_dump(&mut self, mut dump: Dump) -> Result<u64, ReadError> {
        // Any line feed will do from here on.
        dump.crlf = Some(false);
        let mut bytes = dump.passed as u64;
        self.text.pass(dump.passed);
        loop {
            let mut scan = Scan::default();
            let end = scan.end(self.text.window.bytes(), &mut dump);
            let passed = end.unwrap_or(scan.at);
            self.text.pass(passed);
            bytes += passed as u64;
            if end.is_some() {
                return Ok(bytes);
            }
            if !self.text.fill()? {
                let rest = self.text.window.bytes().len();
                self.text.pass(rest);
                return Ok(bytes + rest as u64);
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
        if self.dump.escapes
            && let Some(behind) = self.rest.strip_prefix(b"\\N")
            && behind.first().is_none_or(|next| *next == self.delimiter)
        {
            self.rest = behind;
        }
        loop {
            let special = if self.dump.escapes { b'\\' } else { self.delimiter };
            let Some(next) = memchr::memchr2(self.delimiter, special, self.rest) else {
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
