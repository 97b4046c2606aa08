use dispatcher::Intake;
use jiff::Timestamp;
use model::{Answered, Contact, Contacts, Decision, Origin, Outcome, Reason, Unresolved};

use crate::superseding::{SortError, Superseded};

/// Lets each row answer for the contacts that no later row of its user sets. Goes along with the rows.
#[derive(Debug)]
pub(in super::super) struct Answering {
    superseded: Superseded,
    /// Of the row at hand, the contacts that later ones set.
    replaced: Vec<usize>,
}

impl Answering {
    /// By what a first pass found.
    pub(in super::super) fn new(superseded: Superseded) -> Self {
        Self { superseded, replaced: Vec::new() }
    }

    /// A row with what it answers for; with nothing left it is decided. `number`: its number among the rows of all inputs.
    pub(in super::super) fn take(&mut self, number: u64, mut contact: Contact) -> Result<Intake, SortError> {
        Ok(match self.left(number, contact.contacts)? {
            Ok(left) => {
                contact.contacts = left;
                Intake::Send(contact)
            }
            Err(contacts) => {
                let Contact { origin, id, euid_text, .. } = contact;
                Intake::Decided(decided(origin, euid_text, id, (Outcome::Superseded, None), contacts))
            }
        })
    }

    /// The same of a row whose id nobody has, as far as is known: nothing is asked of it.
    pub(in super::super) fn take_unknown(&mut self, number: u64, row: Unresolved) -> Result<Decision, SortError> {
        let Unresolved { origin, id, contacts } = row;
        let left = self.left(number, contacts)?;
        let end = match &left {
            Ok(_) => (Outcome::Different, Some(Reason::UserMissing)),
            Err(_) => (Outcome::Superseded, None),
        };
        let (Ok(contacts) | Err(contacts)) = left;
        let mut decision = decided(origin, "".into(), Some(id), end, contacts);
        if decision.outcome == Outcome::Different {
            decision.answered.message = Some("the state doesn't know whose id this is".to_owned());
        }
        Ok(decision)
    }

    /// What a row answers for; where that is nothing, all of its contacts as an error.
    fn left(&mut self, number: u64, contacts: Contacts) -> Result<Result<Contacts, Contacts>, SortError> {
        self.superseded.of_row(number, &mut self.replaced)?;
        Ok(match self.replaced.len() {
            0 => Ok(contacts),
            replaced if replaced == contacts.len() => Err(contacts),
            _ => Ok(without(&contacts, &self.replaced)),
        })
    }
}

/// The contacts without some, which are in order.
fn without(contacts: &Contacts, left_out: &[usize]) -> Contacts {
    let mut left = Contacts::default();
    for (index, (name, (_, value))) in contacts.names().zip(contacts.iter()).enumerate() {
        if left_out.binary_search(&index).is_err() {
            left.push(name.clone(), value);
        }
    }
    left
}

fn decided(
    origin: Origin,
    euid: Box<str>,
    id: Option<Box<str>>,
    (outcome, reason): (Outcome, Option<Reason>),
    contacts: Contacts,
) -> Decision {
    Decision {
        origin,
        euid,
        id,
        outcome,
        reason,
        answered: Answered::default(),
        attempts: 0,
        latency_ms: None,
        at_ms: Timestamp::now().as_millisecond(),
        contacts: Some(contacts),
        raw: None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use model::Euid;

    use super::*;
    use crate::superseding::Superseding;

    fn row(row: u64, euid: u64, names: &[&str]) -> Contact {
        let mut contacts = Contacts::default();
        for name in names {
            contacts.push((*name).into(), &format!("{name} of {row}"));
        }
        let origin = Origin { source: "a.csv".into(), row, line: row + 1 };
        Contact { origin, id: None, euid_text: euid.to_string().into(), euid: Euid::new(euid).unwrap(), contacts }
    }

    #[test]
    fn a_row_answers_for_what_no_later_one_sets() {
        let rows = [
            row(1, 7, &["email", "mobile_phone"]),
            row(2, 8, &["email"]),
            row(3, 7, &["email"]),
            row(4, 7, &["mobile_phone", "fax", "email"]),
        ];
        let mut superseding = Superseding::new(Path::new("/nowhere")).unwrap();
        for contact in &rows {
            let names = contact.contacts.iter().map(|(name, _)| name);
            superseding.see(contact.euid.get(), contact.origin.row, names).unwrap();
        }
        let mut answering = Answering::new(superseding.end().unwrap());
        let mut answers = rows.iter().map(|contact| answering.take(contact.origin.row, contact.clone()).unwrap());
        for expected in [None, Some(&rows[1]), None, Some(&rows[3])] {
            match (answers.next().unwrap(), expected) {
                (Intake::Decided(decided), None) => assert_eq!(decided.outcome, Outcome::Superseded),
                (Intake::Send(contact), Some(expected)) => assert_eq!(contact, *expected),
                (other, _) => panic!("{other:?}"),
            }
        }
        let mut superseding = Superseding::new(Path::new("/nowhere")).unwrap();
        superseding.see(7, 1, ["email", "fax", "mobile_phone"].into_iter()).unwrap();
        superseding.see(7, 2, ["fax"].into_iter()).unwrap();
        let mut answering = Answering::new(superseding.end().unwrap());
        let Intake::Send(contact) = answering.take(1, row(1, 7, &["email", "fax", "mobile_phone"])).unwrap() else {
            panic!("it answers for two")
        };
        let left: Vec<_> = contact.contacts.iter().collect();
        assert_eq!(left, [("email", "email of 1"), ("mobile_phone", "mobile_phone of 1")]);
    }
}
