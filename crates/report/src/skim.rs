//! Records of NDJSON as the journal writes them, byte for byte, read for their gist and no more. Whatever differs in the
//! least is left to the parser, so that nothing is a record here that is none there, or another one.

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;
use model::{Outcome, Reason};

use crate::gist::Gist;

/// The day and minute of a time, `2026-01-31T09:08:`.
const MINUTE_BYTES: usize = 17;
/// A whole time, `2026-01-31T09:08:07.006Z`.
const TIME_BYTES: usize = 24;
/// So many digits always fit.
const MOST_DIGITS: usize = 19;

/// Skims records of one report.
pub(crate) struct Skimmer {
    /// That of the records that are skimmed; one of another is left to the parser.
    source: Arc<str>,
    /// What such a record begins with.
    beginning: Vec<u8>,
    /// The minute of the record before, which most often is that of the next, and when it began.
    minute: [u8; MINUTE_BYTES],
    minute_ms: i64,
    /// The last record's.
    euid: String,
}

/// The gist of the record that was skimmed last, but for what the skimmer keeps.
#[derive(Debug)]
pub(crate) struct Skimmed {
    row: u64,
    outcome: Outcome,
    reason: Option<Reason>,
    code: Option<i64>,
    attempts: u32,
    latency_ms: Option<u64>,
    at_ms: i64,
    has_contacts: bool,
}

impl Skimmer {
    /// Skims nothing before it knows a source.
    pub(crate) fn new() -> Self {
        Self { source: "".into(), beginning: Vec::new(), minute: [0; MINUTE_BYTES], minute_ms: 0, euid: String::new() }
    }

    /// Records of this source are to be expected.
    pub(crate) fn expect(&mut self, source: &Arc<str>) {
        if *self.source == **source && !self.beginning.is_empty() {
            return;
        }
        self.source = Arc::clone(source);
        self.beginning.clear();
        self.beginning.extend_from_slice(b"{\"source\":");
        // A text always serialises; were it not so, no record would begin like this.
        let _ = serde_json::to_writer(&mut self.beginning, &**source);
        self.beginning.extend_from_slice(b",\"row\":");
    }

    /// Skims a record with its line end. None where it isn't written exactly as the journal writes it, or is rare.
    pub(crate) fn skim(&mut self, record: &[u8]) -> Option<Skimmed> {
        if self.beginning.is_empty() {
            return None;
        }
        let mut rest = Rest(record.strip_prefix(self.beginning.as_slice())?);
        let row = rest.number()?;
        rest.take(b",\"line\":")?;
        rest.number()?;
        rest.take(b",\"euid\":\"")?;
        let euid = rest.plain_text_behind_quote()?;
        rest.take(b",\"outcome\":\"")?;
        let outcome = rest.word(&Outcome::ALL, Outcome::as_str)?;
        rest.take(b",\"reason\":\"")?;
        let reason = match rest.take(b"\"") {
            Some(()) => None,
            None => Some(rest.word(&Reason::ALL, Reason::as_str)?),
        };
        rest.take(b",\"code\":")?;
        let code = rest.unless_null(Rest::integer)?;
        rest.take(b",\"message\":")?;
        rest.unless_null(Rest::text)?;
        rest.take(b",\"http_status\":")?;
        rest.unless_null(|rest| u16::try_from(rest.number()?).ok())?;
        rest.take(b",\"attempts\":")?;
        let attempts = u32::try_from(rest.number()?).ok()?;
        rest.take(b",\"latency_ms\":")?;
        let latency_ms = rest.unless_null(Rest::number)?;
        rest.take(b",\"at\":\"")?;
        let at_ms = self.time(rest.bytes()?)?;
        rest.take(b"\",\"contacts\":")?;
        let has_contacts = rest.unless_null(Rest::texts_by_name)?.is_some();
        rest.take(b",\"raw\":")?;
        rest.unless_null(Rest::text)?;
        rest.take(b"}\n")?;
        if !rest.0.is_empty() {
            return None;
        }
        self.euid.clear();
        self.euid.push_str(euid);
        Some(Skimmed { row, outcome, reason, code, attempts, latency_ms, at_ms, has_contacts })
    }

    /// The gist of the record that was skimmed last.
    pub(crate) fn gist(&self, skimmed: &Skimmed) -> Gist<'_> {
        let Skimmed { row, outcome, reason, code, attempts, latency_ms, at_ms, has_contacts } = *skimmed;
        let (source, euid) = (&self.source, self.euid.as_str());
        Gist { source, row, euid, outcome, reason, code, attempts, latency_ms, at_ms, has_contacts }
    }

    /// Milliseconds since 1970 of a time with milliseconds, in UTC and of our millennia.
    fn time(&mut self, text: &[u8; TIME_BYTES]) -> Option<i64> {
        let number = |digits: Range<usize>| {
            let add = |value: i64, byte: &u8| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0'));
            text[digits].iter().try_fold(0, add)
        };
        if (text[19], text[23]) != (b'.', b'Z') {
            return None;
        }
        let second = number(17..19)?;
        let ms = second * 1_000 + number(20..23)?;
        // What is rare may mean something else: leap seconds, and the end of all times.
        if second > 59 || text[0] > b'8' {
            return None;
        }
        let minute = text.first_chunk::<MINUTE_BYTES>()?;
        if *minute != self.minute {
            let is_as_written = minute.iter().zip(b"0000-00-00T00:00:").all(|(byte, like)| match like {
                b'0' => byte.is_ascii_digit(),
                _ => byte == like,
            });
            let time: Timestamp = is_as_written.then(|| str::from_utf8(text).ok()?.parse().ok())??;
            self.minute = *minute;
            self.minute_ms = time.as_millisecond() - ms;
        }
        Some(self.minute_ms + ms)
    }
}

/// What of a record is still to be skimmed.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Takes exactly these bytes.
    fn take<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        (bytes == expected).then(|| self.0 = rest)
    }

    /// Takes so many bytes.
    fn bytes<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(bytes)
    }

    /// A number as JSON has it, of at most 19 digits.
    fn number(&mut self) -> Option<u64> {
        let mut value = 0;
        let mut digits = 0;
        while let Some(byte) = self.0.get(digits).filter(|byte| byte.is_ascii_digit())
            && digits < MOST_DIGITS
        {
            value = value * 10 + u64::from(byte - b'0');
            digits += 1;
        }
        if digits == 0 || (digits > 1 && self.0.starts_with(b"0")) {
            return None;
        }
        self.0 = &self.0[digits..];
        Some(value)
    }

    fn integer(&mut self) -> Option<i64> {
        if self.take(b"-").is_none() {
            return i64::try_from(self.number()?).ok();
        }
        // There is no such integer as -0.
        let number = self.number().filter(|number| *number > 0)?;
        Some(-i64::try_from(number).ok()?)
    }

    /// One of these words, and the quote behind it.
    fn word<T: Copy>(&mut self, all: &[T], text: impl Fn(T) -> &'static str) -> Option<T> {
        all.iter().copied().find(|word| {
            let rest = self.0.strip_prefix(text(*word).as_bytes()).and_then(|rest| rest.strip_prefix(b"\""));
            rest.is_some_and(|rest| {
                self.0 = rest;
                true
            })
        })
    }

    /// A text in quotes, which is only looked at: it must be UTF-8 without control characters, its escapes short ones.
    fn text(&mut self) -> Option<()> {
        self.take(b"\"")?;
        let (mut at, mut is_ascii) = (0, true);
        loop {
            match *self.0.get(at)? {
                b'"' => break,
                b'\\' => {
                    at += 1;
                    if !matches!(self.0.get(at)?, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
                        return None;
                    }
                }
                ..0x20 => return None,
                0x80.. => is_ascii = false,
                _ => {}
            }
            at += 1;
        }
        if !is_ascii && str::from_utf8(&self.0[..at]).is_err() {
            return None;
        }
        self.0 = &self.0[at + 1..];
        Some(())
    }

    /// A text without escapes, of which the first quote was taken.
    fn plain_text_behind_quote(&mut self) -> Option<&'a str> {
        let length = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest.strip_prefix(b"\"")?;
        str::from_utf8(text).ok()
    }

    /// An object of texts.
    fn texts_by_name(&mut self) -> Option<()> {
        self.take(b"{")?;
        if self.take(b"}").is_some() {
            return Some(());
        }
        loop {
            self.text()?;
            self.take(b":")?;
            self.text()?;
            if self.take(b",").is_none() {
                return self.take(b"}");
            }
        }
    }

    /// `null`, which is none, or what `read` takes.
    #[expect(clippy::option_option, reason = "null and not to be skimmed are different things")]
    fn unless_null<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        if self.take(b"null").is_some() { Some(None) } else { read(self).map(Some) }
    }
}

#[cfg(test)]
mod tests;
