use std::{io, sync::Arc};

use model::{Counters, Record, RecordBatch};
use reader::Input;
use report::Decided;
use validator::{Accepted, Validator};

use super::{counted::Counted, limits::Limits};
use crate::{
    exit::Exit,
    failure::Failure,
    reading::{Read, Reading},
    rejected::show,
    settings::{InputSettings, RowRange},
    terminal::Printer,
};

/// Whether what comes up in the rows is shown. Where they are sent afterwards, it is shown then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Rejected rows and notices.
    All,
    /// Nothing.
    Nothing,
}

/// Reads and validates the whole input and counts, as the run that sends it will.
pub(crate) struct Pass<'a> {
    validator: Validator,
    range: RowRange,
    /// All rows are read, also those behind the range that is taken.
    reads_all: bool,
    /// Every value is counted, not only those that clear.
    counts_values: bool,
    decided: Option<&'a Decided>,
    shown: Shown,
    counters: Arc<Counters>,
    printer: Printer,
    counted: Counted,
}

impl<'a> Pass<'a> {
    /// A pass over what these settings read. `decided`: rows that an earlier try has decided are not sent again.
    pub(crate) fn new(
        settings: &InputSettings,
        limits: &Limits,
        decided: Option<&'a Decided>,
        shown: Shown,
        counters: Arc<Counters>,
        printer: &Printer,
    ) -> Self {
        Self {
            validator: Validator::new(settings.rules.clone()),
            range: settings.rows,
            reads_all: limits.count_all_rows(),
            counts_values: shown == Shown::All,
            decided,
            shown,
            counters,
            printer: printer.clone(),
            counted: Counted::default(),
        }
    }

    /// Reads the inputs to their end; also returns why they could not be. A signal meanwhile ends the program at once.
    pub(crate) fn read(mut self, inputs: Vec<Input>) -> (Counted, Result<(), Failure>) {
        let end = self.read_all(inputs);
        (self.counted, end)
    }

    fn read_all(&mut self, inputs: Vec<Input>) -> Result<(), Failure> {
        let cannot_start =
            |error: io::Error| Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"));
        let last = if self.reads_all { None } else { self.range.last() };
        let reading = Reading::start(inputs, last, Arc::clone(&self.counters)).map_err(cannot_start)?;
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(cannot_start)?;
        runtime.block_on(async {
            while let Some(read) = reading.next().await {
                match read {
                    Read::Batch { batch, rows_before } => {
                        self.take(&batch, rows_before);
                        reading.give_back(batch);
                    }
                    Read::Notice(notice) => self.warn(&notice),
                    Read::Failed(error) => return Err(error.into()),
                }
            }
            Ok(())
        })
    }

    fn warn(&self, notice: &str) {
        if self.shown == Shown::All {
            self.printer.warning(notice, None);
        }
    }

    fn take(&mut self, batch: &RecordBatch, rows_before: u64) {
        let (rows_before_batch, rejected_before) = (self.counted.books.rows_read(), self.counted.books.rejected());
        self.counted.rows_of_input += batch.records.len() as u64;
        for record in batch.iter() {
            let number = rows_before + record.row();
            if self.range.takes(number) {
                self.take_row(batch, &record);
            } else {
                Counters::add(&self.counters.rows_skipped, 1);
            }
        }
        let books = &self.counted.books;
        Counters::add(&self.counters.rows_read, books.rows_read() - rows_before_batch);
        Counters::add(&self.counters.rejected, books.rejected() - rejected_before);
        for notice in self.validator.notices() {
            self.warn(&notice);
        }
    }

    fn take_row(&mut self, batch: &RecordBatch, record: &Record<'_>) {
        let is_decided = self.decided.is_some_and(|decided| decided.contains(&batch.source, record.row()));
        self.counted.decided += u64::from(is_decided);
        match self.validator.validate(record) {
            Ok(accepted) => {
                self.counted.books.valid += 1;
                if !is_decided {
                    count(&mut self.counted, record, &accepted, self.counts_values);
                }
            }
            Err(rejection) => {
                self.counted.books.reject(rejection.reason);
                if self.shown == Shown::All {
                    show(self.counted.books.rejected(), record, &rejection, &self.printer);
                }
            }
        }
    }
}

/// Counts a row that would be sent.
fn count(counted: &mut Counted, record: &Record<'_>, accepted: &Accepted<'_>, counts_values: bool) {
    counted.to_send += 1;
    counted.clears += u64::from(accepted.clears());
    if !counts_values && !accepted.clears() {
        return;
    }
    for (name, value) in accepted.sent(record) {
        let count = counted.names.of(record, name);
        if value.is_empty() {
            count.cleared += 1;
        } else {
            count.new += 1;
        }
    }
}
