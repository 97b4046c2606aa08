//! The sorted part of the file: a header, blocks in the order of their EUIDs, and where each block begins. It is written
//! once, as a whole, and never changed.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use crate::{
    block::{Block, BlockWriter, LARGEST_BLOCK, checksum},
    entry::Entry,
    fingerprint::Key,
    ids::FIRST_ID,
};

const MAGIC: [u8; 16] = *b"contactsyncstate";
const VERSION: u32 = 1;
/// A page of the file.
pub(crate) const PAGE: u64 = 4_096;
/// Two pages behind the header say how far the log reaches; then the blocks begin.
const BLOCKS_AT: u64 = 3 * PAGE;
const HEADER: usize = 88;
/// Bytes of an index entry: first EUID, place.
const INDEX_ENTRY: usize = 16;

/// Why a base can't be used.
#[derive(Debug)]
pub(crate) enum BaseError {
    Io(io::Error),
    Foreign(&'static str),
    Damaged(&'static str),
}

impl From<io::Error> for BaseError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Damaged("it ends early"),
            _ => Self::Io(error),
        }
    }
}

/// The base of an open file.
#[derive(Debug)]
pub(crate) struct Base {
    file: Arc<File>,
    pub(crate) key: Key,
    pub(crate) salt: u64,
    /// How many EUIDs it holds.
    pub(crate) entries: u64,
    /// Of these, those of ids. They stand behind the others.
    pub(crate) ids: u64,
    /// Where the log begins.
    pub(crate) log_at: u64,
    /// Of each block, its first EUID and its place in the file; behind them, where the last one ends.
    firsts: Vec<u64>,
    places: Vec<u64>,
    /// How many entries stand before each block.
    before: Vec<u64>,
}

impl Base {
    /// Reads it and checks all of it.
    pub(crate) fn open(file: Arc<File>) -> Result<Self, BaseError> {
        let mut page = [0; HEADER];
        file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => BaseError::Foreign("it is too short"),
            _ => BaseError::Io(error),
        })?;
        if page[..16] != MAGIC {
            return Err(BaseError::Foreign("it begins otherwise"));
        }
        let word = |at: usize| page[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (version, salt) = (word(16) as u32, word(24));
        if word(HEADER - 8) != checksum(salt, 0, &page[..HEADER - 8]) {
            return Err(BaseError::Damaged("its header isn't what was written"));
        }
        if version != VERSION {
            return Err(BaseError::Foreign("it was written by another version"));
        }
        let mut key = [0; 16];
        key.copy_from_slice(&page[32..48]);
        let (entries, blocks, index_at, log_at) = (word(48), word(56), word(64), word(72));
        let index_bytes = log_at.checked_sub(index_at).filter(|bytes| *bytes == blocks * INDEX_ENTRY as u64 + 8);
        let Some(index_bytes) = index_bytes else { return Err(BaseError::Damaged("its header makes no sense")) };
        if file.metadata()?.len() < log_at {
            return Err(BaseError::Damaged("it ends early"));
        }
        let mut index = vec![0; index_bytes as usize];
        file.read_exact_at(&mut index, index_at)?;
        let (sum, index) = index.split_first_chunk::<8>().ok_or(BaseError::Damaged("it ends early"))?;
        if u64::from_le_bytes(*sum) != checksum(salt, index_at, index) {
            return Err(BaseError::Damaged("its index isn't what was written"));
        }
        let (words, _) = index.as_chunks::<8>();
        let firsts = words.iter().step_by(2).map(|word| u64::from_le_bytes(*word)).collect();
        let mut places: Vec<u64> = words.iter().skip(1).step_by(2).map(|word| u64::from_le_bytes(*word)).collect();
        places.push(index_at);
        let mut base = Self { file, key, salt, entries, ids: 0, log_at, firsts, places, before: Vec::new() };
        base.check()?;
        Ok(base)
    }

    /// Reads every block once, so that a damaged file is known before it is relied on.
    fn check(&mut self) -> Result<(), BaseError> {
        let mut block = Block::default();
        let mut before = Vec::with_capacity(self.firsts.len());
        let (mut entries, mut ids) = (0, 0);
        for (index, first) in self.firsts.iter().enumerate() {
            self.load(index, &mut block)?;
            if block.euid(0) != Some(*first) {
                return Err(BaseError::Damaged("its index isn't that of its blocks"));
            }
            before.push(entries);
            entries += block.len() as u64;
            let of_ids = |index: &usize| block.euid(*index).is_some_and(|key| key >= FIRST_ID);
            ids += (0..block.len()).rev().take_while(of_ids).count() as u64;
        }
        if entries != self.entries {
            return Err(BaseError::Damaged("a part of it is missing"));
        }
        self.before = before;
        self.ids = ids;
        Ok(())
    }

    fn load(&self, index: usize, block: &mut Block) -> Result<(), BaseError> {
        let (Some(start), Some(end)) = (self.places.get(index), self.places.get(index + 1)) else {
            return Err(BaseError::Damaged("its index makes no sense"));
        };
        let length = end.checked_sub(*start).filter(|length| *length <= LARGEST_BLOCK as u64);
        let Some(length) = length else { return Err(BaseError::Damaged("its index makes no sense")) };
        let is_whole =
            block.load(self.salt, *start, length as usize, |bytes| self.file.read_exact_at(bytes, *start))?;
        if is_whole { Ok(()) } else { Err(BaseError::Damaged("a block of it isn't what was written")) }
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// All entries in the order of their EUIDs.
    pub(crate) fn scan(&self) -> Scan<'_> {
        Scan { base: self, block: Block::default(), next_block: 0, next: 0, position: 0 }
    }
}

/// Goes over all entries.
#[derive(Debug)]
pub(crate) struct Scan<'a> {
    base: &'a Base,
    block: Block,
    next_block: usize,
    next: usize,
    position: u64,
}

impl Scan<'_> {
    /// The next EUID, and its entry's place among all; none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, u64, Entry<'_>)>, BaseError> {
        while self.next == self.block.len() {
            if self.next_block == self.base.firsts.len() {
                return Ok(None);
            }
            self.base.load(self.next_block, &mut self.block)?;
            self.next_block += 1;
            self.next = 0;
        }
        let (index, position) = (self.next, self.position);
        self.next += 1;
        self.position += 1;
        match (self.block.euid(index), self.block.entry(index)) {
            (Some(euid), Some(entry)) => Ok(Some((euid, position, entry))),
            _ => Err(BaseError::Damaged("an entry of it makes no sense")),
        }
    }
}

/// Looks EUIDs up, quickest in ascending order: what was found last is where it looks first.
#[derive(Debug)]
pub(crate) struct Cursor {
    block: Block,
    /// Which block that is.
    loaded: Option<usize>,
    near: usize,
}

impl Cursor {
    pub(crate) fn new() -> Self {
        Self { block: Block::default(), loaded: None, near: 0 }
    }

    /// Forgets what it knows: the base is another one.
    pub(crate) fn reset(&mut self) {
        self.loaded = None;
    }

    /// The entry of an EUID, and its place among all.
    pub(crate) fn find(&mut self, base: &Base, euid: u64) -> Result<Option<(u64, Entry<'_>)>, BaseError> {
        let lies_in = |block: usize| {
            base.firsts.get(block).is_some_and(|first| *first <= euid)
                && base.firsts.get(block + 1).is_none_or(|next| euid < *next)
        };
        let block = match self.loaded {
            Some(block) if lies_in(block) => block,
            Some(block) if lies_in(block + 1) => block + 1,
            _ => match base.firsts.partition_point(|first| *first <= euid).checked_sub(1) {
                Some(block) => block,
                None => return Ok(None),
            },
        };
        if self.loaded != Some(block) {
            self.loaded = None;
            base.load(block, &mut self.block)?;
            self.loaded = Some(block);
            self.near = 0;
        }
        let Some(index) = self.block.find(euid, self.near) else { return Ok(None) };
        self.near = index;
        match (self.block.entry(index), base.before.get(block)) {
            (Some(entry), Some(before)) => Ok(Some((before + index as u64, entry))),
            _ => Err(BaseError::Damaged("an entry of it makes no sense")),
        }
    }
}

/// Writes a base.
#[derive(Debug)]
pub(crate) struct BaseWriter {
    file: BufWriter<File>,
    key: Key,
    salt: u64,
    at: u64,
    entries: u64,
    index: Vec<u8>,
    block: BlockWriter,
    buffer: Vec<u8>,
}

impl BaseWriter {
    /// Into an empty file.
    pub(crate) fn new(file: File, key: Key, salt: u64) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        file.seek(io::SeekFrom::Start(BLOCKS_AT))?;
        let (index, block, buffer) = (Vec::new(), BlockWriter::default(), Vec::new());
        Ok(Self { file, key, salt, at: BLOCKS_AT, entries: 0, index, block, buffer })
    }

    /// The next entry: EUIDs ascend.
    pub(crate) fn push(&mut self, euid: u64, entry: &[u8]) -> io::Result<()> {
        self.block.push(euid, entry);
        self.entries += 1;
        if self.block.is_full() { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> io::Result<()> {
        let Some(first) = self.block.first() else { return Ok(()) };
        self.block.finish(self.salt, self.at, &mut self.buffer);
        self.index.extend_from_slice(&first.to_le_bytes());
        self.index.extend_from_slice(&self.at.to_le_bytes());
        self.file.write_all(&self.buffer)?;
        self.at += self.buffer.len() as u64;
        Ok(())
    }

    /// Writes what is missing: after this the file is a base, with the log to begin at its end. Nothing is synced.
    pub(crate) fn finish(mut self) -> io::Result<File> {
        self.close_block()?;
        self.file.write_all(&checksum(self.salt, self.at, &self.index).to_le_bytes())?;
        self.file.write_all(&self.index)?;
        let log_at = self.at + 8 + self.index.len() as u64;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut header = Vec::with_capacity(HEADER);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&u64::from(VERSION).to_le_bytes());
        header.extend_from_slice(&self.salt.to_le_bytes());
        header.extend_from_slice(&self.key);
        for word in [self.entries, (self.index.len() / INDEX_ENTRY) as u64, self.at, log_at] {
            header.extend_from_slice(&word.to_le_bytes());
        }
        header.extend_from_slice(&checksum(self.salt, 0, &header).to_le_bytes());
        file.write_all_at(&header, 0)?;
        Ok(file)
    }
}
