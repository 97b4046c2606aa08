//! Text in any encoding, as UTF-8. What is not valid becomes the byte 0xFF, which is in no UTF-8 text: the row it
//! stands in is rejected later, and nothing is replaced in silence.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, UTF_8};

use crate::raw::read_up_to;

/// A text encoding by its WHATWG label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding(&'static encoding_rs::Encoding);

/// The encoding with this WHATWG label (`windows-1252`, `utf-16le`, `shift_jis`, …).
pub fn encoding_for_label(label: &str) -> Option<Encoding> {
    encoding_rs::Encoding::for_label_no_replacement(label.as_bytes()).map(Encoding)
}

impl Encoding {
    /// UTF-8.
    pub const UTF_8: Self = Self(UTF_8);

    /// Its name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

/// Puts a decoder in front of a source: by its byte order mark, else by the label, else UTF-8. Says which it is.
pub(crate) fn decode(
    mut source: Box<dyn Read + Send>,
    label: Option<Encoding>,
) -> io::Result<(Box<dyn Read + Send>, Encoding)> {
    let mut start = [0; 3];
    let length = read_up_to(&mut source, &mut start)?;
    let start = &start[..length];
    let (encoding, mark) = match encoding_rs::Encoding::for_bom(start) {
        Some((encoding, length)) => (encoding, length),
        None => (label.map_or(UTF_8, |label| label.0), 0),
    };
    let text = io::Cursor::new(start[mark..].to_vec()).chain(source);
    if encoding == UTF_8 {
        return Ok((Box::new(text), Encoding(encoding)));
    }
    Ok((Box::new(Decoding::new(text, encoding)), Encoding(encoding)))
}

struct Decoding<R> {
    source: R,
    decoder: Decoder,
    input: Vec<u8>,
    taken: usize,
    filled: usize,
    ended: bool,
    finished: bool,
    /// Decoded bytes: those from `given` to `ready` are still to be handed out.
    output: Vec<u8>,
    ready: usize,
    given: usize,
}

const CHUNK: usize = 64 << 10;

impl<R: Read> Decoding<R> {
    fn new(source: R, encoding: &'static encoding_rs::Encoding) -> Self {
        Self {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            input: vec![0; CHUNK],
            taken: 0,
            filled: 0,
            ended: false,
            finished: false,
            // A byte of UTF-16 or of a legacy encoding becomes at most three, and one more marks what is not valid.
            output: vec![0; CHUNK * 3 + 1],
            ready: 0,
            given: 0,
        }
    }

    /// Decodes the next piece into `output`.
    fn decode_more(&mut self) -> io::Result<()> {
        if self.taken == self.filled && !self.ended {
            self.taken = 0;
            self.filled = self.source.read(&mut self.input)?;
            self.ended = self.filled == 0;
        }
        self.given = 0;
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.input[self.taken..self.filled],
            &mut self.output[..CHUNK * 3],
            self.ended,
        );
        self.taken += read;
        self.ready = written;
        match result {
            DecoderResult::Malformed(_, _) => {
                self.output[written] = 0xff;
                self.ready += 1;
            }
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoding<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready {
            if self.finished {
                return Ok(0);
            }
            self.decode_more()?;
        }
        let count = buffer.len().min(self.ready - self.given);
        buffer[..count].copy_from_slice(&self.output[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}

/// The encoding that a file which isn't valid UTF-8 most likely has, judged by one row. Guessing is only for a hint.
pub(crate) fn likely(row: &[u8]) -> &'static str {
    let odd_nuls = row.iter().skip(1).step_by(2).filter(|byte| **byte == 0).count();
    if odd_nuls * 3 > row.len() {
        return "utf-16le";
    }
    if row.iter().any(|byte| matches!(byte, 0x80 | 0x82..=0x8c | 0x91..=0x9c | 0xc0..=0xff)) {
        return "windows-1252";
    }
    "iso-8859-1"
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read.
    struct Slow(Vec<u8>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() || buffer.is_empty() {
                return Ok(0);
            }
            buffer[0] = self.0.remove(0);
            Ok(1)
        }
    }

    fn decoded(bytes: &[u8], label: &str) -> Vec<u8> {
        let (mut text, _) = decode(Box::new(Slow(bytes.to_vec())), encoding_for_label(label)).unwrap();
        let mut all = Vec::new();
        text.read_to_end(&mut all).unwrap();
        all
    }

    #[test]
    fn marks_beat_labels_and_are_taken_off() {
        assert_eq!(decoded(b"\xef\xbb\xbfa\xc3\xbc", "windows-1252"), "aü".as_bytes());
        assert_eq!(decoded(b"\xff\xfea\0\xfc\0", ""), "aü".as_bytes());
        assert_eq!(decoded(b"\xfe\xff\0a\0\xfc", ""), "aü".as_bytes());
        assert_eq!(decoded(b"a\xfc", "windows-1252"), "aü".as_bytes());
        assert_eq!(decoded(b"", ""), b"");
    }

    #[test]
    fn what_is_not_valid_becomes_a_byte_that_no_text_has() {
        assert_eq!(decoded(b"a\xfcb", ""), b"a\xfcb");
        assert_eq!(decoded(b"\xff\xfea\0\0\xd8b\0", ""), b"a\xffb");
        assert_eq!(decoded(b"\xff\xfea\0b", ""), b"a\xff");
        assert_eq!(decoded(b"a\x81\xffb", "shift_jis"), b"a\xffb");
    }
}
