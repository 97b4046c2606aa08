use std::{collections::VecDeque, io::Read, mem, sync::Arc};

use model::RecordBatch;

use crate::{
    error::{OpenError, ReadError},
    naming::Naming,
    options::{Format, ReaderOptions},
    parser::Parser,
    raw::Meter,
};

/// The records of one input, in order.
pub struct Records {
    name: Arc<str>,
    parser: Parser,
    meter: Arc<Meter>,
    ahead: Ahead,
    /// Whether it was told that apostrophes of a sheet are taken away.
    told_of_sheet: bool,
}

/// What was read before its turn.
#[derive(Default)]
struct Ahead {
    batches: VecDeque<RecordBatch>,
    /// How reading ended, if it did.
    end: Option<Result<(), ReadError>>,
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
    /// BLAKE3 of the bytes up to the mark that was asked for, once they are read.
    pub at_mark: Option<[u8; 32]>,
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
    pub(crate) fn new(name: Arc<str>, parser: Parser, meter: Arc<Meter>) -> Self {
        Self { name, parser, meter, ahead: Ahead::default(), told_of_sheet: false }
    }

    /// Reads records from anything that gives bytes: uncompressed, and nothing is known of changes. For tests and fuzzing.
    pub fn from_reader(
        name: &str,
        source: impl Read + Send + 'static,
        format: Format,
        options: &ReaderOptions,
    ) -> Result<Self, OpenError> {
        let naming = Naming::new(options);
        let (parser, _) = Parser::open(name, Box::new(source), Box::new(|| None), Some(format), options, &naming)?;
        Ok(Self::new(name.into(), parser, Meter::new(false, 0)))
    }

    /// Empties the batch and fills it with the next records, about 1,024 or 256 KiB of text. `Ok(true)`: there may be
    /// more; `Ok(false)`: these were the last, if there are any. After an error the batch holds what was whole before.
    pub fn next_batch(&mut self, batch: &mut RecordBatch) -> Result<bool, ReadError> {
        if let Some(ahead) = self.ahead.batches.pop_front() {
            *batch = ahead;
            return Ok(true);
        }
        batch.clear();
        batch.source = Arc::clone(&self.name);
        if let Some(end) = mem::take(&mut self.ahead.end) {
            return end.map(|()| false);
        }
        self.parser.fill(batch)
    }

    /// Gives records back that were read before their turn, so that they come first; `end`: how reading ended, if it did.
    pub fn put_back(&mut self, batches: Vec<RecordBatch>, end: Option<Result<(), ReadError>>) {
        if end.is_some() {
            // Of many inputs that wait so, not all can keep their files open.
            self.parser.close();
        }
        let Ahead { batches: behind, end: end_behind } = mem::take(&mut self.ahead);
        self.ahead = Ahead { batches: batches.into_iter().chain(behind).collect(), end: end.or(end_behind) };
    }

    /// Whether records wait that were read before their turn.
    pub fn has_waiting(&self) -> bool {
        !self.ahead.batches.is_empty()
    }

    /// How far the input was read.
    pub fn position(&self) -> Position {
        let meter = &self.meter;
        Position {
            bytes: meter.bytes(),
            rows: self.parser.rows(),
            blake3: meter.digest(),
            at_mark: meter.digest_at_mark(),
        }
    }

    /// What came up since the last call.
    pub fn notices(&mut self) -> Vec<Notice> {
        let hint = self.parser.take_hint();
        let is_sheet = self.parser.take_unprotected() && !mem::replace(&mut self.told_of_sheet, true);
        let name = &self.name;
        let hint = hint.map(|label| {
            format!("{name}: has bytes that are not valid UTF-8, most likely it needs `--encoding {label}`")
        });
        let sheet = is_sheet.then(|| {
            format!(
                "{name}: is a sheet of `report --csv`: its apostrophes in front of formulas and ids are no part of the values"
            )
        });
        let escape = self.parser.take_escape().map(|line| {
            format!(
                "{name}: line {line} has backslashes as a database's dump has them (\\n, \\t, \\\\), and they are sent as they \
                 stand: for a dump say `--escape backslash`, else `--escape none`"
            )
        });
        hint.into_iter().chain(sheet).chain(escape).map(Notice).collect()
    }
}

impl std::fmt::Debug for Records {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Records").field("name", &self.name).finish_non_exhaustive()
    }
}
