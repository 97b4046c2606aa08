//! The lowest layer: bytes as they lie in the file, counted and, where wanted, hashed.

use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How much of an input was read.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    digest: Option<Mutex<blake3::Hasher>>,
}

impl Meter {
    /// A meter at zero; with `digest` it keeps a BLAKE3 of all bytes.
    pub(crate) fn new(digest: bool) -> Arc<Self> {
        Arc::new(Self { bytes: AtomicU64::new(0), digest: digest.then(Mutex::default) })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let hasher = self.digest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*hasher.finalize().as_bytes())
    }

    fn add(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        if let Some(hasher) = &self.digest {
            hasher.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
        }
    }
}

/// A source whose bytes are metered.
pub(crate) struct Metered<R> {
    inner: R,
    meter: Arc<Meter>,
}

impl<R: Read> Metered<R> {
    pub(crate) fn new(inner: R, meter: Arc<Meter>) -> Self {
        Self { inner, meter }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.inner.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    self.meter.add(&buffer[..count]);
                    return Ok(count);
                }
            }
        }
    }
}

/// Fills a buffer as far as the source goes.
pub(crate) fn read_up_to(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
