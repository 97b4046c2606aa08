//! Where a quoted field that is open at the end of a line closes, and its record with it.
//!
//! At the end of a line a record is either over or within quotes, and from within quotes what follows doesn't depend on
//! where the record began. So one scan that starts within quotes answers for every line end it comes by, and only ever
//! moves forward, however many records are given up meanwhile.

use crate::window::LineCounter;

/// A scan from within quotes to the end of that record. Places are counted from the beginning of the text.
pub(crate) struct QuoteScan {
    delimiter: u8,
    state: State,
    /// Where it started, within quotes.
    from: u64,
    /// How far it came.
    at: u64,
    /// Whether the record ended there.
    ended: bool,
    /// Where, and on which line, the field was opened that it stands in, if that was behind the start.
    opened: Option<(u64, u64)>,
    lines: LineCounter,
    at_line_start: bool,
    /// All bytes it ever went over.
    #[cfg(test)]
    pub(crate) work: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    FieldStart,
    Unquoted,
    Quoted,
    /// Behind a quote within quotes: the end of the field, or the first of two.
    Quote,
}

impl QuoteScan {
    /// A scan that covers nothing yet.
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            state: State::Quoted,
            from: 0,
            at: 0,
            ended: true,
            opened: None,
            lines: LineCounter::new(),
            at_line_start: true,
            #[cfg(test)]
            work: 0,
        }
    }

    /// Whether a record that stands within quotes at this line end goes on as the scan does.
    pub(crate) fn covers(&self, line_end: u64) -> bool {
        self.from <= line_end && if self.ended { line_end < self.at } else { line_end <= self.at }
    }

    /// Starts anew at a line end that stands within quotes.
    pub(crate) fn start(&mut self, line_end: u64, lines: LineCounter) {
        self.state = State::Quoted;
        (self.from, self.at, self.ended, self.opened) = (line_end, line_end, false, None);
        (self.lines, self.at_line_start) = (lines, true);
    }

    /// How far it came.
    pub(crate) fn at(&self) -> u64 {
        self.at
    }

    /// Behind the record's last byte, where it came to that.
    pub(crate) fn end(&self) -> Option<u64> {
        self.ended.then_some(self.at)
    }

    /// Goes on over the bytes that follow, up to the record's end.
    pub(crate) fn read(&mut self, bytes: &[u8]) {
        let (mut at, mut counted) = (0, 0);
        while at < bytes.len() && !self.ended {
            let rest = &bytes[at..];
            let next = match self.state {
                State::Quoted => memchr::memchr(b'"', rest),
                State::Unquoted => memchr::memchr3(self.delimiter, b'\n', b'\r', rest),
                State::FieldStart | State::Quote => Some(0),
            };
            let Some(next) = next else {
                at = bytes.len();
                break;
            };
            let byte = rest[next];
            at += next;
            self.state = match (self.state, byte) {
                (State::Quoted, _) => State::Quote,
                (State::Quote, b'"') => State::Quoted,
                (State::FieldStart, b'"') => {
                    self.lines.pass(&bytes[counted..at]);
                    counted = at;
                    self.opened = Some((self.at + at as u64, self.lines.line()));
                    State::Quoted
                }
                (state, b'\n' | b'\r') => {
                    self.ended = true;
                    state
                }
                (_, byte) if byte == self.delimiter => State::FieldStart,
                _ => State::Unquoted,
            };
            at += 1;
        }
        self.lines.pass(&bytes[counted..at]);
        self.at_line_start = bytes[..at].last().map_or(self.at_line_start, |last| matches!(last, b'\n' | b'\r'));
        self.at += at as u64;
        #[cfg(test)]
        {
            self.work += at as u64;
        }
    }

    /// Whether a line end would be part of a field. A quote that came last may be the first of two; `over`: nothing
    /// follows it.
    pub(crate) fn is_open(&self, over: bool) -> bool {
        !self.ended && (self.state == State::Quoted || (self.state == State::Quote && !over))
    }

    /// The line on which the field was opened that it stands in, where that was behind this line end.
    pub(crate) fn opened_behind(&self, line_end: u64) -> Option<u64> {
        self.opened.filter(|(at, _)| *at >= line_end).map(|(_, line)| line)
    }

    /// The line of the last byte.
    pub(crate) fn last_line(&self) -> u64 {
        self.lines.line() - u64::from(self.at_line_start)
    }
}

/// Whether a record that is cut behind this line would go on within quotes.
pub(crate) fn is_open_behind(delimiter: u8, line: &[u8]) -> bool {
    let mut scan = QuoteScan::new(delimiter);
    scan.start(0, LineCounter::new());
    scan.state = State::FieldStart;
    scan.read(line);
    scan.is_open(true)
}
