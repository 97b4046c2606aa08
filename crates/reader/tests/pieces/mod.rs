//! Input that comes in pieces, for tests within the crate and beside it.

use std::io::{self, Read};

/// Gives at most `piece` bytes a read.
pub(crate) struct Pieces {
    bytes: io::Cursor<Vec<u8>>,
    piece: usize,
}

impl Pieces {
    pub(crate) fn of(bytes: &[u8], piece: usize) -> Self {
        Self { bytes: io::Cursor::new(bytes.to_vec()), piece }
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(self.piece);
        self.bytes.read(&mut buffer[..most])
    }
}
