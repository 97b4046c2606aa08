use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read},
    path::Path,
};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

use crate::{
    format::{Compression, ReportFormat},
    source::Bytes,
};

const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A report's bytes without the compression. It knows after which of them a gzip member or zstd frame ends, since only
/// there a compressed file can be cut.
pub(crate) struct Unpacked {
    piece: Piece,
    compression: Compression,
    /// Bytes given out so far.
    given: u64,
    /// Ends of members or frames: in the bytes given out, and in the file.
    ends: VecDeque<(u64, u64)>,
    /// The last position that [`Unpacked::cut_at`] was asked for.
    asked: u64,
}

enum Piece {
    Plain(Source),
    /// Where the next member or frame would begin.
    Between(Source),
    Gzip(Box<GzDecoder<Source>>),
    Zstd(ZstdDecoder<'static, Source>),
    /// After an error.
    Broken {
        by_system: bool,
    },
}

impl Unpacked {
    /// Reads a file whose compression is told by its first bytes, or by its name where it is too short for that.
    pub(crate) fn new(file: Bytes, path: &Path) -> io::Result<Self> {
        let mut source = Source { inner: BufReader::with_capacity(64 << 10, file), taken: 0, failed: false };
        let compression = sniff(source.fill_buf()?, ReportFormat::of(path).compression);
        let piece = if compression == Compression::None { Piece::Plain(source) } else { Piece::Between(source) };
        Ok(Self { piece, compression, given: 0, ends: VecDeque::new(), asked: 0 })
    }

    /// Goes on at that byte of a file that is not compressed; what is compressed can only be read through.
    pub(crate) fn go_to(&mut self, at: u64) {
        if let Piece::Plain(source) = &mut self.piece {
            source.go_to(at);
        }
    }

    /// How the file is compressed.
    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// Whether an error came from the system, and not from bytes that are not what they should be.
    pub(crate) fn failed_by_system(&self) -> bool {
        matches!(self.piece, Piece::Broken { by_system: true })
    }

    /// Where the file can be cut behind so many of the bytes given out, or behind as many as were last asked for: that
    /// a member or frame has ended is only noticed when the next bytes are read. Ask with rising positions.
    pub(crate) fn cut_at(&mut self, given: u64) -> Option<u64> {
        if self.compression == Compression::None {
            return Some(given);
        }
        let asked = std::mem::replace(&mut self.asked, given);
        let mut cut = None;
        while let Some((end, in_file)) = self.ends.pop_front_if(|(end, _)| *end <= given) {
            if end == given || end == asked {
                cut = Some(in_file);
            }
        }
        cut
    }

    /// Whether the member or frame that is being read is whole. What comes out of one that is not may be anything, and
    /// only its end shows it. Nothing can be read afterwards.
    pub(crate) fn piece_is_whole(&mut self) -> bool {
        let ended = self.ends.len();
        let mut rest = vec![0; 64 << 10];
        while matches!(self.piece, Piece::Gzip(_) | Piece::Zstd(_)) && self.ends.len() == ended {
            if self.read(&mut rest).is_err() {
                return self.ends.len() > ended;
            }
        }
        !matches!(self.piece, Piece::Broken { .. })
    }

    /// Begins the next member or frame; false at the end of the file.
    fn begin_piece(&mut self, mut source: Source) -> io::Result<bool> {
        if source.fill_buf().inspect_err(|_| self.piece = Piece::Broken { by_system: true })?.is_empty() {
            self.piece = Piece::Between(source);
            return Ok(false);
        }
        self.piece = if self.compression == Compression::Gzip {
            Piece::Gzip(Box::new(GzDecoder::new(source)))
        } else {
            Piece::Zstd(ZstdDecoder::with_buffer(source)?.single_frame())
        };
        Ok(true)
    }

    fn end_piece(&mut self, source: Source) {
        self.ends.push_back((self.given, source.taken));
        self.piece = Piece::Between(source);
    }
}

impl Read for Unpacked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            // In the place of what is read stands a broken piece, until it turns out to be whole.
            let piece = std::mem::replace(&mut self.piece, Piece::Broken { by_system: false });
            let broke_off = |source: &Source| Piece::Broken { by_system: source.failed };
            match piece {
                Piece::Plain(mut source) => {
                    let read = source.read(buffer);
                    self.piece = if read.is_ok() { Piece::Plain(source) } else { broke_off(&source) };
                    return read;
                }
                Piece::Between(source) => {
                    if !self.begin_piece(source)? {
                        return Ok(0);
                    }
                }
                Piece::Gzip(mut decoder) => match decoder.read(buffer) {
                    Ok(0) => self.end_piece(decoder.into_inner()),
                    Ok(read) => {
                        self.given += read as u64;
                        self.piece = Piece::Gzip(decoder);
                        return Ok(read);
                    }
                    Err(error) => {
                        self.piece = broke_off(decoder.get_ref());
                        return Err(error);
                    }
                },
                Piece::Zstd(mut decoder) => match decoder.read(buffer) {
                    Ok(0) => self.end_piece(decoder.finish()),
                    Ok(read) => {
                        self.given += read as u64;
                        self.piece = Piece::Zstd(decoder);
                        return Ok(read);
                    }
                    Err(error) => {
                        self.piece = broke_off(decoder.get_ref());
                        return Err(error);
                    }
                },
                Piece::Broken { by_system } => {
                    self.piece = Piece::Broken { by_system };
                    return Err(io::Error::other("read on after an error"));
                }
            }
        }
    }
}

/// The file, counting what was taken from it.
struct Source {
    inner: BufReader<Bytes>,
    taken: u64,
    failed: bool,
}

impl Source {
    fn go_to(&mut self, at: u64) {
        self.inner.consume(self.inner.buffer().len());
        self.inner.get_mut().go_to(at);
        self.taken = at;
    }
}

impl Read for Source {
    /// Past the buffer, where that is empty and asked for is as much as it holds.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.failed |= read.is_err();
                    self.taken += *read.as_ref().unwrap_or(&0) as u64;
                    return read;
                }
            }
        }
    }
}

impl BufRead for Source {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while let Err(error) = self.inner.fill_buf() {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed = true;
                return Err(error);
            }
        }
        self.inner.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.taken += bytes as u64;
        self.inner.consume(bytes);
    }
}

fn sniff(beginning: &[u8], named: Compression) -> Compression {
    if beginning.starts_with(GZIP_MAGIC) {
        return Compression::Gzip;
    }
    if beginning.starts_with(ZSTD_MAGIC) {
        return Compression::Zstd;
    }
    let magic = match named {
        Compression::None => return Compression::None,
        Compression::Gzip => GZIP_MAGIC,
        Compression::Zstd => ZSTD_MAGIC,
    };
    // Cut within the magic, or never filled after a loss of power.
    let agrees = beginning.iter().zip(magic).take_while(|(byte, magic)| byte == magic).count();
    let rest = beginning.get(agrees).copied().unwrap_or(0);
    if rest == 0 { named } else { Compression::None }
}
