use std::sync::Arc;

use dispatcher::Intake;
use jiff::Timestamp;
use model::{Counters, RecordBatch};
use reader::AskedNames;
use report::{ContactsPolicy, Decided, InputSummary};
use validator::{Rules, Validator};

use super::{RowSink, comparing::Resumed};
use crate::{
    failure::Failure,
    opening::never_seen,
    reading::{Read, Reading},
    rejected::{rejected, show},
    settings::{InputSettings, RowRange},
    terminal::Printer,
};

/// What was read.
#[derive(Debug)]
pub(crate) struct IntakeResult {
    /// Rows, each of which was handed on.
    pub(crate) rows: u64,
    /// How far each input was read.
    pub(crate) inputs: Vec<InputSummary>,
    /// Names that the user gave and that never showed up, for the summary.
    pub(crate) never_seen: Vec<String>,
    /// Why an input could not be read to its end.
    pub(crate) error: Option<Failure>,
}

/// Reads and validates rows and hands them on, but for those that are decided, until they end or the run stops.
pub(crate) async fn take_in(
    reading: Reading,
    settings: InputSettings,
    asked: AskedNames,
    resumed: Option<Box<Resumed>>,
    contacts: ContactsPolicy,
    sink: RowSink,
) -> IntakeResult {
    let RowSink { rows, counters, stop, printer } = sink;
    let decided = resumed.map(|resumed| {
        let Resumed { decided, passed } = *resumed;
        Counters::add(&counters.rows_seen, passed.rows);
        Counters::add(&counters.rows_decided_before, passed.decided);
        Counters::add(&counters.rows_skipped, passed.skipped);
        decided
    });
    let mut intake = Validating {
        validator: Validator::new(settings.rules.clone()),
        rules: settings.rules,
        range: settings.rows,
        contacts,
        decided,
        counters,
        printer,
        rejected: 0,
        rows: 0,
        inputs: settings
            .names
            .iter()
            .map(|name| InputSummary { source: name.source().to_string(), rows: 0, bytes: 0 })
            .collect(),
        current: 0,
    };
    let mut error = None;
    loop {
        let read = tokio::select! {
            biased;
            () = stop.stopping() => break,
            read = reading.next() => read,
        };
        match read {
            None => break,
            Some(Read::Notice(notice)) => intake.printer.warning(&notice, None),
            Some(Read::Failed(failed)) => {
                error = Some(failed.into());
                break;
            }
            Some(Read::Batch { batch, rows_before }) => {
                let taken = intake.take(&batch, rows_before);
                reading.give_back(batch);
                // The dispatcher takes rows until this end is closed, also after a stop: it counts them.
                if !taken.is_empty() && rows.send(taken).await.is_err() {
                    break;
                }
            }
        }
    }
    for (input, position) in intake.inputs.iter_mut().zip(reading.positions().iter()) {
        input.bytes = position.bytes;
        input.rows += intake.decided.as_ref().map_or(0, |decided| decided.rows_of(&input.source));
    }
    let rows_read = intake.inputs.iter().map(|input| input.rows).sum();
    IntakeResult { rows: intake.rows, inputs: intake.inputs, never_seen: never_seen(&asked, rows_read), error }
}

struct Validating {
    validator: Validator,
    rules: Rules,
    range: RowRange,
    contacts: ContactsPolicy,
    /// Rows of an earlier try.
    decided: Option<Decided>,
    counters: Arc<Counters>,
    printer: Printer,
    rejected: u64,
    rows: u64,
    inputs: Vec<InputSummary>,
    /// Which of the inputs is being read.
    current: usize,
}

impl Validating {
    fn take(&mut self, batch: &RecordBatch, rows_before: u64) -> Vec<Intake> {
        while self.inputs.get(self.current).is_some_and(|input| *input.source != *batch.source) {
            self.current += 1;
        }
        let mut taken = Vec::with_capacity(batch.records.len());
        for record in batch.iter() {
            let number = rows_before + record.row();
            if !self.range.takes(number) {
                Counters::add(&self.counters.rows_skipped, u64::from(self.range.skips(number)));
                continue;
            }
            if self.decided.as_ref().is_some_and(|decided| decided.contains(&batch.source, record.row())) {
                Counters::add(&self.counters.rows_decided_before, 1);
                continue;
            }
            let verdict = self.validator.validate(&record).map(|accepted| accepted.contact(&record));
            taken.push(match verdict {
                Ok(contact) => Intake::Send(contact),
                Err(rejection) => {
                    self.rejected += 1;
                    show(self.rejected, &record, &rejection, &self.printer);
                    let at_ms = Timestamp::now().as_millisecond();
                    Intake::Decided(rejected(&record, &rejection, &self.rules, self.contacts, at_ms))
                }
            });
        }
        self.rows += taken.len() as u64;
        Counters::add(&self.counters.rows_read, taken.len() as u64);
        if let Some(input) = self.inputs.get_mut(self.current) {
            input.rows += taken.len() as u64;
        }
        for notice in self.validator.notices() {
            self.printer.warning(&notice, None);
        }
        taken
    }
}
