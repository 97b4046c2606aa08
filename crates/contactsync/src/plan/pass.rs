use std::{io, sync::Arc};

use model::{Counters, Euid, IdentityKind, Record, RecordBatch};
use reader::Input;
use report::Decided;
use state::{Kept, StateError};
use validator::{Accepted, Key, Validator, trimmed_id};

use super::{
    counted::{Counted, CountedIds},
    known::{IsFirst, Known},
    limits::Limits,
    reading::{ServiceLook, ToRead},
};
use crate::{
    exit::Exit,
    failure::Failure,
    reading::{Read, Reading},
    rejected::show,
    settings::{InputSettings, LeftOut, Output, RowChoice},
    terminal::Printer,
    vanished::{NOT_ALL_READ, warn_of_nobody, warn_of_other_ids, warn_of_unasked, warn_of_unreadable},
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
    /// The same for rows that are looked at before they are taken: what it would tell is told then.
    ahead: Validator,
    /// The kind of ids that rows are keyed by, if they are.
    identity: Option<IdentityKind>,
    choice: RowChoice,
    /// All rows are read, also those behind the range that is taken.
    reads_all: bool,
    /// Every value is counted, not only those that clear.
    counts_values: bool,
    decided: Option<&'a Decided>,
    known: Option<Known>,
    shown: Shown,
    /// Where vanished users are listed.
    list: Option<Output>,
    counters: Arc<Counters>,
    printer: Printer,
    counted: Counted,
}

impl<'a> Pass<'a> {
    /// A pass over what these settings read. `decided`: rows that an earlier try has decided are not sent again. `known`: what
    /// the others are compared with.
    pub(crate) fn new(
        settings: &InputSettings,
        limits: &Limits,
        decided: Option<&'a Decided>,
        known: Option<Known>,
        shown: Shown,
        counters: Arc<Counters>,
        printer: &Printer,
    ) -> Self {
        let names: Vec<&str> = settings.names.iter().map(|name| &**name.source()).collect();
        let rows_of_last_run = known.as_ref().and_then(|known| known.rows_of_last_run(&names));
        let identity = settings.identity();
        let ids = identity.map(|_| CountedIds { distinct: known.as_ref().map(|_| 0), ..CountedIds::default() });
        let counted = Counted { rows_of_last_run, compared: known.is_some(), ids, ..Counted::default() };
        Self {
            validator: Validator::new(settings.rules.clone()),
            ahead: Validator::new(settings.rules.clone()),
            identity,
            choice: settings.rows.clone(),
            reads_all: limits.count_all_rows(),
            counts_values: shown == Shown::All,
            decided,
            known,
            shown,
            list: None,
            counters,
            printer: printer.clone(),
            counted,
        }
    }

    /// Also lists who has vanished.
    pub(crate) fn listing(mut self, list: Option<Output>) -> Self {
        self.list = list;
        self
    }

    /// Reads the inputs to their end; also returns why they could not be. A signal meanwhile ends the program at once.
    pub(crate) fn read(self, inputs: Vec<Input>) -> (Counted, Result<(), Failure>) {
        match tokio::runtime::Builder::new_current_thread().build() {
            Ok(runtime) => runtime.block_on(self.read_asking(inputs, None)),
            Err(error) => (self.counted, Err(cannot_start(&error))),
        }
    }

    /// The same, on a runtime; what isn't known is read from the service.
    pub(crate) async fn read_asking(
        mut self,
        inputs: Vec<Input>,
        service: Option<ServiceLook>,
    ) -> (Counted, Result<(), Failure>) {
        let end = self.read_all(inputs, service).await.and_then(|()| self.look_for_vanished());
        (self.counted, end)
    }

    async fn read_all(&mut self, inputs: Vec<Input>, service: Option<ServiceLook>) -> Result<(), Failure> {
        let last = if self.reads_all { None } else { self.choice.last() };
        let reading = Reading::start(inputs, last, Arc::clone(&self.counters)).map_err(|error| cannot_start(&error))?;
        while let Some(read) = reading.next().await {
            match read {
                Read::Batch { batch, rows_before } => {
                    if let Some(service) = &service {
                        self.ask(&batch, rows_before, service).await?;
                    }
                    self.take(&batch, rows_before)?;
                    reading.give_back(batch);
                }
                Read::Notice(notice) => self.warn(&notice),
                Read::Failed(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Reads from the service what isn't known of the users of a batch's rows.
    async fn ask(&mut self, batch: &RecordBatch, rows_before: u64, service: &ServiceLook) -> Result<(), Failure> {
        let Self { ahead, identity, choice, decided, known: Some(known), .. } = self else { return Ok(()) };
        let mut to_read = ToRead::default();
        for record in batch.iter() {
            let is_taken = choice.takes(rows_before + record.row(), &record, &mut LeftOut::default());
            if !is_taken || decided.is_some_and(|decided| decided.contains(&batch.source, record.row())) {
                continue;
            }
            // What is wrong with it is told when it is taken.
            let Ok(accepted) = ahead.validate(&record) else { continue };
            let euid = match (accepted.key(&record), &identity) {
                (Key::Euid(euid), _) => Some(euid),
                (Key::Id(id), Some(kind)) => known.known_user(*kind, id).map_err(|error| unplanned(&error))?,
                (Key::Id(_), None) => None,
            };
            let Some(euid) = euid else { continue };
            if known.lacks(euid, accepted.contacts(&record)).map_err(|error| unplanned(&error))? {
                to_read.add(accepted.contact(euid, &record));
            }
        }
        service.read(to_read, known).await
    }

    fn warn(&self, notice: &str) {
        if self.shown == Shown::All {
            self.printer.warning(notice, None);
        }
    }

    /// Of a part of the input nobody has vanished.
    fn look_for_vanished(&mut self) -> Result<(), Failure> {
        let Some(known) = &self.known else { return Ok(()) };
        if !self.choice.takes_all() {
            if self.list.is_some() {
                self.warn(NOT_ALL_READ);
            }
            return Ok(());
        }
        if let Some(list) = &self.list {
            known.list_vanished(list)?;
        }
        let vanished = known.vanished().map_err(|error| unplanned(&error))?;
        if self.shown == Shown::All {
            let Counted { books, of_nobody_elsewhere, .. } = self.counted;
            match (self.identity, self.counted.ids) {
                (Some(_), Some(ids)) => {
                    warn_of_nobody(vanished, ids.of_nobody + of_nobody_elsewhere, &self.printer);
                    warn_of_other_ids(vanished, self.choice.shard(), &self.printer);
                    warn_of_unasked(vanished, ids.not_known, &self.printer);
                }
                _ => warn_of_unreadable(vanished, |reason| books.rows(reason), of_nobody_elsewhere, &self.printer),
            }
        }
        self.counted.vanished = Some(vanished);
        Ok(())
    }

    fn take(&mut self, batch: &RecordBatch, rows_before: u64) -> Result<(), Failure> {
        let (rows_before_batch, rejected_before) = (self.counted.books.rows_read(), self.counted.books.rejected());
        let mut left_out = LeftOut::default();
        self.counted.rows_of_input += batch.records.len() as u64;
        for record in batch.iter() {
            let number = rows_before + record.row();
            if self.choice.takes(number, &record, &mut left_out) {
                self.take_row(batch, &record).map_err(|error| unplanned(&error))?;
            }
        }
        let books = &self.counted.books;
        left_out.add_to(&self.counters);
        Counters::add(&self.counters.rows_skipped, left_out.behind);
        self.counted.of_nobody_elsewhere += left_out.of_nobody;
        Counters::add(&self.counters.rows_read, books.rows_read() - rows_before_batch);
        Counters::add(&self.counters.rejected, books.rejected() - rejected_before);
        for notice in self.validator.notices() {
            self.warn(&notice);
        }
        Ok(())
    }

    fn take_row(&mut self, batch: &RecordBatch, record: &Record<'_>) -> Result<(), StateError> {
        let Self { validator, identity, decided, known, counted, .. } = self;
        let is_decided = decided.is_some_and(|decided| decided.contains(&batch.source, record.row()));
        counted.decided += u64::from(is_decided);
        let accepted = match validator.validate(record) {
            Ok(accepted) => accepted,
            Err(rejection) => {
                counted.books.reject(rejection.reason);
                if self.shown == Shown::All {
                    show(counted.books.rejected(), record, &rejection, &self.printer);
                }
                return match (known, identity) {
                    (None, _) => Ok(()),
                    (Some(known), None) => known.see(record.euid_text()),
                    (Some(known), Some(kind)) => {
                        let is_known = known.see_id(*kind, trimmed_id(record.euid_text()))?;
                        counted.ids.get_or_insert_default().of_nobody += u64::from(!is_known);
                        Ok(())
                    }
                };
            }
        };
        counted.books.valid += 1;
        let euid = match (accepted.key(record), identity) {
            (Key::Euid(euid), _) => Some(euid),
            (Key::Id(id), Some(kind)) => user_of(counted, known.as_mut(), (*kind, id), is_decided)?,
            (Key::Id(_), None) => None,
        };
        match (known, euid) {
            // What it set is known by now, or what a later row of its user set: it isn't compared again.
            (Some(known), Some(euid)) if is_decided => {
                counted.known += u64::from(known.knows(euid, accepted.contacts(record))?);
                Ok(())
            }
            _ if is_decided => Ok(()),
            (Some(known), Some(euid)) => compare(counted, record, &accepted, (euid, known), decided.is_some()),
            (known, _) => {
                // Whose the id is isn't known, so that the user may have what the row would set.
                let kept = if known.is_some() { Kept::Unknown } else { Kept::Nothing };
                count(counted, record, &accepted, kept, self.counts_values);
                Ok(())
            }
        }
    }
}

/// Counts the id of a row. Its user, where that is known.
fn user_of(
    counted: &mut Counted,
    known: Option<&mut Known>,
    (kind, id): (IdentityKind, &str),
    is_decided: bool,
) -> Result<Option<Euid>, StateError> {
    let ids = counted.ids.get_or_insert_default();
    ids.rows += 1;
    let user = known.map(|known| known.user_of(kind, id)).transpose()?;
    match user {
        Some(Ok(euid)) => return Ok(Some(euid)),
        // It was let through then.
        _ if is_decided => ids.of_nobody += 1,
        Some(Err(IsFirst(is_first))) => {
            ids.not_known += 1;
            ids.distinct = ids.distinct.map(|ids| ids + u64::from(is_first));
        }
        None => ids.not_known += 1,
    }
    Ok(None)
}

/// Counts a row of whose user nothing is known. `kept`: what that says of its contacts.
fn count(counted: &mut Counted, record: &Record<'_>, accepted: &Accepted<'_>, kept: Kept, counts_values: bool) {
    counted.to_send += 1;
    counted.clears += u64::from(accepted.clears());
    if !counts_values && !accepted.clears() {
        return;
    }
    for (name, value) in accepted.sent(record) {
        counted.names.of(record, name).add_one(value, kept);
    }
}

/// Counts a row by how it compares with what is known. Where a run goes on, what is not known may be so because an earlier
/// try let the row in and stopped before it was decided. It was let through then, so that none of the limits is broken by
/// it now: it is no clear, and counts as known.
fn compare(
    counted: &mut Counted,
    record: &Record<'_>,
    accepted: &Accepted<'_>,
    (euid, known): (Euid, &mut Known),
    goes_on: bool,
) -> Result<(), StateError> {
    let Some(kept) = known.compare(euid, accepted.contacts(record))? else {
        counted.unchanged += 1;
        counted.known += 1;
        return Ok(());
    };
    counted.to_send += 1;
    let has = |what: Kept| kept.contains(&what);
    counted.known += u64::from(has(Kept::Same) || has(Kept::Different) || (goes_on && has(Kept::Unknown)));
    counted.changed += u64::from(has(Kept::Different));
    let mut clears = false;
    for ((name, value), kept) in accepted.sent(record).zip(kept) {
        let is_there = match kept {
            Kept::Same => false,
            Kept::Unknown => !goes_on,
            Kept::Different | Kept::Nothing => true,
        };
        clears |= value.is_empty() && is_there;
        counted.names.of(record, name).add_one(value, *kept);
    }
    counted.clears += u64::from(clears);
    Ok(())
}

fn cannot_start(error: &io::Error) -> Failure {
    Failure::new(Exit::ReadOrWrite, format!("reading can't be started: {error}"))
}

fn unplanned(error: &StateError) -> Failure {
    Failure::usage(format!("{error}; nothing was sent"))
}
