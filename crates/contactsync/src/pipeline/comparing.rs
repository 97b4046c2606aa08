use model::{RecordBatch, escape_controls};
use reader::{Input, ReadError};
use report::{Decided, EuidComparison, Resumption, Run, RunInput};

use crate::{failure::Failure, settings::RowRange};

/// Rows of a pipe that may wait in memory until all is compared.
const MOST_HELD_BYTES: usize = 64 << 20;
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

/// Reads what an earlier try has read once more, before anything is sent: the same bytes, and in each row that the
/// report decides the same EUID. Undecided rows of a pipe, as far as they lie in the range that is taken, are held in
/// memory and come first afterwards.
pub(crate) fn compare_inputs(
    inputs: &mut [Input],
    then: &Run,
    decided: &Decided,
    range: RowRange,
) -> Result<(), Failure> {
    for source in decided.sources() {
        if !inputs.iter().any(|input| **input.name() == *source) {
            let message = format!("the report has rows of {source}, which is not among the inputs; nothing was sent");
            return Err(Failure::usage(message).with_hint(HINT.to_owned()));
        }
    }
    let mut euids = decided.compare_euids();
    // An input was begun only once the one before it was read to its end, so this is known where it matters.
    let mut rows_before = 0;
    for input in inputs {
        let name = input.name().clone();
        let last_row = decided.last_row(&name).unwrap_or(0);
        let Some(before) = then.inputs.iter().find(|before| *before.source == *name) else { continue };
        if before.bytes == 0 && last_row == 0 && !before.ended {
            continue;
        }
        let is_wanted = |row| !decided.contains(&name, row) && range.takes(rows_before + row);
        rows_before += compare(input, before, last_row, is_wanted, &mut euids)?;
    }
    euids.finish()?;
    Ok(())
}

/// The same for one input. Returns how many rows were read.
fn compare(
    input: &mut Input,
    before: &RunInput,
    last_row: u64,
    is_wanted: impl Fn(u64) -> bool,
    euids: &mut EuidComparison<'_>,
) -> Result<u64, Failure> {
    let name = input.name().clone();
    let mut records = input.records()?;
    let mut held = (!input.is_regular_file()).then(Held::default);
    let mut end: Option<Result<(), ReadError>> = None;
    let mut batch = RecordBatch::default();
    while end.is_none() {
        let position = records.position();
        if position.bytes >= before.bytes && position.rows >= last_row && !before.ended && !records.has_waiting() {
            break;
        }
        match records.next_batch(&mut batch) {
            Ok(true) => {}
            ended => end = Some(ended.map(drop)),
        }
        for record in batch.iter() {
            if record.row() <= last_row {
                euids.see(&name, record.row(), record.euid_text())?;
            }
        }
        if let Some(held) = &mut held {
            held.take(&batch, &is_wanted)?;
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
        if let Some(held) = held {
            records.put_back(held.batches, end);
            input.give_back(records);
        }
        return Ok(position.rows);
    };
    // What can't be read can't be compared either.
    if let Some(Err(error)) = end
        && digest.is_none()
    {
        return Err(error.into());
    }
    euids.compare_now()?;
    let message = format!("{name} is not what the report was begun with: {what}; nothing was sent");
    Err(Failure::usage(message).with_hint(HINT.to_owned()))
}

/// Rows of a pipe that wait until all is compared.
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
mod tests {
    use model::{RecordHead, Value};

    use super::*;

    #[test]
    fn only_so_much_of_a_pipe_waits_in_memory() {
        let head = |row| RecordHead { row, line: row + 1, fault: None, euid: Value::Missing, fields: 0..0, raw: None };
        let batch = RecordBatch { records: (1..=10).map(head).collect(), source: "-".into(), ..RecordBatch::default() };
        let mut waiting = Held { batches: Vec::new(), bytes: MOST_HELD_BYTES - batch.bytes() };
        waiting.take(&batch, |_| true).unwrap();
        waiting.take(&batch, |_| false).unwrap();
        let refused = waiting.take(&batch, |row| row == 10).unwrap_err();
        assert!(
            refused.message.contains("more than 64 MiB") && refused.exit == crate::exit::Exit::Usage,
            "{refused:?}"
        );
        assert!(refused.hint.is_some_and(|hint| hint.contains("--spool")));
    }
}
