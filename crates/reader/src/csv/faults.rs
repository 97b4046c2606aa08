//! What is wrong with a record of delimited text, in words.

use model::{Reason, Rejection};

use super::{CsvRecords, escapes::Escaped};
use crate::{encoding, text::lines};

impl CsvRecords {
    /// What is wrong with a parsed record, if anything.
    pub(super) fn fault(
        &mut self,
        text: &[u8],
        valid: bool,
        bytes: usize,
        fields: usize,
        first_line: u64,
    ) -> Option<Rejection> {
        let width = self.layout.width;
        if fields != width && !(self.flexible && self.extra_fields_are_empty(fields)) {
            let mut end = self.parser.text.lines.clone();
            end.pass(text_without_end(&self.parser.text.window.bytes()[..bytes]));
            let place = lines(first_line, end.line());
            let advice = if fields < width {
                "the row may have been cut short; `--flexible` takes missing fields as empty"
            } else if self.parser.dump.is_some() {
                "a value that holds the delimiter needs a backslash before it"
            } else if self.escapes != Escaped::Settled && self.escapes_a_delimiter(text, fields) {
                "a value that holds the delimiter needs quotes; the backslash before one looks like a database's dump: `--escape backslash`"
            } else {
                "a value that holds the delimiter needs quotes"
            };
            let plural = if fields == 1 { "field" } else { "fields" };
            return Some(Rejection::new(
                Reason::MalformedRow,
                format!("{place}: {fields} {plural} where the header has {width}: {advice}"),
            ));
        }
        if let Some(index) = (self.layout.unnamed_from..fields.min(width)).find(|index| !self.is_blank(text, *index)) {
            return Some(Rejection::new(
                Reason::MalformedRow,
                format!("line {first_line}: column {} has a value and no name in the header", index + 1),
            ));
        }
        if valid { None } else { Some(self.invalid(text, bytes, fields)) }
    }

    fn extra_fields_are_empty(&self, fields: usize) -> bool {
        (self.layout.width..fields).all(|index| self.parser.ends[index] == self.parser.ends[index.saturating_sub(1)])
    }

    fn escapes_a_delimiter(&self, text: &[u8], fields: usize) -> bool {
        self.parser.ends[..fields - 1].iter().any(|end| text[..*end].ends_with(b"\\"))
    }

    fn is_blank(&self, text: &[u8], index: usize) -> bool {
        let start = if index == 0 { 0 } else { self.parser.ends[index - 1] };
        text[start..self.parser.ends[index]].trim_ascii().is_empty()
    }

    fn invalid(&mut self, text: &[u8], bytes: usize, fields: usize) -> Rejection {
        let mut start = 0;
        for index in 0..fields {
            let field = &text[start..self.parser.ends[index]];
            start = self.parser.ends[index];
            if let Err(error) = std::str::from_utf8(field) {
                let column = self.layout.describe(index);
                if !self.utf8 {
                    return Rejection::new(
                        Reason::EncodingInvalid,
                        format!("{column} has bytes that are not valid in this encoding: check `--encoding`"),
                    );
                }
                let likely = encoding::likely(&self.parser.text.window.bytes()[..bytes]);
                self.hint.get_or_insert(likely);
                let byte = field[error.valid_up_to()];
                return Rejection::new(
                    Reason::EncodingInvalid,
                    format!(
                        "{column} has the byte 0x{byte:02X}, which is not valid UTF-8: name the file's encoding, most likely `--encoding {likely}`"
                    ),
                );
            }
        }
        Rejection::new(
            Reason::EncodingInvalid,
            "the row is not valid UTF-8: name the file's encoding with `--encoding`",
        )
    }
}

fn text_without_end(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !matches!(byte, b'\n' | b'\r')).map_or(0, |last| last + 1);
    &bytes[..end]
}
