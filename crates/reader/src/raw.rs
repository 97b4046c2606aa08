//! The lowest layer: bytes as they lie in the file, counted and, where wanted, hashed.

use std::{
    io::{self, Read},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// How much of an input was read.
#[derive(Debug)]
pub(crate) struct Meter {
    bytes: AtomicU64,
    digest: Option<Mutex<Digest>>,
}

#[derive(Debug, Default)]
struct Digest {
    hasher: blake3::Hasher,
    bytes: u64,
    /// After how many bytes a digest is kept, and that digest once so many were read.
    mark: u64,
    at_mark: Option<[u8; 32]>,
}

impl Digest {
    fn update(&mut self, bytes: &[u8]) {
        let before_mark = usize::try_from(self.mark - self.mark.min(self.bytes)).unwrap_or(usize::MAX);
        let (before, behind) = bytes.split_at(before_mark.min(bytes.len()));
        self.hasher.update(before);
        self.bytes += before.len() as u64;
        if self.at_mark.is_none() && self.bytes >= self.mark {
            self.at_mark = Some(*self.hasher.finalize().as_bytes());
        }
        self.hasher.update(behind);
        self.bytes += behind.len() as u64;
    }
}

impl Meter {
    /// A meter at zero; with `digest` it keeps a BLAKE3 of all bytes, and one of those up to `mark`.
    pub(crate) fn new(digest: bool, mark: u64) -> Arc<Self> {
        let digest = digest.then(|| {
            let mut digest = Digest { mark, ..Digest::default() };
            digest.update(&[]);
            Mutex::new(digest)
        });
        Arc::new(Self { bytes: AtomicU64::new(0), digest })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub(crate) fn digest(&self) -> Option<[u8; 32]> {
        let digest = self.digest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        Some(*digest.hasher.finalize().as_bytes())
    }

    pub(crate) fn digest_at_mark(&self) -> Option<[u8; 32]> {
        self.digest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner).at_mark
    }

    fn add(&self, bytes: &[u8]) {
        self.bytes.fetch_add(bytes.len() as u64, Relaxed);
        if let Some(digest) = &self.digest {
            digest.lock().unwrap_or_else(PoisonError::into_inner).update(bytes);
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
