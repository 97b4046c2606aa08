//! Records of NDJSON as the journal writes them, byte for byte, read for their gist and no more. Whatever differs in the
//! least is left to the parser, so that nothing is a record here that is none there, or another one.

use std::{ops::Range, sync::Arc};

use jiff::Timestamp;
use model::{Euid, Outcome, Reason};

use crate::{gist::Gist, text::json_string};

/// The day and minute of a time, `2026-01-31T09:08:`.
const MINUTE_BYTES: usize = 17;
/// A whole time, `2026-01-31T09:08:07.006Z`.
const TIME_BYTES: usize = 24;
/// So many digits always fit, and so many are never above the largest EUID.
const MOST_DIGITS: usize = 19;
const MOST_EUID_DIGITS: usize = 18;

/// Skims records of one report.
#[derive(Default)]
pub(crate) struct Skimmer {
    /// That of the records that are skimmed; one of another is left to the parser.
    source: Arc<str>,
    /// What such a record begins with.
    beginning: Vec<u8>,
    end: End,
    /// The minute of the record before, which most often is that of the next, and when it began.
    minute: [u8; MINUTE_BYTES],
    minute_ms: i64,
    /// The last record's EUID, and its id.
    euid: Vec<u8>,
    id: Vec<u8>,
}

/// How a row ended, and how that is written, from the outcome to the attempts: records that are alike in this follow each
/// other by the thousand.
#[derive(Default)]
struct End {
    bytes: Vec<u8>,
    values: Option<EndValues>,
}

#[derive(Debug, Clone, Copy)]
struct EndValues {
    outcome: Outcome,
    reason: Option<Reason>,
    code: Option<i64>,
    attempts: u32,
}

/// The gist of the record that was skimmed last, but for what the skimmer keeps.
#[derive(Debug)]
pub(crate) struct Skimmed {
    /// Bytes of the record, with its line end.
    pub(crate) length: usize,
    row: u64,
    number: Option<Euid>,
    has_id: bool,
    end: EndValues,
    latency_ms: Option<u64>,
    at_ms: i64,
    has_contacts: bool,
}

impl Skimmer {
    /// Records of this source are to be expected; before that nothing is skimmed.
    pub(crate) fn expect(&mut self, source: &Arc<str>) {
        if *self.source == **source && !self.beginning.is_empty() {
            return;
        }
        self.source = Arc::clone(source);
        self.beginning.clear();
        self.beginning.extend_from_slice(b"{\"source\":");
        json_string(source, &mut self.beginning);
        self.beginning.extend_from_slice(b",\"row\":");
    }

    /// Skims the record with which the bytes begin. None where it isn't written exactly as the journal writes it, is rare,
    /// or isn't there as a whole.
    pub(crate) fn skim(&mut self, bytes: &[u8]) -> Option<Skimmed> {
        if self.beginning.is_empty() {
            return None;
        }
        let mut rest = Rest(bytes.strip_prefix(self.beginning.as_slice())?);
        let row = rest.number()?;
        rest.take(b",\"line\":")?;
        rest.number()?;
        rest.take(b",\"euid\":\"")?;
        let (euid, number) = rest.euid()?;
        let id = match rest.take(b",\"id\":\"") {
            Some(()) => Some(rest.plain_text()?),
            None => None,
        };
        let end = self.end(&mut rest)?;
        let latency_ms = rest.unless_null(Rest::number)?;
        rest.take(b",\"at\":\"")?;
        let at_ms = self.time(rest.bytes()?)?;
        rest.take(b"\",\"contacts\":")?;
        let has_contacts = rest.unless_null(Rest::texts_by_name)?.is_some();
        rest.take(b",\"raw\":")?;
        rest.unless_null(Rest::text)?;
        rest.take(b"}\n")?;
        self.euid.clear();
        self.euid.extend_from_slice(euid);
        self.id.clear();
        self.id.extend_from_slice(id.unwrap_or_default());
        let length = bytes.len() - rest.0.len();
        Some(Skimmed { length, row, number, has_id: id.is_some(), end, latency_ms, at_ms, has_contacts })
    }

    /// The gist of the record that was skimmed last.
    pub(crate) fn gist(&self, skimmed: &Skimmed) -> Gist<'_> {
        let Skimmed { row, number, has_id, end, latency_ms, at_ms, has_contacts, .. } = *skimmed;
        let EndValues { outcome, reason, code, attempts } = end;
        let (source, euid) = (&self.source, self.euid.as_slice());
        let id = has_id.then_some(self.id.as_slice());
        Gist { source, row, euid, number, id, outcome, reason, code, attempts, latency_ms, at_ms, has_contacts }
    }

    /// From behind EUID and id up to the latency.
    fn end(&mut self, rest: &mut Rest<'_>) -> Option<EndValues> {
        if let Some(values) = self.end.values
            && let Some(behind) = rest.0.strip_prefix(self.end.bytes.as_slice())
        {
            rest.0 = behind;
            return Some(values);
        }
        let bytes = rest.0;
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
        let values = EndValues { outcome, reason, code, attempts };
        self.end.bytes.clear();
        self.end.bytes.extend_from_slice(&bytes[..bytes.len() - rest.0.len()]);
        self.end.values = Some(values);
        Some(values)
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

    /// So many digits at most, and the number they make.
    fn digits(&self, most: usize) -> (usize, u64) {
        let (mut count, mut value) = (0, 0);
        for byte in self.0.iter().take(most) {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            value = value * 10 + u64::from(digit);
            count += 1;
        }
        (count, value)
    }

    /// A number as JSON has it, of at most 19 digits.
    fn number(&mut self) -> Option<u64> {
        let (digits, value) = self.digits(MOST_DIGITS);
        if digits == 0 || (digits > 1 && self.0.starts_with(b"0")) {
            return None;
        }
        self.0 = &self.0[digits..];
        Some(value)
    }

    /// The text of an EUID without escapes and the quote behind it; its first quote was taken.
    fn euid(&mut self) -> Option<(&'a [u8], Option<Euid>)> {
        let (digits, value) = self.digits(MOST_EUID_DIGITS);
        if digits > 0 && self.0.get(digits) == Some(&b'"') {
            let euid = &self.0[..digits];
            self.0 = &self.0[digits + 1..];
            return Some((euid, Euid::new(value)));
        }
        let euid = self.plain_text()?;
        Some((euid, Euid::parse(str::from_utf8(euid).ok()?).ok()))
    }

    /// A text without escapes and the quote behind it; its first quote was taken.
    fn plain_text(&mut self) -> Option<&'a [u8]> {
        let length = self.0.iter().position(|byte| matches!(byte, b'"' | b'\\' | ..0x20))?;
        let (text, rest) = self.0.split_at(length);
        self.0 = rest.strip_prefix(b"\"")?;
        (text.is_ascii() || str::from_utf8(text).is_ok()).then_some(text)
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
