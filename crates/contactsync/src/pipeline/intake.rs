use std::sync::Arc;

use dispatcher::{Intake, StopCause};
use jiff::Timestamp;
use model::{Answered, Contact, Counters, Decision, Euid, Outcome, Record, RecordBatch};
use reader::AskedNames;
use report::{ContactsPolicy, Decided, InputSummary};
use state::StateError;
use validator::{Key, Rules, Validator, trimmed_id};

use super::{
    RowSink,
    comparing::Resumed,
    remembering::{Glance, Glancing},
    resolving::KnownIds,
    verifying::Answering,
};
use crate::{
    failure::Failure,
    opening::never_seen,
    reading::{Read, Reading},
    rejected::{rejected, show},
    settings::{InputSettings, LeftOut, RowChoice},
    superseding::SortError,
    terminal::Printer,
};

/// What was read.
#[derive(Debug)]
pub(crate) struct IntakeResult {
    /// Rows, each of which was handed on.
    pub(crate) rows: u64,
    /// How far each input was read.
    pub(crate) inputs: Vec<InputSummary>,
    /// Rows of other shards that may be of any user.
    pub(crate) of_nobody_elsewhere: u64,
    /// Names that the user gave and that never showed up, for the summary.
    pub(crate) never_seen: Vec<String>,
    /// Why an input could not be read to its end.
    pub(crate) error: Option<Failure>,
}

/// What is known of rows, and goes along with them.
pub(super) struct Beside {
    /// Looks at rows where what the service holds is known.
    pub(super) glancing: Option<Glancing>,
    /// Whose ids are known, where rows are keyed by ids.
    pub(super) ids: Option<KnownIds>,
    /// Says what rows answer for, where they are verified.
    pub(super) answering: Option<Answering>,
}

/// Reads and validates rows and hands them on, but for those that are decided, until they end or the run stops.
pub(crate) async fn take_in(
    reading: Reading,
    settings: InputSettings,
    asked: AskedNames,
    resumed: Option<Box<Resumed>>,
    beside: Beside,
    contacts: ContactsPolicy,
    sink: RowSink,
) -> IntakeResult {
    let RowSink { rows, counters, stop, printer } = sink;
    let mut left_out = LeftOut::default();
    let decided = resumed.map(|resumed| {
        let Resumed { decided, passed } = *resumed;
        left_out = passed.left_out;
        Counters::add(&counters.rows_seen, passed.rows);
        Counters::add(&counters.rows_decided_before, passed.decided);
        left_out.add_to(&counters);
        decided
    });
    let mut intake = Validating {
        validator: Validator::new(settings.rules.clone()),
        rules: settings.rules,
        choice: settings.rows,
        left_out,
        contacts,
        decided,
        beside,
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
                let mut taken =
                    Vec::with_capacity(if intake.beside.glancing.is_some() { 0 } else { batch.records.len() });
                let looked = intake.take(&batch, rows_before, &mut taken);
                reading.give_back(batch);
                if let Err(broken) = looked {
                    stop.because(StopCause::Report(broken.to_string()));
                }
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
    IntakeResult {
        rows: intake.rows,
        inputs: intake.inputs,
        of_nobody_elsewhere: intake.left_out.of_nobody,
        never_seen: never_seen(&asked, rows_read),
        error,
    }
}

/// What goes along with the rows can't be read.
#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Sorted(#[from] SortError),
}

struct Validating {
    validator: Validator,
    rules: Rules,
    choice: RowChoice,
    /// Rows that are not taken, those among them that were passed over.
    left_out: LeftOut,
    contacts: ContactsPolicy,
    /// Rows of an earlier try.
    decided: Option<Decided>,
    /// What is known of the rows.
    beside: Beside,
    counters: Arc<Counters>,
    printer: Printer,
    rejected: u64,
    rows: u64,
    inputs: Vec<InputSummary>,
    /// Which of the inputs is being read.
    current: usize,
}

impl Validating {
    /// Takes the rows of a batch in. Where it can't be looked at what the service holds, those up to there.
    fn take(&mut self, batch: &RecordBatch, rows_before: u64, taken: &mut Vec<Intake>) -> Result<(), Unread> {
        while self.inputs.get(self.current).is_some_and(|input| *input.source != *batch.source) {
            self.current += 1;
        }
        let mut left_out = LeftOut::default();
        let (counted, looked) = self.take_rows(batch, rows_before, taken, &mut left_out);
        left_out.add_to(&self.counters);
        self.left_out += left_out;
        let rows = counted + taken.len() as u64;
        self.rows += rows;
        Counters::add(&self.counters.rows_read, rows);
        if let Some(input) = self.inputs.get_mut(self.current) {
            input.rows += rows;
        }
        for notice in self.validator.notices() {
            self.printer.warning(&notice, None);
        }
        looked
    }

    /// How many rows go no further, beside those that are taken in.
    fn take_rows(
        &mut self,
        batch: &RecordBatch,
        rows_before: u64,
        taken: &mut Vec<Intake>,
        left_out: &mut LeftOut,
    ) -> (u64, Result<(), Unread>) {
        let mut passed_over = 0;
        let writes_unchanged = self.beside.glancing.as_ref().is_some_and(Glancing::writes_unchanged);
        let mut glance = self.beside.glancing.as_mut().map(|glancing| glancing.begin(self.current));
        for record in batch.iter() {
            let number = rows_before + record.row();
            if !self.choice.takes(number, &record, left_out) {
                continue;
            }
            if self.decided.as_ref().is_some_and(|decided| decided.contains(&batch.source, record.row())) {
                Counters::add(&self.counters.rows_decided_before, 1);
                if let Err(error) = see(glance.as_mut(), self.beside.ids.as_ref(), &record) {
                    return (passed_over, Err(error.into()));
                }
                continue;
            }
            match self.validator.validate(&record) {
                Ok(accepted) => {
                    let euid = match accepted.key(&record) {
                        Key::Euid(euid) => euid,
                        Key::Id(id) => match user(glance.as_mut(), self.beside.ids.as_mut(), id) {
                            Ok(Some(euid)) => euid,
                            Ok(None) => {
                                let row = accepted.unresolved(id, &record);
                                if let Some(answering) = &mut self.beside.answering {
                                    match answering.take_unknown(number, row) {
                                        Ok(decided) => taken.push(Intake::Decided(decided)),
                                        Err(error) => return (passed_over, Err(error.into())),
                                    }
                                    continue;
                                }
                                if let Some(glance) = &mut glance {
                                    glance.note_unresolved();
                                }
                                taken.push(Intake::Resolve(row));
                                continue;
                            }
                            Err(error) => return (passed_over, Err(error.into())),
                        },
                    };
                    let is_unchanged = glance
                        .as_mut()
                        .map_or(Ok(false), |glance| glance.is_unchanged(euid, accepted.contacts(&record)));
                    match (is_unchanged, &mut glance) {
                        (Ok(true), Some(glance)) if writes_unchanged => {
                            glance.note(record.row());
                            taken.push(Intake::Decided(unchanged(accepted.contact(euid, &record))));
                        }
                        (Ok(true), Some(glance)) => {
                            glance.pass_over(record.row());
                            passed_over += 1;
                        }
                        (Ok(_), _) => {
                            let contact = accepted.contact(euid, &record);
                            match &mut self.beside.answering {
                                None => taken.push(Intake::Send(contact)),
                                Some(answering) => match answering.take(number, contact) {
                                    Ok(intake) => taken.push(intake),
                                    Err(error) => return (passed_over, Err(error.into())),
                                },
                            }
                        }
                        (Err(error), _) => return (passed_over, Err(error.into())),
                    }
                }
                Err(rejection) => {
                    self.rejected += 1;
                    show(self.rejected, &record, &rejection, &self.printer);
                    let at_ms = Timestamp::now().as_millisecond();
                    taken.push(Intake::Decided(rejected(&record, &rejection, &self.rules, self.contacts, at_ms)));
                    if let Err(error) = see(glance.as_mut(), self.beside.ids.as_ref(), &record) {
                        return (passed_over, Err(error.into()));
                    }
                }
            }
        }
        (passed_over, Ok(()))
    }
}

/// The user of an id, where one is known. Whoever glances has the state in its hands already.
fn user(glance: Option<&mut Glance<'_>>, ids: Option<&mut KnownIds>, id: &str) -> Result<Option<Euid>, StateError> {
    match (glance, ids) {
        (Some(glance), Some(ids)) => glance.user(ids.kind(), id),
        (None, Some(ids)) => ids.user(id),
        (_, None) => Ok(None),
    }
}

/// A row was read that is not sent: its user is not one of those that no row had.
fn see(glance: Option<&mut Glance<'_>>, ids: Option<&KnownIds>, record: &Record<'_>) -> Result<(), StateError> {
    let Some(glance) = glance else { return Ok(()) };
    let Some(ids) = ids else { return glance.see(record.euid_text()) };
    if let Some(euid) = glance.user(ids.kind(), trimmed_id(record.euid_text()))? {
        return glance.see_user(euid);
    }
    glance.note_nobody();
    Ok(())
}

/// A row that equals what the service holds.
fn unchanged(contact: Contact) -> Decision {
    let Contact { origin, id, euid_text, contacts, .. } = contact;
    Decision {
        origin,
        euid: euid_text,
        id,
        outcome: Outcome::Unchanged,
        reason: None,
        answered: Answered::default(),
        attempts: 0,
        latency_ms: None,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contacts),
        raw: None,
    }
}
