//! Records of NDJSON: an object a line, nested or flat.

use std::sync::Arc;

use model::{
    RecordBatch,
    limits::{LOOK_AHEAD_RECORDS, MAX_RECORD_BYTES},
};

use crate::{
    batch::{BATCH_BYTES, BATCH_FIELDS, BATCH_RECORDS},
    error::ReadError,
    naming::Naming,
    objects::{Look, Objects},
    text::{Text, raw_text},
};

pub(crate) struct NdjsonRecords {
    text: Text,
    objects: Objects,
}

impl NdjsonRecords {
    pub(crate) fn new(text: Text, naming: Naming, utf8: bool) -> Self {
        Self { text, objects: Objects::new(naming, utf8) }
    }

    /// Lets go of the file, which was read to its end.
    pub(crate) fn close(&mut self) {
        self.text.close();
    }

    pub(crate) fn rows(&self) -> u64 {
        self.objects.rows()
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.objects.take_hint()
    }

    /// Looks at the first records. With `keep` nothing leaves the window, and one whole object is enough. Where none comes
    /// within the length of a record it is left at that: what is kept is bounded.
    pub(crate) fn look(&mut self, keep: bool, look: &mut Look) -> Result<(), ReadError> {
        let (mut from, mut seen) = (0, 0);
        while look.records < LOOK_AHEAD_RECORDS && !(keep && look.objects > 0) {
            let ends_at = self.text.line_length(from);
            let length = ends_at.unwrap_or(self.text.window.bytes().len()) - from;
            if look.objects == 0 && seen + length > MAX_RECORD_BYTES {
                let line = &self.text.window.bytes()[from..from + length];
                let is_record = seen == 0 && has_key_on_top(line, self.objects.naming());
                look.begins(line);
                look.objects += u64::from(is_record);
                if keep || !is_record {
                    look.records += 1;
                    return Ok(());
                }
            }
            if length > MAX_RECORD_BYTES {
                look.records += 1;
                // A row of its own fault, seen when it is read.
                self.text.skip_line()?;
                continue;
            }
            if ends_at.is_none() && self.text.fill()? {
                continue;
            }
            let bytes = self.text.window.bytes();
            let line = bytes[from..from + length].trim_ascii();
            seen += line.len();
            if !line.is_empty() {
                look.begins(line);
                look.records += 1;
                look.objects += u64::from(is_object(line));
                look.look_at_keys(line, self.objects.naming());
            }
            if from + length == bytes.len() {
                break;
            }
            // Blank lines are let go of in any case.
            if keep && seen > 0 {
                from += length + 1;
            } else {
                self.text.pass(length + 1);
            }
        }
        Ok(())
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(self.objects.columns());
        loop {
            if self.is_enough(batch) {
                return Ok(true);
            }
            self.text.pass_empty_lines();
            let run = self.objects.take_plain(batch, self.text.window.bytes(), self.text.lines.line());
            self.text.pass_lines(run.bytes, run.lines);
            if self.is_enough(batch) {
                return Ok(true);
            }
            if !self.text.skip_empty_lines()? {
                return Ok(false);
            }
            let Some(length) = self.line()? else {
                self.take_too_long(batch)?;
                continue;
            };
            let line = &self.text.window.bytes()[..length];
            if !line.trim_ascii().is_empty() {
                self.objects.take(batch, line, self.text.lines.line());
            }
            self.text.pass(length);
        }
    }

    /// Whether a batch is handed on: it is full, or holds all there is. Who reads a pipe should not wait for the next rows
    /// with those that are there.
    fn is_enough(&self, batch: &RecordBatch) -> bool {
        batch.records.len() >= BATCH_RECORDS
            || batch.fields.len() >= BATCH_FIELDS
            || batch.text.len() >= BATCH_BYTES
            || (!batch.records.is_empty() && self.text.window.bytes().is_empty())
    }

    /// The length of the next line; none where it is too long.
    fn line(&mut self) -> Result<Option<usize>, ReadError> {
        let mut seen = 0;
        loop {
            let all = self.text.window.bytes().len();
            match self.text.line_length(seen) {
                Some(length) => return Ok((length <= MAX_RECORD_BYTES).then_some(length)),
                None if all > MAX_RECORD_BYTES => return Ok(None),
                None => seen = all,
            }
            if !self.text.fill()? {
                return Ok(Some(all));
            }
        }
    }

    fn take_too_long(&mut self, batch: &mut RecordBatch) -> Result<(), ReadError> {
        let line = self.text.lines.line();
        let raw = raw_text(self.text.window.bytes());
        self.text.pass(MAX_RECORD_BYTES);
        let bytes = MAX_RECORD_BYTES as u64 + self.text.skip_line()?;
        self.objects.take_too_long(batch, line, line, bytes, raw);
        Ok(())
    }
}

/// Whether a line has the shape of an object, whatever else may be wrong with it: the brace that begins it is closed by
/// its last byte, and not before.
fn is_object(line: &[u8]) -> bool {
    let mut closed = None;
    walk(line, |at, byte, depth| {
        if byte != b'"' && depth == 0 {
            closed = Some(at);
        }
        closed.is_none()
    });
    line.starts_with(b"{") && line.ends_with(b"}") && closed == Some(line.len() - 1)
}

/// Whether an object, of which this is the beginning, has the key of a user among its own, and not only somewhere within.
fn has_key_on_top(line: &[u8], naming: &Naming) -> bool {
    let mut found = false;
    walk(line.trim_ascii_start(), |at, byte, depth| {
        if byte == b'"' && depth == 1 {
            let text = &line.trim_ascii_start()[at + 1..];
            let key = memchr::memchr(b'"', text).and_then(|length| std::str::from_utf8(&text[..length]).ok());
            found = key.is_some_and(|key| naming.is_key(key));
        }
        !found
    });
    line.trim_ascii_start().starts_with(b"{") && found
}

/// Goes over brackets and the beginnings of texts, each with the number of brackets that are open with it, or behind it
/// where it closes one, as long as `go_on` says so.
fn walk(line: &[u8], mut go_on: impl FnMut(usize, u8, usize) -> bool) {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = line.get(at).copied() {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {}
            _ => {
                at += 1;
                continue;
            }
        }
        if !go_on(at, byte, depth) {
            return;
        }
        at += 1;
        if byte == b'"' {
            while let Some(next) = line.get(at).copied() {
                at += if next == b'\\' { 2 } else { 1 };
                if next == b'"' {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
