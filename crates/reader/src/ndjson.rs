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

    pub(crate) fn rows(&self) -> u64 {
        self.objects.rows()
    }

    /// The likely encoding, once: after the first row that was not valid.
    pub(crate) fn take_hint(&mut self) -> Option<&'static str> {
        self.objects.take_hint()
    }

    /// Looks at the first records. With `keep` nothing leaves the window, and one whole object is enough.
    pub(crate) fn look(&mut self, keep: bool, look: &mut Look) -> Result<(), ReadError> {
        let mut from = 0;
        while look.records < LOOK_AHEAD_RECORDS && !(keep && look.objects > 0) {
            let length = self.text.line_length(from);
            let too_long = length.unwrap_or(self.text.window.bytes().len()) - from > MAX_RECORD_BYTES;
            if too_long {
                // A row of its own fault, seen when it is read. Behind it nothing can be looked at and kept.
                look.objects += 1;
                if keep {
                    return Ok(());
                }
                self.text.skip_line()?;
                continue;
            }
            if length.is_none() && self.text.fill()? {
                continue;
            }
            let bytes = self.text.window.bytes();
            let end = length.unwrap_or(bytes.len());
            look_at_line(&bytes[from..end], self.objects.naming(), look);
            if end == bytes.len() {
                break;
            }
            if keep {
                from = end + 1;
            } else {
                self.text.window.consume(end + 1);
            }
        }
        Ok(())
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(self.objects.columns());
        loop {
            let full = batch.records.len() >= BATCH_RECORDS
                || batch.fields.len() >= BATCH_FIELDS
                || batch.text.len() >= BATCH_BYTES;
            // Who reads a pipe should not wait for the next rows with those that are there.
            if full || (!batch.records.is_empty() && self.text.window.bytes().is_empty()) {
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

fn look_at_line(line: &[u8], naming: &Naming, look: &mut Look) {
    let line = line.trim_ascii();
    if line.is_empty() {
        return;
    }
    look.records += 1;
    // A line that begins and ends as an object is one, whatever else may be wrong with it.
    look.objects += u64::from(line.starts_with(b"{") && line.ends_with(b"}"));
    look.keys(line, naming);
}
