//! Records of delimited text that can't be read.

use model::{Reason, RecordBatch, RecordHead, Rejection, Value, limits::MAX_RECORD_BYTES};

use super::CsvRecords;
use crate::{
    dump::DumpFault,
    error::ReadError,
    text::{lines, raw_text},
};

impl CsvRecords {
    /// Takes the first line of a record that would go on up to a far line, and goes on behind it.
    pub(super) fn take_first_line(&mut self, batch: &mut RecordBatch, last: u64, fault: &str) {
        self.parser.give_up();
        let length = self.parser.text.line_length(0).unwrap_or(self.parser.text.window.bytes().len());
        let line = self.parser.text.lines.line();
        let message = format!(
            "{fault}: it would have swallowed {}; this line alone is rejected and reading goes on with the next",
            lines(line, last)
        );
        self.push_unread(batch, Rejection::new(Reason::MalformedRow, message), length);
        self.parser.text.pass(length);
    }

    pub(super) fn take_too_long(&mut self, batch: &mut RecordBatch) -> Result<(), ReadError> {
        let line = self.parser.text.lines.line();
        let shown = self.parser.text.window.bytes().len().min(MAX_RECORD_BYTES);
        let raw = raw_text(&self.parser.text.window.bytes()[..shown]);
        let (bytes, last) = self.parser.skip_too_long()?;
        let place = lines(line, last);
        let message = format!("{place}: the record has {bytes} bytes, more than {MAX_RECORD_BYTES} (1 MiB)");
        self.push_head(batch, Rejection::new(Reason::MalformedRow, message), line, raw);
        Ok(())
    }

    /// Takes a record of a dump that can't be told.
    pub(super) fn take_malformed(
        &mut self,
        batch: &mut RecordBatch,
        bytes: usize,
        column: Option<usize>,
        fault: DumpFault,
    ) {
        let text = &self.parser.text;
        let place = lines(text.lines.line(), text.line_at(bytes - 1));
        let column = column.map_or_else(String::new, |column| format!("{}: ", self.layout.describe(column)));
        let message = format!("{place}: {column}{fault}");
        self.push_unread(batch, Rejection::new(Reason::MalformedRow, message), bytes);
        self.parser.text.pass(bytes);
    }

    fn push_unread(&mut self, batch: &mut RecordBatch, fault: Rejection, bytes: usize) {
        let raw = raw_text(&self.parser.text.window.bytes()[..bytes]);
        self.push_head(batch, fault, self.parser.text.lines.line(), raw);
    }

    fn push_head(&mut self, batch: &mut RecordBatch, fault: Rejection, line: u64, raw: Box<str>) {
        self.row += 1;
        let fields = batch.fields_so_far();
        batch.records.push(RecordHead {
            row: self.row,
            line,
            fault: Some(Box::new(fault)),
            euid: Value::Missing,
            fields: fields..fields,
            raw: Some(raw),
        });
    }
}
