//! The header of delimited text.

use model::sheet;

use super::CsvRecords;
use crate::{csv_parser::Next, encoding, error::OpenError, naming::Naming, options::RowKey};

impl CsvRecords {
    pub(super) fn read_header(&mut self, input: &str) -> Result<Vec<String>, OpenError> {
        let header_fault = |fault: String| OpenError::Header { input: input.to_owned(), fault };
        let mut arena = Vec::new();
        match self.parser.next(&mut arena, 0)? {
            Next::End => Err(OpenError::Empty(input.to_owned())),
            Next::Malformed { column, fault, .. } => {
                let place = column.map_or_else(String::new, |column| format!("column {}: ", column + 1));
                Err(header_fault(format!("{place}{fault}")))
            }
            Next::UnclosedQuote { .. } => Err(header_fault("a quote in it is never closed".to_owned())),
            Next::TooLong | Next::TooManyLines { .. } => Err(header_fault("it is longer than 1 MiB".to_owned())),
            Next::Record { bytes, fields, .. } => {
                let mut start = 0;
                let mut headers = Vec::with_capacity(fields);
                for end in &self.parser.ends[..fields] {
                    let Ok(header) = std::str::from_utf8(&arena[start..*end]) else {
                        let likely = encoding::likely(&self.parser.text.window.bytes()[..bytes]);
                        let fault = format!(
                            "column {} is not valid in this encoding, most likely `--encoding {likely}`",
                            headers.len() + 1
                        );
                        return Err(header_fault(fault));
                    };
                    headers.push(header.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}').to_owned());
                    start = *end;
                }
                self.parser.text.pass(bytes);
                Ok(headers)
            }
        }
    }
}

/// Refuses what would take a code or a line's number for whom a row is of.
pub(super) fn refuse_key_of_sheet(input: &str, headers: &[String], naming: &Naming) -> Result<(), OpenError> {
    let is_euid = |header: &str| naming.key() == RowKey::Euid && header.eq_ignore_ascii_case("euid");
    let own = headers.iter().find(|header| sheet::is_own_column(header) && naming.is_key(header) && !is_euid(header));
    own.map_or(Ok(()), |own| {
        let (input, column, columns) = (input.to_owned(), own.clone(), headers.to_vec());
        Err(OpenError::KeyOfSheet { input, key: naming.key(), column, columns })
    })
}
