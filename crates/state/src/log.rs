//! What changed since the base was written, behind it: frames, each durable as a whole before anybody relies on it.
//!
//! Two pages in front of the blocks say in turn how far the log was durable at least, so that a file that lost its end is
//! told from one whose last frame was torn by a kill: a frame is synced first, the page is written after it.
//!
//! | bytes of a frame | |
//! |---|---|
//! | 8 | XXH3 of what follows, seeded by the file's salt and the frame's place |
//! | 8 | its number, from 1 |
//! | 4 | bytes that follow |
//! | | changes, one behind the other |

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use crate::{
    base::{BaseError, PAGE},
    block::checksum,
    entry::Entry,
    meta::Meta,
};

const HEAD: u64 = 20;
const META: u8 = 0;
const ENTRY: u8 = 1;
const GONE: u8 = 2;

/// Changes that wait to be written, in order.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<u8>);

impl Changes {
    pub(crate) fn entry(&mut self, euid: u64, entry: &[u8]) {
        self.0.push(ENTRY);
        self.0.extend_from_slice(&euid.to_le_bytes());
        self.0.extend_from_slice(entry);
    }

    pub(crate) fn gone(&mut self, euid: u64) {
        self.0.push(GONE);
        self.0.extend_from_slice(&euid.to_le_bytes());
    }

    pub(crate) fn meta(&mut self, meta: &Meta) -> io::Result<()> {
        let text = serde_json::to_vec(meta)?;
        self.0.push(META);
        self.0.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.0.extend_from_slice(&text);
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// A change, read.
#[derive(Debug)]
pub(crate) enum Change<'a> {
    Meta(Box<Meta>),
    Entry(u64, Entry<'a>),
    Gone(u64),
}

/// The first of these changes, and what follows it; none where it makes no sense.
fn first_change(bytes: &[u8]) -> Option<(Change<'_>, &[u8])> {
    let (what, rest) = bytes.split_first()?;
    if *what == META {
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        return Some((Change::Meta(serde_json::from_slice(text).ok()?), rest));
    }
    let (euid, rest) = rest.split_first_chunk::<8>()?;
    let euid = u64::from_le_bytes(*euid);
    match *what {
        ENTRY => {
            let entry = Entry::at_start_of(rest)?;
            Some((Change::Entry(euid, entry), &rest[entry.bytes().len()..]))
        }
        GONE => Some((Change::Gone(euid), rest)),
        _ => None,
    }
}

/// The log of an open file.
#[derive(Debug)]
pub(crate) struct Log {
    file: Arc<File>,
    salt: u64,
    /// Where it begins and ends.
    start: u64,
    end: u64,
    frames: u64,
    buffer: Vec<u8>,
}

impl Log {
    /// One that begins behind a base that was just written.
    pub(crate) fn begin(file: Arc<File>, salt: u64, start: u64) -> Self {
        Self { file, salt, start, end: start, frames: 0, buffer: Vec::new() }
    }

    /// Reads what is there. What a kill tore is cut off.
    pub(crate) fn open(
        file: Arc<File>,
        salt: u64,
        start: u64,
        mut take: impl FnMut(Change<'_>),
    ) -> Result<Self, BaseError> {
        let mut log = Self::begin(file, salt, start);
        let durable = log.durable()?.ok_or(BaseError::Damaged("nothing says how far it was written"))?;
        let length = log.file.metadata()?.len();
        while log.read_frame(length, &mut take)? {}
        if log.end < durable {
            return Err(BaseError::Damaged("its end is missing or isn't what was written"));
        }
        if log.end < length {
            log.file.set_len(log.end)?;
        }
        Ok(log)
    }

    /// How far it was durable at least; none where neither page says so.
    fn durable(&self) -> io::Result<Option<u64>> {
        let mut durable = None;
        for page in [1, 2] {
            let mut bytes = [0; 16];
            match self.file.read_exact_at(&mut bytes, page * PAGE) {
                Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let [sum, end] = [0, 8].map(|at| bytes[at..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word)));
            if sum == checksum(self.salt, page * PAGE, &bytes[8..]) {
                durable = durable.max(Some(end));
            }
        }
        Ok(durable)
    }

    fn read_frame(&mut self, length: u64, take: &mut impl FnMut(Change<'_>)) -> Result<bool, BaseError> {
        if self.end + HEAD > length {
            return Ok(false);
        }
        let mut head = [0; HEAD as usize];
        self.file.read_exact_at(&mut head, self.end)?;
        let bytes = u64::from(u32::from_le_bytes([head[16], head[17], head[18], head[19]]));
        if self.end + HEAD + bytes > length {
            return Ok(false);
        }
        self.buffer.resize((HEAD + bytes) as usize, 0);
        self.file.read_exact_at(&mut self.buffer, self.end)?;
        let (sum, rest) = self.buffer.split_at(8);
        let (number, mut changes) = (&rest[..8], &rest[12..]);
        if sum != checksum(self.salt, self.end, rest).to_le_bytes() || number != (self.frames + 1).to_le_bytes() {
            return Ok(false);
        }
        while !changes.is_empty() {
            let Some((change, others)) = first_change(changes) else {
                return Err(BaseError::Damaged("a change in it makes no sense"));
            };
            take(change);
            changes = others;
        }
        self.frames += 1;
        self.end += HEAD + bytes;
        Ok(true)
    }

    /// Makes changes durable.
    pub(crate) fn commit(&mut self, changes: &Changes) -> io::Result<()> {
        let end = self.append(changes)?;
        self.file.sync_data()?;
        self.end = end;
        self.frames += 1;
        self.note_end()
    }

    fn append(&mut self, changes: &Changes) -> io::Result<u64> {
        let length = u32::try_from(changes.bytes()).map_err(|_| io::Error::other("too much to write at once"))?;
        self.buffer.clear();
        self.buffer.extend_from_slice(&[0; 8]);
        self.buffer.extend_from_slice(&(self.frames + 1).to_le_bytes());
        self.buffer.extend_from_slice(&length.to_le_bytes());
        self.buffer.extend_from_slice(&changes.0);
        let sum = checksum(self.salt, self.end, &self.buffer[8..]);
        self.buffer[..8].copy_from_slice(&sum.to_le_bytes());
        self.file.write_all_at(&self.buffer, self.end)?;
        Ok(self.end + self.buffer.len() as u64)
    }

    /// Writes down how far the log is durable. That itself becomes so with the next commit: a kill doesn't lose it.
    fn note_end(&self) -> io::Result<()> {
        let page = (1 + self.frames % 2) * PAGE;
        let end = self.end.to_le_bytes();
        let sum = checksum(self.salt, page, &end).to_le_bytes();
        self.file.write_all_at(&[sum, end].concat(), page)
    }

    /// Bytes of it.
    pub(crate) fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Bytes of the whole file.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }
}
