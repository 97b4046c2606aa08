//! Rows of delimited text that are plain: a line each, as many fields as the header, and no quote but around whole fields.
//! They are told in one pass over the bytes, eight at a time, and their fields lie in the text as they are. Whatever is
//! not plain is left to [`CsvParser`](crate::csv_parser::CsvParser), which reads all there is.

use std::ops::Range;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Finds plain rows.
pub(crate) struct PlainRows {
    delimiter: u8,
    /// A field may stand in quotes; else these are data.
    has_quotes: bool,
    /// Longest row, in bytes.
    longest: usize,
    /// The current row's fields; there is room for all that the header has.
    fields: Vec<Field>,
}

/// Where a field lies, without its quotes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Rows that were taken, with blank lines in between: so many bytes and lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) bytes: usize,
    pub(crate) lines: u64,
}

/// How many rows, and how many bytes of them, are enough.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Enough {
    pub(crate) rows: usize,
    pub(crate) bytes: usize,
}

/// How the current field is quoted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quotes {
    None,
    Open,
    /// The field ends before this quote.
    Closed(usize),
}

impl PlainRows {
    /// Finds rows of so many fields; none where the delimiter is none of the characters that are looked for.
    pub(crate) fn new(delimiter: u8, has_quotes: bool, width: usize, longest: usize) -> Option<Self> {
        let is_plain = delimiter.is_ascii() && !matches!(delimiter, b'"' | b'\n' | b'\r') && width > 0;
        is_plain.then(|| Self { delimiter, has_quotes, longest, fields: vec![Field::default(); width] })
    }

    /// Goes over the plain rows at the front of the text, up to the first that isn't or that is not taken. `take` gets each
    /// row's fields, and how many lines come before it.
    pub(crate) fn scan(&mut self, text: &[u8], enough: Enough, mut take: impl FnMut(&[Field], u64) -> bool) -> Run {
        let mut run = Run::default();
        let (mut rows, mut index, mut start, mut quotes) = (0, 0, 0, Quotes::None);
        // The highest bits of the row's bytes, and maybe of some before it.
        let mut high = 0;
        let (words, rest) = text.as_chunks::<8>();
        let mut last = [b' '; 8];
        last[..rest.len()].copy_from_slice(rest);
        for (number, word) in words.iter().chain([&last]).enumerate() {
            let word = u64::from_le_bytes(*word);
            high |= word;
            let mut marks = self.marks(word);
            while marks != 0 {
                let at = number * 8 + marks.trailing_zeros() as usize / 8;
                marks &= marks - 1;
                // Behind the text there may be what looks like a delimiter.
                let Some(byte) = text.get(at).copied() else { return run };
                if quotes == Quotes::Open {
                    match (byte, text.get(at + 1)) {
                        (b'"', Some(next)) if *next == self.delimiter || matches!(next, b'\n' | b'\r') => {
                            quotes = Quotes::Closed(at);
                        }
                        // Two quotes that stand for one, or something behind the field, or it goes on behind the line.
                        (b'"' | b'\n' | b'\r', _) => return run,
                        _ => {}
                    }
                } else if byte == self.delimiter {
                    if index + 1 == self.fields.len() {
                        return run;
                    }
                    self.fields[index] = field(start..at, quotes);
                    (index, start, quotes) = (index + 1, at + 1, Quotes::None);
                } else if byte == b'\n' {
                    // A line feed behind a carriage return is seen only where both are one end.
                    let end = if at > run.bytes && text[at - 1] == b'\r' { at - 1 } else { at };
                    if end > run.bytes {
                        let row = run.bytes..end;
                        let is_whole = index + 1 == self.fields.len() && row.len() <= self.longest;
                        if !is_whole || (high & HIGH != 0 && std::str::from_utf8(&text[row]).is_err()) {
                            return run;
                        }
                        self.fields[index] = field(start..end, quotes);
                        if !take(&self.fields, run.lines) {
                            return run;
                        }
                        rows += 1;
                    }
                    run = Run { bytes: at + 1, lines: run.lines + 1 };
                    if rows >= enough.rows || run.bytes >= enough.bytes {
                        return run;
                    }
                    (index, start, quotes, high) = (0, at + 1, Quotes::None, word);
                } else if byte == b'\r' {
                    if text.get(at + 1) != Some(&b'\n') {
                        return run;
                    }
                } else if byte == b'"' && at == start && self.has_quotes {
                    quotes = Quotes::Open;
                }
            }
        }
        run
    }

    /// The highest bit of each byte that is a delimiter, a quote or a control character.
    fn marks(&self, word: u64) -> u64 {
        let low = word & !HIGH;
        let differs = |byte: u8| (low ^ (ONES * u64::from(byte))) + !HIGH;
        let at_least_blank = low + ONES * 0x60;
        !(at_least_blank & differs(b'"') & differs(self.delimiter) | word) & HIGH
    }
}

fn field(Range { start, end }: Range<usize>, quotes: Quotes) -> Field {
    match quotes {
        Quotes::Closed(end) => Field { start: start + 1, end },
        Quotes::None | Quotes::Open => Field { start, end },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8], longest: usize) -> (usize, Run) {
        let mut rows = 0;
        let enough = Enough { rows: usize::MAX, bytes: usize::MAX };
        let run = PlainRows::new(b',', true, 2, longest).unwrap().scan(text, enough, |_, lines_before| {
            assert_eq!(lines_before, rows);
            rows += 1;
            true
        });
        (rows as usize, run)
    }

    #[test]
    fn a_row_is_as_long_as_a_record_may_be() {
        let text = b"12345,1234\n1,12345678\r\n1,2\n";
        assert_eq!(scan(text, 10), (3, Run { bytes: text.len(), lines: 3 }));
        assert_eq!(scan(text, 9), (0, Run::default()));
    }

    /// What was scanned becomes text as a whole: a byte that isn't valid must not cost the rows before it.
    #[test]
    fn a_run_ends_before_the_row_that_is_not_valid() {
        for before in 0..20 {
            let plain = "1,2\n".repeat(before);
            for at in 0..3 {
                let mut row = *b"5,6\n";
                row[at] = 0xff;
                let found = scan(&[plain.as_bytes(), &row, b"7,8\n"].concat(), 10);
                assert_eq!(found, (before, Run { bytes: plain.len(), lines: before as u64 }));
            }
            let valid = [plain.as_bytes(), "5,ü\n".as_bytes(), b"7,8\n"].concat();
            assert_eq!(scan(&valid, 10), (before + 2, Run { bytes: valid.len(), lines: before as u64 + 2 }));
        }
    }

    #[test]
    fn a_run_ends_where_it_is_enough() {
        for (rows, bytes, expected) in [(2, 100, 8), (9, 9, 12), (9, 8, 8), (9, 100, 16)] {
            let mut plain = PlainRows::new(b',', true, 2, 10).unwrap();
            let run = plain.scan(b"1,2\n3,4\n5,6\n7,8\n", Enough { rows, bytes }, |_, _| true);
            assert_eq!(run.bytes, expected, "{rows} rows, {bytes} bytes");
        }
    }
}
