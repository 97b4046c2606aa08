use std::sync::Arc;

use dispatcher::Asker;
use model::{Contact, NumberMap};
use tokio::task::JoinSet;

use super::known::Known;
use crate::{
    exit::Exit,
    failure::Failure,
    pipeline::{Comparer, Reading, read_users, stopped_by},
};

/// Users that are read with one request.
const USERS_AT_ONCE: usize = 100;

/// Reads from the service what isn't known of users.
pub(crate) struct ServiceLook {
    pub(crate) asker: Asker,
    pub(crate) comparer: Arc<Comparer>,
}

/// Rows of a batch whose users are to be read: of each user the first, with the contacts of the others.
#[derive(Default)]
pub(super) struct ToRead {
    rows: Vec<Contact>,
    places: NumberMap<usize>,
}

impl ToRead {
    /// A further row of which something isn't known.
    pub(super) fn add(&mut self, row: Contact) {
        let next = self.rows.len();
        let place = *self.places.entry(row.euid.get()).or_insert(next);
        let Some(first) = self.rows.get_mut(place) else { return self.rows.push(row) };
        for (name, (_, value)) in row.contacts.names().zip(row.contacts.iter()) {
            if first.contacts.names().all(|known| known != name) {
                first.contacts.push(Arc::clone(name), value);
            }
        }
    }
}

impl ServiceLook {
    /// Reads users, and keeps what is there.
    pub(super) async fn read(&self, to_read: ToRead, known: &mut Known) -> Result<(), Failure> {
        let mut calls = JoinSet::new();
        let mut rows = to_read.rows.into_iter().peekable();
        while rows.peek().is_some() {
            let rows: Vec<Contact> = rows.by_ref().take(USERS_AT_ONCE).collect();
            let asker = self.asker.clone();
            calls.spawn(async move {
                let asked_for: Vec<&Contact> = rows.iter().collect();
                let readings = read_users(&asker, &asked_for).await;
                (rows, readings)
            });
        }
        while let Some(read) = calls.join_next().await {
            let (rows, readings) = read.map_err(|_| Failure::new(Exit::Bug, "reading users broke off"))?;
            let Some(readings) = readings.map_err(|cause| stopped_by(&cause, true))? else {
                return Err(out_of_reach());
            };
            for Reading { rows: part, told, answered, .. } in readings {
                let told = match told {
                    Ok(told) => told,
                    // What couldn't be read would be sent.
                    Err(reason) => {
                        self.comparer.note_unread(part.len(), reason, &answered);
                        continue;
                    }
                };
                for row in &rows[part] {
                    known
                        .learn(row, &told, &self.comparer)
                        .map_err(|error| Failure::usage(format!("{error}; nothing was sent")))?;
                }
            }
        }
        Ok(())
    }
}

/// Why that is, whoever was asked knows better.
fn out_of_reach() -> Failure {
    Failure::new(Exit::OutOfReach, "the service could not be read")
}
