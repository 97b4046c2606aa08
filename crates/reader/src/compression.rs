//! Compression, told by magic bytes and never by name.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

use crate::raw::read_up_to;

/// A file format that is not read, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    Zip,
    Xz,
    Bzip2,
    Parquet,
    /// Zstd that asks for more memory than a reader should spend.
    LongZstd,
}

/// What a source turned out to be.
pub(crate) enum Opened {
    /// Bytes of text, decompressed where need be.
    Text(Box<dyn Read + Send>),
    /// Something else.
    Foreign(Foreign),
}

/// The longest magic. No more is waited for: a pipe may hold a short row for now, and nothing else.
const LONGEST_MAGIC: usize = 6;
/// The longest header of a zstd frame.
const LONGEST_HEADER: usize = 18;
/// Largest window of a zstd frame that is read, which is what `zstd -d` takes without being asked: 128 MiB.
const LARGEST_WINDOW_LOG: u32 = 27;
const READ_BUFFER: usize = 128 << 10;

/// Looks at the first bytes and puts a decompressor in front where they ask for one.
pub(crate) fn open(mut raw: impl Read + Send + 'static) -> io::Result<Opened> {
    let mut magic = [0; LONGEST_HEADER];
    let mut length = read_up_to(&mut raw, &mut magic[..LONGEST_MAGIC])?;
    if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        length += read_up_to(&mut raw, &mut magic[length..])?;
    }
    let magic = &magic[..length];
    let foreign = match magic {
        [b'P', b'K', 3, 4, ..] => Some(Foreign::Zip),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Foreign::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Foreign::Bzip2),
        [b'P', b'A', b'R', b'1', ..] => Some(Foreign::Parquet),
        [0x28, 0xb5, 0x2f, 0xfd, header @ ..] if window(header) > 1 << LARGEST_WINDOW_LOG => Some(Foreign::LongZstd),
        _ => None,
    };
    if let Some(foreign) = foreign {
        return Ok(Opened::Foreign(foreign));
    }
    let whole = Cursor::new(magic.to_vec()).chain(raw);
    Ok(Opened::Text(match magic {
        [0x1f, 0x8b, ..] => Box::new(Gzip::new(BufReader::with_capacity(READ_BUFFER, whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(LARGEST_WINDOW_LOG)?;
            Box::new(decoder)
        }
        _ => Box::new(whole),
    }))
}

/// The window that a zstd frame asks for, by its header behind the magic bytes (RFC 8878, 3.1.1.1).
fn window(header: &[u8]) -> u64 {
    let Some((descriptor, rest)) = header.split_first() else { return 0 };
    if descriptor & 0x20 == 0 {
        let window = rest.first().copied().unwrap_or(0);
        let base = 1 << (10 + (window >> 3));
        return base + base / 8 * u64::from(window & 7);
    }
    // All of a single segment is its window; its size stands behind the dictionary's number.
    let number = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let length = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let size = rest.get(number..number + length).unwrap_or_default();
    size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte))
}

/// Members of gzip, one behind the other. Zeros behind the last, with which tapes and block devices fill up, are let pass
/// as gzip does; anything else is not.
struct Gzip<R> {
    /// None behind the last member.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    fn new(source: R) -> Self {
        Self { member: Some(GzDecoder::new(source)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            let count = member.read(buffer)?;
            if count > 0 {
                return Ok(count);
            }
            let Some(mut source) = self.member.take().map(GzDecoder::into_inner) else { break };
            match source.fill_buf()?.first() {
                None => {}
                Some(0) => only_zeros(&mut source)?,
                Some(_) => self.member = Some(GzDecoder::new(source)),
            }
        }
        Ok(0)
    }
}

fn only_zeros(source: &mut impl BufRead) -> io::Result<()> {
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "something that is not gzip follows its last member",
            ));
        }
        let count = bytes.len();
        source.consume(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_zstd_frames() {
        // Single segments of 10 bytes, 256 + 1, and 4 GiB; windows of 1 KiB, 128 MiB, a bit more, and 2 GiB.
        for (header, expected) in [
            (&[0x20, 10][..], 10),
            (&[0xe0, 0, 0, 0, 0, 1, 0, 0, 0], 1 << 32),
            (&[0x21, 7, 10], 10),
            (&[0x00, 0x00], 1 << 10),
            (&[0x00, 17 << 3], 1 << 27),
            (&[0x00, 17 << 3 | 1], (1 << 27) + (1 << 24)),
            (&[0x04, 21 << 3], 1 << 31),
            (&[], 0),
            (&[0xe0, 1], 0),
        ] {
            assert_eq!(window(header), expected, "{header:?}");
        }
    }
}
