//! Reads back what the service holds of users, up to a hundred at once, for whoever compares rows with it. What is read
//! tolerantly is concluded from strictly: an answer in a shape that isn't known stops the run, and says nothing of anybody.

mod comparing;
mod loosely;

use std::{collections::HashSet, ops::Range};

use dispatcher::{Asked, Asker, Ended, RequestKind, StopCause};
use model::{
    Answered, Contact, Euid, Reason,
    profile::{self, Profiles},
    wire,
};

pub(crate) use comparing::{Compared, Comparer};

/// Names that a request asks for, unless a row has more by itself.
const MOST_NAMES: usize = 500;

/// What came of reading the users of some rows.
pub(crate) struct Reading {
    /// Which of the rows that were asked about.
    pub(crate) rows: Range<usize>,
    /// What the last answer said.
    pub(crate) answered: Answered,
    /// Attempts made.
    pub(crate) attempts: u32,
    /// Milliseconds the last of them took.
    pub(crate) latency_ms: Option<u64>,
    /// What the service holds, or why it couldn't be read.
    pub(crate) told: Result<Told, Reason>,
}

/// What an answer says.
pub(crate) struct Told {
    /// Of the users it has entries of.
    pub(crate) profiles: Profiles,
    /// It is a plain success: of whom it has no entry is unknown to the service.
    pub(crate) is_plain: bool,
}

impl Told {
    /// What is to be remembered of a row's user: each contact of the row as it is there, "" where it isn't; as the row writes
    /// it where that counts as the same, so that the next night finds it. None where the answer says nothing of the user; of
    /// one that isn't whole, what it doesn't say is left out.
    pub(crate) fn found_of<'a>(
        &'a self,
        row: &'a Contact,
        comparer: &'a Comparer,
    ) -> Option<impl Iterator<Item = (&'a str, &'a str)> + 'a> {
        let profile = self.profiles.get(row.euid)?;
        Some(row.contacts.iter().filter_map(move |(name, value)| {
            let there = profile.get(name);
            if there.is_none() && !self.is_plain {
                return None;
            }
            Some(match comparer.compare(name, value, there) {
                Compared::There => (name, value),
                Compared::Missing => (name, ""),
                Compared::Differs => {
                    let there = there.unwrap_or_default();
                    comparer.note_different(name, value, there);
                    (name, there)
                }
            })
        }))
    }
}

/// Reads the users of rows. A request that is refused because of what is in it is split, so that one bad EUID fails only
/// its own row; so there may be several readings, in the order of the rows. None: the run stopped before it was answered.
/// An error is to stop the run.
pub(crate) async fn read_users(asker: &Asker, rows: &[&Contact]) -> Result<Option<Vec<Reading>>, StopCause> {
    let mut readings = Vec::with_capacity(1);
    let all = 0..rows.len();
    let mut to_read = vec![all];
    while let Some(mut part) = to_read.pop() {
        let (names, count) = names_of(&rows[part.clone()]);
        if count < part.len() {
            to_read.push(part.start + count..part.end);
            part.end = part.start + count;
        }
        let asked_for = &rows[part.clone()];
        let Some(response) = asker.ask(RequestKind::Profile, wire::PROFILE_PATH, body(asked_for, &names)).await else {
            return Ok(None);
        };
        let Asked { ended, answered, attempts, latency_ms, body } = response;
        let told = match ended {
            Ended::Accepted(reason) => {
                let profiles = profile::read(&body, &names).map_err(|unknown| unknown_shape(&unknown.to_string()))?;
                Ok(Told { profiles, is_plain: reason.is_none() })
            }
            Ended::Failed(Reason::HttpStatus) => return Err(bare_status(&answered)),
            Ended::Failed(reason) if part.len() > 1 && is_of_one_row(reason) => {
                let middle = part.start + part.len() / 2;
                to_read.push(middle..part.end);
                to_read.push(part.start..middle);
                continue;
            }
            Ended::Failed(reason) => Err(reason),
        };
        readings.push(Reading { rows: part, answered, attempts, latency_ms, told });
    }
    Ok(Some(readings))
}

/// Whether a request is refused for what one of its rows put in.
fn is_of_one_row(reason: Reason) -> bool {
    matches!(reason, Reason::EuidEmpty | Reason::EuidInvalid | Reason::NameInvalid | Reason::ParametersInvalid)
}

/// Each name once, in the order in which the rows come with them, and of how many rows they are: of all, unless they have
/// very many names of their own.
fn names_of<'a>(rows: &[&'a Contact]) -> (Vec<&'a str>, usize) {
    let mut names: Vec<&str> = Vec::new();
    let mut known: HashSet<&str> = HashSet::new();
    for (count, row) in rows.iter().enumerate() {
        let before = names.len();
        names.extend(row.contacts.iter().map(|(name, _)| name).filter(|name| known.insert(name)));
        if count > 0 && names.len() > before.max(MOST_NAMES) {
            names.truncate(before);
            return (names, count);
        }
    }
    (names, rows.len())
}

fn body(rows: &[&Contact], names: &[&str]) -> Vec<u8> {
    let euids: Vec<Euid> = rows.iter().map(|row| row.euid).collect();
    // Numbers and texts can always be written.
    serde_json::to_vec(&wire::ReadProfiles { euid: &euids, contacts: names }).unwrap_or_default()
}

fn unknown_shape(what: &str) -> StopCause {
    StopCause::Outage {
        what: format!(
            "what the service answers of users has a shape that isn't known ({what}): nothing is concluded from it"
        ),
        advice: Some(
            "`contactsync doctor --euid N` prints the shape of one user, without values: please report it".to_owned(),
        ),
    }
}

fn bare_status(answered: &Answered) -> StopCause {
    let status = answered.http_status.map_or_else(|| "an HTTP status".to_owned(), |status| format!("HTTP {status}"));
    StopCause::Outage {
        what: format!("users can't be read: {status} without a code of the API"),
        advice: Some("check `--base-url` and proxies, and whether the project may query user information".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Contacts, Origin};

    use super::*;

    fn row(number: u64, names: impl Iterator<Item = String>) -> Contact {
        let mut contacts = Contacts::default();
        for name in names {
            contacts.push(Arc::from(name), "x");
        }
        let origin = Origin { source: "a.csv".into(), row: number, line: number + 1 };
        Contact { origin, id: None, euid_text: "1".into(), euid: Euid::new(number).unwrap(), contacts }
    }

    #[test]
    fn names_are_asked_for_once_and_not_too_many_at_once() {
        let shared: Vec<Contact> = (1..=100).map(|number| row(number, (0..40).map(|name| name.to_string()))).collect();
        let shared: Vec<&Contact> = shared.iter().collect();
        let (names, count) = names_of(&shared);
        assert_eq!((names.len(), count), (40, 100));
        let own: Vec<Contact> =
            (1..=100).map(|number| row(number, (0..200).map(move |name| format!("{number}/{name}")))).collect();
        let own: Vec<&Contact> = own.iter().collect();
        let (names, count) = names_of(&own);
        assert_eq!((names.len(), count), (400, 2));
        let wide: Vec<Contact> = (1..=100).map(|number| row(number, (0..900).map(|name| name.to_string()))).collect();
        let (names, count) = names_of(&wide.iter().collect::<Vec<_>>());
        assert_eq!((names.len(), count), (900, 100));
        let many = row(1, (0..30_000).map(|name| name.to_string()));
        let (names, count) = names_of(&[&many, own[0]]);
        assert_eq!((names.len(), count), (30_000, 1));
    }
}
