//! Where a JSON value ends, told byte by byte in whatever pieces it comes: a value may be longer than what is kept of it.

use model::limits::MAX_RECORD_BYTES;

/// What a scan came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scanned {
    /// The value ends before this byte.
    Whole(usize),
    /// It goes on behind these bytes.
    More,
    /// At this byte it stops being JSON.
    Wrong(usize),
}

/// A scan over one value, by the grammar of RFC 8259. Memory is a bit for each level of nesting, and levels are bounded.
#[derive(Debug)]
pub(crate) struct ValueScan {
    state: State,
    nesting: Nesting,
}

/// What may stand next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Value,
    /// Behind `[`.
    ValueOrEnd,
    /// Behind `{`.
    KeyOrEnd,
    /// Behind a comma in an object.
    Key,
    Colon,
    CommaOrEnd,
    Text {
        is_key: bool,
    },
    Escape {
        is_key: bool,
    },
    Hex {
        is_key: bool,
        left: u8,
    },
    /// What is left of `true`, `false` or `null`.
    Word(&'static [u8]),
    Number(Number),
}

/// How far a number has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Sign,
    Zero,
    Whole,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl ValueScan {
    pub(crate) fn new() -> Self {
        Self { state: State::Value, nesting: Nesting::default() }
    }

    /// Goes on over the next bytes. Blanks before the value are part of it.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Scanned {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            match self.state {
                State::Text { is_key } => {
                    let rest = &bytes[at..];
                    let Some(plain) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) else {
                        return Scanned::More;
                    };
                    at += plain;
                    match rest[plain] {
                        b'\\' => self.state = State::Escape { is_key },
                        b'"' if is_key => self.state = State::Colon,
                        b'"' if self.value_ended() => return Scanned::Whole(at + 1),
                        b'"' => {}
                        _ => return Scanned::Wrong(at),
                    }
                }
                State::Number(number) => match number.next(byte) {
                    Some(number) => self.state = State::Number(number),
                    None if !number.is_whole() => return Scanned::Wrong(at),
                    None if self.value_ended() => return Scanned::Whole(at),
                    // The byte is looked at again.
                    None => continue,
                },
                before => {
                    if !self.step(byte) {
                        return Scanned::Wrong(at);
                    }
                    let closed = matches!(byte, b'}' | b']')
                        && matches!(before, State::CommaOrEnd | State::ValueOrEnd | State::KeyOrEnd);
                    if (closed || self.state == State::Word(b"")) && self.value_ended() {
                        return Scanned::Whole(at + 1);
                    }
                }
            }
            at += 1;
        }
        Scanned::More
    }

    /// Takes a byte outside of texts and numbers. False where it can't stand there.
    fn step(&mut self, byte: u8) -> bool {
        let is_blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.state = match (self.state, byte) {
            (State::Escape { is_key }, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                State::Text { is_key }
            }
            (State::Escape { is_key }, b'u') => State::Hex { is_key, left: 4 },
            (State::Hex { is_key, left }, _) if byte.is_ascii_hexdigit() => match left {
                1 => State::Text { is_key },
                _ => State::Hex { is_key, left: left - 1 },
            },
            (State::Word([next, rest @ ..]), _) if byte == *next => State::Word(rest),
            (State::Escape { .. } | State::Hex { .. } | State::Word(_), _) => return false,
            (state, _) if is_blank => state,
            (State::KeyOrEnd | State::Key, b'"') => State::Text { is_key: true },
            (State::Colon, b':') => State::Value,
            (State::CommaOrEnd, b',') => {
                if self.nesting.innermost_is_object() {
                    State::Key
                } else {
                    State::Value
                }
            }
            (State::KeyOrEnd, b'}') => return self.nesting.close(true),
            (State::ValueOrEnd, b']') => return self.nesting.close(false),
            (State::CommaOrEnd, b'}' | b']') => return self.nesting.close(byte == b'}'),
            (State::Value | State::ValueOrEnd, b'{' | b'[') => {
                if !self.nesting.open(byte == b'{') {
                    return false;
                }
                if byte == b'{' { State::KeyOrEnd } else { State::ValueOrEnd }
            }
            (State::Value | State::ValueOrEnd, _) => match byte {
                b'"' => State::Text { is_key: false },
                b't' => State::Word(b"rue"),
                b'f' => State::Word(b"alse"),
                b'n' => State::Word(b"ull"),
                b'-' => State::Number(Number::Sign),
                b'0' => State::Number(Number::Zero),
                b'1'..=b'9' => State::Number(Number::Whole),
                _ => return false,
            },
            _ => return false,
        };
        true
    }

    /// A value ended; true where it was the outermost.
    fn value_ended(&mut self) -> bool {
        self.state = State::CommaOrEnd;
        self.nesting.levels == 0
    }
}

impl Number {
    /// How it goes on with this byte; none where the byte is no part of it.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Sign, b'0') => Self::Zero,
            (Self::Sign, b'1'..=b'9') | (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => Self::ExponentDigits,
            _ => return None,
        })
    }

    fn is_whole(self) -> bool {
        matches!(self, Self::Zero | Self::Whole | Self::Fraction | Self::ExponentDigits)
    }
}

/// Which brackets are open: a bit a level, set for an object.
#[derive(Debug, Default)]
struct Nesting {
    bits: Vec<u64>,
    levels: usize,
}

impl Nesting {
    /// Deeper than any record can be is refused: a file of brackets must not fill the memory.
    fn open(&mut self, is_object: bool) -> bool {
        if self.levels >= MAX_RECORD_BYTES {
            return false;
        }
        let (word, bit) = (self.levels / 64, self.levels % 64);
        if word == self.bits.len() {
            self.bits.push(0);
        }
        self.bits[word] = self.bits[word] & !(1 << bit) | u64::from(is_object) << bit;
        self.levels += 1;
        true
    }

    fn innermost_is_object(&self) -> bool {
        self.levels.checked_sub(1).is_some_and(|top| self.bits[top / 64] >> (top % 64) & 1 == 1)
    }

    /// False where it isn't such a bracket that is open.
    fn close(&mut self, is_object: bool) -> bool {
        let closes = self.levels > 0 && self.innermost_is_object() == is_object;
        self.levels -= usize::from(closes);
        closes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same in pieces of every size.
    fn scan(text: &[u8]) -> Scanned {
        let in_pieces = |piece: usize| {
            let (mut scan, mut before) = (ValueScan::new(), 0);
            for bytes in text.chunks(piece) {
                match scan.read(bytes) {
                    Scanned::More => before += bytes.len(),
                    Scanned::Whole(at) => return Scanned::Whole(before + at),
                    Scanned::Wrong(at) => return Scanned::Wrong(before + at),
                }
            }
            Scanned::More
        };
        let whole = in_pieces(text.len().max(1));
        for piece in 1..text.len() {
            assert_eq!(in_pieces(piece), whole, "{:?} in pieces of {piece}", text.escape_ascii().to_string());
        }
        whole
    }

    #[test]
    fn a_value_ends_with_its_last_byte() {
        for value in [
            "{}",
            "[]",
            "{\"a\":1}",
            "{\"a\":[{},[],\"]}\",-0.5e+7,true,false,null]}",
            "\"a\\\"\\\\\\u00fc\"",
            "null",
            " { \"a\" : [ 1 , 2 ] , \"b\" : { } }",
            "[[[[[]]]]]",
            "[0]",
            "{\"\\ud800\":\"\\ud800\"}",
        ] {
            assert_eq!(scan(format!("{value},{{}}").as_bytes()), Scanned::Whole(value.len()), "{value}");
            for cut in 0..value.len() {
                assert_eq!(scan(&value.as_bytes()[..cut]), Scanned::More, "{value} cut at {cut}");
            }
        }
        for (number, end) in [("0,", 1), ("-12]", 3), ("1.5e3 ", 5), ("10}", 2)] {
            assert_eq!(scan(number.as_bytes()), Scanned::Whole(end), "{number}");
        }
    }

    #[test]
    fn what_is_not_json_is_told_where_it_begins() {
        for (text, at) in [
            ("}", 0),
            ("{a:1}", 1),
            ("{\"a\" 1}", 5),
            ("{\"a\":1,}", 7),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\":1]", 6),
            ("[1}", 2),
            ("01", 1),
            ("{\"a\":01}", 6),
            ("{\"a\":1.}", 7),
            ("+1", 0),
            ("nul ", 3),
            ("\"\n\"", 1),
            ("\"\\x\"", 2),
            ("\"\\u12g4\"", 5),
            ("[,1]", 1),
            ("{,}", 1),
            ("[1,,2]", 3),
            ("'a'", 0),
            ("-a", 1),
        ] {
            let expected = if text == "01" { Scanned::Whole(at) } else { Scanned::Wrong(at) };
            assert_eq!(scan(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn any_depth_is_counted_and_only_so_many_levels_are_taken() {
        let deep = [vec![b'['; MAX_RECORD_BYTES], vec![b']'; MAX_RECORD_BYTES]].concat();
        assert_eq!(ValueScan::new().read(&deep), Scanned::Whole(deep.len()));
        let deeper = vec![b'['; MAX_RECORD_BYTES + 1];
        assert_eq!(ValueScan::new().read(&deeper), Scanned::Wrong(MAX_RECORD_BYTES));
    }
}
