use model::limits::MAX_RAW_BYTES;

use crate::{
    error::ReadError,
    window::{LineCounter, Window},
};

/// Says what changed about a file since it was opened, if anything did.
pub(crate) type ChangeCheck = Box<dyn Fn() -> Option<&'static str> + Send>;

/// A stream of decoded text with its place in the input.
pub(crate) struct Text {
    pub(crate) window: Window,
    pub(crate) lines: LineCounter,
    passed: u64,
    input: String,
    changed: ChangeCheck,
}

impl Text {
    pub(crate) fn new(window: Window, input: &str, changed: ChangeCheck) -> Self {
        Self { window, lines: LineCounter::new(), passed: 0, input: input.to_owned(), changed }
    }

    /// Lets go of the source, which was read to its end.
    pub(crate) fn close(&mut self) {
        self.window = Window::new(Box::new(std::io::empty()));
        self.changed = Box::new(|| None);
    }

    /// Reads more into the window. False at the end, once it is sure that the input didn't change meanwhile.
    pub(crate) fn fill(&mut self) -> Result<bool, ReadError> {
        let line = self.lines.line();
        match self.window.fill() {
            Ok(true) => Ok(true),
            Ok(false) => match (self.changed)() {
                Some(what) => Err(ReadError::Changed { input: self.input.clone(), line: Some(line), what }),
                None => Ok(false),
            },
            Err(cause) => Err(ReadError::Broken { input: self.input.clone(), line, cause }),
        }
    }

    /// The line of a byte of the window.
    pub(crate) fn line_at(&self, at: usize) -> u64 {
        let mut lines = self.lines.clone();
        lines.pass(&self.window.bytes()[..at]);
        lines.line()
    }

    /// The input stops being JSON on this line.
    pub(crate) fn not_json(&self, line: u64, fault: String) -> ReadError {
        ReadError::NotJson { input: self.input.clone(), line, fault }
    }

    /// How many bytes were let go of.
    pub(crate) fn passed(&self) -> u64 {
        self.passed
    }

    /// Lets go of the first bytes of the window and counts their lines.
    pub(crate) fn pass(&mut self, count: usize) {
        self.passed += count as u64;
        self.lines.pass(&self.window.bytes()[..count]);
        self.window.consume(count);
    }

    /// Lets go of the first bytes of the window, which are so many whole lines.
    pub(crate) fn pass_lines(&mut self, bytes: usize, lines: u64) {
        if bytes > 0 {
            self.passed += bytes as u64;
            self.lines.pass_whole(lines);
            self.window.consume(bytes);
        }
    }

    /// Lets go of the empty lines in the window. False where nothing else lies in it.
    pub(crate) fn pass_empty_lines(&mut self) -> bool {
        let bytes = self.window.bytes();
        let empty = bytes.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        let more = empty < bytes.len();
        self.pass(empty);
        more
    }

    /// Lets go of empty lines. False where nothing follows.
    pub(crate) fn skip_empty_lines(&mut self) -> Result<bool, ReadError> {
        loop {
            if self.pass_empty_lines() {
                return Ok(true);
            }
            if !self.fill()? {
                return Ok(false);
            }
        }
    }

    /// The length of the first line, without its end; none where it goes on behind the window.
    pub(crate) fn line_length(&self, from: usize) -> Option<usize> {
        let bytes = self.window.bytes();
        memchr::memchr2(b'\n', b'\r', bytes.get(from..)?).map(|at| from + at)
    }

    /// Lets go of everything up to the end of the current line; the window never grows by it. Returns the bytes passed.
    pub(crate) fn skip_line(&mut self) -> Result<u64, ReadError> {
        let mut passed = 0;
        loop {
            if let Some(length) = self.line_length(0) {
                self.pass(length);
                return Ok(passed + length as u64);
            }
            let all = self.window.bytes().len();
            self.pass(all);
            passed += all as u64;
            if !self.fill()? {
                return Ok(passed);
            }
        }
    }
}

/// The text of a record that could not be read, for the report.
pub(crate) fn raw_text(bytes: &[u8]) -> Box<str> {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(MAX_RAW_BYTES)]);
    let text = text.trim_end_matches(['\n', '\r']);
    text[..text.floor_char_boundary(MAX_RAW_BYTES)].into()
}

/// `line 5`, or `lines 5 to 7`.
pub(crate) fn lines(first: u64, last: u64) -> String {
    if last > first { format!("lines {first} to {last}") } else { format!("line {first}") }
}
