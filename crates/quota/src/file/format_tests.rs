use proptest::prelude::*;

use super::*;
use crate::Ask;

fn contents() -> Contents {
    let mut contents = Contents { clock: "now".to_owned(), ..Contents::default() };
    for member in ["a", "b"] {
        contents.ledger(Which::Sending).answer(&Ask::of(member, 5), 17).unwrap();
    }
    contents
}

fn nothing() -> Contents {
    Contents { clock: "now".to_owned(), ..Contents::default() }
}

#[test]
fn what_is_written_is_read_also_over_longer_contents() {
    let contents = contents();
    let bytes = contents.bytes();
    assert_eq!(Contents::read(&bytes, "now"), Ok(contents.clone()));
    let over = [&bytes[..], b"left of a longer one"].concat();
    assert_eq!(Contents::read(&over, "now"), Ok(contents));
}

#[test]
fn times_of_another_clock_are_not_taken_for_ones_own() {
    assert_eq!(Contents::read(&contents().bytes(), "another"), Err(Unreadable::OtherClock));
}

#[test]
fn something_else_is_left_alone() {
    for bytes in [&b"euid,email\n"[..], b"{}", b"contactsync", b"\0\0x"] {
        assert_eq!(Contents::read(bytes, "now"), Err(Unreadable::Foreign), "{bytes:?}");
    }
    let newer = b"contactsync shared rate 2 4 0123456789abcdef\nmore";
    assert_eq!(Contents::read(newer, "now"), Err(Unreadable::OtherVersion));
    assert_eq!(Contents::read(b"", "now"), Ok(nothing()));
    assert_eq!(Contents::read(&[0; 300], "now"), Ok(nothing()));
}

proptest! {
    /// Whatever is broken in it: it is read as it was written, or as nothing, or is no such file.
    #[test]
    fn what_is_damaged_is_nothing(cut in 0_usize..400, at in 0_usize..400, bit in 0_u8..8, flips in any::<bool>()) {
        let contents = contents();
        let mut bytes = contents.bytes();
        if flips {
            let at = at % bytes.len();
            bytes[at] ^= 1 << bit;
        } else {
            bytes.truncate(cut % bytes.len());
        }
        match Contents::read(&bytes, "now") {
            Ok(read) => prop_assert!(read == contents || read == nothing()),
            Err(Unreadable::OtherClock) => prop_assert!(false),
            Err(Unreadable::Foreign | Unreadable::OtherVersion) => {
                prop_assert!(bytes.len() < MAGIC.len() || !bytes.starts_with(MAGIC.as_bytes()));
            }
        }
    }
}
