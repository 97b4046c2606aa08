//! Records of a JSON array: an element a record, streamed.

use std::sync::Arc;

use model::{
    RecordBatch,
    limits::{LOOK_AHEAD_RECORDS, MAX_RECORD_BYTES},
};

use crate::{
    batch::{BATCH_BYTES, BATCH_FIELDS, BATCH_RECORDS},
    encoding,
    error::ReadError,
    json_scan::{Scanned, ValueScan},
    naming::Naming,
    objects::{Look, Objects},
    text::{Text, raw_text},
};

pub(crate) struct JsonRecords {
    text: Text,
    objects: Objects,
    place: Place,
    utf8: bool,
    /// Why nothing more can be read, once that is so: line and words.
    fault: Option<(u64, String)>,
}

/// Where in the array reading stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeArray,
    /// Behind `[`.
    AtStart,
    AfterElement,
    AfterComma,
    /// Behind `]`.
    Closed,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// An element, with the first byte of the window.
    Element,
    /// Nothing that is there yet.
    Unread,
    /// Nothing.
    End,
}

impl JsonRecords {
    pub(crate) fn new(text: Text, naming: Naming, utf8: bool) -> Self {
        Self { text, objects: Objects::new(naming, utf8), place: Place::BeforeArray, utf8, fault: None }
    }

    /// Lets go of the file, which was read to its end.
    pub(crate) fn close(&mut self) {
        self.text.close();
    }

    pub(crate) fn rows(&self) -> u64 {
        self.objects.rows()
    }

    /// Looks at the first records of a file, and throws them away.
    pub(crate) fn look(&mut self, look: &mut Look) -> Result<(), ReadError> {
        let mut batch = RecordBatch::default();
        while look.records < LOOK_AHEAD_RECORDS && self.fill_up_to(&mut batch, BATCH_RECORDS, Some(look))? {
            batch.clear();
        }
        Ok(())
    }

    /// Looks at the first record of a pipe, which is read into the batch. False where it is the last, or there is none.
    pub(crate) fn look_at_first(&mut self, batch: &mut RecordBatch, look: &mut Look) -> Result<bool, ReadError> {
        self.fill_up_to(batch, 1, Some(look))
    }

    /// Fills an empty batch. False at the end of the input.
    pub(crate) fn fill(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        self.fill_up_to(batch, BATCH_RECORDS, None)
    }

    fn fill_up_to(
        &mut self,
        batch: &mut RecordBatch,
        most: usize,
        mut look: Option<&mut Look>,
    ) -> Result<bool, ReadError> {
        batch.columns = Arc::clone(self.objects.columns());
        loop {
            let full = batch.records.len() >= most
                || batch.fields.len() >= BATCH_FIELDS
                || batch.text.len() >= BATCH_BYTES
                || look.as_ref().is_some_and(|look| look.records >= LOOK_AHEAD_RECORDS);
            if full {
                return Ok(true);
            }
            // Who reads a pipe should not wait for the next rows with those that are there.
            match self.next(batch.records.is_empty())? {
                Next::Unread => return Ok(true),
                Next::End => return Ok(false),
                Next::Element => {}
            }
            let line = self.text.lines.line();
            let length = self.element(line, batch)?;
            if let Some(look) = &mut look {
                look.records += 1;
            }
            let Some(length) = length else { continue };
            let element = &self.text.window.bytes()[..length];
            if let Some(look) = &mut look {
                look.look_at_keys(element, self.objects.naming());
            }
            self.objects.take(batch, element, line);
            self.text.pass(length);
            self.place = Place::AfterElement;
        }
    }

    /// Goes on to the next element. With `wait` it reads until there is one or the array is over.
    fn next(&mut self, wait: bool) -> Result<Next, ReadError> {
        if let Some((line, fault)) = &self.fault {
            return Err(self.text.not_json(*line, fault.clone()));
        }
        loop {
            let bytes = self.text.window.bytes();
            let blanks = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
            self.text.pass(blanks);
            let Some(byte) = self.text.window.bytes().first().copied() else {
                if !wait {
                    return Ok(Next::Unread);
                }
                if self.text.fill()? {
                    continue;
                }
                return match self.place {
                    Place::Closed => Ok(Next::End),
                    Place::BeforeArray => Err(self.wrong(0, "it is empty, and not an array")),
                    _ => Err(self.wrong(0, "it ends before its array is closed by `]`; it was most likely cut short")),
                };
            };
            self.place = match (self.place, byte) {
                (Place::BeforeArray, b'[') => Place::AtStart,
                (Place::AtStart | Place::AfterElement, b']') => Place::Closed,
                (Place::AfterElement, b',') => Place::AfterComma,
                (Place::AtStart | Place::AfterComma, _) if !matches!(byte, b',' | b']') => return Ok(Next::Element),
                (Place::BeforeArray, _) => return Err(self.wrong(0, "it is no array: it does not begin with `[`")),
                (Place::AtStart, _) => return Err(self.wrong(0, "a comma stands before the first element")),
                (Place::AfterElement, _) => {
                    return Err(self.wrong(0, "between two elements stands something other than a comma"));
                }
                (Place::AfterComma, _) => return Err(self.wrong(0, "a comma is followed by no element")),
                (Place::Closed, _) => return Err(self.wrong(0, "something stands behind the closing `]`")),
            };
            self.text.pass(1);
        }
    }

    /// The length of the element at the front of the window. None where it was too long and is a row by now.
    fn element(&mut self, line: u64, batch: &mut RecordBatch) -> Result<Option<usize>, ReadError> {
        let mut scan = ValueScan::new();
        let mut scanned = 0;
        loop {
            let bytes = self.text.window.bytes();
            match scan.read(&bytes[scanned..]) {
                Scanned::Whole(length) => {
                    let length = scanned + length;
                    if let Err(error) = std::str::from_utf8(&bytes[..length]) {
                        return Err(self.invalid(error.valid_up_to()));
                    }
                    if length <= MAX_RECORD_BYTES {
                        return Ok(Some(length));
                    }
                    let raw = raw_text(bytes);
                    self.text.pass(length);
                    self.took_too_long(batch, line, length as u64, raw);
                    return Ok(None);
                }
                Scanned::Wrong(at) => return Err(self.not_json_at(scanned + at)),
                Scanned::More => scanned = bytes.len(),
            }
            if scanned > MAX_RECORD_BYTES {
                self.pass_too_long(scan, line, batch)?;
                return Ok(None);
            }
            if !self.text.fill()? {
                return Err(self.cut(line));
            }
        }
    }

    /// Goes over an element that is too long, all of the window being part of it, and keeps nothing but its beginning.
    fn pass_too_long(&mut self, mut scan: ValueScan, line: u64, batch: &mut RecordBatch) -> Result<(), ReadError> {
        let raw = raw_text(self.text.window.bytes());
        let mut length = 0;
        let mut end = None;
        loop {
            let bytes = self.text.window.bytes();
            let part = end.unwrap_or(bytes.len());
            // A character may be cut where the window ends.
            let valid = match std::str::from_utf8(&bytes[..part]) {
                Ok(_) => part,
                Err(error) if error.error_len().is_none() && end.is_none() => error.valid_up_to(),
                Err(error) => return Err(self.invalid(error.valid_up_to())),
            };
            self.text.pass(valid);
            length += valid as u64;
            if end.is_some() {
                break;
            }
            let scanned = self.text.window.bytes().len();
            if !self.text.fill()? {
                return Err(self.cut(line));
            }
            match scan.read(&self.text.window.bytes()[scanned..]) {
                Scanned::More => {}
                Scanned::Whole(at) => end = Some(scanned + at),
                Scanned::Wrong(at) => return Err(self.not_json_at(scanned + at)),
            }
        }
        self.took_too_long(batch, line, length, raw);
        Ok(())
    }

    fn took_too_long(&mut self, batch: &mut RecordBatch, line: u64, bytes: u64, raw: Box<str>) {
        self.objects.take_too_long(batch, line, self.text.lines.line(), bytes, raw);
        self.place = Place::AfterElement;
    }

    fn cut(&mut self, line: u64) -> ReadError {
        self.fault_on(line, "it ends within an element; it was most likely cut short".to_owned())
    }

    /// The input stops being JSON at this byte of the window, unless it stopped being text before.
    fn not_json_at(&mut self, at: usize) -> ReadError {
        let bytes = self.text.window.bytes();
        // The byte itself counts: outside of texts no byte above 0x7F can stand, valid or not.
        match std::str::from_utf8(&bytes[..at]) {
            Err(error) => self.invalid(error.valid_up_to()),
            Ok(_) if bytes[at] == 0xff => self.invalid(at),
            Ok(_) => self.wrong(at, "this is no JSON value"),
        }
    }

    fn invalid(&mut self, at: usize) -> ReadError {
        let bytes = self.text.window.bytes();
        let fault = if self.utf8 {
            format!(
                "the byte 0x{:02X} is not valid UTF-8; name the file's encoding, most likely `--encoding {}`",
                bytes[at],
                encoding::likely(&bytes[at..=at])
            )
        } else {
            "it has bytes that are not valid in this encoding; check `--encoding`".to_owned()
        };
        let line = self.text.line_at(at);
        self.fault_on(line, fault)
    }

    /// What is wrong with the byte at `at` of the window.
    fn wrong(&mut self, at: usize, fault: &str) -> ReadError {
        let line = self.text.line_at(at);
        self.fault_on(line, fault.to_owned())
    }

    /// Nothing can be read any more.
    fn fault_on(&mut self, line: u64, fault: String) -> ReadError {
        let error = self.text.not_json(line, fault.clone());
        self.fault = Some((line, fault));
        error
    }
}
