//! Takes credentials out of what the other side wrote, before anybody cuts, parses or keeps it.
//!
//! A text is looked at as it stands and as it reads once escapes are undone: those of JSON, twice over (JSON within JSON),
//! and those of URLs. What is found is taken out of the text as it was written.

use std::borrow::Cow;

use memchr::memmem;
use secrecy::{ExposeSecret, SecretString};

use crate::answer::Body;

const IN_ITS_PLACE: &str = "[credentials]";
/// Shorter ones are not looked for by themselves: they are no secret, and would be found everywhere.
const SHORTEST: usize = 4;
/// JSON within JSON, and once more.
const MOST_LAYERS: usize = 3;

/// Knows the credentials.
#[derive(Debug)]
pub(crate) struct Scrubber {
    secrets: Vec<SecretString>,
}

/// Whether a text is whole, or more of it might have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    /// Its end may be the beginning of a credential.
    Cut,
}

/// The longest answer that is remembered.
const REMEMBERED: usize = 1 << 10;

/// Scrubs answers that come one after the other. What a service answers to most requests is the same over and over, so
/// one like the last in which nothing was found isn't looked through again.
#[derive(Debug, Default)]
pub(crate) struct ScrubbedAnswers {
    clean: Vec<u8>,
}

impl ScrubbedAnswers {
    /// An answer's body without credentials, which still means what it meant.
    pub(crate) fn scrub(&mut self, scrubber: &Scrubber, body: Vec<u8>, extent: Extent) -> Vec<u8> {
        if extent == Extent::Whole && body == self.clean {
            return body;
        }
        let found = scrubber.find(&body, extent);
        if !found.is_empty() {
            return scrubber.replaced(&body, &found);
        }
        if body.len() <= REMEMBERED {
            self.clean.clone_from(&body);
        }
        body
    }
}

impl Scrubber {
    pub(crate) fn new(secrets: impl IntoIterator<Item = SecretString>) -> Self {
        let long_enough = |secret: &SecretString| secret.expose_secret().len() >= SHORTEST;
        Self { secrets: secrets.into_iter().filter(long_enough).collect() }
    }

    /// A text without credentials.
    pub(crate) fn text(&self, text: String) -> String {
        let found = self.find(text.as_bytes(), Extent::Whole);
        if found.is_empty() {
            return text;
        }
        String::from_utf8_lossy(&replaced(text.as_bytes(), &found)).into_owned()
    }

    fn replaced(&self, body: &[u8], found: &[(usize, usize)]) -> Vec<u8> {
        let scrubbed = replaced(body, found);
        let (before, after) = (String::from_utf8_lossy(body), String::from_utf8_lossy(&scrubbed));
        let Some(meant) = Body::parse(&before) else { return scrubbed };
        let still = |body: Body<'_>| body.code == meant.code && body.is_plain_success() == meant.is_plain_success();
        if Body::parse(&after).is_some_and(still) {
            return scrubbed;
        }
        // A credential that is a part of the answer's syntax, of its code or of "success". What counts is kept.
        let message = match &meant.message {
            Some(message) if !meant.is_plain_success() => Some(self.text(message.clone().into_owned())),
            message => message.clone().map(Cow::into_owned),
        };
        serde_json::json!({"code": meant.code, "message": message}).to_string().into_bytes()
    }

    /// Where credentials stand: from and to, in order, apart.
    fn find(&self, text: &[u8], extent: Extent) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        self.find_in(&Reading::plain(text), extent, &mut found);
        if !text.contains(&b'\\') && !text.contains(&b'%') {
            return merged(found);
        }
        let mut reading = Reading::plain(text);
        for _ in 0..=MOST_LAYERS {
            if reading.bytes.contains(&b'%') {
                self.find_in(&reading.undone(undo_percent), extent, &mut found);
            }
            if !reading.bytes.contains(&b'\\') {
                break;
            }
            reading = reading.undone(undo_json);
            self.find_in(&reading, extent, &mut found);
        }
        merged(found)
    }

    fn find_in(&self, reading: &Reading<'_>, extent: Extent, found: &mut Vec<(usize, usize)>) {
        for secret in &self.secrets {
            let secret = secret.expose_secret().as_bytes();
            // Looking for all of them at once begins with work that a short text isn't worth.
            if memmem::find(&reading.bytes, secret).is_some() {
                found.extend(memmem::find_iter(&reading.bytes, secret).map(|at| reading.source(at, at + secret.len())));
            }
            if extent == Extent::Cut {
                let most = (secret.len() - 1).min(reading.bytes.len());
                let begun = (SHORTEST..=most).rev().find(|length| reading.bytes.ends_with(&secret[..*length]));
                let from = begun.map(|length| reading.source(reading.bytes.len() - length, reading.bytes.len()).0);
                // Up to the very end, with an escape that was cut.
                found.extend(from.map(|from| (from, reading.source_length)));
            }
        }
    }
}

/// A part of a URL as it reads.
pub(crate) fn percent_decoded(text: &str) -> String {
    String::from_utf8_lossy(&Reading::plain(text.as_bytes()).undone(undo_percent).bytes).into_owned()
}

/// A text, perhaps with escapes undone, that knows where each of its bytes was written.
struct Reading<'a> {
    bytes: Cow<'a, [u8]>,
    /// From and to in the source, for each byte; none where that is the byte itself.
    written: Option<Vec<(u32, u32)>>,
    source_length: usize,
}

/// Reads an escape at the beginning of a text: what it stands for, and how long it is.
type Undo = fn(&[u8]) -> Option<Escape>;

enum Escape {
    OfChar(char, usize),
    OfByte(u8, usize),
    /// The text ends within it.
    Cut,
}

impl<'a> Reading<'a> {
    fn plain(text: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(text), written: None, source_length: text.len() }
    }

    /// Where the bytes from `from` to `to` were written.
    fn source(&self, from: usize, to: usize) -> (usize, usize) {
        match &self.written {
            Some(written) if from < to => (written[from].0 as usize, written[to - 1].1 as usize),
            _ => (from, to),
        }
    }

    fn undone(&self, undo: Undo) -> Reading<'static> {
        let (mut bytes, mut written) = (Vec::with_capacity(self.bytes.len()), Vec::with_capacity(self.bytes.len()));
        let mut at = 0;
        while at < self.bytes.len() {
            let before = bytes.len();
            let length = match undo(&self.bytes[at..]) {
                None => {
                    bytes.push(self.bytes[at]);
                    1
                }
                Some(Escape::OfByte(byte, length)) => {
                    bytes.push(byte);
                    length
                }
                Some(Escape::OfChar(char, length)) => {
                    bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    length
                }
                Some(Escape::Cut) => break,
            };
            let (from, to) = self.source(at, at + length);
            written.resize(written.len() + bytes.len() - before, (from as u32, to as u32));
            at += length;
        }
        Reading { bytes: Cow::Owned(bytes), written: Some(written), source_length: self.source_length }
    }
}

fn undo_json(text: &[u8]) -> Option<Escape> {
    let [b'\\', rest @ ..] = text else { return None };
    let char = match rest.first() {
        None => return Some(Escape::Cut),
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(char @ (b'"' | b'\\' | b'/')) => char::from(*char),
        Some(b'u') => return unicode(text),
        Some(_) => return None,
    };
    Some(Escape::OfChar(char, 2))
}

fn unicode(text: &[u8]) -> Option<Escape> {
    if text.len() < 6 && text[2..].iter().all(u8::is_ascii_hexdigit) {
        return Some(Escape::Cut);
    }
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u").and_then(|rest| rest.get(..4))?;
        hexadecimal(digits)
    };
    let first = unit(text)?;
    if let Some(char) = char::from_u32(u32::from(first)) {
        return Some(Escape::OfChar(char, 6));
    }
    let pair = [first, unit(text.get(6..)?)?];
    let char = char::decode_utf16(pair).next()?.ok()?;
    Some(Escape::OfChar(char, 12))
}

fn undo_percent(text: &[u8]) -> Option<Escape> {
    let [b'%', rest @ ..] = text else { return None };
    if rest.len() < 2 && rest.iter().all(u8::is_ascii_hexdigit) {
        return Some(Escape::Cut);
    }
    let byte = u8::try_from(hexadecimal(rest.get(..2)?)?).ok()?;
    Some(Escape::OfByte(byte, 3))
}

fn hexadecimal(digits: &[u8]) -> Option<u16> {
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}

fn merged(mut spans: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    spans.sort_unstable();
    let mut apart: Vec<(usize, usize)> = Vec::with_capacity(spans.len());
    for (from, to) in spans {
        match apart.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => apart.push((from, to)),
        }
    }
    apart
}

fn replaced(text: &[u8], spans: &[(usize, usize)]) -> Vec<u8> {
    let mut kept = Vec::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in spans {
        kept.extend_from_slice(&text[at..*from]);
        kept.extend_from_slice(IN_ITS_PLACE.as_bytes());
        at = *to;
    }
    kept.extend_from_slice(&text[at..]);
    kept
}

#[cfg(test)]
#[path = "scrub_tests.rs"]
mod tests;
