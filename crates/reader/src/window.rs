//! A window over a stream of text: bytes stay in it until they are consumed, so that a record can be looked at again.

use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 128 << 10;

pub(crate) struct Window {
    source: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    ended: bool,
    broken: Option<(io::ErrorKind, String)>,
}

impl Window {
    pub(crate) fn new(source: Box<dyn Read + Send>) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, ended: false, broken: None }
    }

    /// What lies in the window.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Lets go of the first `count` bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// Reads more behind what lies in the window. False at the end of the source. A source that broke stays broken.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.ended {
            return Ok(false);
        }
        if self.buffer.len() < self.end + CHUNK {
            // What stays is moved only where at least as much was let go of: a long window is not moved with each read.
            if self.start >= self.end - self.start {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            if self.buffer.len() < self.end + CHUNK {
                self.buffer.resize(self.end + CHUNK, 0);
            }
        }
        if let Some((kind, cause)) = &self.broken {
            return Err(io::Error::new(*kind, cause.clone()));
        }
        let count = self.source.read(&mut self.buffer[self.end..]).inspect_err(|error| {
            self.broken = Some((error.kind(), error.to_string()));
        })?;
        self.end += count;
        self.ended = count == 0;
        Ok(count > 0)
    }
}

/// Counts physical lines: they end with LF, CRLF or CR, or with LF alone.
#[derive(Debug, Clone)]
pub(crate) struct LineCounter {
    line: u64,
    after_cr: bool,
    only_line_feeds: bool,
}

impl LineCounter {
    /// At the start of line 1.
    pub(crate) fn new() -> Self {
        Self { line: 1, after_cr: false, only_line_feeds: false }
    }

    /// The same, of lines that no CR ends.
    pub(crate) fn of_line_feeds() -> Self {
        Self { only_line_feeds: true, ..Self::new() }
    }

    /// The line on which the next byte stands.
    pub(crate) fn line(&self) -> u64 {
        self.line
    }

    /// Goes on over so many lines, the last of which ended with a line feed.
    pub(crate) fn pass_whole(&mut self, lines: u64) {
        self.line += lines;
        self.after_cr = false;
    }

    /// Goes on over these bytes.
    pub(crate) fn pass(&mut self, bytes: &[u8]) {
        let Some(last) = bytes.len().checked_sub(1) else { return };
        if self.only_line_feeds {
            self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
            return;
        }
        let mut after_cr = self.after_cr.then_some(0);
        for at in memchr::memchr2_iter(b'\n', b'\r', bytes) {
            if bytes[at] == b'\r' {
                self.line += 1;
                after_cr = Some(at + 1);
            } else if after_cr != Some(at) {
                self.line += 1;
            }
        }
        self.after_cr = bytes[last] == b'\r';
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_lf_crlf_or_cr_in_any_pieces() {
        let text = b"a\r\nb\rc\n\n\r\r\nd";
        for piece in 1..text.len() {
            let mut lines = LineCounter::new();
            text.chunks(piece).for_each(|bytes| lines.pass(bytes));
            assert_eq!(lines.line(), 7, "in pieces of {piece}");
        }
    }
}
