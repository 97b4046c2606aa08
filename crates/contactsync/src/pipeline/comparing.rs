use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use model::{Record, RecordBatch, escape_controls};
use reader::{Input, ReadError};
use report::{Decided, KeyComparison, ReportError, Resumption, Run, RunInput};
use validator::trimmed_id;

use crate::{
    failure::Failure,
    settings::{LeftOut, RowChoice},
};

/// Rows of a pipe that may wait in memory until all is compared.
const MOST_HELD_BYTES: usize = 64 << 20;
/// The same of a file, which else is read once more from its beginning: what a run that was stopped had read ahead.
const MOST_HELD_OF_FILE: usize = 8 << 20;
const HINT: &str =
    "resume with what the report was begun with, or begin another report under another name with `--report`";

/// Exit 2 where a report belongs to another run than this one, by what lies beside it.
pub(crate) fn refuse_another_run(then: &Run, now: &Run, key: &str, accept_new_key: bool) -> Result<(), Failure> {
    let differences = then.differences(now);
    if !differences.is_empty() {
        let message = format!("the report is of another run; nothing was sent\n{}", differences.join("\n"));
        return Err(Failure::usage(message).with_hint(HINT.to_owned()));
    }
    if then.api_key.as_ref().is_some_and(|bound| bound != key) && !accept_new_key {
        let hint = "where the key of the same project was changed, say `--accept-new-key`".to_owned();
        let message = "the rows of the report were accepted under another API key; nothing was sent";
        return Err(Failure::usage(message).with_hint(hint));
    }
    Ok(())
}

/// Exit 2 where another command wrote the report, also one that has no record yet.
pub(crate) fn refuse_another_command(resumption: &Resumption, command: &str) -> Result<(), Failure> {
    match &resumption.command {
        Some(then) if then != command => {
            let then = escape_controls(then);
            let message =
                format!("the report is of another run; nothing was sent\nthe command: then {then}, now {command}");
            Err(Failure::usage(message).with_hint(HINT.to_owned()))
        }
        _ => Ok(()),
    }
}

/// Rows that an earlier try has decided, and those that were passed over for it.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) decided: Decided,
    pub(crate) passed: PassedOver,
}

/// Rows that were read to be compared and are not read again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PassedOver {
    /// All of them.
    pub(crate) rows: u64,
    /// Those that are decided and among the rows that are taken.
    pub(crate) decided: u64,
    /// Those that are not taken.
    pub(crate) left_out: LeftOut,
}

/// Rows that were unchanged, and are to be decided again: an earlier row of their user is sent again, since the record of what
/// became of it is lost. What it changes then isn't what it changed before.
#[derive(Debug, Default)]
pub(crate) struct Reopened(Vec<(Arc<str>, u64)>);

impl Reopened {
    /// Takes them out of what the report decides.
    pub(crate) fn take_from(&self, decided: &mut Decided) {
        for (source, row) in &self.0 {
            decided.undecide(source, *row);
        }
    }

    /// Takes them out of what is to lie beside it.
    pub(crate) fn take_from_run(&self, run: &mut Run) {
        for (source, row) in &self.0 {
            for input in run.inputs.iter_mut().filter(|input| *input.source == **source) {
                input.unchanged.remove(*row);
            }
        }
    }
}

/// Shown what is read again, and of each row whether it is still to be sent.
pub(crate) type See<'a> = dyn FnMut(&RecordBatch, &[bool]) -> Result<(), Failure> + 'a;

/// Reads what an earlier try has read once more, before anything is sent: the same bytes, and in each row that the
/// report decides the same EUID, or `by_id` the same id. Reopened rows, as far as they are taken, are held in memory and
/// come first afterwards; those of a file only where they are few. `see` is shown all that is read, and what of it is still
/// to be sent. Returns beside them which unchanged rows are undecided after all.
pub(crate) fn compare_inputs(
    inputs: &mut [Input],
    then: &Run,
    decided: &Decided,
    choice: &RowChoice,
    by_id: bool,
    see: &mut See<'_>,
) -> Result<(PassedOver, Reopened), Failure> {
    let names: HashSet<&str> = inputs.iter().map(|input| &**input.name()).collect();
    if let Some(source) = decided.sources().find(|source| !names.contains(source)) {
        let message = format!("the report has rows of {source}, which is not among the inputs; nothing was sent");
        return Err(Failure::usage(message).with_hint(HINT.to_owned()));
    }
    let begun: HashMap<&str, &RunInput> = then.inputs.iter().map(|input| (&*input.source, input)).collect();
    let mut keys = ComparedKeys {
        decided,
        keys: decided.compare_keys(by_id),
        by_id,
        input: 0,
        last_record: (0..)
            .zip(inputs.iter())
            .filter_map(|(at, input)| Some((at, decided.last_record(input.name())?)))
            .max()
            .unwrap_or_default(),
        sent_again: HashSet::new(),
        reopened: Reopened::default(),
    };
    let mut passed = PassedOver::default();
    // An input was begun only once the one before it was read to its end, so this is known where it matters.
    let mut rows_before = 0;
    for (at, input) in inputs.iter_mut().enumerate() {
        keys.input = at;
        let name = input.name().clone();
        let last_row = decided.last_row(&name).unwrap_or(0);
        let Some(before) = begun.get(&*name) else { continue };
        if before.bytes == 0 && last_row == 0 && !before.ended {
            continue;
        }
        let (rows, here) = compare(input, before, last_row, RowNumbers { choice, rows_before }, &mut keys, see)?;
        rows_before += rows;
        if let Some(row) = decided.unchanged(&name).last().filter(|row| *row > rows) {
            return Err(ReportError::MissingRow { origin: name.to_string(), row }.into());
        }
        passed.rows += here.rows;
        passed.decided += here.decided;
        passed.left_out += here.left_out;
    }
    keys.keys.finish()?;
    Ok((passed, keys.reopened))
}

/// What rows are keyed by, compared with the report.
struct ComparedKeys<'a> {
    decided: &'a Decided,
    keys: KeyComparison<'a>,
    by_id: bool,
    /// Which input is read, and the last row that has a record.
    input: usize,
    last_record: (usize, u64),
    /// Users and ids of rows that are sent again, as hashes: as many as a run has read ahead, and those that it tries again.
    sent_again: HashSet<u64>,
    reopened: Reopened,
}

impl ComparedKeys<'_> {
    /// Whether the report decides the row.
    fn see(&mut self, source: &Arc<str>, record: &Record<'_>) -> Result<bool, ReportError> {
        let key = record.euid_text();
        let is_decided = self.keys.see(source, record.row(), if self.by_id { trimmed_id(key) } else { key })?;
        if is_decided
            && self.decided.is_decided_beside(source, record.row())
            && (self.sent_again.contains(&self.hash(record)) || self.may_be_anybodys(record.row()))
        {
            self.reopened.0.push((Arc::clone(source), record.row()));
            return Ok(false);
        }
        Ok(is_decided)
    }

    /// Whether a row may be of the user of a row that is sent again, whose ids are two, and surely comes before no decided one of
    /// that user.
    fn may_be_anybodys(&self, row: u64) -> bool {
        self.by_id && !self.sent_again.is_empty() && (self.input, row) > self.last_record
    }

    /// A row that was read then is sent again.
    fn sent_again(&mut self, record: &Record<'_>) {
        let hash = self.hash(record);
        self.sent_again.insert(hash);
    }

    /// Of the user's number, however it is written, or of the id.
    fn hash(&self, record: &Record<'_>) -> u64 {
        let key = record.euid_text();
        let mut hasher = DefaultHasher::new();
        match key.trim().parse::<u64>() {
            Ok(euid) if !self.by_id => euid.hash(&mut hasher),
            _ => trimmed_id(key).hash(&mut hasher),
        }
        hasher.finish()
    }
}

/// The rows of one input among those of all.
#[derive(Debug, Clone, Copy)]
struct RowNumbers<'a> {
    choice: &'a RowChoice,
    /// How many rows the inputs before it have.
    rows_before: u64,
}

/// The same for one input. Returns how many rows were read, and which of them are passed over.
fn compare(
    input: &mut Input,
    before: &RunInput,
    last_row: u64,
    RowNumbers { choice, rows_before }: RowNumbers<'_>,
    keys: &mut ComparedKeys<'_>,
    see: &mut See<'_>,
) -> Result<(u64, PassedOver), Failure> {
    let name = input.name().clone();
    let mut records = input.records()?;
    let is_file = input.is_regular_file();
    let mut held = Some(Held::default());
    let mut passed = PassedOver::default();
    let mut end: Option<Result<(), ReadError>> = None;
    let mut batch = RecordBatch::default();
    // Of each row of the batch, whether it is still to be sent.
    let mut wanted = Vec::new();
    while end.is_none() {
        let position = records.position();
        if position.bytes >= before.bytes && position.rows >= last_row && !before.ended && !records.has_waiting() {
            break;
        }
        match records.next_batch(&mut batch) {
            Ok(true) => {}
            ended => end = Some(ended.map(drop)),
        }
        wanted.clear();
        for record in batch.iter() {
            let (row, number) = (record.row(), rows_before + record.row());
            let is_decided = row <= last_row && keys.see(&name, &record)?;
            let is_taken = choice.takes(number, &record, &mut passed.left_out);
            wanted.push(is_taken && !is_decided);
            if is_taken && !is_decided {
                keys.sent_again(&record);
            }
            passed.rows += 1;
            passed.decided += u64::from(is_taken && is_decided);
        }
        see(&batch, &wanted)?;
        if let Some(waiting) = &mut held
            && let Some(first) = batch.records.first().map(|head| head.row)
            && wanted.contains(&true)
        {
            let is_wanted = |row: u64| wanted.get((row - first) as usize) == Some(&true);
            waiting.take(&batch, is_wanted)?;
            if is_file && waiting.bytes > MOST_HELD_OF_FILE {
                held = None;
            }
        }
    }
    let position = records.position();
    let digest = position.at_mark.map(|digest| blake3::Hash::from_bytes(digest).to_hex().to_string());
    let what = if digest.is_none() {
        format!("it has only {} of the {} bytes that were read then", position.bytes, before.bytes)
    } else if digest.as_ref() != Some(&before.blake3) {
        format!("the {} bytes that were read then are others now", before.bytes)
    } else if before.ended && position.bytes > before.bytes {
        format!("it was read to its end then, {} bytes, and is longer now", before.bytes)
    } else {
        let Some(held) = held else { return Ok((position.rows, PassedOver::default())) };
        passed.rows -= held.batches.iter().map(|batch| batch.records.len() as u64).sum::<u64>();
        records.put_back(held.batches, end);
        input.give_back(records);
        return Ok((position.rows, passed));
    };
    // What can't be read can't be compared either.
    if let Some(Err(error)) = end
        && digest.is_none()
    {
        return Err(error.into());
    }
    keys.keys.compare_now()?;
    let message = format!("{name} is not what the report was begun with: {what}; nothing was sent");
    Err(Failure::usage(message).with_hint(HINT.to_owned()))
}

/// Rows that wait until all is compared.
#[derive(Default)]
struct Held {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Held {
    fn take(&mut self, batch: &RecordBatch, is_wanted: impl Fn(u64) -> bool) -> Result<(), Failure> {
        let wanted = batch.with_only(|head| is_wanted(head.row));
        if wanted.records.is_empty() {
            return Ok(());
        }
        self.bytes += wanted.bytes();
        if self.bytes > MOST_HELD_BYTES {
            let message = format!(
                "{} has more than {} MiB of rows that are not decided and must wait until all is compared; nothing was sent",
                batch.source,
                MOST_HELD_BYTES >> 20
            );
            let hint = "say `--spool`, which copies it into a private file first".to_owned();
            return Err(Failure::usage(message).with_hint(hint));
        }
        self.batches.push(wanted);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
