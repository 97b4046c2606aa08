//! Compression, told by magic bytes and never by name.

use std::io::{self, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::raw::read_up_to;

/// A file format that is not read, told by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    Zip,
    Xz,
    Bzip2,
    Parquet,
}

/// What a source turned out to be.
pub(crate) enum Opened {
    /// Bytes of text, decompressed where need be.
    Text(Box<dyn Read + Send>),
    /// Something else.
    Foreign(Foreign),
}

const LONGEST_MAGIC: usize = 6;
const READ_BUFFER: usize = 128 << 10;

/// Looks at the first bytes and puts a decompressor in front where they ask for one.
pub(crate) fn open(mut raw: impl Read + Send + 'static) -> io::Result<Opened> {
    let mut magic = [0; LONGEST_MAGIC];
    let length = read_up_to(&mut raw, &mut magic)?;
    let magic = &magic[..length];
    let foreign = match magic {
        [b'P', b'K', 3, 4, ..] => Some(Foreign::Zip),
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Some(Foreign::Xz),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Foreign::Bzip2),
        [b'P', b'A', b'R', b'1', ..] => Some(Foreign::Parquet),
        _ => None,
    };
    if let Some(foreign) = foreign {
        return Ok(Opened::Foreign(foreign));
    }
    let whole = Cursor::new(magic.to_vec()).chain(raw);
    Ok(Opened::Text(match magic {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(BufReader::with_capacity(READ_BUFFER, whole))),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => {
            Box::new(zstd::stream::read::Decoder::new(whole)?)
        }
        _ => Box::new(whole),
    }))
}
