//! Reads back what the service holds of users, up to a hundred at once, for whoever compares rows with it. What is read
//! tolerantly is concluded from strictly: an answer in a shape that isn't known stops the run, and says nothing of anybody.

mod comparing;
mod loosely;

use std::ops::Range;

use dispatcher::{Asked, Asker, Ended, RequestKind, StopCause};
use model::{
    Answered, Contact, Euid, Reason,
    profile::{self, Profiles},
    wire,
};

pub(crate) use comparing::{Compared, Comparer, WRITTEN_OTHERWISE};

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
    /// it where that counts as the same, so that the next night finds it. None where the answer says nothing of the user.
    pub(crate) fn found_of<'a>(
        &'a self,
        row: &'a Contact,
        comparer: &'a Comparer,
    ) -> Option<impl Iterator<Item = (&'a str, &'a str)> + 'a> {
        let profile = self.profiles.get(row.euid)?;
        Some(row.contacts.iter().map(move |(name, value)| {
            let there = profile.get(name);
            match comparer.compare(name, value, there) {
                Compared::There => (name, value),
                Compared::Missing => (name, ""),
                Compared::Differs => {
                    let there = there.unwrap_or_default();
                    comparer.note_different(name, value, there);
                    (name, there)
                }
            }
        }))
    }
}

/// Reads the users of rows. A request that is refused because of what is in it is split, so that one bad EUID fails only
/// its own row; so there may be several readings, in the order of the rows. None: the run stopped before it was answered.
/// An error is to stop the run.
pub(crate) async fn read_users(asker: &Asker, rows: &[&Contact]) -> Result<Option<Vec<Reading>>, StopCause> {
    let mut readings = Vec::with_capacity(1);
    let mut to_read = vec![0..rows.len()];
    while let Some(part) = to_read.pop() {
        let asked_for = &rows[part.clone()];
        let names = names_of(asked_for);
        let Some(asked) = asker.ask(RequestKind::Profile, wire::PROFILE_PATH, body(asked_for, &names)).await else {
            return Ok(None);
        };
        let Asked { ended, answered, attempts, latency_ms, body } = asked;
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

/// Each name once, in the order in which the rows come with them.
fn names_of<'a>(rows: &[&'a Contact]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| row.contacts.iter()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
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
