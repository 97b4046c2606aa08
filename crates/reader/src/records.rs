use std::{io::Read, sync::Arc};

use model::RecordBatch;

use crate::{
    csv::CsvRecords,
    error::{OpenError, ReadError},
    input::body_of,
    naming::Naming,
    ndjson::NdjsonRecords,
    options::{Format, ReaderOptions},
    raw::Meter,
};

/// The parser of one input.
pub(crate) enum Body {
    Csv(Box<CsvRecords>),
    Ndjson(Box<NdjsonRecords>),
}

/// The records of one input, in order.
pub struct Records {
    name: Arc<str>,
    body: Body,
    meter: Arc<Meter>,
}

/// How far an input was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Bytes as they lie in the file.
    pub bytes: u64,
    /// Records.
    pub rows: u64,
    /// BLAKE3 of those bytes, where it was asked for.
    pub blake3: Option<[u8; 32]>,
}

/// Something about an input that the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice(String);

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Records {
    pub(crate) fn new(name: Arc<str>, body: Body, meter: Arc<Meter>) -> Self {
        Self { name, body, meter }
    }

    /// Reads records from anything that gives bytes: uncompressed, and nothing is known of changes. For tests and fuzzing.
    pub fn from_reader(
        name: &str,
        source: impl Read + Send + 'static,
        format: Format,
        options: &ReaderOptions,
    ) -> Result<Self, OpenError> {
        let naming = Naming::new(options);
        let (body, _) = body_of(name, Box::new(source), Box::new(|| None), Some(format), options, &naming)?;
        Ok(Self::new(name.into(), body, Meter::new(false)))
    }

    /// Empties the batch and fills it with the next records, about 1,024 or 256 KiB of text. `Ok(true)`: there may be
    /// more; `Ok(false)`: these were the last, if there are any. After an error the batch holds what was whole before.
    pub fn next_batch(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        batch.clear();
        batch.source = Arc::clone(&self.name);
        match &mut self.body {
            Body::Csv(records) => records.fill(batch),
            Body::Ndjson(records) => records.fill(batch),
        }
    }

    /// How far the input was read.
    pub fn position(&self) -> Position {
        let rows = match &self.body {
            Body::Csv(records) => records.rows(),
            Body::Ndjson(records) => records.rows(),
        };
        Position { bytes: self.meter.bytes(), rows, blake3: self.meter.digest() }
    }

    /// What came up since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        let hint = match &mut self.body {
            Body::Csv(records) => records.take_hint(),
            Body::Ndjson(records) => records.take_hint(),
        };
        let name = &self.name;
        hint.map(|label| {
            Notice(format!("{name}: has bytes that are not valid UTF-8, most likely it needs `--encoding {label}`"))
        })
        .into_iter()
        .collect()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("name", &self.name).finish_non_exhaustive()
    }
}
