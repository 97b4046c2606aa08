//! Lines of NDJSON as most are written: an object of known keys, whose values are texts without escapes, whole numbers and
//! `null`. They are told in one pass, and their values lie in the text as they are. Whatever else a line holds is left to
//! the JSON parser, from which the keys are learnt too: what an unknown key is for is not decided here.

use std::ops::Range;

use model::{Field, Name, Span, Value};

use crate::{
    batch::BATCH_FIELDS,
    plain::{Enough, Run},
};

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Keys that are known at most: a bit each says whether a line had it.
pub(crate) const MOST_KEYS: usize = 64;
/// Longer keys are not learnt.
const LONGEST_KEY: usize = 256;

/// Finds plain objects.
pub(crate) struct PlainObjects {
    /// Keys of the object itself.
    flat: Keys,
    /// Keys inside `contacts`.
    nested: Keys,
    /// Bits that are given away.
    bits: usize,
    /// Bits that may be.
    most: usize,
}

/// Keys of one level, in the order in which they were learnt, which is most likely the one in which they come.
#[derive(Default)]
struct Keys {
    known: Vec<KnownKey>,
    /// The one that most likely comes next.
    next: usize,
}

struct KnownKey {
    text: Box<str>,
    target: Target,
    bit: u64,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Key,
    /// The object of contacts.
    Contacts,
    /// A contact that is a column.
    Column(u32),
    /// A contact of the key's own name.
    Own,
    /// Nothing.
    Ignored,
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Flat,
    Nested,
}

impl PlainObjects {
    /// Knows so many keys at most, and none yet.
    pub(crate) fn new(most: usize) -> Self {
        Self { flat: Keys::default(), nested: Keys::default(), bits: 0, most }
    }

    /// Learns what a key is for, but for one that can't be written without escapes.
    pub(crate) fn learn(&mut self, level: Level, text: &str, target: Target) {
        let keys = match level {
            Level::Flat => &self.flat,
            Level::Nested => &self.nested,
        };
        let needs_escapes = text.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\'));
        if needs_escapes || text.len() > LONGEST_KEY || keys.known.iter().any(|key| *key.text == *text) {
            return;
        }
        // What must not stand in an object twice, under whatever key, has one bit.
        let is_same = |key: &&KnownKey| {
            key.target == target
                && match target {
                    Target::Key | Target::Contacts | Target::Column(_) => true,
                    Target::Own => *key.text == *text,
                    Target::Ignored => false,
                }
        };
        let bit = match self.flat.known.iter().chain(&self.nested.known).find(is_same) {
            Some(key) => key.bit,
            None if self.bits == self.most => return,
            None => {
                self.bits += 1;
                1 << (self.bits - 1)
            }
        };
        let keys = match level {
            Level::Flat => &mut self.flat,
            Level::Nested => &mut self.nested,
        };
        if keys.known.len() < self.most {
            keys.known.push(KnownKey { text: text.into(), target, bit });
        }
    }

    /// Goes over the plain lines at the front of the text, with blank ones in between, up to the first that isn't. Their
    /// fields are added; the text comes to stand at `text_at` of the batch. `take` gets each line's EUID, its fields, and
    /// how many lines come before it.
    pub(crate) fn scan(
        &mut self,
        text: &[u8],
        text_at: usize,
        longest: usize,
        enough: Enough,
        fields: &mut Vec<Field>,
        mut take: impl FnMut(Value, Range<u32>, u64),
    ) -> Run {
        let mut run = Run::default();
        let mut rows = 0;
        while rows < enough.rows && run.bytes < enough.bytes && fields.len() < BATCH_FIELDS {
            let mut cursor = Cursor { text, at: run.bytes, high: 0, text_at };
            if cursor.line_end().is_none() {
                let first_field = fields.len();
                let Some(euid) = self.line(&mut cursor, run.bytes, longest, fields) else {
                    fields.truncate(first_field);
                    return run;
                };
                take(euid, first_field as u32..fields.len() as u32, run.lines);
                rows += 1;
            }
            run = Run { bytes: cursor.at, lines: run.lines + 1 };
        }
        run
    }

    /// The EUID of a line, up to behind its end.
    fn line(
        &mut self,
        cursor: &mut Cursor<'_>,
        start: usize,
        longest: usize,
        fields: &mut Vec<Field>,
    ) -> Option<Value> {
        let euid = self.object(cursor, fields)?;
        cursor.blanks();
        let line = cursor.text.get(start..cursor.at)?;
        let is_valid = cursor.high & HIGH == 0 || std::str::from_utf8(line).is_ok();
        (is_valid && line.len() <= longest).then_some(())?;
        cursor.line_end()?;
        Some(euid)
    }

    /// The EUID of an object, up to behind its brace.
    fn object(&mut self, cursor: &mut Cursor<'_>, fields: &mut Vec<Field>) -> Option<Value> {
        let Self { flat, nested, .. } = self;
        let (mut euid, mut seen) = (Value::Missing, 0);
        flat.next = 0;
        cursor.eat(b'{')?;
        loop {
            match flat.member(cursor, &mut seen)? {
                (Target::Contacts, _) => {
                    nested.next = 0;
                    cursor.eat(b'{')?;
                    loop {
                        let (target, key) = nested.member(cursor, &mut seen)?;
                        contact(target, key, cursor, fields)?;
                        if !cursor.goes_on()? {
                            break;
                        }
                    }
                }
                (Target::Key, _) => euid = cursor.value()?,
                (target, key) => contact(target, key, cursor, fields)?,
            }
            if !cursor.goes_on()? {
                return Some(euid);
            }
        }
    }
}

/// Takes the value of a contact's key, or of one that is for nothing.
fn contact(target: Target, key: Span, cursor: &mut Cursor<'_>, fields: &mut Vec<Field>) -> Option<()> {
    let value = cursor.value()?;
    match target {
        Target::Column(column) => fields.push(Field { name: Name::Column(column), value }),
        Target::Own => fields.push(Field { name: Name::Own(key), value }),
        Target::Ignored => {}
        Target::Key | Target::Contacts => return None,
    }
    Some(())
}

impl Keys {
    /// What the key is for that comes next, and where it stands, up to behind its colon. None where it is not known, or
    /// something stands there that has its bit.
    fn member(&mut self, cursor: &mut Cursor<'_>, seen: &mut u64) -> Option<(Target, Span)> {
        cursor.blanks();
        cursor.eat(b'"')?;
        let rest = cursor.text.get(cursor.at..)?;
        let is_next = |key: &KnownKey| rest.get(key.text.len()) == Some(&b'"') && rest.starts_with(key.text.as_bytes());
        let index = match self.known.get(self.next) {
            Some(key) if is_next(key) => self.next,
            _ => self.known.iter().position(is_next)?,
        };
        let key = &self.known[index];
        if *seen & key.bit != 0 {
            return None;
        }
        *seen |= key.bit;
        self.next = index + 1;
        let span = cursor.span(cursor.at, cursor.at + key.text.len());
        cursor.at += key.text.len() + 1;
        cursor.blanks();
        cursor.eat(b':')?;
        cursor.blanks();
        Some((key.target, span))
    }
}

/// A place in the text.
struct Cursor<'t> {
    text: &'t [u8],
    at: usize,
    /// The highest bits of the bytes that came by in texts, and maybe of some behind them.
    high: u64,
    /// Where the text comes to stand in the batch.
    text_at: usize,
}

impl Cursor<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.byte()? == byte).then(|| self.at += 1)
    }

    fn blanks(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// A line feed, with the carriage return before it.
    fn line_end(&mut self) -> Option<()> {
        let length = match self.text.get(self.at..)? {
            [b'\n', ..] => 1,
            [b'\r', b'\n', ..] => 2,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    /// Whether another member follows in the object, behind a value and up to behind the comma or brace.
    fn goes_on(&mut self) -> Option<bool> {
        self.blanks();
        let byte = self.byte()?;
        self.at += 1;
        match byte {
            b',' => Some(true),
            b'}' => Some(false),
            _ => None,
        }
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { start: (self.text_at + start) as u32, end: (self.text_at + end) as u32 }
    }

    /// A value that is a text without escapes, a whole number or `null`.
    fn value(&mut self) -> Option<Value> {
        match self.byte()? {
            b'"' => self.string().map(Value::Text),
            b'n' => {
                self.at += self.text.get(self.at..)?.starts_with(b"null").then_some(4)?;
                Some(Value::Null)
            }
            _ => self.integer().map(Value::Integer),
        }
    }

    /// What stands between quotes.
    fn string(&mut self) -> Option<Span> {
        let start = self.at + 1;
        let mut end = start;
        loop {
            let rest = self.text.get(end..)?;
            let word = u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| last_word(rest)));
            self.high |= word;
            let marks = marks(word);
            if marks != 0 {
                end += marks.trailing_zeros() as usize / 8;
                break;
            }
            end += 8;
        }
        self.at = end;
        self.eat(b'"')?;
        Some(self.span(start, end))
    }

    /// A whole number. What else a number may have is no member's end, and so no line of this kind.
    fn integer(&mut self) -> Option<Span> {
        let start = self.at;
        if self.byte()? == b'-' {
            self.at += 1;
        }
        let first = self.at;
        while self.byte()?.is_ascii_digit() {
            self.at += 1;
        }
        let digits = self.at - first;
        (digits > 0 && (digits == 1 || self.text[first] != b'0')).then(|| self.span(start, self.at))
    }
}

/// The last bytes of a text, and zeros behind them.
fn last_word(rest: &[u8]) -> [u8; 8] {
    let mut word = [0; 8];
    word[..rest.len()].copy_from_slice(rest);
    word
}

/// The highest bit of each byte that is a quote, a backslash or a control character.
fn marks(word: u64) -> u64 {
    let low = word & !HIGH;
    let differs = |byte: u8| (low ^ (ONES * u64::from(byte))) + !HIGH;
    let at_least_blank = low + ONES * 0x60;
    !(at_least_blank & differs(b'"') & differs(b'\\') | word) & HIGH
}
