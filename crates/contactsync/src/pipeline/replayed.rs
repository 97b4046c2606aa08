use dispatcher::Intake;
use model::{Contact, Counters, Decision, Euid, Unresolved};
use report::{InputSummary, ReplayRows};

use super::{RowSink, intake::IntakeResult, remembering::Ages, resolving::KnownIds};
use crate::{exit::Exit, failure::Failure};

/// Rows that are handed on together.
const BATCH_ROWS: usize = 256;

/// Reads the rows that are sent again and hands them on, until they end or the run stops. Blocking.
pub(super) fn take_replayed(
    replayed: ReplayRows,
    reports: Vec<InputSummary>,
    ages: Option<&Ages>,
    mut ids: Option<KnownIds>,
    sink: &RowSink,
) -> IntakeResult {
    let mut taken =
        IntakeResult { rows: 0, inputs: reports, of_nobody_elsewhere: 0, never_seen: Vec::new(), error: None };
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    let hand_on = |batch: &mut Vec<Intake>, rows: &mut u64| {
        *rows += batch.len() as u64;
        Counters::add(&sink.counters.rows_read, batch.len() as u64);
        // The dispatcher takes rows until this end is closed, also after a stop: it counts them.
        batch.is_empty() || sink.rows.send_blocking(std::mem::take(batch)).is_ok()
    };
    for record in replayed {
        if let (Some(ages), Ok(record)) = (ages, &record) {
            ages.note(record);
        }
        match record.map_err(Failure::from).and_then(|record| row(record, ids.as_mut())) {
            Ok(row) => batch.push(row),
            Err(failure) => {
                taken.error = Some(failure);
                break;
            }
        }
        if sink.stop.is_stopping() || (batch.len() == BATCH_ROWS && !hand_on(&mut batch, &mut taken.rows)) {
            break;
        }
    }
    hand_on(&mut batch, &mut taken.rows);
    taken
}

/// A failed row as it is sent again. One with an id goes to the user that is known for it, else to the one that was obtained
/// then; where there is neither, it is asked for.
fn row(record: Decision, ids: Option<&mut KnownIds>) -> Result<Intake, Failure> {
    // The plan has seen both; a report is not changed while it is held.
    let broken = || Failure::new(Exit::ReadOrWrite, "a report changed while it was replayed");
    let Decision { origin, euid: euid_text, id, contacts, .. } = record;
    let contacts = contacts.ok_or_else(broken)?;
    let then = Euid::parse(&euid_text).ok();
    if let (Some(ids), Some(id)) = (ids, &id) {
        let known = ids.user_or(id, then).map_err(|error| Failure::new(Exit::ReadOrWrite, error))?;
        let row = Unresolved { origin, id: id.clone(), contacts };
        return Ok(match known {
            Some(euid) => Intake::Send(row.resolved(euid)),
            None => Intake::Resolve(row),
        });
    }
    let euid = then.ok_or_else(broken)?;
    Ok(Intake::Send(Contact { origin, id, euid_text, euid, contacts }))
}
