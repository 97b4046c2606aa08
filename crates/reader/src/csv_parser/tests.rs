//! The parser against the plain way: every record parsed from its own start, whatever that costs.

use std::io;

use proptest::prelude::*;

use super::*;
use crate::window::Window;

/// What came out, in bytes of the text.
#[derive(Debug, PartialEq, Eq)]
enum Piece {
    Record { at: usize, bytes: usize, fields: Vec<Vec<u8>> },
    UnclosedQuote { at: usize, line: u64, opened: u64, last: u64 },
    TooLong { at: usize, bytes: usize },
    TooManyLines { at: usize, line: u64 },
}

struct Trickle {
    bytes: io::Cursor<Vec<u8>>,
    piece: usize,
}

impl io::Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.piece);
        self.bytes.read(&mut buffer[..most])
    }
}

/// All pieces, and how many bytes were gone over for them.
fn parse(bytes: &[u8], delimiter: u8, longest: usize, piece: usize) -> (Vec<Piece>, u64) {
    let source = Trickle { bytes: io::Cursor::new(bytes.to_vec()), piece };
    let text = Text::new(Window::new(Box::new(source)), "in", Box::new(|| None));
    let mut parser = CsvParser::new(text, delimiter, true, longest);
    let (mut arena, mut pieces) = (Vec::new(), Vec::new());
    loop {
        let next = parser.next(&mut arena, 0).unwrap();
        let (at, line) = (parser.text.passed() as usize, parser.text.lines.line());
        match next {
            Next::End => return (pieces, parser.work + parser.quotes.work),
            Next::Record { bytes, fields, written } => {
                let starts = std::iter::once(0).chain(parser.ends.iter().copied());
                let ranges = starts.zip(&parser.ends[..fields]).map(|(start, end)| arena[start..*end].to_vec());
                pieces.push(Piece::Record { at, bytes, fields: ranges.collect() });
                assert_eq!(parser.ends[..fields].last(), Some(&written));
                parser.text.pass(bytes);
            }
            Next::UnclosedQuote { opened, last } => {
                pieces.push(Piece::UnclosedQuote { at, line, opened, last });
                parser.give_up();
                let all = parser.text.window.bytes().len();
                let length = parser.text.line_length(0).unwrap_or(all);
                parser.text.pass(length);
            }
            Next::TooManyLines { last } => {
                assert!(last >= line);
                pieces.push(Piece::TooManyLines { at, line });
                parser.give_up();
                let length = parser.text.line_length(0).unwrap();
                parser.text.pass(length);
            }
            Next::Malformed { .. } => unreachable!("no dump"),
            Next::TooLong => {
                let bytes = parser.skip_too_long().unwrap().0 as usize;
                pieces.push(Piece::TooLong { at, bytes });
            }
        }
    }
}

fn core(delimiter: u8) -> csv_core::Reader {
    let mut core = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    begin(&mut core);
    core
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// Whether a record that is cut behind these bytes stands within quotes.
fn is_open(delimiter: u8, bytes: &[u8]) -> bool {
    let mut core = core(delimiter);
    let (mut output, mut ends) = (vec![0; bytes.len() + 16], vec![0; bytes.len() + 16]);
    let _ = core.read_record(bytes, &mut output, &mut ends);
    !matches!(core.read_record(b"\n", &mut output, &mut ends).0, ReadRecordResult::Record)
}

/// On which line, from 0 on, the field was opened that stands open at the end, and how many lines follow the first.
fn where_opened(delimiter: u8, bytes: &[u8]) -> (u64, u64) {
    let mut core = core(delimiter);
    let (mut output, mut ends) = (vec![0; bytes.len() + 16], vec![0; bytes.len() + 16]);
    let (mut opened, mut line, mut from) = (0, 0, 0);
    while from < bytes.len() {
        let rest = &bytes[from..];
        let length = match rest.iter().position(|byte| is_end(*byte)) {
            Some(at) if rest[at..].starts_with(b"\r\n") => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        if core.read_record(&rest[..length], &mut output, &mut ends).3 > 0 {
            opened = line;
        }
        line += 1;
        from += length;
    }
    (opened, line.max(1) - 1)
}

/// The plain way: every record from its own start.
fn parse_plainly(bytes: &[u8], delimiter: u8, longest: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        at += bytes[at..].iter().take_while(|byte| is_end(**byte)).count();
        if at == bytes.len() {
            return pieces;
        }
        let seen = &bytes[at..bytes.len().min(at + longest + 1)];
        let first_line = seen.iter().position(|byte| is_end(*byte));
        let mut lines = crate::window::LineCounter::new();
        lines.pass(&bytes[..at]);
        let line = lines.line();
        let (mut output, mut ends) = (vec![0; seen.len() + 16], vec![0; seen.len() + 16]);
        let mut core = core(delimiter);
        let (mut result, mut read, mut written, mut fields) = core.read_record(seen, &mut output, &mut ends);
        let over = seen.len() <= longest;
        let behind_quote = seen.last() == Some(&b'"') && is_open(delimiter, &seen[..seen.len() - 1]);
        let open = is_open(delimiter, seen) || (!over && behind_quote);
        if result != ReadRecordResult::Record && over && !open {
            let (more, _, wrote, ended) = core.read_record(&[], &mut output[written..], &mut ends[fields..]);
            (result, read, written, fields) = (more, seen.len(), written + wrote, fields + ended);
        }
        if result == ReadRecordResult::Record {
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let fields = starts.zip(&ends[..fields]).map(|(start, end)| output[start..*end].to_vec()).collect();
            pieces.push(Piece::Record { at, bytes: read, fields });
            assert!(ends.contains(&written));
            at += read;
        } else if open && (over || first_line.is_some()) {
            let (opened, last) = where_opened(delimiter, seen);
            pieces.push(Piece::UnclosedQuote { at, line, opened: line + opened, last: line + last });
            at += first_line.unwrap_or(seen.len());
        } else if let Some(length) = first_line {
            pieces.push(Piece::TooManyLines { at, line });
            at += length;
        } else {
            let rest = &bytes[at + longest..];
            let length = longest + rest.iter().position(|byte| is_end(*byte)).unwrap_or(rest.len());
            pieces.push(Piece::TooLong { at, bytes: length });
            at += length;
        }
    }
}

#[test]
fn each_line_that_leaves_a_quote_open_costs_its_own_bytes() {
    // Within quotes or not, such a line ends within quotes.
    let line = "12345\",\"a\n";
    let longest = 10_000;
    for (text, rows, unclosed) in [
        (line.repeat(20_000), 20_000, 20_000),
        // What is left where the quote closes is one record.
        (format!("{}1,\"closed\"\n", line.repeat(20_000)), 19_002, 19_001),
        ("1,\"a\n\"\"\n".repeat(20_000), 20_000, 0),
        // Outside quotes just where a record gets too long: each line is given up alone all the same.
        ("12\",\"aaaaaaa\n".repeat(20_000), 20_000, 769),
        // Two lines a record.
        ("1,\"b\n".repeat(10_000), 5_000, 0),
    ] {
        let (pieces, work) = parse(text.as_bytes(), b',', longest, usize::MAX);
        let given_up = pieces.iter().filter(|piece| matches!(piece, Piece::UnclosedQuote { .. })).count();
        assert_eq!((pieces.len(), given_up), (rows, unclosed));
        // Once by the parser, once by the scan within quotes.
        assert!(work <= 2 * text.len() as u64, "{work} for {} bytes", text.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_same_as_parsing_every_record_from_its_own_start(
        parts in prop::collection::vec(prop_oneof![
            6 => prop::sample::select(vec!["\"", "\"", "\"\"", ",", ";", "\n", "\n", "\r", "\r\n", "a", "bc", " ", "\",\"", "12\",\"a\n"]).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 1..4),
        ], 0..60),
        delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|', b' ', b'a']),
        longest in 1_usize..70,
        piece in prop::sample::select(vec![1, 2, 5, 17, usize::MAX]),
    ) {
        let bytes = parts.concat();
        let (pieces, work) = parse(&bytes, delimiter, longest, piece);
        prop_assert_eq!(pieces, parse_plainly(&bytes, delimiter, longest));
        prop_assert!(work <= 2 * bytes.len() as u64);
    }
}
